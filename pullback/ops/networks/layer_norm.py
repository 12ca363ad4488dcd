"""Normalisation over rows: the frame that all kinds share, layer_norm, group_norm, rms_norm, normalize.

A `Frame` says how the numbers lie: for the kernels in `kernels/norms.pyx`, and as shapes for the rules.
A norm is one op, whose results are y, the mean, 1 / deviation and the variance; the rule of y is
`normalization_slope` for the input and `normalization_sums` for weight and bias. These are ops with rules
of their own, made of plain ops, and mean and deviation have a gradient, too: so there are derivatives of
every order. batch_norm is in batch_norm.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import finfo, float32, int64
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels import norms
from pullback.ops.shared.batches import affine, folded, unfolded, viewed
from pullback.ops.shared.refusals import unimplemented


class Frame(NamedTuple):
    """How the numbers of an input are normalised."""

    kernel: tuple[Any, ...]  # the layout of kernels/norms.pyx
    own: tuple[int, ...]  # the shape of the mean that the op gives
    shape: tuple[int, ...]  # the input's, seen so that the statistics broadcast
    stats: tuple[int, ...]  # the mean's in that view
    weights: tuple[int, ...]  # the weight's in that view
    dims: tuple[int, ...]  # what is averaged over in that view
    turned: bool = False  # the kernel sees the transpose of a matrix


# ----------------------------------------------------------------------------------- kernels


def _as_operand(a: Any, frame: Frame | None = None) -> Any:
    """A contiguous array of float32 or float64, transposed if the frame says so."""
    if a is None:
        return None
    if a.dtype.itemsize == 2:
        a = a.astype(np.float32)
    if frame is not None and frame.turned:
        a = a.reshape(a.shape[:2]).T
    return np.ascontiguousarray(a)


def _as_input(result: Any, like: Any, frame: Frame) -> Any:
    """A result of the kernels in the input's shape and dtype."""
    if frame.turned:
        result = result.T.copy().reshape(like.shape)
    return result if result.dtype == like.dtype else result.astype(like.dtype)


def normalised(x: Any, weight: Any, bias: Any, frame: Frame, eps: float) -> Any:
    """The kernel of the norms: y, mean, 1 / deviation, variance."""
    check_mixed(x, weight, bias)
    plain = _as_operand(x, frame)
    mean, rstd, variance = norms.statistics(plain, frame.kernel, eps)
    y = norms.apply(plain, mean, rstd, _as_operand(weight), _as_operand(bias), frame.kernel)
    own = frame.own
    return _as_input(y, x, frame), mean.reshape(own), rstd.reshape(own), variance.reshape(own)


@op(name="normalization_slope", places="", takes_half=True)
def normalization_slope(
    self: Array, input: Array, weight: Array | None, mean: Array, rstd: Array, frame: Frame
) -> Any:
    """The gradient of a norm's input, for the gradient `self` of its result."""
    x = _as_operand(input, frame)
    g = _as_operand(self.astype(input.dtype, copy=False), frame)
    result = norms.input_gradient(
        g, x, _as_operand(mean), _as_operand(rstd), _as_operand(weight), frame.kernel
    )
    return _as_input(result, input, frame)


@op(name="normalization_sums", places="", takes_half=True)
def normalization_sums(self: Array, input: Array, mean: Array, rstd: Array, frame: Frame) -> Any:
    """The gradients of a norm's weight and bias."""
    x = _as_operand(input, frame)
    g = _as_operand(self.astype(input.dtype, copy=False), frame)
    return norms.affine_gradients(
        g, x, _as_operand(mean), _as_operand(rstd), math.prod(frame.weights), frame.kernel
    )


# ------------------------------------------------------------------------------------- shapes


def _statistics_dtype(x: Any) -> Any:
    """That of mean and deviation: no half precision."""
    return np.dtype(np.float32) if x.dtype.itemsize == 2 else x.dtype


def norm_meta(self: Any, weight: Any, bias: Any, frame: Frame, *rest: Any) -> tuple[Any, ...]:
    """The shape rule of the norms: y, mean, 1 / deviation, variance."""
    check_mixed(self, weight, bias)
    statistics = [meta_array(frame.own, _statistics_dtype(self)) for _ in range(3)]
    return (meta_array(self.shape, self.dtype), *statistics)


