"""Normalisation over rows: the frame that all kinds share, layer_norm, group_norm, rms_norm, normalize.

A `Frame` says in which shape the numbers are seen, and which of its dims are averaged over. A norm is one op,
whose results are y, the mean and 1 / deviation; the rule of y is `normalization_slope` for the input and
`normalization_sums` for weight and bias. All run by plans (kernels/row_bodies.h). The latter two are ops with
rules of their own, made of plain ops, and mean and deviation have a gradient, too: so there are derivatives
of every order. batch_norm is in batch_norm.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import finfo, float32, int64
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.reductions.reduce import widened
from pullback.ops.reductions.row_plans import row_plan, seen_as
from pullback.ops.shared.batches import affine, folded, unfolded, viewed
from pullback.ops.shared.refusals import unimplemented

Frame = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""How an input is normalised: the shape it is seen in, the dims of it that are averaged over, those that have
weights, and the shape of the mean that the op gives."""


def stats_of(frame: Frame) -> tuple[int, ...]:
    """The shape in which mean and deviation broadcast against the input."""
    return tuple([1 if d in frame[1] else n for d, n in enumerate(frame[0])])


def weights_of(frame: Frame) -> tuple[int, ...]:
    """The shape in which weight and bias broadcast against the input."""
    return tuple([n if d in frame[2] else 1 for d, n in enumerate(frame[0])])


# ----------------------------------------------------------------------------------- kernels


def _plain(a: Array | None, shape: tuple[int, ...]) -> Any:
    """An operand in its view, in float32 or float64; zero for none."""
    return np.float32(0) if a is None else widened(a).reshape(shape)


def normalised(x: Array, weight: Array | None, bias: Array | None, frame: Frame, eps: float) -> Any:
    """The kernel of the norms: y, mean, 1 / deviation, variance."""
    shape, axes, _, own = frame
    plain = _plain(x, shape)
    center = np.mean(plain, axes, np.float64, keepdims=True)
    variance = np.mean((plain - center) ** 2, axes, keepdims=True)
    stats = [t.astype(plain.dtype) for t in (center, 1 / np.sqrt(variance + eps), variance)]
    y = (plain - stats[0]) * stats[1]
    if weight is not None:
        y = y * _plain(weight, weights_of(frame))
    if bias is not None:
        y = y + _plain(bias, weights_of(frame))
    return y.astype(x.dtype, copy=False).reshape(x.shape), *[t.reshape(own) for t in stats]


@op(name="normalization_slope", places="", takes_half=True, layout="F")
def normalization_slope(
    self: Array, input: Array, weight: Array | None, mean: Array | None, rstd: Array, frame: Frame
) -> Any:
    """The gradient of a norm's input, for the gradient `self` of its result; without a mean, of rms_norm."""
    shape, axes = frame[:2]
    g, r = _plain(self, shape), _plain(rstd, stats_of(frame))
    xhat = (_plain(input, shape) - _plain(mean, stats_of(frame))) * r
    h = g if weight is None else g * _plain(weight, weights_of(frame))
    flat = 0 if mean is None else np.mean(h, axes, keepdims=True)
    result = r * (h - flat - xhat * np.mean(h * xhat, axes, keepdims=True))
    return result.astype(input.dtype, copy=False).reshape(input.shape)


@op(name="normalization_sums", places="", takes_half=True)
def normalization_sums(self: Array, input: Array, mean: Array | None, rstd: Array, frame: Frame) -> Any:
    """The gradients of a norm's weight and bias."""
    g = _plain(self, frame[0])
    away = _plain(input, frame[0]) - _plain(mean, stats_of(frame))
    dims = tuple([d for d in range(len(frame[0])) if d not in frame[2]])
    xhat = away * _plain(rstd, stats_of(frame))
    return tuple([np.sum(t, dims).reshape(-1) for t in (g * xhat, g)])


def _node_of(saved: dict[str, Any]) -> str:
    """A norm averages over the dims that have weights, over other ones, or over some of both."""
    averaged, weighed = map(set, saved["frame"][1:3])
    kind = "Layer" if averaged == weighed else "Group" if averaged & weighed else "Batch"
    return f"Native{kind}NormBackwardBackward0"


normalization_slope.variant = normalization_sums.variant = _node_of


# ------------------------------------------------------------------------------------- plans


def _statistics_dtype(x: Spec) -> Any:
    """That of mean and deviation: no half precision."""
    return float32 if x.dtype.itemsize == 2 else x.dtype


