"""Losses of classes: nll_loss and cross_entropy, of class numbers or of probabilities.

`nll_loss` picks from each row: a linear map, whose derivative, `_nll_slope`, is its adjoint, and the
derivative of that is the map again. Both run by plans, `kernels/nll.h`. `cross_entropy` is `log_softmax` and
`nll_loss`. Read `_nll` first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int64, uint8
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels.nll import RUNS
from pullback.ops.networks.reduction import MEAN, NONE, loss, reduced, reduction_of
from pullback.ops.reductions.reduce import sum_array, widened
from pullback.ops.reductions.row_plans import strides_of
from pullback.ops.shared.dims import view_strides

IGNORED = -100

# ----------------------------------------------------------------------------------- kernels


def _rows_classes_rest(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A shape as rows, classes, and what comes behind the classes."""
    if len(shape) == 1:
        return 1, shape[0], 1
    return shape[0], shape[1], math.prod(shape[2:])


def _used(target: Array, weight: Array | None, ignore_index: int, classes: int) -> tuple[Array, Array]:
    """The class numbers, zero for what is ignored, and the weight of each row. IndexError for no class."""
    kept = target != ignore_index
    index = np.where(kept, target, 0).astype(np.int64)
    if bool(((index < 0) | (index >= classes)).any()):
        raise _no_class(target, ignore_index, classes)
    return index, kept * (np.float32(1) if weight is None else weight[index])


def _no_class(target: Array, ignore_index: int, classes: int) -> IndexError:
    """The error for the first target that is no class."""
    wrong = target[(target != ignore_index) & ((target < 0) | (target >= classes))]
    return IndexError(f"Target {wrong.reshape(-1)[0]} is out of bounds.")


def _nll_kernel(self: Any, target: Any, weight: Any, reduction: int, ignore_index: int) -> Any:
    rows, classes, rest = _rows_classes_rest(self.shape)
    index, factors = _used(target.reshape(rows, rest), weight, ignore_index, classes)
    picked = np.take_along_axis(self.reshape(rows, classes, rest), index[:, None], 1)[:, 0]
    losses = np.asarray(-factors * picked, self.dtype)
    if reduction == NONE:
        return losses.reshape(target.shape if self.ndim > 1 else ())
    total = sum_array(losses, None, False)
    return np.true_divide(total, factors.sum(), total) if reduction == MEAN else total


def _nll_plan(
    name: str,
    result: Spec,
    x: Spec,
    target: Spec,
    weight: Spec | None,
    up: Spec,
    reduction: int,
    ignore_index: int,
) -> Plan:
    """The plan of a loss, or of its gradient: `x` lies like the input, `up` like the loss."""
    rows, classes, rest = _rows_classes_rest(x.shape)
    each = reduction == NONE
    views = [view_strides(t.shape, strides_of(t), (rows, rest)) for t in (target, *([up] if each else []))]
    seen = view_strides(x.shape, strides_of(x), (rows, classes, rest))
    if seen is None or None in views:
        return Plan(result)
    steps = [n for view in (*views, *([] if each else [(0, 0)])) for n in view or ()]
    step = 0 if weight is None else strides_of(weight)[0]
    head = rows, classes, rest, ignore_index, reduction, int(weight is not None), int(target.dtype is uint8)

    def refuse(status: int, input: Array, target: Array, *rest: Any) -> IndexError:
        return _no_class(target, ignore_index, classes)

    parts = rows if each or name == "nll_slope" else 1
    return Plan(
        result, RUNS[name][x.dtype.name], (*head, *steps[:2], step, *seen, *steps[2:]), parts, 0, refuse
    )


@op(name="nll_slope", places="", takes_half=True)
def _nll_slope(
    self: Array,
    target: Array,
    weight: Array | None,
    reduction: int,
    ignore_index: int,
    shape: tuple[int, ...],
) -> Any:
    """The gradient of `nll_loss` for the gradient `self` of its result."""
    rows, classes, rest = _rows_classes_rest(shape)
    index, factors = _used(target.reshape(rows, rest), weight, ignore_index, classes)
    share = self if reduction == NONE else np.broadcast_to(self, target.shape)
    share = -widened(share).reshape(rows, rest) * factors
    result = np.zeros((rows, classes, rest), share.dtype)
    share = share / factors.sum() if reduction == MEAN else share
    np.put_along_axis(result, index[:, None], share[:, None], 1)
    return result.reshape(shape).astype(self.dtype, copy=False)


@_nll_slope.prepare
def _plan_nll_slope(
    self: Spec,
    target: Spec,
    weight: Spec | None,
    reduction: int,
    ignore_index: int,
    shape: tuple[int, ...],
) -> Plan:
    result = Spec(self.dtype, shape)
    if weight is not None and weight.dtype is not self.dtype:
        return Plan(result)
    return _nll_plan("nll_slope", result, result, target, weight, self, reduction, ignore_index)


