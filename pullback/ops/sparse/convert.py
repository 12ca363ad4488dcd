"""From dense tensors to sparse ones and back, and from one layout to another."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import (
    dtype,
    layout,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from pullback.core.modes import no_grad
from pullback.core.op import function
from pullback.ops.sparse.patterns import BLOCKS, BY_ROWS, SHOWN, Pattern, compressed, coo_pattern
from pullback.ops.sparse.tensors import (
    build,
    elements,
    implements,
    in_order,
    is_sparse,
    make,
    picked,
    recorded,
    sparse,
    values_of,
)

NODES = {
    sparse_coo: "ToSparseBackward0",
    sparse_csr: "ToSparseCsrBackward0",
    sparse_csc: "ToSparseCscBackward0",
    sparse_bsr: "ToSparseBsrBackward0",
    sparse_bsc: "ToSparseBscBackward0",
}


def refuse_layout(name: str, wanted: str, x: Any) -> RuntimeError:
    """The error for a function of one kind of layout only."""
    return RuntimeError(f"{name} expected {wanted} layout but got {SHOWN[x.layout]}")


# ---------------------------------------------------------------------------------- to dense


def densified(x: Any) -> Tensor:
    """The dense tensor of a sparse one, by ops on its values."""
    pattern = x.pattern
    v = elements(pattern, values_of(x))
    flat = ops.zeros((math.prod(pattern.sparse_size), *pattern.dense_size), dtype=x.dtype)
    if x.dtype.kind == "b":
        return ops.reshape(ops.index_put(flat, (pattern.flat_index,), v), pattern.size)
    if pattern.count:
        flat = ops.index_add(flat, 0, pattern.flat_index, v)
    return ops.reshape(flat, pattern.size)


@function(places="m", aliases=("Tensor._to_dense",))
def to_dense(input: Tensor, dtype: dtype | None = None, *, masked_grad: bool | None = None) -> Tensor:
    """The tensor with all its elements, in another dtype if one is given; a dense one is returned as it is.

    The gradient of a sparse tensor has its elements alone; with `masked_grad=False` all of them.

    >>> import pullback as torch
    >>> torch.sparse_coo_tensor([[1]], [5.0], (3,)).to_dense()
    tensor([0., 5., 0.])
    """
    return input if dtype is None else ops.to(input, dtype)


@implements("to_dense")
def _to_dense(input: Any, dtype: dtype | None = None, *, masked_grad: bool | None = None) -> Tensor:
    with no_grad():
        result = densified(input)
    pattern, kind = input.pattern, input.layout

    def back(g: Any) -> Any:
        if masked_grad is None or masked_grad:
            return masked(g, pattern)
        return as_layout(g, kind, pattern.sparse_dim, pattern.dense_dim, pattern.block)

    result = recorded("ToDenseBackward0", result, (input, back))
    return result if dtype is None else ops.to(result, dtype)


def unmasked(x: Any) -> Any:
    """The dense tensor of a sparse one, whose gradient is taken as it is; any other is returned."""
    if not is_sparse(x):
        return x
    with no_grad():
        result = densified(x)
    return recorded("ToDenseBackward0", result, (x, lambda g: g))


def masked(x: Any, pattern: Pattern) -> Any:
    """The elements of a tensor at the places of a pattern, sparse."""
    return build(pattern, picked(x, pattern))


# ---------------------------------------------------------------------------------- to sparse


def from_dense(x: Tensor, sparse_dim: int) -> Any:
    """The COO tensor of a dense one's elements that are not zero, with `sparse_dim` dims indexed."""
    rows = ops.reshape(x.detach(), (math.prod(x.shape[:sparse_dim]), *x.shape[sparse_dim:]))._array
    kept = rows.reshape(len(rows), -1).any(1) if rows.ndim > 1 else rows != 0
    (flat,) = np.nonzero(kept)
    places = np.empty((sparse_dim, len(flat)), np.int64)
    if sparse_dim:
        places[:] = np.unravel_index(flat, tuple(x.shape[:sparse_dim]))
    pattern = coo_pattern(places, x.shape)
    return make(pattern, from_array(np.ascontiguousarray(rows[flat])))


