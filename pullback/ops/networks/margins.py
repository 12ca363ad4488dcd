"""Losses with a margin: rankings, hinges, cosines, triplets, and margins between classes.

Most are composites. `multi_margin_loss` and `multilabel_margin_loss` run by plans, `kernels/margins.h`; their
slopes are constant by pieces, which the rules write with comparisons, so all derivatives exist. At the end
stand the forms in `torch` itself, where a reduction is a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import int64
from pullback.core.op import function, op
from pullback.core.signatures import signature_of
from pullback.core.types import Array
from pullback.kernels.nll import RUNS
from pullback.ops.networks.losses import (
    binary_cross_entropy_with_logits,
    kl_div,
    poisson_nll_loss,
    reduced_batch,
)
from pullback.ops.networks.reduction import (
    MEAN,
    NONE,
    loss,
    named_code,
    reduced,
    reduced_array,
    reduction_of,
    share,
)
from pullback.ops.reductions.row_plans import strides_of
from pullback.ops.shared.batches import of_sample
from pullback.ops.shared.chains import bits_of

# ----------------------------------------------------------------------------------- composites


@loss
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """`max(0, -y (x1 - x2) + margin)`: y is 1 where x1 is to rank above x2, else -1; reduced.

    RuntimeError for different numbers of dims.

    >>> import pullback as torch
    >>> a, b, y = torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([1.0])
    >>> torch.nn.functional.margin_ranking_loss(a, b, y)
    tensor(2.)
    """
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(ops.clamp_min(-target * (input1 - input2) + margin, 0), reduction_of(reduction))


@loss
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, *, reduction: str = "mean"
) -> Tensor:
    """x where the target is 1, `max(0, margin - x)` where it is -1, their sum elsewhere; reduced.

    >>> import pullback as torch
    >>> x, y = torch.tensor([0.5, 0.25]), torch.tensor([1.0, -1.0])
    >>> torch.nn.functional.hinge_embedding_loss(x, y, reduction="none")
    tensor([0.5000, 0.7500])
    """
    if input.dtype.kind in "iu":
        margin = int(margin)
    apart = ops.where(target != 1, ops.clamp_min(margin - input, 0), 0)
    return reduced(apart + ops.where(target != -1, input, 0), reduction_of(reduction))


_TINY = 1e-12  # added to a product of squared lengths, so that its root has a slope at zero


@loss
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, *, reduction: str = "mean"
) -> Tensor:
    """`1 - cos` of two vectors where the target is 1, `max(0, cos - margin)` where it is -1; reduced.

    The inputs are (N, D) with a target (N,), or (D,) with a target (); RuntimeError otherwise.

    >>> import pullback as torch
    >>> a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    >>> torch.nn.functional.cosine_embedding_loss(a, b, torch.tensor(1))
    tensor(1.)
    """
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    along = ops.sum(input1 * input2, -1)
    squares = (ops.sum(input1 * input1, -1) + _TINY) * (ops.sum(input2 * input2, -1) + _TINY)
    cosine = along / ops.sqrt(squares)
    together = ops.where(target == 1, 1 - cosine, 0)
    apart = ops.where(target == -1, ops.clamp_min(cosine - margin, 0), 0)
    return reduced(together + apart, reduction_of(reduction))


@loss
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """The mean over the classes of `-(y log sigmoid(x) + (1 - y) log sigmoid(-x))`; reduced.

    >>> import pullback as torch
    >>> x, y = torch.zeros(2, 3), torch.ones(2, 3)
    >>> torch.nn.functional.multilabel_soft_margin_loss(x, y)
    tensor(0.6931)
    """
    losses = -(target * ops.logsigmoid(input) + (1 - target) * ops.logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    losses = ops.sum(losses, -1) / input.shape[-1]
    return reduced(losses, named_code(reduction))


def _distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-06) -> Tensor:
    """The norm of `x1 - x2 + eps` over the last dim."""
    return ops.norm(x1 - x2 + eps, p, -1)


@loss
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Tensor:
    """`max(0, d(a, p) - d(a, n) + margin)` with the p-norm of differences, plus `eps`, as distance.

    With `swap` the distance to the negative is the least of those from the anchor and the positive.
    ValueError for a margin that is not positive; the losses are reduced.

    >>> import pullback as torch
    >>> a, p, n = torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2) * 3
    >>> torch.nn.functional.triplet_margin_loss(a, p, n, margin=5.0)
    tensor(0.7574)
    """
    _check_triplet(anchor, positive, negative, margin)
    near, far = _distance(anchor, positive, p, eps), _distance(anchor, negative, p, eps)
    if swap:
        far = ops.minimum(far, _distance(positive, negative, p, eps))
    return reduced(ops.clamp_min(margin + near - far, 0), reduction_of(reduction))


@function(places="", aliases=("nn.functional.triplet_margin_with_distance_loss",))
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any function of two tensors as distance.

    >>> import pullback as torch
    >>> a, p, n = torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2)
    >>> far = lambda x, y: (x - y).abs().sum(-1)
    >>> torch.nn.functional.triplet_margin_with_distance_loss(
    ...     a, p, n, distance_function=far, margin=3.0)
    tensor(1.)
    """
    code = reduction_of(reduction)
    measure = _distance if distance_function is None else distance_function
    _check_triplet(anchor, positive, negative, margin)
    near, far = measure(anchor, positive), measure(anchor, negative)
    if swap:
        far = ops.minimum(far, measure(positive, negative))
    return reduced(ops.clamp_min(margin + near - far, 0), code)


