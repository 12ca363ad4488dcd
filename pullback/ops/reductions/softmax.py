"""Sums of exponentials that do not overflow: logsumexp, softmax, log_softmax.

All take out the largest element before `exp`. Their gradients are written with the result, which is
what the nodes save. Contiguous rows go through `kernels/softmax.pyx`, forward and backward; anything
else through NumPy.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import from_numpy_dtype, get_default_dtype
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import softmax as softmax_kernels
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


@op(aliases=("special.logsumexp",), all_dims=True)
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
    return unsqueeze_reduced(g, self.ndim, dim, keepdim) * conj(ops.exp(self - result))


@logsumexp.prepare
def _plan_logsumexp(self: Spec, dim: Dims, keepdim: bool) -> Plan:
    axes = reduced_axes(dim, keepdim, self.ndim)
    floats = self.dtype.kind in "fc"
    return fold_plan("logsumexp", self, axes, keepdim, None if floats else get_default_dtype(), runs=floats)


logsumexp.vjp(self=_logsumexp_vjp)


def _softmax_array(name: str, self: Array, dim: int, dtype: Dtype | None, logs: bool) -> Array:
    """softmax or its logarithm, in the dtype of the op."""
    axis, _ = _checked_softmax(name, self, dim, dtype)
    a = widened(self, dtype)
    if softmax_kernels.takes(a, axis):
        return narrowed(softmax_kernels.forward(a, logs), self, dtype)
    a = a - a if not a.ndim or not a.shape[axis] else a - np.maximum.reduce(a, axis, keepdims=True)
    e = np.asarray(np.exp(a))
    total = sum_array(e, (axis,), True) if e.ndim else e.copy()
    return narrowed(a - np.log(total) if logs else np.true_divide(e, total, e), self, dtype)


def _checked_softmax(name: str, a: Array, dim: int, dtype: Dtype | None) -> tuple[int, Dtype]:
    """The axis and the result's dtype; NotImplementedError for integers and complex numbers."""
    axis = wrap_dim(operator.index(dim), a.ndim)
    result = from_numpy_dtype(a.dtype) if dtype is None else dtype
    if result.kind != "f":
        last = "lastdim_" if axis >= a.ndim - 1 else ""
        raise NotImplementedError(f"\"{name}_{last}kernel_impl\" not implemented for '{result.type_name}'")
    return axis, result


@op(name="softmax_slope", places="")
def _softmax_slope(self: Array, soft: Array, dim: int, logs: bool) -> Array:
    """The gradient of the input for the gradient `self` of the result."""
    g = self.astype(soft.dtype, copy=False)
    axis = wrap_dim(dim, soft.ndim)
    if softmax_kernels.takes(soft, axis):
        return softmax_kernels.gradient(np.ascontiguousarray(g), soft, logs)
    if not soft.ndim:
        return g - np.exp(soft) * g if logs else soft * (g - g * soft)
    if logs:
        return g - np.exp(soft) * sum_array(g, (axis,), True)
    return soft * (g - sum_array(np.asarray(g * soft), (axis,), True))


@_softmax_slope.meta
def _softmax_slope_shape(self: Array, soft: Array, dim: int, logs: bool) -> Array:
    return meta_array(soft.shape, soft.dtype)


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


@_softmax_slope.batch
def _softmax_slope_batch(level: Any, op: Op, self: Any, soft: Any, dim: int, logs: bool) -> Any:
    if not rank(soft):
        return level.wrap(ops.zeros_like(level.front(self)))
    return level.wrap(op(level.front(self), level.front(soft), shifted(dim, rank(soft)), logs))


@op(aliases=("special.softmax",), takes_half=True)
def softmax(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """`exp(x) / sum(exp(x))` along `dim`, without overflow; `dtype` is converted to first.

    NotImplementedError for integers and complex numbers. The gradient is `y * (g - sum(g * y))`.

    >>> import pullback as torch
    >>> torch.tensor([0.0, 0.0]).softmax(0)
    tensor([0.5000, 0.5000])
    """
    return _softmax_array("softmax", self, dim, dtype, False)


@softmax.meta
def _softmax_shape(self: Array, dim: int, dtype: Dtype | None) -> Array:
    return meta_array(self.shape, _checked_softmax("softmax", self, dim, dtype)[1].numpy)


softmax.vjp(self=lambda g, dim, result: _softmax_slope(g, result, dim, False))


@op(aliases=("special.log_softmax",), takes_half=True)
def log_softmax(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """`x - log(sum(exp(x)))` along `dim`, without overflow; `dtype` is converted to first.

    NotImplementedError for integers and complex numbers. The gradient is `g - exp(y) * sum(g)`.

    >>> import pullback as torch
    >>> torch.tensor([0.0, 0.0]).log_softmax(0)
    tensor([-0.6931, -0.6931])
    """
    return _softmax_array("log_softmax", self, dim, dtype, True)


@log_softmax.meta
def _log_softmax_shape(self: Array, dim: int, dtype: Dtype | None) -> Array:
    return meta_array(self.shape, _checked_softmax("log_softmax", self, dim, dtype)[1].numpy)


log_softmax.vjp(self=lambda g, dim, result: _softmax_slope(g, result, dim, True))
