"""Which elements of a sparse tensor are stored, and where: a `Pattern`.

A pattern has the tensors of indices, in one of five layouts, and what is found out about them: the place of
each stored element in the dense tensor (`places`, `flat`). Tensors with the same elements stored share
their pattern, so that this is found out once: a product in a training step finds it as the last one left it.

    COO        indices (sparse_dim, nnz)
    CSR, BSR   crow_indices (*batch, rows + 1), col_indices (*batch, nnz); of blocks for BSR
    CSC, BSC   ccol_indices (*batch, columns + 1), row_indices (*batch, nnz)
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import (
    Size,
    layout,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from pullback.core.types import Array

BY_ROWS = (sparse_csr, sparse_bsr)
COMPRESSED = (sparse_csr, sparse_csc, sparse_bsr, sparse_bsc)
BLOCKS = (sparse_bsr, sparse_bsc)
SHOWN = {
    strided: "Strided",
    sparse_coo: "Sparse",
    sparse_csr: "SparseCsr",
    sparse_csc: "SparseCsc",
    sparse_bsr: "SparseBsr",
    sparse_bsc: "SparseBsc",
}
"""What messages call a layout."""


class Pattern:
    """The indices of a sparse tensor of a size. `coalesced`: COO indices are sorted and no two are alike."""

    __slots__ = ("__dict__", "block", "coalesced", "index", "layout", "size")

    def __init__(
        self,
        kind: layout,
        index: tuple[Tensor, ...],
        size: Any,
        coalesced: bool = False,
        block: tuple[int, ...] = (),
    ) -> None:
        self.layout, self.index, self.size = kind, index, Size(size)
        self.coalesced, self.block = coalesced or kind is not sparse_coo, block

    @property
    def batch_dim(self) -> int:
        """The number of dims in front of rows and columns, each with indices of its own."""
        return 0 if self.layout is sparse_coo else self.index[0].ndim - 1

    @property
    def sparse_dim(self) -> int:
        """The number of dims that have indices, but for those of a batch."""
        return self.index[0].shape[0] if self.layout is sparse_coo else 2

    @property
    def dense_dim(self) -> int:
        """The number of dims, the last ones, of which all elements are stored."""
        return len(self.size) - self.batch_dim - self.sparse_dim

    @property
    def nnz(self) -> int:
        """The number of values, or blocks, that are stored; in a batch of each matrix."""
        return self.index[-1].shape[-1]

    @property
    def sparse_size(self) -> tuple[int, ...]:
        """The sizes of the dims that `places` has coordinates of."""
        return tuple(self.size[: len(self.size) - self.dense_dim])

    @property
    def dense_size(self) -> tuple[int, ...]:
        """The sizes of the other dims."""
        return tuple(self.size[len(self.size) - self.dense_dim :])

    @property
    def values_shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return (*self.sparse_size[: self.batch_dim], self.nnz, *self.block, *self.dense_size)

    @property
    def count(self) -> int:
        """The number of stored elements, or rows of dense dims."""
        return math.prod(self.sparse_size[: self.batch_dim]) * self.nnz * math.prod(self.block)

    @functools.cached_property
    def places(self) -> Array:
        """The coordinates of the stored elements, in the order of the values: (dims, count) of int64.

        RuntimeError for one outside the tensor.
        """
        found = self._found_places()
        if found.shape[1]:
            for dim, (low, high, n) in enumerate(
                zip(found.min(1), found.max(1), self.sparse_size, strict=True)
            ):
                if low < 0:
                    raise RuntimeError(f"found negative index {low} for dim {dim}")
                if high >= n:
                    raise RuntimeError(
                        f"size is inconsistent with indices: for dim {dim}, size is {n} but found index "
                        f"{high}"
                    )
        return found

    def _found_places(self) -> Array:
        if self.layout is sparse_coo:
            return np.ascontiguousarray(self.index[0]._array, np.int64)
        compressed, plain = (np.asarray(t._array, np.int64) for t in self.index)
        batch = compressed.shape[:-1]
        major = np.empty(plain.shape, np.int64)
        for b in np.ndindex(batch):
            major[b] = np.repeat(np.arange(compressed.shape[-1] - 1), np.diff(compressed[b]))
        rows, columns = (major, plain) if self.layout in BY_ROWS else (plain, major)
        if self.block:
            height, width = self.block
            shape = (*plain.shape, height, width)
            rows = np.broadcast_to(rows[..., None, None] * height + np.arange(height)[:, None], shape)
            columns = np.broadcast_to(columns[..., None, None] * width + np.arange(width), shape)
        found = np.empty((len(batch) + 2, rows.size), np.int64)
        found[-2], found[-1] = rows.reshape(-1), columns.reshape(-1)
        for dim, index in enumerate(np.indices(batch)):
            wide = index.reshape(*batch, *[1] * (rows.ndim - len(batch)))
            found[dim] = np.broadcast_to(wide, rows.shape).reshape(-1)
        return found

    @functools.cached_property
    def flat(self) -> Array:
        """The number of each stored element among all, counted row by row."""
        return flat_places(self.places, self.sparse_size)

    @functools.cached_property
    def flat_index(self) -> Tensor:
        """The same as a tensor."""
        return from_array(self.flat)

    @functools.cached_property
    def ordered(self) -> tuple[Pattern, Tensor | None, Tensor | None]:
        """The pattern with each element once, in order; and how values get there.

        Two tensors of indices: in which order they are to be taken (None: as they are), and to which of the
        elements each then belongs (None: each to its own).
        """
        if self.layout is sparse_coo and self.coalesced:
            return self, None, None
        flat = self.flat
        rises = np.diff(flat) > 0
        if rises.all():
            return coo_pattern(self.places, self.size), None, None
        order = np.argsort(flat, kind="stable")
        places, rises = self.places[:, order], np.diff(flat[order]) > 0
        if rises.all():
            return coo_pattern(places, self.size), from_array(order), None
        starts = np.concatenate([[True], rises])
        target = np.cumsum(starts) - 1
        return coo_pattern(places[:, starts], self.size), from_array(order), from_array(target)

    def same(self, other: Pattern) -> bool:
        """Whether the same elements are stored in the same order."""
        if self is other:
            return True
        return (
            self.layout is other.layout
            and self.size == other.size
            and self.index[-1].shape == other.index[-1].shape
            and self.block == other.block
            and all(np.array_equal(a._array, b._array) for a, b in zip(self.index, other.index, strict=True))
        )


def flat_places(places: Array, size: tuple[int, ...]) -> Array:
    """Coordinates as numbers, counted row by row."""
    if not size:
        return np.zeros(places.shape[1], np.int64)
    flat = places[0].copy()
    for n, coordinates in zip(size[1:], places[1:], strict=True):
        flat *= n
        flat += coordinates
    return flat


def coo_pattern(places: Array, size: Any, coalesced: bool = True) -> Pattern:
    """The COO pattern of coordinates (dims, nnz)."""
    index = from_array(np.ascontiguousarray(places, np.int64))
    return Pattern(sparse_coo, (index,), size, coalesced)


def compressed(rows: Array, count: int) -> Array:
    """Where each row begins, and the last one ends, for the sorted numbers of elements' rows."""
    return np.searchsorted(rows, np.arange(count + 1)).astype(np.int64)
