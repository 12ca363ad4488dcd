"""Tensors joined: cat, stack and what is made of them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import contiguous_format, from_numpy_dtype, promote_types
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.strides import format_of, strided_array, strides_for
from pullback.core.types import Array, Arrays, Size
from pullback.ops.shared.batches import shifted
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import WHOLE, compact
from pullback.ops.shared.pieces import Pieces, assembled, outline_of, pieces_plan, plan_by


def _common_dtype(kinds: Sequence[Dtype]) -> Dtype:
    """Promotion as in arithmetic: 0-dim tensors count only by their kind."""
    return functools.reduce(promote_types, kinds)


def _common(tensors: Any) -> list[Tensor]:
    """The tensors in the dtype that they promote to."""
    kind = _common_dtype([t.dtype for t in tensors])
    return [ops.converted(t, kind) for t in tensors]


MANY = 32
"""Tensors from which on a plan would cost more than the copies."""


def _joined(tensors: Arrays, dim: int, new: bool) -> Array:
    """Arrays one behind the other along a dim, or along a `new` one."""
    kinds = dict.fromkeys([a.dtype for a in tensors])  # of long lists most often one
    kept = [a for a in tensors if new or a.shape != (0,)]
    if not kept:
        kept, dim = list(tensors[:1]), 0
    if len(kinds) > 1:
        kind = _common_dtype([from_numpy_dtype(k) for k in kinds]).numpy
        kept = [a.astype(kind, copy=False) for a in kept]
    if not new:
        return compact(np.concatenate(kept, dim))
    stacked, laid = np.stack(kept, dim), _split_strides(kept, wrap_dim(dim, kept[0].ndim + 1))
    if laid is None:
        return compact(stacked)
    result = strided_array(stacked.shape, laid, stacked.dtype)
    result[...] = stacked
    return result


def _plan_joined(tensors: list[Spec], dim: int, new: bool) -> Plan:
    if isinstance(tensors, Spec):
        name = "stack" if new else "cat"
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    for index, t in enumerate(tensors):
        if t is None:
            raise TypeError(f"expected Tensor as element {index} in argument 0, but got NoneType")
    dim, shape = _stacked(tensors, dim) if new else _in_a_row(tensors, dim)
    kinds = dict.fromkeys([t.dtype for t in tensors])
    result = Spec(_common_dtype(list(kinds)), shape)
    laid = _split_strides(tensors, dim, outline_of) if new else None
    if laid is not None:
        result = Spec(result.dtype, shape, tuple([step * result.itemsize for step in laid]))
    if len(tensors) > MANY or len(kinds) > 1:
        return Plan(result)
    before, at, copies = (WHOLE,) * dim, 0, []
    for i, t in enumerate(tensors):
        if new or t.shape != (0,):
            piece = outline_of(t, i)[(*before, None)] if new else outline_of(t, i)
            copies.append(((*before, slice(at, at + piece.shape[dim])), piece))
            at += piece.shape[dim]
    return pieces_plan(result, Pieces(shape, copies), len(tensors))


@op(
    places="t",
    aliases=("torch.concat", "torch.concatenate"),
    moves=True,
    linear=True,
    layout="F",
    casts_out=True,
)
def cat(tensors: Arrays, dim: int = 0) -> Array:
    """The tensors joined along a dimension, in the dtype they promote to.

    They may differ in that dimension only; 1-dim tensors without elements are left out. RuntimeError
    for other shapes. Each gradient is its piece of the result's.

    >>> import pullback as torch
    >>> torch.cat([torch.tensor([1, 2]), torch.tensor([3])])
    tensor([1, 2, 3])
    """
    return _joined(tensors, dim, False)


def _in_a_row(tensors: list[Spec], dim: int) -> tuple[int, Size]:
    """The dimension, counted from the front, and the shape; RuntimeError if shapes cannot be joined."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    kept = [t for t in tensors if t.shape != (0,)]
    if not kept:
        return 0, (0,)  # whatever the dim
    for index, t in enumerate(kept):
        if not t.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {index}) cannot be concatenated")
    first = kept[0].shape
    dim = wrap_dim(dim, len(first))
    for index, t in enumerate(kept):
        if t.ndim != len(first):
            raise RuntimeError(f"Tensors must have same number of dimensions: got {len(first)} and {t.ndim}")
        for d, (n, m) in enumerate(zip(first, t.shape, strict=True)):
            if d != dim and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} but "
                    f"got size {m} for tensor number {index} in the list."
                )
    return dim, (*first[:dim], sum(t.shape[dim] for t in kept), *first[dim + 1 :])


