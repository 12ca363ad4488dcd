# Views, versions, and ops that write into their first input or into `out=`.
#
# `apply_view` makes a result a view: base, shared version counter, how it was made. A
# write is `apply_inplace`: check, make the node before the numbers change, write, `bump_version`, and give
# the tensor its new history (`hang`). Written through a view, the base gets a `CopySlices` node, and every
# other view of it notices by its version and renews its history when it is asked (`refresh_view`).
#
# Read `apply_inplace`, then `hang` and `refresh_view`. `apply_out` is for `out=`, without history.
#
# From other parts: Op, MAX_PARAMS, PROMOTE_FLOAT, SAVE_TENSOR (op.pxi); _check_broadcast,
# compute_pointwise, default_float, has_gradients, result_code, KIND (pointwise.pxi); hooks_of,
# Node, Rare, rare_of, sequence, NODE_CUSTOM (nodes.pxi); Storage, with_history, FREED (saved.pxi);
# _basic, detached, _operators, _ops, tell, Tensor, wrap (tensor.pxi); apply, arrays_of, compute,
# dispatch_tuple, history, needs, new_node, numbers_for, record, requires, save_inputs, save_results
# (dispatch.pxi); check_parts, mirror_of, memory_shown, reflect, turn_of (mirrors.pxi); fill_with (fills.pxi);
# read_element (creation.pxi); compute_meta, meta_pointwise (meta.pxi); _all_needed, run_node (rules.pxi);
# tangents_now (custom.pxi); unsure (tapes.pxi); anomaly, _anomaly, pb_thread (_engine.pyx).

cdef enum Creation:
    VIEW, VIEW_MULTI, VIEW_NO_GRAD, VIEW_INFERENCE, VIEW_CUSTOM


cdef Storage storage(Tensor t):
    cdef Rare rare
    if t.storage is None:
        if t.node is not None and t.node.lent:
            rare = rare_of(t.node)
            if rare.storage is None:
                rare.storage = Storage.__new__(Storage)
            t.storage = rare.storage
        else:
            t.storage = Storage.__new__(Storage)
    return t.storage


cdef unsigned int version_of(Tensor t) noexcept:
    return 0 if t.storage is None else t.storage.version


cpdef bump_version(Tensor t):
    """Says that the memory of a tensor was written to."""
    unsure("a write otherwise than by an op")
    cdef Storage s = storage(t)
    s.version += 1
    if s.mirrors is not None:
        reflect(s, t.array)
    if t.base is None or s.mirrors is not None or (s.writes is not None and len(s.writes) >= 4096):
        s.whole, s.writes = s.version, None
    else:
        if s.writes is None:
            s.writes = []
        s.writes.append((s.version, t.array))
    if anomaly:
        s.writer = _anomaly.user_line()


cdef int set_memory(Tensor t, ndarray a) except -1:
    """Gives a tensor another payload, which may lie in other memory than its views."""
    t.array = a
    if t.accumulator is not None:  # gradients have the shape of what it is from now on
        t.accumulator.saved = a
        t.accumulator.describe(a)
    if t.storage is not None:
        t.storage.moved = True
    return 0


cdef ndarray owner_of(ndarray a):
    """The array whose memory this is."""
    while PyArray_BASE(a) != NULL and isinstance(<object>PyArray_BASE(a), ndarray):
        a = <ndarray>PyArray_BASE(a)
    return a


cdef object apply_view(Op op, PyObject** argv):
    """A view op: no number is moved."""
    cdef PyObject* values[MAX_PARAMS]
    cdef ndarray a = (<Tensor>argv[0]).array
    cdef int i
    for i in range(op.nparams):
        values[i] = argv[i]
    values[0] = <PyObject*>a
    return finished_view(op, argv, view_arrays(op, a, values))


cdef object finished_view(Op op, PyObject** argv, object outs):
    """The results of a view op as tensors, with their place in the graph."""
    cdef Tensor source = <Tensor>argv[0]
    if type(outs) is tuple:
        outs = tuple([view_tensor(op, source, <ndarray>a) for a in <tuple>outs])
    else:
        outs = view_tensor(op, source, <ndarray>outs)
    if pb_thread.grad and not op.nondiff and requires(source) and not source.inference:
        record(op, argv, 1, outs)
    return outs


