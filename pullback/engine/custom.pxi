# What pullback.autograd builds on: nodes of custom functions, history of written tensors.

def custom_node(custom, label, edges, outputs):
    """A node around a Python callable `custom(node, grads) -> gradients of the inputs`.

    `edges` are tensors or None, `outputs` the tensors it computed, which are given the node as history:
    a tensor that is written to in place is passed again.
    """
    global sequence
    cdef Node node = Node.__new__(Node)
    cdef Node source
    cdef int index
    node.kind = NODE_CUSTOM
    node.custom, node.saved = custom, label
    sequence += 1
    node.seq = sequence
    for x in edges:
        index = 0
        source = history(<Tensor>x, &index) if isinstance(x, Tensor) else None
        node.add_edge(source, index)
    if pb_thread.anomaly:
        _note_traceback(node)
    if outputs is not None:
        set_outputs(node, outputs)
    return node


def set_outputs(Node node, outputs):
    """Hangs a node on tensors; None stands for an output without a gradient."""
    cdef Tensor t
    cdef int i
    node.noutputs = len(outputs)
    if node.noutputs == 1 and outputs[0] is not None:
        node.describe((<Tensor>outputs[0]).array)
    else:
        node.outputs = [None if x is None else ((<object>(<Tensor>x).array).shape, code_of((<Tensor>x).array))
                        for x in outputs]
    for i, x in enumerate(outputs):
        if x is not None:
            t = <Tensor>x
            t.node, t.output_index = node, i


def hang_history(Node node, Tensor target):
    """Makes a node of one output the history of a tensor that was written to in place."""
    node.describe(target.array)
    hang(node, target)


def mark_view(Tensor t, Tensor source, str how):
    """Makes `t` a view of `source` for versions and in-place ops; `how` is "view", "multi" or "custom"."""
    t.base = source.base if source.base is not None else source
    t.storage = storage(source)
    t.attr_version = t.storage.version
    t.creation = {"view": VIEW, "multi": VIEW_MULTI, "custom": VIEW_CUSTOM}[how]


def check_inplace(Tensor t):
    """Raises what an in-place op on this tensor would raise."""
    check_writable(t, False)


def detach_inplace(Tensor t):
    """`t.detach_()`: the tensor forgets its history."""
    if t.base is not None and t.creation != VIEW_CUSTOM:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) "
            "for training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and "
            "hence detach_() cannot be called on these gradients. To fix this error, please refer to the "
            "Optimizer.zero_grad() function in torch/optim/optimizer.py as a solution.")
    t.node, t.output_index, t.requires, t.retains = None, 0, False, False
    return t


def set_array(Tensor t, a):
    """Gives a tensor another payload, in place of its own (`resize_`, `set_`)."""
    t.array = a


def save_tensor(Tensor t, Node holder, bint result):
    """A tensor as a custom function's node keeps it; `unsave` gives it back."""
    return keep_result(t, holder) if result else keep(t)


def unsave(entry, Node holder):
    """The tensor that `save_tensor` kept; an error if it was written to since."""
    return unpack_entry(holder, entry, False)


def tangents_of(Tensor t):
    """The tangents of a dual tensor by level, None if it has none."""
    return t.tangents


def set_tangents(Tensor t, tangents):
    t.tangents = tangents
