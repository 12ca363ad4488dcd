# One backward pass: which nodes it comes to, how many others each waits for, and the gradients on their way.
#
# A pass is a `Task`. `run_backward` (backward.pxi) gives it roots (`add_root`), lets it count (`discover`),
# and, if gradients of some tensors only are asked for, marks the ways to these (`limit`). `run` then takes
# nodes off a heap, the latest recorded first; a node's turn comes when nobody is left who could add to its
# gradient. Read `Slot`, then `run`, then `step_plain`, which is the way of nearly all nodes: call the rules
# (`call_rule`), bring what they return into shape (`fit`), add it up (`accumulate`), and say so to the node
# that waits for it (`one_less`). A leaf ends it: `finish_leaf`, and `give_grad` in gradients.pxi.
#
# From other parts: hooks_if, Node, NODE_ACCUMULATE, NODE_CUSTOM, NODE_FLAT, NODE_OP (nodes.pxi); leaf_of
# (saved.pxi); _add, binary, _ops, Tensor (tensor.pxi); call_rule, edge_bit, few_things, fit, release,
# run_node, tensor_hooks (rules.pxi); add_to_buffer, give_grad, give_hooked_grad, unfollowed (gradients.pxi);
# unsure (tapes.pxi); Around, begin_event, end_event, note_details, noted_name, pb_log, profiling, EVENT_NODE,
# NOTES_DETAILS (events.pxi); anomaly (_engine.pyx).

cdef struct Slot:
    PyObject* node      # borrowed: the list of roots or an edge of another node holds it
    PyObject* buffer    # owned: the summed gradient, or a list of them for several outputs; NULL for none
    int waiting         # how many nodes that feed this one have not run yet
    flag needed         # run it, or only pass it by on the way to nothing
    flag captured       # the caller asked for its gradient
    char zero           # a zero came that is no tensor: NOTE [Flat slopes] in rules.pxi; 2 on meta


