# The backward pass.

cdef struct Slot:
    PyObject* node      # borrowed: `Task.keep` or a parent's edge holds it
    PyObject* buffer    # owned: the summed gradient, or a list of them for several outputs; NULL for none
    int waiting         # how many nodes that feed this one have not run yet
    flag needed     # run it, or only pass it by on the way to nothing
    flag captured


cdef Py_ssize_t passes = 0
cdef bint alone_taken = False   # a pass finds its slots by way of the nodes: the others may not


@cython.final
cdef class Task:
    """One backward pass. Its state stands here and not in the nodes, so that passes may nest and run
    side by side.

    Where a node's slot is, the node itself knows: `slots[node.slot].node` is the node, or it has no slot yet.
    That is right for one pass at a time. A pass that starts while another runs has a hash table instead.
    """

    cdef Slot* slots
    cdef int count, capacity
    cdef bint alone          # slots are found by way of the nodes
    cdef int* table
    cdef Py_ssize_t mask
    cdef int* heap
    cdef int heap_size, heap_capacity
    cdef dict captures        # slot -> list of (output index, place in `captured`)
    cdef list captured
    cdef bint keep_graph, create_graph, all_needed
    cdef readonly Py_ssize_t number   # of the pass, counted from the start of the process

    def __cinit__(self):
        global passes, alone_taken
        self.capacity = self.heap_capacity = 64
        self.slots = <Slot*>PyMem_Malloc(self.capacity * sizeof(Slot))
        self.heap = <int*>PyMem_Malloc(self.heap_capacity * sizeof(int))
        if self.slots == NULL or self.heap == NULL:
            raise MemoryError()
        if alone_taken:
            self.rebuild_table()
        else:
            self.alone = alone_taken = True
        self.all_needed = True
        passes += 1
        self.number = passes

    def __dealloc__(self):
        global alone_taken
        cdef int i
        if self.slots != NULL:
            for i in range(self.count):
                Py_XDECREF(self.slots[i].buffer)
                self.slots[i].buffer = NULL
        if self.alone:
            alone_taken = False
        PyMem_Free(self.slots)
        PyMem_Free(self.table)
        PyMem_Free(self.heap)

    cdef inline int find(self, Node node, bint* is_new) except -1:
        """The slot of a node, made if need be."""
        cdef int slot = self.seek(node)
        is_new[0] = slot < 0
        return self.add(node) if slot < 0 else slot

    cdef inline int seek(self, Node node) noexcept:
        """The slot of a node, -1 if the pass does not come to it."""
        if self.alone:
            return node.slot if node.slot < self.count and self.slots[node.slot].node == <PyObject*>node else -1
        return self.table[self.place_of(<PyObject*>node)]

    cdef int add(self, Node node) except -1:
        cdef Slot* slots
        cdef int slot = self.count
        if slot == self.capacity:
            slots = <Slot*>PyMem_Realloc(self.slots, 2 * self.capacity * sizeof(Slot))
            if slots == NULL:
                raise MemoryError()
            self.slots = slots
            self.capacity *= 2
            if not self.alone:
                self.rebuild_table()
        self.count += 1
        self.slots[slot].node = <PyObject*>node
        self.slots[slot].buffer = NULL
        self.slots[slot].waiting = 0
        self.slots[slot].needed = True
        self.slots[slot].captured = False
        if self.alone:
            node.slot = slot
        else:
            self.table[self.place_of(<PyObject*>node)] = slot
        return slot

    cdef Py_ssize_t place_of(self, PyObject* node) noexcept:
        """Where a node's slot stands in the hash table, or is to stand."""
        cdef Py_ssize_t place = ((<size_t>node >> 4) ^ (<size_t>node >> 13)) & self.mask
        while self.table[place] >= 0 and self.slots[self.table[place]].node != node:
            place = (place + 1) & self.mask
        return place

    cdef int rebuild_table(self) except -1:
        cdef int i
        cdef int* table = <int*>PyMem_Realloc(self.table, 2 * self.capacity * sizeof(int))
        if table == NULL:
            raise MemoryError()
        self.table, self.mask = table, 2 * self.capacity - 1
        memset(table, 0xFF, 2 * self.capacity * sizeof(int))
        for i in range(self.count):
            table[self.place_of(self.slots[i].node)] = i
        return 0

    cdef unsigned long long rank(self, int slot) noexcept:
        return (<Node>self.slots[slot].node).seq

    cdef int push(self, int slot) except -1:
        """Adds a ready node to the heap, latest recorded on top."""
        cdef int i = self.heap_size, parent
        cdef int* heap
        if i == self.heap_capacity:
            heap = <int*>PyMem_Realloc(self.heap, 2 * self.heap_capacity * sizeof(int))
            if heap == NULL:
                raise MemoryError()
            self.heap = heap
            self.heap_capacity *= 2
        cdef unsigned long long seq = self.rank(slot)
        self.heap_size += 1
        while i > 0:
            parent = (i - 1) >> 1
            if self.rank(self.heap[parent]) >= seq:
                break
            self.heap[i] = self.heap[parent]
            i = parent
        self.heap[i] = slot
        return 0

    cdef int pop(self) noexcept:
        cdef int top = self.heap[0], last, i = 0, child
        self.heap_size -= 1
        if self.heap_size:
            last = self.heap[self.heap_size]
            while True:
                child = 2 * i + 1
                if child >= self.heap_size:
                    break
                if child + 1 < self.heap_size and self.rank(self.heap[child + 1]) > self.rank(self.heap[child]):
                    child += 1
                if self.rank(self.heap[child]) <= self.rank(last):
                    break
                self.heap[i] = self.heap[child]
                i = child
            self.heap[i] = last
        return top

    cdef int add_root(self, Node node, int index, Tensor grad) except -1:
        cdef bint is_new
        cdef int slot = self.find(node, &is_new)
        self.accumulate(slot, index, fit(node, index, grad, None, 0))
        return slot

    cdef int discover(self) except -1:
        """Counts, from the roots, how many nodes each node waits for."""
        cdef int done = 0, child, i, index
        cdef Node node, source
        cdef bint is_new
        while done < self.count:
            node = <Node>self.slots[done].node
            done += 1
            if node.edge0 is not None:
                child = self.find(node.edge0, &is_new)
                self.slots[child].waiting += 1
            if node.edge1 is not None:
                child = self.find(node.edge1, &is_new)
                self.slots[child].waiting += 1
            for i in range(2, node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source, &is_new)
                    self.slots[child].waiting += 1
        return 0

    cdef int limit(self, list inputs, bint accumulate) except -1:
        """Marks as needed only what lies on a way to one of `inputs`: pairs of node and output index."""
        cdef int slot, i, index
        cdef Node node, source
        cdef bint is_new
        self.all_needed = False
        self.captures = {}
        self.captured = [None] * len(inputs)
        for i in range(self.count):
            self.slots[i].needed = False
        for place, (source, index) in enumerate(inputs):
            slot = self.seek(source)
            if slot < 0:
                continue
            if accumulate:
                self.slots[slot].needed = True
            else:
                self.slots[slot].captured = True
                self.captures.setdefault(slot, []).append((index, place))
        for slot in reversed(self.order()):
            node = <Node>self.slots[slot].node
            for i in range(node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source, &is_new)
                    if self.slots[child].needed or self.slots[child].captured:
                        self.slots[slot].needed = True
                        break
        return 0

    cdef list order(self):
        """All slots, each before those its gradients go to."""
        cdef int slot, i, index, child
        cdef Node node, source
        cdef bint is_new
        cdef list waiting = [self.slots[i].waiting for i in range(self.count)]
        cdef list ready = [i for i in range(self.count) if waiting[i] == 0], found = []
        while ready:
            slot = ready.pop()
            found.append(slot)
            node = <Node>self.slots[slot].node
            for i in range(node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source, &is_new)
                    waiting[child] -= 1
                    if waiting[child] == 0:
                        ready.append(child)
        return found

    cdef int accumulate(self, int slot, int index, Tensor g) except -1:
        """Adds a gradient into a node's buffer. Takes over the caller's reference count of one, if any."""
        cdef Slot* s = &self.slots[slot]
        cdef Node node = <Node>s.node
        cdef list several
        cdef object total
        if g is None:
            return 0
        if node.noutputs <= 1:
            if s.buffer == NULL:
                Py_INCREF(g)
                s.buffer = <PyObject*>g
            elif not (self.create_graph or pb_thread.level) and add_into(<Tensor>s.buffer, g):
                pass
            else:
                total = binary(_add, <object>s.buffer, g)
                Py_INCREF(total)
                s = &self.slots[slot]
                Py_DECREF(<object>s.buffer)
                s.buffer = <PyObject*>total
            return 0
        if s.buffer == NULL:
            several = [None] * node.noutputs
            Py_INCREF(several)
            s.buffer = <PyObject*>several
        several = <list>s.buffer
        several[index] = g if several[index] is None else binary(_add, several[index], g)
        return 0

    cdef inline void look_ahead(self, int slot) noexcept:
        """Fetches what the next nodes will read: in a long graph each step would wait for memory.

        Slots are in the order of discovery, near enough that of the steps. A pointer is followed one step
        after it was fetched: the node, then the array that it saved, then the numbers.
        """
        cdef PyObject* saved
        cdef int i
        if slot + 3 < self.count:
            for i in range(3):
                prefetch(<char*>self.slots[slot + 3].node + 64 * i)
            saved = <PyObject*>(<Node>self.slots[slot + 2].node).saved
            prefetch(<char*>saved)
            prefetch(<char*>saved + 64)
            saved = <PyObject*>(<Node>self.slots[slot + 1].node).saved
            if saved != NULL and type(<object>saved) is ndarray:
                prefetch(PyArray_DATA(<ndarray>saved))

    cdef int run(self) except -1:
        cdef bint long = self.count > 1000
        cdef int slot, i, index, child
        cdef Node node, source
        cdef object buffer
        cdef list grads
        cdef bint is_new, only
        for i in range(self.count):
            if self.slots[i].waiting == 0:
                self.push(i)
        while self.heap_size:
            slot = self.pop()
            if long:
                self.look_ahead(slot)
            node = <Node>self.slots[slot].node
            if node.kind == NODE_ACCUMULATE:
                self.finish_leaf(slot, node)
                continue
            if node.kind == NODE_OP and (node.rare is None or few_things(node)) and (
                    node.op.joint is None and self.slots[slot].buffer != NULL and self.slots[slot].needed
                    and not self.slots[slot].captured and node.nedges == node.op.ntensors and not anomaly):
                self.step_plain(slot, node)
                continue
            buffer = None
            if self.slots[slot].buffer != NULL:
                buffer = <object>self.slots[slot].buffer
                Py_DECREF(buffer)
                self.slots[slot].buffer = NULL
            grads = None
            if (buffer is not None or node.kind == NODE_CUSTOM or hooks_if(node) is not None) and (
                    self.slots[slot].needed or self.slots[slot].captured):
                grads = [buffer] if node.noutputs <= 1 else (buffer if buffer is not None
                                                              else [None] * node.noutputs)
                buffer = None
                if hooks_if(node) is not None:
                    tensor_hooks(node, grads)
                if self.slots[slot].captured:
                    self.capture(slot, grads)
                if self.slots[slot].needed:
                    self.step(slot, node, grads)
                    continue
            self.pass_by(node)
        return 0

    cdef int step_plain(self, int slot, Node node) except -1:
        """Runs an op of one output that has no hooks: each rule as its turn comes, no list in between."""
        cdef object g = <object>self.slots[slot].buffer
        cdef object result
        cdef PyObject* source
        cdef int i, index, child
        cdef bint is_new
        Py_DECREF(g)
        self.slots[slot].buffer = NULL
        for i in range(node.nedges):
            if i == 0:
                source, index = <PyObject*>node.edge0, node.index0
            elif i == 1:
                source, index = <PyObject*>node.edge1, node.index1
            else:
                source, index = <PyObject*>node.edge2, node.index2
            if <object>source is None:
                continue
            child = self.find(<Node>source, &is_new)
            if self.all_needed or self.slots[child].needed or self.slots[child].captured:
                result = call_rule(node.op.rules[i], node, g, None, 0)
                if result is not None:
                    self.accumulate(child, index, fit(<Node>source, index, result, node, i))
                    result = None
            self.slots[child].waiting -= 1
            if self.slots[child].waiting == 0:
                self.push(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef int step(self, int slot, Node node, list grads) except -1:
        """Runs any node and hands its results on."""
        cdef int i, index, child
        cdef Node source
        cdef bint is_new
        cdef object result
        cdef list results = run_node(node, grads, self.wanted(node))
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is None:
                continue
            child = self.find(source, &is_new)
            result = results[i] if i < len(results) else None
            if result is not None and (self.all_needed or self.slots[child].needed or self.slots[child].captured):
                results[i] = None
                self.accumulate(child, index, fit(source, index, result, node, i))
                result = None
            self.slots[child].waiting -= 1
            if self.slots[child].waiting == 0:
                self.push(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef unsigned int wanted(self, Node node) except? 0xFFFFFFFF:
        """Which edges of a node want a gradient, a bit each (the 32nd stands for all further ones)."""
        cdef unsigned int mask = 0
        cdef int i, index, child
        cdef bint is_new
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                if not self.all_needed:
                    child = self.find(source, &is_new)
                    if not (self.slots[child].needed or self.slots[child].captured):
                        continue
                mask |= 1u << (i if i < 31 else 31)
        return mask

    cdef int pass_by(self, Node node) except -1:
        """Nothing to run: its inputs wait for one node less."""
        cdef int i, index, child
        cdef bint is_new
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                child = self.find(source, &is_new)
                self.slots[child].waiting -= 1
                if self.slots[child].waiting == 0:
                    self.push(child)
        return 0

    cdef int capture(self, int slot, list grads) except -1:
        for index, place in self.captures[slot]:
            self.captured[place] = grads[index]
        return 0

    cdef int finish_leaf(self, int slot, Node node) except -1:
        """An accumulator's turn: hooks, capture, and the sum into `.grad`."""
        cdef PyObject* buffer = self.slots[slot].buffer
        cdef Tensor leaf
        cdef list grads
        if buffer == NULL:
            return 0
        self.slots[slot].buffer = NULL
        if hooks_if(node) is None and not self.slots[slot].captured and self.slots[slot].needed:
            leaf = leaf_of(node)
            give_grad(leaf, buffer, self.create_graph)
            return 0
        grads = [<object>buffer]
        Py_DECREF(<object>buffer)
        if hooks_if(node) is not None:
            tensor_hooks(node, grads)
        if self.slots[slot].captured:
            self.capture(slot, grads)
        if not self.slots[slot].needed or grads[0] is None:
            return 0
        leaf = leaf_of(node)
        given = None
        if hooks_if(node) is not None:
            for hook in tuple(node.rare.hooks.pre.values()):
                grads = replaced(hook, grads, (tuple(grads),))
            given = tuple(grads) if node.rare.hooks.post else None
        result = grads.pop()
        Py_INCREF(result)
        buffer = <PyObject*>result
        result = None
        give_grad(leaf, buffer, self.create_graph)
        if hooks_if(node) is not None:
            for hook in tuple(node.rare.hooks.post.values()):
                hook((), given)
            for hook in tuple(node.rare.hooks.accumulated.values()):
                hook(leaf)
        return 0


cdef bint add_into(Tensor total, Tensor g) except -1:
    """`total += g` where nobody else can see the memory of `total`; False if it cannot be done so."""
    cdef PyObject* arrays[2]
    cdef ndarray a = total.array
    if (Py_REFCNT(<PyObject*>total) > 1 + 1 or not owns(a, 2) or type(total) is not Tensor or type(g) is not Tensor
            or total.node is not None or total.requires or total.meta):
        return False
    cdef int code = code_of(a)
    if code_of(g.array) != code or not PyArray_IS_C_CONTIGUOUS(a) or not PyArray_IS_C_CONTIGUOUS(g.array):
        return False
    if not same_shape(a, g.array) or _add.loops.fn[code] == NULL:
        return False
    arrays[0], arrays[1] = <PyObject*>a, <PyObject*>g.array
    run_loop(_add.loops, code, 2, arrays, NULL, a)
    return True


cdef inline bint owns(ndarray a, int references):
    """Whether the array owns its memory and has no more than that many references."""
    return PyArray_CHKFLAGS(a, NPY_ARRAY_OWNDATA) and Py_REFCNT(<PyObject*>a) <= references


cdef int give_grad(Tensor leaf, PyObject* owned, bint create_graph) except -1:
    """Adds a gradient to `.grad` of a leaf; takes over the reference `owned`.

    A gradient that nobody else refers to becomes `.grad` itself, any other is copied: what the caller
    handed to `backward` never shares memory with `.grad`.
    """
    cdef Tensor g = <Tensor>owned
    Py_DECREF(g)   # now `g` is the only reference of ours
    cdef Tensor have
    cdef ndarray a = g.array, copied
    cdef PyObject* arrays[2]
    cdef bint alone = Py_REFCNT(<PyObject*>g) == 1 and owns(a, 2)
    if leaf._grad is None:
        if create_graph:
            leaf._grad = g if g.node is not None else _ops.clone_like_leaf(g, leaf)
        elif alone and PyArray_IS_C_CONTIGUOUS(a) and (
                PyArray_IS_C_CONTIGUOUS(leaf.array) and not g.requires and g.node is None):
            leaf._grad = g
        elif quiet_pass(g) and not leaf.meta and PyArray_IS_C_CONTIGUOUS(leaf.array) and (
                code_of(a) == code_of(leaf.array) and same_shape(a, leaf.array)):
            copied = empty(PyArray_NDIM(a), PyArray_DIMS(a), code_of(a))
            PyArray_CopyInto(copied, a)
            leaf._grad = wrap(copied)
        else:
            leaf._grad = _ops.clone_like_leaf(g.detach() if requires(g) else g, leaf)
        return 0
    have = <Tensor>leaf._grad
    if create_graph:
        leaf._grad = binary(_add, have, g)
    elif quiet_pass(g) and type(have) is Tensor and not requires(have) and not have.meta and have.base is None and (
            not have.inference and PyArray_IS_C_CONTIGUOUS(have.array) and code_of(a) == code_of(have.array)
            and same_shape(a, have.array) and _add.loops.fn[code_of(a)] != NULL):
        arrays[0], arrays[1] = <PyObject*>have.array, <PyObject*>a
        run_loop(_add.loops, code_of(a), 2, arrays, NULL, have.array)
        bump_version(have)
    else:
        inplace_binary(_add, have, g.detach() if requires(g) else g)
    return 0


cdef inline bint few_things(Node node) noexcept:
    """Whether the rare things of a node do not concern its step."""
    return node.rare.hooks is None and node.rare.outputs is None and node.nedges <= 3


cdef inline bint quiet_pass(Tensor g):
    """Whether this is a plain gradient of a pass that is not recorded: then arrays are all there is to it."""
    return (pb_thread.level == 0 and not pb_thread.grad and type(g) is Tensor and not g.meta and g.node is None
            and not g.requires)


def adjoint(Tensor x):
    """The conjugate transpose of a matrix, or of a stack of them, as rules use it."""
    if quiet_rule(x) and PyArray_NDIM(x.array) == 2 and KIND[code_of(x.array)] != 3:
        return wrap(PyArray_Transpose(x.array, NULL))
    return conj(_ops.transpose(x, -2, -1))


def repeated(Tensor x, shape):
    """A 0-dim tensor expanded to a shape, as rules use it."""
    if quiet_rule(x) and PyArray_NDIM(x.array) == 0:
        return wrap(strided(x.array, tuple(shape), (0,) * len(shape), 0))
    return _ops.expand(x, shape)


cdef inline bint quiet_rule(Tensor x):
    """Whether nothing follows what becomes of a tensor: no graph, no transform. A view then needs no base."""
    return pb_thread.level == 0 and not pb_thread.grad and type(x) is Tensor and not x.meta


cdef Tensor fit(Node target, int index, object grad, Node giver, int place):
    """A rule's gradient in the shape and dtype of what it is the gradient of."""
    cdef Tensor g
    cdef int i
    if not isinstance(grad, Tensor):
        raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
    g = <Tensor>grad
    if target.noutputs == 1 and target.nd <= NODE_DIMS and PyArray_NDIM(g.array) == target.nd and code_of(g.array) == target.code:
        for i in range(target.nd):
            if PyArray_DIMS(g.array)[i] != target.dims[i]:
                break
        else:
            return g
    if target.noutputs == 1 and target.nd <= NODE_DIMS and code_of(g.array) == target.code and quiet_pass(g):
        summed = fold_sum(g.array, target.nd, target.dims)
        if summed is not None:
            return wrap(<ndarray>summed)
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
                value = tuple([bool((wanted >> (j if j < 31 else 31)) & 1) for j in range(node.nedges)])
            elif source == FROM_NODE:
                value = node
            else:
                value = grads[FROM_G_INDEX - source]
            Py_INCREF(value)
            argv[i] = <PyObject*>value
            k += 1
        return PyObject_Vectorcall(rule.function, argv, rule.count, NULL)
    finally:
        for i in range(k):
            Py_DECREF(<object>argv[i])


cdef unsigned int _all_needed(Node node) except? 0xFFFFFFFF:
    cdef unsigned int mask = 0
    cdef int i, index
    for i in range(node.nedges):
        if node.edge(i, &index) is not None:
            mask |= 1u << (i if i < 31 else 31)
    return mask


cdef list run_node(Node node, list grads, unsigned int wanted):
    """All gradients of one node's inputs, an entry an edge, with its hooks and the NaN check."""
    cdef list results
    cdef int i
    if hooks_if(node) is not None and node.rare.hooks.pre:
        for hook in tuple(node.rare.hooks.pre.values()):
            grads = replaced(hook, grads, (tuple(grads),))
    given = tuple(grads) if hooks_if(node) is not None else None
    outer = _anomaly.enter(seen(node)) if anomaly else None
    try:
        if node.kind == NODE_CUSTOM:
            got = node.custom(node, tuple(grads))
            results = list(got) if isinstance(got, (tuple, list)) else [got]
        elif node.kind == NODE_ACCUMULATE:
            leaf = leaf_of(node)
            g = grads[0]
            Py_INCREF(g)
            give_grad(leaf, <PyObject*>g, pb_thread.grad)
            results = []
        else:
            results = op_gradients(node, grads, wanted)
        if anomaly and anomaly_nan:
            _anomaly.check_nan(node, results)
    except Exception:
        if anomaly:
            _anomaly.report(node)
        raise
    finally:
        if anomaly:
            _anomaly.leave(outer)
    if hooks_if(node) is not None and node.rare.hooks.post:
        for hook in tuple(node.rare.hooks.post.values()):
            results = replaced(hook, results, (tuple(results), given))
    return results


cdef list replaced(hook, list values, tuple args):
    """What a node's hook makes of its gradients; as they were if it returns None."""
    got = hook(*args)
    if got is None:
        return values
    if not isinstance(got, tuple):
        raise TypeError(f"expected tuple, but hook returned '{type(got).__name__}'")
    if len(got) != len(values):
        raise RuntimeError(f"hook '{getattr(hook, '__name__', repr(hook))}' has returned an incorrect number of "
                           f"values (got {len(got)}, but expected {len(values)})")
    return list(got)


cdef list op_gradients(Node node, list grads, unsigned int wanted):
    cdef Op op = node.op
    cdef list results = []
    cdef int k
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
    cdef int edge = 0
    for k in range(op.ntensors):
        listed = (<str>op.kinds)[op.tensor_params[k]] == u'L'
        if listed:
            width = node.nedges - op.ntensors + 1
            part = None
            if op.rules[k] is not None and any((wanted >> (edge + j if edge + j < 31 else 31)) & 1
                                               for j in range(width)):
                part = call_rule(op.rules[k], node, None, grads, wanted)
            results.extend([None] * width if part is None else part)
            edge += width
        else:
            if op.rules[k] is not None and (wanted >> edge) & 1:
                results.append(call_rule(op.rules[k], node, None, grads, wanted))
            else:
                results.append(None)
            edge += 1
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
        if node.op.saved_kind[i] in (SAVE_TENSOR, SAVE_RESULT, SAVE_RESULTS) and saved_at(node, i) is not None:
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
        raise RuntimeError(f"hook '{name}' has changed the type of value (was {before.type()} got {after.type()})")
    return 0


def run_backward(roots, grads, bint keep_graph, bint create_graph, inputs, bint accumulate=False):
    """A backward pass from `roots`, tensors or (node, index) pairs, with a gradient each.

    With `inputs` (pairs of node and output index) nothing is added to `.grad`, and their gradients are
    returned in a list, None for one that was not reached; with `accumulate` also, they are added to the
    `.grad` of those leaves alone.
    """
    cdef void* outer = pb_thread.task
    cdef Task task = Task.__new__(Task)
    cdef int index
    cdef Node node
    task.keep_graph, task.create_graph = keep_graph, create_graph
    held = []
    cdef int before = pb_thread.grad
    pb_thread.grad = create_graph
    try:
        for root, g in zip(roots, grads):
            if isinstance(root, Tensor):
                node = history(<Tensor>root, &index)
            else:
                node, index = root
            held.append(node)
            task.add_root(node, index, g)
        task.discover()
        if inputs is not None:
            held.append(inputs)
            task.limit(inputs, accumulate)
        pb_thread.task = <void*>task
        task.run()
    finally:
        pb_thread.grad, pb_thread.task = before, outer
    return task.captured


cpdef Tensor ones_of(Tensor root):
    """The gradient of a tensor's sum: what a pass starts from."""
    cdef char number[16]
    cdef int code
    cdef Tensor one
    if PyArray_SIZE(root.array) != 1 or root.meta:
        ones = np.empty((<object>root.array).shape, root.array.dtype)
        ones.fill(1)
        return from_array(ones, False, root.meta)
    code = code_of(root.array)
    store_number(1.0, code, number)
    one = wrap(number_array(number, code))
    if PyArray_NDIM(root.array):
        one.array = one.array.reshape((<object>root.array).shape)
    return one


cdef int backward_scalar(Tensor root, bint keep_graph) except -1:
    """`loss.backward()`: the plain case without a tuple, a list or a keyword."""
    cdef Task task
    cdef int index, before = pb_thread.grad
    cdef Node node = history(root, &index)
    cdef int code = code_of(root.array)
    cdef Tensor one
    if node is None or PyArray_SIZE(root.array) != 1 or KIND[code] != 2 or root.meta:
        _backward(root, None, keep_graph, False, None)
        return 0
    one = ones_of(root)
    cdef void* outer = pb_thread.task
    task = Task.__new__(Task)
    task.keep_graph = keep_graph
    pb_thread.grad = 0
    try:
        task.add_root(node, index, one)
        one = None
        task.discover()
        pb_thread.task = <void*>task
        task.run()
    finally:
        pb_thread.grad, pb_thread.task = before, outer
    return 0


def gradient_edge(Tensor t):
    """The node that the gradient of a tensor goes to, and the output index there; None if it wants none."""
    cdef int index
    cdef Node node = seen(history(t, &index))
    return None if node is None else (node, index)


def reaches_beyond(roots, sources):
    """Whether the graph of these tensors comes to a leaf by another way than through `sources`."""
    cdef Task task = Task.__new__(Task)
    cdef int i, done = 0, index
    cdef bint is_new
    cdef Node node, source
    cdef list ends = []
    for t in sources:
        node = history(<Tensor>t, &index)
        if node is not None:
            task.find(node, &is_new)
            ends.append(node)
    done = task.count   # not to be walked on from
    for t in roots:
        node = history(<Tensor>t, &index)
        if node is not None:
            task.find(node, &is_new)
    while done < task.count:
        node = <Node>task.slots[done].node
        done += 1
        if node.kind == NODE_ACCUMULATE:
            return True
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                task.find(source, &is_new)
    return False


def current_pass():
    """The number of the backward pass under way on this thread, -1 if there is none."""
    return -1 if pb_thread.task == NULL else (<Task>pb_thread.task).number


def will_run(Node node):
    """Whether the backward pass under way runs this node, or hands out its gradient."""
    cdef Task task = <Task>pb_thread.task
    cdef int slot = task.seek(node)
    return slot >= 0 and (task.slots[slot].needed or task.slots[slot].captured)
