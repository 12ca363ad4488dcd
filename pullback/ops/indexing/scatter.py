"""Picking and writing along one dimension: gather, scatter, index_select, index_add and their kin.

What accumulates turns its indices into flat positions (flat_places.py) and adds in their order. Every kernel
that `writes` gets a copy of `self`, or `self` itself in place. The reductions with other rules than a
sum are in scatter_reduce.py, masks in masks.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import IN_PLACE, REGISTRY, Op, Tensor
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import bool_, int64
from pullback.core.op import function, op
from pullback.core.strides import strided_array, strides_of
from pullback.ops.shared.batches import columns, rank, shifted, shifted_args
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_places import (
    WHOLE,
    accumulate,
    compact,
    key_places,
    line_key,
    line_places,
    outside,
)

# ------------------------------------------------------------------------------------- gather


def raise_range(index: Any, dim: int, n: int, error: type[Exception] = RuntimeError) -> None:
    """Raises for the first index out of range."""
    bad = index[(index < 0) | (index >= n)]
    raise error(f"index {bad.ravel()[0]} is out of bounds for dimension {dim} with size {n}")


def check_line(name: str, self: Any, dim: int, index: Any, src: Any = None) -> int:
    """Checks the arguments of a gather or scatter; the dimension, counted from the front."""
    dim = wrap_dim(dim, self.ndim)
    if not index.size:
        return dim
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    who = "input" if name == "gather" else "self"
    if max(index.ndim, 1) != max(self.ndim, 1):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {who} tensor")
    fits = all(d == dim or n <= m for d, (n, m) in enumerate(zip(index.shape, self.shape, strict=False)))
    if src is not None:
        if max(index.ndim, 1) != max(src.ndim, 1):
            raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
        if not fits or any(n > m for n, m in zip(index.shape, src.shape, strict=False)):
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(self.shape)} "
                f"apart from dimension {dim} and to be no larger size than src {list(src.shape)}"
            )
    elif not fits:
        raise RuntimeError(
            f"Size does not match at dimension {_misfit(self, dim, index)} expected index "
            f"{list(index.shape)} to be no larger than self {list(self.shape)} apart from "
            f"dimension {dim}"
        )
    n = self.shape[dim] if self.ndim else 1
    if outside(index, n):
        raise_range(index, dim, n)
    return dim


def _misfit(self: Any, dim: int, index: Any) -> int:
    pairs = enumerate(zip(index.shape, self.shape, strict=False))
    return next(d for d, (n, m) in pairs if d != dim and n > m)


def cut(a: Any, shape: tuple[int, ...]) -> Any:
    """The leading part of an array that has the given shape."""
    return a[tuple(slice(n) for n in shape)] if a.shape != shape else a


@op(moves=True, linear=True)
def gather(self: Tensor, dim, index: Tensor, sparse_grad=False):
    """The elements of `self` at `index` along a dimension, and at the own place in the others.

    `index` has as many dimensions as `self` and is nowhere larger but in `dim`; RuntimeError
    otherwise, and for an index out of range. The gradient is `scatter_add` of the result's.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    dim = check_line("gather", self, dim, index)
    if not index.size:
        return np.empty(index.shape, self.dtype)
    if not self.ndim:
        return np.broadcast_to(self, index.shape).copy()
    if not index.ndim:
        return self[int(index)].copy()
    return compact(self[line_key(dim, index)])


gather.vjp(
    self=lambda g, self_shape, dim, index: scatter_add(ops.zeros(self_shape, dtype=g.dtype), dim, index, g)
)


@gather.jvp
def _gather_tangent(self: Any, dim: Any, index: Any, sparse_grad: Any = False) -> Any:
    return gather(self, dim, index)


@gather.batch
def _gather_batch(level: Any, op: Op, self: Any, dim: int, index: Any, sparse_grad: bool) -> Any:
    p, i = columns(level, self, index)
    found = op(p, shifted(dim, rank(self)), i, sparse_grad)
    return level.wrap(found if index.ndim else ops.squeeze(found, 1))


