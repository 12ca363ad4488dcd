"""Views of another shape: the same memory, seen otherwise.

A view op is a function of what is known of its tensor, a `Spec`: it says where the view lies in the
tensor's memory, in bytes. The engine makes it, and notes base and version. Read `select` first, then
`embed`, the gradient of all views that show each element at most once: zeros, and the gradient in the
place that the view showed. Pieces of tensors (split and its kin) are in split.py, `as_strided` and
reinterpretations in strided.py, indexing with brackets in index.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index as index_of
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import REGISTRY, Op, Tensor
from pullback.core._plans import Spec
from pullback.core._views import selected, sliced
from pullback.core.broadcasting import common_shape
from pullback.core.dtypes import Size, int64
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.strides import contiguous_strides
from pullback.core.types import Array
from pullback.ops.shared.batches import padded, shifted, shifted_args
from pullback.ops.shared.dims import infer_size, ints_of, view_strides, wrap_dim
from pullback.ops.shared.flat_indices import WHOLE
from pullback.ops.shared.pieces import Pieces, plan_by


@op(name="embed", places="", linear=True, moves=True)
def embed(self: Array, shape: tuple[int, ...], view: str, args: tuple[Any, ...]) -> Array:
    """Zeros of a shape with `self` in the place that the view op named `view` shows of them."""
    return REGISTRY[view].unseen(self, tuple(shape), args)


@embed.meta
def _embed_shape(self: Array, shape: Any, view: str, args: Any) -> Array:
    return meta_array(shape, self.dtype)


def _embed_name(saved: dict[str, Any]) -> str:
    """That of the gradient of the first view, where a key in brackets stands for several."""
    view, parts = saved["view"].partition("_")[0], saved["args"]
    if view == "basic":
        key = [part for part in parts[0] if part is not Ellipsis]
        first = next((part for part in key if not (type(part) is slice and part == WHOLE)), slice(None))
        if first is None:
            return "SqueezeBackward1"
        view = "slice" if type(first) is slice else "select"
    return f"{view.title()}BackwardBackward0"


embed.vjp(self=lambda g, view, args: REGISTRY[view](g, *args))
embed.variant = _embed_name


@embed.batch
def _embed_batch(level: Any, op: Op, self: Any, shape: Any, view: str, args: Any) -> Any:
    """The gradient of a view: its arguments move as the view's do."""
    if not shape:
        return level.wrap(reshape(self.physical, (level.size,)))
    if view == "as_strided":
        return level.call(ops.strided_put, self, shape, args[3], *args[:3])
    args = ((WHOLE, *args[0]),) if view == "basic" else shifted_args(REGISTRY[view], args, len(shape))
    return level.wrap(op(self.physical, (level.size, *shape), view, args))


# ----------------------------------------------------------------------------------- other shapes


@op(name="view", places="", view=True, linear=True)
def _view(self: Spec, size: Size) -> Spec:
    """`self` with the shape `size`, without a copy."""
    found = _reshaped(self, infer_size(size, self.size))
    if found is None:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead."
        )
    return found


def _reshaped(self: Spec, shape: tuple[int, ...]) -> Spec | None:
    """The same memory with another shape, None if it must be copied."""
    if self.contiguous:
        return self.seen(shape, [step * self.itemsize for step in contiguous_strides(shape)])
    steps = view_strides(self.shape, self.strides, shape)
    return None if steps is None else self.seen(shape, steps)


_view.vjp(self=lambda g, self_shape: ops.reshape(g, self_shape))