cdef Py_ssize_t passes_begun = 0
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
    cdef list callbacks       # of `queue_callback`; None without any
    cdef readonly Py_ssize_t number   # of the pass, counted from the start of the process

    def __cinit__(self):
        global passes_begun, alone_taken
        unsure("a backward pass")
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
        passes_begun += 1
        self.number = passes_begun

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

    cdef inline int find(self, Node node) except -1:
        """The slot of a node, made if need be."""
        cdef int slot = self.seek(node)
        return self.add(node) if slot < 0 else slot

    cdef inline int seek(self, Node node) noexcept:
        """The slot of a node, -1 if the pass does not come to it."""
        if self.alone:
            if node.slot < self.count and self.slots[node.slot].node == <PyObject*>node:
                return node.slot
            return -1
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
        self.slots[slot].zero = 0
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
                if child + 1 < self.heap_size and (
                        self.rank(self.heap[child + 1]) > self.rank(self.heap[child])):
                    child += 1
                if self.rank(self.heap[child]) <= self.rank(last):
                    break
                self.heap[i] = self.heap[child]
                i = child
            self.heap[i] = last
        return top

    cdef int add_root(self, Node node, int index, Tensor grad) except -1:
        cdef int slot = self.find(node)
        self.accumulate(slot, index, fit(node, index, grad, None, 0))
        return slot

    cdef int discover(self) except -1:
        """Counts, from the roots, how many nodes each node waits for."""
        cdef int done = 0, child, i, index = 0
        cdef Node node, source
        while done < self.count:
            node = <Node>self.slots[done].node
            done += 1
            if node.edge0 is not None:
                child = self.find(node.edge0)
                self.slots[child].waiting += 1
            if node.edge1 is not None:
                child = self.find(node.edge1)
                self.slots[child].waiting += 1
            for i in range(2, node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source)
                    self.slots[child].waiting += 1
        return 0

    cdef int limit(self, list inputs, bint accumulate) except -1:
        """Marks as needed only what lies on a way to one of `inputs`: pairs of node and output index."""
        cdef int slot, child, i, index = 0
        cdef Node node, source
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
                    child = self.find(source)
                    if self.wants(child):
                        self.slots[slot].needed = True
                        break
        return 0

    cdef list order(self):
        """All slots, each before those its gradients go to."""
        cdef int slot, i, index = 0, child
        cdef Node node, source
        cdef list waiting = [self.slots[i].waiting for i in range(self.count)]
        cdef list ready = [i for i in range(self.count) if waiting[i] == 0], found = []
        while ready:
            slot = ready.pop()
            found.append(slot)
            node = <Node>self.slots[slot].node
            for i in range(node.nedges):
                source = node.edge(i, &index)
                if source is not None:
                    child = self.find(source)
                    waiting[child] -= 1
                    if waiting[child] == 0:
                        ready.append(child)
        return found

    cdef inline bint wants(self, int slot) noexcept:
        """Whether a gradient that goes to this node is of use."""
        return self.all_needed or self.slots[slot].needed or self.slots[slot].captured

    cdef inline int one_less(self, int slot) except -1:
        """One of the nodes that this one waited for has run, or was passed by."""
        self.slots[slot].waiting -= 1
        if self.slots[slot].waiting == 0:
            self.push(slot)
        return 0

    cdef int accumulate(self, int slot, int index, Tensor g) except -1:
        """Adds a gradient into a node's buffer."""
        cdef Slot* s = &self.slots[slot]
        cdef Node node = <Node>s.node
        cdef list several
        if g is None:
            return 0
        if node.noutputs <= 1:
            if s.buffer == NULL:
                Py_INCREF(g)
                s.buffer = <PyObject*>g
            elif self.create_graph or not unfollowed() or not add_to_buffer(<Tensor>s.buffer, g):
                self.replace_buffer(slot, binary(_add, <object>s.buffer, g))
            return 0
        if s.buffer == NULL:
            several = [None] * node.noutputs
            Py_INCREF(several)
            s.buffer = <PyObject*>several
        several = <list>s.buffer
        several[index] = g if several[index] is None else binary(_add, several[index], g)
        return 0

    cdef int replace_buffer(self, int slot, object total) except -1:
        Py_INCREF(total)
        Py_DECREF(<object>self.slots[slot].buffer)
        self.slots[slot].buffer = <PyObject*>total
        return 0

    cdef inline object take_buffer(self, int slot):
        """What was summed for a node, None if nothing was; from now on the caller's alone."""
        cdef object buffer
        if self.slots[slot].buffer == NULL:
            return None
        buffer = <object>self.slots[slot].buffer
        Py_DECREF(buffer)   # the slot's reference
        self.slots[slot].buffer = NULL
        return buffer

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
        """Runs all nodes, the latest recorded first among those that wait for none."""
        cdef bint long = self.count > 1000
        cdef int slot, i
        cdef Node node
        for i in range(self.count):
            if self.slots[i].waiting == 0:
                self.push(i)
        while self.heap_size:
            slot = self.pop()
            if long:
                self.look_ahead(slot)
            node = <Node>self.slots[slot].node
            if profiling:
                self.run_noted(slot, node)
            else:
                self.run_one(slot, node)
        while self.callbacks:
            self.callbacks.pop(0)()
        return 0

    cdef inline int run_one(self, int slot, Node node) except -1:
        """Runs a node whose turn it is, by the shortest way that it can take."""
        if node.kind == NODE_ACCUMULATE:
            return self.finish_leaf(slot, node)
        if self.takes_plain_step(slot, node):
            return self.step_plain(slot, node)
        return self.step_any(slot, node)

    cdef int run_noted(self, int slot, Node node) except -1:
        """The same, noted by a profiler."""
        cdef Around around
        cdef object what = noted_name(node), given = None
        if profiling & NOTES_DETAILS and self.slots[slot].buffer != NULL:
            given = <object>self.slots[slot].buffer
            given = tuple(given) if type(given) is list else (given,)
        begin_event(&around, <PyObject*>what, EVENT_NODE)
        if around.place >= 0 and node.kind != NODE_ACCUMULATE:
            pb_log.all[around.place].number = node.seq
        try:
            self.run_one(slot, node)
        finally:
            end_event(&around)
        if given is not None:
            note_details(&around, what, given, None)
        return 0

    cdef inline bint takes_plain_step(self, int slot, Node node) noexcept:
        """Whether a node is an op of one output and few inputs, without hooks, and has a gradient."""
        return (node.kind == NODE_OP and (node.rare is None or few_things(node)) and node.op.joint is None
                and self.slots[slot].buffer != NULL and self.slots[slot].needed
                and not self.slots[slot].captured and node.nedges == node.op.ntensors and not anomaly
                and not (self.create_graph and node.op.flat_slope is not None))

    cdef int step_plain(self, int slot, Node node) except -1:
        """Runs such a node: each rule as its turn comes, no list in between."""
        cdef object g = self.take_buffer(slot)
        cdef object result
        cdef PyObject* source
        cdef int i, index = 0, child
        for i in range(node.nedges):
            if i == 0:
                source, index = <PyObject*>node.edge0, node.index0
            elif i == 1:
                source, index = <PyObject*>node.edge1, node.index1
            else:
                source, index = <PyObject*>node.edge2, node.index2
            if <object>source is None:
                continue
            child = self.find(<Node>source)
            if self.wants(child):
                result = call_rule(node.op.rules[i], node, g, None, 0)
                if result is not None:
                    self.accumulate(child, index, fit(<Node>source, index, result, node, i))
                    result = None
            self.one_less(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef int step_any(self, int slot, Node node) except -1:
        """Runs a node with whatever it has: hooks, several outputs, captures; or passes it by."""
        cdef object buffer = self.take_buffer(slot)
        cdef bint hooked = hooks_if(node) is not None
        cdef list grads
        cdef int i
        cdef char zero = self.slots[slot].zero if buffer is None else 0
        if not self.wants(slot) or (buffer is None and node.kind != NODE_CUSTOM and not hooked and not zero):
            return self.pass_by(node)
        if zero and node.kind != NODE_CUSTOM and not hooked and not self.slots[slot].captured:
            return self.pass_by(node, zero)
        if node.noutputs <= 1:
            grads = [zeros_of(node, 0, zero) if zero else buffer]
        elif zero:
            grads = [zeros_of(node, i, zero) for i in range(node.noutputs)]
        else:
            grads = buffer if buffer is not None else [None] * node.noutputs
        buffer = None   # so that the list's reference is the only one
        if hooked:
            tensor_hooks(node, grads)
        if self.slots[slot].captured:
            self.capture(slot, grads)
        if self.slots[slot].needed:
            return self.step(slot, node, grads)
        return self.pass_by(node)

    cdef int step(self, int slot, Node node, list grads) except -1:
        """Runs any node and hands its results on."""
        cdef int i, index = 0, child
        cdef Node source
        cdef object result
        cdef list results = run_node(node, grads, self.wanted(node))
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is None:
                continue
            child = self.find(source)
            result = results[i] if i < len(results) else None
            if node.kind == NODE_FLAT and i and self.wants(child):
                self.slots[child].zero = 1 + (node.by_number > 0)
            if result is not None and self.wants(child):
                results[i] = None
                self.accumulate(child, index, fit(source, index, result, node, i))
                result = None
            self.one_less(child)
        if not self.keep_graph:
            release(node)
        return 0

    cdef unsigned int wanted(self, Node node) except? 0xFFFFFFFF:
        """Which edges of a node want a gradient, a bit each (the 32nd stands for all further ones)."""
        cdef unsigned int mask = 0
        cdef int i, index = 0
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None and (self.all_needed or self.wants(self.find(source))):
                mask |= edge_bit(i)
        return mask

    cdef int pass_by(self, Node node, char zero=0) except -1:
        """Nothing to run: its inputs wait for one node less, and may get the mark of a zero."""
        cdef int i, index = 0, child
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                child = self.find(source)
                self.slots[child].zero |= zero
                self.one_less(child)
        return 0

    cdef int capture(self, int slot, list grads) except -1:
        for index, place in self.captures[slot]:
            self.captured[place] = grads[index]
        return 0

    cdef int finish_leaf(self, int slot, Node node) except -1:
        """An accumulator's turn: hooks, capture, and the sum into `.grad`."""
        cdef object g = self.take_buffer(slot)
        cdef list grads
        if g is None and self.slots[slot].zero and self.wants(slot):
            g = zeros_of(node, 0, self.slots[slot].zero)
        if g is None:
            return 0
        if hooks_if(node) is None and not self.slots[slot].captured and self.slots[slot].needed:
            return give_grad(leaf_of(node), <Tensor>g, self.create_graph)
        grads, g = [g], None
        if hooks_if(node) is not None:
            tensor_hooks(node, grads)
        if self.slots[slot].captured:
            self.capture(slot, grads)
        if not self.slots[slot].needed or grads[0] is None:
            return 0
        return give_hooked_grad(node, grads, self.create_graph)


cdef object zeros_of(Node node, int i, char zero):
    """The gradient of an output that is zero, as a tensor: on meta where the mark says so."""
    meta = node.output_meta(i)
    if meta is None:
        return None
    return _ops.zeros(meta[0], dtype=DTYPES[meta[1]], device="meta" if zero > 1 else None)
