# What pullback.autograd and the transforms build on: nodes of custom functions, saved tensors of theirs,
# history of written tensors, tangents.
#
# `autograd.Function` makes a node of a subclass and calls `connect` (its inputs), `save_tensors`, and
# `set_outputs`; `custom_node` is all of it for a plain Python callable. The rest are small doors to fields
# that only compiled code sees: `mark_view`, `detach_inplace`, `move_to`, `tangents_of` and their kin.
#
# From other parts: Node, output_of, rare_of, sequence, NODE_CUSTOM (nodes.pxi); keep, keep_result,
# Saved, SavedTensor, unpack_entry, FREED (saved.pxi); detached, Tensor (tensor.pxi); history (dispatch.pxi);
# bump_version, check_alone, check_writable, geometry, give_node, hang, set_memory, storage, VIEW,
# VIEW_CUSTOM, VIEW_MULTI (inplace.pxi); unsure (tapes.pxi); anomaly, _anomaly (_engine.pyx).

def custom_node(custom, label, edges, outputs):
    """A node around a Python callable `custom(node, grads) -> gradients of the inputs`.

    `edges` are tensors or None, `outputs` the tensors it computed, which are given the node as history:
    a tensor that is written to in place is passed again.
    """
    cdef Node node = Node.__new__(Node)
    connect(node, custom, label, edges)
    if outputs is not None:
        set_outputs(node, outputs)
    return node


def connect(Node node, custom, label, edges):
    """Makes a fresh node, one of a subclass perhaps, a custom one; without a label its class names it."""
    unsure("a custom Function")
    global sequence
    cdef Node source
    cdef int index
    node.kind = NODE_CUSTOM
    node.custom, node.saved = custom, label
    for x in edges:
        index = 0
        source = history(<Tensor>x, &index) if isinstance(x, Tensor) else None
        node.add_edge(source, index)
    sequence += 1
    node.seq = sequence
    if anomaly:
        _anomaly.note(node)


def set_outputs(Node node, outputs, written=None, int place=0):
    """Hangs a node on its outputs; None stands for one without a gradient.

    `written` is the view among them that was written to in place, the node's input `place`.
    """
    cdef int i
    node.noutputs = len(outputs)
    if node.noutputs == 1 and outputs[0] is not None:
        node.describe((<Tensor>outputs[0]).array)
    else:
        rare_of(node).outputs = [None if x is None else output_of(<Tensor>x) for x in outputs]
    for i, x in enumerate(outputs):
        if x is not None and x is written:
            hang(node, <Tensor>x, i, place)
        elif x is not None:
            give_node(<Tensor>x, node, i)


def alias(Tensor t, bint tangents=False):
    """A tensor on the same memory and version counter, without history; with the same tangents, if asked."""
    cdef Tensor other = detached(t)
    other.array = (<object>t.array).view()
    if tangents:
        other.tangents = tangents_now(t)
    return other


def mark_view(Tensor t, Tensor source, str how):
    """Makes `t` a view of `source` for versions and in-place ops; `how` is "view", "multi" or "custom"."""
    unsure("the base of a view")
    t.base = source.base if source.base is not None else source
    t.storage = storage(source)
    t.attr_version = t.storage.version
    t.creation = {"view": VIEW, "multi": VIEW_MULTI, "custom": VIEW_CUSTOM}[how]


def go_deeper(int by):
    """Enters (1) or leaves (-1) a function whose gradients `func` takes."""
    pb_thread.depth += by


def check_inplace(Tensor t):
    """Raises what an in-place op on this tensor would raise."""
    check_writable(t, False)


def check_elements(Tensor t):
    """Refuses to write different numbers into elements that share memory."""
    check_alone(t.array)


def detach_inplace(Tensor t):
    """`t.detach_()`: the tensor forgets its history."""
    unsure("history")
    if t.base is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel "
            "(DDP) for training, and gradient_as_bucket_view is set as True, gradients are views of DDP "
            "buckets, and hence detach_() cannot be called on these gradients. To fix this error, please "
            "refer to the Optimizer.zero_grad() function in torch/optim/optimizer.py as the solution.")
    storage(t)
    t.node, t.output_index, t.requires, t.retains = None, 0, False, False
    return t


def set_array(Tensor t, a):
    """Gives a tensor that stands for others another payload, in place of its own."""
    t.array = a


def move_to(Tensor t, a):
    """Gives a tensor other memory (`resize_`, `set_`): a write of all of it, and a leaf is a new one."""
    t.accumulator = t.as_leaf = None
    set_memory(t, a)
    bump_version(t)
    t.storage.whole, t.storage.writes = t.storage.version, None


def swap(Tensor a, Tensor b):
    """Gives two tensors each other's class, attributes, memory and place in the graph.

    RuntimeError if a graph or a view knows one of them, since it would take the other for it. A leaf in a
    graph is known by its accumulator alone, which raises from then on.
    """
    cdef PyTypeObject* kind = Py_TYPE(a)
    cdef PyTypeObject* other = Py_TYPE(b)
    if kind.tp_basicsize != other.tp_basicsize or kind.tp_dictoffset != other.tp_dictoffset:
        raise TypeError(f"__class__ assignment: '{type(b).__name__}' object layout differs from "
                        f"'{type(a).__name__}'")
    for name, t in (("t1", a), ("t2", b)):
        count = 1 + _uses(t)
        if count > 1:
            raise RuntimeError(
                f"Expected use_count of {name} to be 1 or 2 with an AccumulateGrad node but got {count} make "
                "sure you are not holding references to the tensor in other places.")
    _leave_graph(a)
    _leave_graph(b)
    Py_SET_TYPE(<PyObject*>a, other)
    Py_SET_TYPE(<PyObject*>b, kind)
    a.attributes, b.attributes = b.attributes, a.attributes
    a.array, b.array = b.array, a.array
    a.node, b.node = b.node, a.node
    a.accumulator, b.accumulator = b.accumulator, a.accumulator
    a.storage, b.storage = b.storage, a.storage
    a.base, b.base = b.base, a.base
    a._grad, b._grad = b._grad, a._grad
    a.tangents, b.tangents = b.tangents, a.tangents
    a.attr_version, b.attr_version = b.attr_version, a.attr_version
    a.output_index, b.output_index = b.output_index, a.output_index
    a.creation, b.creation = b.creation, a.creation
    a.requires, b.requires = b.requires, a.requires
    a.retains, b.retains = b.retains, a.retains
    a.meta, b.meta = b.meta, a.meta
    a.inference, b.inference = b.inference, a.inference
    _settle(a)
    _settle(b)