def _nll_slope_vjp(
    g: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
    shape: tuple[int, ...],
) -> Tensor:
    """The slope is linear, so its rule is the loss itself."""
    return (_nll2d if len(shape) == 4 else _nll)(g, target, weight, reduction, ignore_index)


_nll_slope.vjp(self=_nll_slope_vjp)


@_nll_slope.batch
def _nll_slope_batch(
    level: Any, op: Op, self: Any, target: Any, weight: Any, reduction: int, ignore_index: int, shape: Any
) -> Any:
    """Linear in the gradient: of shared targets one slope for all, times each sample's gradient."""
    if level.holds(target) or level.holds(weight):
        return level.call(_nll_slope_by_scatter, self, target, weight, reduction, ignore_index, shape)
    p = self.physical
    unit = op(ops.ones_like(p[0]), target, weight, reduction, ignore_index, shape)
    if p.ndim == 1:
        return level.wrap(ops.reshape(p, (level.size, *(1,) * len(shape))) * unit)
    return level.wrap(ops.unsqueeze(p, 1 if len(shape) == 1 else 2) * unit)


def _nll_slope_by_scatter(
    g: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignored: int, shape: tuple[int, ...]
) -> Tensor:
    """Minus each row's share of the gradient, at its class."""
    at = 0 if len(shape) == 1 else 1
    safe = ops.where(target == ignored, 0, target).long()
    factors = (target != ignored).to(g.dtype)
    if weight is not None:
        factors = factors * ops.reshape(weight[ops.reshape(safe, (-1,))], tuple(safe.shape))
    share = g * factors
    if reduction == MEAN:
        share = share / ops.sum(factors)
    place = ops.unsqueeze(safe, at)
    return ops.scatter(ops.zeros(shape, dtype=g.dtype), at, place, -ops.unsqueeze(share, at))


def _nll_vjp(
    g: Tensor,
    self_shape: tuple[int, ...],
    target: Tensor,
    weight: Tensor | None,
    reduction: int,
    ignore_index: int,
) -> Tensor:
    return _nll_slope(g, target, weight, reduction, ignore_index, tuple(self_shape))


@op(name="nll_loss", places="", flat_slope=True)
def _nll(self: Array, target: Array, weight: Array | None, reduction: int, ignore_index: int) -> Any:
    return _nll_kernel(self, target, weight, reduction, ignore_index)


@_nll.prepare
def _plan_nll(self: Spec, target: Spec, weight: Any, reduction: int, ignore_index: int) -> Plan:
    _check_nll(self, target, weight)
    result = Spec(self.dtype, target.shape if self.ndim > 1 and reduction == NONE else ())
    return _nll_plan("nll", result, self, target, weight, result, reduction, ignore_index)


_nll.vjp(self=_nll_vjp)


@op(name="nll_loss2d", places="", grad_name="NllLoss2DBackward0", flat_slope=True)
def _nll2d(self: Array, target: Array, weight: Array | None, reduction: int, ignore_index: int) -> Any:
    return _nll_kernel(self, target, weight, reduction, ignore_index)


@_nll2d.prepare
def _plan_nll2d(self: Spec, target: Spec, weight: Any, reduction: int, ignore_index: int) -> Plan:
    _check_nll2d(self, target, weight)
    result = Spec(self.dtype, target.shape if reduction == NONE else ())
    return _nll_plan("nll", result, self, target, weight, result, reduction, ignore_index)


_nll2d.vjp(self=_nll_vjp)


@_nll.batch
@_nll2d.batch
def _nll_batch(
    level: Any, op: Op, self: Any, target: Any, weight: Any, reduction: int, ignore_index: int
) -> Any:
    """The logarithms at the classes, weighed; classes to ignore weigh nothing."""
    p, t = level.front(self), level.front(target).long()
    at = 1 if self.ndim == 1 else 2
    t = ops.reshape(t, (*p.shape[:at], *p.shape[at + 1 :]))
    kept = t != ignore_index
    safe = ops.where(kept, t, 0)
    picked = ops.squeeze(ops.gather(p, at, ops.unsqueeze(safe, at)), at)
    if weight is None:
        factors = kept.to(p.dtype)
    else:
        flat = ops.gather(level.front(weight), 1, ops.reshape(safe, (level.size, -1)))
        factors = ops.reshape(flat, safe.shape) * kept
    loss = -picked * factors
    if reduction == NONE or (loss.ndim == 1 and reduction != MEAN):
        return level.wrap(loss)
    if loss.ndim == 1:
        return level.wrap(loss / factors)
    dims = tuple(range(1, loss.ndim))
    total = ops.sum(loss, dims)
    return level.wrap(total / ops.sum(factors, dims) if reduction == MEAN else total)


