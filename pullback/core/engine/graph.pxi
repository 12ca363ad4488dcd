# The recorded graph: version counters, saved values, nodes and their hooks.

cdef struct Link:
    Link* prev
    Link* next

cdef Link live_nodes, live_tensors    # all nodes and plain tensors, in two rings: see NOTE [Garbage]
cdef Py_ssize_t live_count = 0
live_nodes.prev = live_nodes.next = &live_nodes
live_tensors.prev = live_tensors.next = &live_tensors


cdef inline void enter_live(Link* ring, Link* link, PyObject* owner) noexcept:
    global live_count
    link.next = ring.next
    link.prev = ring
    ring.next.prev = link
    ring.next = link
    live_count += 1
    PyObject_GC_UnTrack(owner)


cdef inline void leave_live(Link* link) noexcept:
    global live_count
    if link.next != NULL:
        link.next.prev = link.prev
        link.prev.next = link.next
        link.next = NULL
        live_count -= 1


@cython.final
@cython.freelist(64)
@cython.no_gc
cdef class Storage:
    """The version counter that a tensor shares with its views and detached twins."""

    cdef unsigned int version
    cdef unsigned int whole    # the last write that may have touched anything; later ones are in `writes`
    cdef list writes           # (version, the array written through), for writes through views
    cdef str writer            # anomaly mode: the line that wrote last


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
            recycle(self.array)


cdef enum NodeKind:
    NODE_OP, NODE_CUSTOM, NODE_ACCUMULATE

cdef enum:
    NODE_DIMS = 4

cdef unsigned long long sequence = 0


@cython.freelist(512)
@cython.trashcan(True)   # a graph of any depth is freed in constant stack: every way down it passes nodes
cdef class Node:
    """A step of the recorded graph: how to take gradients of outputs to gradients of inputs."""

    # Small on purpose: the time of a long graph is that of the memory it touches.
    cdef Op op
    cdef Node edge0, edge1, edge2      # where the gradients go
    cdef readonly unsigned long long seq
    cdef object saved, custom
    # An op's node keeps what its rules name, see Op.nsaved: up to two values in these, more in a tuple in
    # `saved` (`saved_at`). A custom node has in `custom` a function (node, grads) -> gradients of the inputs, in
    # `saved` its name, or what it saves; an accumulator the leaf's array, and a weak reference to the leaf.
    cdef Rare rare                     # what few nodes have
    cdef object __weakref__
    cdef Link link
    cdef int index0, index1, index2    # of the outputs that the edges lead to
    cdef int slot                      # in the pass under way, see Task
    cdef unsigned int need             # which tensor parameters want a gradient
    cdef int nedges, noutputs
    cdef signed char kind, code, nd    # dtype and shape of the one output
    cdef flag freed
    cdef flag written                  # the op wrote into its first input
    cdef flag lent                     # another node saved the array of the output, see NOTE [Lent arrays]
    cdef npy_intp dims[NODE_DIMS]

    def __cinit__(self):
        enter_live(&live_nodes, &self.link, <PyObject*>self)

    def __dealloc__(self):
        leave_live(&self.link)
        if self.kind == NODE_OP and not self.freed and self.op is not None:
            shelve_saved(self)

    cdef int add_edge(self, Node node, int index) except -1:
        if self.nedges == 0:
            self.edge0, self.index0 = node, index
        elif self.nedges == 1:
            self.edge1, self.index1 = node, index
        elif self.nedges == 2:
            self.edge2, self.index2 = node, index
        else:
            if rare_of(self).more is None:
                self.rare.more = []
            self.rare.more.append((node, index))
        self.nedges += 1
        return 0

    cdef Node edge(self, int i, int* index):
        if i == 0:
            index[0] = self.index0
            return self.edge0
        if i == 1:
            index[0] = self.index1
            return self.edge1
        if i == 2:
            index[0] = self.index2
            return self.edge2
        node, where = self.rare.more[i - 3]
        index[0] = where
        return node

    cdef int set_edge(self, int i, Node node, int index) except -1:
        if i == 0:
            self.edge0, self.index0 = node, index
        elif i == 1:
            self.edge1, self.index1 = node, index
        elif i == 2:
            self.edge2, self.index2 = node, index
        else:
            self.rare.more[i - 3] = (node, index)
        return 0

    cdef int describe(self, ndarray a) except -1:
        """Notes shape and dtype of the only output."""
        cdef int i
        self.noutputs = 1
        self.code = code_of(a)
        self.nd = PyArray_NDIM(a)
        if self.nd > NODE_DIMS:
            rare_of(self).outputs = [((<object>a).shape, self.code)]
            return 0
        for i in range(self.nd):
            self.dims[i] = PyArray_DIMS(a)[i]
        return 0

    cdef tuple output_meta(self, int i):
        """Shape and dtype code of an output, None if it takes no gradient."""
        if self.rare is not None and self.rare.outputs is not None:
            return self.rare.outputs[i]
        return tuple([self.dims[j] for j in range(self.nd)]), self.code

    def name(self):
        """The name PyTorch gives the node, such as "MulBackward0"."""
        if self.kind == NODE_ACCUMULATE:
            return "torch::autograd::AccumulateGrad"
        if self.kind == NODE_CUSTOM:
            return self.saved if type(self.saved) is str else type(self).__name__
        if self.written and self.op.written_name is not None:
            return self.op.written_name
        if self.op.name_rule is not None:
            return _variant_name(self)
        return self.op.grad_name

    @property
    def next_functions(self):
        """The nodes that the gradients go to, each with the output's index: None where none is wanted."""
        cdef int i, index
        found = []
        for i in range(self.nedges):
            node = seen(self.edge(i, &index))
            found.append((node, index))
        return tuple(found)

    @property
    def variable(self):
        """The leaf of an accumulator."""
        if self.kind != NODE_ACCUMULATE:
            raise AttributeError(f"'{type(seen(self)).__name__}' object has no attribute 'variable'")
        return leaf_of(self)

    @property
    def requires_grad(self):
        return True

    @property
    def metadata(self):
        """A dict for the user's notes on this node."""
        if rare_of(self).metadata is None:
            self.rare.metadata = {}
        return self.rare.metadata

    @property
    def _input_metadata(self):
        return [self.output_meta(i) for i in range(self.noutputs)]

    def _sequence_nr(self):
        return self.seq

    def _set_sequence_nr(self, nr):
        self.seq = nr

    def register_hook(self, fn):
        """Calls `fn(grad_inputs, grad_outputs)` after the node ran; what it returns replaces grad_inputs."""
        return _register(hooks_of(self).post, fn)

    def register_prehook(self, fn):
        """Calls `fn(grad_outputs)` before the node runs; what it returns replaces grad_outputs."""
        return _register(hooks_of(self).pre, fn)

    def __call__(self, *grads):
        """Runs the node alone: the gradients of its inputs, given those of its outputs."""
        results = run_node(self, list(grads), _all_needed(self))
        return results[0] if len(results) == 1 else tuple(results)

    def __getattr__(self, name):
        if name.startswith("_saved_") and self.kind == NODE_OP:
            return _saved_attribute(self, name[7:], False)
        if name.startswith("_raw_saved_") and self.kind == NODE_OP:
            return _saved_attribute(self, name[11:], True)
        raise AttributeError(f"'{type(seen(self)).__name__}' object has no attribute '{name}'")

    def __dir__(self):
        names = list(object.__dir__(self))
        if self.kind == NODE_OP:
            names += ["_saved_" + _shown_saved(self.op, n) for n in self.op.saved_names]
        return names


