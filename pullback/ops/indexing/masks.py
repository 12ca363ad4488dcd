"""Reading and writing where a mask is true, and the indices where it is: masked_fill, nonzero, ..."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import bool_, int64, uint8
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array, Number
from pullback.kernels.moves import places_of_true, take_true
from pullback.ops.indexing.index import index
from pullback.ops.indexing.mask_plans import fill_plan, put_plan
from pullback.ops.shared.batches import of_sample, padded, rank, writes
from pullback.ops.shared.flat_indices import compact

BATCHED_SELECT = (
    "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this "
    "because for each batch this would return a differently shaped Tensor. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues if you need this feature."
)


def _check_broadcast(self: Spec, mask: Spec) -> None:
    """RuntimeError if the mask does not broadcast to the shape of `self`."""
    whole = ops.common_shape(self.shape, mask.shape)
    if whole != self.shape:
        raise RuntimeError(
            f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(whole)}"
        )


@op(name="masked_fill", places="", writes="C", piecewise=True, expanded="tensor[mask] = scalar")
def _masked_fill(self: Array, mask: Array, value: Array | None, number: Number) -> Array:
    """`self` with the element of a 0-dim tensor, or a number, where the mask is true."""
    if value is not None and value.dtype.kind == "c" and self.dtype.kind in "iuf" and value.imag:
        ops.check_number(value.item(), self.dtype)
    filled = np.asarray(number if value is None else value)
    np.copyto(self, filled, where=np.broadcast_to(mask, self.shape), casting="unsafe")
    return self


@_masked_fill.prepare
def _plan_masked_fill(self: Spec, mask: Spec, value: Spec | None, number: Any) -> Plan:
    if value is None:
        ops.check_number(number, self.dtype.numpy)
    elif value.ndim:
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    if mask.dtype is not bool_:
        raise RuntimeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {C_NAMES[mask.dtype.name]}"
        )
    _check_broadcast(self, mask)
    if value is not None and value.dtype is not self.dtype:
        return Plan(Spec(self.dtype, self.shape))
    return fill_plan(self, mask, -1 if value is None else 2, 0 if value is not None else number)


_masked_fill.variant = lambda saved: (
    "MaskedFillBackward1" if saved["number"] is None else "MaskedFillBackward0"
)
_masked_fill.vjp(
    self=lambda g, mask, number: _masked_fill(g, mask, None, 0),
    value=lambda g, mask: ops.sum(ops.where(mask, g, 0)),
)


@_masked_fill.jvp
def _masked_fill_tangent(self: Any, mask: Any, value: Any, number: Any) -> Any:
    return _masked_fill(self, mask, value, None if number is None else 0)


@_masked_fill.batch
def _masked_fill_batch(level: Any, op: Op, self: Any, mask: Any, value: Any, number: Any) -> Any:
    if not level.holds(value):
        return writes(level, op, self, mask, value, number)
    p, ranks = level.front(self), rank(self)
    mask = padded(mask.physical, ranks) if level.holds(mask) else mask
    return level.wrap(ops.where(mask, padded(value.physical, ranks).to(p.dtype), p))


def _tensor_or_number(value: Any) -> tuple[Any, Any]:
    return (value, None) if isinstance(value, Tensor) else (None, value)


@function()
def masked_fill(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """A copy of `input` with a number, or the element of a 0-dim tensor, where the mask is true.

    `input` and mask are broadcast. Gradients: of `input`, zero where filled; of `value`, the sum of
    the result's there.

    >>> import pullback as torch
    >>> torch.tensor([1, 2, 3]).masked_fill(torch.tensor([True, False, True]), 0)
    tensor([0, 2, 0])
    """
    if input.shape != mask.shape:
        input = ops.expand(input, ops.common_shape(mask.shape, input.shape))
    return _masked_fill(input, mask, *_tensor_or_number(value))


@function(places="m")
def masked_fill_(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`masked_fill` into the tensor itself."""
    return _masked_fill.inplace(input, mask, *_tensor_or_number(value))


@op(moves=True, linear=True)
def masked_select(self: Array, mask: Array) -> Array:
    """The elements where the mask is true, as a vector; tensor and mask are broadcast.

    RuntimeError unless the mask is of bools. The gradient goes back to their places.

    >>> import pullback as torch
    >>> torch.arange(4).masked_select(torch.tensor([True, False, True, False]))
    tensor([0, 2])
    """
    if mask.dtype != bool:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    if self.shape != mask.shape:
        shape = ops.common_shape(mask.shape, self.shape)
        self, mask = np.broadcast_to(self, shape), np.broadcast_to(mask, shape)
    return take_true(compact(self), compact(mask))


