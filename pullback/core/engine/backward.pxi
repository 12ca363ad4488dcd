# The backward pass as it is begun, and asked about.
#
# `loss.backward()` of one float is `backward_scalar`; everything else (`autograd.grad`, several roots,
# inputs, create_graph) comes by way of `pullback.autograd` to `run_backward`. Both make a `Task` (task.pxi),
# give it roots with a gradient each, `ones_of` by default, and let it run.
#
# From other parts: KIND (pointwise.pxi); Node, seen, NODE_ACCUMULATE (nodes.pxi); _backward, conj,
# from_array, number_tensor, _ops, Tensor, wrap (tensor.pxi); history (dispatch.pxi); Task (task.pxi);
# unwatched (gradients.pxi); pb_thread, physical_slot, stands_in (_engine.pyx).

def run_backward(roots, grads, bint keep_graph, bint create_graph, inputs, bint accumulate=False):
    """A backward pass from `roots`, tensors or (node, index) pairs, with a gradient each.

    With `inputs` (pairs of node and output index) nothing is added to `.grad`, and their gradients are
    returned in a list, None for one that was not reached; with `accumulate` also, they are added to the
    `.grad` of those leaves alone.
    """
    cdef void* outer = pb_thread.task
    cdef Task task = Task.__new__(Task)
    cdef int index = 0
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
    cdef int code
    cdef Tensor one
    if PyArray_SIZE(root.array) != 1 or root.meta:
        ones = np.empty((<object>root.array).shape, root.array.dtype)
        ones.fill(1)
        return from_array(ones, False, root.meta)
    code = code_of(root.array)
    one = number_tensor(1.0, code)
    if PyArray_NDIM(root.array):
        one.array = one.array.reshape((<object>root.array).shape)
    return one


cdef int backward_scalar(Tensor root, bint keep_graph) except -1:
    """`loss.backward()`: the plain case without a tuple, a list or a keyword."""
    cdef Task task
    cdef int index = 0, before = pb_thread.grad
    cdef Node node = history(root, &index)
    cdef int code = code_of(root.array)
    cdef Tensor one
    if node is None or PyArray_SIZE(root.array) != 1 or KIND[code] != KIND_FLOAT or root.meta:
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


def queue_callback(callback):
    """Has `callback()` called when the backward pass that runs in this thread has run all its nodes."""
    if pb_thread.task == NULL:
        raise RuntimeError("Final callbacks can only be installed during backward pass.")
    cdef Task task = <Task>pb_thread.task
    if task.callbacks is None:
        task.callbacks = []
    task.callbacks.append(callback)


def gradient_edge(Tensor t):
    """The node that the gradient of a tensor goes to, and the output index there; None if it wants none."""
    cdef int index = 0
    cdef Node node = seen(history(t, &index))
    return None if node is None else (node, index)


def gradients_between(roots, sources, grads, bint keep_graph, bint create_graph):
    """The gradients of `sum(<grad, root>)` with respect to tensors, None for what no root depends on.

    No root stands for another tensor, so what does is behind none.
    """
    cdef list found = [None] * len(sources), places = [], targets = [], edges = [], starts = []
    cdef object edge, x, g
    cdef int i
    for i, x in enumerate(sources):
        edge = None if stands_in(x) else gradient_edge(<Tensor?>x)
        if edge is not None:
            places.append(i)
            targets.append(edge)
    for x, g in zip(roots, grads):
        edge = gradient_edge(<Tensor?>x)
        if edge is not None:
            edges.append(edge)
            starts.append(g)
    if edges and targets:
        for i, g in zip(places, run_backward(edges, starts, keep_graph, create_graph, targets)):
            found[i] = g
    return found


cdef Tensor bottom(object t):
    """The tensor below all levels that one belongs to: the one with history."""
    while stands_in(t):
        t = <object>physical_slot(t)[0]
    return <Tensor?>t


def reaches_beyond(roots, sources):
    """Whether the graph of these tensors comes to a leaf by another way than through `sources`.

    Of a tensor that stands for another it is that one's graph.
    """
    cdef Task task = Task.__new__(Task)
    cdef int i, done = 0, index = 0
    cdef Node node, source
    cdef list ends = []
    for t in sources:
        node = history(bottom(t), &index)
        if node is not None:
            task.find(node)
            ends.append(node)
    done = task.count   # not to be walked on from
    for t in roots:
        node = history(bottom(t), &index)
        if node is not None:
            task.find(node)
    while done < task.count:
        node = <Node>task.slots[done].node
        done += 1
        if node.kind == NODE_ACCUMULATE:
            return True
        for i in range(node.nedges):
            source = node.edge(i, &index)
            if source is not None:
                task.find(source)
    return False


def current_pass():
    """The number of the backward pass under way on this thread, -1 if there is none."""
    return -1 if pb_thread.task == NULL else (<Task>pb_thread.task).number


def will_run(Node node):
    """Whether the backward pass under way runs this node, or hands out its gradient."""
    cdef Task task = <Task>pb_thread.task
    cdef int slot = task.seek(node)
    return slot >= 0 and (task.slots[slot].needed or task.slots[slot].captured)


# ------------------------------------------------------------------------------------ shortcuts of rules

# A view that nothing follows needs no base: these are `transpose` and `expand` without their bookkeeping.

def adjoint(Tensor x):
    """The conjugate transpose of a matrix, or of a stack of them, as rules use it."""
    if unwatched() and type(x) is Tensor and not x.meta and PyArray_NDIM(x.array) == 2 and (
            KIND[code_of(x.array)] != KIND_COMPLEX):
        return wrap(PyArray_Transpose(x.array, NULL))
    return conj(_ops.transpose(x, -2, -1))


def expand_scalar(Tensor x, shape):
    """A 0-dim tensor expanded to a shape, as rules use it."""
    if unwatched() and type(x) is Tensor and not x.meta and PyArray_NDIM(x.array) == 0:
        return wrap(strided(x.array, tuple(shape), (0,) * len(shape), 0))
    return _ops.expand(x, shape)