@function()
def take_along_dim(input: Tensor, indices: Tensor, dim: Any = None, *, out: Any = None) -> Tensor:
    """`gather` with `input` and `indices` broadcast against each other; without `dim`, flattened.

    >>> import pullback as torch
    >>> torch.tensor([[3, 1], [2, 4]]).take_along_dim(torch.tensor([[1], [0]]), 1)
    tensor([[1],
            [2]])
    """
    if dim is None:
        return gather(ops.reshape(input, (-1,)), 0, ops.reshape(indices, (-1,)), out=out)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    if indices.dtype is not int64:
        kind = indices.dtype.type_name
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {kind}")
    dim = wrap_dim(dim, input.ndim)
    shapes = [list(input.shape), list(indices.shape)]
    sizes = [shapes[0][dim], shapes[1][dim]]
    shapes[0][dim] = shapes[1][dim] = 1
    common = list(ops.common_shape(*shapes))
    wide = []
    for t, n in zip((input, indices), sizes, strict=True):
        common[dim] = n
        wide.append(ops.expand(t, tuple(common)))
    return gather(wide[0], dim, ops.remainder(wide[1], sizes[0]) if sizes[0] else wide[1], out=out)


# ------------------------------------------------------------------------------------- scatter


def _line(self: Any, dim: int, index: Any) -> Any:
    """Flat positions that a scatter writes to; 0-dim tensors count as vectors of one element."""
    return line_places(self.shape or (1,), dim, index if index.ndim else index.reshape(1))


def _same_dtype(name: str, self: Any, src: Any) -> None:
    if self.dtype != src.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")


def put_line(self: Any, dim: int, index: Any, values: Any) -> Any:
    """Writes values along a dimension; of several to one place, the last stays."""
    if index.size:
        if not self.ndim or not index.ndim:
            self.reshape(-1)[index.reshape(-1)] = np.reshape(values, -1)
        else:
            self[line_key(dim, index)] = values
    return self


@op(name="scatter", places="", writes="C", piecewise=True)
def _scatter(self: Tensor, dim, index: Tensor, src: Tensor | None, value):
    """`self` with the elements of `src`, or the number `value`, at `index` along a dimension."""
    if src is None:
        ops.check_number(value, self.dtype)
        dim = check_line("scatter", self, dim, index)
        return put_line(self, dim, index, np.asarray(value).astype(self.dtype))
    _same_dtype("scatter", self, src)
    dim = check_line("scatter", self, dim, index, src)
    return put_line(self, dim, index, cut(src, index.shape))