# ---------------------------------------------------------------------------------- nll_loss


def _weighted_nll(input: Tensor, target: Tensor, weight: Tensor, reduction: int, ignore: int) -> Tensor:
    """The same of ops, for weights that want a gradient."""
    dim = 0 if input.ndim == 1 else 1
    used = target != ignore
    index = ops.where(used, target, 0).to(int64)
    picked = ops.squeeze(ops.gather(input, dim, ops.unsqueeze(index, dim)), dim)
    factors = ops.where(used, weight[index], 0.0)
    losses = ops.sum(-picked * factors) if reduction else -picked * factors
    return losses / ops.sum(factors) if reduction == MEAN else losses


def _nll_nd(input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore: int) -> Tensor:
    """`nll_loss` of any number of dims: those behind the classes are seen as two."""
    ndim = input.ndim
    if not ndim:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if ndim != 1 and input.shape[0] != (target.shape[0] if target.ndim else 1):
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size "
            f"({target.shape[0] if target.ndim else 1})."
        )
    if ndim == 3 or ndim > 4:
        wanted = [input.shape[0], *input.shape[2:]]
        if list(target.shape) != wanted:
            raise RuntimeError(f"Expected target size {wanted}, got {list(target.shape)}")
    if weight is not None and weight.requires_grad:
        return _weighted_nll(input, target, weight, reduction, ignore)
    if ndim <= 2:
        return _nll(input, target, weight, reduction, ignore)
    if ndim == 4:
        return _nll2d(input, target, weight, reduction, ignore)
    rows, classes = input.shape[:2]
    flat = math.prod(input.shape[2:])
    losses = _nll2d(
        ops.reshape(input, (rows, classes, 1, flat)),
        ops.reshape(target, (rows, 1, flat)),
        weight,
        reduction,
        ignore,
    )
    return ops.reshape(losses, tuple(target.shape)) if reduction == NONE else losses


@loss
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
) -> Tensor:
    """`-weight[y] * x[y]` for log-probabilities x of classes and class numbers y; reduced.

    x is (C,), (N, C) or (N, C, ...), y has its shape without C. The mean is over the sum of the
    weights; targets equal to `ignore_index` count for nothing. IndexError for a class that is not.
    The gradient is `-weight[y] * g` at y, zero elsewhere.

    >>> import pullback as torch
    >>> x = torch.tensor([[-0.5, -1.0], [-2.0, -0.1]])
    >>> torch.nn.functional.nll_loss(x, torch.tensor([0, 1]))
    tensor(0.3000)
    """
    _check_sizes(input, target)
    return _nll_nd(input, target, weight, reduction_of(reduction), ignore_index)


def _check_sizes(input: Tensor, target: Tensor) -> None:
    """ValueError unless input and target are as many."""
    if input.ndim == 1 and target.ndim == 1 and target.shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}")
    if input.ndim >= 2 and target.ndim and input.shape[0] != target.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})."
        )


# ------------------------------------------------------------------------------ cross_entropy


def _by_class(weight: Tensor, ndim: int, dim: int) -> Tensor:
    """The weights of the classes as they lie in the input."""
    return ops.reshape(weight, [-1 if i == dim else 1 for i in range(ndim)])


def _of_probabilities(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore: int, smoothing: float
) -> Tensor:
    if target.dtype.kind != "f":
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target.dtype.type_name}"
        )
    if ignore >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    dim = 0 if input.ndim == 1 else 1
    classes = input.shape[dim]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or "
            f"no classes but got weight tensor of shape: {list(weight.shape)}"
        )
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / classes
    losses = ops.log_softmax(input, dim) * target
    if weight is not None:
        losses = losses * _by_class(weight, input.ndim, dim)
    if reduction == NONE:
        return -ops.sum(losses, dim)
    total = -ops.sum(losses)
    return total / (input.numel() / classes) if reduction == MEAN else total


def _label_smoothed(
    input: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore: int, smoothing: float
) -> Tensor:
    """The loss of class numbers when each class gets a share `smoothing / C` of the target."""
    dim = 0 if input.ndim == 1 else 1
    x = ops.log_softmax(input, dim)
    sharp = _nll_nd(x, target, weight, reduction, ignore)
    even = -ops.sum(x if weight is None else x * _by_class(weight, x.ndim, dim), dim)
    used = target != ignore
    even = ops.where(used, even, 0.0)
    if reduction == MEAN and weight is not None:
        factors = ops.where(used, weight[ops.where(used, target, 0).to(int64)], 0.0)
        even = ops.sum(even) / ops.sum(factors)
    elif reduction == MEAN:
        even = ops.sum(even) / ops.sum(used)
    else:
        even = reduced(even, reduction)
    return sharp * (1 - smoothing) + even * (smoothing / input.shape[dim])