def norm_plan(
    self: Spec, weight: Spec | None, bias: Spec | None, frame: Frame, eps: float, spread: bool = False
) -> Plan:
    """The plan of the norms: y, mean, 1 / deviation, and the variance if `spread`."""
    check_mixed(self, weight, bias)
    y, stat = Spec(self.dtype, self.shape), Spec(_statistics_dtype(self), frame[3])
    operands = [
        seen_as(self, frame[0]),
        *(seen_as(t, weights_of(frame)) for t in (weight, bias)),
        seen_as(y, frame[0]),
        *(seen_as(t, stats_of(frame)) for t in (stat, stat, stat if spread else None)),
    ]
    results = (y, stat, stat, stat) if spread else (y, stat, stat)
    columns = not set(frame[1]) & set(frame[2])
    return row_plan("normalized", results, operands, 3, frame[0], frame[1], (eps,), columns)


@normalization_slope.prepare
def _plan_slope(
    self: Spec, input: Spec, weight: Spec | None, mean: Spec | None, rstd: Spec, frame: Frame
) -> Plan:
    result = Spec(input.dtype, input.shape)
    operands = [
        *(seen_as(t, frame[0]) for t in (self, input)),
        seen_as(weight, weights_of(frame)),
        *(seen_as(t, stats_of(frame)) for t in (mean, rstd)),
        seen_as(result, frame[0]),
    ]
    columns = mean is not None and not set(frame[1]) & set(frame[2])
    return row_plan("normalized_slope", result, operands, 5, frame[0], frame[1], columns=columns)


@normalization_sums.prepare
def _plan_sums(self: Spec, input: Spec, mean: Spec | None, rstd: Spec, frame: Frame) -> Plan:
    count = math.prod(weights_of(frame))
    result = Spec(_statistics_dtype(input), (count,))
    operands = [
        *(seen_as(t, frame[0]) for t in (self, input)),
        *(seen_as(t, stats_of(frame)) for t in (mean, rstd)),
        *(seen_as(result, weights_of(frame)) for _ in range(2)),
    ]
    others = [d for d in range(len(frame[0])) if d not in frame[2]]
    return row_plan("normalized_sums", (result, result), operands, 4, frame[0], others, columns=True)


# ------------------------------------------------------------------------------------- rules


