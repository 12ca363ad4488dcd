"""Tensors in pieces: split, chunk, unbind and their kin. All pieces are views.

`split`, `split_with_sizes` and `unbind` are ops with several results, which PyTorch does not let be
written to in place; the others are made of `slice`, a result at a time.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import index as index_of
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Spec
from pullback.core.dtypes import int64
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.arrays.shape import slice_view
from pullback.ops.shared.batches import shifted
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import accumulate
from pullback.ops.shared.forms import explained


def _slice_bounds(n: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, n)) for start in range(0, n, size)] if size and n else [(0, 0)]


def _size_bounds(sizes: Any) -> list[tuple[int, int]]:
    ends = np.cumsum([0, *sizes]).tolist()
    return list(itertools.pairwise(ends))


def _split_ends(self: Any, bounds: Any, dim: int) -> tuple[Spec, ...]:
    before, after, step = self.shape[:dim], self.shape[dim + 1 :], self.strides[dim]
    return tuple(
        [
            self.seen((*before, end - start, *after), self.strides, start * step if end > start else 0)
            for start, end in bounds
        ]
    )


def _split_dim(self: Any, dim: int) -> int:
    if not self.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    return wrap_dim(dim, self.ndim)


def _equal_pieces(self: Spec, split_size: Any, dim: int) -> tuple[Spec, ...]:
    dim = _split_dim(self, dim)
    n = self.shape[dim]
    if split_size < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={split_size}")
    if not split_size and n:
        raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
    return _split_ends(self, _slice_bounds(n, split_size), dim)


def _sized_pieces(self: Spec, split_sizes: Any, dim: int) -> tuple[Spec, ...]:
    dim = _split_dim(self, dim)
    n = self.shape[dim]
    if min(split_sizes, default=0) < 0:
        raise RuntimeError(
            "split_with_sizes expects split_sizes have only non-negative entries, but got "
            f"split_sizes={list(split_sizes)}"
        )
    if sum(split_sizes) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at "
            f"dimension {dim}), but got split_sizes={list(split_sizes)}"
        )
    return _split_ends(self, _size_bounds(split_sizes), dim)


def _joined(grads: Any, shape: Any, bounds: Any, dim: int) -> Tensor:
    """The gradients of all pieces as one; zeros for pieces that have none."""
    known = next(g for g in grads if g is not None)
    whole = []
    for g, (start, end) in zip(grads, bounds, strict=True):
        sizes = (*shape[:dim], end - start, *shape[dim + 1 :])
        whole.append(ops.zeros(sizes, dtype=known.dtype) if g is None else g)
    return ops.cat(whole, dim)


def _split_rule(grads: Any, self_shape: Any, split_size: Any, dim: int) -> Tensor:
    dim = wrap_dim(dim, len(self_shape))
    return _joined(grads, self_shape, _slice_bounds(self_shape[dim], split_size), dim)


def _split_sizes_rule(grads: Any, self_shape: Any, split_sizes: Any, dim: int) -> Tensor:
    dim = wrap_dim(dim, len(self_shape))
    return _joined(grads, self_shape, _size_bounds(split_sizes), dim)


@op(name="split", places="", multi_view=True, linear=True)
def _split(self: Spec, split_size: int, dim: int = 0) -> tuple[Spec, ...]:
    """Views of `split_size` indices each; the last may be smaller."""
    return _equal_pieces(self, split_size, dim)


@op(name="split_with_sizes", places="", multi_view=True, linear=True)
def _split_with_sizes(self: Spec, split_sizes: Sequence[int], dim: int = 0) -> tuple[Spec, ...]:
    """Views of the given sizes."""
    return _sized_pieces(self, split_sizes, dim)


@op(name="unsafe_split", places="tm", moves=True, linear=True)
def unsafe_split(self: Array, split_size: int, dim: int = 0) -> tuple[Array, ...]:
    """`split` whose pieces do not count as views, and so may be written to: on the user's own risk."""
    return _split.seen(self, split_size, dim)


unsafe_split.meta(unsafe_split.kernel)  # pieces of an array without numbers have none