def _zero_at_index(g: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The gradient of what a scatter writes into: none comes from where it wrote."""
    return _scatter(g, dim, index, None, 0)


_scatter.variant = lambda saved: "ScatterBackward0" if saved["value"] is None else "ScatterBackward1"
_scatter.vjp(
    self=_zero_at_index,
    src=lambda g, dim, index, src_shape: zero_padded(gather(g, dim, index), src_shape),
)


@_scatter.jvp
def _scatter_tangent(self: Any, dim: Any, index: Any, src: Any, value: Any) -> Any:
    return _scatter(self, dim, index, src, None if value is None else 0)


def scatter_batch(level: Any, op: Op, self: Any, dim: int, index: Any, src: Any, *options: Any) -> Any:
    """The rule of all that writes to the places of an index as large as the source."""
    p, i = columns(level, self, index)
    if src is not None:
        (src,) = columns(level, src)
    found = op(p, shifted(dim, rank(self)), i, src, *options)
    return level.wrap(found if self.ndim else ops.squeeze(found, 1))


_scatter.batch(scatter_batch)


def zero_padded(g: Tensor, shape: Any) -> Tensor:
    """A gradient of the leading part of a tensor as one of the whole: zeros behind."""
    if tuple(g.shape) == tuple(shape):
        return g
    widths = []
    for n, m in zip(reversed(g.shape), reversed(shape), strict=True):
        widths += [0, m - n]
    return ops.constant_pad_nd(g, widths, 0)


def _scattered(input: Tensor, dim: int, index: Tensor, src: Any, reduce: Any, out: Any) -> Tensor:
    """`scatter` in all its forms."""
    if reduce is None:
        if isinstance(src, Tensor):
            return _scatter(input, dim, index, src, None, out=out)
        return _scatter(input, dim, index, None, src, out=out)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(src, Tensor):
        src = ops.full(index.shape, src, dtype=input.dtype)
    if reduce == "add":
        return scatter_add(input, dim, index, src, out=out)
    return ops.scatter_reduce(input, dim, index, src, "prod", out=out)


@function()
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *,
    value: Any = None, reduce: str | None = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with the elements of `src`, or a number, at `index` along a dimension.

    `index` is nowhere larger than `src`, nor than `input` but in `dim`. With `reduce`, "add" or
    "multiply", what meets at one place is summed or multiplied. Gradients: of `input`, zero where written; of
    `src`, `gather` of the result's.

    >>> import pullback as torch
    >>> torch.zeros(3).scatter(0, torch.tensor([2, 0]), torch.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    return _scattered(input, dim, index, value if src is None else src, reduce, out)


@function(places="m")
def scatter_(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *,
    value: Any = None, reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """`scatter` into the tensor itself."""
    return _scattered(input, dim, index, value if src is None else src, reduce, IN_PLACE)


@op(places="tmi", writes="C", linear=True)
def scatter_add(self: Tensor, dim, index: Tensor, src: Tensor):
    """A copy of `self` with the elements of `src` added at `index` along a dimension, in order.

    Shapes are those of `scatter`. Gradients: of `self`, the result's; of `src`, `gather` of it.

    >>> import pullback as torch
    >>> torch.zeros(2).scatter_add(0, torch.tensor([0, 0, 1]), torch.ones(3))
    tensor([2., 1.])
    """
    _same_dtype("scatter", self, src)
    dim = check_line("scatter", self, dim, index, src)
    if index.size:
        accumulate(np.add, self, _line(self, dim, index), cut(src, index.shape))
    return self


scatter_add.batch(scatter_batch)
scatter_add.vjp(self="g", src=lambda g, dim, index, src_shape: zero_padded(gather(g, dim, index), src_shape))


# ---------------------------------------------------------------------------------- index_...


def _rows(self: Any, dim: int, index: Any, name: str, error: type[Exception]) -> Any:
    """A vector of indices into a dimension, checked."""
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector")
    index = index.reshape(-1)
    n = self.shape[dim] if self.ndim else 1
    if outside(index, n):
        raise_range(index, dim if name == "index_fill_" else 0, n, error)
    return index


def _row_key(self: Any, dim: int, index: Any) -> tuple[Any, ...]:
    return (WHOLE,) * dim + (index,)


def _flat(a: Any) -> Any:
    """A 0-dim array as a view of one element."""
    return a if a.ndim else a.reshape(1)


@op(moves=True, linear=True)
def index_select(self: Tensor, dim, index: Tensor):
    """The indices of a dimension that the vector `index` names, in its order: a copy.

    IndexError for an index out of range. The gradient is added up at the named places.

    >>> import pullback as torch
    >>> torch.arange(6).view(2, 3).index_select(1, torch.tensor([2, 0]))
    tensor([[2, 0],
            [5, 3]])
    """
    dim = wrap_dim(dim, self.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    if not self.ndim and index.size != 1:
        raise RuntimeError(
            f"index_select(): Index to scalar can have only 1 value, got {index.size} value(s)"
        )
    n = self.shape[dim] if self.ndim else 1
    if outside(index, n):
        raise IndexError("index out of range in self")
    return np.take(self, index.reshape(-1), dim) if self.ndim else self.copy()


index_select.vjp(
    self=lambda g, self_shape, dim, index: index_add(ops.zeros(self_shape, dtype=g.dtype), dim, index, g)
)


@index_select.jvp
def _index_select_tangent(self: Any, dim: Any, index: Any) -> Any:
    return index_select(self, dim, index)


def _places_along(level: Any, index: Any, dim: int, shape: tuple[int, ...]) -> Tensor:
    """A vector of indices, of each sample or one for all, along `dim` (a physical one) of a whole shape."""
    i = ops.reshape(level.front(index), (level.size, -1))
    view = [level.size, *(1,) * (len(shape) - 1)]
    wanted = list(shape)
    view[dim] = wanted[dim] = i.shape[1]
    return ops.expand(ops.reshape(i, view), wanted)


@index_select.batch
def _index_select_batch(level: Any, op: Op, self: Any, dim: int, index: Any) -> Any:
    if not self.ndim:
        return level.wrap(ops.reshape(level.front(self), (level.size,)).clone())
    d = wrap_dim(dim, self.ndim)
    if not level.holds(index):
        return level.wrap(op(self.physical, d + 1, index))
    if not level.holds(self):
        picked = op(self, d, ops.reshape(index.physical, (-1,)))
        shape = (*self.shape[:d], level.size, -1, *self.shape[d + 1 :])
        return level.wrap(ops.movedim(ops.reshape(picked, shape), d, 0))
    p = self.physical
    return level.wrap(ops.gather(p, d + 1, _places_along(level, index, d + 1, tuple(p.shape))))


def write_slices(
    level: Any, each: Any, op: Op, self: Any, dim: int, index: Any, source: Any, *options: Any
) -> Any:
    """What writes slices at indices; where a sample has its own, `each` element goes to its place."""
    d = shifted(dim, rank(self))
    p, s = columns(level, self, source)
    s = ops.expand(s, (*p.shape[:d], index.numel(), *p.shape[d + 1 :]))
    if level.holds(index):
        found = each(p, d, _places_along(level, index, d, tuple(p.shape)), s)
    else:
        found = op(p, d, index, s, *options)
    return level.wrap(found if self.ndim else ops.squeeze(found, 1))


def _check_source(name: str, self: Any, dim: int, index: Any, source: Any) -> None:
    count = source.shape[dim] if source.ndim else 1
    if index.size != count:
        raise RuntimeError(
            f"{name}_(): Number of indices ({index.size}) should be equal to source.size(dim): "
            f"({count}), for dim: {dim}"
        )
    if self.shape[:dim] + self.shape[dim + 1 :] != source.shape[:dim] + source.shape[dim + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(self.shape)} source.shape = {list(source.shape)}"
        )


@op(name="index_add", places="", writes="C", linear=True)
def _index_add(self: Tensor, dim, index: Tensor, source: Tensor, alpha):
    """`self` with `alpha * source` added at the named indices of a dimension."""
    dim = wrap_dim(dim, self.ndim)
    if index.dtype not in (np.int64, np.int32):
        raise RuntimeError(f"index_add_(): Expected dtype int32/int64 for index but got: {type_name(index)}")
    if self.dtype != source.dtype:
        raise RuntimeError(
            f"index_add_(): self ({type_name(self)}) and source ({type_name(source)}) must have the "
            "same scalar type"
        )
    _check_source("index_add", self, dim, index, source)
    index = _rows(self, dim, index, "index_add_", RuntimeError)
    if alpha != 1:
        source = (source * alpha).astype(self.dtype)
    whole = _flat(self)
    accumulate(np.add, whole, key_places(whole.shape, _row_key(whole, dim, index)), source)
    return self


_index_add.vjp(
    self="g",
    source=lambda g, dim, index, source_shape, alpha: (
        ops.reshape(index_select(g, dim, index), source_shape) * alpha
    ),
)


@_index_add.batch
def _index_add_batch(level: Any, op: Op, self: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    def each(p: Tensor, d: int, places: Tensor, source: Tensor) -> Tensor:
        return scatter_add(p, d, places, source if alpha == 1 else source * alpha)

    return write_slices(level, each, op, self, dim, index, source, alpha)


@function()
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1, out: Any = None
) -> Tensor:
    """A copy of `input` with `alpha * source` added at the indices of a dimension that `index` names.

    RuntimeError where shapes or dtypes do not fit. Gradients: of `input`, the result's; of `source`,
    `alpha` times its `index_select`.

    >>> import pullback as torch
    >>> torch.zeros(2).index_add(0, torch.tensor([1, 1]), torch.ones(2))
    tensor([0., 2.])
    """
    return _index_add(input, dim, index, source, alpha, out=out)


@function(places="m")
def index_add_(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`index_add` into the tensor itself."""
    return _index_add.inplace(input, dim, index, source, alpha)


@op(places="tmi", writes="C", linear=True)
def index_copy(self: Tensor, dim, index: Tensor, source: Tensor):
    """A copy of `self` with `source` at the indices of a dimension that `index` names.

    Gradients: of `self`, zero where written; of `source`, `index_select` of the result's.

    >>> import pullback as torch
    >>> torch.zeros(3).index_copy(0, torch.tensor([2]), torch.tensor([5.0]))
    tensor([0., 0., 5.])
    """
    dim = wrap_dim(dim, self.ndim)
    if index.dtype != np.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {type_name(index)}")
    if self.dtype != source.dtype:
        raise RuntimeError(
            "index_copy_(): self and source expected to have the same dtype, but got (self) "
            f"{type_name(self)} and (source) {type_name(source)}"
        )
    count = source.shape[dim] if source.ndim else 1
    if index.size != count:
        raise IndexError(
            f"index_copy_(): Number of indices ({index.size}) should be equal to source.size(dim) ({count})"
        )
    _check_source("index_copy", self, dim, index, source)
    n = self.shape[dim] if self.ndim else 1
    bad = index[(index < 0) | (index >= n)]
    if bad.size:
        raise IndexError(
            f"index_copy_(): index {bad.ravel()[0]} is out of bounds for dimension {dim} with size {n}"
        )
    whole = _flat(self)
    whole[_row_key(whole, dim, index.reshape(-1))] = source
    return self


index_copy.vjp(
    self=lambda g, dim, index: _index_fill(g, dim, index, None, 0),
    source=lambda g, dim, index, source_shape: ops.reshape(index_select(g, dim, index), source_shape),
)


@index_copy.batch
def _index_copy_batch(level: Any, op: Op, self: Any, dim: int, index: Any, source: Any) -> Any:
    return write_slices(level, ops.scatter, op, self, dim, index, source)


@op(name="index_fill", places="", writes="K", piecewise=True)
def _index_fill(self: Tensor, dim, index: Tensor, value: Tensor | None, number):
    """`self` with the element of a 0-dim tensor, or a number, at the named indices of a dimension."""
    if value is None:
        ops.check_number(number, self.dtype)
    elif value.ndim:
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    dim = wrap_dim(dim, self.ndim)
    if index.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    whole = _flat(self)
    key = _row_key(whole, dim, _rows(self, dim, index, "index_fill_", IndexError))
    whole[key] = number if value is None else value
    return self


def _filled(g: Tensor, dim: int, index: Tensor) -> Tensor:
    """Where a fill has written: an index that stands twice writes once."""
    return _index_fill(ops.zeros_like(g, dtype=bool_), dim, index, None, True)


_index_fill.variant = lambda saved: "IndexFillBackward1" if saved["number"] is None else "IndexFillBackward0"
_index_fill.vjp(
    self=lambda g, dim, index, number: _index_fill(g, dim, index, None, 0),
    value=lambda g, dim, index: ops.sum(ops.where(_filled(g, dim, index), g, 0)),
)


@_index_fill.jvp
def _index_fill_tangent(self: Any, dim: Any, index: Any, value: Any, number: Any) -> Any:
    return _index_fill(self, dim, index, value, None if number is None else 0)


@_index_fill.batch
def _index_fill_batch(level: Any, op: Op, self: Any, dim: int, index: Any, value: Any, number: Any) -> Any:
    d = shifted(dim, rank(self))
    (p,) = columns(level, self)
    if not level.holds(index) and not level.holds(value):
        found = op(p, d, index, value, number)
    else:
        places = _places_along(level, index, d, tuple(p.shape))
        if value is not None:
            value = ops.reshape(level.front(value), (level.size, *(1,) * (p.ndim - 1)))
            value = ops.expand(value.to(p.dtype), places.shape)
        found = ops.scatter(p, d, places, number if value is None else value)
    return level.wrap(found if self.ndim else ops.squeeze(found, 1))


@function(places="tmi")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any, *, out: Any = None) -> Tensor:
    """A copy of `input` with a number, or the element of a 0-dim tensor, at indices of a dimension.

    Gradients: of `input`, zero where written; of `value`, the sum of the result's there.

    >>> import pullback as torch
    >>> torch.zeros(3).index_fill(0, torch.tensor([0, 2]), 1.0)
    tensor([1., 0., 1.])
    """
    if isinstance(value, Tensor):
        return _index_fill(input, dim, index, value, None, out=out)
    return _index_fill(input, dim, index, None, value, out=out)


