"""Batching rules of losses, norms, convolutions, embeddings and attention.

What has a dim of samples already (N) takes the batch into it; what has channels takes batched
parameters into those; a loss is computed of each element and reduced by sample.
"""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Op, Tensor, apply_below
from pullback.ops.shared.dims import wrap_dim
from pullback.transforms.batching.batched import batched
from pullback.transforms.batching.rules import elementwise, holds, leading, padded, rank, rule
from pullback.transforms.batching.rules_rewritten import REWRITTEN

# --------------------------------------------------------------------------------------- losses

NONE, MEAN, SUM = range(3)


def _reduced(level: Any, loss: Any, reduction: int) -> Any:
    """Losses of all samples' elements, reduced to one of each sample."""
    if reduction == NONE or loss.ndim == 1:
        return batched(level, loss)
    dims = tuple(range(1, loss.ndim))
    return batched(level, ops.mean(loss, dims) if reduction == MEAN else ops.sum(loss, dims))


@rule(
    "mse_loss smooth_l1_loss huber_loss soft_margin_loss binary_cross_entropy "
    "binary_cross_entropy_with_logits"
)
def _loss(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    place = op.params.index("reduction")
    tensors = [x for x in args[:place] if isinstance(x, Tensor)]
    most = max(map(rank, tensors))
    values = [padded(x.physical, most) if holds(level, x) else x for x in args]
    shape = (level.size, *ops.broadcast_shapes(*[x.shape for x in tensors[:2]]))
    for i in range(2):
        if tuple(values[i].shape) != shape:
            values[i] = ops.expand(values[i], shape)
    values[place] = NONE
    return _reduced(level, apply_below(op, tuple(values)), args[place])


@rule("nll_loss nll_loss2d")
def _nll(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The logarithms at the classes, weighed; classes to ignore weigh nothing."""
    x, target, weight, reduction, ignored = args
    p, t = level.front(x), level.front(target).long()
    classes = 1 if rank(x) == 1 else 2
    t = ops.reshape(t, (*p.shape[:classes], *p.shape[classes + 1 :]))
    kept = t != ignored
    safe = ops.where(kept, t, 0)
    picked = ops.squeeze(ops.gather(p, classes, ops.unsqueeze(safe, classes)), classes)
    if weight is None:
        factors = kept.to(p.dtype)
    else:
        w = level.front(weight)
        flat = ops.gather(w, 1, ops.reshape(safe, (level.size, -1)))
        factors = ops.reshape(flat, safe.shape) * kept
    loss = -picked * factors
    if reduction == NONE or (loss.ndim == 1 and reduction == SUM):
        return batched(level, loss)
    if loss.ndim == 1:
        return batched(level, loss / factors)
    dims = tuple(range(1, loss.ndim))
    total = ops.sum(loss, dims)
    return batched(level, total / ops.sum(factors, dims) if reduction == MEAN else total)


@rule("nll_slope")
def _nll_slope(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """Linear in the gradient: of shared targets one slope for all, times each sample's gradient."""
    g, target, weight, reduction, ignored, shape = args
    if holds(level, target) or holds(level, weight):
        return REWRITTEN["nll_slope"](level, op, args)
    unit = apply_below(op, (ops.ones_like(g.physical[0]), target, weight, reduction, ignored, shape))
    p = g.physical
    if p.ndim == 1:
        return batched(level, ops.reshape(p, (level.size, *(1,) * len(shape))) * unit)
    return batched(level, ops.unsqueeze(p, 1 if len(shape) == 1 else 2) * unit)


@rule("multilabel_margin_loss multilabel_pairs")
def _multilabel(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The rows of all samples; a sample may be one row, or one number."""
    x, target = args[:2]
    ranks = rank(x)
    shape = (-1, *x.shape[-1:]) if ranks else (-1, 1)
    rows = [ops.reshape(level.front(t), shape) for t in (x, target)]
    if op.name == "multilabel_pairs":
        return batched(level, ops.reshape(apply_below(op, tuple(rows)), (level.size, *x.shape)))
    loss = apply_below(op, (*rows, NONE))
    return _reduced(level, ops.reshape(loss, (level.size, -1)) if ranks == 2 else loss, args[2])


@rule("ctc_loss ctc_slope ctc_bend")
def _ctc(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The samples of all batches are those of one; time comes first, the targets may be one row."""

    def joined(x: Any) -> Any:
        p = level.front(x)
        if rank(x) == 3:
            p = ops.transpose(p, 0, 1)
            return ops.reshape(p, (p.shape[0], -1, p.shape[3]))
        return ops.reshape(p, (-1, *p.shape[2:]))

    found = apply_below(op, tuple([joined(x) if isinstance(x, Tensor) else x for x in args]))
    if found.ndim == 1:
        return batched(level, ops.reshape(found, (level.size, -1)))
    wide = ops.reshape(found, (found.shape[0], level.size, -1, found.shape[2]))
    return batched(level, ops.transpose(wide, 0, 1))


@rule("softmax_slope")
def _softmax_slope(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    g, soft, dim, logs = args
    if not rank(soft):
        return batched(level, ops.zeros_like(level.front(g)))
    dim = wrap_dim(dim, rank(soft)) + 1
    return batched(level, apply_below(op, (level.front(g), level.front(soft), dim, logs)))


@rule("native_dropout_backward")
def _dropout_slope(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    return elementwise(level, op, args)


@rule("one_hot")
def _one_hot(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    return batched(level, apply_below(op, (args[0].physical, args[1])))


# ----------------------------------------------------------------------------------------- norms


def _folded(level: Any, x: Any) -> Any:
    """A tensor with the batch in its first dim."""
    p = level.front(x)
    return ops.reshape(p, (p.shape[0] * p.shape[1], *p.shape[2:]))


def _unfolded(level: Any, x: Any) -> Any:
    return batched(level, ops.reshape(x, (level.size, x.shape[0] // max(level.size, 1), *x.shape[1:])))


def _affine(level: Any, y: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    """A physical result, times the weights and plus the bias, seen in a sample's shape."""

    def seen(x: Any) -> Any:
        if holds(level, x):
            return ops.reshape(x.physical, (level.size, *shape))
        return ops.reshape(x, shape)

    y = y if weight is None else y * seen(weight)
    return y if bias is None else y + seen(bias)


@rule("native_layer_norm")
def _layer_norm(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    from pullback.ops.networks.layer_norm import _layer_frame

    x, weight, bias, frame, eps = args
    p = level.front(x)
    own = _layer_frame(tuple(p.shape), frame.weights)
    if not (holds(level, weight) or holds(level, bias)):
        return level.wrap(apply_below(op, (p, weight, bias, own, eps)))
    y, *stats = apply_below(op, (p, None, None, own, eps))
    shape = (1,) * (rank(x) - len(frame.weights)) + tuple(frame.weights)
    return level.wrap([_affine(level, y, weight, bias, shape), *stats])


@rule("native_group_norm")
def _group_norm(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    from pullback.ops.networks.layer_norm import _group_frame

    x, weight, bias, frame, eps = args
    flat = _folded(level, x)
    own = _group_frame(tuple(flat.shape), frame.shape[1])
    batched_affine = holds(level, weight) or holds(level, bias)
    given = (None, None) if batched_affine else (weight, bias)
    y, *stats = [_unfolded(level, r) for r in apply_below(op, (flat, *given, own, eps))]
    if batched_affine:
        shape = (1, x.shape[1]) + (1,) * (x.ndim - 2)
        y = batched(level, _affine(level, y.physical, weight, bias, shape))
    return (y, *stats)


def _channels(level: Any, x: Any) -> Any:
    """A tensor (N, C, ...) of each sample as (N, B * C, ...), or a vector (C,) as (B * C,)."""
    p = level.front(x)
    if p.ndim == 2:
        return ops.reshape(p, (-1,))
    p = ops.transpose(p, 0, 1)
    return ops.reshape(p, (p.shape[0], p.shape[1] * p.shape[2], *p.shape[3:]))


def _of_channels(level: Any, y: Any) -> Any:
    """The way back."""
    if y.ndim == 1:
        return batched(level, ops.reshape(y, (level.size, -1)))
    channels = y.shape[1] // max(level.size, 1)
    wide = ops.reshape(y, (y.shape[0], level.size, channels, *y.shape[2:]))
    return batched(level, ops.transpose(wide, 0, 1))


@rule("batch_norm_training batch_norm_running")
def _batch_norm(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The channels of all samples are those of one tensor."""
    from pullback.ops.networks.batch_norm import channel_frame

    values = [_channels(level, x) if isinstance(x, Tensor) else x for x in args]
    if "frame" in op.params:
        values[op.params.index("frame")] = channel_frame(tuple(values[0].shape))
    results = apply_below(op, tuple(values))
    if isinstance(results, Tensor):
        return _of_channels(level, results)
    return tuple([_of_channels(level, r) for r in results])


def _seen(level: Any, x: Any, view: tuple[int, ...]) -> Any:
    """A tensor of each sample, or of all, in a view in which it broadcasts."""
    if x is None:
        return 1
    if holds(level, x):
        return ops.reshape(x.physical, (level.size, *view))
    return ops.reshape(x, view)


@rule("norm_slope")
def _norm_slope(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The gradient of a norm's input: r * (h - mean(h) - xhat * mean(h * xhat)), h = g * weight."""
    g, x, weight, mean, rstd, frame = args
    wide = (1,) * (len(frame.shape) - len(frame.weights)) + tuple(frame.weights)
    r = _seen(level, rstd, frame.stats)
    xhat = (_seen(level, x, frame.shape) - _seen(level, mean, frame.stats)) * r
    h = _seen(level, g, frame.shape) * _seen(level, weight, wide)
    dims = tuple([d if d < 0 else d - len(frame.shape) for d in frame.dims])
    dx = r * (h - ops.mean(h, dims, True) - xhat * ops.mean(h * xhat, dims, True))
    return batched(level, ops.reshape(dx, (level.size, *x.shape)))


@rule("norm_sums")
def _norm_sums(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The gradients of a norm's weight and bias: sums of g * xhat and of g."""
    g, x, mean, rstd, frame = args
    wide = (1,) * (len(frame.shape) - len(frame.weights)) + tuple(frame.weights)
    own = tuple(frame.weights) if frame.own == frame.stats else (-1,)
    r = _seen(level, rstd, frame.stats)
    xhat = (_seen(level, x, frame.shape) - _seen(level, mean, frame.stats)) * r
    h = ops.expand(_seen(level, g, frame.shape), (level.size, *frame.shape))
    sums = [ops.sum_to_size(t, (level.size, *wide)) for t in (h * xhat, h)]
    return level.wrap([ops.reshape(t, (level.size, *own)) for t in sums])


# ----------------------------------------------------------------------------------- convolution


@rule("convolution")
def _convolution(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The batch joins the samples; where the kernels are batched, the channels, in groups."""
    x, weight, bias, stride, padding, dilation, transposed, output_padding, groups = args
    options = (stride, padding, dilation, transposed, output_padding)
    if not holds(level, weight):
        inside = None if holds(level, bias) else bias
        found = apply_below(op, (_folded(level, x), weight, inside, *options, groups))
        return _with_bias(level, _unfolded(level, found), bias if inside is None else None)
    w = weight.physical
    if not holds(level, x) and groups == 1:
        if transposed:
            w = ops.transpose(w, 0, 1)
            w = ops.reshape(w, (w.shape[0], w.shape[1] * w.shape[2], *w.shape[3:]))
        else:
            w = ops.reshape(w, (w.shape[0] * w.shape[1], *w.shape[2:]))
        found = apply_below(op, (x, w, None, *options, 1))
    else:
        w = ops.reshape(w, (w.shape[0] * w.shape[1], *w.shape[2:]))
        found = apply_below(op, (_channels(level, x), w, None, *options, groups * level.size))
    return _with_bias(level, _of_channels(level, found), bias)


def _with_bias(level: Any, y: Any, bias: Any) -> Any:
    if bias is None:
        return y
    shape = (1, y.shape[1]) + (1,) * (y.ndim - 2)
    return batched(level, _affine(level, y.physical, None, bias, shape))


@rule("convolution_weight")
def _convolution_weight(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """Where the second factor alone is batched, its channels join; else sample by sample in groups."""
    x, g, shape, stride, padding, dilation, groups = args
    together = groups == 1 and not holds(level, x)
    whole = (shape[0] * level.size, *shape[1:])
    values = (x if together else _channels(level, x), _channels(level, g), whole, stride, padding, dilation)
    found = apply_below(op, (*values, 1 if together else groups * level.size))
    return batched(level, ops.reshape(found, (level.size, *shape)))


# --------------------------------------------------------------------------------- embedding, bags


def _rows(level: Any, x: Any) -> Any:
    """The rows of all samples' matrices as those of one."""
    p = level.front(x)
    return ops.reshape(p, (p.shape[0] * p.shape[1], *p.shape[2:]))


def _row_numbers(level: Any, x: Any, rows: int) -> Any:
    """Numbers of rows in one matrix as numbers in that of all samples."""
    first = ops.arange(level.size) * rows
    return level.front(x) + ops.reshape(first, (level.size,) + (1,) * rank(x))


@rule("embedding")
def _embedding(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    weight, indices, *options = args
    if not holds(level, weight):
        return batched(level, apply_below(op, (weight, indices.physical, *options)))
    if options[0] >= 0 or options[1]:
        return REWRITTEN["embedding"](level, op, args)
    places = _row_numbers(level, indices, weight.shape[0])
    return batched(level, apply_below(op, (_rows(level, weight), places, *options)))


@rule("embedding_dense_backward")
def _embedding_slope(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """All samples' rows are those of one matrix."""
    g, indices, rows, padding, by_frequency = args
    if padding >= 0 or by_frequency:
        return REWRITTEN["embedding_dense_backward"](level, op, args)
    places = _row_numbers(level, indices, rows)
    found = apply_below(op, (level.front(g), places, rows * level.size, padding, by_frequency))
    return batched(level, ops.reshape(found, (level.size, rows, -1)))


@rule("embedding_bag")
def _bag_sum(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, scale, source, target, bags = args
    places = [
        ops.reshape(_row_numbers(level, t, n), (-1,)) for t, n in ((source, x.shape[0]), (target, bags))
    ]
    scale = None if scale is None else _rows(level, scale)
    found = apply_below(op, (_rows(level, x), scale, *places, bags * level.size))
    return batched(level, ops.reshape(found, (level.size, bags, *x.shape[1:])))


@rule("bag_dots")
def _bag_dots(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, y, at_x, at_y = args
    places = [ops.reshape(_row_numbers(level, at, t.shape[0]), (-1,)) for t, at in ((x, at_x), (y, at_y))]
    found = apply_below(op, (_rows(level, x), _rows(level, y), *places))
    return batched(level, ops.reshape(found, (level.size, -1)))


@rule("embedding_bag_max")
def _bag_max(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, source, target, bags = args
    rows = x.shape[0]
    places = [ops.reshape(_row_numbers(level, t, n), (-1,)) for t, n in ((source, rows), (target, bags))]
    found, where = apply_below(op, (_rows(level, x), *places, bags * level.size))
    shape = (level.size, bags, *x.shape[1:])
    found, where = ops.reshape(found, shape), ops.reshape(where, shape)
    return level.wrap((found, ops.where(where < 0, where, where % max(rows, 1))))


@rule("scaled_gradient")
def _scaled_gradient(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    return batched(level, apply_below(op, tuple([level.front(x) for x in args])))


@rule("segment_reduce")
def _segment_reduce(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The batch is one more of the dims before the axis, which marks have as well."""
    x, marks, reduce, axis, *rest = args
    return batched(level, apply_below(op, (level.front(x), level.front(marks), reduce, axis + 1, *rest)))


# ---------------------------------------------------------------------- attention, images, places


@rule("scaled_dot_product_flash_attention_for_cpu")
def _attention(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    most = max(map(rank, args[:3]))
    if all(rank(x) == most for x in args[:3]):
        args = (*[batched(level, level.front(x)) for x in args[:3]], *args[3:])
    return leading(level, op, args)


@rule("phase_check")
def _phase_check(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    apply_below(op, (args[0].physical, *args[1:]))
    return batched(level, ops.zeros(level.size))


@rule("unpool_places")
def _unpool_places(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, indices, size, shown = args
    values = [level.front(x), level.front(indices)]
    if rank(x) == len(size) + 1:
        return batched(level, apply_below(op, (*values, size, shown)))
    return _unfolded(level, apply_below(op, (_folded(level, x), _folded(level, indices), size, shown)))


@rule("fractional_max_windows")
def _fractional(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """Samples of the places are (N, C, dims), of which a single image takes the first."""
    x, samples, kernel, *rest = args
    if rank(x) == len(kernel) + 1:
        values = level.front(x), level.front(samples)[:, 0]
        return level.wrap(apply_below(op, (*values, kernel, *rest)))
    chosen = ops.reshape(level.front(samples)[:, : x.shape[0]], (-1, *samples.shape[1:]))
    return tuple([_unfolded(level, r) for r in apply_below(op, (_folded(level, x), chosen, kernel, *rest))])


@rule(
    "channel_shuffle native_channel_shuffle affine_matrices affine_places grid_samples grid_spread "
    "grid_slopes resample_bytes _whole_means"
)
def _samples_first(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    values = [_folded(level, x) if isinstance(x, Tensor) else x for x in args]
    return _unfolded(level, apply_below(op, tuple(values)))
