"""Sums of exponentials that do not overflow: logsumexp, softmax, log_softmax.

All take out the largest element before `exp`. Their gradients are written with the result, which is
what the nodes save, and are ops with plans of their own.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import get_default_dtype
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.reductions.plans import fold_plan
from pullback.ops.reductions.reduce import (
    Dims,
    narrowed,
    reduced_axes,
    sum,
    sum_array,
    unsqueeze_reduced,
    widened,
)
from pullback.ops.reductions.row_plans import placed, row_plan
from pullback.ops.shared.batches import rank, shifted
from pullback.ops.shared.dims import wrap_dim


def _float_input(a: Array) -> Array:
    return a if a.dtype.kind in "fc" else a.astype(get_default_dtype().numpy)


def _largest(a: Array, axes: tuple[int, ...] | None) -> Array:
    """What is subtracted before `exp`: the largest real part, zero where that is infinite."""
    if not a.size:
        return np.zeros((), a.real.dtype)
    top = np.maximum.reduce(a.real, axes, keepdims=True)
    return np.where(np.isfinite(top), top, 0).astype(a.real.dtype)


@op(aliases=("special.logsumexp",), all_dims=True, casts_out=True)
def logsumexp(self: Array, dim: Dims, keepdim: bool = False) -> Array:
    """`log(sum(exp(x)))` over `dim`, without overflow; integers are computed as floats.

    The gradient is `g * exp(x - result)`: the softmax. Where all elements are `-inf` it is NaN.

    >>> import pullback as torch
    >>> torch.tensor([1000.0, 1000.0]).logsumexp(0)
    tensor(1000.6932)
    """
    axes = reduced_axes(dim, keepdim, self.ndim)
    a = _float_input(self)
    top = _largest(a, axes)
    total = np.log(sum_array(np.asarray(np.exp(a - top)), axes, keepdim))
    return total + (top if keepdim or not top.ndim else top.reshape(np.shape(total)))


def _logsumexp_vjp(g: Tensor, self: Tensor, dim: Dims, keepdim: bool, result: Tensor) -> Tensor:
    result = unsqueeze_reduced(result, self.ndim, dim, keepdim)
    g = unsqueeze_reduced(g, self.ndim, dim, keepdim)
    if self.dtype.kind == "f" and g.ndim == self.ndim:
        return _logsumexp_slope(
            g, self, result, reduced_axes(dim, keepdim, self.ndim) or tuple(range(g.ndim))
        )
    return g * conj(ops.exp(self - result))


@op(name="logsumexp_slope", places="", batch="together")
def _logsumexp_slope(self: Array, input: Array, total: Array, dim: tuple[int, ...]) -> Array:
    """`self * softmax(input)`, self and total with dims of one where they were summed: at `dim`.

    The last digit of a large `total`, the logsumexp, is more than some exponentials differ by: so these are
    divided by their sum, which is nearly one.
    """
    found = np.exp(input - total)
    with np.errstate(all="ignore"):
        sums = np.asarray(sum_array(found, dim, True))
        return np.asarray(found * np.where((sums > 0) & np.isfinite(sums), self / sums, self), found.dtype)


@_logsumexp_slope.prepare
def _plan_logsumexp_slope(self: Spec, input: Spec, total: Spec, dim: tuple[int, ...]) -> Plan:
    result = Spec(input.dtype, input.shape)
    operands = [placed(t, input.ndim) for t in (self, input, total, result)]
    return row_plan("logsumexp_slope", result, operands, 3, input.shape, dim)


@_logsumexp_slope.joint_vjp
def _logsumexp_slope_vjp(
    g: Tensor, self: Tensor, input: Tensor, total: Tensor, dim: tuple[int, ...]
) -> tuple[Any, ...]:
    """That of the softmax, which does not depend on `total`."""
    soft = _logsumexp_slope(ops.ones_like(self), input, total, dim)
    through = g * soft
    along = ops.sum_to_size(through, total.shape)
    return ops.sum_to_size(along, self.shape), self * (through - soft * along), None


@logsumexp.prepare
def _plan_logsumexp(self: Spec, dim: Dims, keepdim: bool) -> Plan:
    axes = reduced_axes(dim, keepdim, self.ndim)
    floats = self.dtype.kind in "fc"
    return fold_plan("logsumexp", self, axes, keepdim, None if floats else get_default_dtype(), runs=floats)


logsumexp.vjp(self=_logsumexp_vjp)


def _softmax_array(self: Array, dim: int, dtype: Dtype | None, logs: bool) -> Array:
    """softmax or its logarithm, in the dtype of the op."""
    axis = wrap_dim(operator.index(dim), self.ndim)
    if not self.size:  # of any dtype
        return narrowed(self, self, dtype)
    a = widened(self, dtype)
    a = a - a if not a.ndim or not a.shape[axis] else a - np.maximum.reduce(a, axis, keepdims=True)
    e = np.asarray(np.exp(a))
    total = sum_array(e, (axis,), True) if e.ndim else e.copy()
    return narrowed(a - np.log(total) if logs else np.true_divide(e, total, e), self, dtype)


def _plan_softmax(name: str, x: Spec, dim: int, dtype: Dtype | None) -> Plan:
    axis = wrap_dim(operator.index(dim), x.ndim)
    result = Spec(x.dtype if dtype is None else dtype, x.shape)
    if result.dtype.kind != "f" and x.size:
        last = "lastdim_" if axis >= x.ndim - 1 else ""
        raise NotImplementedError(
            f"\"{name}_{last}kernel_impl\" not implemented for '{result.dtype.type_name}'"
        )
    if result.dtype is not x.dtype or not x.ndim:
        return Plan(result)
    operands = [placed(t, x.ndim) for t in (x, result)]
    return row_plan(name, result, operands, 1, x.shape, (axis,), columns=True)


@op(name="softmax_slope", places="", takes_half=True)
def _softmax_slope(self: Array, soft: Array, dim: int, logs: bool) -> Array:
    """The gradient of the input for the gradient `self` of the result."""
    g, y = widened(self), widened(soft)
    axes = (wrap_dim(dim, y.ndim),) if y.ndim else None
    if logs:
        return narrowed(g - np.exp(y) * sum_array(g, axes, True), soft, None)
    return narrowed(y * (g - sum_array(np.asarray(g * y), axes, True)), soft, None)


@_softmax_slope.prepare
def _plan_softmax_slope(self: Spec, soft: Spec, dim: int, logs: bool) -> Plan:
    result = Spec(soft.dtype, soft.shape)
    if self.dtype is not soft.dtype or not soft.ndim:
        return Plan(result)
    operands = [placed(t, soft.ndim) for t in (self, soft, result)]
    name = "log_softmax_slope" if logs else "softmax_slope"
    return row_plan(name, result, operands, 2, soft.shape, (wrap_dim(dim, soft.ndim),), columns=True)


def _softmax_slope_gradients(
    g: Tensor, self: Tensor, soft: Tensor, dim: int, logs: bool, needs: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    own = through = None
    if logs:
        e = ops.exp(soft)
        own = g - sum(g * e, dim, True) if needs[0] else None
        through = -(g * e) * sum(self, dim, True) if needs[1] else None
    else:
        own = _softmax_slope(g, soft, dim, False) if needs[0] else None
        if needs[1]:
            through = g * (self - sum(self * soft, dim, True)) - self * sum(g * soft, dim, True)
    return own, through


_softmax_slope.joint_vjp(_softmax_slope_gradients)
_softmax_slope.variant = lambda saved: (
    "LogSoftmaxBackwardDataBackward0" if saved["logs"] else "SoftmaxBackwardDataBackward0"
)


@_softmax_slope.batch
def _softmax_slope_batch(level: Any, op: Op, self: Any, soft: Any, dim: int, logs: bool) -> Any:
    if not rank(soft):
        return level.wrap(ops.zeros_like(level.front(self)))
    return level.wrap(op(level.front(self), level.front(soft), shifted(dim, rank(soft)), logs))


@op(aliases=("special.softmax",), takes_half=True, allowed="bifch")
def softmax(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """`exp(x) / sum(exp(x))` along `dim`, without overflow; `dtype` is converted to first.

    NotImplementedError for integers and complex numbers. The gradient is `y * (g - sum(g * y))`.

    >>> import pullback as torch
    >>> torch.tensor([0.0, 0.0]).softmax(0)
    tensor([0.5000, 0.5000])
    """
    return _softmax_array(self, dim, dtype, False)


softmax.prepare(lambda self, dim, dtype: _plan_softmax("softmax", self, dim, dtype))
softmax.vjp(self=lambda g, dim, result: _softmax_slope(g, result, dim, False))


@op(aliases=("special.log_softmax",), takes_half=True, allowed="bifch")
def log_softmax(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """`x - log(sum(exp(x)))` along `dim`, without overflow; `dtype` is converted to first.

    NotImplementedError for integers and complex numbers. The gradient is `g - exp(y) * sum(g)`.

    >>> import pullback as torch
    >>> torch.tensor([0.0, 0.0]).log_softmax(0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax_array(self, dim, dtype, True)


log_softmax.prepare(lambda self, dim, dtype: _plan_softmax("log_softmax", self, dim, dtype))
log_softmax.vjp(self=lambda g, dim, result: _softmax_slope(g, result, dim, True))