@op(name="unsafe_split_with_sizes", places="tm", moves=True, linear=True)
def unsafe_split_with_sizes(self: Array, split_sizes: Sequence[int], dim: int = 0) -> tuple[Array, ...]:
    """`split_with_sizes` whose pieces do not count as views: see `unsafe_split`."""
    return _split_with_sizes.seen(self, split_sizes, dim)


unsafe_split_with_sizes.meta(unsafe_split_with_sizes.kernel)


for _record, _rule in (
    (_split, _split_rule),
    (unsafe_split, _split_rule),
    (_split_with_sizes, _split_sizes_rule),
    (unsafe_split_with_sizes, _split_sizes_rule),
):
    _record.vjp(self=_rule)


@function(name="split")
def split(
    tensor: Tensor,
    split_size_or_sections: int | Sequence[int] | None = None,
    dim: int = 0,
    *,
    split_size: int | Sequence[int] | None = None,
) -> tuple[Tensor, ...]:
    """Views of `tensor` along a dimension, each of the given size, or of each of the given sizes.

    RuntimeError if the sizes do not sum to the dimension's. The gradients are joined again.

    >>> import pullback as torch
    >>> torch.arange(5).split(2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    sizes: Any = split_size if split_size_or_sections is None else split_size_or_sections
    if isinstance(sizes, (tuple, list)):
        return _split_with_sizes(tensor, tuple(map(index_of, sizes)), dim)
    return _split(tensor, int(sizes) if isinstance(sizes, Tensor) else index_of(sizes), dim)


@function()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of the given sizes along a dimension."""
    return _split_with_sizes(input, tuple(map(index_of, split_sizes)), dim)


