# What nodes save for their rules, and the version counters that notice when it was overwritten.
#
# In: `save_inputs` and `save_results` (dispatch.pxi) ask `keep` and `keep_result` for what a node is to hold
# of a tensor: most often the tensor itself, a `Saved` where that would make a cycle or miss a write, in large
# graphs its array alone (NOTE [Lent arrays]). `set_saved` and `saved_at` know where it stands. Out: `unpack`
# gives a rule its value, or raises `_changed`; `release` (rules.pxi) frees all.
#
# Read `keep` first, then `unpack` and `_unpack_saved`. At the end stands what users see: saved-tensor hooks,
# and the `_saved_*` attributes of nodes.
#
# From other parts: SAVE_TENSOR (op.pxi); Node, live_count, FIELDS, NODE_ACCUMULATE, NODE_OP (nodes.pxi);
# Tensor, detached, wrap (tensor.pxi); accumulator, history, requires (dispatch.pxi); storage, version_of
# (inplace.pxi); tangents_of (custom.pxi); anomaly, _anomaly, pb_thread (_engine.pyx); let_go (events.pxi).

@cython.final
@cython.freelist(64)
@cython.no_gc
cdef class Storage:
    """The version counter that a tensor shares with its views and detached twins."""

    cdef unsigned int version
    cdef unsigned int whole    # the last write that may have touched anything; later ones are in `writes`
    cdef list writes           # (version, the array written through), for writes through views
    cdef str writer            # anomaly mode: the line that wrote last
    cdef list mirrors          # those of conjugate views, None if there are none
    cdef bint moved            # one of its tensors was given other memory: views may lie elsewhere than bases


cdef bint disturbed(Storage s, unsigned int since, ndarray a) except -1:
    """Whether a write after version `since` touched memory of `a`. Writes through views elsewhere did not."""
    if s.version == since:
        return False
    if since < s.whole:
        return True
    for version, written in reversed(s.writes):
        if version <= since:
            break
        try:
            if np.shares_memory(written, a, max_work=10000):
                return True
        except np.exceptions.TooHardError:
            return True
    return False


@cython.final
@cython.freelist(256)
cdef class Saved:
    """A saved tensor that needs more than a reference: a leaf, a result, a changed or a packed one.

    See NOTE [Leaves and cycles]: it never refers to the node that holds it, nor strongly to a leaf.
    """

    cdef ndarray array
    cdef Storage storage
    cdef unsigned int version
    cdef Node node          # the history of an input; a result's is the holder, given at unpacking
    cdef int output_index
    cdef bint result, meta
    cdef object packed, unpack_hook
    cdef Tensor tensor      # kept whole: a changed non-leaf, or one of a subclass
    cdef object tangents    # forward mode: those of a result

    def __dealloc__(self):
        if self.array is not None and Py_REFCNT(<PyObject*>self.array) == 1:
            let_go(self.array)


cdef Saved packed(Tensor t, Node holder, pack_hook, unpack_hook):
    """A tensor handed to the user's pack hook; what that returned is kept in its place."""
    cdef Saved s = Saved.__new__(Saved)
    cdef unsigned int version = version_of(t)
    cdef int index = 0
    s.result = holder is not None
    if not s.result:
        s.node = history(t, &index)
        s.output_index = index
    else:
        s.output_index = t.output_index
    # A result refers to its node, which holds what is packed; hooks see the numbers alone, no tangents.
    given = detached(t) if s.result or (pb_thread.tangents and t.node is not None) else t
    s.unpack_hook = unpack_hook
    if pb_thread.tangents:
        s.tangents = tangents_of(t, True)
    cdef int before = pb_thread.saved_hooks, grad = pb_thread.grad
    pb_thread.saved_hooks = pb_thread.grad = 0
    try:
        s.packed = pack_hook(given)
    finally:
        pb_thread.saved_hooks, pb_thread.grad = before, grad
    if version_of(t) != version:
        raise RuntimeError("A saved tensor pack hook is modifying its input in place. Tensors provided as "
                           "input to pack hook can not be modified by in-place operations as this can lead "
                           "to unexpected side-effects. Please open an issue if you need to perform "
                           "in-place operations on the input to a pack hook.")
    return s


