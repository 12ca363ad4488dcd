"""Running reductions, finite differences and the trapezoidal rule.

The derivative of a running sum is a running sum from the other end. `cumprod` and `cummax` are read
best after it. The gradients of running products and of `logcumsumexp` are ops as well, with plans of their
own; the rules of these are formulas. What looks like a loop in `_suffix_sums` and `_doubling` runs over
powers of two.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Op, Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import bool_, complex32, int64
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function, op
from pullback.core.types import Array, Number
from pullback.ops.arrays.casts import cast_array
from pullback.ops.reductions.min_max import to_picked
from pullback.ops.reductions.row_plans import from_end, placed, scan_plan
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained


def _scan_dtype(a: Array, dtype: Dtype | None) -> np.dtype[Any]:
    """The dtype of a running sum or product: int64 of integers, unless `dtype` says otherwise."""
    if dtype is not None:
        return dtype.numpy
    return np.dtype(np.int64) if a.dtype.kind in "bui" else a.dtype


def _accumulate(ufunc: Any, a: Array, dim: int, dtype: Dtype | None) -> Array:
    """A running sum or product: integers in int64, floats in float64 and rounded at the end."""
    axis = wrap_dim(operator.index(dim), a.ndim)
    target = _scan_dtype(a, dtype)
    wide = target if target.kind in "bui" or target.itemsize > 8 else np.dtype(np.float64)
    if target.kind == "c":
        wide = np.dtype(np.complex128)
    if not a.ndim:
        return a.astype(target)
    a = cast_array(a, target) if a.dtype.kind == "c" != target.kind else a.astype(target, copy=False)
    result = ufunc.accumulate(a, axis, wide)
    return np.asarray(result, target, order="C")


def _running_plan(name: str, x: Spec, dim: int, dtype: Dtype | None = None, backward: bool = False) -> Plan:
    """The plan of a running op of one operand; what is cast first is left to the kernel."""
    axis = wrap_dim(operator.index(dim), x.ndim)
    own = int64 if x.dtype.kind in "bui" else x.dtype
    result = Spec(dtype or own, x.shape)
    if result.dtype in (bool_, complex32) and x.ndim and 0 not in x.shape:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for '{result.dtype.type_name}'")
    if result.dtype is not own or not x.ndim:
        return Plan(result)
    operands = [placed(t, x.ndim) for t in (x, result)]
    if backward:
        operands = [from_end(t, x.shape, axis) for t in operands]
    return scan_plan(name, result, operands, 1, x.shape, axis)


@op(name="cumsum", places="", linear=True, takes_half=True, casts_out=True, allowed="bifch")
def _cumsum(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """Running sum along `dim`: `y[i] = x[0] + ... + x[i]`.

    Booleans and integers are summed as int64, unless `dtype` says otherwise. The gradient is the
    running sum of `g` from the end.

    >>> import pullback as torch
    >>> torch.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    return _accumulate(np.add, self, dim, dtype)


@op(name="cumsum_from_end", places="", linear=True, takes_half=True)
def _cumsum_from_end(self: Array, dim: int) -> Array:
    """The running sum that begins at the end: the derivative of the other, and the other way round."""
    axis = wrap_dim(dim, self.ndim)
    return np.flip(_accumulate(np.add, np.flip(self, axis), dim, None), axis) if self.ndim else self.copy()


_cumsum.prepare(lambda self, dim, dtype: _running_plan("cumsum", self, dim, dtype))
_cumsum.vjp(self=lambda g, dim: _cumsum_from_end(g, dim))
_cumsum_from_end.prepare(lambda self, dim: _running_plan("cumsum", self, dim, backward=True))
_cumsum_from_end.vjp(self=lambda g, dim: _cumsum(g, dim))


def _running_total(
    input: Tensor, dim: int, *, dtype: Dtype | None = None, out: Tensor | None = None
) -> Tensor:
    """The form of `cumsum` and `cumprod`."""


