"""Tensors as sets: distinct elements and slices, and membership."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, result_type
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import bool_, from_numpy_dtype, number_dtype
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array, Number
from pullback.kernels.order import TYPES, counted, distinct, neighbours
from pullback.ops.indexing.sorting import comparable
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import compact
from pullback.ops.shared.forms import explained


def _run_lengths(start: Array) -> tuple[Array, Array]:
    """From where runs start: the run of each element, and the length of each run."""
    length = np.diff(np.flatnonzero(start), append=start.size)
    return np.cumsum(start) - 1, length.astype(np.int64)


def _slices_as_rows(self: Array, dim: int, name: str) -> tuple[Array, Array]:
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


_MANY = 1 << 12
"""Integers for which it pays to look at their range first."""


def _of_a_range(self: Array) -> tuple[Array, Array, Array] | None:
    """The distinct integers, which of them each is, and their counts, by a table of a small range of them."""
    if self.size < _MANY:
        return None
    low, high = int(self.min()), int(self.max())
    if high - low >= self.size:
        return None
    place = np.subtract(self, low, dtype=np.int64)
    counts = counted(np.ascontiguousarray(place), high - low + 1)
    assert counts is not None
    there = counts > 0
    values = (np.flatnonzero(there) + low).astype(self.dtype)
    return values, (np.cumsum(there) - 1)[place], counts[there]


def _unique_slices(self: Array, dim: int | None, order: bool, name: str) -> tuple[Array, Array, Array]:
    """Values, inverse and counts of neighbours that are equal, sorted first if `order`."""
    if self.dtype.kind == "c":
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(self)}'")
    kind = from_numpy_dtype(self.dtype).name
    if dim is None and order and kind in TYPES:
        found = _of_a_range(self) if self.dtype.kind in "iu" else None
        return distinct(compact(self), TYPES[kind]) if found is None else found
    rows, front = (self.reshape(-1, 1), self.reshape(-1)) if dim is None else _slices_as_rows(self, dim, name)
    index = np.arange(len(rows))
    if order:
        keys = comparable(rows)
        index = np.argsort(keys[:, 0], kind="stable") if keys.shape[1] == 1 else np.lexsort(keys.T[::-1])
        rows = rows[index]
    start = _starts(rows)
    run, counts = _run_lengths(start)
    inverse = np.empty(len(rows), np.int64)
    inverse[index] = run
    values = front[index[start]]
    if dim is None:
        return values, inverse.reshape(self.shape), counts
    return np.ascontiguousarray(np.moveaxis(values, 0, wrap_dim(dim, self.ndim))), inverse, counts


@op(name="unique", places="", moves=True, batch="dynamic")
def _unique(
    self: Array, dim: int | None, consecutive: bool, inverse: bool, counts: bool
) -> tuple[Array, Array, Array]:
    """The distinct slices along a dim, or elements, or those that differ from the one before them.

    Where inverse or counts are not asked for, anything may stand for them.
    """
    kind = from_numpy_dtype(self.dtype).name
    if consecutive and dim is None and kind in TYPES:
        return neighbours(compact(self), TYPES[kind], inverse, counts)
    return _unique_slices(self, dim, not consecutive, "unique_consecutive" if consecutive else "unique")


def _unique_node(saved: dict[str, Any]) -> str:
    if saved["consecutive"]:
        return "UniqueConsecutiveBackward0"
    return "Unique2Backward0" if saved["dim"] is None else "UniqueDimBackward0"


def _no_derivative(g0: Tensor, dim: int | None, consecutive: bool) -> None:
    name = "unique_consecutive" if consecutive else "_unique2" if dim is None else "unique_dim"
    raise NotImplementedError(f"the derivative for '{name}' is not implemented.")


_unique.variant = _unique_node
_unique.vjp(self=_no_derivative)


def _asked_for(results: tuple[Tensor, ...], inverse: bool, counts: bool) -> Any:
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
    return _asked_for(
        _unique(input, dim, False, return_inverse, return_counts), return_inverse, return_counts
    )


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
    return _asked_for(_unique(input, dim, True, return_inverse, return_counts), return_inverse, return_counts)


@op(name="isin", places="", nondiff=True)
def _isin(
    self: Array | Number,
    other: Array | Number,
    assume_unique: bool = False,
    invert: bool = False,
) -> Array:
    x, others = np.asarray(self), np.asarray(other)
    if x.size * others.size > _FEW_PAIRS:
        return np.asarray(np.isin(x, others, assume_unique, invert))
    found = np.logical_or.reduce(x[..., None] == others.reshape(-1), -1)
    return np.asarray(~found if invert else found)


_FEW_PAIRS = 1 << 14
"""Pairs of elements up to which each is compared with each."""


@_isin.meta
def _isin_shape(self: Array | Number, other: Array | Number, assume_unique: bool, invert: bool) -> Array:
    return meta_array(np.shape(self), np.dtype(np.bool_))


@_isin.batch
def _isin_batch(level: Any, op: Op, self: Any, other: Any, assume_unique: bool, invert: bool) -> Any:
    if level.holds(other):
        return level.call(_isin_by_search, self, other, invert)
    return level.wrap(op(self.physical, other, assume_unique, invert))


def _isin_by_search(elements: Any, tests: Tensor, invert: bool) -> Tensor:
    """An element is searched for among the sorted others."""
    ranked = ops.sort(ops.reshape(tests, (-1,)))[0]
    if not isinstance(elements, Tensor):
        elements = ops.full((), elements, dtype=ranked.dtype)
    kind = result_type(elements, ranked)
    elements, ranked = elements.to(kind), ranked.to(kind)
    if not ranked.shape[0]:
        return ops.full_like(elements, invert, dtype=bool_)
    flat = ops.reshape(elements, (-1,))
    index = ops.clamp(ops.searchsorted(ranked, flat), 0, ranked.shape[0] - 1)
    member = ops.reshape(ops.gather(ranked, 0, index) == flat, tuple(elements.shape))
    return ~member if invert else member


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