# --------------------------------------------------------------------------------- take and put


def _flat_index(self: Any, index: Any, name: str) -> Any:
    """Indices into the flattened tensor, made non-negative."""
    if index.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {type_name(index)}")
    n = self.size
    bad = index[(index < -n) | (index >= n)]
    if bad.size:
        raise IndexError(f"out of range: tried to access index {bad.ravel()[0]} on a tensor of {n} elements.")
    return np.where(index < 0, index + n, index)


@op(moves=True, linear=True)
def take(self: Tensor, index: Tensor):
    """The elements of the flattened tensor at `index`, in the shape of `index`.

    IndexError for an index out of range. The gradient is added up at the places taken.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([3, 0]))
    tensor([4, 1])
    """
    return compact(self.reshape(-1)[_flat_index(self, index, "take")])


take.vjp(self=lambda g, self_shape, index: put(ops.zeros(self_shape, dtype=g.dtype), index, g, True))


@take.jvp
def _take_tangent(self: Any, index: Any) -> Any:
    return take(self, index)


def _flat_places(level: Any, index: Any, count: int) -> Tensor:
    """Indices into flat samples, none of them negative: a row for each sample."""
    flat = ops.reshape(level.front(index), (level.size, -1))
    return ops.where(flat < 0, flat + count, flat)