def _masked_select_slope(g: Tensor, self_shape: Any, mask: Tensor) -> Tensor:
    shape = ops.common_shape(self_shape, mask.shape)
    whole = shape or (1,)  # an index takes a dim
    masks = [mask if mask.shape == whole else ops.expand(mask, whole)]
    total = ops.index_sum(g, masks, whole, "MaskedScatterBackward0")
    return total if shape else ops.reshape(total, ())


masked_select.vjp(self=_masked_select_slope)


@masked_select.jvp
def _masked_select_tangent(self: Any, mask: Any) -> Any:
    return masked_select(self, mask)


@masked_select.batch
def _masked_select_batch(level: Any, op: Op, self: Any, mask: Any) -> Any:
    if level.holds(mask):
        raise RuntimeError(BATCHED_SELECT)
    most = max(rank(self), rank(mask))
    shape = ops.common_shape(self.shape, mask.shape)
    p = ops.expand(padded(self.physical, most), (level.size, *shape))
    indices = ops.nonzero(ops.expand(mask, shape), as_tuple=True)
    return level.wrap(index(p if most else ops.unsqueeze(p, 1), [None, *indices]))


@op(places="", name="masked_scatter", writes="C", linear=True)
def _masked_scatter(self: Array, mask: Array, source: Array) -> Array:
    """`self` with the elements of `source`, in order, where the mask is true."""
    mask = np.broadcast_to(mask, self.shape)
    count = int(mask.sum())
    if source.size < count:
        raise _too_few()
    self[mask] = source.reshape(-1)[:count]
    return self


def _too_few(*values: Any) -> Exception:
    return RuntimeError("Number of elements of source < number of ones in mask")


@_masked_scatter.prepare
def _plan_masked_scatter(self: Spec, mask: Spec, source: Spec) -> Plan:
    if mask.dtype is not bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype.type_name}"
        )
    if self.dtype is not source.dtype:
        names = [t.dtype.type_name for t in (self, source)]
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got{names[0]} and {names[1]}"
        )
    _check_broadcast(self, mask)
    return put_plan(Spec(self.dtype, self.shape), self, mask, self.ndim, source, (0, 1, 2), _too_few)


def _source_gradient(g: Any, mask: Any, source_shape: Any) -> Any:
    """The gradient where the mask is true, and zeros for what was left over of the source."""
    picked = masked_select(g, mask)
    rest = math.prod(source_shape) - picked.shape[0]
    return ops.reshape(ops.constant_pad_nd(picked, (0, rest), 0), source_shape)


_masked_scatter.vjp(self=lambda g, mask: masked_fill(g, mask, 0), source=_source_gradient)


@_masked_scatter.batch
def _masked_scatter_batch(level: Any, op: Op, self: Any, mask: Any, source: Any) -> Any:
    if level.holds(mask):
        return level.call(_masked_scatter_by_rank, self, mask, source)
    values = ops.reshape(level.front(source), (level.size, -1))
    if not values.shape[1]:
        return level.wrap(ops.clone(level.front(self)))
    if not self.ndim:
        return level.wrap(ops.where(mask, values[:, 0], level.front(self)))
    indices = ops.nonzero(ops.expand(mask, self.shape), as_tuple=True)
    values = values[:, : indices[0].shape[0]]
    return level.wrap(ops.index_put(level.front(self), [None, *indices], values))