cumsum: Op = explained(_cumsum, _running_total, places="tmi")


@op(name="cumprod", places="", takes_half=True, casts_out=True, allowed="bifch")
def _cumprod(self: Array, dim: int, dtype: Dtype | None = None) -> Array:
    """Running product along `dim`: `y[i] = x[0] * ... * x[i]`.

    Booleans and integers are multiplied as int64, unless `dtype` says otherwise. The gradient is
    right also where elements are zero, to any order.

    >>> import pullback as torch
    >>> torch.tensor([1, 2, 3]).cumprod(0)
    tensor([1, 2, 6])
    """
    return _accumulate(np.multiply, self, dim, dtype)


def _cumprod_vjp(g: Tensor, self: Tensor, dim: int, result: Tensor) -> Tensor:
    if not self.ndim or not self.shape[dim]:
        return g
    if g.dtype is self.dtype and self.dtype.kind == "f":
        return _cumprod_slope(g, self, result, wrap_dim(dim, self.ndim) - self.ndim)
    before = _shifted_by(result, dim, 1, 1.0)
    return conj(before) * _suffix_sums(g, _shifted_by(conj(self), dim, -1, 0.0), dim)


def _slope_plan(name: str, g: Spec, x: Spec, y: Spec, dim: int) -> Plan:
    """The plan of the gradient of a running op, from that of its result, its input and its result."""
    result, axis = Spec(x.dtype, x.shape), dim % x.ndim
    operands = [from_end(placed(t, x.ndim), x.shape, axis) for t in (g, x, y, result)]
    return scan_plan(name, result, operands, 3, x.shape, axis)


@op(name="cumprod_slope", places="", takes_half=True, batch="together")
def _cumprod_slope(self: Array, input: Array, product: Array, dim: int) -> Array:
    """`product[i-1] * s[i]`, `s[i] = self[i] + input[i+1] * s[i+1]`: the gradient of `cumprod`."""
    g, x, y = (np.moveaxis(t, dim, 0).astype(np.float64) for t in (self, input, product))
    result, total = np.empty(x.shape), np.zeros(x.shape[1:])
    for i in reversed(range(len(x))):
        total = g[i] + (x[i + 1] * total if i + 1 < len(x) else 0)
        result[i] = total * (y[i - 1] if i else 1)
    return np.ascontiguousarray(np.moveaxis(result, 0, dim).astype(input.dtype))


_cumprod_slope.prepare(
    lambda self, input, product, dim: _slope_plan("cumprod_slope", self, input, product, dim)
)


@_cumprod_slope.joint_vjp
def _cumprod_slope_vjp(
    g: Tensor, self: Tensor, input: Tensor, product: Tensor, dim: int
) -> tuple[Tensor, ...]:
    factor = _shifted_by(input, dim, -1, 0.0)
    sums = _suffix_sums(self, factor, dim)
    own = _prefix_sums(g * _shifted_by(product, dim, 1, 1.0), input, dim)
    return own, _shifted_by(own, dim, 1, 0.0) * sums, _shifted_by(g * sums, dim, -1, 0.0)


def _suffix_sums(g: Tensor, factor: Tensor, dim: int) -> Tensor:
    """`s[i] = g[i] + factor[i] * s[i+1]` in log2(n) steps, each over twice as many terms."""
    step = 1
    while step < g.shape[dim]:
        g = g + factor * _shifted_by(g, dim, -step, 0.0)
        factor = factor * _shifted_by(factor, dim, -step, 0.0)
        step *= 2
    return g


def _prefix_sums(g: Tensor, factor: Tensor, dim: int) -> Tensor:
    """`s[i] = g[i] + factor[i] * s[i-1]`."""
    flipped = _suffix_sums(ops.flip(g, (dim,)), ops.flip(factor, (dim,)), dim)
    return ops.flip(flipped, (dim,))


