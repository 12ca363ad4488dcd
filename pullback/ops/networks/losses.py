"""Losses of an input and a target of one shape: squares, absolute values, entropies, likelihoods.

A loss is an op with a kernel where it can be, and the function that checks and calls it, which `loss`
publishes. Read reduction.py, then `mse_loss`. Losses of classes are in cross_entropy.py, those with
margins in margins.py.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj, result_type
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import float32, float64, promote_types
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array
from pullback.kernels.rows import RUNS as ROWS
from pullback.kernels.steps import UNIT
from pullback.ops.networks.reduction import (
    MEAN,
    NONE,
    SUM,
    loss,
    named_code,
    reduced,
    reduced_array,
    reduction_of,
    share,
)
from pullback.ops.reductions.plans import fold_step
from pullback.ops.reductions.reduce import widened
from pullback.ops.reductions.row_plans import Frame, Lying, elementwise_plan, placed, spread
from pullback.ops.shared.batches import padded, rank
from pullback.ops.shared.chains import Chain, Place, Step, labels_of, operand
from pullback.ops.shared.dims import broadcasts
from pullback.ops.shared.refusals import unimplemented


def paired(name: str, input: Tensor, target: Tensor, warn: bool = True) -> tuple[Tensor, Tensor]:
    """Input and target in one floating-point dtype, of shapes that broadcast; warns if they differ."""
    if input.shape != target.shape:
        if warn:
            warn_each_time(
                f"Using a target size ({target.shape}) that is different to the input size "
                f"({input.shape}). This will likely lead to incorrect results due to "
                "broadcasting. Please ensure they have the same size.",
            )
        ops.broadcast_tensors(input, target)
    if input.dtype is not target.dtype:
        common = result_type(input, target)
        input, target = input.to(common), target.to(common)
    if name and input.dtype.kind != "f":
        unimplemented(name)(input.dtype)
    return input, target


# ---------------------------------------------------------------------------------- under vmap


def reduced_batch(level: Any, loss: Tensor, reduction: int) -> Any:
    """Losses of all samples' elements, reduced to one of each sample."""
    if reduction == NONE or loss.ndim == 1:
        return level.wrap(loss)
    dims = tuple(range(1, loss.ndim))
    return level.wrap(ops.mean(loss, dims) if reduction == MEAN else ops.sum(loss, dims))


def _loss_batch(level: Any, op: Op, self: Any, target: Any, *args: Any) -> Any:
    """Losses of all elements, which are reduced sample by sample."""
    most = max(rank(x) for x in (self, target, *args))
    given: list[Any] = [padded(x.physical, most) if level.holds(x) else x for x in (self, target, *args)]
    shape = (level.size, *ops.common_shape(self.shape, target.shape))
    for i in range(2):
        if tuple(given[i].shape) != shape:
            given[i] = ops.expand(given[i], shape)
    place = op.params.index("reduction")
    reduction, given[place] = given[place], NONE
    return reduced_batch(level, op(*given), reduction)


# ---------------------------------------------------------------------------- plans, and the slopes