def _chunk_size(input: Tensor, chunks: int, dim: int) -> int:
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = index_of(chunks)
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    return -(-input.shape[wrap_dim(dim, input.ndim)] // chunks)


@function()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size, but for the last, along a dimension.

    >>> import pullback as torch
    >>> torch.arange(5).chunk(2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    size = _chunk_size(input, chunks, dim)
    if not size:
        return _split_with_sizes(input, (0,) * chunks, dim)
    return _split(input, size, dim)


@function()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk` whose pieces do not count as views: see `unsafe_split`."""
    size = _chunk_size(input, chunks, dim)
    if not size:
        return unsafe_split_with_sizes(input, (0,) * chunks, dim)
    return unsafe_split(input, size, dim)


@op(multi_view=True, linear=True)
def unbind(self: Spec, dim: int = 0) -> tuple[Spec, ...]:
    """Views of each index of a dimension, which goes away.

    IndexError for a 0-dim tensor. The gradients are stacked again.

    >>> import pullback as torch
    >>> torch.arange(4).view(2, 2).unbind(1)
    (tensor([0, 2]), tensor([1, 3]))
    """
    if not self.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    dim = wrap_dim(dim, self.ndim)
    shape, strides = ((*x[:dim], *x[dim + 1 :]) for x in (self.shape, self.strides))
    return tuple([self.seen(shape, strides, i * self.strides[dim]) for i in range(self.shape[dim])])


@unbind.joint_vjp
def _unbind_rule(grads: Any, self_shape: Any, dim: int) -> Any:
    dim = wrap_dim(dim, len(self_shape))
    known = next(g for g in grads if g is not None)
    shape = (*self_shape[:dim], *self_shape[dim + 1 :])
    return (ops.stack([ops.zeros(shape, dtype=known.dtype) if g is None else g for g in grads], dim),)


def tensor_split(input: Tensor, sections: Tensor | int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views along a dimension: so many of nearly equal size, or cut at the given indices.

    >>> import pullback as torch
    >>> torch.arange(5).tensor_split(2), torch.arange(5).tensor_split((1, 3))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))
    """
    cuts: Any = sections
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = wrap_dim(dim, input.ndim)
    n = input.shape[dim]
    if isinstance(cuts, Tensor):
        if cuts.dtype is not int64:
            raise RuntimeError(
                f"tensor_split expected tensor_indices_or_sections to have dtype of long, but got "
                f"{cuts.dtype.type_name}"
            )
        cuts = cuts.tolist()
    cuts = [index_of(cut) for cut in cuts] if isinstance(cuts, (list, tuple)) else index_of(cuts)
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {cuts}")
        small, more = divmod(n, cuts)
        cuts = [i * small + min(i, more) for i in range(1, cuts)]
    ends = [0, *cuts, n]
    return tuple([slice_view(input, dim, a, b, 1) for a, b in itertools.pairwise(ends)])


def _at_along(input: Tensor, indices: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """A form of `tensor_split`."""


def _as_told(input: Tensor, tensor_indices_or_sections: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Another one."""


def _evenly_along(input: Tensor, sections: int, dim: int = 0) -> tuple[Tensor, ...]:
    """Another one."""


tensor_split = explained(tensor_split, _at_along, _as_told, _evenly_along)


def _evenly(input: Tensor, sections: int) -> tuple[Tensor, ...]:
    """A form of `hsplit`, `vsplit` and `dsplit`."""


def _at(input: Tensor, indices: Sequence[int]) -> tuple[Tensor, ...]:
    """Another one."""


def _split_along(name: str, least: int, dim: int, input: Tensor, cuts: Any) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor "
            f"with {input.ndim} dimensions!"
        )
    axis = 0 if input.ndim == 1 else dim
    if isinstance(cuts, Tensor):
        cuts = index_of(cuts)
    if isinstance(cuts, int) and (not cuts or input.shape[axis] % cuts):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {axis}, but the size of the "
            f"dimension {input.shape[axis]} is not divisible by the split_size {cuts}!"
        )
    return tensor_split(input, cuts, axis)


def hsplit(input: Tensor, sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 1, into parts of equal size; of a vector along its only one."""
    return _split_along("hsplit", 1, 1, input, sections)


def vsplit(input: Tensor, sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 0, into parts of equal size."""
    return _split_along("vsplit", 2, 0, input, sections)


def dsplit(input: Tensor, sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """`tensor_split` along dimension 2, into parts of equal size."""
    return _split_along("dsplit", 3, 2, input, sections)


hsplit = explained(hsplit, _evenly, _at)
vsplit = explained(vsplit, _evenly, _at)
dsplit = explained(dsplit, _evenly, _at)


@op(places="m", view=True, linear=True)
def unfold(self: Spec, dimension: int, size: int, step: int) -> Spec:
    """Windows of `size` neighbours, one every `step`, along a dimension; the window's is last. A view.

    The gradient is summed where windows overlap.

    >>> import pullback as torch
    >>> torch.arange(4).unfold(0, 2, 1)
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    dim = wrap_dim(dimension, self.ndim)
    n = self.shape[dim] if self.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dim} is {n} but size is {size}")
    shape, strides = list(self.shape), list(self.strides)
    if self.ndim:
        shape[dim] = (n - size) // step + 1
        strides[dim] *= step
    inner = self.strides[dim] if self.ndim else self.itemsize
    return self.seen((*shape, size), (*strides, inner))


@op(places="", moves=True, linear=True, grad_name="UnfoldBackwardBackward0")
def unfold_sum(
    self: Array, shape: tuple[int, ...], dimension: int, size: tuple[int, ...], step: int
) -> Array:
    """The gradient of `unfold`: windows added up where they came from."""
    whole = np.zeros(shape, self.dtype)
    positions = np.arange(whole.size).reshape(shape)
    accumulate(np.add, whole, unfold.seen(positions, dimension, size, step), self)
    return whole


@unfold_sum.meta
def _unfold_sum_shape(self: Array, shape: Any, dimension: int, size: int, step: int) -> Array:
    return meta_array(shape, self.dtype)


unfold.vjp(self=lambda g, self_shape, dimension, size, step: unfold_sum(g, self_shape, dimension, size, step))
unfold_sum.vjp(self=lambda g, dimension, size, step: unfold(g, dimension, size, step))


@unfold_sum.batch
def _unfold_sum_batch(level: Any, op: Op, self: Any, shape: Any, dimension: int, size: int, step: int) -> Any:
    if not shape:
        return level.wrap(ops.reshape(self.physical, (level.size,)))
    dim = shifted(dimension, len(shape))
    return level.wrap(op(self.physical, (level.size, *shape), dim, size, step))