cdef object view_arrays(Op op, ndarray a, PyObject** values):
    """What a view op shows of an array, the first of `values`."""
    cdef Geometry g
    cdef bint found = False
    cdef int nd = PyArray_NDIM(a)
    cdef npy_intp room[64]
    cdef npy_intp* dims = PyArray_DIMS(a)
    cdef npy_intp* strides = steps_of(a, room)
    if op.lookup == BY_INDEX:
        found = find_indexed(&g, nd, dims, strides, PyArray_ITEMSIZE(a), <object>values[1])
    elif op.lookup == BY_SELECT:
        found = find_selected(&g, nd, dims, strides, <object>values[1], <object>values[2])
    elif op.lookup == BY_SLICE:
        found = find_sliced(&g, nd, dims, strides, <object>values[1], <object>values[2], <object>values[3],
                            <object>values[4])
    if found:
        return show(&g, a)
    cdef list made = None
    cdef int i
    for i in range(1, op.nparams):
        if type(<object>values[i]) is list or type(<object>values[i]) is tuple:
            made = numbers_for(op, i, &values[i], <object>values[i], made)
    return views_by(find_plan(op, op.prepare_rule, values, op.nparams), a)


cdef object views_by(Plan plan, ndarray a):
    """The view or views that a plan says."""
    if not plan.several:
        return see(plan, 0, a)
    return tuple([see(plan, i, a) for i in range(plan.nresults)])


cdef Tensor view_tensor(Op op, Tensor source, ndarray a):
    """A view as a tensor: base, shared version counter, how it was made."""
    cdef Tensor t = wrap(a)
    t.meta, t.inference, t.storage = source.meta, source.inference, storage(source)
    if t.storage.mirrors is not None and PyArray_TYPE(a) != PyArray_TYPE(source.array):
        check_parts(t, source)
    if op.nondiff or source.inference:   # shares memory and nothing else, as `detach` does
        return t
    t.base = source.base if source.base is not None else source
    t.attr_version = t.storage.version
    if op.multi_view and pb_thread.grad:
        t.creation = VIEW_MULTI
    elif pb_thread.inference:
        t.creation = VIEW_INFERENCE
    elif not pb_thread.grad:
        t.creation = VIEW_NO_GRAD
    elif source.base is not None:
        t.creation = source.creation
    return t