# ------------------------------------------------------------------------- margins between classes


def _margin_plan(
    name: str,
    result: Spec,
    self: Spec,
    target: Spec,
    reduction: int,
    more: tuple[int, ...] = (),
    words: int = 0,
) -> Plan:
    """The plan of a loss, or of a slope; `words` is the scratch memory of a class, in numbers."""
    rows, classes = _rows_and_classes(self)
    steps = [n for x in (self, target) for n in (0, 0, *strides_of(x))[-2:]]
    if name == "multi_margin":  # a target for each row
        steps[2:] = [steps[3], 0]
    step = (0, *strides_of(result))[-1] if name != "multilabel_pairs" else 0
    scratch = classes * (8 + words * self.itemsize + 1) if words else 0

    def refuse(status: int, self: Array, target: Array, *rest: Array) -> RuntimeError:
        return _no_class(name)

    parts = rows if name == "multilabel_pairs" or reduction == NONE else 1
    geometry = (rows, classes, reduction, step, *steps, *more)
    return Plan(result, RUNS[name].get(self.dtype.name), geometry, parts, scratch, refuse)


def _no_class(name: str) -> RuntimeError:
    if name == "multi_margin":
        return RuntimeError("target out of range")
    return RuntimeError("argument #2 'target' is out of range")


def _above(x: Array) -> Array:
    """What is more than zero; NaN is not."""
    return np.where(x > 0, x, x.dtype.type(0))


@op(name="multi_margin_loss", places="", takes_half=True)
def _multi_margin(
    self: Array, target: Array, weight: Array | None, p: int, margin: float, reduction: int
) -> Any:
    rows, classes = _rows_and_classes(self)
    x, own = self.reshape(rows, classes), target.reshape(rows, 1)
    if bool(((own < 0) | (own >= classes)).any()):
        raise _no_class("multi_margin")
    short = _above(x - np.take_along_axis(x, own, 1) + self.dtype.type(margin))
    short = short if p == 1 else short * short
    if weight is not None:
        short = short * weight[own]
    np.put_along_axis(short, own, 0, 1)
    losses = short.sum(1) / self.dtype.type(classes)
    return reduced_array(losses if self.ndim == 2 or reduction else losses.reshape(target.shape), reduction)


