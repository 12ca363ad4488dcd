# The rules of a node: what each is called with, and what becomes of what it returns.
#
# The short way is `call_rule` and `fit`, which a pass takes for a node without hooks (`step_plain` in
# task.pxi). The long way is `run_node`: hooks before, all gradients at once, the NaN check, hooks after;
# custom nodes and `node(*grads)` take it too. `release` frees what the rules read. Read `call_rule`, then
# `fit`.
#
# From other parts: Op, Rule, FROM_G, FROM_G_INDEX, FROM_GRADS, FROM_NEEDS, FROM_NODE, MAX_PARAMS, SAVE_PARAM,
# SAVE_RESULT, SAVE_RESULTS, SAVE_TENSOR (op.pxi); Hooks, Node, hooks_if, seen, NODE_ACCUMULATE, NODE_CUSTOM,
# NODE_DIMS, NODE_FLAT, NODE_OP, parameters_of, sequence (nodes.pxi); leaf_of, saved_at, set_saved,
# shelve_saved, unpack (saved.pxi); Tensor, _add, binary, conj, detached, _mul, _ops, wrap (tensor.pxi);
# history (dispatch.pxi); give_grad, only_numbers (gradients.pxi); Listener (listening.pxi);
# by_tape, may_tape, unsure (tapes.pxi); anomaly, _anomaly, anomaly_nan, pb_thread (_engine.pyx).

cdef inline unsigned int edge_bit(int edge) noexcept:
    """The bit that stands for an edge in a mask of them; the 32nd stands for all further ones."""
    return 1u << (edge if edge < 31 else 31)


cdef inline bint few_things(Node node) noexcept:
    """Whether the rare things of a node do not concern its step."""
    return node.rare.hooks is None and node.rare.outputs is None and node.nedges <= 3


cdef Tensor fit(Node target, int index, object grad, Node giver, int place):
    """A rule's gradient in the shape and dtype of what it is the gradient of."""
    cdef Tensor g, result
    cdef int i
    if not isinstance(grad, Tensor):
        raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
    g = <Tensor>grad
    if target.noutputs == 1 and target.nd <= NODE_DIMS and code_of(g.array) == target.code:
        if PyArray_NDIM(g.array) == target.nd:
            for i in range(target.nd):
                if PyArray_DIMS(g.array)[i] != target.room.dims[i]:
                    break
            else:
                return g
        if only_numbers(g) and pb_thread.level == 0 and not pb_thread.grad and (
                pb_thread.recorder == NULL or type(<object>pb_thread.recorder) is Listener):
            summed = fold_sum(g.array, target.nd, target.room.dims)
            if summed is not None:
                result = wrap(<ndarray>summed)
                if pb_thread.recorder != NULL:
                    (<Listener>pb_thread.recorder).tell_of_fold(g, result)
                return result
    meta = target.output_meta(index)
    if meta is None:
        return g
    shape, code = meta
    if (<object>g.array).shape != shape:
        try:
            np.broadcast_shapes(shape, (<object>g.array).shape)
            fits = len(shape) <= PyArray_NDIM(g.array) and all(
                n == m or n == 1 for n, m in zip(reversed(shape), reversed((<object>g.array).shape)))
        except ValueError:
            fits = False
        if not fits:
            who = giver.name() if giver is not None else "backward"
            raise RuntimeError(f"Function {who} returned an invalid gradient at index {place} - got "
                               f"{list(g.shape)} but expected shape compatible with {list(shape)}")
        g = _ops.sum_to_size(g, shape)
    if code_of(g.array) != code:
        g = _ops.cast_grad(g, DTYPES[code])
    return g