def _seen(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if tuple(t.shape) == shape else ops.reshape(t, shape)


def _folded(t: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A gradient in the frame's view, summed to one of the frame's shapes, in the shape of `like`."""
    return ops.reshape(ops.sum_to_size(t, shape), tuple(like.shape))


def norm_gradients(
    g0: Tensor | None,
    g1: Tensor | None,
    g2: Tensor | None,
    x: Tensor,
    weight: Tensor | None,
    bias_shape: tuple[int, ...] | None,
    frame: Frame,
    mean: Tensor,
    rstd: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """The rule of the norms: gradients of input, weight and bias."""
    parts = []
    dw = db = None
    if g0 is not None:
        if needs[0]:
            parts.append(normalization_slope(g0, x, weight, mean, rstd, frame))
        if any(needs[1:]):
            dw, db = normalization_sums(g0, x, mean, rstd, frame)
            dw = None if weight is None else _seen(dw, tuple(weight.shape))
            db = None if bias_shape is None else _seen(db, tuple(bias_shape))
    if needs[0] and (g1 is not None or g2 is not None):
        parts.append(_statistics_slope(g1, g2, x, frame, mean, rstd))
    dx = parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None
    return dx, dw, db


def _statistics_slope(
    g1: Tensor | None,
    g2: Tensor | None,
    self: Tensor,
    frame: Frame,
    mean: Tensor | None,
    rstd: Tensor,
) -> Tensor:
    """The gradient of the input through mean and 1 / deviation."""
    shape, stats = frame[0], stats_of(frame)
    count = math.prod(shape[d] for d in frame[1])
    away = _away(self, mean, frame)
    total: Any = 0
    if g1 is not None:
        total = total + _seen(g1, stats)
    if g2 is not None:
        total = total - _seen(g2 * rstd * rstd * rstd, stats) * away
    return _seen(ops.expand(total / count, shape), tuple(self.shape))


def _away(x: Tensor, mean: Tensor | None, frame: Frame) -> Tensor:
    """The input in its view, less its mean if there is one."""
    x = _seen(x, frame[0])
    return x if mean is None else x - _seen(mean, stats_of(frame))


@normalization_slope.joint_vjp
def _normalization_slope_vjp(
    g: Tensor,
    self: Tensor,
    input: Tensor,
    weight: Tensor | None,
    mean: Tensor | None,
    rstd: Tensor,
    frame: Frame,
) -> tuple[Tensor | None, ...]:
    shape, stats, weights = frame[0], stats_of(frame), weights_of(frame)
    r, up, away = _seen(rstd, stats), _seen(self, shape), _away(input, mean, frame)
    v, unit = _seen(g, shape), away * r

    def average(t: Tensor) -> Tensor:
        return ops.mean(t, frame[1], True)

    scaled = up if weight is None else up * _seen(weight, weights)
    straight = _seen(normalization_slope(g, input, None, mean, rstd, frame), shape)
    tilt = average(scaled * unit)
    d_unit = -r * (v * tilt + scaled * average(v * unit))
    dx = d_unit * r
    own = straight if weight is None else straight * _seen(weight, weights)
    flat = scaled if mean is None else scaled - average(scaled)
    d_rstd = v * (flat - unit * tilt) + d_unit * away
    return (
        _seen(own, tuple(self.shape)),
        _seen(dx, tuple(input.shape)),
        None if weight is None else _folded(straight * up, weights, weight),
        None if mean is None else _folded(-dx, stats, mean),
        _folded(d_rstd, stats, rstd),
    )


@normalization_sums.joint_vjp
def _normalization_sums_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    self: Tensor,
    input: Tensor,
    mean: Tensor | None,
    rstd: Tensor,
    frame: Frame,
) -> tuple[Tensor | None, ...]:
    shape, stats, weights = tuple(self.shape), stats_of(frame), weights_of(frame)
    even = None if g1 is None else ops.expand(_seen(g1, weights), frame[0])
    if g0 is None:
        return (None if even is None else _seen(even, shape)), None, None, None
    r, up, away = _seen(rstd, stats), _seen(self, frame[0]), _away(input, mean, frame)
    v = _seen(g0, weights)
    own = v * (away * r)
    dx = v * up * r
    return (
        _seen(own if even is None else own + even, shape),
        _seen(dx, tuple(input.shape)),
        None if mean is None else _folded(-dx, stats, mean),
        _folded(v * up * away, stats, rstd),
    )


def _viewed_away(level: Any, input: Any, mean: Any, frame: Frame) -> Tensor:
    x = viewed(level, input, frame[0])
    return x if mean is None else x - viewed(level, mean, stats_of(frame))


@normalization_slope.batch
def _norm_slope_batch(
    level: Any, op: Op, self: Any, input: Any, weight: Any, mean: Any, rstd: Any, frame: Frame
) -> Any:
    """r * (h - mean(h) - xhat * mean(h * xhat)), h = g * weight."""
    r = viewed(level, rstd, stats_of(frame))
    xhat = _viewed_away(level, input, mean, frame) * r
    h = viewed(level, self, frame[0])
    h = h if weight is None else h * viewed(level, weight, weights_of(frame))
    dims = tuple([d - len(frame[0]) for d in frame[1]])
    flat = h if mean is None else h - ops.mean(h, dims, True)
    dx = r * (flat - xhat * ops.mean(h * xhat, dims, True))
    return level.wrap(ops.reshape(dx, (level.size, *input.shape)))


@normalization_sums.batch
def _norm_sums_batch(level: Any, op: Op, self: Any, input: Any, mean: Any, rstd: Any, frame: Frame) -> Any:
    """Sums of g * xhat and of g."""
    xhat = _viewed_away(level, input, mean, frame) * viewed(level, rstd, stats_of(frame))
    g = ops.expand(viewed(level, self, frame[0]), (level.size, *frame[0]))
    sums = [ops.sum_to_size(t, (level.size, *weights_of(frame))) for t in (g * xhat, g)]
    return level.wrap([ops.reshape(t, (level.size, -1)) for t in sums])


# -------------------------------------------------------------------------------- layer_norm


def _layer_frame(shape: tuple[int, ...], count: int) -> Frame:
    """Of a norm over the last dims, `count` of them."""
    lead, dims = len(shape) - count, tuple(range(len(shape) - count, len(shape)))
    return shape, dims, dims, shape[:lead] + (1,) * count


@op(name="native_layer_norm", places="", takes_half=True)
def _layer_norm(
    self: Array, normal: Sequence[int], weight: Array | None, bias: Array | None, eps: float, name: str
) -> Any:
    return normalised(self, weight, bias, _layer_frame(self.shape, len(normal)), eps)[:3]


@_layer_norm.prepare
def _plan_layer_norm(
    self: Spec, normal: Sequence[int], weight: Spec | None, bias: Spec | None, eps: float, name: str
) -> Plan:
    check_layer(name, self.shape, normal, weight=weight, bias=bias)
    _require_float(self, "LayerNormKernelImpl")
    return norm_plan(self, weight, bias, _layer_frame(self.shape, len(normal)), eps)


@_layer_norm.joint_vjp
def _layer_norm_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    g2: Tensor | None,
    self: Tensor,
    normal: Sequence[int],
    weight: Tensor | None,
    bias_shape: tuple[int, ...] | None,
    result1: Tensor,
    result2: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    frame = _layer_frame(tuple(self.shape), len(normal))
    return norm_gradients(g0, g1, g2, self, weight, bias_shape, frame, result1, result2, needs)


@_layer_norm.batch
def _layer_norm_batch(
    level: Any, op: Op, self: Any, normal: Any, weight: Any, bias: Any, eps: float, name: str
) -> Any:
    p = level.front(self)
    if not (level.holds(weight) or level.holds(bias)):
        return level.wrap(op(p, normal, weight, bias, eps, name))
    y, *stats = op(p, normal, None, None, eps, name)
    shape = weights_of(_layer_frame(tuple(self.shape), len(normal)))
    return level.wrap([affine(level, y, weight, bias, shape), *stats])


@function(places="", aliases=("nn.functional.layer_norm",))
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, mean and variance over the last dims.

    These dims must be `normalized_shape`, which weight and bias have, too; RuntimeError otherwise.
    The gradient is `r * (h - mean(h) - xhat * mean(h * xhat))`, r = 1 / sqrt(var + eps), h = g * weight.

    >>> import pullback as torch
    >>> torch.nn.functional.layer_norm(torch.tensor([[1.0, 3.0]]), (2,))
    tensor([[-1.0000,  1.0000]])
    """
    return _layer_norm(input, normalized_shape, weight, bias, eps, "layer_norm")[0]


@function(name="layer_norm", places="t")
def _torch_layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enable: bool = True,
) -> Tensor:
    """`torch.nn.functional.layer_norm`."""
    return _layer_norm(input, normalized_shape, weight, bias, eps, "layer_norm")[0]


@function(places="t")
def native_layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`layer_norm`, with the mean and `1 / sqrt(var + eps)`, which have no gradient here.

    >>> import pullback as torch
    >>> torch.native_layer_norm(torch.tensor([[1.0, 3.0]]), (2,), None, None, 1e-5)[1]
    tensor([[2.]])
    """
    y, mean, rstd = _layer_norm(input, normalized_shape, weight, bias, eps, "layer_norm")
    return y, mean.detach(), rstd.detach()


# -------------------------------------------------------------------------------- group_norm


def _group_frame(shape: tuple[int, ...], groups: int) -> Frame:
    samples, channels = shape[:2]
    return (samples, groups, channels // groups, math.prod(shape[2:])), (2, 3), (1, 2), (samples, groups)


@op(name="native_group_norm", places="", takes_half=True, layout="F")
def _group_norm(self: Array, groups: int, weight: Array | None, bias: Array | None, eps: float) -> Any:
    return normalised(self, weight, bias, _group_frame(self.shape, groups), eps)[:3]


@_group_norm.prepare
def _plan_group_norm(self: Spec, groups: int, weight: Spec | None, bias: Spec | None, eps: float) -> Plan:
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if self.shape[1] % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(self.shape)} and num_groups={groups}"
        )
    for label, a in (("weight", weight), ("bias", bias)):
        if a is not None and a.shape != self.shape[1:2]:
            raise RuntimeError(
                f"Expected {label} to be a vector of size equal to the number of channels in input, "
                f"but got {label} of shape {list((weight if weight is not None else a).shape)} and "
                f"input of shape {list(self.shape)}"
            )
    _require_float(self, "GroupNormKernelImpl")
    return norm_plan(self, weight, bias, _group_frame(self.shape, groups), eps)


@_group_norm.joint_vjp
def _group_norm_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    g2: Tensor | None,
    self: Tensor,
    groups: int,
    weight: Tensor | None,
    bias_shape: tuple[int, ...] | None,
    result1: Tensor,
    result2: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    frame = _group_frame(tuple(self.shape), groups)
    return norm_gradients(g0, g1, g2, self, weight, bias_shape, frame, result1, result2, needs)


@_group_norm.batch
def _group_norm_batch(level: Any, op: Op, self: Any, groups: int, weight: Any, bias: Any, eps: float) -> Any:
    flat = folded(level, self)
    apart = level.holds(weight) or level.holds(bias)
    inside = (None, None) if apart else (weight, bias)
    y, *stats = [unfolded(level, r) for r in op(flat, groups, *inside, eps)]
    if apart:
        shape = (1, self.shape[1], *(1,) * (self.ndim - 2))
        y = level.wrap(affine(level, y.physical, weight, bias, shape))
    return (y, *stats)


@function(places="", aliases=("nn.functional.group_norm",))
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, mean and variance over groups of channels.

    The input is (N, C, ...); weight and bias are one for each channel. RuntimeError if the groups
    do not divide the channels, ValueError for one number a group.

    >>> import pullback as torch
    >>> torch.nn.functional.group_norm(torch.tensor([[1.0, 3.0, 5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000,  0.0000,  0.0000]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    rows = input.shape[0] * input.shape[1] // num_groups
    check_count([rows, num_groups, *input.shape[2:]])
    return _group_norm(input, num_groups, weight, bias, eps)[0]


@function(name="group_norm", places="t")
def _torch_group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:
    """`torch.nn.functional.group_norm`."""
    return _group_norm(input, num_groups, weight, bias, eps)[0]


@function(places="t")
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """`group_norm`, with the mean and `1 / sqrt(var + eps)` of each group.

    >>> import pullback as torch
    >>> torch.native_group_norm(torch.tensor([[1.0, 3.0]]), None, None, 1, 2, 1, 1, 1e-5)[1]
    tensor([[2.]])
    """
    return _group_norm(input, group, weight, bias, eps)


# ----------------------------------------------------------------------- rms_norm and normalize


@op(name="rms_normalization", places="", takes_half=True, grad_name="MulBackward0")
def _rms_norm(self: Array, weight: Array | None, frame: Frame, eps: float) -> Any:
    """The norm without a mean: y and 1 / root of the mean square."""
    x = _plain(self, frame[0])
    rstd = (1 / np.sqrt(np.mean(x * x, frame[1], np.float64, keepdims=True) + eps)).astype(x.dtype)
    y = x * rstd if weight is None else x * rstd * _plain(weight, weights_of(frame))
    return y.astype(self.dtype, copy=False), rstd


@_rms_norm.prepare
def _plan_rms_norm(self: Spec, weight: Spec | None, frame: Frame, eps: float) -> Plan:
    y, stat = Spec(self.dtype, self.shape), Spec(_statistics_dtype(self), frame[3])
    operands = [seen_as(self, frame[0]), seen_as(weight, weights_of(frame)), None, seen_as(y, frame[0]), None]
    operands += [seen_as(stat, frame[3]), None]
    return row_plan("normalized", (y, stat), operands, 3, frame[0], frame[1], (eps,))


@_rms_norm.joint_vjp
def _rms_norm_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    self: Tensor,
    weight: Tensor | None,
    frame: Frame,
    result1: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    dx = dw = None
    if g0 is not None and needs[0]:
        dx = normalization_slope(g0, self, weight, None, result1, frame)
    if g1 is not None and needs[0]:
        through = _statistics_slope(None, g1, self, frame, None, result1)
        dx = through if dx is None else dx + through
    if g0 is not None and weight is not None and needs[1]:
        dw = _seen(normalization_sums(g0, self, None, result1, frame)[0], tuple(weight.shape))
    return dx, dw


@_rms_norm.batch
def _rms_norm_batch(level: Any, op: Op, self: Any, weight: Any, frame: Frame, eps: float) -> Any:
    p = level.front(self)
    own = _layer_frame(tuple(p.shape), len(frame[1]))
    if not level.holds(weight):
        return level.wrap(op(p, weight, own, eps))
    y, rstd = op(p, None, own, eps)
    return level.wrap([affine(level, y, weight, None, weights_of(frame)), rstd])


@function(places="t", aliases=("nn.functional.rms_norm",))
def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """`x / sqrt(mean(x**2) + eps) * weight`, the mean over the last dims, `normalized_shape`.

    `eps` is that of the dtype unless given. RuntimeError if a shape does not fit.

    >>> import pullback as torch
    >>> torch.nn.functional.rms_norm(torch.tensor([3.0, 4.0]), (2,))
    tensor([0.8485, 1.1314])
    """
    normal = check_layer("rms_norm", tuple(input.shape), normalized_shape, weight=weight)
    dtype = input.dtype
    if dtype.kind not in "fc":
        raise NotImplementedError(f"\"rms_norm\" not implemented for '{dtype.type_name}'")
    if eps is None:
        eps = finfo(float32 if dtype.itemsize == 2 else dtype.to_real()).eps
    if dtype.kind == "f" and (weight is None or weight.dtype in (dtype, float32)):
        return _rms_norm(input, weight, _layer_frame(tuple(input.shape), len(normal)), eps)[0]
    x = (input.to(float32) if dtype.itemsize == 2 else input).contiguous()
    square = ops.mean(ops.pow(x, 2), tuple(range(-len(normal), 0)), True)
    y = x * ops.rsqrt(square + eps)
    if weight is not None:
        y = y * weight
    return y.to(dtype)


@function(places="", aliases=("nn.functional.normalize",))
def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """`x / max(norm(x), eps)`, the p-norm over `dim`.

    >>> import pullback as torch
    >>> torch.nn.functional.normalize(torch.tensor([3.0, 4.0]), dim=0)
    tensor([0.6000, 0.8000])
    """
    length = ops.clamp_min(ops.vector_norm(input, p, dim, True), eps)
    return ops.div(input, ops.expand_as(length, input), out=out)


@function(places="", aliases=("nn.functional.local_response_norm",))
def local_response_norm(
    input: Tensor, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """`x / (k + alpha * mean(x**2))**beta`, the mean over `size` neighbouring channels, zeros beyond.

    ValueError for fewer than three dims.

    >>> import pullback as torch
    >>> torch.nn.functional.local_response_norm(torch.ones(1, 1, 1), 1, alpha=3.0, beta=1.0)
    tensor([[[0.2500]]])
    """
    if input.ndim < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input "
            f"(got {input.ndim} dimensions)"
        )
    integer = input.dtype is int64
    if input.dtype.kind != "f" and not integer:
        unimplemented("avg_pool2d" if input.ndim == 3 else "avg_pool3d")(input.dtype)
    if not input.numel():
        return input
    square, channels = input * input, input.shape[1]

    def zeros(count: int) -> Tensor:
        return ops.zeros((input.shape[0], count, *input.shape[2:]), dtype=input.dtype)

    padded = ops.cat([zeros(size // 2), square, zeros((size - 1) // 2)], 1)
    total = ops.narrow(padded, 1, 0, channels)
    for start in range(1, size):
        total = total + ops.narrow(padded, 1, start, channels)
    average = total // size if integer else total / size
    return input / ops.pow(average * alpha + k, beta)


# ---------------------------------------------------------------------------------- what is refused


def check_mixed(x: Spec, *parameters: Spec | None) -> None:
    """Refuses parameters in another dtype, save float32 ones with a half-precision input."""
    for a in parameters:
        if a is not None and a.dtype is not x.dtype:
            if a.dtype is not float32:
                raise RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float")
            if x.dtype.itemsize != 2:
                raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")


def check_layer(name: str, shape: Any, normal: Any, **parameters: Any) -> tuple[int, ...]:
    """The normalised shape, checked against the input and the parameters."""
    if not isinstance(normal, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'normalized_shape' (position 2) must be tuple of ints, not "
            f"{type(normal).__name__}"
        )
    normal = tuple(normal)
    if not normal:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for label, a in parameters.items():
        if a is not None and tuple(a.shape) != normal:
            raise RuntimeError(
                f"Expected {label} to be of same shape as normalized_shape, but got {label} of shape "
                f"{list(a.shape)} and normalized_shape = {list(normal)}"
            )
    if tuple(shape[-len(normal) :]) != normal:
        listed = ", ".join(map(str, normal))
        comma = ", " if name == "layer_norm" else ""
        raise RuntimeError(
            f"Given normalized_shape=[{listed}], expected input with shape [*{comma}{listed}], but "
            f"got input of size{list(shape)}"
        )
    return normal


def _require_float(x: Spec, kernel: str) -> None:
    if x.dtype.kind != "f":
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{x.dtype.type_name}'")


def check_count(size: Any) -> None:
    """Refuses to take the variance of one number."""
    if math.prod([size[0], *size[2:]]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")