cat.prepare(lambda tensors, dim: _plan_joined(tensors, dim, False))


@cat.joint_vjp
def _cat_rule(g: Any, tensors_shape: Any, dim: int, needs: Any) -> Any:
    blocks, start = [], 0
    for shape, needed in zip(tensors_shape, needs, strict=True):
        if tuple(shape) == (0,):
            blocks.append(ops.zeros(0, dtype=g.dtype) if needed else None)
            continue
        size = shape[dim]
        blocks.append(ops.narrow(g, dim, start, size) if needed else None)
        start += size
    return (blocks,)


@cat.batch
def _cat_batch(level: Any, op: Op, tensors: Any, dim: int) -> Any:
    real = [x for x in tensors if x.shape != (0,)]
    kept = real if any(x.ndim != 1 for x in real) else tensors
    return level.wrap(op([level.front(x) for x in kept], shifted(dim, max(x.ndim for x in kept))))


@op(places="t", moves=True, linear=True, casts_out=True)
def stack(tensors: Arrays, dim: int = 0) -> Array:
    """Tensors of one shape along a new dimension, in the dtype they promote to.

    RuntimeError if the shapes differ. Each gradient is its index of the result's.

    >>> import pullback as torch
    >>> torch.stack([torch.tensor([1, 2]), torch.tensor([3, 4])], 1)
    tensor([[1, 3],
            [2, 4]])
    """
    return _joined(tensors, dim, True)


def _stacked(tensors: list[Spec], dim: int) -> tuple[int, Size]:
    """The new dimension, counted from the front, and the shape; RuntimeError if shapes differ."""
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    shape = tensors[0].shape
    for index, t in enumerate(tensors):
        if t.shape != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 and "
                f"{list(t.shape)} at entry {index}"
            )
    dim = wrap_dim(dim, len(shape) + 1)
    return dim, (*shape[:dim], len(tensors), *shape[dim:])


def _split_strides(tensors: Sequence[Any], dim: int, outline: Any = lambda a: a) -> Size | None:
    """The strides of tensors in a row along a dim that is then split: in the format that they share."""
    shape = tensors[0].shape
    shared = {format_of(outline(t)) for t in tensors} if 4 <= len(shape) <= 5 and dim < len(shape) else ()
    if len(shared) != 1 or contiguous_format in shared:
        return None
    joined = (*shape[:dim], len(tensors) * shape[dim], *shape[dim + 1 :])
    steps = strides_for(joined, *shared)
    return (*steps[:dim], shape[dim] * steps[dim], *steps[dim:])


stack.prepare(lambda tensors, dim: _plan_joined(tensors, dim, True))


@stack.joint_vjp
def _stack_rule(g: Any, dim: int, needs: Any) -> Any:
    return ([ops.select(g, dim, i) if needed else None for i, needed in enumerate(needs)],)


@stack.batch
def _stack_batch(level: Any, op: Op, tensors: Any, dim: int) -> Any:
    return level.wrap(op([level.front(x) for x in tensors], shifted(dim, tensors[0].ndim + 1)))


# ------------------------------------------------------------------- at least so many dimensions


def _at_least(name: str, doc: str, lift: Callable[[Tensor], Tensor]) -> Any:
    def atleast(*tensors: Any) -> Any:
        if len(tensors) != 1:
            return tuple(lift(t) for t in tensors)
        (listed,) = tensors
        return tuple(lift(t) for t in listed) if isinstance(listed, (tuple, list)) else lift(listed)

    atleast.__name__ = atleast.__qualname__ = name
    atleast.__doc__ = doc
    return function(places="t")(atleast)