def _loss_plan(
    name: str,
    self: Spec,
    target: Spec,
    reduction: int,
    k: float = 1.0,
    weight: Spec | None = None,
    third: Spec | None = None,
) -> Plan:
    """The plan of a loss of kernels/loss_bodies.h; of operands of several dtypes its kernel does it."""
    given = [t for t in (self, target, weight, third) if t is not None]
    shape = functools.reduce(ops.common_shape, [t.shape for t in given])
    common = functools.reduce(promote_types, [t.dtype for t in given])
    result = Spec(common, shape if reduction == NONE else ())
    if any(t.dtype is not common for t in given) or common.kind != "f":
        return Plan(result)
    operands = [None if t is None else spread(t, shape) for t in (self, target, weight, third)]
    count = float(math.prod(shape)) if reduction == MEAN else 1.0
    if reduction == NONE:
        return elementwise_plan(name, result, [*operands, spread(result, shape)], 4, shape, (1.0, k))
    if math.prod(shape) >= LONG_LOSS and common in (float32, float64) and all(t.contiguous for t in given):
        length = next((n for n in range(LOSS_ROW, LOSS_ROW // 2, -1) if math.prod(shape) % n == 0), 0)
        if length and all(t.shape == shape for t in given):
            return _total_by_rows(name, result, (self, target, weight, third), length, (count, k))
    operands.append(placed(result, len(shape), ()))
    return elementwise_plan(f"{name}_total", result, operands, 4, shape, (count, k), whole=True)


LONG_LOSS = 1 << 16
"""Numbers from which on a total is that of the totals of rows, which threads share."""
LOSS_ROW = 8192
"""About how many numbers such a row has."""


def _total_by_rows(
    name: str, result: Spec, tensors: Sequence[Spec | None], length: int, parameters: tuple[float, float]
) -> Plan:
    """The plan of a total over contiguous operands of one shape: one of each row, then their sum."""
    given = [t for t in tensors if t is not None]
    rows, kind, item = given[0].size // length, result.dtype, result.itemsize
    chain = Chain(len(given), result)
    totals = chain.room(kind, {0: rows})
    numbers = Lying(kind, (length * item, item), (0, 1))
    lying = [None if t is None else numbers for t in tensors]
    frame = Frame(
        (rows, length), (1,), [*lying, Lying(kind, (item, 0), (0,))], 4, 1, real=kind, parameters=parameters
    )
    step = Step(ROWS[f"{name}_total"][kind.name], frame.geometry(), frame.parts, frame.scratch, rows * length)
    chain.add(step, *[Place(i) for i in range(len(given))], totals.place)
    chain.add(fold_step("sum", totals, {0}, item), totals.place, chain.result())
    return chain.plan()


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


_SLOPES: dict[str, Any] = {
    "mse": lambda x, y, k: 2 * (x - y),
    "huber": lambda x, y, k: np.clip(x - y, -k, k),
    "smooth_l1": lambda x, y, k: np.clip((x - y) / k, -1, 1),
    "soft_margin": lambda x, y, k: -y * _sigmoid(-x * y),
    "bce_logits": lambda x, y, k: (1 - y) * _sigmoid(x) - k * y * _sigmoid(-x),
}
"""The slopes of the losses by their input; `k` is the knee, or the weight of positive targets."""


_NODES = {
    "mse": "MseLossBackwardBackward0",
    "huber": "HuberLossBackwardBackward0",
    "smooth_l1": "SmoothL1LossBackwardBackward0",
    "soft_margin": "SoftMarginLossBackwardBackward0",
    "bce_logits": "MulBackward0",
}


@op(name="loss_slope", places="", takes_half=True)
def _loss_slope(
    self: Array,
    input: Array,
    target: Array,
    weight: Array | None,
    third: Array | None,
    reduction: int,
    name: str,
    k: float,
) -> Any:
    """The gradient of a loss's input for that of the loss, `self`; not yet summed to the input's shape."""
    x, y = widened(input), widened(target)
    slope = _SLOPES[name](x, y, x.dtype.type(k) if third is None else widened(third))
    slope = slope if weight is None else slope * widened(weight)
    g = widened(self) / slope.size if reduction == MEAN else widened(self)
    return np.asarray(g * slope).astype(input.dtype, copy=False)


_loss_slope.variant = lambda saved: _NODES[saved["name"]]


@_loss_slope.prepare
def _plan_loss_slope(
    self: Spec,
    input: Spec,
    target: Spec,
    weight: Spec | None,
    third: Spec | None,
    reduction: int,
    name: str,
    k: float,
) -> Plan:
    given = [t for t in (input, target, weight, third) if t is not None]
    shape = functools.reduce(ops.common_shape, [t.shape for t in (self, *given)])
    result = Spec(input.dtype, shape)
    if any(t.dtype is not input.dtype for t in (self, *given)) or input.dtype.kind != "f":
        return Plan(result)
    up = spread(self, shape) if self.ndim else placed(self, len(shape), ())
    operands = [up, *(None if t is None else spread(t, shape) for t in (input, target, weight, third))]
    count = float(math.prod(shape)) if reduction == MEAN else 1.0
    return elementwise_plan(f"{name}_slope", result, [*operands, spread(result, shape)], 5, shape, (count, k))


def _bends(name: str, x: Tensor, y: Tensor, third: Tensor | None, k: float) -> tuple[Any, Any, Any]:
    """How fast the slope changes with x, y and the third operand."""
    if name == "soft_margin":
        s = ops.sigmoid(-x * y)
        rest = s * (1 - s)
        return y * y * rest, x * y * rest - s, None
    if name == "bce_logits":
        s, p = ops.sigmoid(x), 1.0 if third is None else third
        up, down = s * (1 - s), ops.sigmoid(-x)
        return (1 - y) * up + p * y * up, -s - p * down, -y * down
    if name == "mse":
        return 2.0, -2.0, None
    inside = ops.abs(x - y) < k
    bend = ops.where(inside, 1 / k if name == "smooth_l1" else 1.0, 0.0).to(x.dtype)
    return bend, -bend, None


@_loss_slope.joint_vjp
def _loss_slope_vjp(
    g: Tensor,
    self: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    third: Tensor | None,
    reduction: int,
    name: str,
    k: float,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    own = _loss_slope(g, input, target, weight, third, reduction, name, k) if needs[0] else None
    if not any(needs[1:]):
        return own, None, None, None, None
    up = share(g * self, g.numel(), reduction)
    scaled = up if weight is None else up * weight
    by_x, by_y, by_third = _bends(name, input, target, third, k)
    by_weight = _loss_slope(up, input, target, None, third, NONE, name, k) if weight is not None else None
    return own, scaled * by_x, scaled * by_y, by_weight, None if third is None else scaled * by_third


def _slope(name: str, g: Tensor, x: Tensor, y: Tensor, reduction: int, k: float = 1.0) -> Tensor:
    """The gradient of x, of a loss of two operands that is the same if they change places."""
    return _loss_slope(g, x, y, None, None, reduction, name, float(k))


@_loss_slope.batch
def _loss_slope_batch(
    level: Any,
    op: Op,
    self: Any,
    input: Any,
    target: Any,
    weight: Any,
    third: Any,
    reduction: int,
    name: str,
    k: float,
) -> Any:
    """The gradient of each sample's loss, spread over its elements."""
    given = [t for t in (input, target, weight, third) if t is not None]
    shape = functools.reduce(ops.common_shape, [tuple(t.shape) for t in given])
    up = share(level.front(self), math.prod(shape), reduction)
    parts: list[Any] = [up, input, target, weight, third]
    for i, t in enumerate(parts):
        if t is not None:
            p = t if i == 0 else level.front(t)
            parts[i] = padded(p, len(shape)) if p.ndim <= len(shape) else p
    return level.wrap(op(*parts, NONE, name, k))


# --------------------------------------------------------------------------- squares and distances


@op(name="mse_loss", places="", layout="K")
def _mse_loss(self: Array, target: Array, reduction: int) -> Any:
    away = np.asarray(self - target)
    return reduced_array(np.multiply(away, away, away), reduction)


_mse_loss.prepare(lambda self, target, reduction: _loss_plan("mse", self, target, reduction))
_mse_loss.vjp(
    self=lambda g, self, target, reduction: _slope("mse", g, self, target, reduction),
    target=lambda g, self, target, reduction: _slope("mse", g, target, self, reduction),
)


@loss
def mse_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """`(x - y)**2`, as it is, its mean or its sum; with weights the mean is over their sum.

    Shapes that only broadcast are warned of. ValueError for weights of another shape than the
    input. The gradient is `2 (x - y) g`, over the count for a mean.

    >>> import pullback as torch
    >>> torch.nn.functional.mse_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(2.)
    """
    code = reduction_of(reduction)
    input, target = paired("mse_cpu", input, target)
    if weight is not None:
        return _weighted(ops.pow(input - target, 2), weight, input, code)
    return _mse_loss(input, target, code)


def _weighted(losses: Tensor, weight: Tensor, input: Tensor, reduction: int) -> Tensor:
    """Weighted losses, reduced: the mean is over the sum of the weights."""
    _same_size(weight, input)
    losses = losses * weight
    if reduction == MEAN:
        return ops.sum(losses) / ops.sum(weight)
    return reduced(losses, reduction)


def _same_size(weight: Tensor, input: Tensor) -> None:
    if weight.shape != input.shape:
        raise ValueError("Weights and input must have the same size.")


@loss
def l1_loss(
    input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None
) -> Tensor:
    """`|x - y|`, as it is, its mean or its sum; with weights the mean is over their sum.

    Shapes that only broadcast are warned of. The gradient is `sgn(x - y) g`.

    >>> import pullback as torch
    >>> torch.nn.functional.l1_loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """
    code = reduction_of(reduction)
    input, target = paired("", input, target)
    losses = ops.abs(input - target)
    return reduced(losses, code) if weight is None else _weighted(losses, weight, input, code)


def _bent(away: Any, knee: float) -> Any:
    """Half the square of small distances, and knee * (distance - knee / 2) beyond."""
    size = np.abs(away)
    near = np.minimum(size, away.dtype.type(knee))
    return near * (size - near * away.dtype.type(0.5))


@op(name="smooth_l1_loss", places="", grad_name="SmoothL1LossBackward0", layout="K")
def _smooth_l1_loss(self: Array, target: Array, reduction: int, beta: float) -> Any:
    away = np.asarray(self - target)
    return reduced_array(_bent(away, beta) / away.dtype.type(beta), reduction)


_smooth_l1_loss.prepare(
    lambda self, target, reduction, beta: _loss_plan("smooth_l1", self, target, reduction, float(beta))
)
_smooth_l1_loss.vjp(
    self=lambda g, self, target, reduction, beta: _slope("smooth_l1", g, self, target, reduction, beta),
    target=lambda g, self, target, reduction, beta: _slope("smooth_l1", g, target, self, reduction, beta),
)


@loss
def smooth_l1_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """`(x - y)**2 / (2 beta)` where `|x - y| < beta`, `|x - y| - beta / 2` beyond; reduced.

    `l1_loss` for beta 0; RuntimeError for a negative one. The gradient is `(x - y) / beta`,
    limited to [-1, 1], times g.

    >>> import pullback as torch
    >>> torch.nn.functional.smooth_l1_loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """
    code = reduction_of(reduction)
    if beta == 0:
        return reduced(ops.abs(ops.sub(*paired("", input, target))), code)
    input, target = paired("smooth_l1_cpu", input, target)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    return _smooth_l1_loss(input, target, code, beta)


@op(name="huber_loss", places="", layout="K")
def _huber_loss(self: Array, target: Array, reduction: int, delta: float) -> Any:
    return reduced_array(_bent(np.asarray(self - target), delta), reduction)


_huber_loss.prepare(
    lambda self, target, reduction, delta: _loss_plan("huber", self, target, reduction, float(delta))
)
_huber_loss.vjp(
    self=lambda g, self, target, reduction, delta: _slope("huber", g, self, target, reduction, delta),
    target=lambda g, self, target, reduction, delta: _slope("huber", g, target, self, reduction, delta),
)


@function(places="", aliases=("nn.functional.huber_loss",))
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """`(x - y)**2 / 2` where `|x - y| <= delta`, `delta * (|x - y| - delta / 2)` beyond; reduced.

    RuntimeError for a delta that is not positive. The gradient is `x - y`, limited to
    [-delta, delta], times g.

    >>> import pullback as torch
    >>> torch.nn.functional.huber_loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 1.0]))
    tensor(1.)
    """
    code = reduction_of(reduction)
    input, target = paired("huber_cpu", input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    if weight is None:
        return _huber_loss(input, target, code, delta)
    _same_size(weight, input)
    return reduced(_huber_loss(input, target, NONE, delta) * weight, code)


@op(name="soft_margin_loss", places="", layout="K")
def _soft_margin_loss(self: Array, target: Array, reduction: int) -> Any:
    z = np.asarray(self * target)
    if z.dtype.kind == "c":
        return reduced_array(np.log(1 + np.exp(-z)), reduction)
    return reduced_array(np.log1p(np.exp(-abs(z))) - np.minimum(z, 0), reduction)


def _soft_margin_slope(g: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    if self.dtype.kind == "f":
        return _slope("soft_margin", g, self, target, reduction)
    z = self * target
    return conj(-target * ops.sigmoid(-z)) * share(g, z.numel(), reduction)


_soft_margin_loss.prepare(lambda self, target, reduction: _loss_plan("soft_margin", self, target, reduction))
_soft_margin_loss.vjp(
    self=_soft_margin_slope,
    target=lambda g, self, target, reduction: _soft_margin_slope(g, target, self, reduction),
)


@loss
def soft_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """`log(1 + exp(-y x))` for targets 1 and -1, without overflow; reduced.

    The gradient is `-y sigmoid(-y x) g`.

    >>> import pullback as torch
    >>> torch.nn.functional.soft_margin_loss(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    common = result_type(input, target)
    if common.kind in "iu":
        raise RuntimeError(f"result type Float can't be cast to the desired output type {common.type_name}")
    input, target = paired("", input, target, warn=False)
    return _soft_margin_loss(input if input.dtype.kind in "fc" else -input, target, reduction_of(reduction))


# ------------------------------------------------------------------------------ binary entropies


def _weigh(losses: Any, weight: Any) -> Any:
    if weight is None:
        return losses
    try:
        return np.broadcast_to(weight, losses.shape) * losses
    except ValueError:
        raise RuntimeError(
            f"Attempting to broadcast a dimension of length {weight.shape[-1]} at -1! Mismatching "
            f"argument at index 1 had torch.Size({list(weight.shape)}); but expected shape should "
            f"be broadcastable to {list(losses.shape)}"
        ) from None


def _share(g: Tensor, count: int, reduction: int, weight: Tensor | None) -> Tensor:
    g = share(g, count, reduction)
    return g if weight is None else g * weight


_LEAST_LOG = -100.0  # a probability of zero costs this much


def _outside_unit(self: Array, target: Array) -> RuntimeError | None:
    """The error for what is no probability."""
    for name, a in (("input", self), ("target", target)):
        if not bool(((a >= 0) & (a <= 1)).all()):
            return RuntimeError(f"all elements of {name} should be between 0 and 1")
    return None


@op(name="binary_cross_entropy", places="", layout="K")
def _bce(self: Array, target: Array, weight: Array | None, reduction: int) -> Any:
    wrong = _outside_unit(self, target)
    if wrong is not None:
        raise wrong
    yes = np.maximum(np.log(self), self.dtype.type(_LEAST_LOG))
    no = np.maximum(np.log1p(-self), self.dtype.type(_LEAST_LOG))
    return reduced_array(_weigh((target - 1) * no - target * yes, weight), reduction)


def _bce_slope(g: Tensor, self: Tensor, target: Tensor, weight: Tensor | None, reduction: int) -> Tensor:
    variance = ops.clamp_min((1 - self) * self, 1e-12)
    return _share(g, self.numel(), reduction, weight) * (self - target) / variance


def _bce_target_slope(g: Tensor, self: Tensor, weight: Tensor | None, reduction: int) -> Tensor:
    yes = ops.clamp_min(ops.log(self), _LEAST_LOG)
    no = ops.clamp_min(ops.log1p(-self), _LEAST_LOG)
    return _share(g, self.numel(), reduction, weight) * (no - yes)


@_bce.prepare
def _plan_bce(self: Spec, target: Spec, weight: Spec | None, reduction: int) -> Plan:
    kind, result = self.dtype, Spec(self.dtype, self.shape if reduction == NONE else ())
    given = [self, target] if weight is None else [self, target, weight]
    plain = self.contiguous and target.contiguous and all(t.dtype is kind for t in given)
    if not plain or kind.name not in UNIT or not all(broadcasts(t.shape, self.shape) for t in given):
        return Plan(result)
    chain, labels = Chain(len(given), result), range(self.ndim)
    x, y = operand(Place(0), self, labels), operand(Place(1), target, labels)
    yes, no, rest = [chain.room(kind, x.sizes) for _ in range(3)]
    for a in (x, y):
        chain.add(Step(UNIT[kind.name], (self.size,)), a.place)
    chain.pointwise(np.log, x, yes)
    chain.pointwise(np.negative, x, no)
    chain.pointwise(np.log1p, no, no)
    for a in (yes, no):
        chain.pointwise(np.maximum, a, _LEAST_LOG, a)
    chain.pointwise(np.subtract, y, 1, rest)
    chain.pointwise(np.multiply, rest, no, no)
    chain.pointwise(np.multiply, y, yes, yes)
    last = operand(chain.result(), result, labels) if reduction == NONE else no
    chain.pointwise(np.subtract, no, yes, last)
    if weight is not None:
        chain.pointwise(np.multiply, operand(Place(2), weight, labels_of(weight, self.shape)), last, last)
    if reduction != NONE:
        name = "mean" if reduction == MEAN else "sum"
        chain.add(fold_step(name, no, labels, kind.itemsize), no.place, chain.result())
    return chain.plan(lambda status, *arrays: _outside_unit(*arrays[:2]))


_bce.vjp(
    self=_bce_slope,
    target=_bce_target_slope,
    weight=lambda g, self, target, reduction: (
        share(g, self.numel(), reduction) * _bce(self, target, None, NONE)
    ),
)


@loss
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """`-(y log x + (1 - y) log(1 - x))` for probabilities x and y, the logarithms at least -100.

    ValueError for different shapes, RuntimeError for numbers outside [0, 1]. The gradient is
    `(x - y) / (x (1 - x)) g`, times the weight, which broadcasts.

    >>> import pullback as torch
    >>> torch.nn.functional.binary_cross_entropy(torch.tensor([0.5]), torch.tensor([1.0]))
    tensor(0.6931)
    """
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size "
            f"({input.shape}) is deprecated. Please ensure they have the same size."
        )
    if input.dtype is not target.dtype:
        raise RuntimeError(f"Found dtype {target.dtype.type_name} but expected {input.dtype.type_name}")
    if input.dtype.kind != "f":
        unimplemented("binary_cross_entropy")(input.dtype)
    return _bce(input, target, weight, reduction_of(reduction))


@op(name="binary_cross_entropy_with_logits", places="", layout="K")
def _bce_logits(
    self: Array, target: Array, weight: Array | None, pos_weight: Array | None, reduction: int
) -> Any:
    weight_of_ones = 1 if pos_weight is None else pos_weight
    left, taken = 1 - target, weight_of_ones * target
    steep = (weight_of_ones - 1) * target + 1
    with np.errstate(invalid="ignore"):  # x may be infinite
        lines = np.where(
            self < 0, np.where(taken == 0, 0, -taken * self), np.where(left == 0, 0, left * self)
        )
    losses = (steep * np.log1p(np.exp(-abs(self))) + lines).astype(self.dtype)
    if weight is not None:
        losses = losses * weight
    return reduced_array(losses, reduction)


def _logits_slope(
    g: Tensor,
    self: Tensor,
    target: Tensor,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    reduction: int,
) -> Tensor:
    return _loss_slope(g, self, target, weight, pos_weight, reduction, "bce_logits", 1.0)


def _logits_target_slope(
    g: Tensor, self: Tensor, weight: Tensor | None, pos_weight: Tensor | None, reduction: int
) -> Tensor:
    slope = -self if pos_weight is None else ops.logsigmoid(-self) - pos_weight * ops.logsigmoid(self)
    return _share(g, slope.numel(), reduction, weight) * slope


@_bce_logits.prepare
def _plan_bce_logits(self: Spec, target: Spec, weight: Any, pos_weight: Any, reduction: int) -> Plan:
    return _loss_plan("bce_logits", self, target, reduction, 1.0, weight, pos_weight)


_bce_logits.vjp(
    self=_logits_slope,
    target=_logits_target_slope,
    weight=lambda g, self, target, pos_weight, reduction: (
        share(g, self.numel(), reduction) * _bce_logits(self, target, None, pos_weight, NONE)
    ),
    pos_weight=lambda g, self, target, weight, reduction: (
        _share(-g, self.numel(), reduction, weight) * target * ops.logsigmoid(self)
    ),
)


@loss
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of `sigmoid(x)`, without its overflow and loss of digits.

    `pos_weight` multiplies the part of the positive targets; ValueError for different shapes. The
    gradient is `(sigmoid(x) - y) g`; weights and targets have one, too.

    >>> import pullback as torch
    >>> x = torch.tensor([-1000.0, 0.0])
    >>> torch.nn.functional.binary_cross_entropy_with_logits(x, torch.ones(2), reduction="none")
    tensor([1.0000e+03, 6.9315e-01])
    """
    if input.shape != target.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    for other in (weight, pos_weight):
        if other is not None:
            ops.broadcast_tensors(other, input)
    if target.dtype.kind in "iu" and input.dtype.kind == "f":
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {target.dtype.type_name}"
        )
    input, target = paired("log_sigmoid_cpu", input, target)
    return _bce_logits(input, target, weight, pos_weight, reduction_of(reduction))


# ------------------------------------------------------------------- divergences and likelihoods


@loss
def kl_div(input: Tensor, target: Tensor, *, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """`y (log y - x)` for log-probabilities x and probabilities y: the Kullback-Leibler divergence.

    `log_target` says that y is given by its logarithm, too. `reduction="batchmean"` divides the sum
    by the size of dim 0, which is the divergence of its definition. RuntimeError for integers.

    >>> import pullback as torch
    >>> x, y = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]])
    >>> torch.nn.functional.kl_div(x, y, reduction="batchmean")
    tensor(0.6931)
    """
    batch_mean = reduction == "batchmean"
    if reduction == "mean":
        warn_each_time(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition.'mean' will be changed to behave the same as 'batchmean' in the next major "
            "release.",
        )
    code = SUM if batch_mean else reduction_of(reduction)
    if input.dtype.kind in "biu" and target.dtype.kind in "biu":
        raise RuntimeError("kl_div: Integral inputs not supported.")
    losses = ops.exp(target) * (target - input) if log_target else ops.xlogy(target, target) - target * input
    losses = reduced(losses, code)
    return losses / input.shape[0] if batch_mean and input.ndim else losses


@loss
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-08,
    reduction: str = "mean",
) -> Tensor:
    """`exp(x) - y x`, or `x - y log(x + eps)` if x is no logarithm: the Poisson likelihood; reduced.

    `full` adds Stirling's formula for `log(y!)` where y > 1.

    >>> import pullback as torch
    >>> torch.nn.functional.poisson_nll_loss(torch.tensor([0.0]), torch.tensor([2.0]))
    tensor(1.)
    """
    losses = ops.exp(input) - target * input if log_input else input - target * ops.log(input + eps)
    if full:
        stirling = target * ops.log(target) - target + 0.5 * ops.log(2 * math.pi * target)
        losses = losses + ops.masked_fill(stirling, target <= 1, 0)
    return reduced(losses, reduction_of(reduction))


@function(places="", aliases=("nn.functional.gaussian_nll_loss",))
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-06,
    reduction: str = "mean",
) -> Tensor:
    """`(log v + (x - y)**2 / v) / 2` for a variance v, which is at least `eps`; reduced.

    `full` adds `log(2 pi) / 2`. `var` has the input's shape, or that without or with one for the
    last dim. ValueError for another shape or a negative variance.

    >>> import pullback as torch
    >>> x, y = torch.tensor([1.0]), torch.tensor([3.0])
    >>> torch.nn.functional.gaussian_nll_loss(x, y, torch.tensor([1.0]))
    tensor(2.)
    """
    if ops.any(var < 0).item() if isinstance(var, Tensor) else var < 0:
        raise ValueError("var has negative entry/entries")
    variance: Tensor = var if isinstance(var, Tensor) else var * ops.ones_like(input)
    if variance.shape != input.shape:
        shape, own = tuple(input.shape), tuple(variance.shape)
        if shape[:-1] == own:
            variance = ops.unsqueeze(variance, -1)
        elif len(shape) != len(own) or sum(m for n, m in zip(shape, own, strict=True) if n != m) != 1:
            raise ValueError("var is of incorrect size")
    code = named_code(reduction)
    variance = ops.clone(variance)
    variance.detach().clamp_(min=eps)  # the gradient passes as if there were no limit
    losses = 0.5 * (ops.log(variance) + (input - target) ** 2 / variance)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, code)


for _record in (_mse_loss, _smooth_l1_loss, _huber_loss, _soft_margin_loss, _bce, _bce_logits):
    _record.batch(_loss_batch)