cdef int _settle(Tensor t) except -1:
    """Lets the accumulator that a tensor has got know it."""
    if t.accumulator is not None:
        t.accumulator.custom = PyWeakref_NewRef(t, None)
    return 0


cdef int _leave_graph(Tensor t) except -1:
    """Takes a leaf out of the graphs that it is in."""
    t.as_leaf = None
    if t.accumulator is not None and Py_REFCNT(<PyObject*>t.accumulator) > 1:
        t.accumulator.register_prehook(_refuse_swapped)
        t.accumulator = None
    return 0


def _refuse_swapped(grads):
    raise RuntimeError(
        "Trying to execute AccumulateGrad node that was poisoned by swap_tensors this can happen when you "
        "try "
        "to run backward on a tensor that was swapped. For a module m with "
        "`torch.__future__.set_swap_module_params_on_conversion(True)` you should not change the device or "
        "dtype of the module (e.g. `m.cpu()` or `m.half()`) between running forward and "
        "backward. To resolve this, "
        "please only change the device/dtype before running forward (or after both forward and backward).")


def own_weakrefs(Tensor t):
    """The weak references to a tensor that are the engine's own: an accumulator's, to its leaf."""
    return 0 if t.accumulator is None else 1


cdef Py_ssize_t _saved_in(values, Tensor t) except -1:
    """How often a tensor is in what a node refers to."""
    cdef Py_ssize_t count = 0
    for x in values:
        if x is t or type(x) is Saved and (<Saved>x).tensor is t:
            count += 1
        elif type(x) in (tuple, list):
            count += _saved_in(x, t)
    return count


cdef Py_ssize_t _uses(Tensor t) except -1:
    """How many nodes have saved a tensor, and how many tensors are views of it."""
    cdef Py_ssize_t count = 0
    cdef Link* link = live_tensors.next
    while link != &live_tensors:
        count += (<Tensor><PyObject*>(<char*>link - link_of_tensor)).base is t
        link = link.next
    link = live_nodes.next
    while link != &live_nodes:
        count += _saved_in(gc.get_referents(<object><PyObject*>(<char*>link - link_of_node)), t)
        link = link.next
    return count


def save_tensors(Node node, tensors):
    """Keeps tensors (or None) with a custom node until it is released; `saved_tensors` gives them back."""
    cdef list entries = []
    for t in tensors:
        if t is not None and (<Tensor>t).node is node:
            entries.append(keep_result(<Tensor>t, node))
        else:
            entries.append(None if t is None else keep(t))
    node.saved = tuple(entries)


def saved_tensors(Node node):
    """What `save_tensors` kept; RuntimeError if it was freed, or written to since."""
    if node.freed:
        raise RuntimeError(FREED)
    return tuple([unpack_entry(node, entry, False) for entry in node.saved or ()])


def raw_saved_tensors(Node node):
    """Handles of what `save_tensors` kept, which take hooks of their own."""
    if node.freed:
        raise RuntimeError(FREED)
    return tuple([SavedTensor(node, place) for place in range(len(node.saved or ()))])


def free_saved(Node node):
    """Lets go of what `save_tensors` kept."""
    if node.saved:
        node.saved, node.freed = None, True


def tangents_of(Tensor t, bint make=False):
    """The tangents of a tensor, a dict by level which what is saved of it shares; None if it has none."""
    if make and t.tangents is None:
        t.tangents = {}
    return t.tangents


def carries(Tensor t, level):
    """Whether a tensor has a tangent of a level, or the tensor it is a view of has one."""
    if t.tangents is not None and level in t.tangents:
        return t.tangents[level] is not None
    return t.base is not None and t.base.tangents is not None and t.base.tangents.get(level) is not None


def is_view(Tensor t):
    """Whether a result of an op is a view: that follows from the op."""
    return t.base is not None


def seen_owner(Tensor t, level):
    """The tensor that `t` is a view of, if that has a tangent of a level; else None."""
    if t.base is None or t.base.tangents is None or t.base.tangents.get(level) is None:
        return None
    return t.base   # tapes are for tensors alone of which this is not so: no door


def tangents_now(Tensor t):
    """The tangents of a tensor by level, as they are now; None if it has none."""
    cdef dict found = {}
    if t.tangents is None and (t.base is None or t.base.tangents is None):
        return None
    for level in {**((t.base.tangents or {}) if t.base is not None else {}), **(t.tangents or {})}:
        if carries(t, level):
            found[level] = level.held(t)
    return found


def window(Tensor t, Tensor owner):
    """Size, strides and offset of a tensor in the memory of another, and the other's strides, in elements."""
    return geometry(t, owner)


def view_geometry(Tensor t):
    """Size, strides and storage offset of a view relative to its base, in elements."""
    return geometry(t, t.base)