cdef object call_rule(object which, Node node, object g, list grads, unsigned int wanted):
    """Calls a rule with what its parameter names ask for."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef object value
    cdef Rule rule
    cdef int i, k = 0, source
    if which is None:
        return None
    rule = <Rule>which
    if rule.passes:
        return g if g is not None else grads[0]
    if rule.product:
        return binary(_mul, g if g is not None else grads[0], conj(unpack(node, rule.source[1])))
    try:
        for i in range(rule.count):
            source = rule.source[i]
            if source >= 0:
                value = unpack(node, source)
            elif source == FROM_G:
                value = g if g is not None else grads[0]
            elif source == FROM_GRADS:
                value = tuple(grads)
            elif source == FROM_NEEDS:
                value = tuple([bool(wanted & edge_bit(j)) for j in range(node.nedges)])
            elif source == FROM_NODE:
                value = node
            else:
                value = grads[FROM_G_INDEX - source]
            Py_INCREF(value)
            argv[i] = <PyObject*>value
            k += 1
        if not rule.sees_node and may_tape(&rule.tally):
            return by_tape(rule.function, &rule.tally, True, argv, rule.count, NULL)
        return PyObject_Vectorcall(rule.function, argv, rule.count, NULL)
    finally:
        for i in range(k):
            Py_DECREF(<object>argv[i])


cdef unsigned int _all_needed(Node node) except? 0xFFFFFFFF:
    cdef unsigned int mask = 0
    cdef int i, index = 0
    for i in range(node.nedges):
        if node.edge(i, &index) is not None:
            mask |= edge_bit(i)
    return mask


cdef list run_node(Node node, list grads, unsigned int wanted):
    """All gradients of one node's inputs, an entry an edge, with its hooks and the NaN check."""
    cdef Hooks hooks = hooks_if(node)
    cdef list results
    if hooks is not None:
        for hook in tuple(hooks.pre.values()):
            grads = replaced(hook, grads, (tuple(grads),))
    given = tuple(grads) if hooks is not None else None
    outer = _anomaly.enter(seen(node)) if anomaly else None
    try:
        results = compute_gradients(node, grads, wanted)
        if anomaly and anomaly_nan:
            _anomaly.check_nan(node, results)
    except Exception:
        if anomaly:
            _anomaly.report(node)
        raise
    finally:
        if anomaly:
            _anomaly.leave(outer)
    if hooks is not None:
        for hook in tuple(hooks.post.values()):
            results = replaced(hook, results, (tuple(results), given))
    return results


cdef list compute_gradients(Node node, list grads, unsigned int wanted):
    """The same without hooks, by the kind of the node."""
    if node.kind == NODE_CUSTOM:
        got = node.custom(node, tuple(grads))
        return list(got) if isinstance(got, (tuple, list)) else [got]
    if node.kind == NODE_ACCUMULATE:
        give_grad(leaf_of(node), <Tensor>grads[0], pb_thread.grad)
        return []
    if node.kind == NODE_FLAT:
        return [grads[0]] + [None] * (node.nedges - 1)   # what the Task makes of these: zeros
    results = op_gradients(node, grads, wanted)
    if node.op.flat_slope is not None and pb_thread.grad:
        shown = _shown_slope(node)
        for i in range(len(results)):
            if shown and results[i] is not None and not (pb_thread.level and type(results[i]) is Tensor):
                results[i] = with_flat_slope(node, <Tensor>results[i], shown)
    return results


cdef object _shown_slope(Node node):
    """The name of the node of a flat slope; None if the slope is not flat, with these parameters."""
    shown = node.op.flat_slope
    shown = shown(parameters_of(node)) if callable(shown) else shown
    return f"{node.name()[:-1]}Backward0" if shown is True else shown


# NOTE [Flat slopes]
#
# The gradient of `relu` is g times a slope of zeros and ones, whose own derivative is zero. If a recorded
# pass left it at that, the gradient would have no history where g has none, and asking for second
# derivatives would be an error: here and there, by what else the function is made of. So in a recorded pass
# each gradient of such an op gets a node on top of its history, with edges to the op's inputs, too. What goes
# along these is zero, and no tensor: a slot is marked (`Slot.zero`), what has nothing else passes the mark on
# without calling a rule, and only who asked for the gradient gets zeros.

cdef Tensor with_flat_slope(Node node, Tensor g, str shown):
    """A gradient that `node` gave, as a function of the node's inputs with derivative zero."""
    if type(g) is not Tensor and hasattr(g, "physical"):   # of a transform, with the history of another
        return g.level.lifted(with_flat_slope(node, g.physical, shown))
    cdef Tensor held = detached(g)
    cdef Node top = Node.__new__(Node)
    cdef Node source
    cdef int i, index = 0
    global sequence
    top.kind, top.saved = NODE_FLAT, shown
    source = history(g, &index)
    top.add_edge(source, index)
    for i in range(node.nedges):
        source = node.edge(i, &index)
        if source is not None:
            top.add_edge(source, index)
    sequence += 1
    top.seq = sequence
    top.describe(held.array)
    top.by_number = held.meta
    if anomaly:
        _anomaly.note(top)
    held.node = top
    return held