def _lift1(t: Tensor) -> Tensor:
    return t if t.ndim else ops.reshape(t, (1,))


def _lift2(t: Tensor) -> Tensor:
    if t.ndim >= 2:
        return t
    return ops.unsqueeze(t, 0) if t.ndim else ops.reshape(t, (1, 1))


def _lift3(t: Tensor) -> Tensor:
    if t.ndim >= 3:
        return t
    if t.ndim == 2:
        return ops.unsqueeze(t, -1)
    return ops.unsqueeze(ops.unsqueeze(t, 0), -1) if t.ndim else ops.reshape(t, (1, 1, 1))


atleast_1d = _at_least("atleast_1d", "0-dim tensors as vectors of one element, others as they are.", _lift1)
atleast_2d = _at_least("atleast_2d", "Tensors with dimensions of size 1 in front up to two.", _lift2)
atleast_3d = _at_least("atleast_3d", "Tensors with dimensions of size 1 around up to three.", _lift3)


@function(places="t")
def hstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Tensors side by side: along dimension 1, vectors along dimension 0.

    >>> import pullback as torch
    >>> torch.hstack([torch.tensor([1]), torch.tensor([2, 3])])
    tensor([1, 2, 3])
    """
    lifted = [_lift1(t) for t in _several("hstack", tensors)]
    return cat(lifted, 0 if lifted[0].ndim == 1 else 1, out=out)


@function(places="t", aliases=("torch.row_stack",))
def vstack(tensors: Sequence[Tensor], *, out: Any = None) -> Tensor:
    """Tensors one below the other, vectors as rows."""
    return cat([_lift2(t) for t in _several("vstack", tensors)], 0, out=out)


@function(places="t")
def dstack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Tensors one behind the other, along dimension 2."""
    return cat([_lift3(t) for t in _several("dstack", tensors)], 2, out=out)


@function(places="t")
def column_stack(tensors: Sequence[Tensor], *, out: Tensor | None = None) -> Tensor:
    """Tensors side by side along dimension 1, vectors and numbers as columns."""
    columns = [
        ops.reshape(t, (t.numel() if t.ndim else 1, 1)) if t.ndim < 2 else t
        for t in _several("column_stack", tensors)
    ]
    return cat(columns, 1, out=out)


def _several(name: str, tensors: Any) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, "
            f"not {type(tensors).__name__}"
        )
    for index, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {index} in argument 0, but got {type(t).__name__}")
    if not tensors:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(tensors)


# ------------------------------------------------------------------------------- combinations


@op(name="block_diag", places="", moves=True, linear=True)
def _block_diag(tensors: Arrays) -> Array:
    """Matrices of one dtype along the diagonal of a larger one."""
    return assembled(_along_diagonal(tensors), tensors[0].dtype)


def _along_diagonal(tensors: Any) -> Pieces:
    copies, row, column = [], 0, 0
    for t in tensors:
        copies.append(((slice(row, row + t.shape[0]), slice(column, column + t.shape[1])), t))
        row, column = row + t.shape[0], column + t.shape[1]
    return Pieces((row, column), copies, 0)


_block_diag.prepare(plan_by(_along_diagonal))


@_block_diag.joint_vjp
def _block_diag_rule(g: Any, tensors_shape: Any, needs: Any) -> Any:
    blocks, row, column = [], 0, 0
    for (n, m), needed in zip(tensors_shape, needs, strict=True):
        block = ops.narrow(ops.narrow(g, 0, row, n), 1, column, m) if needed else None
        blocks.append(block)
        row, column = row + n, column + m
    return (blocks,)


