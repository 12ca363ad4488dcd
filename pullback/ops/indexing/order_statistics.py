"""Order statistics: the k-th smallest, medians, quantiles, and the mode.

`_ranked` is the kernel of all that pick one element along a dim by its rank in the stable order of
`sort`. Quantiles lie between elements: they are composed of `sort`, `gather` and arithmetic.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Op, Tensor, write_out
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int64
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.indexing.orders import MEDIAN, NANMEDIAN, RANK, order_plan
from pullback.ops.indexing.sorting import order_of
from pullback.ops.reductions.min_max import along_dim, checked_axis, evenly, over_all, picked, to_picked
from pullback.ops.reductions.plans import kept_shape
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.batches import has_samples
from pullback.ops.shared.chains import merged
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained


def _ranked(a: Array, axis: int, rank: Any, keepdim: bool) -> tuple[Array, Array]:
    """The element of that rank along an axis, and its place; an array has a rank for each row."""
    if not a.ndim:
        return a.copy(), np.zeros((), np.int64)
    rank = np.asarray(rank)
    if not rank.ndim:
        rank = rank.reshape((1,) * a.ndim)
    rank = np.broadcast_to(rank, [1 if i == axis else n for i, n in enumerate(a.shape)])
    return picked(a, axis, np.take_along_axis(order_of(a, axis), rank, axis), keepdim)


def _check_real(name: str, a: Spec) -> None:
    if a.dtype.kind in "bc":
        raise NotImplementedError(f"\"{name}\" not implemented for '{a.dtype.type_name}'")


def _rank_plan(run: str, self: Spec, axis: int, keepdim: bool, wanted: tuple[int, int]) -> Plan:
    """The plan of what picks an element along an axis, and says where it was."""
    shape = kept_shape(self.shape, (axis,), keepdim)
    results = Spec(self.dtype, shape), Spec(int64, shape)
    return order_plan(run, self, axis, results, wanted, keepdim) if self.ndim else Plan(results)


def _numbers(a: Array, axis: int | None, keepdims: bool) -> Array:
    """How many elements are not NaN."""
    return np.asarray(np.add.reduce(a == a, axis, np.int64, None, keepdims))  # type: ignore[call-overload]  # the stub wants a literal


def _median_name(skips_nan: bool) -> str:
    return "nanmedian" if skips_nan else "median"


_OF_NOTHING = {name: np.iinfo(name).min for name in ("int32", "int64")}
"""What the median of no integers is, where it is not 0: what a NaN becomes, cast to the dtype."""


@op(name="median", places="", piecewise=True)
def _median(self: Array, skips_nan: bool) -> Array:
    """The lower of the two elements in the middle, of all; NaN if there is one that is not skipped."""
    flat = self.reshape(-1)
    if not flat.size:
        return np.asarray(
            _OF_NOTHING.get(flat.dtype.name, 0 if flat.dtype.kind in "iu" else np.nan), flat.dtype
        )
    count = _numbers(flat, None, False)
    if count < flat.size and not (skips_nan and count):
        return np.asarray(np.nan, flat.dtype)
    middle = (int(count) - 1) // 2
    return np.asarray(np.partition(flat, middle)[middle])


@_median.prepare
def _plan_median(self: Spec, skips_nan: bool) -> Plan:
    _check_real("median_cpu", self)
    result = Spec(self.dtype, ())
    dims = merged(zip(self.shape, steps_of(self), strict=True)) or [(1, 0)]
    if len(dims) > 1:
        return Plan(result)
    flat = Spec(self.dtype, (dims[0][0],), (dims[0][1],))
    return order_plan("rank", flat, 0, result, (NANMEDIAN if skips_nan else MEDIAN, 0), False)


_median.variant = lambda saved: f"{_median_name(saved['skips_nan']).title()}Backward0"
_median.vjp(self=lambda g, self, result, skips_nan: evenly(g, self, result))


@op(name="median_dim", places="", piecewise=True)
def _median_along(self: Array, dim: int, keepdim: bool, skips_nan: bool) -> tuple[Array, Array]:
    """The lower of the two elements in the middle along a dim, and their indices."""
    axis = wrap_dim(operator.index(dim), self.ndim)
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    n = self.shape[axis]
    count = _numbers(self, axis, True)
    middle = (count - 1) // 2 if skips_nan else np.where(count < n, count, (n - 1) // 2)
    return _ranked(self, axis, np.maximum(middle, 0), keepdim)


@_median_along.prepare
def _plan_median_along(self: Spec, dim: int, keepdim: bool, skips_nan: bool) -> Plan:
    axis = checked_axis(_median_name(skips_nan), self, dim, keepdim)
    _check_real("median_out", self)
    return _rank_plan("rank", self, axis, keepdim, (NANMEDIAN if skips_nan else MEDIAN, 0))


_median_along.variant = lambda saved: f"{_median_name(saved['skips_nan']).title()}Backward1"
_median_along.vjp(
    self=lambda g0, self_shape, dim, keepdim, result1, skips_nan: to_picked(
        g0, self_shape, dim, keepdim, result1
    )
)


@_median.batch
def _median_batch(level: Any, op: Op, self: Any, skips_nan: bool) -> Any:
    rows = ops.reshape(self.physical, (level.size, -1))
    return level.wrap(_median_along(rows, 1, False, skips_nan)[0])


def _public_median(skips_nan: bool, text: str) -> Any:
    """`median` or `nanmedian`, of all elements or along a dim."""
    name = _median_name(skips_nan)
    named, written = getattr(return_types, name), getattr(return_types, f"{name}_out")

    def median(input: Tensor, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
        if dim is None:
            return _median(input, skips_nan, out=out)
        if out is None:
            return named(_median_along(input, dim, keepdim, skips_nan))
        return written(_median_along(input, dim, keepdim, skips_nan, out=out))

    median.__name__ = median.__qualname__ = name
    median.__doc__ = text
    return explained(median, over_all, along_dim)


median = _public_median(
    False,
    """The median of all elements, or with `dim` along it as `(values, indices)`; of two the lower.

    NaN if there is one. Over all, elements that tie share the gradient; along a dim it goes to the
    indices.
    NotImplementedError for booleans and complex numbers.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 4.0, 2.0]).median()
    tensor(2.)
    """,
)
nanmedian = _public_median(
    True,
    """The median of the elements that are not NaN; otherwise as `median`.

    >>> import pullback as torch
    >>> torch.tensor([3.0, float("nan"), 1.0]).nanmedian()
    tensor(1.)
    """,
)


def _to_picked(g0: Tensor, self_shape: Any, dim: int, keepdim: bool, result1: Tensor) -> Tensor:
    """The rule of an op that picks elements along a dim, `result1` saying which."""
    return to_picked(g0, self_shape, dim, keepdim, result1)


@op(name="kthvalue", places="", piecewise=True)
def _kthvalue(self: Array, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    return _ranked(self, wrap_dim(operator.index(dim), self.ndim), operator.index(k) - 1, keepdim)


_kthvalue.vjp(self=_to_picked)


@_kthvalue.prepare
def _plan_kthvalue(self: Spec, k: int, dim: int, keepdim: bool) -> Plan:
    k = operator.index(k)
    axis = checked_axis("kthvalue", self, dim, keepdim)
    if not 1 <= k <= (self.shape[axis] if self.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {axis}")
    _check_real("kthvalue_cpu", self)
    return _rank_plan("rank", self, axis, keepdim, (RANK, k - 1))


def kthvalue(
    input: Tensor,
    k: int,
    dim: int = -1,
    keepdim: bool = False,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The `k`-th smallest element along `dim`, counted from 1: `(values, indices)`.

    NaN is the largest. RuntimeError if `k` is out of range. The gradient goes to the element
    taken.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).kthvalue(2).values
    tensor(2.)
    """
    if out is None:
        return return_types.kthvalue(_kthvalue(input, k, dim, keepdim))
    return return_types.kthvalue_out(_kthvalue(input, k, dim, keepdim, out=out))