def _masked_scatter_by_rank(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The n-th true place takes the n-th element."""
    if mask.dtype is not bool_ or self.dtype is not source.dtype:
        return NotImplemented
    flat = ops.reshape(ops.expand(mask, tuple(self.shape)), (-1,))
    source = ops.reshape(source, (-1,))
    if not source.shape[0]:
        return NotImplemented
    rank_of_true = ops.cumsum(flat, 0) - 1
    picked = ops.gather(source, 0, ops.clamp(rank_of_true, 0, source.shape[0] - 1))
    return ops.where(mask, ops.reshape(picked, tuple(self.shape)), self)


@function()
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """A copy of `input` with the elements of `source`, in order, where the mask is true.

    RuntimeError if `source` has too few. Gradients: of `input`, zero where written; of `source`, the
    result's there.

    >>> import pullback as torch
    >>> torch.zeros(3).masked_scatter(torch.tensor([True, False, True]), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    if input.shape != mask.shape:
        input = ops.expand(input, ops.common_shape(mask.shape, input.shape))
    return _masked_scatter(input, mask, source)


@function(places="m")
def masked_scatter_(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """`masked_scatter` into the tensor itself."""
    return _masked_scatter.inplace(input, mask, source)


@op(name="nonzero_static", places="", nondiff=True, allowed="bifch")
def _nonzero_static(self: Array, size: int, fill_value: int) -> Any:
    _check_static_size(size)
    result = np.full((size, self.ndim), fill_value, np.int64)
    if self.ndim:
        indices = places_of_true(compact(self.astype(bool, copy=False)), size)
        result[: len(indices)] = indices
    return result


def _check_static_size(size: int) -> None:
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")


@_nonzero_static.meta
def _nonzero_static_shape(self: Array, size: int, fill_value: int) -> Array:
    _check_static_size(size)
    return meta_array((size, self.ndim), np.dtype(np.int64))


@_nonzero_static.batch
@of_sample
def _nonzero_static_by_sort(self: Tensor, size: int, fill_value: int) -> Tensor:
    """Stable sorting brings the places of what is not zero to the front."""
    if not self.numel():
        return ops.full((size, self.ndim), fill_value, dtype=int64)
    flat = ops.reshape(self, (-1,)) == 0
    flat_index = ops.sort(flat.to(uint8), dim=0, stable=True)[1]
    count = flat.shape[0] - ops.sum(flat)
    if size > flat.shape[0]:
        flat_index = ops.constant_pad_nd(flat_index, (0, size - flat.shape[0]))
    flat_index, kept = ops.narrow(flat_index, 0, 0, size), ops.arange(size) < count
    columns = []
    for n in reversed(self.shape):
        columns.append(ops.where(kept, flat_index % n, fill_value))
        flat_index = flat_index // n
    return ops.stack(columns[::-1], 1) if columns else ops.zeros_like(ops.unsqueeze(flat_index, 1))[:, :0]


@function()
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Any = None) -> Tensor:
    """The indices of the first `size` elements that are not zero: (size, dims), filled up if fewer.

    RuntimeError for a negative size.

    >>> import pullback as torch
    >>> torch.nonzero_static(torch.tensor([0, 5, 7]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    return _nonzero_static(input, size, fill_value, out=out)


@op(nondiff=True, places="", public_name="nonzero", layout="", batch="dynamic", allowed="bifch")
def nonzero_places(self: Array) -> Array:
    """The indices of elements that are not zero, a row each."""
    if not self.ndim:
        return np.empty((int(self != 0), 0), np.int64)
    return places_of_true(compact(self.astype(bool, copy=False)))


@function()
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of elements that are not zero, a row for each; as a tuple, a vector a dimension.

    >>> import pullback as torch
    >>> torch.nonzero(torch.tensor([0, 5, 0, 7]))
    tensor([[1],
            [3]])
    """
    if as_tuple and isinstance(input, Tensor):
        return ops.unbind(nonzero_places(input if input.ndim else ops.reshape(input, (1,))), 1)
    return nonzero_places(input, out=out)


@op(nondiff=True, layout="", allowed="bifch")
def argwhere(self: Array) -> Array:
    """The indices of elements that are not zero, a row for each.

    Unlike `nonzero` it runs under `vmap`, for each sample: their counts must be equal.

    >>> import pullback as torch
    >>> torch.argwhere(torch.tensor([0, 5, 0, 7]))
    tensor([[1],
            [3]])
    """
    return nonzero_places.kernel(self)


@function(places="t")
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, one tensor for each dim of `shape`, of places in a flattened tensor.

    TypeError unless the indices are integers; ValueError for a negative size.

    >>> import pullback as torch
    >>> torch.unravel_index(torch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, Sequence):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for size in shape:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
    if any(size < 0 for size in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    behind = list(itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1))[::-1]
    steps, sizes = (from_array(np.asarray(n[: len(shape)], np.int64)) for n in (behind, list(shape)))
    return ops.unbind(ops.unsqueeze(indices, -1) // steps % sizes, -1)