cdef Tensor indexed_view(Tensor t, object key):
    """`t[key]` of ints, slices, None and an Ellipsis; None for any other key, or one out of range."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Geometry g
    cdef npy_intp room[64]
    cdef ndarray a = t.array
    cdef Tensor seen
    if not find_indexed(&g, PyArray_NDIM(a), PyArray_DIMS(a), steps_of(a, room), PyArray_ITEMSIZE(a), key):
        return None
    seen = view_tensor(_basic, t, show(&g, a))
    if pb_thread.grad and requires(t) and not t.inference:
        parts = key if type(key) is tuple else (key,)
        if Ellipsis not in parts:
            parts = (*parts, Ellipsis)
        argv[0], argv[1] = <PyObject*>t, <PyObject*>parts
        record(_basic, argv, 1, seen)
    return seen


cdef bint write_indexed(Tensor t, object key, object value) except -1:
    """`t[key] = value` of ints, slices, None and an Ellipsis; False as for `write_plain`."""
    cdef Geometry g
    cdef ndarray a = t.array
    if not find_indexed(&g, PyArray_NDIM(a), PyArray_DIMS(a), PyArray_STRIDES(a), PyArray_ITEMSIZE(a), key):
        return False
    if not write_plain(t, &g, value):
        return False
    bump_version(view_tensor(_basic, t, show(&g, a)))
    return True


cdef bint write_all(Tensor t, object value) except -1:
    """`t.fill_(number)`, `t.copy_(tensor)`; False as for `write_plain`."""
    cdef Geometry g
    cdef ndarray a = t.array
    g.nd, g.offset = PyArray_NDIM(a), 0
    memcpy(g.dims, PyArray_DIMS(a), g.nd * sizeof(npy_intp))
    memcpy(g.strides, PyArray_STRIDES(a), g.nd * sizeof(npy_intp))
    if not write_plain(t, &g, value):
        return False
    bump_version(t)
    return True


cdef bint write_plain(Tensor t, Geometry* g, object value) except -1:
    """Writes a number, or a tensor of the same dtype, into a part of a tensor, where no graph is recorded.

    False, and nothing is done, for any other value, and where the two might share memory.
    """
    cdef Number element
    cdef Tensor source = None
    cdef ndarray a = t.array
    cdef npy_intp n
    cdef int d, more
    if type(value) is Tensor:
        source = <Tensor>value
    if t.meta or t.inference or not PyArray_CHKFLAGS(a, NPY_ARRAY_WRITEABLE) or (
            pb_thread.grad and (requires(t) or (source is not None and requires(source)))):
        return False
    for d in range(g.nd):
        if g.strides[d] == 0 and g.dims[d] > 1:
            return False
    if source is None:
        if not read_element(value, code_of(a), &element):
            return False
        n = PyArray_ITEMSIZE(a)
        for d in range(g.nd - 1, -1, -1):
            if g.strides[d] != n:
                break
            n *= g.dims[d]
        else:
            if PyArray_IS_C_CONTIGUOUS(a) and n == PyArray_NBYTES(a):   # all of the tensor
                fill_with(a, &element)
                return True
        fill_shown(g, <char*>PyArray_DATA(a), <char*>&element, PyArray_ITEMSIZE(a))
    else:
        more = g.nd - PyArray_NDIM(source.array)
        if source.meta or more < 0 or code_of(source.array) != code_of(a) or _may_meet(a, source.array):
            return False
        for d in range(more, g.nd):
            n = PyArray_DIMS(source.array)[d - more]
            if n != g.dims[d] and n != 1:
                return False
        PyArray_CopyInto(show(g, a), source.array)
    return True


cdef bint _may_meet(ndarray a, ndarray b) noexcept:
    """Whether the memory of two arrays may have a part in common."""
    cdef char* bounds[4]
    cdef npy_intp reach
    cdef int i, d
    for i in range(2):
        x = b if i else a
        bounds[2 * i] = bounds[2 * i + 1] = <char*>PyArray_DATA(x)
        for d in range(PyArray_NDIM(x)):
            reach = (PyArray_DIMS(x)[d] - 1) * PyArray_STRIDES(x)[d]
            bounds[2 * i + (reach > 0)] += reach
        bounds[2 * i + 1] += PyArray_ITEMSIZE(x)
    return bounds[0] < bounds[3] and bounds[2] < bounds[1]


cdef int refresh_view(Tensor t) except -1:
    """Renews the history of a view whose memory was written to: a strided piece of its base."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Node node
    if t.base is None or t.attr_version == t.storage.version:
        return 0
    if requires(t.base):
        check_view_creation(t, "its base or another view of its base has been")
        if mirror_of(t) is not None:
            refresh_mirrored(t)
            t.attr_version = t.storage.version
            return 0
        op = <Op>_operators["as_strided"]
        viewed = t.base
        if code_of(t.array) != code_of(t.base.array):
            viewed = _ops.reinterpret(t.base)
        args = (viewed,) + geometry(t, <Tensor>viewed)
        for i in range(len(args)):
            argv[i] = <PyObject*>args[i]
        node = new_node(op, argv, 1)
        node.describe(t.array)
        save_inputs(node, argv, 1)
        give_node(t, node, 0)
    t.attr_version = t.storage.version
    return 0


cdef int refresh_mirrored(Tensor t) except -1:
    """The same for what lies in a mirror: the piece of the base, turned."""
    cdef int before = pb_thread.grad
    cdef Tensor made
    turn = turn_of(t)
    pb_thread.grad = 1
    try:
        viewed = t.base if code_of(t.array) == code_of(t.base.array) else _ops.reinterpret(t.base)
        made = dispatch_tuple(<Op>_operators["as_strided"], (viewed,) + geometry(t, <Tensor>viewed), None)
        if turn is not None:
            made = turn(made)
    finally:
        pb_thread.grad = before
    return give_node(t, made.node, made.output_index)


cdef tuple geometry(Tensor t, Tensor base):
    """Size, strides and offset of a view from the first element of its base on, and the base's strides."""
    cdef ndarray place = memory_shown(t)
    a = <object>t.array
    item = a.itemsize
    if t.storage is not None and (t.storage.moved or t.storage.mirrors is not None) and (
            owner_of(place) is not owner_of(base.array)):
        raise RuntimeError("a view has no history: it, or the tensor that it was a view of, was given other "
                           "memory by set_(), resize_(), `.data` or `out=`")
    offset = (<char*>PyArray_DATA(place) - <char*>PyArray_DATA(base.array)) // <npy_intp>item
    return a.shape, _dense_strides(t), offset, _dense_strides(base)