normalization_slope.meta(lambda self, input, *rest: meta_array(input.shape, input.dtype))


@normalization_sums.meta
def _normalization_sums_meta(self: Any, input: Any, mean: Any, rstd: Any, frame: Frame) -> tuple[Any, ...]:
    count = (math.prod(frame.weights),)
    return meta_array(count, _statistics_dtype(input)), meta_array(count, _statistics_dtype(input))


# ------------------------------------------------------------------------------------- rules


def _seen(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    return t if tuple(t.shape) == shape else ops.reshape(t, shape)


def _folded(t: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A gradient in the frame's view, summed to one of the frame's shapes, in the shape of `like`."""
    return ops.reshape(ops.sum_to_size(t, shape), tuple(like.shape))


def norm_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    g2: Tensor | None,
    g3: Tensor | None,
    self: Tensor,
    weight: Tensor | None,
    bias_shape: tuple[int, ...] | None,
    frame: Frame,
    result1: Tensor,
    result2: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """The rule of the norms: gradients of input, weight and bias."""
    parts = []
    dw = db = None
    if g0 is not None:
        if needs[0]:
            parts.append(normalization_slope(g0, self, weight, result1, result2, frame))
        if any(needs[1:]):
            dw, db = normalization_sums(g0, self, result1, result2, frame)
            dw = None if weight is None else _seen(dw, tuple(weight.shape))
            db = None if bias_shape is None else _seen(db, tuple(bias_shape))
    if needs[0] and (g1 is not None or g2 is not None or g3 is not None):
        parts.append(_statistics_slope(g1, g2, g3, self, frame, result1, result2))
    dx = parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None
    return dx, dw, db


def _statistics_slope(
    g1: Tensor | None,
    g2: Tensor | None,
    g3: Tensor | None,
    self: Tensor,
    frame: Frame,
    mean: Tensor,
    rstd: Tensor,
) -> Tensor:
    """The gradient of the input through mean, 1 / deviation and variance."""
    count = math.prod(frame.shape[d] for d in frame.dims)
    away = _seen(self, frame.shape) - _seen(mean, frame.stats)
    total: Any = 0
    if g1 is not None:
        total = total + _seen(g1, frame.stats)
    if g2 is not None:
        total = total - _seen(g2 * rstd * rstd * rstd, frame.stats) * away
    if g3 is not None:
        total = total + _seen(g3 * 2, frame.stats) * away
    return _seen(ops.expand(total / count, frame.shape), tuple(self.shape))


@normalization_slope.joint_vjp
def _normalization_slope_vjp(
    g: Tensor,
    self: Tensor,
    input: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    rstd: Tensor,
    frame: Frame,
) -> tuple[Tensor | None, ...]:
    m, r = _seen(mean, frame.stats), _seen(rstd, frame.stats)
    up, away = _seen(self, frame.shape), _seen(input, frame.shape) - m
    v, unit = _seen(g, frame.shape), away * r

    def average(t: Tensor) -> Tensor:
        return ops.mean(t, frame.dims, True)

    scaled = up if weight is None else up * _seen(weight, frame.weights)
    straight = _seen(normalization_slope(g, input, None, mean, rstd, frame), frame.shape)
    tilt = average(scaled * unit)
    d_unit = -r * (v * tilt + scaled * average(v * unit))
    dx = d_unit * r
    own = straight if weight is None else straight * _seen(weight, frame.weights)
    d_rstd = v * (scaled - average(scaled) - unit * tilt) + d_unit * away
    return (
        _seen(own, tuple(self.shape)),
        _seen(dx, tuple(input.shape)),
        None if weight is None else _folded(straight * up, frame.weights, weight),
        _folded(-dx, frame.stats, mean),
        _folded(d_rstd, frame.stats, rstd),
    )


@normalization_sums.joint_vjp
def _normalization_sums_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    self: Tensor,
    input: Tensor,
    mean: Tensor,
    rstd: Tensor,
    frame: Frame,
) -> tuple[Tensor | None, ...]:
    shape = tuple(self.shape)
    even = None if g1 is None else ops.expand(_seen(g1, frame.weights), frame.shape)
    if g0 is None:
        return (None if even is None else _seen(even, shape)), None, None, None
    r = _seen(rstd, frame.stats)
    up, away = _seen(self, frame.shape), _seen(input, frame.shape) - _seen(mean, frame.stats)
    v = _seen(g0, frame.weights)
    own = v * (away * r)
    dx = v * up * r
    return (
        _seen(own if even is None else own + even, shape),
        _seen(dx, tuple(input.shape)),
        _folded(-dx, frame.stats, mean),
        _folded(v * up * away, frame.stats, rstd),
    )


def _widths(frame: Frame) -> tuple[int, ...]:
    """The shape of weights, with as many dims as the input is seen in."""
    return (1,) * (len(frame.shape) - len(frame.weights)) + tuple(frame.weights)


@normalization_slope.batch
def _norm_slope_batch(
    level: Any, op: Op, self: Any, input: Any, weight: Any, mean: Any, rstd: Any, frame: Frame
) -> Any:
    """r * (h - mean(h) - xhat * mean(h * xhat)), h = g * weight."""
    r = viewed(level, rstd, frame.stats)
    xhat = (viewed(level, input, frame.shape) - viewed(level, mean, frame.stats)) * r
    h = viewed(level, self, frame.shape)
    h = h if weight is None else h * viewed(level, weight, _widths(frame))
    dims = tuple([d if d < 0 else d - len(frame.shape) for d in frame.dims])
    dx = r * (h - ops.mean(h, dims, True) - xhat * ops.mean(h * xhat, dims, True))
    return level.wrap(ops.reshape(dx, (level.size, *input.shape)))


@normalization_sums.batch
def _norm_sums_batch(level: Any, op: Op, self: Any, input: Any, mean: Any, rstd: Any, frame: Frame) -> Any:
    """Sums of g * xhat and of g."""
    own = tuple(frame.weights) if frame.own == frame.stats else (-1,)
    away = viewed(level, input, frame.shape) - viewed(level, mean, frame.stats)
    xhat = away * viewed(level, rstd, frame.stats)
    g = ops.expand(viewed(level, self, frame.shape), (level.size, *frame.shape))
    sums = [ops.sum_to_size(t, (level.size, *_widths(frame))) for t in (g * xhat, g)]
    return level.wrap([ops.reshape(t, (level.size, *own)) for t in sums])


# -------------------------------------------------------------------------------- layer_norm


@functools.lru_cache(256)
def _layer_frame(shape: tuple[int, ...], normal: tuple[int, ...]) -> Frame:
    count = len(normal)
    lead = shape[: len(shape) - count]
    rows, size = math.prod(lead), math.prod(normal)
    stats = lead + (1,) * count
    dims = tuple(range(-count, 0))
    return Frame((rows, size, 1, size, size, True, 1, 0, 0), stats, shape, stats, normal, dims)


@op(name="native_layer_norm", places="", takes_half=True)
def _layer_norm(self: Array, weight: Array | None, bias: Array | None, frame: Frame, eps: float) -> Any:
    _require_float(self, "LayerNormKernelImpl")
    return normalised(self, weight, bias, frame, eps)


@_layer_norm.meta
def _layer_norm_meta(self: Any, *rest: Any) -> tuple[Any, ...]:
    _require_float(self, "LayerNormKernelImpl")
    return norm_meta(self, *rest)


_layer_norm.joint_vjp(norm_vjp)


@_layer_norm.batch
def _layer_norm_batch(level: Any, op: Op, self: Any, weight: Any, bias: Any, frame: Frame, eps: float) -> Any:
    p = level.front(self)
    own = _layer_frame(tuple(p.shape), frame.weights)
    if not (level.holds(weight) or level.holds(bias)):
        return level.wrap(op(p, weight, bias, own, eps))
    y, *stats = op(p, None, None, own, eps)
    shape = (1,) * (self.ndim - len(frame.weights)) + tuple(frame.weights)
    return level.wrap([affine(level, y, weight, bias, shape), *stats])


def _checked_layer_norm(
    name: str, input: Tensor, normalized_shape: Any, weight: Any, bias: Any, eps: float
) -> tuple[Tensor, ...]:
    shape = tuple(input.shape)
    normal = check_layer(name, shape, normalized_shape, weight=weight, bias=bias)
    return _layer_norm(input, weight, bias, _layer_frame(shape, normal), eps)


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
    return _checked_layer_norm("layer_norm", input, normalized_shape, weight, bias, eps)[0]


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
    return _checked_layer_norm("layer_norm", input, normalized_shape, weight, bias, eps)[0]


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
    y, mean, rstd, _ = _checked_layer_norm("layer_norm", input, normalized_shape, weight, bias, eps)
    return y, mean.detach(), rstd.detach()


# -------------------------------------------------------------------------------- group_norm


@functools.lru_cache(256)
def _group_frame(shape: tuple[int, ...], groups: int) -> Frame:
    samples, channels = shape[:2]
    per, size = channels // groups, math.prod(shape[2:])
    rows = samples * groups
    if size == 1:
        kernel = rows, per, 1, per, per, True, groups, per, 0
    else:
        kernel = rows, per * size, per, size, size, False, groups, per, 1
    seen = samples, groups, per, size
    return Frame(kernel, (samples, groups), seen, (samples, groups, 1, 1), (1, groups, per, 1), (-2, -1))


@op(name="native_group_norm", places="", takes_half=True)
def _group_norm(self: Array, weight: Array | None, bias: Array | None, frame: Frame, eps: float) -> Any:
    _require_float(self, "GroupNormKernelImpl")
    return normalised(self, weight, bias, frame, eps)


@_group_norm.meta
def _group_norm_meta(self: Any, *rest: Any) -> tuple[Any, ...]:
    _require_float(self, "GroupNormKernelImpl")
    return norm_meta(self, *rest)


_group_norm.joint_vjp(norm_vjp)


@_group_norm.batch
def _group_norm_batch(level: Any, op: Op, self: Any, weight: Any, bias: Any, frame: Frame, eps: float) -> Any:
    flat = folded(level, self)
    apart = level.holds(weight) or level.holds(bias)
    inside = (None, None) if apart else (weight, bias)
    results = op(flat, *inside, _group_frame(tuple(flat.shape), frame.shape[1]), eps)
    y, *stats = [unfolded(level, r) for r in results]
    if apart:
        shape = (1, self.shape[1], *(1,) * (self.ndim - 2))
        y = level.wrap(affine(level, y.physical, weight, bias, shape))
    return (y, *stats)


def _group(input: Tensor, groups: int, weight: Any, bias: Any, eps: float) -> tuple[Tensor, ...]:
    shape = tuple(input.shape)
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if shape[1] % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(shape)} and num_groups={groups}"
        )
    for label, a in (("weight", weight), ("bias", bias)):
        if a is not None and tuple(a.shape) != shape[1:2]:
            raise RuntimeError(
                f"Expected {label} to be a vector of size equal to the number of channels in input, "
                f"but got {label} of shape {list((weight if weight is not None else a).shape)} and "
                f"input of shape {list(shape)}"
            )
    return _group_norm(input, weight, bias, _group_frame(shape, groups), eps)


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
    return _group(input, num_groups, weight, bias, eps)[0]


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
    return _group(input, num_groups, weight, bias, eps)[0]


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
    result, mean, rstd, *_ = _group(input, group, weight, bias, eps)
    return result, mean, rstd


# ----------------------------------------------------------------------- rms_norm and normalize


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
    x = (input.to(float32) if dtype.itemsize == 2 else input).contiguous()
    if eps is None:
        eps = finfo(x.dtype.to_real()).eps
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


def check_mixed(x: Any, *parameters: Any) -> None:
    """Refuses parameters in another dtype, save float32 ones with a half-precision input."""
    for a in parameters:
        if a is not None and a.dtype != x.dtype:
            if a.dtype != np.float32:
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


def _require_float(x: Any, kernel: str) -> None:
    if x.dtype.kind != "f" and type_name(x) not in ("BFloat16", "Half"):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(x)}'")


def check_count(size: Any) -> None:
    """Refuses to take the variance of one number."""
    if math.prod([size[0], *size[2:]]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {size}")