def _shifted_by(x: Tensor, dim: int, by: int, fill: float) -> Tensor:
    """The elements moved along `dim`, backward if `by` is negative; `fill` where none come from."""
    n = x.shape[dim]
    filling = ops.ones_like if fill else ops.zeros_like
    if by > 0:
        return ops.cat([filling(ops.narrow(x, dim, 0, by)), ops.narrow(x, dim, 0, n - by)], dim)
    return ops.cat([ops.narrow(x, dim, -by, n + by), filling(ops.narrow(x, dim, 0, -by))], dim)


_cumprod.prepare(lambda self, dim, dtype: _running_plan("cumprod", self, dim, dtype))
_cumprod.vjp(self=_cumprod_vjp)
cumprod = explained(_cumprod, _running_total, places="tmi")


@op(aliases=("special.logcumsumexp",))
def logcumsumexp(self: Array, dim: int) -> Array:
    """Running `log(sum(exp(x)))` along `dim`, without overflow. NotImplementedError for integers.

    >>> import pullback as torch
    >>> torch.tensor([0.0, 0.0]).logcumsumexp(0)
    tensor([0.0000, 0.6931])
    """
    if not self.ndim:
        return self.copy()
    axis = wrap_dim(dim, self.ndim)
    if self.dtype.kind == "f":
        return np.ascontiguousarray(np.logaddexp.accumulate(self, axis))
    return _doubling(_complex_logaddexp, self, axis)


def _complex_logaddexp(a: Array, b: Array) -> Array:
    """`log(exp(a) + exp(b))` of complex numbers, the larger taken out."""
    swap = a.real < b.real
    large, small = np.where(swap, b, a), np.where(swap, a, b)
    return np.where(np.isinf(large.real), large, large + np.log1p(np.exp(small - large)))


def _doubling(combine: Callable[[Array, Array], Array], a: Array, axis: int) -> Array:
    """A running op in log2(n) steps over whole arrays."""
    result = np.moveaxis(a, axis, -1).copy()
    step = 1
    while step < result.shape[-1]:
        result[..., step:] = combine(result[..., :-step], result[..., step:])
        step *= 2
    return np.ascontiguousarray(np.moveaxis(result, -1, axis))


def _logcumsumexp_vjp(g: Tensor, self: Tensor, dim: int, result: Tensor) -> Tensor:
    """`sum over j >= i of g[j] exp(x[i] - y[j])`, by factors exp(y[i] - y[i+1]), at most one."""
    if not self.ndim or not self.shape[dim]:
        return g
    if g.dtype is self.dtype and self.dtype.kind == "f":
        return _logcumsumexp_slope(g, self, result, wrap_dim(dim, self.ndim) - self.ndim)
    return conj(_exp_of_difference(self, result)) * _suffix_sums(g, conj(_ratios(result, dim)), dim)


def _ratios(result: Tensor, dim: int) -> Tensor:
    """`exp(y[i] - y[i+1])`, zero at the end."""
    n = result.shape[dim]
    lower, upper = ops.narrow(result, dim, 0, n - 1), ops.narrow(result, dim, 1, n - 1)
    last = ops.zeros_like(ops.narrow(result, dim, 0, 1))
    return ops.cat([_exp_of_difference(lower, upper), last], dim)


@op(name="logcumsumexp_slope", places="", batch="together")
def _logcumsumexp_slope(self: Array, input: Array, total: Array, dim: int) -> Array:
    """`exp(input[i] - total[i]) * s[i]`, `s[i] = self[i] + exp(total[i] - total[i+1]) * s[i+1]`."""
    g, x, y = (np.moveaxis(t, dim, 0).astype(np.float64) for t in (self, input, total))
    slope, carried = np.empty(x.shape), np.zeros(x.shape[1:])
    for i in reversed(range(len(x))):
        ratio = np.exp(np.where(np.isneginf(y[i]), y[i], y[i] - y[min(i + 1, len(x) - 1)]))
        carried = g[i] + (ratio * carried if i + 1 < len(x) else 0)
        slope[i] = carried * np.exp(np.where(np.isneginf(x[i]), x[i], x[i] - y[i]))
    return np.ascontiguousarray(np.moveaxis(slope, 0, dim).astype(input.dtype))