@_block_diag.batch
def _block_diag_batch(level: Any, op: Op, tensors: Any) -> Any:
    """Each matrix between zeros in its row of blocks."""
    fronts = [level.front(x) for x in tensors]
    blocks = [ops.reshape(p, (level.size, *(1,) * (3 - p.ndim), *p.shape[1:])) for p in fronts]
    width, column, rows = sum(p.shape[-1] for p in blocks), 0, []
    for p in blocks:
        n = p.shape[-1]
        rows.append(ops.constant_pad_nd(p, (column, width - column - n)))
        column += n
    return level.wrap(ops.cat(rows, -2))


@function(places="t")
def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a larger one, zeros elsewhere; vectors count as rows.

    RuntimeError for more than two dimensions.

    >>> import pullback as torch
    >>> torch.block_diag(torch.tensor([1, 2]), torch.tensor([[3]]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    if not tensors:
        return ops.empty(1, 0)
    for index, t in enumerate(tensors):
        if t.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                f"Input {index} has {t.ndim} dimensions"
            )
    return _block_diag(_common([_lift2(t) for t in tensors]))


@function(places="t")
def meshgrid(*tensors: Tensor, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Grids of coordinates: each vector expanded along its own dimension of a common shape.

    With `indexing="xy"` the first two dimensions are exchanged. RuntimeError for other than vectors.

    >>> import pullback as torch
    >>> torch.meshgrid(torch.tensor([1, 2]), torch.tensor([3, 4, 5]), indexing="ij")[0]
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    listed = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing is None:
        warn("torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.")
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    if not listed:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for t in listed:
        if t.dtype is not listed[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
        if t.ndim > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t!r}")
    dims = list(range(len(listed)))
    if indexing == "xy" and len(listed) >= 2:
        dims[:2] = 1, 0
    shape = [0] * len(listed)
    for d, t in zip(dims, listed, strict=True):
        shape[d] = t.numel()
    grids = [
        ops.expand(ops.reshape(t, [-1 if d == e else 1 for e in range(len(shape))]), shape)
        for d, t in zip(dims, listed, strict=True)
    ]
    return tuple(grids)


@function(places="t")
def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All choices of an element from each vector, a row each.

    >>> import pullback as torch
    >>> torch.cartesian_prod(torch.tensor([1, 2]), torch.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for t in tensors:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return ops.select(ops.unsqueeze(tensors[0], 0), 0, 0)
    grids = meshgrid(*tensors, indexing="ij")
    return stack([ops.flatten(grid) for grid in grids], 1)


@function()
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a vector in their order, a row each.

    >>> import pullback as torch
    >>> torch.combinations(torch.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return ops.empty((0,), dtype=input.dtype)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    n = input.shape[0]
    count = math.comb(n + r - 1, r) if with_replacement else math.comb(n, r)
    flat = itertools.chain.from_iterable(choose(range(n), r))
    rows = np.fromiter(flat, np.int64, count * r).reshape(count, r)
    picked = [from_array(compact(rows[:, i])) for i in range(r)]
    return stack([ops.index_select(input, 0, places) for places in picked], 1)


@function()
def kron(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The Kronecker product: `input` with each element times all of `other` in its place.

    >>> import pullback as torch
    >>> torch.kron(torch.tensor([1, 2]), torch.tensor([1, 10]))
    tensor([ 1, 10,  2, 20])
    """
    ndim = max(input.ndim, other.ndim)
    shapes = [(1,) * (ndim - t.ndim) + tuple(t.shape) for t in (input, other)]
    a = ops.reshape(input, [n for pair in zip(shapes[0], (1,) * ndim, strict=True) for n in pair])
    b = ops.reshape(other, [n for pair in zip((1,) * ndim, shapes[1], strict=True) for n in pair])
    if ndim > 1 and input.is_contiguous() and other.is_contiguous():
        # rows of both in full, so that they are multiplied in long runs
        row = shapes[0][-1], shapes[1][-1]
        a = ops.clone(ops.expand(a, (*a.shape[:-2], *row)), contiguous_format)
        b = ops.clone(ops.expand(b, (*b.shape[:-2], *row)), contiguous_format)
    return ops.unsafe_view(a * b, tuple(n * m for n, m in zip(*shapes, strict=True)), out=out)