@cython.final
cdef class Rare:
    """What a node has if it has hooks, several outputs, many inputs, a user's notes, or a lent array that
    others may write to."""

    cdef Hooks hooks
    cdef Storage storage # of the output's memory
    cdef list more       # (node, output index) of the edges from the fourth on
    cdef list outputs    # (shape, code) of several outputs, or of many dims; None for one without a gradient
    cdef dict metadata   # the user's; anomaly mode's traceback



cdef Rare rare_of(Node node):
    if node.rare is None:
        node.rare = Rare.__new__(Rare)
    return node.rare


@cython.final
cdef class Hooks:
    """All hooks of a node; most nodes have none."""

    cdef readonly dict tensor     # output index -> OrderedDict of tensor hooks
    cdef readonly dict retained   # output index -> weak reference to the tensor that keeps its grad
    cdef readonly object pre, post, accumulated

    def __cinit__(self):
        self.tensor, self.retained = {}, {}
        self.pre, self.post, self.accumulated = OrderedDict(), OrderedDict(), OrderedDict()


cdef Hooks hooks_of(Node node):
    cdef Rare rare = rare_of(node)
    if rare.hooks is None:
        rare.hooks = Hooks.__new__(Hooks)
    return rare.hooks


cdef inline Hooks hooks_if(Node node):
    """The hooks of a node, None if it has none."""
    return None if node.rare is None else node.rare.hooks


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away."""

    _next_id = 0

    def __init__(self, hooks):
        self.hooks_dict = hooks
        self.id = RemovableHandle._next_id
        RemovableHandle._next_id += 1

    def remove(self):
        self.hooks_dict.pop(self.id, None)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def _register(hooks, fn):
    handle = RemovableHandle(hooks)
    hooks[handle.id] = fn
    return handle


cdef dict _node_classes = {}


cdef Node seen(Node node):
    """A node about to be shown to the user: from now on of a class of its own name.

    The class adds nothing to Node, so a node can change to it when it is looked at, and most never are.
    """
    if node is None or type(node) is not Node:
        return node
    name = node.name().rpartition("::")[2]
    found = _node_classes.get(name)
    if found is None:
        found = _node_classes[name] = type(name, (Node,), {"__module__": "builtins", "__slots__": ()})
    Py_INCREF(found)
    Py_SET_TYPE(<PyObject*>node, <PyTypeObject*><PyObject*>found)
    return node


cdef object _variant_name(Node node):
    op = node.op
    cdef int i
    values = {}
    for i in range(op.nsaved):
        if op.saved_kind[i] == SAVE_PARAM:
            values[op.saved_names[i]] = saved_at(node, i)
    return values[op.name_rule] if isinstance(op.name_rule, str) else op.name_rule(values)


_SAVED_NAMES = {"exponent": "other"}
"""PyTorch's names of saved values, where ours differ."""