kthvalue = explained(kthvalue)


@op(name="mode", places="")
def _mode(self: Array, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    axis = wrap_dim(operator.index(dim), self.ndim)
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    rows = np.sort(np.moveaxis(self, axis, -1), -1)
    index_along = np.arange(rows.shape[-1])
    fresh = np.ones(rows.shape, bool)
    fresh[..., 1:] = rows[..., 1:] != rows[..., :-1]
    run = index_along - np.maximum.accumulate(np.where(fresh, index_along, 0), -1)
    best = np.argmax(run, -1, keepdims=True)
    value = np.moveaxis(np.take_along_axis(rows, best, -1), -1, axis)
    shape = [-1 if i == axis else 1 for i in range(self.ndim)]
    index = np.where(self == value, index_along.reshape(shape), 0).max(axis, keepdims=True)
    return (value, index) if keepdim else (value.squeeze(axis), index.squeeze(axis))


@_mode.prepare
def _plan_mode(self: Spec, dim: int, keepdim: bool) -> Plan:
    axis = checked_axis("mode", self, dim, keepdim)
    if self.dtype.is_complex:
        raise NotImplementedError(f"\"mode_cpu\" not implemented for '{self.dtype.type_name}'")
    return _rank_plan("mode", self, axis, keepdim, (0, 0))


_mode.vjp(self=_to_picked)


def mode(
    input: Tensor, dim: int = -1, keepdim: bool = False, *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """The most frequent element along `dim` and its last place: `(values, indices)`.

    The smallest of equally frequent ones. The gradient goes to that place.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0, 2.0]).mode().values
    tensor(2.)
    """
    if out is None:
        return return_types.mode(_mode(input, dim, keepdim))
    return return_types.mode_out(_mode(input, dim, keepdim, out=out))


mode = explained(mode)


# -------------------------------------------------------------------------------------- quantiles

_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(input: Tensor, q: Any, interpolation: str) -> None:
    """Refuses what no quantile can be taken of or at."""
    said = None
    if interpolation not in _INTERPOLATIONS:
        said = (
            "interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {interpolation}"
        )
    elif not isinstance(q, Tensor) and not 0 <= q <= 1:
        said = f"q must be in the range [0, 1] but got {q:g}"
    elif not input._layout.size:
        said = "input tensor must be non-empty"
    elif input.dtype.kind != "f" or input.dtype.itemsize < 4:
        said = "input tensor must be either float or double dtype"
    elif isinstance(q, Tensor) and q.ndim > 1:
        said = "q must be a scalar or 1D tensor"
    elif isinstance(q, Tensor) and q.dtype is not input.dtype:
        said = "q tensor must be same dtype as the input tensor"
    elif isinstance(q, Tensor) and not has_samples(q) and not ((q._array >= 0) & (q._array <= 1)).all():
        said = "q values must be in the range [0, 1]"
    if said is not None:
        raise RuntimeError(f"quantile() {said}")


def _rounded(ranks: Tensor, interpolation: str) -> tuple[Tensor, Any]:
    """The lower of the two ranks around a quantile, and how far it lies towards the upper."""
    if interpolation == "higher":
        return ops.ceil(ranks), None
    if interpolation == "nearest":
        return ranks.round(), None
    below = ops.floor(ranks)
    if interpolation == "lower":
        return below, None
    weight = ranks - below
    return below, ops.ceil(weight) * 0.5 if interpolation == "midpoint" else weight


def _at_ranks(rows: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    """The values at fractional ranks of sorted rows: (..., n) and (..., m) to (..., m)."""
    below, weight = _rounded(ranks, interpolation)
    low = ops.gather(rows, -1, below.long())
    if weight is None:
        return low
    high = ops.gather(rows, -1, ops.ceil(ranks).long())
    return ops.lerp(low, high, weight)


def _quantile(name: str, skips_nan: bool, text: str) -> Any:
    """`quantile` or `nanquantile`."""

    def quantile(
        input: Tensor,
        q: Tensor | float,
        dim: int | None = None,
        keepdim: bool = False,
        *,
        interpolation: str = "linear",
        out: Tensor | None = None,
    ) -> Tensor:
        _check_quantile(input, q, interpolation)
        flat = dim is None or not input.ndim
        axis = wrap_dim(0 if dim is None else dim, input.ndim)
        rows = ops.reshape(input, (-1,)) if flat else ops.movedim(input, axis, -1)
        rows = ops.sort(rows, -1)[0]
        last = rows.shape[-1] - 1
        numbers = ops.sum(rows == rows, -1, True, dtype=input.dtype)
        if skips_nan:
            ranks = ops.maximum(numbers - 1, ops.zeros_like(numbers)) * q
        else:
            ranks = ops.where(numbers <= last, float(last), (ops.zeros_like(numbers) + last) * q)
        result = ops.movedim(_at_ranks(rows, ranks, interpolation), -1, 0)
        if keepdim:
            shape = [1 if flat or i == axis else n for i, n in enumerate(input.shape)]
            result = ops.reshape(result, (result.shape[0], *shape))
        if not isinstance(q, Tensor) or not q.ndim:
            result = ops.select(result, 0, 0)
        return result if out is None else write_out(out, result.detach())

    quantile.__name__ = quantile.__qualname__ = name
    quantile.__doc__ = text
    return explained(quantile)


quantile = _quantile(
    "quantile",
    False,
    """The values below which parts `q` (0 to 1) of the elements along `dim` lie, of all if None.

    `q` is a number, or a tensor whose 1 dim comes first in the result. Between two elements
    `interpolation` decides: linear, lower, higher, midpoint or nearest. NaN where there is a NaN.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0, 4.0]).quantile(0.5)
    tensor(2.5000)
    """,
)
nanquantile = _quantile(
    "nanquantile",
    True,
    """The quantiles of the elements that are not NaN; otherwise as `quantile`.

    >>> import pullback as torch
    >>> torch.tensor([3.0, float("nan"), 1.0]).nanquantile(0.5)
    tensor(2.)
    """,
)