@_multi_margin.prepare
def _plan_multi_margin(
    self: Spec, target: Spec, weight: Spec | None, p: int, margin: float, reduction: int
) -> Plan:
    rows = _check_multi_margin(self, target, weight)
    shape = () if reduction else (rows,) if self.ndim == 2 else target.shape
    result = Spec(self.dtype, shape)
    if weight is not None and weight.dtype is not self.dtype:
        return Plan(result)
    step = 0 if weight is None else strides_of(weight)[0]
    more = p, bits_of(margin), int(weight is not None), step
    return _margin_plan("multi_margin", result, self, target, reduction, more)


def _shortfalls(self: Tensor, target: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """By how much the other classes come too close to the right one of each row, and that one's place."""
    rows, classes = (1, self.numel()) if self.ndim < 2 else self.shape
    x, own = ops.reshape(self, (rows, classes)), ops.reshape(target, (rows, 1))
    return x - ops.gather(x, 1, own) + margin, own


def _multi_margin_vjp(
    g: Tensor, self: Tensor, target: Tensor, weight: Tensor | None, p: int, margin: float, reduction: int
) -> Tensor:
    short, own = _shortfalls(self, target, margin)
    steep = (short > 0).to(short.dtype) if p == 1 else ops.clamp_min(short, 0) * 2
    if weight is not None:
        steep = steep * weight[own]
    steep = ops.scatter(steep, 1, own, 0.0)
    rows, classes = short.shape
    g = share(ops.reshape(g, (-1, 1)), rows * classes, MEAN if reduction == MEAN else NONE)
    slope = steep * (g if reduction == MEAN else g / classes)
    return ops.reshape(ops.scatter_add(slope, 1, own, -ops.sum(slope, 1, True)), tuple(self.shape))


def _multi_margin_weight(
    g: Tensor, self: Tensor, target: Tensor, weight_shape: Any, p: int, margin: float, reduction: int
) -> Tensor:
    """The losses that each weight was a factor of."""
    short, own = _shortfalls(self, target, margin)
    losses = ops.sum(ops.scatter(ops.clamp_min(short, 0) ** p, 1, own, 0.0), 1) / short.shape[1]
    g = share(ops.reshape(g, (-1,)), losses.shape[0], MEAN if reduction == MEAN else NONE)
    return ops.index_add(ops.zeros(weight_shape, dtype=g.dtype), 0, ops.reshape(own, (-1,)), g * losses)


_multi_margin.vjp(self=_multi_margin_vjp, weight=_multi_margin_weight)


@_multi_margin.batch
@of_sample
def _multi_margin_by_rows(
    self: Tensor, target: Tensor, weight: Tensor | None, p: int, margin: float, reduction: int
) -> Tensor:
    shape = (1, self.numel()) if self.ndim < 2 else tuple(self.shape)
    rows, own = ops.reshape(self, shape), ops.reshape(target, (shape[0], 1))
    short = ops.clamp_min(rows - ops.gather(rows, 1, own) + margin, 0) ** p
    if weight is not None:
        short = short * ops.gather(ops.expand(weight, shape), 1, own)
    loss = ops.sum(ops.scatter(short, 1, own, 0.0), 1) / shape[1]
    return reduced(loss if self.ndim == 2 else ops.reshape(loss, tuple(target.shape)), reduction)


@loss
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
) -> Tensor:
    """The mean over the classes i of `max(0, margin - x[y] + x[i])**p`, without i = y; reduced.

    The input is (N, C) or (C,), y the class of each row, `weight` that of the classes y. ValueError
    for another p than 1 and 2.

    >>> import pullback as torch
    >>> torch.nn.functional.multi_margin_loss(torch.tensor([[0.0, 0.5]]), torch.tensor([1]))
    tensor(0.2500)
    """
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    return _multi_margin(input, target, weight, p, margin, reduction_of(reduction))