def _shown_saved(Op op, name):
    return "exponent" if name == "other" and op.__name__ == "pow" else name


cdef object _saved_attribute(Node node, str name, bint raw):
    op = node.op
    if name.endswith("_sym_sizes"):
        name = name[:-10] + "_shape"
    if name not in op.saved_names:
        name = _SAVED_NAMES.get(name, name)
    if name not in op.saved_names:
        raise AttributeError(f"'{type(seen(node)).__name__}' object has no attribute '_saved_{name}'")
    if raw:
        return SavedTensor(node, op.saved_names.index(name))
    return unpack(node, op.saved_names.index(name))


class SavedTensor:
    """A saved tensor of a node, before unpacking: `register_hooks` packs it otherwise."""

    def __init__(self, node, place):
        self._node, self._place = node, place

    def register_hooks(self, pack_hook, unpack_hook):
        _pack_saved(self._node, self._place, pack_hook, unpack_hook)


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


cdef Saved packed(Tensor t, Node holder, pack_hook, unpack_hook):
    """A tensor handed to the user's pack hook; what that returned is kept in its place."""
    cdef Saved s = Saved.__new__(Saved)
    cdef unsigned int version = version_of(t)
    cdef int index
    s.result = holder is not None
    if not s.result:
        s.node = history(t, &index)
        s.output_index = index
    else:
        s.output_index = t.output_index
    given = detached(t) if s.result or t.node is not None else t
    s.unpack_hook = unpack_hook
    if pb_thread.tangents:
        s.tangents = tangents_of(t, True)   # hooks see the numbers alone
    cdef int before = pb_thread.saved_hooks
    pb_thread.saved_hooks = 0
    try:
        s.packed = pack_hook(given)
    finally:
        pb_thread.saved_hooks = before
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
    if t.requires and t.node is None:
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
# A single number is kept where the dims of the node's own output would be. That holds once there are many
# tensors and nodes: with few, those are in the cache, and quicker to keep than to make again.

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
            and t.node.noutputs <= 1 and not t.meta and not t.inference and not anomaly and not pb_thread.tangents
            and not pb_thread.saved_hooks)


cdef inline Node saved_source(Node holder, int place, int* index):
    """The node that made what another saved of an input; None if it is not on the way of the gradients."""
    cdef int k
    if holder.nedges == holder.op.ntensors:
        for k in range(holder.op.ntensors):
            if holder.op.tensor_params[k] == holder.op.saved_param[place]:
                return holder.edge(k, index)
    return None


cdef object _NUMBER = object()   # stands for a number that the node itself has


cdef inline object lent(Node node, int place, ndarray a):
    """What a node saves of an array: the array, or a mark if it could copy the number."""
    if PyArray_NDIM(a) == 0 and node.nd == 0 and node.noutputs == 1 and node.op.nsaved <= 2 and PyArray_ITEMSIZE(a) <= 16:
        memcpy(<char*>node.dims + 16 * place, PyArray_DATA(a), PyArray_ITEMSIZE(a))
        return _NUMBER
    return a


cdef Tensor _unpack_lent(Node holder, int place, object entry):
    cdef int index = 0
    cdef ndarray a
    cdef Node source = saved_source(holder, place, &index)
    cdef Storage s = None
    a = number_array(<char*>holder.dims + 16 * place, source.code) if entry is _NUMBER else <ndarray>entry
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
            if node.op.nsaved > 2:
                if node.saved is None:
                    return 0
                entry = PyTuple_GET_ITEM(node.saved, i)
            else:
                entry = <PyObject*>node.saved if i == 0 else <PyObject*>node.custom
            if type(<object>entry) is ndarray and Py_REFCNT(entry) == 1:
                recycle(<ndarray>entry)
    return 0


cdef inline object saved_at(Node node, int place):
    """A value that an op's node saved, as it is kept."""
    if node.op.nsaved > 2:
        return None if node.saved is None else (<tuple>node.saved)[place]
    return node.saved if place == 0 else node.custom


cdef int set_saved(Node node, int place, object entry) except -1:
    if node.op.nsaved > 2:
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
    cdef Saved s
    cdef Tensor t
    if type(entry) is Tensor:
        t = <Tensor>entry
        if t.storage is not None and t.storage.version != 0 and disturbed(t.storage, 0, t.array):
            _changed(holder, t.array, t.storage, 0, t.node, t.output_index)
        return t
    if type(entry) is Saved:
        return _unpack_saved(holder, <Saved>entry)
    if isinstance(entry, Tensor):
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


cdef str short_name(Node node):
    """A node's name as messages have it: "Exp" for ExpBackward0."""
    name, found, digits = node.name().rpartition("Backward")
    return name if found and (not digits or digits.isdigit()) else node.name()


cdef str type_string(int code):
    return f"torch.{DTYPES[code].type_name}Tensor"