@take.batch
def _take_batch(level: Any, op: Op, self: Any, index: Any) -> Any:
    if not level.holds(self):
        return level.wrap(op(self, index.physical))
    p = ops.reshape(self.physical, (level.size, -1))
    found = gather(p, 1, _flat_places(level, index, p.shape[1]))
    return level.wrap(ops.reshape(found, (level.size, *index.shape)))


@op(places="mi", aliases=("torch.put",), writes="K", linear=True)
def put(self: Tensor, index: Tensor, source: Tensor, accumulate=False):
    """A copy of `self` with `source` at `index` of the flattened tensor; added with `accumulate`.

    Gradients: of `self`, zero where written (the result's if added); of `source`, `take` of it.

    >>> import pullback as torch
    >>> torch.zeros(2, 2).put(torch.tensor([0, 3]), torch.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    if self.dtype != source.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{type_name(self)} and source.dtype = {type_name(source)}"
        )
    if index.size != source.size:
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got "
            f"source.numel() = {source.size}, index.numel() = {index.size}"
        )
    places = _flat_index(self, index, "put_").reshape(-1)
    if accumulate:
        _add_flat(self, places, source.reshape(-1))
    else:
        self.flat[places] = source.reshape(-1)
    return self


def _add_flat(self: Any, places: Any, values: Any) -> None:
    accumulate(np.add, self, places, values)


put.vjp(
    self=lambda g, index, accumulate: (
        g if accumulate else put(g, index, ops.zeros(index.shape, dtype=g.dtype))
    ),
    source=lambda g, index, source_shape: ops.reshape(take(g, index), source_shape),
)


@put.batch
def _put_batch(level: Any, op: Op, self: Any, index: Any, source: Any, accumulate: bool) -> Any:
    p = ops.reshape(level.front(self), (level.size, -1))
    values = ops.reshape(level.front(source), (level.size, -1))
    write = scatter_add if accumulate else ops.scatter
    found = write(p, 1, _flat_places(level, index, p.shape[1]), values)
    return level.wrap(ops.reshape(found, (level.size, *self.shape)))


# ------------------------------------------------------------------------- writes to a view's place


@op(name="view_scatter", places="", moves=True, piecewise=True)
def _view_scatter(self: Tensor, src: Tensor, view, args):
    """A copy of `self` with `src` where a view op, select, slice or diagonal, would look."""
    result = strided_array(self.shape, strides_of(self), self.dtype)
    result[...] = self
    part = REGISTRY[view].kernel(result, *args)
    if src.shape != part.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src.shape)}, slice size = {list(part.shape)}"
        )
    part[...] = src
    return result


_view_scatter.variant = lambda saved: f"{saved['view'].title()}ScatterBackward0"
_view_scatter.vjp(
    self=lambda g, src_shape, view, args: _view_scatter(g, ops.zeros(src_shape, dtype=g.dtype), view, args),
    src=lambda g, view, args: REGISTRY[view](g, *args),
)


@_view_scatter.batch
def _view_scatter_batch(level: Any, op: Op, self: Any, src: Any, view: str, args: Any) -> Any:
    whole = level.front(self) if level.holds(self) else ops.contiguous(level.front(self))
    args = shifted_args(REGISTRY[view], args, self.ndim)
    return level.wrap(op(whole, level.front(src), view, args))


@function()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at one index of a dimension.

    Gradients: of `input`, zero there; of `src`, the result's there.

    >>> import pullback as torch
    >>> torch.select_scatter(torch.zeros(2, 2), torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _view_scatter(input, src, "select", (dim, index))


@function()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1,
    *, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with `src` at `start:end:step` of a dimension."""
    return _view_scatter(input, src, "slice", (dim, start, end, step), out=out)


@function()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on the diagonal of two dimensions."""
    return _view_scatter(input, src, "diagonal", (offset, dim1, dim2))