cdef object keep(object x):
    """An input as a node saves it."""
    cdef Tensor t
    cdef Saved s
    cdef Node node
    if not isinstance(x, Tensor):
        return [keep(item) for item in x] if type(x) in (list, tuple) else x
    t = <Tensor>x
    if t.inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference "
            "mode in computation tracked by autograd. To work around this, you can make a clone to get a "
            "normal tensor and use it in autograd, or use `torch.no_grad()` instead of "
            "`torch.inference_mode()`.")
    if pb_thread.saved_hooks:
        pack, unpack_hook = _saved_hooks.stack[-1]
        return packed(t, None, pack, unpack_hook)
    if t.requires and t.node is None and is_own_leaf(t):
        node = accumulator(t)
        s = t.as_leaf
        if s is not None and s.array is t.array and s.version == s.storage.version and s.storage is t.storage:
            return s
        s = Saved.__new__(Saved)
        s.node = node
        node.saved = t.array
        s.array = t.array
        t.as_leaf = s   # the same for every use of the leaf, until it is written to
    elif t.storage is None or t.storage.version == 0:
        return t
    else:
        s = Saved.__new__(Saved)
        s.tensor = t
        s.array = t.array
    s.storage = storage(t)
    s.version = s.storage.version
    s.meta = t.meta
    PyObject_GC_UnTrack(<PyObject*>s)
    return s


cdef bint is_own_leaf(Tensor t):
    """Whether a leaf is that of its accumulator, not what a hook unpacked in its place."""
    return t.accumulator is None or PyWeakref_GetObject(t.accumulator.custom) == <PyObject*>t


cdef Saved keep_result(Tensor t, Node holder):
    """An output as its own node saves it: payload and version, no reference to the tensor."""
    if pb_thread.saved_hooks:
        pack, unpack_hook = _saved_hooks.stack[-1]
        return packed(t, holder, pack, unpack_hook)
    cdef Saved s = Saved.__new__(Saved)
    s.array = t.array
    s.storage = storage(t)
    s.version = s.storage.version
    s.result = True
    s.output_index = t.output_index
    s.meta = t.meta
    if pb_thread.tangents:
        s.tangents = tangents_of(t, True)
    PyObject_GC_UnTrack(<PyObject*>s)
    return s


cdef object unpack(Node holder, int place):
    """A saved value as the rule sees it; an error if it was freed or has changed since."""
    if holder.freed:
        raise RuntimeError(FREED)
    cdef object entry = saved_at(holder, place)
    if holder.op.saved_kind[place] == SAVE_TENSOR and (type(entry) is ndarray or entry is _NUMBER):
        return _unpack_lent(holder, place, entry)
    return unpack_entry(holder, entry, holder.op.saved_kind[place] == SAVE_TENSOR)


# NOTE [Lent arrays]: of an intermediate result a node saves the array alone, so that the tensor, half of an
# op's memory, can go when the program is done with it. The version counter, should there ever be one, is
# found by way of the node that made the result: `storage` leaves it there before that node lets go of it.
# A single number is kept where the dims of the node's own output would be, in `Room`. That holds once there
# are many tensors and nodes: with few, those are in the cache, and quicker to keep than to make again.

cdef Py_ssize_t lending_from = 4096


def lend_from(Py_ssize_t count):
    """Sets from how many live tensors and nodes on arrays are lent; returns the number before."""
    global lending_from
    before, lending_from = lending_from, count
    return before


cdef inline bint lends(Tensor t) noexcept:
    """Whether what is saved of a tensor can be its array."""
    return (live_count > lending_from and t.node is not None and t.storage is None and t.base is None
            and t.node.kind == NODE_OP
            and t.node.noutputs <= 1 and not t.meta and not t.inference and not anomaly
            and not pb_thread.tangents and not pb_thread.saved_hooks)


cdef inline Node saved_source(Node holder, int place, int* index):
    """The node that made what another saved of an input; None if it is not on the way of the gradients."""
    cdef int k
    if holder.nedges == holder.op.ntensors:
        for k in range(holder.op.ntensors):
            if holder.op.tensor_params[k] == holder.op.saved_param[place]:
                return holder.edge(k, index)
    return None