def _label_masks(target: Any, classes: int) -> tuple[Any, Any]:
    """The labels of each row up to the first -1: which of the targets count, which classes they are."""
    counts = np.logical_and.accumulate(target >= 0, axis=1)
    is_label = np.zeros((len(target), classes + 1), bool)
    np.put_along_axis(is_label, np.where(counts, target, classes), True, 1)
    return counts, is_label[:, :classes]


@op(name="multilabel_margin_loss", places="", takes_half=True)
def _multilabel_margin(self: Array, target: Array, reduction: int) -> Any:
    rows, classes = _rows_and_classes(self)
    if target.size and (target.min() < -1 or target.max() >= classes):
        raise _no_class("multilabel_margin")
    x, own = self.reshape(rows, classes), target.reshape(rows, classes)
    counts, is_label = _label_masks(own, classes)
    short = 1 - np.take_along_axis(x, np.where(counts, own, 0), 1)[:, :, None] + x[:, None, :]
    pairs = counts[:, :, None] & ~is_label[:, None, :]
    losses = np.where(pairs, _above(short), self.dtype.type(0)).sum((1, 2)) / self.dtype.type(classes)
    return reduced_array(losses if self.ndim == 2 or reduction else losses.reshape(()), reduction)


@op(name="multilabel_pairs", places="", nondiff=True)
def _multilabel_pairs(self: Array, target: Array) -> Any:
    """How many labels each class comes too close to, and minus the classes too close to each label."""
    rows, classes = _rows_and_classes(self)
    x, own = self.reshape(rows, classes), target.reshape(rows, classes)
    counts, is_label = _label_masks(own, classes)
    index = np.where(counts, own, 0)
    short = 1 - np.take_along_axis(x, index, 1)[:, :, None] + x[:, None, :]
    close = (short > 0) & counts[:, :, None] & ~is_label[:, None, :]
    slope = close.sum(1).astype(self.dtype)
    np.subtract.at(slope, (np.arange(rows)[:, None], index), close.sum(2))
    return (slope / self.dtype.type(classes)).reshape(self.shape)


def _multilabel_margin_vjp(g: Tensor, self: Tensor, target: Tensor, reduction: int) -> Tensor:
    rows = 1 if self.ndim < 2 else self.shape[0]
    g = ops.unsqueeze(g, -1) if g.ndim else g
    return _multilabel_pairs(self, target) * share(g, rows, reduction)


@_multilabel_margin.prepare
def _plan_multilabel_margin(self: Spec, target: Spec, reduction: int) -> Plan:
    rows = _check_multilabel(self, target)
    result = Spec(self.dtype, (rows,) if self.ndim == 2 and not reduction else ())
    return _margin_plan("multilabel_margin", result, self, target, reduction, words=1)


@_multilabel_pairs.prepare
def _plan_multilabel_pairs(self: Spec, target: Spec) -> Plan:
    return _margin_plan("multilabel_pairs", Spec(self.dtype, self.shape), self, target, NONE, words=2)


_multilabel_margin.vjp(self=_multilabel_margin_vjp)


def _rows_batch(level: Any, *tensors: Any) -> list[Tensor]:
    """The rows of all samples; a sample may be one row, or one number."""
    shape = (-1, *tensors[0].shape[-1:]) if tensors[0].ndim else (-1, 1)
    return [ops.reshape(level.front(x), shape) for x in tensors]


@_multilabel_pairs.batch
def _pairs_batch(level: Any, op: Op, self: Any, target: Any) -> Any:
    return level.wrap(ops.reshape(op(*_rows_batch(level, self, target)), (level.size, *self.shape)))


@_multilabel_margin.batch
def _multilabel_margin_batch(level: Any, op: Op, self: Any, target: Any, reduction: int) -> Any:
    loss = op(*_rows_batch(level, self, target), NONE)
    return reduced_batch(level, ops.reshape(loss, (level.size, -1)) if self.ndim == 2 else loss, reduction)


