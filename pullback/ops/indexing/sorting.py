"""Sorting, and what is found by it: order, sets, places, counts.

`order_of` is the one sort of the package: stable, NaN largest. The gradient of values that were
moved goes back to where they came from, by `to_picked` with the indices that the op gives as well.
"""

from __future__ import annotations

import math
import operator
from numbers import Number
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Op, Tensor, from_array, result_type
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import bool_, float64, from_numpy_dtype, number_dtype
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.arrays.casts import cast_array
from pullback.ops.reductions.min_max import to_picked
from pullback.ops.shared.batches import of_sample, rank
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained


def comparable(a: Array) -> Array:
    """The array as NumPy can sort it: the half precisions as float32."""
    return a.astype(np.float32) if a.dtype.itemsize == 2 and a.dtype.kind not in "iu" else a


def order_of(a: Array, axis: int, descending: bool = False) -> Array:
    """The stable order of the elements along an axis; NaN is the largest."""
    a = comparable(a)
    if not descending:
        return np.argsort(a, axis, kind="stable")
    # Equal elements keep their order if what is sorted is reversed, before and after.
    turned = np.argsort(np.flip(a, axis), axis, kind="stable")
    return np.ascontiguousarray(a.shape[axis] - 1 - np.flip(turned, axis))


def _sorted(self: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    if self.dtype.kind == "c":
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    axis = wrap_dim(operator.index(dim), self.ndim)
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    order = order_of(self, axis, bool(descending))
    return np.take_along_axis(self, order, axis), order


@op(name="sort", places="", moves=True, layout="K", piecewise=True)
def _sort(
    self: Tensor, dim: int = -1, descending: bool = False, stable: bool | None = None
) -> tuple[Array, Array]:
    return _sorted(self, dim, descending)


_sort.variant = lambda saved: "SortBackward0" if saved["stable"] is None else "SortBackward1"
_sort.vjp(self=lambda g0, self_shape, dim, stable, result1: to_picked(g0, self_shape, dim, True, result1))


def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool | None = None,
    *,
    out: Any = None,
) -> Any:
    """The elements along `dim` in order, and where each came from: `(values, indices)`.

    Equal elements keep their order, whether `stable` is asked for or not. NaN is the largest.
    RuntimeError for complex numbers. The gradient goes back to where the elements came from.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).sort()
    torch.return_types.sort(
    values=tensor([1., 2., 3.]),
    indices=tensor([1, 2, 0]))
    """
    if out is None:
        return return_types.sort(_sort(input, dim, descending, stable))
    return return_types.sort_out(_sort(input, dim, descending, stable, out=out))