def restructure(Op op, Tensor t, *args):
    """Writes a view op into its own tensor, as `x.t_()` does: the same memory, seen otherwise."""
    cdef PyObject* argv[MAX_PARAMS]
    cdef Node node = None
    cdef int i
    check_writable(t, False)
    bound = (t,) + args
    for i in range(op.nparams):
        argv[i] = <PyObject*>bound[i]
    if pb_thread.grad and requires(t):
        node = new_node(op, argv, 1)
        node.written = True
        save_inputs(node, argv, 1)
    t.array = op.seen(t.array, *args)
    bump_version(t)
    if node is not None:
        node.describe(t.array)
        give_node(t, node, 0)
        t.attr_version = t.storage.version
    return t


cdef int check_inference(Tensor t) except -1:
    """Refuses to write to a tensor of inference mode outside of it."""
    if t.inference and not pb_thread.inference:
        raise RuntimeError("Inplace update to inference tensor outside InferenceMode is not allowed."
                           "You can make a clone to get a normal tensor before doing inplace update."
                           "See https://github.com/pytorch/rfcs/pull/17 for more details.")
    return 0


cdef int check_writable(Tensor t, bint other_requires) except -1:
    """Refuses a write that autograd could not follow: before anything is written."""
    check_inference(t)
    if not pb_thread.grad:
        return 0
    if t.base is not None and (other_requires and has_gradients(t.array) or requires(t)):
        check_view_creation(t, "is being")
    if requires(t):
        if t.base is not None and t.base.node is None and requires(t.base):
            raise RuntimeError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation.")
        if t.node is None and t.base is None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    elif other_requires and (t if t.base is None else t.base).depth < pb_thread.depth:
        # It would keep a graph that ends with the function.
        raise RuntimeError(
            "During a grad (vjp, jvp, grad, etc) transform, the function provided attempted to call in-place "
            "operation that would mutate a captured Tensor. This is not supported; please rewrite the "
            "function being transformed to explicitly accept the mutated Tensor(s) as inputs.")
    return 0


cdef int check_view_creation(Tensor t, str what) except -1:
    """Refuses a write through a view, or to its base, for which the view could get no history."""
    if t.creation == VIEW:
        return 0
    who = "This view" if t.node is None else f"Output {t.output_index} of {short_name(t.node)}"
    if t.creation == VIEW_MULTI:
        raise RuntimeError(
            f"{who} is a view and {what} modified inplace. This view is the output of a function that "
            "returns multiple views. Such functions do not allow the output views to be modified inplace. "
            "You should replace the inplace operation by an out-of-place one.")
    if t.creation == VIEW_CUSTOM:
        so = f"{who} is a view and {what} modified inplace" if t.node is not None else (
            f"A view was created in no_grad mode and {what} modified inplace with grad mode enabled")
        raise RuntimeError(
            f"{so}. This view was created inside a custom Function "
            "(or because an input was returned as-is) and the autograd logic to handle view+inplace would "
            "override the custom backward associated with the custom Function, leading to incorrect "
            "gradients. This behavior is forbidden. You can fix this by cloning the output of the custom "
            "Function.")
    mode, where = ("inference", "in normal mode") if t.creation == VIEW_INFERENCE else (
        "no_grad", "with grad mode enabled")
    block = "inference_mode" if t.creation == VIEW_INFERENCE else mode
    raise RuntimeError(
        f"A view was created in {mode} mode and {what} modified inplace {where}. Given that "
        "this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
        f"both the view and the inplace either both inside the {block} block (if you don't want the inplace "
        "to be tracked) or both outside (if you want the inplace to be tracked).")


cdef bint self_overlaps(ndarray a):
    """Whether two elements share memory, as in an expanded tensor."""
    cdef int i
    for i in range(PyArray_NDIM(a)):
        if PyArray_DIMS(a)[i] > 1 and a.strides[i] == 0 and PyArray_SIZE(a):
            return True
    return False


cdef int warn_expanded(Op op) except -1:
    """The warning of an op that may write to an expanded tensor, since it writes the same everywhere."""
    name = op.__name__ + "_"
    return tell(f"Use of {name} on expanded tensors is deprecated. Please clone() the tensor before "
                f"performing this operation. This also applies to advanced indexing e.g. {op.expanded}")


cdef int check_alone(ndarray a) except -1:
    if self_overlaps(a):
        raise RuntimeError("unsupported operation: more than one element of the written-to tensor refers to "
                           "a single memory location. Please clone() the tensor before performing the "
                           "operation.")
    return 0