def as_flat_slope(Tensor tangent, Tensor result):
    """A tangent of a result, as a function of the inputs of the result's node with derivative zero."""
    cdef int index = 0
    cdef Node node = history(result, &index)
    if not pb_thread.grad or node is None or node.kind != NODE_OP or node.op.flat_slope is None:
        return tangent
    shown = _shown_slope(node)
    if not shown:
        return tangent
    unsure("a flat slope")
    return with_flat_slope(node, tangent, shown)


cdef list replaced(hook, list values, tuple args):
    """What a node's hook makes of its gradients; as they were if it returns None."""
    got = hook(*args)
    if got is None:
        return values
    if not isinstance(got, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(got).__name__}'")
    if len(got) != len(values):
        raise RuntimeError(f"hook '{getattr(hook, '__name__', repr(hook))}' has returned an incorrect number "
                           f"of values (got {len(got)}, but expected {len(values)})")
    return list(got)


cdef list op_gradients(Node node, list grads, unsigned int wanted):
    """The gradients of an op's inputs by its rules; an input that is a list has an edge for each element."""
    cdef Op op = node.op
    cdef list results = []
    cdef int k, j, edge = 0, width
    cdef bint asked
    if all(g is None for g in grads):
        return [None] * node.nedges
    if op.joint is not None:
        got = call_rule(op.joint, node, None, grads, wanted)
        if not isinstance(got, tuple):
            got = (got,)
        for k in range(op.ntensors):
            if isinstance(got[k], list):
                results.extend(got[k])
            else:
                results.append(got[k])
        return results
    for k in range(op.ntensors):
        is_list = (<str>op.kinds)[op.tensor_params[k]] == u'L'
        width = node.nedges - op.ntensors + 1 if is_list else 1
        asked = False
        for j in range(edge, edge + width):
            asked = asked or wanted & edge_bit(j)
        got = call_rule(op.rules[k], node, None, grads, wanted) if asked else None
        if is_list:
            results.extend([None] * width if got is None else got)
        else:
            results.append(got)
        edge += width
    return results


cdef int release(Node node) except -1:
    """Frees what a node saved, once it has run and the graph is not kept."""
    cdef int i
    if node.kind == NODE_CUSTOM:
        if hasattr(node.custom, "release"):
            node.custom.release(node)
        return 0
    if node.kind != NODE_OP or node.freed:
        return 0
    for i in range(node.op.nsaved):
        if node.op.saved_kind[i] in (SAVE_TENSOR, SAVE_RESULT, SAVE_RESULTS) and (
                saved_at(node, i) is not None):
            node.freed = True
    if not node.freed:
        return 0
    shelve_saved(node)
    if node.op.name_rule is None:
        node.saved = node.custom = None
        return 0
    for i in range(node.op.nsaved):   # its name depends on parameters
        if node.op.saved_kind[i] != SAVE_PARAM:
            set_saved(node, i, None)
    return 0


cdef int tensor_hooks(Node node, list grads) except -1:
    """Hooks of the tensors whose gradients these are, then those who keep them."""
    cdef Hooks hooks = node.rare.hooks
    cdef Tensor kept
    for index, registered in tuple(hooks.tensor.items()):
        for hook in tuple(registered.values()):
            g = grads[index]
            result = hook(g)
            if result is not None:
                if g is not None:
                    _check_hook(hook, g, result)
                grads[index] = result
    for index, reference in hooks.retained.items():
        kept = reference()
        if kept is not None and grads[index] is not None:
            g = grads[index]
            kept._grad = binary(_add, kept._grad, g) if kept._grad is not None else _ops.keep_grad(g)
    return 0


cdef int _check_hook(hook, before, after) except -1:
    name = getattr(hook, "__name__", repr(hook))
    if not isinstance(after, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(after).__name__}'")
    if after.shape != before.shape:
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    if after.dtype != before.dtype:
        raise RuntimeError(f"hook '{name}' has changed the type of value "
                           f"(was {before.type()} got {after.type()})")
    return 0