@function(places="m")
def view(input: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same memory with another shape, in which one size may be -1, or with another dtype.

    RuntimeError if the shape has another number of elements, or if the elements lie so that only a
    copy can have it. The gradient goes back to the input's shape; a view of another dtype has none.

    >>> import pullback as torch
    >>> torch.arange(4).view(2, -1)
    tensor([[0, 1],
            [2, 3]])
    """
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        size = shape[0]
    elif shape:
        size, dtype = (None, shape[0]) if isinstance(shape[0], Dtype) else (shape, dtype)
    if dtype is not None:
        return ops.view_as_dtype(input, dtype)
    try:
        return _view(input, size)
    except TypeError:
        if size is not None and all(hasattr(type(n), "__index__") for n in size):
            raise
    raise TypeError(_no_shape(shape))


def _no_shape(args: tuple[Any, ...]) -> str:
    """The message for arguments of `view` that are no shape."""
    kinds = [type(value).__name__ for value in args]
    shown = ", ".join(f"!{kind}!" for kind in kinds)
    reason = (
        f"      didn't match because some of the arguments have invalid types: ({shown})\n" if args else ""
    )
    return (
        f"view() received an invalid combination of arguments - got ({', '.join(kinds)}), but "
        f"expected one of:\n * (torch.dtype dtype)\n{reason} * (tuple of ints size)\n{reason}"
    )


@op(places="", name="reshape_alias", view=True, linear=True)
def _reshape_alias(self: Spec, size: tuple[int, ...]) -> Spec:
    """`self`, not contiguous, with a shape that needs no copy."""
    return _view.kernel(self, size)


_reshape_alias.vjp(self=lambda g, self_shape: ops.reshape(g, self_shape))


@op(places="", moves=True, linear=True, casts_out=True)
def unsafe_view(self: Array, size: tuple[int, ...]) -> Array:
    """`self` with another shape, a copy if need be, but no view: for results that nobody else holds."""
    return self.reshape(size)


@unsafe_view.meta
def _unsafe_view_shape(self: Array, size: Any) -> Array:
    return meta_array(infer_size(size, self.size), self.dtype)


unsafe_view.vjp(self=lambda g, self_shape: ops.reshape(g, self_shape))


@_view.batch
@_reshape_alias.batch
@unsafe_view.batch
def _view_batch(level: Any, op: Op, self: Any, size: Any) -> Any:
    return level.wrap(op(self.physical, (level.size, *infer_size(size, math.prod(self.shape)))))


@function()
def reshape(input: Tensor, *sizes: int | Sequence[int], shape: Sequence[int] | None = None) -> Tensor:
    """`input` with another shape, in which one size may be -1: a view if possible, else a copy.

    RuntimeError if the shape has another number of elements. The gradient is reshaped back.

    >>> import pullback as torch
    >>> torch.reshape(torch.arange(4), (2, 2))
    tensor([[0, 1],
            [2, 3]])
    """
    given: Any = sizes
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        shape = given[0]
    elif given:
        shape = given
    elif shape is None:
        raise TypeError('reshape() missing 1 required positional arguments: "shape"')
    array = input._layout
    if array.flags.c_contiguous or not array.size:
        return _view(input, shape)
    shape = infer_size(shape, array.size)
    if view_strides(array.shape, array.strides, shape) is None:
        return unsafe_view(input, shape)
    return _reshape_alias(input, shape)


@function(places="m")
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.view(other.shape)`."""
    return _view(input, other.shape)


@function(places="m")
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.reshape(other.shape)`."""
    return reshape(input, other.shape)


@function()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one; a 0-dim tensor becomes 1-dim.

    RuntimeError if the first comes after the last.

    >>> import pullback as torch
    >>> torch.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    if start_dim == 0 and end_dim == -1 and input.ndim != 1:
        return reshape(input, (-1,)) if input.numel() else reshape(input, (0,))
    shape = tuple(input.shape)
    first, last = wrap_dim(start_dim, len(shape)), wrap_dim(end_dim, len(shape))
    if first > last:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if first == last:
        return input
    return reshape(input, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@function()
def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension, in the order of rows: a view if possible."""
    return _view(ops.contiguous(input), (-1,))


@function()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` as several of the given sizes, one of which may be -1.

    >>> import pullback as torch
    >>> torch.zeros(6, 2).unflatten(0, (2, -1)).shape
    torch.Size([2, 3, 2])
    """
    dim = wrap_dim(dim, input.ndim)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = input.shape
    try:
        inner = infer_size(sizes, shape[dim])
    except RuntimeError as error:
        if "is invalid for input" not in str(error):
            raise
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({shape[dim]}) in the input tensor"
        ) from None
    return reshape(input, (*shape[:dim], *inner, *shape[dim + 1 :]))


# --------------------------------------------------------------------------- one index, one range


@op(view=True, linear=True, lookup="select")
def select(self: Spec, dim: int, index: int) -> Spec:
    """The part of `self` at one index of a dimension, which goes away: a view.

    IndexError if the index is out of range. The gradient is zero elsewhere.

    >>> import pullback as torch
    >>> torch.select(torch.arange(6).view(2, 3), 1, -1)
    tensor([2, 5])
    """
    found = selected(self, index_of(dim), index_of(index))
    if found is None:
        if not self.ndim:
            raise IndexError("select() cannot be applied to a 0-dim tensor.")
        dim = wrap_dim(dim, self.ndim)
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(self.shape)} at dimension {dim}"
        )
    return found


select.vjp(self=lambda g, self_shape, dim, index: embed(g, self_shape, "select", (dim, index)))


@op(name="slice", places="", view=True, linear=True, lookup="slice")
def slice_view(self: Spec, dim: int, start: int, end: int, step: int) -> Spec:
    """`self[start:end:step]` in one dimension, with Python's rules for bounds."""
    found = sliced(self, *[x if x is None else index_of(x) for x in (dim, start, end, step)])
    if found is None:
        wrap_dim(dim, self.ndim)
        raise ValueError("slice step must be positive")
    return found


slice_view.vjp(
    self=lambda g, self_shape, dim, start, end, step: embed(g, self_shape, "slice", (dim, start, end, step))
)


@function()
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """`length` indices of a dimension, from `start` on: a view.

    Raises where the range leaves the dimension. The gradient is zero elsewhere.

    >>> import pullback as torch
    >>> torch.arange(5).narrow(0, 1, 2)
    tensor([1, 2])
    """
    if isinstance(start, Tensor):
        if start.ndim or start.dtype.kind not in "ui":
            raise RuntimeError("start must be an 0-dim integral Tensor.")
        start = start.item()
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    dim = wrap_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    if start < 0:
        start += size
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return slice_view(input, dim, start, start + length, 1)


@op(view=True, linear=True)
def diagonal(self: Spec, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Spec:
    """The elements at equal indices of two dimensions, as the last dimension: a view.

    `offset` moves to the diagonals above (positive) or below. The gradient is zero off the diagonal.

    >>> import pullback as torch
    >>> torch.arange(9).view(3, 3).diagonal(1)
    tensor([1, 5])
    """
    first, second = wrap_dim(dim1, self.ndim), wrap_dim(dim2, self.ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    shape, strides = list(self.shape), list(self.strides)
    rows, columns = shape[first], shape[second]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    start = 0
    if length:
        start = offset * strides[second] if offset > 0 else -offset * strides[first]
    kept = [d for d in range(self.ndim) if d not in (first, second)]
    return self.seen(
        [*(shape[d] for d in kept), length],
        [*(strides[d] for d in kept), strides[first] + strides[second]],
        start,
    )


diagonal.vjp(
    self=lambda g, self_shape, offset, dim1, dim2: embed(g, self_shape, "diagonal", (offset, dim1, dim2))
)


@function()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices with the last dimension of `input` on a diagonal and zeros elsewhere.

    `dim1` and `dim2` are the dimensions of the result that span the matrices. The gradient is the
    diagonal.

    >>> import pullback as torch
    >>> torch.diag_embed(torch.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    ndim = input.ndim + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return _diag_embed(input, offset, first, second)


@op(name="diag_embed", places="", moves=True, linear=True)
def _diag_embed(self: Array, offset: int, dim1: int, dim2: int) -> Array:
    """Zeros with the last dimension of `self` on a diagonal."""
    whole = np.zeros(_diagonal_shape(self, offset, dim1, dim2), self.dtype)
    diagonal.seen(whole, offset, dim1, dim2)[...] = self
    return whole


def _diagonal_shape(self: Array, offset: int, dim1: int, dim2: int) -> list[int]:
    """The shape of matrices with the last dim of `self` on a diagonal."""
    shape = list(self.shape[:-1])
    for dim in sorted((dim1, dim2)):
        shape.insert(dim, self.shape[-1] + abs(offset))
    return shape


def _on_diagonal(self: Any, offset: int, dim1: int, dim2: int) -> Pieces:
    def place(whole: Any) -> Any:
        return np.diagonal(whole, offset, dim1, dim2)

    return Pieces(_diagonal_shape(self, offset, dim1, dim2), [(place, self)], 0)


_diag_embed.prepare(plan_by(_on_diagonal))


_diag_embed.vjp(self=lambda g, offset, dim1, dim2: diagonal(g, offset, dim1, dim2))


@op(name="diagonal_copy", places="", moves=True, linear=True, grad_name="DiagonalBackward0_copy")
def _diagonal_copy(self: Array, offset: int, dim1: int, dim2: int) -> Array:
    """`diagonal`, copied."""
    return diagonal.seen(self, offset, dim1, dim2).copy()


@_diagonal_copy.meta
def _diagonal_copy_shape(self: Array, offset: int, dim1: int, dim2: int) -> Array:
    return meta_array(diagonal.seen(self, offset, dim1, dim2).shape, self.dtype)


_diagonal_copy.vjp(
    self=lambda g, self_shape, offset, dim1, dim2: embed(g, self_shape, "diagonal", (offset, dim1, dim2))
)


@_diag_embed.batch
def _diag_embed_batch(level: Any, op: Op, self: Any, offset: int, dim1: int, dim2: int) -> Any:
    return level.wrap(op(self.physical, offset, *shifted((dim1, dim2), self.ndim + 1)))


@_diagonal_copy.batch
def _diagonal_copy_batch(level: Any, op: Op, self: Any, offset: int, dim1: int, dim2: int) -> Any:
    return level.wrap(op(self.physical, offset, *shifted((dim1, dim2), self.ndim)))


@function()
def diag(input: Tensor, diagonal: int = 0, *, out: Tensor | None = None) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal: a copy.

    RuntimeError for other numbers of dimensions.

    >>> import pullback as torch
    >>> torch.diag(torch.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    if input.ndim == 1:
        return _diag_embed(input, diagonal, 0, 1, out=out)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return _diagonal_copy(input, diagonal, 0, 1, out=out)


@function()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with all elements of `input` on a diagonal."""
    return diag_embed(reshape(input, (-1,)), offset)


# ----------------------------------------------------------------------------------- more elements


@op(places="m", view=True, linear=True)
def expand(self: Spec, size: Size, implicit: bool = False) -> Spec:
    """`self` with dimensions of size 1 repeated to `size`, and new ones in front: a view.

    -1 keeps a size. RuntimeError where a dimension of another size would change. The gradient is
    summed over the repetitions.

    >>> import pullback as torch
    >>> torch.tensor([[1], [2]]).expand(2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    size = Size(ints_of("expand", "size", size))
    have, steps = self.shape, self.strides
    new = len(size) - len(have)
    if new < 0:
        kind = self.dtype.type_name
        raise RuntimeError(
            f"expand(torch.{kind}Tensor{{{list(have)}}}, size={list(size)}): the number of sizes "
            f"provided ({len(size)}) must be greater or equal to the number of dimensions in the "
            f"tensor ({len(have)})"
        )
    shape, strides = list(size), [0] * len(size)
    for d in range(len(size) - 1, -1, -1):
        n = size[d]
        if d < new:
            if n < 0:
                raise RuntimeError(
                    f"The expanded size of the tensor ({n}) isn't allowed in a leading, "
                    f"non-existing dimension {d}"
                )
            if n == 1:
                strides[d] = shape[d + 1] * strides[d + 1] if d + 1 < len(size) else self.itemsize
            continue
        old = have[d - new]
        if n == -1 or n == old:
            shape[d], strides[d] = old, steps[d - new]
        elif old != 1:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at "
                f"non-singleton dimension {d}.  Target sizes: {list(size)}.  "
                f"Tensor sizes: {list(have)}"
            )
    return self.seen(shape, strides)


expand.vjp(self="g")


@expand.batch
def _expand_batch(level: Any, op: Op, self: Any, size: Any, implicit: bool) -> Any:
    if self.ndim > len(size):
        expand.seen(self._layout, size)  # the message for a sample
    return level.wrap(op(padded(self.physical, len(size)), (level.size, *size), implicit))


@function(places="m")
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.expand(other.shape)`."""
    return expand(input, other.shape)


@function(places="t")
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`input.expand(size)`: `input` broadcast to a shape."""
    return expand(input, (size,) if isinstance(size, int) else tuple(size))


@function(name="broadcast_to", places="m")
def _broadcast_to(self: Tensor, *size: Any) -> Tensor:
    """`self.expand(*size)`: `self` broadcast to a shape, which may be given as separate ints."""
    return expand(self, *size)


@function(places="t")
def _shape_as_tensor(self: Tensor) -> Tensor:
    """The shape as a tensor of int64."""
    return ops.tensor(list(self.shape), dtype=int64)


@function(places="t", quick=("one shape",))
def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Each tensor expanded to the shape of all, a tuple of views.

    RuntimeError if the shapes do not fit.

    >>> import pullback as torch
    >>> [t.shape for t in torch.broadcast_tensors(torch.zeros(3, 1), torch.zeros(2))]
    [torch.Size([3, 2]), torch.Size([3, 2])]
    """
    listed = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = common_shape(*(t.shape for t in listed))
    return tuple([t if t.shape == shape else expand(t, shape) for t in listed])


@function(places="t")
def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that tensors of these shapes broadcast to; an int counts as a shape of one dimension.

    RuntimeError if they do not fit.

    >>> import pullback as torch
    >>> torch.broadcast_shapes((2, 1), (3,), 1)
    torch.Size([2, 3])
    """
    whole: list[int] = []
    for index, size in enumerate(shapes):
        shape = (size,) if isinstance(size, int) else tuple(size)
        whole = [1] * (len(shape) - len(whole)) + whole
        for d in range(-1, -len(shape) - 1, -1):
            if shape[d] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            if shape[d] not in (1, whole[d]):
                if whole[d] != 1:
                    raise RuntimeError(
                        f"Attempting to broadcast a dimension of length {shape[d]} at {d}! "
                        f"Mismatching argument at index {index} had {shape}; but expected shape "
                        f"should be broadcastable to {whole}"
                    )
                whole[d] = shape[d]
    return Size(whole)