def _stable(
    input: Tensor,
    *,
    stable: bool | None = None,
    dim: int = -1,
    descending: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """A form of `sort`."""


def _in_any_way(
    input: Tensor, dim: int = -1, descending: bool = False, *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Another one."""


sort = explained(sort, _stable, _in_any_way)


@op(nondiff=True, moves=True, layout="K")
def argsort(self: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Array:
    """The places of the elements along `dim` in their order, as `sort` gives them: int64.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    return _sorted(self, dim, descending)[1]


@function()
def msort(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The elements in order along the first dim.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).msort()
    tensor([1., 2., 3.])
    """
    if out is None:
        return _sort(input, 0)[0]
    return _sort(input, 0, out=(out, from_array(np.empty(0, np.int64))))[0]


@op(name="topk", places="", moves=True, piecewise=True)
def _topk(
    self: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    k = operator.index(k)
    axis = wrap_dim(operator.index(dim), self.ndim)
    n = self.shape[axis] if self.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError("selected index k out of range")
    if self.dtype.kind in "bc":
        kind, space = ("bool", "") if self.dtype.kind == "b" else ("complex", " ")
        raise RuntimeError(f"{space}topk does not support {kind} dtypes on CPU")
    if not self.ndim:
        return self.reshape([1])[:k].reshape(()).copy(), np.zeros((), np.int64)
    a = np.moveaxis(comparable(self), axis, -1)
    if 0 < k < n // 8:
        cut = n - k if largest else k - 1
        part = np.argpartition(a, cut, -1)
        part = np.sort(part[..., cut:] if largest else part[..., : cut + 1], -1)
        order = order_of(np.take_along_axis(a, part, -1), -1, bool(largest))
        order = np.take_along_axis(part, order, -1)
    else:
        order = order_of(a, -1, bool(largest))[..., :k]
    order = np.ascontiguousarray(np.moveaxis(order, -1, axis))
    return np.take_along_axis(self, order, axis), order


_topk.vjp(self=lambda g0, self_shape, dim, result1: to_picked(g0, self_shape, dim, True, result1))


def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The `k` largest (or smallest) elements along `dim` in order: `(values, indices)`.

    NaN is the largest. RuntimeError if `k` exceeds the size, for booleans and complex numbers.
    The gradient goes to the elements taken.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).topk(2)
    torch.return_types.topk(
    values=tensor([3., 2.]),
    indices=tensor([0, 2]))
    """
    if out is None:
        return return_types.topk(_topk(input, k, dim, largest, sorted))
    return return_types.topk_out(_topk(input, k, dim, largest, sorted, out=out))


topk = explained(topk)


# ------------------------------------------------------------------------------------------- sets


def _runs(start: Array) -> tuple[Array, Array]:
    """From where runs start: the run of each element, and the length of each run."""
    length = np.diff(np.flatnonzero(start), append=start.size)
    return np.cumsum(start) - 1, length.astype(np.int64)


def _rows(self: Array, dim: int, name: str) -> tuple[Array, Array]:
    """The slices along a dim, flattened to rows, and the dim moved to the front."""
    if not self.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    axis = wrap_dim(operator.index(dim), self.ndim)
    front = np.moveaxis(self, axis, 0)
    if self.size == 0 and any(n == 0 for n in front.shape[1:]):
        raise RuntimeError(
            f"There are 0 sized dimensions, and they aren't selected, so {name} cannot be applied"
        )
    return front.reshape(len(front), math.prod(front.shape[1:])), front


def _starts(rows: Array) -> Array:
    """Which rows differ from the one before."""
    start = np.ones(len(rows), bool)
    if len(rows) > 1:
        start[1:] = (rows[1:] != rows[:-1]).any(1)
    return start


def _set(self: Array, dim: int | None, order: bool, name: str) -> tuple[Array, Array, Array]:
    """Values, inverse and counts of neighbours that are equal, sorted first if `order`."""
    if self.dtype.kind == "c":
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(self)}'")
    rows, front = (self.reshape(-1, 1), self.reshape(-1)) if dim is None else _rows(self, dim, name)
    place = np.arange(len(rows))
    if order:
        keys = comparable(rows)
        place = np.argsort(keys[:, 0], kind="stable") if keys.shape[1] == 1 else np.lexsort(keys.T[::-1])
        rows = rows[place]
    start = _starts(rows)
    run, counts = _runs(start)
    inverse = np.empty(len(rows), np.int64)
    inverse[place] = run
    values = front[place[start]]
    if dim is None:
        return values, inverse.reshape(self.shape), counts
    return np.ascontiguousarray(np.moveaxis(values, 0, wrap_dim(dim, self.ndim))), inverse, counts


@op(name="unique", places="", moves=True, batch="dynamic")
def _unique(self: Tensor, dim: int | None, consecutive: bool) -> tuple[Array, Array, Array]:
    """The distinct slices along a dim, or elements, or those that differ from the one before them."""
    return _set(self, dim, not consecutive, "unique_consecutive" if consecutive else "unique")


def _unique_node(saved: dict[str, Any]) -> str:
    if saved["consecutive"]:
        return "UniqueConsecutiveBackward0"
    return "Unique2Backward0" if saved["dim"] is None else "UniqueDimBackward0"


def _no_derivative(g0: Tensor, dim: int | None, consecutive: bool) -> None:
    name = "unique_consecutive" if consecutive else "_unique2"
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


_unique.variant = _unique_node
_unique.vjp(self=_no_derivative)


def _wanted(results: tuple[Tensor, ...], inverse: bool, counts: bool) -> Any:
    """Those of values, inverse and counts that were asked for; the values alone if nothing was."""
    chosen = [r for r, want in zip(results, (True, inverse, counts), strict=True) if want]
    return tuple(chosen) if len(chosen) > 1 else chosen[0]


@function()
def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct elements in order, or the distinct slices along `dim`; NaNs are all distinct.

    With `return_inverse` also where each element went, with `return_counts` how many there are.

    >>> import pullback as torch
    >>> torch.tensor([3, 1, 3]).unique(return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return _wanted(_unique(input, dim, False), return_inverse, return_counts)


@function()
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or slices along `dim`, that differ from the one before them.

    With `return_inverse` also where each element went, with `return_counts` the runs' lengths.

    >>> import pullback as torch
    >>> torch.tensor([1, 1, 2, 1]).unique_consecutive()
    tensor([1, 2, 1])
    """
    return _wanted(_unique(input, dim, True), return_inverse, return_counts)


# ------------------------------------------------------------------------------- places and counts


@op(name="searchsorted", places="", nondiff=True)
def _searchsorted(
    sorted_sequence: Tensor,
    self: Tensor | Number,
    right: bool = False,
    out_int32: bool = False,
    sorter: Tensor | None = None,
) -> Array:
    bounds, values = sorted_sequence, np.asarray(self)
    if bounds.dtype.kind in "bc":
        raise NotImplementedError(f"\"searchsorted_out_cpu\" not implemented for '{type_name(bounds)}'")
    if sorter is not None:
        bounds = np.take_along_axis(bounds, sorter, -1)
    side = "right" if right else "left"
    if bounds.ndim <= 1:
        found = np.searchsorted(bounds.reshape(-1), values, side)
    else:
        found = _search_rows(bounds, values, side)
    if values.dtype.kind == "f":
        found = np.where(np.isnan(values), bounds.shape[-1], found)
    return np.asarray(found).astype(np.int32 if out_int32 else np.int64)


@_searchsorted.batch
def _searchsorted_batch(
    level: Any, op: Op, sorted_sequence: Any, self: Any, right: bool, out_int32: bool, sorter: Any
) -> Any:
    """One sorted row for all samples takes all their values; else each has its own."""
    alone = rank(sorted_sequence) == 1
    if not isinstance(self, Tensor):
        self = ops.full((), self, dtype=sorted_sequence.dtype)
    if alone and not level.holds(sorted_sequence) and not level.holds(sorter):
        return level.wrap(op(sorted_sequence, self.physical, right, out_int32, sorter))
    sorter = None if sorter is None else level.front(sorter)
    p = level.front(self)
    values = ops.reshape(p, (level.size, -1)) if alone else p
    found = op(level.front(sorted_sequence), values, right, out_int32, sorter)
    return level.wrap(ops.reshape(found, p.shape))


def _search_rows(bounds: Array, values: Array, side: str) -> Array:
    """One search for all rows: numbers become ranks, and each row's are lifted above the last's."""
    both = np.concatenate([bounds.ravel(), values.ravel()])
    ranks = np.unique(both, return_inverse=True)[1]
    n = bounds.shape[-1]
    rows = max(math.prod(bounds.shape[:-1]), 1)
    lift = np.arange(rows)[:, None] * (len(ranks) + 1)
    keys = ranks[: bounds.size].reshape(rows, -1) + lift
    wanted = ranks[bounds.size :].reshape(rows, -1) + lift
    return (np.searchsorted(keys.ravel(), wanted, side) - np.arange(rows)[:, None] * n).reshape(values.shape)


def _check_search(sorted_sequence: Tensor, value: Any) -> None:
    """Refuses values and boundaries whose leading dims do not match."""
    bounds = list(sorted_sequence.shape)
    shape = list(value.shape) if isinstance(value, Tensor) else []
    if not shape and len(bounds) != 1:
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            f"dimension is 1, but we got boundaries tensor dim({len(bounds)}) and input value's "
            "dim(0) numel(1)"
        )
    if len(bounds) != 1 and bounds[:-1] != shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {bounds} and input value tensor {shape}"
        )


@function(places="t")
def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where each value would go in the last dim of `sorted_sequence`, to keep it sorted: int64.

    Before equal elements, after them with `right=True` or `side="right"`. The leading dims of a
    sequence with several match those of the values. `sorter` is the order of an unsorted sequence.

    >>> import pullback as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([0, 3, 6]))
    tensor([0, 1, 3])
    """
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError(
                "torch.searchsorted(): side and right can't be set to opposites, got side of left "
                "while right was True"
            )
        right = side == "right"
    _check_search(sorted_sequence, input)
    return _searchsorted(sorted_sequence, input, right, out_int32, sorter, out=out)


@function(places="t")
def bucketize(
    input: Any,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The bucket of each value between sorted 1-dim `boundaries`: `searchsorted`, turned round.

    >>> import pullback as torch
    >>> torch.bucketize(torch.tensor([0, 3, 6]), torch.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _searchsorted(boundaries, input, right, out_int32, None, out=out)


@op(nondiff=True, takes_half=True)
def histc(self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Array:
    """Counts of the elements in `bins` equal parts of [min, max], in the input's dtype.

    The range is that of the elements if `min` equals `max`. Elements outside are not counted. Places
    are computed in the input's dtype, half precisions too.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0, 1.0]).histc(4, 0, 3)
    tensor([0., 2., 1., 0.])
    """
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if not from_numpy_dtype(self.dtype).is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{type_name(self)}'")
    low, high = float(min), float(max)
    if low == high and self.size:
        low, high = float(self.min()), float(self.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    inside, number = self[(self >= low) & (self <= high)], self.dtype.type
    places = (inside - number(low)) * number(bins) / (number(high) - number(low))
    places = np.minimum(places.astype(np.float64), bins - 1).astype(np.int64)
    return np.bincount(places, minlength=bins).astype(self.dtype)


@histc.batch
@of_sample
def _histc_by_scatter(self: Tensor, bins: int, min: float, max: float) -> Tensor:
    if bins <= 0 or min > max or not self.dtype.is_floating_point or (min == max and not self.numel()):
        return NotImplemented  # the kernel says what is wrong
    flat = ops.reshape(self.detach(), (-1,))
    if min == max:
        low, high = ops.amin(flat), ops.amax(flat)
        equal = low == high
        low, high = ops.where(equal, low - 1, low), ops.where(equal, high + 1, high)
    else:
        low, high = (ops.full((), float(end), dtype=self.dtype) for end in (min, max))
    inside = (flat >= low) & (flat <= high)
    place = ops.clamp((flat - low) * bins / (high - low), 0, bins - 1)
    place = ops.where(inside, place.to(float64), 0.0).long()
    return ops.scatter_add(ops.zeros(bins, dtype=self.dtype), 0, place, inside.to(self.dtype))


@op()
def bincount(self: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Array:
    """How often each number from 0 to the largest occurs in a 1-dim tensor of integers.

    With `weights` their sums, float32 for float32 weights and float64 for others. The gradient of a
    weight is that of the sum it went into.

    >>> import pullback as torch
    >>> torch.bincount(torch.tensor([1, 2, 1]))
    tensor([0, 2, 1])
    """
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if self.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{type_name(self)}'")
    if self.ndim != 1 or (self.size and self.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return np.bincount(self, minlength=minlength).astype(np.int64, copy=False)
    if weights.shape != self.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counts = np.bincount(self, cast_array(weights, np.dtype(np.float64)), minlength)
    return counts.astype(np.float32 if weights.dtype == np.float32 else np.float64, copy=False)


bincount.vjp(weights=lambda g, self: ops.index_select(g, 0, self))


@bincount.batch
def _bincount_batch(level: Any, op: Op, self: Any, weights: Any, minlength: int) -> Any:
    """One count of the numbers of all samples, each sample's after the last one's."""
    p = level.front(self)
    if p.ndim != 2 or p.dtype.kind not in "iu" or (weights is not None and weights.shape != self.shape):
        return NotImplemented
    tops = ops.clamp(ops.amax(p, 1) + 1, minlength) if p.numel() else ops.full((1,), minlength)
    count = int(ops.amax(tops))
    if int(ops.amin(tops)) != count or (p.numel() and int(ops.amin(p)) < 0):
        return NotImplemented  # of several lengths: it will say so
    flat = p + ops.unsqueeze(ops.arange(level.size), 1) * count
    given = None if weights is None else ops.reshape(level.front(weights), (-1,))
    found = op(ops.reshape(flat, (-1,)), given, level.size * count)
    return level.wrap(ops.reshape(found, (level.size, count)))


@op(name="isin", places="", nondiff=True)
def _isin(
    self: Tensor | Number,
    other: Tensor | Number,
    assume_unique: bool = False,
    invert: bool = False,
) -> Array:
    return np.asarray(np.isin(self, other, assume_unique, invert))


@_isin.batch
def _isin_batch(level: Any, op: Op, self: Any, other: Any, assume_unique: bool, invert: bool) -> Any:
    if level.holds(other):
        return level.call(_isin_by_search, self, other, invert)
    return level.wrap(op(self.physical, other, assume_unique, invert))


def _isin_by_search(elements: Any, tests: Tensor, invert: bool) -> Tensor:
    """The place of an element among the sorted others, and whether that is the element."""
    ranked = ops.sort(ops.reshape(tests, (-1,)))[0]
    if not isinstance(elements, Tensor):
        elements = ops.full((), elements, dtype=ranked.dtype)
    kind = result_type(elements, ranked)
    elements, ranked = elements.to(kind), ranked.to(kind)
    if not ranked.shape[0]:
        return ops.full_like(elements, invert, dtype=bool_)
    flat = ops.reshape(elements, (-1,))
    place = ops.clamp(ops.searchsorted(ranked, flat), 0, ranked.shape[0] - 1)
    found = ops.reshape(ops.gather(ranked, 0, place) == flat, tuple(elements.shape))
    return ~found if invert else found


def isin(
    elements: Tensor | Number,
    test_elements: Tensor | Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Whether each element is among those of another tensor; with `invert` whether it is not.

    Either may be a number, but not both.

    >>> import pullback as torch
    >>> torch.isin(torch.tensor([1, 2]), torch.tensor([2, 3]))
    tensor([False,  True])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("one of the two must be a Tensor")
    for operand in (elements, test_elements):
        kind = operand.dtype if isinstance(operand, Tensor) else number_dtype(operand)
        if kind is not None and kind.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {kind.type_name}")
    return _isin(elements, test_elements, assume_unique, invert, out=out)


def _many_in_many(
    elements: Tensor,
    test_elements: Tensor,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """A form of `isin`."""


def _one_in_many(
    element: Number,
    test_elements: Tensor,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Another one."""


def _many_in_one(
    elements: Tensor,
    test_element: Number,
    *,
    assume_unique: bool = False,
    invert: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The last one."""


isin = explained(isin, _many_in_many, _one_in_many, _many_in_one, places="t")