cdef object _NUMBER = object()   # stands for a number that the node itself has


cdef inline object lend_array(Node node, int place, ndarray a):
    """What a node saves of an array: the array, or a mark if it could copy the number."""
    if PyArray_NDIM(a) == 0 and node.nd == 0 and node.noutputs == 1 and node.op.nsaved <= FIELDS and (
            PyArray_ITEMSIZE(a) <= <npy_intp>sizeof(Number)):
        memcpy(&node.room.numbers[place], PyArray_DATA(a), PyArray_ITEMSIZE(a))
        return _NUMBER
    return a


cdef Tensor _unpack_lent(Node holder, int place, object entry):
    cdef int index = 0
    cdef ndarray a
    cdef Node source = saved_source(holder, place, &index)
    cdef Storage s = None
    a = number_array(&holder.room.numbers[place], source.code) if entry is _NUMBER else <ndarray>entry
    if source.rare is not None:
        s = source.rare.storage
        if s is not None and s.version != 0 and (entry is _NUMBER or disturbed(s, 0, a)):
            _changed(holder, a, s, 0, source, index)
    cdef Tensor t = wrap(a)
    t.storage, t.inference = s, False
    return with_history(t, source, index)


cdef int shelve_saved(Node node) except -1:
    """Gives back arrays that only this node still refers to."""
    cdef PyObject* entry
    cdef int i
    for i in range(node.op.nsaved):
        if node.op.saved_kind[i] == SAVE_TENSOR:
            if node.op.nsaved > FIELDS:
                if node.saved is None:
                    return 0
                entry = PyTuple_GET_ITEM(node.saved, i)
            else:
                entry = <PyObject*>node.saved if i == 0 else <PyObject*>node.custom
            if type(<object>entry) is ndarray and Py_REFCNT(entry) == 1:
                let_go(<ndarray>entry)
    return 0


cdef inline object saved_at(Node node, int place):
    """A value that an op's node saved, as it is kept."""
    if node.op.nsaved > FIELDS:
        return None if node.saved is None else (<tuple>node.saved)[place]
    return node.saved if place == 0 else node.custom


cdef int set_saved(Node node, int place, object entry) except -1:
    if node.op.nsaved > FIELDS:
        Py_DECREF((<tuple>node.saved)[place])
        Py_INCREF(entry)
        PyTuple_SET_ITEM(<tuple>node.saved, place, entry)
    elif place == 0:
        node.saved = entry
    else:
        node.custom = entry
    return 0


FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or "
    "if you need to access saved tensors after calling backward."
)


cdef object unpack_entry(Node holder, object entry, bint nested):
    """A saved tensor, or with `nested` a list of them, as it was; anything else as it is."""
    cdef Tensor t
    if type(entry) is Saved:
        return _unpack_saved(holder, <Saved>entry)
    if type(entry) is Tensor or isinstance(entry, Tensor):
        t = <Tensor>entry
        if t.storage is not None and t.storage.version != 0 and disturbed(t.storage, 0, t.array):
            _changed(holder, t.array, t.storage, 0, t.node, t.output_index)
        return t
    if nested and type(entry) is list:
        return [unpack_entry(holder, item, False) for item in entry]
    return entry


