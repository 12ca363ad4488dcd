"""Sums, products and moments: the reductions that are smooth.

`reduced_axes` reads `dim` for all of them; `unsqueeze_reduced` and `expand_reduced` bring a reduced
gradient back to the input's shape, and most rules are one call of them. Sums run through `sum_array`, which
adds pairwise. Read `sum` and `mean` first, then `prod`. In these files `sum` is the public function, not
the builtin, and `_sum` the op.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj, expand_scalar
from pullback.core._loops import add_reduce, total
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import complex32, from_numpy_dtype, int64
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array, Dims, Number
from pullback.ops.arrays.casts import cast_array
from pullback.ops.reductions.plans import fold_plan, kept_shape
from pullback.ops.reductions.row_plans import placed, row_plan, scan_plan
from pullback.ops.shared.dims import wrap_dim, wrap_dims
from pullback.ops.shared.forms import explained
from pullback.ops.shared.kernel_names import kernel_name


def reduced_axes(dim: Any, keepdim: Any, ndim: int) -> tuple[int, ...] | None:
    """The axes that `dim` names for NumPy; None for all, which is also what an empty `dim` says."""
    if keepdim is not False and keepdim is not True:
        raise TypeError(f"keepdim must be bool, not {type(keepdim).__name__}")
    if dim is None:
        return None
    if hasattr(dim, "__index__"):
        axis = wrap_dim(operator.index(dim), ndim)
        return (axis,) if ndim else None
    axes = wrap_dims(dim, ndim)
    return axes if axes and ndim else None


def reduced_shape(shape: Sequence[int], dim: Any, keepdim: Any = False) -> tuple[int, ...]:
    """The shape of the result."""
    axes = reduced_axes(dim, keepdim, len(shape))
    return kept_shape(shape, range(len(shape)) if axes is None else axes, keepdim)


def reduced_count(shape: Sequence[int], dim: Dims) -> int:
    """How many elements go into one element of the result."""
    if dim is None or not shape:
        return math.prod(shape)
    axes = wrap_dims(dim, len(shape)) or range(len(shape))
    return math.prod(shape[axis] for axis in axes)


def unsqueeze_reduced(t: Tensor, ndim: int, dim: Dims, keepdim: bool) -> Tensor:
    """A result with its reduced dims back as dims of one, to broadcast against the input."""
    if keepdim or dim is None or not ndim or t.ndim == ndim:
        return t
    for axis in wrap_dims(dim, ndim) or ():
        t = ops.unsqueeze(t, axis)
    return t


def expand_reduced(g: Tensor, shape: Sequence[int], dim: Dims, keepdim: bool) -> Tensor:
    """A gradient of the result repeated over the dims that were summed."""
    if dim is None and not keepdim:
        return expand_scalar(g, shape)
    return ops.expand(unsqueeze_reduced(g, len(shape), dim, keepdim), tuple(shape))


def widened(a: Array, dtype: Dtype | None = None) -> Array:
    """An array in `dtype` (its own if None), the half precisions in single precision."""
    target = a.dtype if dtype is None else dtype.numpy
    if a.dtype.name == "complex32":
        a = a.astype(np.complex64)
    if target.name == "complex32":
        target = np.dtype(np.complex64)
    if target.itemsize == 2 and target.kind not in "iu":
        target = np.dtype(np.float32)
    if a.dtype.kind == "c" and target.kind != "c":
        return cast_array(a, target)
    return a.astype(target, copy=False)


def narrowed(result: Array, a: Array, dtype: Dtype | None) -> Array:
    """A result as the dtype of the op: the undoing of `widened`."""
    return np.asarray(result).astype(a.dtype if dtype is None else dtype.numpy, copy=False)


_BLOCK = 64


def sum_array(a: Array, axes: tuple[int, ...] | None, keepdim: bool) -> Array:
    """`add_reduce`; where that would add long rows one by one in blocks: the error stays small."""
    if a.size < 4096 or a.dtype.kind in "bui" or _is_run(a, axes):
        return add_reduce(a, axes, keepdim)
    result = widened(a)
    for axis in range(a.ndim) if axes is None else axes:
        while result.shape[axis] >= 2 * _BLOCK:
            result = _block_sums(result, axis)
    return narrowed(add_reduce(result, axes, keepdim), a, None)


def _is_run(a: Array, axes: tuple[int, ...] | None) -> bool:
    """Whether the axes are the first or last of a contiguous array: `add_reduce` is good at it."""
    if not a.flags.c_contiguous or a.dtype.itemsize == 2:
        return False
    if axes is None:
        return True
    return axes[-1] - axes[0] == len(axes) - 1 and (axes[0] == 0 or axes[-1] == a.ndim - 1)


def _block_sums(a: Array, axis: int) -> Array:
    """Sums of blocks along an axis, the last of them shorter."""
    count, rest = divmod(a.shape[axis], _BLOCK)
    head, tail = np.split(a, [count * _BLOCK], axis)
    blocks = head.reshape(*a.shape[:axis], count, _BLOCK, *a.shape[axis + 1 :])
    parts = [np.add.reduce(blocks, axis + 1)]
    if rest:
        parts.append(np.add.reduce(tail, axis, keepdims=True))
    return np.concatenate(parts, axis) if rest else parts[0]


def _of_all(input: Tensor, *, dtype: Dtype | None = None) -> Tensor:
    """A form of `sum`, `mean` and `prod`."""


def _of_dims(
    input: Tensor, dim: Dims, keepdim: bool = False, *, dtype: Dtype | None = None, out: Tensor | None = None
) -> Tensor:
    """A form of `sum` and `mean`."""


def _along_one(
    input: Tensor, dim: int, keepdim: bool = False, *, dtype: Dtype | None = None, out: Tensor | None = None
) -> Tensor:
    """A form of `prod`."""


def _summed_dtype(own: Any, dtype: Dtype | None) -> Dtype:
    """The dtype of a sum or product: as asked for, int64 for integers and booleans."""
    if dtype is not None and not isinstance(dtype, Dtype):
        raise TypeError(f"dtype must be torch.dtype, not {type(dtype).__name__}")
    return dtype or (int64 if own.kind in "bui" else own)


def _summed(name: str, x: Spec, axes: tuple[int, ...] | None, keepdim: bool, dtype: Dtype | None) -> Plan:
    """The plan of a sum, mean or product; where the elements are cast first, its kernel does it."""
    made = _summed_dtype(x.dtype, dtype)
    if made is complex32:
        raise NotImplementedError(f"\"{kernel_name(name)}\" not implemented for 'ComplexHalf'")
    return fold_plan(name, x, axes, keepdim, made, runs=made is _summed_dtype(x.dtype, None))


@op(name="sum", places="", linear=True, takes_half=True, all_dims=True, casts_out=True, allowed="bifch")
def _sum(self: Array, dim: Dims = None, keepdim: bool = False, dtype: Dtype | None = None) -> Array:
    """Sum over the dims `dim`, over all if it is None or empty.

    Booleans and integers are summed as int64, unless `dtype` says otherwise; `keepdim` leaves dims
    of one. Floats are added pairwise. The gradient is that of the result, repeated.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(dim=0)
    tensor([4., 6.])
    """
    if dim is None and dtype is None and keepdim is False:
        quick = total(self, False)
        if quick is not None:
            return quick
    axes = reduced_axes(dim, keepdim, self.ndim)
    if dtype is not None:
        lost = self.dtype.kind == "c" != dtype.kind
        self = cast_array(self, dtype.numpy) if lost else self.astype(dtype.numpy, copy=False)
    elif self.dtype.kind in "bui":
        return np.asarray(np.add.reduce(self, axes, np.int64, None, keepdim))  # type: ignore[call-overload]  # the stub wants a literal
    return sum_array(self, axes, keepdim)


@_sum.prepare
def _plan_sum(self: Spec, dim: Dims, keepdim: bool, dtype: Dtype | None) -> Plan:
    return _summed("sum", self, reduced_axes(dim, keepdim, self.ndim), keepdim, dtype)


_sum.variant = lambda saved: (
    "SumBackward0" if saved["dim"] is None and not saved["keepdim"] else "SumBackward1"
)
_sum.vjp(self=lambda g, self_shape, dim, keepdim: expand_reduced(g, self_shape, dim, keepdim))
sum = explained(_sum, _of_all, _of_dims)


@op(takes_half=True, all_dims=True, casts_out=True)
def nansum(self: Array, dim: Dims = None, keepdim: bool = False, dtype: Dtype | None = None) -> Array:
    """Sum over `dim` with NaN counted as zero; NaN elements get no gradient.

    Integers are summed as int64. RuntimeError for complex numbers.

    >>> import pullback as torch
    >>> torch.tensor([1.0, float("nan"), 2.0]).nansum()
    tensor(3.)
    """
    axes = reduced_axes(dim, keepdim, self.ndim)
    if self.dtype.kind in "bui":
        wide = np.int64 if dtype is None else dtype.numpy
        return np.asarray(np.add.reduce(self, axes, wide, None, keepdim))  # type: ignore[call-overload]  # the stub wants a literal
    a = widened(self, dtype)
    return narrowed(sum_array(np.where(np.isnan(a), a.dtype.type(0), a), axes, keepdim), self, dtype)


@nansum.prepare
def _plan_nansum(self: Spec, dim: Dims, keepdim: bool, dtype: Dtype | None) -> Plan:
    if self.dtype.is_complex:
        raise RuntimeError("nansum on CPU does not support complex inputs")
    name = "nansum" if self.dtype.is_floating_point else "sum"
    return _summed(name, self, reduced_axes(dim, keepdim, self.ndim), keepdim, dtype)


nansum.vjp(
    self=lambda g, self, dim, keepdim: ops.where(
        self == self, unsqueeze_reduced(g, self.ndim, dim, keepdim), 0.0
    )
)


def _check_mean(own: Dtype, dtype: Dtype | None) -> None:
    """Refuses to take a mean in integers."""
    if (dtype or own).kind in "bui":
        which, name = ("Input", own.type_name) if dtype is None else ("Optional", dtype.type_name)
        raise RuntimeError(
            f"mean(): could not infer output dtype. {which} dtype must be either a floating point "
            f"or complex dtype. Got: {name}"
        )


@op(name="mean", places="", linear=True, takes_half=True, all_dims=True, casts_out=True, allowed="bifch")
def _mean(self: Array, dim: Dims = None, keepdim: bool = False, dtype: Dtype | None = None) -> Array:
    """Mean over the dims `dim`, over all if it is None or empty; NaN where there is nothing.

    RuntimeError for integers, unless `dtype` is a floating-point or complex type.
    The gradient is that of the result divided by the count, repeated.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=1)
    tensor([1.5000, 3.5000])
    """
    if dim is None and dtype is None and keepdim is False:
        quick = total(self, True)
        if quick is not None:
            return quick
    if dtype is not None or self.dtype.kind not in "fc":
        _check_mean(from_numpy_dtype(self.dtype), dtype)
    axes = reduced_axes(dim, keepdim, self.ndim)
    a = self if dtype is None and self.dtype.itemsize > 2 else widened(self, dtype)
    result = sum_array(a, axes, keepdim)
    count = a.size if axes is None else math.prod([a.shape[axis] for axis in axes])
    np.true_divide(result, count, result)
    return result if a is self else narrowed(result, self, dtype)


@_mean.prepare
def _plan_mean(self: Spec, dim: Dims, keepdim: bool, dtype: Dtype | None) -> Plan:
    _check_mean(self.dtype, dtype)
    axes = reduced_axes(dim, keepdim, self.ndim)
    return _summed("mean", self, axes, keepdim, dtype)


_mean.variant = lambda saved: (
    "MeanBackward0" if saved["dim"] is None and not saved["keepdim"] else "MeanBackward1"
)
_mean.vjp(
    self=lambda g, self_shape, dim, keepdim: expand_reduced(
        g / reduced_count(self_shape, dim), self_shape, dim, keepdim
    )
)
mean = explained(_mean, _of_all, _of_dims)


@function()
def nanmean(
    input: Tensor,
    dim: Dims = None,
    keepdim: bool = False,
    *,
    dtype: Dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Mean over `dim` of the elements that are not NaN. RuntimeError for integers.

    >>> import pullback as torch
    >>> torch.tensor([1.0, float("nan"), 2.0]).nanmean()
    tensor(1.5000)
    """
    if input.dtype.kind not in "fc":
        raise RuntimeError(
            "nanmean(): expected input to have floating point or complex dtype but got "
            f"{input.dtype.type_name}"
        )
    summed = nansum(input, dim, keepdim, dtype)
    values = input.detach()
    return ops.div(summed, sum(values == values, dim, keepdim), out=out)