_logcumsumexp_slope.prepare(
    lambda self, input, total, dim: _slope_plan("logcumsumexp_slope", self, input, total, dim)
)


@_logcumsumexp_slope.joint_vjp
def _logcumsumexp_slope_vjp(
    g: Tensor, self: Tensor, input: Tensor, total: Tensor, dim: int
) -> tuple[Tensor, ...]:
    share, ratio = _exp_of_difference(input, total), _ratios(total, dim)
    sums = _suffix_sums(self, ratio, dim)
    own = _prefix_sums(g * share, _shifted_by(ratio, dim, 1, 0.0), dim)
    straight, through = g * share * sums, own * ratio * _shifted_by(sums, dim, -1, 0.0)
    return own, straight, through - _shifted_by(through, dim, 1, 0.0) - straight


def _exp_of_difference(a: Tensor, b: Tensor) -> Tensor:
    """`exp(a - b)`, zero where a is the logarithm of zero, even if b is too."""
    zero = a == -float("inf")
    return ops.where(zero, 0.0, ops.exp(ops.where(zero, 0.0, a - b)))


@logcumsumexp.prepare
def _plan_logcumsumexp(self: Spec, dim: int) -> Plan:
    wrap_dim(operator.index(dim), self.ndim)
    if self.dtype.kind not in "fc":
        raise NotImplementedError(f"\"logcumsumexp_out_cpu\" not implemented for '{self.dtype.type_name}'")
    return _running_plan("logcumsumexp", self, dim)


logcumsumexp.vjp(self=_logcumsumexp_vjp)


# ----------------------------------------------------------------------------- cumulative extrema


_UFUNC_OF = {"cummax": np.maximum, "cummin": np.minimum}


@op(name="cumulative_extremum", places="", piecewise=True)
def _cumulative_extremum(self: Array, dim: int, function: str) -> tuple[Array, Array]:
    """The extremum so far along a dim, and the last index where it stood; `function` is cummax or cummin."""
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    axis = wrap_dim(dim, self.ndim)
    values = np.ascontiguousarray(_UFUNC_OF[function].accumulate(self, axis))
    shape = [-1 if i == axis else 1 for i in range(self.ndim)]
    index = np.arange(self.shape[axis]).reshape(shape)
    reached = np.where((self == values) | (self != self), index, 0)
    return values, np.ascontiguousarray(np.maximum.accumulate(reached, axis))


@_cumulative_extremum.prepare
def _plan_cumulative_extremum(self: Spec, dim: int, function: str) -> Plan:
    axis = wrap_dim(operator.index(dim), self.ndim)
    if self.dtype.kind == "c":
        raise NotImplementedError(f"\"{function}_cpu\" not implemented for '{self.dtype.type_name}'")
    results = Spec(self.dtype, self.shape), Spec(int64, self.shape)
    operands = [placed(t, self.ndim) for t in (self, *results)]
    return scan_plan(function, results, operands, 1, self.shape, axis)


_cumulative_extremum.variant = lambda saved: f"{saved['function'].title()}Backward0"
_cumulative_extremum.vjp(
    self=lambda g0, self_shape, dim, result1, function: to_picked(
        g0, self_shape, dim, True, result1, "ScatterAddBackward0"
    )
)


