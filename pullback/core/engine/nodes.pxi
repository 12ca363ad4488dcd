# The recorded graph: nodes, their edges and their hooks, and the rings in which all live objects stand.
#
# A `Node` is one recorded op, made by `new_node` and `record` in dispatch.pxi and run by backward.pxi. It
# knows its op, its edges (the node and the output that the gradient of each input goes to), and what the
# rules of its op need (saved.pxi). What few nodes have stands apart, in `Rare` and `Hooks`.
#
# Read `Node`'s fields first, then `add_edge` and `describe`. The rest is what users see of a node
# (`next_functions`, `metadata`, hooks): `seen` gives it a class of its own name on that occasion.
#
# From other parts: Op, SAVE_PARAM (op.pxi); Storage, leaf_of, saved_at, _saved_attribute, shelve_saved
# (saved.pxi); Tensor (tensor.pxi); _all_needed, run_node (rules.pxi).

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


cdef enum NodeKind:
    NODE_OP, NODE_CUSTOM, NODE_ACCUMULATE, NODE_FLAT

cdef enum:
    NODE_DIMS = 4       # a shape of more dims stands in `Rare.outputs`
    FIELDS = 2          # saved values that stand in the node itself

cdef union Room:                  # 32 bytes of a node, by the dims of its one output
    npy_intp dims[NODE_DIMS]      # its shape
    Number numbers[FIELDS]        # where it has no dims: numbers that the node saved, see NOTE [Lent arrays]

cdef unsigned long long sequence = 0   # the number of the last node made


@cython.freelist(512)
@cython.trashcan(True)   # a graph of any depth is freed in constant stack: every way down it passes nodes
@cython.binding(False)
@cython.embedsignature(True)
@cython.embedsignature.format("clinic")
cdef class Node:
    """A step of the recorded graph: how to take gradients of outputs to gradients of inputs."""

    # Small on purpose: the time of a long graph is that of the memory it touches.
    cdef Op op
    cdef Node edge0, edge1, edge2      # where the gradients go
    cdef readonly unsigned long long seq
    cdef object saved, custom
    # An op's node keeps what its rules name, see Op.nsaved: up to FIELDS values in these, more in a tuple in
    # `saved` (`saved_at`). A custom node has in `custom` a function (node, grads) -> gradients of the inputs,
    # in `saved` its name, or what it saves. An accumulator has in `saved` the leaf's array, in `custom` a
    # weak reference to the leaf. A node of a flat slope has its name in `saved`.
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
    cdef unsigned short by_number      # which tensor parameters were given as numbers
    cdef Room room                     # its shape, or saved numbers

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
            self.room.dims[i] = PyArray_DIMS(a)[i]
        return 0

    cdef tuple output_meta(self, int i):
        """Shape and dtype code of an output, None if it takes no gradient."""
        if self.rare is not None and self.rare.outputs is not None:
            return self.rare.outputs[i]
        return tuple([self.room.dims[j] for j in range(self.nd)]), self.code

    def name(self):
        """The name PyTorch gives the node, such as "MulBackward0"."""
        if self.kind == NODE_ACCUMULATE:
            return "torch::autograd::AccumulateGrad"
        if self.kind == NODE_CUSTOM or self.kind == NODE_FLAT:
            return self.saved if type(self.saved) is str else type(self).__name__
        if self.written and self.op.written_name is not None:
            return self.op.written_name
        if self.op.name_rule is not None:
            return _variant_name(self)
        return self.op.grad_name

    @property
    def next_functions(self):
        """The nodes that the gradients go to, each with the output's index: None where none is wanted."""
        cdef int i, index = 0
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

    @property
    def _op(self):
        return self.op

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
        if len(grads) != self.noutputs and self.kind != NODE_CUSTOM:
            raise TypeError(f"expected {self.noutputs} arguments, got {len(grads)} instead")
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
            names += ["_saved_" + self.op.shown_as.get(n, n) for n in self.op.saved_names]
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


cdef tuple output_of(Tensor t):
    """Shape and dtype code of a tensor, as `Rare.outputs` has them."""
    return (<object>t.array).shape, code_of(t.array)


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
    values = parameters_of(node)
    rule = node.op.name_rule
    return values[rule] if isinstance(rule, str) else rule(values)


cdef dict parameters_of(Node node):
    """What the name of a node may depend on, see `Op.variant`."""
    op = node.op
    cdef int i
    cdef dict values = {"written": node.written,
              "numbers": [op.params[op.tensor_params[i]] for i in range(op.ntensors)
                          if (node.by_number >> i) & 1]}
    for i in range(op.nsaved):
        if op.saved_kind[i] == SAVE_PARAM:
            values[op.saved_names[i]] = saved_at(node, i)
    return values


cdef str short_name(Node node):
    """A node's name as messages have it: "Exp" for ExpBackward0."""
    name, found, digits = node.name().rpartition("Backward")
    return name if found and (not digits or digits.isdigit()) else node.name()


cdef str type_string(int code):
    return f"torch.{DTYPES[code].type_name}Tensor"