@loss
def multilabel_margin_loss(input: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """The sum over labels j and other classes i of `max(0, 1 - x[j] + x[i]) / C`; reduced.

    The labels of a row are its targets up to the first -1. RuntimeError for other shapes than
    (N, C), (C,) or (), or a target that is no class.

    >>> import pullback as torch
    >>> x, y = torch.tensor([[0.1, 0.2, 0.4, 0.8]]), torch.tensor([[3, 0, -1, 1]])
    >>> torch.nn.functional.multilabel_margin_loss(x, y)
    tensor(0.8500)
    """
    return _multilabel_margin(input, target, reduction_of(reduction))


# --------------------------------------------------------------------- the forms in torch itself


def _numbered(loss: Any, *parameters: str) -> None:
    """Publishes `torch.NAME`, whose reduction is a number (0 none, 1 mean, 2 sum) in another place."""

    def call(*args: Any, **kwargs: Any) -> Tensor:
        given = dict(zip(parameters, args, strict=False), **kwargs)
        return loss(**{"reduction": MEAN, **given})

    call.__doc__ = f"`torch.nn.functional.{loss.__name__}`, with the reduction as 0, 1 (mean) or 2 (sum)."
    own = signature_of(loss)
    number = own.parameters["reduction"].replace(default=MEAN, annotation="int")
    shown = [number if name == "reduction" else own.parameters[name] for name in parameters]
    vars(call)["__signature__"] = own.replace(
        parameters=[p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in shown]
    )
    function(name=loss.__name__, places="t")(call)


_numbered(binary_cross_entropy_with_logits, "input", "target", "weight", "pos_weight", "reduction")
_numbered(cosine_embedding_loss, "input1", "input2", "target", "margin", "reduction")
_numbered(hinge_embedding_loss, "input", "target", "margin", "reduction")
_numbered(kl_div, "input", "target", "reduction", "log_target")
_numbered(margin_ranking_loss, "input1", "input2", "target", "margin", "reduction")
_numbered(poisson_nll_loss, "input", "target", "log_input", "full", "eps", "reduction")
_numbered(triplet_margin_loss, "anchor", "positive", "negative", "margin", "p", "eps", "swap", "reduction")


# ---------------------------------------------------------------------------------- what is refused


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )


def _rows_and_classes(self: Any) -> tuple[int, int]:
    """The rows and classes of an input (N, C), (C,) or ()."""
    return (1, self.size) if self.ndim < 2 else (self.shape[0], self.shape[1])


def _check_matrix(self: Spec) -> int:
    """The rows of such an input; RuntimeError for another one."""
    shape = self.shape
    if self.ndim > 2 or (self.ndim and shape[-1] == 0) or (self.ndim == 1 and not shape[0]):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(shape)}"
        )
    return _rows_and_classes(self)[0]


def _check_dtypes(kernel: str, self: Dtype, target: Dtype) -> None:
    if self.kind != "f" or self.itemsize < 4:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{self.type_name}'")
    if target is not int64:
        raise RuntimeError(f"expected scalar type Long but found {target.type_name}")


def _check_multi_margin(self: Spec, target: Spec, weight: Spec | None) -> int:
    """The rows of an input that fits its target and weights."""
    rows = _check_matrix(self)
    if target.ndim > 1 or target.size != rows:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{rows}], but got {list(target.shape)}. "
            f"Input has shape {list(self.shape)}."
        )
    if weight is not None and weight.size != _rows_and_classes(self)[1]:
        raise RuntimeError(
            f"inconsistent weight size, expected {_rows_and_classes(self)[1]} but got {list(weight.shape)}"
        )
    _check_dtypes("multi_margin_loss_cpu_kernel", self.dtype, target.dtype)
    return rows


def _check_multilabel(self: Spec, target: Spec) -> int:
    """The rows of an input that fits its target."""
    rows = _check_matrix(self)
    if target.shape != self.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(self.shape)}"
        )
    _check_dtypes("multilabel_margin_loss_forward_out_frame", self.dtype, target.dtype)
    return rows
