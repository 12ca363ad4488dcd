"""Sorting, and the k largest.

`order_of` is the one sort of the package: stable, NaN largest. The gradient of values that were
moved goes back to where they came from, by `to_picked` with the indices that the op gives as well.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from pullback import return_types
from pullback.core._engine import Tensor, from_array
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int64
from pullback.core.op import function, op
from pullback.core.strides import contiguous_strides, preserved_strides, strided_array
from pullback.core.types import Array
from pullback.ops.indexing.orders import order_plan
from pullback.ops.reductions.min_max import to_picked
from pullback.ops.shared.at import laid_as
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
    reversed_order = np.argsort(np.flip(a, axis), axis, kind="stable")
    return np.ascontiguousarray(a.shape[axis] - 1 - np.flip(reversed_order, axis))


def _sorted(self: Array, dim: int, descending: bool) -> tuple[Array, Array]:
    axis = wrap_dim(operator.index(dim), self.ndim)
    if not self.ndim:
        return self.copy(), np.zeros((), np.int64)
    order = order_of(self, axis, bool(descending))
    values = np.take_along_axis(self, order, axis)
    return _laid_as(self, values), _laid_as(self, order)


def _laid_as(a: Array, result: Array) -> Array:
    """A result in the layout that a copy of `a` has."""
    strides = preserved_strides(a)
    if strides == contiguous_strides(a.shape):
        return result
    laid = strided_array(a.shape, strides, result.dtype)
    laid[...] = result
    return laid


@op(name="sort", places="", moves=True, piecewise=True)
def _sort(
    self: Array, dim: int = -1, descending: bool = False, stable: bool | None = None
) -> tuple[Array, Array]:
    return _sorted(self, dim, descending)


def _plan_sort(self: Spec, dim: int, descending: bool, values: bool) -> Plan:
    axis = wrap_dim(operator.index(dim), self.ndim)
    if self.dtype.is_complex:
        raise RuntimeError(" Sort does not support complex dtypes on CPU")
    indices: Any = Spec(int64, self.shape, laid_as(self, 8))
    results = (Spec(self.dtype, self.shape, laid_as(self)), indices) if values else indices
    if not self.ndim:
        return Plan(results)
    wanted = (int(bool(descending)), self.shape[axis])
    return order_plan("order", self, axis, results, wanted, picks_places=not values)


_sort.prepare(lambda self, dim, descending, stable: _plan_sort(self, dim, descending, True))
_sort.variant = lambda saved: "SortBackward0" if saved["stable"] is None else "SortBackward1"
_sort.vjp(self=lambda g0, self_shape, dim, stable, result1: to_picked(g0, self_shape, dim, True, result1))


def sort(
    input: Tensor,
    dim: int = -1,
    descending: bool = False,
    stable: bool | None = None,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
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


@op(nondiff=True, moves=True)
def argsort(self: Array, dim: int = -1, descending: bool = False, stable: bool = False) -> Array:
    """The places of the elements along `dim` in their order, as `sort` gives them: int64.

    >>> import pullback as torch
    >>> torch.tensor([3.0, 1.0, 2.0]).argsort()
    tensor([1, 2, 0])
    """
    return _sorted(self, dim, descending)[1]


argsort.prepare(lambda self, dim, descending, stable: _plan_sort(self, dim, descending, False))


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
    self: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    k, axis = operator.index(k), wrap_dim(operator.index(dim), self.ndim)
    n = self.shape[axis] if self.ndim else 1
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


@_topk.prepare
def _plan_topk(self: Spec, k: int, dim: int, largest: bool, sorted: bool) -> Plan:
    k = operator.index(k)
    axis = wrap_dim(operator.index(dim), self.ndim)
    n = self.shape[axis] if self.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError("selected index k out of range")
    if self.dtype.kind in "bc":
        kind, space = ("bool", "") if self.dtype.kind == "b" else ("complex", " ")
        raise RuntimeError(f"{space}topk does not support {kind} dtypes on CPU")
    shape = tuple([k if i == axis else n for i, n in enumerate(self.shape)])
    results = Spec(self.dtype, shape), Spec(int64, shape)
    if not self.ndim:
        return Plan(results)
    return order_plan("order", self, axis, results, (int(bool(largest)), k))


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
    if isinstance(dim, bool):
        raise TypeError("topk(): argument 'dim' (position 2) must be int, not bool")
    if out is None:
        return return_types.topk(_topk(input, k, dim, largest, sorted))
    return return_types.topk_out(_topk(input, k, dim, largest, sorted, out=out))


topk = explained(topk)