cdef Tensor _unpack_saved(Node holder, Saved s):
    cdef Tensor t
    if s.unpack_hook is not None:
        got = s.unpack_hook(s.packed)
        if not isinstance(got, Tensor):
            raise TypeError("Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                            f"type {type(got).__name__}")
        if s.node is None and not s.result and s.tangents is None and not requires(<Tensor>got):
            return <Tensor>got   # the very object
        t = detached(<Tensor>got)
        t.tangents = s.tangents
        return with_history(t, holder if s.result else s.node, s.output_index)
    if s.storage.version != s.version and disturbed(s.storage, s.version, s.array):
        node = holder if s.result else (s.tensor.node if s.tensor is not None else None)
        _changed(holder, s.array, s.storage, s.version, node, s.output_index)
    if s.tensor is not None:
        return s.tensor
    if not s.result:
        return leaf_of(s.node)
    t = wrap(s.array)
    t.storage = s.storage
    t.meta = s.meta
    t.tangents = s.tangents
    return with_history(t, holder, s.output_index)


cdef Tensor with_history(Tensor t, Node node, int index):
    """Gives a fresh tensor its place in the graph."""
    if node is None:
        return t
    t.requires = True
    if node.kind == NODE_ACCUMULATE:
        t.accumulator = node
    else:
        t.node = node
        t.output_index = index
    return t


cdef Tensor leaf_of(Node accumulator):
    """The leaf of an accumulator; made anew if the user let go of it."""
    cdef PyObject* found = PyWeakref_GetObject(accumulator.custom)
    cdef Tensor t
    if found != NULL and <object>found is not None:
        return <Tensor>found
    t = wrap(accumulator.saved)
    t.requires = True
    t.accumulator = accumulator
    accumulator.custom = PyWeakref_NewRef(t, None)
    return t


cdef _changed(Node holder, ndarray a, Storage s, unsigned int expected, Node node, int index):
    """Raises the error of a saved value that was overwritten; in anomaly mode it names both lines."""
    which = hint = ""
    if node is not None and node.kind != NODE_ACCUMULATE:
        which = f", which is output {index} of {short_name(node)},"
    if anomaly:
        hint = _anomaly.both_lines(holder, s.writer) + (
            "Hint: the backtrace further above shows the operation that failed to compute its gradient. "
            "The variable in question was changed in there or anywhere later. Good luck!")
    else:
        hint = ("Hint: enable anomaly detection to find the operation that failed to compute its gradient, "
                "with torch.autograd.set_detect_anomaly(True, check_nan=False).")
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{type_string(code_of(a))} {list((<object>a).shape)}]{which} is at version {s.version}; "
        f"expected version {expected} instead. {hint}"
    )


# ----------------------------------------------------------------------------------- the users' side

cdef object _saved_attribute(Node node, str name, bint raw):
    op = node.op
    if name.endswith("_sym_sizes"):
        name = name[:-10] + "_shape"
    for own, shown in op.shown_as.items():
        name = own if name == shown else name
    if name not in op.saved_names:
        raise AttributeError(f"'{type(seen(node)).__name__}' object has no attribute '_saved_{name}'")
    if raw:
        return SavedTensor(node, op.saved_names.index(name))
    return unpack(node, op.saved_names.index(name))


class SavedTensor:
    """A saved tensor of a node, before unpacking: `register_hooks` packs it otherwise."""

    def __init__(self, node, place):
        self._node, self._place = node, place

    @property
    def packed(self):
        """Whether hooks have packed it: what is kept is theirs, and to read it may cost."""
        return _is_packed(self._node, self._place)

    def register_hooks(self, pack_hook, unpack_hook):
        _pack_saved(self._node, self._place, pack_hook, unpack_hook)


def _is_packed(Node node, int place):
    entry = saved_at(node, place)
    return type(entry) is Saved and (<Saved>entry).unpack_hook is not None


def _pack_saved(Node node, int place, pack_hook, unpack_hook):
    entry = saved_at(node, place)
    result = type(entry) is Saved and (<Saved>entry).result
    tensor = unpack(node, place)
    set_saved(node, place, packed(tensor, node if result else None, pack_hook, unpack_hook))


_saved_hooks = threading.local()


def push_saved_hooks(pack, unpack):
    """Enters a pair of saved-tensor hooks on this thread; `pop_saved_hooks` leaves it."""
    if not hasattr(_saved_hooks, "stack"):
        _saved_hooks.stack, _saved_hooks.disabled = [], None
    if getattr(_saved_hooks, "disabled", None) is not None:
        raise RuntimeError(_saved_hooks.disabled)
    _saved_hooks.stack.append((pack, unpack))
    pb_thread.saved_hooks = 1


def pop_saved_hooks():
    _saved_hooks.stack.pop()
    pb_thread.saved_hooks = 1 if _saved_hooks.stack else 0


def disable_saved_hooks(message):
    """While a message is set, entering saved-tensor hooks raises it; returns the one before."""
    if not hasattr(_saved_hooks, "stack"):
        _saved_hooks.stack, _saved_hooks.disabled = [], None
    before = _saved_hooks.disabled
    if message is not None and _saved_hooks.stack:
        raise RuntimeError(message)
    _saved_hooks.disabled = message
    return before