cdef int check_apart(ndarray out, ndarray a, bint may_be_one) except -1:
    """Refuses to write over a part of an input; over all of it unless that is read first.

    What lies with gaps, or over itself, is not looked at.
    """
    cdef bint one = out is a
    if may_be_one and one or not one and (not _may_meet(out, a) or not PyArray_SIZE(out) or (
            not PyArray_SIZE(a)) or not _dense(out) or not _dense(a)):
        return 0
    if not may_be_one or PyArray_DATA(out) != PyArray_DATA(a) or strides_of(out) != strides_of(a) or (
            (<object>out).nbytes != (<object>a).nbytes):
        raise RuntimeError("unsupported operation: some elements of the input tensor and the written-to "
                           "tensor refer to a single memory location. Please clone() the tensor before "
                           "performing the operation.")
    return 0


cdef bint _dense(ndarray a) except -1:
    return PyArray_IS_C_CONTIGUOUS(a) or is_dense((<object>a).shape, strides_of(a))


cdef object apply_inplace(Op op, PyObject** argv):
    """The op with its result written into its first input: `x.mul_(y)`, `x += y`."""
    cdef Tensor target, before
    cdef Node node = None
    cdef PyObject* first = argv[0]
    cdef int index = 0
    if not isinstance(<object>first, Tensor):
        raise TypeError(f"{op.__name__}_(): argument 'input' (position 1) must be Tensor, "
                        f"not {type(<object>first).__name__}")
    target = <Tensor>first
    cdef unsigned int need = needs(op, argv) if not op.nondiff and pb_thread.grad else 0
    if op.nondiff:
        check_inference(target)
    else:
        check_writable(target, need != 0)
    if not target.meta:
        for i in range(1, op.ntensors):
            x = <object>argv[op.tensor_params[i]]
            if isinstance(x, Tensor) and (<Tensor>x).meta:
                raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    if op.expanded is not None:
        if op.expanded and self_overlaps(target.array):
            warn_expanded(op)
    elif op.random or not (op.writes is not None and op.ntensors == 1 or op.overwrites and argv[1] == first):
        check_alone(target.array)
    for i in range(op.ntensors):
        x = <object>argv[op.tensor_params[i]]
        if isinstance(x, Tensor):
            check_apart(target.array, (<Tensor>x).array, i == 0 or not op.indexes)
        elif op.indexes:
            for item in _tensors_of(x):
                check_apart(target.array, (<Tensor>item).array, False)
    if need and has_gradients(target.array):
        # The node is made before the write: what it saves is what went in. A rule that looks at the old
        # value of the target gets a copy of it.
        before = target
        for i in range(op.nsaved):
            if op.saved_kind[i] == SAVE_TENSOR and op.saved_param[i] == 0 and op.saved_mask[i] & need:
                before = detached(target)
                before.array = before.array.copy()
                before.storage = Storage.__new__(Storage)
                before.tangents = tangents_now(target)
                with_history(before, history(target, &index), target.output_index)
                break
        argv[0] = <PyObject*>before
        node = new_node(op, argv, need | 1)
        node.written = True
        if op.nsaved:
            save_inputs(node, argv, need | 1)
        argv[0] = first
        node.set_edge(0, history(target, &index), index)
    if op.elementwise:
        write_pointwise(op, argv, target)
    elif op.writes is None:
        write_result(op, target, compute_meta(op, argv) if target.meta else compute(op, argv))
    elif not target.meta:
        compute(op, argv, True)
    bump_version(target)
    if node is not None:
        if op.nsaved:
            save_results(node, target)
        node.describe(target.array)
        hang(node, target)
    return target