@op(name="prod", places="", takes_half=True, casts_out=True, allowed="bifch")
def _prod(self: Array, dim: int | None = None, keepdim: bool = False, dtype: Dtype | None = None) -> Array:
    """Product over the dim `dim`, over all elements if it is None.

    Booleans and integers are multiplied as int64, unless `dtype` says otherwise. The gradient is
    the product of the other elements, right also where elements are zero, to any order.

    >>> import pullback as torch
    >>> x = torch.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> x.prod().backward()
    >>> x.grad
    tensor([0., 6., 0.])
    """
    axes = reduced_axes(dim if dim is None else operator.index(dim), keepdim, self.ndim)
    if dtype is None and self.dtype.kind in "bui":
        return np.asarray(np.multiply.reduce(self, axes, np.int64, None, keepdim))  # type: ignore[call-overload]  # the stub wants a literal
    a = widened(self, dtype)
    return narrowed(np.multiply.reduce(a, axes, None, None, keepdim), self, dtype)  # type: ignore[call-overload]  # the stub wants a literal


ROWS_OF_PRODUCT = 64
"""Rows that all elements of a long product are divided into, for its gradient."""


def _prod_vjp(g: Tensor, self: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if not self.ndim:
        return g
    if dim is None:
        flat, g = ops.reshape(self, (-1,)), ops.reshape(g, (1,))
        if self.numel() % ROWS_OF_PRODUCT == 0 and self.numel() > ROWS_OF_PRODUCT**2:  # threads share rows
            flat = ops.reshape(flat, (ROWS_OF_PRODUCT, -1))
            g = ops.unsqueeze(_prod_slope(g, _prod(flat, 1), -1), 1)
        return ops.reshape(_prod_slope(g, flat, -1), tuple(self.shape))
    return _prod_slope(
        unsqueeze_reduced(g, self.ndim, dim, keepdim), self, wrap_dim(dim, self.ndim) - self.ndim
    )


@op(name="prod_slope", places="", takes_half=True, batch="together")
def _prod_slope(self: Array, input: Array, dim: int) -> Array:
    """The gradient of a product along a dim, a negative number: `self`, with a dim of one, times the others.

    They are multiplied from both ends, without division, so zeros do no harm.
    """
    x = np.conj(np.moveaxis(widened(input), dim, 0))
    before, behind = np.ones_like(x), np.ones_like(x)
    np.multiply.accumulate(x[:-1], 0, out=before[1:])
    np.multiply.accumulate(x[:0:-1], 0, out=behind[-2::-1])
    return np.ascontiguousarray(narrowed(self * np.moveaxis(before * behind, 0, dim), input, None))


@_prod_slope.prepare
def _plan_prod_slope(self: Spec, input: Spec, dim: int) -> Plan:
    result = Spec(input.dtype, input.shape)
    if self.dtype is not input.dtype:
        return Plan(result)
    operands = [placed(t, input.ndim) for t in (self, input, result)]
    return scan_plan("prod_slope", result, operands, 2, input.shape, dim % input.ndim)


@_prod_slope.joint_vjp
def _prod_slope_vjp(g: Tensor, self: Tensor, input: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    along, shift = conj(ops.movedim(input, dim, -1)), conj(ops.movedim(g, dim, -1))
    others, change = _others_moved(along, shift)
    own = ops.sum(g * conj(ops.movedim(others, -1, dim)), dim, True)
    return own, self * ops.movedim(change, -1, dim)


def _others_moved(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """`others_prod` of x, and how fast it changes if x changes by v: the same tree of dual numbers."""
    n = x.shape[-1]
    if n < 2:
        return ops.ones_like(x), ops.zeros_like(x)
    if n % 2:
        end = ops.narrow(x, -1, 0, 1)
        x, v = ops.cat([x, ops.ones_like(end)], -1), ops.cat([v, ops.zeros_like(end)], -1)
    shape = (*x.shape[:-1], x.shape[-1] // 2, 2)
    x, v = ops.flip(ops.reshape(x, shape), (-1,)), ops.flip(ops.reshape(v, shape), (-1,))
    x0, x1, v0, v1 = [ops.select(t, -1, i) for t in (x, v) for i in (0, 1)]
    above, moved = [ops.unsqueeze(t, -1) for t in _others_moved(x0 * x1, x0 * v1 + v0 * x1)]
    pairs = above * x, above * v + moved * x
    others, change = [ops.reshape(t, (*shape[:-2], -1)) for t in pairs]
    return ops.narrow(others, -1, 0, n), ops.narrow(change, -1, 0, n)


def others_prod(x: Tensor) -> Tensor:
    """For each element of the last dim the product of all others, by a tree of pairwise products.

    Without division, so zeros do no harm; of multiplications, so it has derivatives of any order.
    """
    n = x.shape[-1]
    if n < 2:
        return ops.ones_like(x)
    if n % 2:
        x = ops.cat([x, ops.ones_like(ops.narrow(x, -1, 0, 1))], -1)
    pairs = ops.reshape(x, (*x.shape[:-1], x.shape[-1] // 2, 2))
    above = others_prod(ops.select(pairs, -1, 0) * ops.select(pairs, -1, 1))
    others = ops.reshape(ops.unsqueeze(above, -1) * ops.flip(pairs, (-1,)), tuple(x.shape))
    return ops.narrow(others, -1, 0, n) if n % 2 else others


@_prod.prepare
def _plan_prod(self: Spec, dim: int | None, keepdim: bool, dtype: Dtype | None) -> Plan:
    axes = reduced_axes(dim if dim is None else operator.index(dim), keepdim, self.ndim)
    return _summed("prod", self, axes, keepdim, dtype)


_prod.variant = lambda saved: "ProdBackward0" if saved["dim"] is None else "ProdBackward1"
_prod.vjp(self=_prod_vjp)
prod = explained(_prod, _of_all, _along_one)


@op(nondiff=True, all_dims=True, allowed="bifch")
def count_nonzero(self: Array, dim: Dims = None) -> Array:
    """How many elements are not zero along `dim`, or in all: int64.

    >>> import pullback as torch
    >>> torch.tensor([[0, 2], [3, 4]]).count_nonzero(dim=0)
    tensor([1, 2])
    """
    axes = reduced_axes(dim, False, self.ndim)
    return np.asarray(np.add.reduce(self != 0, axes, np.int64))


@count_nonzero.prepare
def _plan_count_nonzero(self: Spec, dim: Dims) -> Plan:
    return fold_plan("count_nonzero", self, reduced_axes(dim, False, self.ndim), False, int64)


def _broadcast_axes(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """The axes of `shape` that broadcasting from `size` adds or repeats; RuntimeError if it does not."""
    missing = len(shape) - len(size)
    axes = tuple(range(missing))
    for axis, want in enumerate(size, missing):
        if axis < 0 or (shape[axis] != want and want != 1):
            raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(shape)}}}.")
        if shape[axis] != want:
            axes += (axis,)
    return axes


@function(places="m")
def sum_to_size(input: Tensor, *sizes: Any, size: Any = None) -> Tensor:
    """Sum over the dims that broadcasting to this tensor's shape from `size` would repeat.

    RuntimeError if `size` does not expand to the shape. It is the derivative of `expand`, and the backward
    pass calls it for every operand that was broadcast.

    >>> import pullback as torch
    >>> torch.ones(2, 3).sum_to_size(2, 1)
    tensor([[3.],
            [3.]])
    """
    if not sizes and size is None:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    given = sizes or (size,)
    size = tuple(given[0] if isinstance(given[0], (tuple, list)) else given)
    if not size:
        return ops.sum(input)
    axes = _broadcast_axes(input.shape, size)
    total = ops.sum(input, axes, True) if axes else input
    return ops.view(total, size) if input.ndim > len(size) else total


@op(linear=True)
def trace(self: Array) -> Array:
    """Sum of the diagonal of a matrix, of integers as int64. The gradient fills the diagonal.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]]).trace()
    tensor(5.)
    """
    diagonal = np.ascontiguousarray(self.diagonal())
    return sum_array(diagonal if self.dtype.kind in "fc" else diagonal.astype(np.int64), None, False)


@trace.prepare
def _plan_trace(self: Spec) -> Plan:
    if self.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {self.ndim}")
    if self.dtype.kind == "b":
        raise NotImplementedError("\"trace\" not implemented for 'Bool'")
    diagonal = Spec(self.dtype, (min(*self.shape),), (self.strides[0] + self.strides[1],))
    return fold_plan("sum", diagonal, None, False, None if self.dtype.kind in "fc" else int64)


def _trace_vjp(g: Tensor, self_shape: tuple[int, int]) -> Tensor:
    return ops.embed(ops.expand(g, (min(self_shape),)), self_shape, "diagonal", (0, 0, 1))


trace.vjp(self=_trace_vjp)


@trace.batch
def _trace_batch(level: Any, op: Op, self: Any) -> Any:
    if self.ndim != 2:
        trace.kernel(self._layout)  # the message for a sample
    return level.wrap(sum(ops.diagonal(self.physical, 0, 1, 2), -1))


# ---------------------------------------------------------------------------- variance, deviation


def _moments(name: str, a: Array, dim: Dims, correction: float, keepdim: bool) -> tuple[Array, Array]:
    """Variance and mean; the function's name is for its messages."""
    axes = reduced_axes(dim, keepdim, a.ndim)
    count = a.size if axes is None else math.prod([a.shape[axis] for axis in axes])
    freedom = count - correction
    if freedom <= 0:
        warn_each_time(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            UserWarning,
        )
        freedom = 0
    center = sum_array(a, axes, True)
    np.true_divide(center, count, center)
    away = a - center
    away = away * away if a.dtype.kind == "f" else away.real**2 + away.imag**2
    variance = sum_array(np.asarray(away), axes, keepdim)
    np.true_divide(variance, freedom, variance)
    return variance, center if keepdim else center.reshape(variance.shape)


def _var_gradient(g: Tensor, self: Tensor, dim: Dims, correction: float, keepdim: bool) -> Tensor:
    g = unsqueeze_reduced(g, self.ndim, dim, keepdim) * 2
    return g / (reduced_count(self.shape, dim) - correction) * (self - mean(self, dim, True))


def _root_gradient(g: Tensor, deviation: Tensor) -> Tensor:
    """The gradient of a variance from that of its root; zero where the root is."""
    flat = deviation == 0
    return ops.where(flat, 0.0, g / (ops.where(flat, 1.0, deviation) * 2))


def _mean_gradient(g: Tensor, shape: Sequence[int], dim: Dims, keepdim: bool) -> Tensor:
    return expand_reduced(g / reduced_count(shape, dim), shape, dim, keepdim)


@op(name="var", places="", all_dims=True, casts_out=True, allowed="bifch")
def _var(self: Array, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Array:
    return _moments("var", self, dim, correction, keepdim)[0]


def _check_moments(name: str, x: Spec) -> None:
    if x.dtype.kind not in "fc":
        what = name if "_" in name else "std and var"
        raise RuntimeError(f"{what} only support floating point and complex dtypes")


def _plan_moment(name: str, x: Spec, dim: Dims, correction: float, keepdim: bool) -> Plan:
    """The plan of `var` or `std`; what has no degree of freedom is left to the kernel, which warns."""
    _check_moments(name, x)
    axes = reduced_axes(dim, keepdim, x.ndim)
    free = reduced_count(x.shape, axes) > correction
    return fold_plan(name, x, axes, keepdim, x.dtype.to_real(), float(correction), free)


_var.prepare(lambda self, dim, correction, keepdim: _plan_moment("var", self, dim, correction, keepdim))
_var.vjp(self=_var_gradient)


@op(name="std", places="", all_dims=True, casts_out=True, allowed="bifch")
def _std(self: Array, dim: Dims = None, correction: float = 1, keepdim: bool = False) -> Array:
    variance = _moments("std", self, dim, correction, keepdim)[0]
    return np.sqrt(variance, variance)


_std.prepare(lambda self, dim, correction, keepdim: _plan_moment("std", self, dim, correction, keepdim))
_std.vjp(
    self=lambda g, self, dim, correction, keepdim, result: _var_gradient(
        _root_gradient(g, result), self, dim, correction, keepdim
    )
)


@op(name="var_mean", places="", all_dims=True, allowed="bifch")
def _var_mean(
    self: Array, dim: Dims = None, correction: float = 1, keepdim: bool = False
) -> tuple[Array, Array]:
    return _moments("var_mean", self, dim, correction, keepdim)


@op(name="std_mean", places="", all_dims=True, allowed="bifch")
def _std_mean(
    self: Array, dim: Dims = None, correction: float = 1, keepdim: bool = False
) -> tuple[Array, Array]:
    variance, center = _moments("std_mean", self, dim, correction, keepdim)
    return np.sqrt(variance, variance), center


def _moments_gradient(
    g0: Tensor | None, g1: Tensor | None, self: Tensor, dim: Dims, correction: float, keepdim: bool
) -> Tensor | None:
    """The gradient through a variance and a mean, either of which may have none."""
    parts = []
    if g0 is not None:
        parts.append(_var_gradient(g0, self, dim, correction, keepdim))
    if g1 is not None:
        parts.append(_mean_gradient(g1, self.shape, dim, keepdim))
    return parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else None


def _plan_moments(name: str, x: Spec, dim: Dims, correction: float, keepdim: bool) -> Plan:
    """The plan of a variance or deviation with the mean; without a degree of freedom the kernel does it."""
    _check_moments(name, x)
    shape, axes = reduced_shape(x.shape, dim, keepdim), reduced_axes(dim, keepdim, x.ndim)
    results = Spec(x.dtype.to_real(), shape), Spec(x.dtype, shape)
    if reduced_count(x.shape, axes) <= correction:
        return Plan(results)
    along = range(x.ndim) if axes is None else axes
    left = [d for d in range(x.ndim) if d not in along]
    one = placed(Spec(x.dtype, tuple([x.shape[d] for d in left])), x.ndim, left)
    parameters = float(correction), float(name == "std_mean")
    return row_plan("moments", results, [placed(x, x.ndim), one, one], 1, x.shape, along, parameters)


_var_mean.prepare(
    lambda self, dim, correction, keepdim: _plan_moments("var_mean", self, dim, correction, keepdim)
)
_var_mean.vjp(self=_moments_gradient)
_std_mean.prepare(
    lambda self, dim, correction, keepdim: _plan_moments("std_mean", self, dim, correction, keepdim)
)
_std_mean.vjp(
    self=lambda g0, g1, self, dim, correction, keepdim, result0: _moments_gradient(
        None if g0 is None else _root_gradient(g0, result0), g1, self, dim, correction, keepdim
    )
)


def _unbiased_along(
    input: Tensor, dim: Dims, unbiased: bool = True, keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """A form of `var`, `std` and their pairs with the mean."""


def _corrected(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: Number | None = None,
    keepdim: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Another one."""


def _unbiased(input: Tensor, unbiased: bool = True) -> Tensor:
    """The last one."""


def _moment(name: str, record: Any, text: str, places: str) -> Any:
    """The public function of a variance or deviation: its two ways to say the correction."""

    def measure(
        input: Tensor,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        out: Any = None,
    ) -> Any:
        if dim is True or dim is False:
            unbiased, dim = dim, None
        if correction is None:
            correction = 0 if unbiased is False else 1
        elif unbiased is not None:
            raise TypeError("unbiased and correction cannot both be given")
        return record(input, dim, correction, keepdim, out=out)

    measure.__name__ = measure.__qualname__ = name
    measure.__doc__ = text
    return explained(measure, _unbiased_along, _corrected, _unbiased, places=places)


var = _moment(
    "var",
    _var,
    """Variance over `dim` (all if None): squares of `x - mean`, summed, over `count - correction`.

    `correction` is 1 unless given; `unbiased=False` sets it to 0. Real for complex input. Warns
    where nothing is left to divide by. RuntimeError for integers.
    The gradient is `g * 2 (x - mean) / (count - correction)`.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0, 4.0]).var()
    tensor(2.3333)
    """,
    "tm",
)
std = _moment(
    "std",
    _std,
    """Standard deviation over `dim`: the root of `var`, with the same parameters.

    Where it is zero its gradient is zero.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0, 3.0]).std()
    tensor(1.)
    """,
    "tm",
)
var_mean = _moment(
    "var_mean",
    _var_mean,
    """Variance and mean over `dim`, a tuple; the parameters are those of `var`.

    >>> import pullback as torch
    >>> torch.var_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """,
    "t",
)
std_mean = _moment(
    "std_mean",
    _std_mean,
    """Standard deviation and mean over `dim`, a tuple; the parameters are those of `var`.

    >>> import pullback as torch
    >>> torch.std_mean(torch.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """,
    "t",
)