def _sizes(blocksize: Any) -> tuple[int, int]:
    return (blocksize, blocksize) if isinstance(blocksize, int) else tuple(blocksize)


def to_compressed(x: Any, kind: layout, blocksize: tuple[int, ...] = ()) -> Any:
    """A tensor in COO, with elements in order, in a compressed layout, by ops on its values."""
    pattern, v = x.pattern, values_of(x)
    *batch, height, width = pattern.sparse_size
    *where, rows, columns = pattern.places
    tall, wide = blocksize or (1, 1)
    r, c = (rows // tall, columns // wide) if blocksize else (rows, columns)
    major, minor, count = (r, c, height // tall) if kind in BY_ROWS else (c, r, width // wide)
    least = max(width // wide if kind in BY_ROWS else height // tall, 1)
    if batch:
        major = np.ravel_multi_index(tuple(where), tuple(batch)) * count + major
    key = major * least + minor
    order = target = None
    if blocksize:
        key, target = np.unique(key, return_inverse=True)
    elif kind not in BY_ROWS:
        order = np.argsort(key, kind="stable")
        key = key[order]
    samples = math.prod(batch)
    starts = compressed(key // least, samples * count)
    each = np.diff(starts[::count]) if count else np.zeros(samples, np.int64)
    if samples and (each != each[0]).any():
        raise RuntimeError("Expect the same number of specified elements per batch.")
    nnz = int(each[0]) if samples else 0
    index = np.empty((samples, count + 1), np.int64)
    for sample in range(samples):
        index[sample] = starts[sample * count : (sample + 1) * count + 1] - sample * nnz
    parts = (
        from_array(index.reshape(*batch, count + 1)),
        from_array((key % least).reshape(*batch, nnz)),
    )
    made = Pattern(kind, parts, pattern.size, block=blocksize)
    if target is not None:
        flat = target * (tall * wide) + (rows % tall) * wide + columns % wide
        room = ops.zeros((len(key) * tall * wide, *pattern.dense_size), dtype=x.dtype)
        v = ops.index_put(room, (from_array(flat),), v)
    elif order is not None:
        v = ops.index_select(v, 0, from_array(order))
    return build(made, ops.reshape(v, made.values_shape))


def as_layout(
    x: Any, kind: layout, sparse_dim: int | None = None, dense_dim: int = 0, blocksize: tuple[int, ...] = ()
) -> Any:
    """A tensor in another layout, with its derivative by values."""
    if kind is x.layout and (kind not in BLOCKS or x.pattern.block == tuple(blocksize)):
        return x
    if kind is strided:
        return ops.to_dense(x, masked_grad=False)
    if not is_sparse(x):
        return _from_dense(x, kind, sparse_dim, dense_dim, blocksize)
    x = in_order(x)
    return x if kind is sparse_coo else to_compressed(x, kind, tuple(blocksize))


def _from_dense(x: Tensor, kind: layout, sparse_dim: Any, dense_dim: int, blocksize: tuple[int, ...]) -> Any:
    with no_grad():
        if kind is sparse_coo:
            made = from_dense(x, x.ndim if sparse_dim is None else sparse_dim)
        else:
            made = _compressed_from_dense(x, kind, dense_dim, blocksize)
    label = "ToSparseBackward1" if kind is sparse_coo and sparse_dim is not None else NODES[kind]
    return recorded(label, made, (x, ops.to_dense))


def _compressed_from_dense(x: Tensor, kind: layout, dense_dim: int, blocksize: tuple[int, ...]) -> Any:
    """The compressed tensor of a dense one; every matrix of a batch stores as many elements."""
    return to_compressed(from_dense(x, x.ndim - dense_dim), kind, blocksize)


def _check_blocks(name: str, size: tuple[int, ...], blocksize: tuple[int, ...]) -> None:
    if min(blocksize) <= 0:
        raise RuntimeError(f"{name}: blocksize must be a positive integer, got {list(blocksize)}")
    if size[0] % blocksize[0] or size[1] % blocksize[1]:
        raise RuntimeError(
            f"{name}: tensor sparse size ({size[0]},{size[1]}) must be divisible by given blocksize "
            f"({blocksize[0]},{blocksize[1]})"
        )


def converted(x: Any, kind: layout, blocksize: Any = None, dense_dim: int | None = None) -> Any:
    """What `to_sparse(layout=...)` and its kin return."""
    block: tuple[int, ...] = ()
    if kind in BLOCKS:
        block = _sizes(blocksize)
    dense_dim = (x.pattern.dense_dim if is_sparse(x) else 0) if dense_dim is None else dense_dim
    if kind is not sparse_coo and kind is not strided and x.ndim - dense_dim < 2:
        raise IndexError(f"select(): index 1 out of range for tensor of size [1, {x.ndim}] at dimension 1")
    if block:
        _check_blocks(
            f"{'dense_to_sparse' if not is_sparse(x) else 'sparse_compressed_to_sparse'}_"
            f"{kind.name.removeprefix('sparse_')}",
            tuple(x.shape[x.ndim - dense_dim - 2 : x.ndim - dense_dim]),
            block,
        )
    if not is_sparse(x):
        return as_layout(x, kind, None, dense_dim, block)
    if kind is strided:
        return ops.to_dense(x)
    if kind is x.layout and (not block or block == x.pattern.block):
        return x
    pattern = x.pattern
    with no_grad():
        made = as_layout(x, kind, None, dense_dim, block)

    def back(g: Any) -> Any:
        return as_layout(g, pattern.layout, pattern.sparse_dim, pattern.dense_dim, pattern.block)

    return recorded(NODES[kind], made, (x, back))


@function(places="m", aliases=("Tensor._to_sparse",))
def to_sparse(
    self: Tensor,
    sparse_dim: int | None = None,
    *,
    layout: layout | None = None,
    blocksize: Any = None,
    dense_dim: int | None = None,
) -> Tensor:
    """The elements that are not zero, as a sparse tensor: COO, or in another `layout`.

    `sparse_dim` dims have indices; of the others, the last ones, all elements are stored. The gradient is
    the result's as a dense tensor. RuntimeError for a number of dims that the tensor has not.

    >>> import pullback as torch
    >>> torch.tensor([[0.0, 1.0], [2.0, 0.0]]).to_sparse()
    tensor(indices=tensor([[0, 1],
                           [1, 0]]),
           values=tensor([1., 2.]),
           size=(2, 2), nnz=2, layout=torch.sparse_coo)
    """
    if layout is not None or sparse_dim is None:
        kind = layout or sparse_coo
        if kind is sparse_coo and not is_sparse(self) and layout is None:
            return _from_dense(self, kind, self.ndim, 0, ())
        return converted(self, kind, blocksize, dense_dim)
    if is_sparse(self):
        if sparse_dim != sparse(self).pattern.sparse_dim:
            raise RuntimeError(
                f"to_sparse: conversion from {SHOWN[self.layout]} to Sparse with sparse_dim argument "
                "!=self.sparse_dim() is not supported"
            )
        return converted(self, sparse_coo)
    if not 0 <= sparse_dim <= self.ndim:
        raise RuntimeError(
            f"dense_to_sparse: sparse_dim argument must be in [0,{self.ndim}] range, but {sparse_dim} is "
            "given"
        )
    if sparse_dim == 0 and self.ndim:
        raise RuntimeError("dense_to_sparse: sparse_dim argument must be in >0 when self.dim()>0")
    return _from_dense(self, sparse_coo, sparse_dim, 0, ())


@function(places="m")
def to_sparse_coo(self: Tensor) -> Tensor:
    """The tensor in COO: the same as `to_sparse()`."""
    return ops.to_sparse(self)


@function(places="m", aliases=("Tensor._to_sparse_csr",))
def to_sparse_csr(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """The matrix, or batch of matrices, in compressed rows.

    >>> import pullback as torch
    >>> torch.eye(2).to_sparse_csr().crow_indices()
    tensor([0, 1, 2])
    """
    return converted(self, sparse_csr, None, dense_dim)


@function(places="m", aliases=("Tensor._to_sparse_csc",))
def to_sparse_csc(self: Tensor, dense_dim: int | None = None) -> Tensor:
    """The matrix, or batch of matrices, in compressed columns."""
    return converted(self, sparse_csc, None, dense_dim)


@function(places="m", aliases=("Tensor._to_sparse_bsr",))
def to_sparse_bsr(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
    """The matrix in compressed rows of blocks; blocks without an element that is not zero are left out."""
    return converted(self, sparse_bsr, blocksize, dense_dim)


@function(places="m", aliases=("Tensor._to_sparse_bsc",))
def to_sparse_bsc(self: Tensor, blocksize: Any, dense_dim: int | None = None) -> Tensor:
    """The matrix in compressed columns of blocks."""
    return converted(self, sparse_bsc, blocksize, dense_dim)


for _function in (to_sparse, to_sparse_coo, to_sparse_csr, to_sparse_csc, to_sparse_bsr, to_sparse_bsc):
    implements(_function.__name__)(_function.__wrapped__)


# ---------------------------------------------------------------------------- coalesce and mask


@function(places="m")
def coalesce(self: Tensor) -> Tensor:
    """The COO tensor with indices in order, and the values of equal ones summed. The gradient goes through.

    >>> import pullback as torch
    >>> torch.sparse_coo_tensor([[1, 0, 1]], [1.0, 2.0, 3.0]).coalesce()
    tensor(indices=tensor([[0, 1]]),
           values=tensor([2., 4.]),
           size=(2,), nnz=2, layout=torch.sparse_coo)
    """
    raise refuse_layout("coalesce", "sparse coordinate tensor", self)


@implements("coalesce")
def _coalesce(self: Any) -> Any:
    if self.layout is not sparse_coo:
        raise refuse_layout("coalesce", "sparse coordinate tensor", self)
    if self.pattern.coalesced:
        return self
    with no_grad():
        made = in_order(self)
        if made is self:  # it was in order, but not known to be
            made = make(self.pattern.ordered[0], self.numbers)
    return recorded("CoalesceBackward0", made, (self, lambda g: g))


@function(places="m")
def sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """The elements at the places that the sparse tensor `mask` stores, in its layout.

    The gradient is the result's there, and zero elsewhere. RuntimeError for different sizes.

    >>> import pullback as torch
    >>> torch.ones(2, 2).sparse_mask(torch.eye(2).to_sparse()).values()
    tensor([1., 1.])
    """
    return _sparse_mask(self, mask)


@implements("sparse_mask")
def _sparse_mask(self: Any, mask: Any) -> Any:
    if not is_sparse(mask):
        raise NotImplementedError("Could not run 'aten::_nnz' with arguments from the 'CPU' backend.")
    if self.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {list(self.shape)} but mask has "
            f"size {list(mask.shape)}"
        )
    if is_sparse(self) and self.layout is not sparse_coo and mask.layout is sparse_coo:
        raise RuntimeError(
            "sparse_mask_sparse_compressed expects mask to have sparse compressed layout, got Sparse"
        )
    pattern = mask.pattern

    with no_grad():
        made = build(pattern, picked(self, pattern))
    return recorded("SparseMaskBackward0", made, (self, lambda g: _back_of_mask(g, pattern, self)))


def _back_of_mask(g: Any, pattern: Pattern, x: Any) -> Any:
    kept = masked(g, pattern)
    return kept if is_sparse(x) else ops.to_dense(kept, masked_grad=False)


# --------------------------------------------------------------------- the same numbers anew


@implements("detach")
def _detach(self: Any) -> Any:
    return make(self.pattern, self.numbers)


@implements("clone")
def _clone(input: Any, *, memory_format: Any = None) -> Any:
    return recorded("CloneBackward0", make(input.pattern, ops.clone(input.numbers)), (input, lambda g: g))


@implements("to_copy")
def _to_copy(self: Any, dtype: Any, *more: Any) -> Any:
    kind = dtype
    if kind is self.dtype:
        return ops.clone(self)

    before = self.dtype
    made = make(self.pattern, ops.to(self.numbers, kind))
    return recorded("ToCopyBackward0", made, (self, lambda g: ops.to(g, before)))


@implements("contiguous")
def _contiguous(input: Any, memory_format: Any = None) -> Any:
    raise RuntimeError("unsupported memory format option Contiguous")