cdef int write_pointwise(Op op, PyObject** argv, Tensor target) except -1:
    """Computes into the target's memory where the dtype allows; nothing is written before all is checked."""
    cdef int codes[MAX_IN]
    cdef int code = result_code(argv, op.nparams, codes, op.chooses)
    cdef int have = code_of(target.array), out_code, i
    cdef ndarray result
    for i in range(1, op.nparams):
        if isinstance(<object>argv[i], Tensor) and PyArray_NDIM((<Tensor>argv[i]).array) > 0 and (
                not same_shape((<Tensor>argv[i]).array, target.array)):
            arrays = [(<Tensor>argv[j]).array for j in range(op.nparams)
                      if isinstance(<object>argv[j], Tensor)]
            _check_broadcast(arrays)
            check_shape(np.broadcast_shapes(*[a.shape for a in arrays]), (<object>target.array).shape)
    if op.promotion == PROMOTE_FLOAT and KIND[code] < KIND_FLOAT:
        code = default_float
    if op.loops is None:
        op._resolve()
    if op.loops is not None and op.loops.fn[code] != NULL and (op.direct >> code) & 1 and not target.meta:
        out_code = op.loops.out_code[code]
        check_castable(out_code, have)
        if out_code == have:
            compute_pointwise(op, argv, op.nparams, target.array)
            return 0
    elif op.promotion == PROMOTE_SAME and op.loops is not None and op.loops.out_code[<int>FLOAT32] == FLOAT32:
        check_castable(code, have)   # before it is said that there is no loop
    if target.meta:
        result = meta_pointwise(op, argv, op.nparams)
    else:
        result = compute_pointwise(op, argv, op.nparams, None)
    check_castable(code_of(result), have)
    if not target.meta:
        np.copyto(target.array, result, casting="unsafe")
    return 0


cdef bint same_shape(ndarray a, ndarray b) noexcept:
    cdef int i
    if PyArray_NDIM(a) != PyArray_NDIM(b):
        return False
    for i in range(PyArray_NDIM(a)):
        if PyArray_DIMS(a)[i] != PyArray_DIMS(b)[i]:
            return False
    return True


cdef int check_castable(int given, int wanted) except -1:
    if given != wanted and not _dtypes.can_cast(DTYPES[given], DTYPES[wanted]):
        raise RuntimeError(f"result type {DTYPES[given].type_name} can't be cast to the desired output type "
                           f"{DTYPES[wanted].type_name}")
    return 0


cdef int check_out_dtype(Op op, int given, int wanted) except -1:
    """Refuses an `out=` of another dtype, or where the op casts of one that the result is not cast to."""
    return check_castable(given, wanted) if op.casts_out else check_same_dtype(given, wanted)


cdef int check_found(int given, int wanted) except -1:
    """Refuses an `out=` of another dtype than the operand's, before anything else is looked at."""
    if given != wanted and KIND[given] != KIND_COMPLEX:
        raise RuntimeError(f"Found dtype {DTYPES[wanted].type_name} but expected {DTYPES[given].type_name}")
    return 0


cdef int check_same_dtype(int given, int wanted) except -1:
    if given != wanted:
        from pullback.core.dtype_names import C_NAMES
        raise RuntimeError(f"Expected out tensor to have dtype {C_NAMES[DTYPES[given].name]}, but got "
                           f"{C_NAMES[DTYPES[wanted].name]} instead")
    return 0


cdef int check_shape(object got, object wanted) except -1:
    if tuple(got) != tuple(wanted):
        raise RuntimeError(f"output with shape {list(wanted)} doesn't match the broadcast shape {list(got)}")
    return 0


cdef int write_result(Op op, Tensor target, object result) except -1:
    if isinstance(result, (tuple, list)):
        raise RuntimeError(f"{op.__name__} has several results and no in-place form")
    cdef ndarray a = result if isinstance(result, ndarray) else np.asarray(result)
    if a is target.array:
        return 0
    check_castable(code_of(a), code_of(target.array))
    check_shape((<object>a).shape, (<object>target.array).shape)
    if not target.meta:
        PyArray_CopyInto(target.array, a)
    return 0


cdef int hang(Node node, Tensor target, int position=0, int place=0) except -1:
    """Sets the history of a tensor that was written to: output `position` of the node, its input `place`."""
    cdef Node copy
    cdef Node base_history
    cdef Tensor base = target.base
    cdef int index = 0, i
    global sequence
    if base is None:
        give_node(target, node, position)
        return 0
    base_history = history(base, &index)
    copy = Node.__new__(Node)
    copy.kind = NODE_CUSTOM
    copy.saved = "torch::autograd::CopySlices"
    viewed = base if code_of(base.array) == code_of(target.array) else _ops.reinterpret(detached(base))
    around = None if viewed is base else (tuple(base.shape), _dense_strides(base))
    copy.custom = CopySlices(node, place, geometry(target, <Tensor>viewed), around, turn_of(target))
    sequence += 1
    copy.seq = sequence
    copy.add_edge(base_history, index)
    for i in range(node.nedges):
        if i != place:
            source = node.edge(i, &index)
            copy.add_edge(source, index)
    copy.describe(base.array)
    if anomaly:
        _anomaly.note(copy)
    give_node(base, copy, 0)
    target.attr_version = target.storage.version - 1
    refresh_view(target)
    return 0