def _cummax_or_cummin(name: str) -> Any:
    """The public function."""
    named, written = getattr(return_types, name), getattr(return_types, f"{name}_out")

    def cumulative(
        input: Tensor, dim: int, *, out: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        if out is None:
            return named(_cumulative_extremum(input, dim, name))
        return written(_cumulative_extremum(input, dim, name, out=out))

    side, values, indices = (
        ("largest", "1, 3, 3", "0, 1, 1") if name == "cummax" else ("smallest", "1, 1, 1", "0, 0, 0")
    )
    cumulative.__name__ = cumulative.__qualname__ = name
    cumulative.__doc__ = f"""The {side} element so far along `dim`, and its last index.

    From the first NaN on all are NaN. The gradient goes to the elements at the indices.

    >>> import pullback as torch
    >>> torch.tensor([1, 3, 2]).{name}(0)
    torch.return_types.{name}(
    values=tensor([{values}]),
    indices=tensor([{indices}]))
    """
    return explained(cumulative)


cummax, cummin = _cummax_or_cummin("cummax"), _cummax_or_cummin("cummin")


# ---------------------------------------------------------------------- differences and trapezoids


@function()
def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """Differences of neighbours along `dim`, taken `n` times; of booleans whether they differ.

    `prepend` and `append` are joined to the input first. RuntimeError for a 0-dim input.

    >>> import pullback as torch
    >>> torch.tensor([1, 4, 9]).diff()
    tensor([3, 5])
    """
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = wrap_dim(dim, input.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    ends = [t for t in (prepend, append) if t is not None]
    if any(t.ndim != input.ndim for t in ends):
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    if ends and n:
        input = ops.cat([t for t in (prepend, input, append) if t is not None], dim)
    if n == 0 or n >= input.shape[dim]:
        kept = ops.narrow(input, dim, 0, 0 if n else input.shape[dim])
        return ops.clone(kept) if out is None else out.copy_(kept)
    minus = ops.logical_xor if input.dtype.kind == "b" else ops.sub
    for order in range(n, 0, -1):
        length = input.shape[dim] - 1
        upper, lower = ops.narrow(input, dim, 1, length), ops.narrow(input, dim, 0, length)
        input = minus(upper, lower, out=out if order == 1 else None)
    return input


def _checked_points(name: str, y: Tensor, x: Tensor | None, dim: int) -> int:
    """The dim along which points lie that can be integrated over."""
    if not y.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = wrap_dim(dim, y.ndim)
    for which, t in (("y", y), ("x", x)):
        if t is not None and t.dtype.kind == "b":
            raise RuntimeError(f"{name}: received a bool input for `{which}`, but bool is not supported")
    return dim


def _panels(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor | None:
    """The areas between neighbouring points; None where there are none, being too few points."""
    dim = _checked_points(name, y, x, dim)
    n = y.shape[dim]
    if x is not None:
        if x.shape[-1 if x.ndim == 1 else dim] != n:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        if x.ndim == 1:
            x = ops.reshape(x, [n if axis == dim else 1 for axis in range(y.ndim)])
        dx = diff(x, 1, dim)
    if n < 2:
        return None
    pairs = ops.narrow(y, dim, 0, n - 1) + ops.narrow(y, dim, 1, n - 1)
    return pairs * dx / 2.0


@function(aliases=("torch.trapz",), places="t")
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Number = 1, dim: int = -1) -> Tensor:
    """The integral along `dim` by the trapezoidal rule, over points `x` or spaced by `dx`.

    RuntimeError for booleans, and if `x` has another length than `y`.

    >>> import pullback as torch
    >>> torch.trapezoid(torch.tensor([1.0, 2.0, 3.0]), dx=2)
    tensor(8.)
    """
    along = _checked_points("trapezoid", y, x, dim)
    if x is None and y.shape[along] > 1:
        ends = ops.select(y, along, 0) + ops.select(y, along, -1)
        return (ops.sum(y, along) - ends * 0.5) * dx
    areas = _panels("trapezoid", y, x, dx, dim)
    return ops.sum(y * 0.0, dim) if areas is None else ops.sum(areas, dim)


@function(places="t")
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Number = 1, dim: int = -1) -> Tensor:
    """The running integral along `dim` by the trapezoidal rule, one element shorter than `y`.

    >>> import pullback as torch
    >>> torch.cumulative_trapezoid(torch.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    areas = _panels("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(ops.narrow(y, dim, 0, 0) * 1.0 if areas is None else areas, dim)