@loss
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`nll_loss(log_softmax(x), y)`; y may also be probabilities in the shape of x.

    `label_smoothing` gives that share of the target to all classes alike. The other parameters and
    errors are those of `nll_loss`. The gradient of a row is `(softmax(x) - onehot(y)) * g`.

    >>> import pullback as torch
    >>> x = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    >>> torch.nn.functional.cross_entropy(x, torch.tensor([0, 1]), reduction="none")
    tensor([  0.6931, 100.0000])
    """
    code = reduction_of(reduction)
    if input.shape == target.shape:
        return _of_probabilities(input, target, weight, code, ignore_index, label_smoothing)
    if label_smoothing > 0:
        if label_smoothing > 1:
            raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing:g}")
        return _label_smoothed(input, target, weight, code, ignore_index, label_smoothing)
    x = ops.log_softmax(input, 0 if input.ndim == 1 else 1)
    return _nll_nd(x, target, weight, code, ignore_index)


# ----------------------------------------------------------------------- linear_cross_entropy


@function(places="", aliases=("nn.functional.linear_cross_entropy",))
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Tensor:
    """`cross_entropy(linear(x, linear_weight, linear_bias), y)`, for weights (C, ..., n).

    The input is (n,) or (N, n). `options` may name ways to save memory; they do not change the
    result, and nothing else here. RuntimeError for shapes that do not fit.

    >>> import pullback as torch
    >>> x, w = torch.zeros(1, 3), torch.ones(2, 3)
    >>> torch.nn.functional.linear_cross_entropy(x, w, torch.tensor([1]))
    tensor(0.6931)
    """
    _check_linear(input, linear_weight, linear_bias)
    probable = target.dtype.kind == "f"
    if probable and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    shape = tuple(linear_weight.shape[:-1])
    flat = linear_weight if len(shape) == 1 else ops.flatten(linear_weight, 0, -2)
    bias = linear_bias if linear_bias is None or len(shape) == 1 else ops.flatten(linear_bias)
    logits = ops.linear(input, flat, bias)
    if len(shape) > 1:
        logits = ops.reshape(logits, (input.shape[0], *shape))
    ignored = IGNORED if ignore_index is None else ignore_index
    return cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )


# ---------------------------------------------------------------------------------- what is refused


def _check_nll_dtypes(name: str, self: Spec, target: Spec, weight: Spec | None) -> None:
    """Refuses other dtypes than floats, class numbers, and weights like the input."""
    if target.dtype not in (int64, uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype.type_name}")
    if self.dtype.kind != "f":
        raise NotImplementedError(f"\"{name}\" not implemented for '{self.dtype.type_name}'")
    if weight is not None and weight.dtype is not self.dtype:
        raise RuntimeError(f"expected scalar type {self.dtype.type_name} but found {weight.dtype.type_name}")


def _check_nll(self: Spec, target: Spec, weight: Spec | None) -> None:
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    classes = self.shape[-1]
    rows = self.shape[0] if self.ndim == 2 else 1
    if target.size != rows:
        raise RuntimeError(f"size mismatch (got input: {list(self.shape)}, target: {list(target.shape)})")
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    _check_nll_dtypes("nll_loss_out_frame", self, target, weight)


def _check_nll2d(self: Spec, target: Spec, weight: Spec | None) -> None:
    if target.ndim != 3:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) but got targets of dimension: "
            f"{target.ndim}"
        )
    if (self.shape[0], *self.shape[2:]) != target.shape:
        raise RuntimeError(f"size mismatch (got input: {list(self.shape)} , target: {list(target.shape)}")
    if weight is not None and weight.size != self.shape[1]:
        raise RuntimeError("weight tensor should be defined either for all or no classes")
    _check_nll_dtypes("nll_loss2d_forward_out_frame", self, target, weight)


def _check_linear(input: Tensor, linear_weight: Tensor, bias: Tensor | None) -> None:
    """Refuses shapes that do not fit the map."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    wide, features = input.shape[-1], linear_weight.shape[-1]
    if wide != features:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{wide} and {features}, respectively"
        )
    if linear_weight.ndim > 2 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires "
            f"batched input, (N, {features}), got unbatched input with shape {tuple(input.shape)}"
        )
    shape = tuple(linear_weight.shape[:-1])
    if bias is not None and tuple(bias.shape) != shape:
        raise RuntimeError(f"expected linear_bias shape {shape}, got {tuple(bias.shape)}")