cdef int give_node(Tensor t, Node node, int index) except -1:
    """Sets a tensor's place in the graph; whoever keeps its gradient keeps that of the new place."""
    if t.retains and t.node is not None:
        hooks_of(t.node).retained.pop(t.output_index, None)
        hooks_of(node).retained[index] = PyWeakref_NewRef(t, None)
    storage(t)   # before the node that may have lent the array is out of sight
    t.node, t.output_index = node, index
    return 0


cdef object _dense_strides(Tensor t):
    return tuple([s // (<object>t.array).itemsize for s in (<object>t.array).strides])


cpdef object laid_as(Tensor t, tuple strides):
    """A copy of a tensor that lies in memory as `strides` say."""
    nothing = (_ops.zeros(0, dtype=t.dtype), (0,), (1,), 0)
    return dispatch_tuple(<Op>_operators["as_strided_scatter"], (t, *nothing, strides), None)


class CopySlices:
    """The backward step of a write through a view: the view's part of the gradient goes through the
    in-place op's node, the rest of the base's gradient passes by."""

    def __init__(self, node, place, geometry, around, turn):
        self.node, self.place, self.geometry = node, place, geometry
        self.turn = turn       # between a conjugate view and what it shows
        self.around = around   # shape and strides of a base that the view sees in another dtype

    def __call__(self, holder, grads):
        (g,) = grads
        if g is None:
            return ()
        if self.node is None:
            raise RuntimeError(FREED)
        viewed = g if self.around is None else _ops.reinterpret(laid_as(g, self.around[1]))
        size, stride, offset, strides = self.geometry
        part = dispatch_tuple(<Op>_operators["strided_take"], (viewed, strides, size, stride, offset), None)
        if self.turn is not None:
            part = self.turn(part)
        results = run_node(self.node, [part], _all_needed(self.node))
        mine = results.pop(self.place)
        if mine is None:
            mine = _ops.zeros_like(part)
        elif self.turn is not None:
            mine = self.turn(mine)
        whole = dispatch_tuple(<Op>_operators["as_strided_scatter"], (viewed, mine) + self.geometry, None)
        if self.around is not None:
            whole = _ops.reinterpreted_back(whole, *self.around)
        return (whole, *results)

    def release(self, holder):
        self.node = None   # not `release(node)`: what it saved may also be on the way of this very pass


cdef object apply_out(Op op, PyObject** argv, object out):
    """The op with its results written into the given tensors, resized if they do not fit."""
    if type(out) is Tensor and computed_into(op, argv, <Tensor>out):
        return out
    name = op.__name__
    outs = out if isinstance(out, (tuple, list)) else (out,)
    cdef int last = op.nparams - 1
    for x in outs:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(x).__name__}")
    if not outs or (op.elementwise and outs is out and len(outs) == 1):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if pb_thread.grad and not op.nondiff and not (
            op.elementwise and op.loops is not None and op.loops.out_code[<int>FLOAT32] == BOOL):
        if needs(op, argv):
            raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic "
                               "differentiation, but one of the arguments requires grad.")
        if any(requires(<Tensor>x) for x in outs):
            raise RuntimeError(f"{name}(): functions with out=... arguments don't support automatic "
                               "differentiation, but one of the arguments requires grad.")
    if op.elementwise and not op.casts_out and op.ntensors == 1 and type(<object>argv[0]) is Tensor and (
            op.loops is not None and op.loops.out_code[<int>FLOAT32] == FLOAT32):
        check_found(code_of((<Tensor>argv[0]).array), code_of((<Tensor>outs[0]).array))
    if op.casts_out and op.params[last] == "dtype" and <object>argv[last] is None and len(outs) == 1:
        dtype = DTYPES[code_of((<Tensor>outs[0]).array)]
        argv[last] = <PyObject*>dtype
    cdef int before = pb_thread.grad, k
    for x in outs:
        check_inference(<Tensor>x)
        check_alone((<Tensor>x).array)
        for k in range(op.ntensors):
            a = <object>argv[op.tensor_params[k]]
            for item in (a if isinstance(a, (list, tuple)) else (a,)):
                if isinstance(item, Tensor):
                    check_apart((<Tensor>x).array, (<Tensor>item).array, not op.indexes)
    pb_thread.grad = 0
    try:
        results = apply(op, argv, None)
    finally:
        pb_thread.grad = before
    several = isinstance(results, tuple)
    if several != (outs is out):
        wanted = "tuple of Tensors" if several else "Tensor"
        raise TypeError(f"{name}(): argument 'out' must be {wanted}, not {type(out).__name__}")
    results = results if several else (results,)
    if len(outs) != len(results):
        raise TypeError(f"expected tuple of {len(results)} elements but got {len(outs)}")
    for x, r in zip(outs, results):
        if op.elementwise and any([<object>argv[op.tensor_params[i]] is x for i in range(op.ntensors)]):
            check_shape(r.shape, x.shape)   # a result that is also read keeps its shape
        if op.elementwise and _of_one_complex(op, argv) and KIND[code_of((<Tensor>r).array)] != KIND_COMPLEX:
            check_castable(code_of((<Tensor>r).array), code_of((<Tensor>x).array))   # as abs
        else:
            check_out_dtype(op, code_of((<Tensor>r).array), code_of((<Tensor>x).array))
    for x, r in zip(outs, results):
        write_out(<Tensor>x, <Tensor>r, True)
    return out


cdef bint _of_one_complex(Op op, PyObject** argv):
    """Whether an elementwise op is of one complex tensor."""
    return op.ntensors == 1 and isinstance(<object>argv[0], Tensor) and (
        KIND[code_of((<Tensor>argv[0]).array)] == KIND_COMPLEX)


cdef bint computed_into(Op op, PyObject** argv, Tensor out) except -1:
    """Computes straight into a tensor that is as the result will be; False if nothing was done."""
    cdef PyObject* values[MAX_PARAMS]
    cdef int codes[MAX_IN]
    cdef ndarray a = out.array
    cdef Plan plan
    cdef bint found = False
    cdef int i, code
    if out.meta or out.inference or not PyArray_CHKFLAGS(a, NPY_ARRAY_WRITEABLE) or (
            not PyArray_IS_C_CONTIGUOUS(a)) or op.view or (
            pb_thread.grad and not op.nondiff and (requires(out) or needs(op, argv))):
        return False
    for i in range(op.ntensors):
        for x in _tensors_of(<object>argv[op.tensor_params[i]]):
            if (<Tensor>x).meta or _may_meet(a, (<Tensor>x).array):
                return False
            found = found or same_shape(a, (<Tensor>x).array)
            if op.elementwise and not same_shape(a, (<Tensor>x).array) and PyArray_NDIM((<Tensor>x).array):
                return False
    if op.elementwise:
        if not found or op.loops is None:
            return False
        code = result_code(argv, op.nparams, codes, op.chooses)
        if op.promotion == PROMOTE_FLOAT and KIND[code] < KIND_FLOAT or op.loops.fn[code] == NULL or not (
                (op.direct & op.allowed) >> code) & 1 or op.loops.out_code[code] != code_of(a):
            return False
        compute_pointwise(op, argv, op.nparams, a)
    else:
        if op.prepare_rule is None or not USE_PLANS:
            return False
        made = arrays_of(op, argv, values)
        plan = find_plan(op, op.prepare_rule, values, op.nparams)
        if plan.run == NULL or not makes(plan, a):
            return False
        run_plan_into(plan, values, op.nparams, a)
    bump_version(out)
    return True


cdef object _tensors_of(object x):
    """The tensors of an argument."""
    if isinstance(x, Tensor):
        return (x,)
    return [item for item in x if isinstance(item, Tensor)] if type(x) is list or type(x) is tuple else ()


def write_out(Tensor t, Tensor result, bint casts=False):
    """Copies a result into an `out=` tensor; another shape resizes it, with a warning if it was not empty.

    RuntimeError for another dtype, unless it `casts`.
    """
    if not casts:
        check_same_dtype(code_of(result.array), code_of(t.array))
    if (<object>t.array).shape != (<object>result.array).shape:
        if PyArray_SIZE(t.array):
            tell(
                f"An output with one or more elements was resized since it had shape {list(t.shape)}, which "
                f"does not match the required output shape {list(result.shape)}. This behavior is "
                "deprecated, and in a future PyTorch release outputs will not be resized unless they have "
                "zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero "
                "elements with t.resize_(0).")
        set_memory(t, resized(t.array, (<object>result.array).shape, preserved_strides(result.array)))
    PyArray_CopyInto(t.array, result.array)
    bump_version(t)
    return t
