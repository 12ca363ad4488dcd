"""Reading and writing whole slices along one dimension: index_select, index_add, index_copy, index_fill.

`index` is a vector that names indices of the dimension. Kernels that `write` get a copy of `self`, or
`self` itself in place. `index_reduce` is in scatter_reduce.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import bool_
from pullback.core.op import function, op
from pullback.core.types import Array, Number, Size
from pullback.ops.indexing.refusals import (
    check_index_add,
    check_index_copy,
    check_index_fill,
    check_index_select,
    check_range,
    length,
    range_error,
)
from pullback.ops.indexing.scatter import scatter_add
from pullback.ops.shared.at import laid_as, plan_at, steps_of, work_steps
from pullback.ops.shared.batches import columns, rank, shifted
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import WHOLE, accumulate, flat_indices, outside


def _slice_key(dim: int, index: Any) -> tuple[Any, ...]:
    """The NumPy key of the slices along a dim."""
    return (WHOLE,) * dim + (index.reshape(-1),)


def _as_vector(a: Any) -> Any:
    """A 0-dim array as a view of one element."""
    return a if a.ndim else a.reshape(1)


@op(moves=True, linear=True)
def index_select(self: Array, dim: int, index: Array) -> Array:
    """The indices of a dimension that the vector `index` names, in its order: a copy.

    IndexError for an index out of range. The gradient is added up at the named places.

    >>> import pullback as torch
    >>> torch.arange(6).view(2, 3).index_select(1, torch.tensor([2, 0]))
    tensor([[2, 0],
            [5, 3]])
    """
    dim = wrap_dim(dim, self.ndim)
    if outside(index, length(self, dim)):
        raise outside_of_self(0, self, dim, index)
    return np.take(self, index.reshape(-1), dim) if self.ndim else self.copy()


def outside_of_self(status: int, self: Array, dim: int, index: Array) -> Exception:
    """The error for an index out of range; PyTorch has other words where it goes another way."""
    n = length(self, dim)
    if self.ndim < 2 or (self.size and wrap_dim(dim, self.ndim) != 1):
        return IndexError("index out of range in self")
    if not n:
        return RuntimeError("index_select(): self indexing axis dim should be positive")
    wrong = index[(index < 0) | (index >= n)].reshape(-1)[0]
    return RuntimeError(f"INDICES element is out of DATA bounds, id={wrong} axis_dim={n}")


def _slice_dims(addressed: Size, other: Size, dim: int, index: Spec, shape: Size) -> list[tuple[int, ...]]:
    """The dims that a vector of indices of a dimension goes over, for `plan_at`."""
    step = (steps_of(index) or (0,))[0]
    rows = [(n, a, b, 0) for n, a, b in zip(shape, addressed, other, strict=True)]
    return [*rows[:dim], (index.size, 0, (other or (0,))[dim], step), *rows[dim + 1 :]]


@index_select.prepare
def _prepare_index_select(self: Spec, dim: int, index: Spec) -> Plan:
    dim, steps = check_index_select(self, dim, index), steps_of(self)
    shape = (*self.shape[:dim], index.size, *self.shape[dim + 1 :]) if self.ndim else ()
    result = Spec(self.dtype, shape)
    place = (length(self, dim), steps[dim] if steps else 0)
    dims = _slice_dims(steps, steps_of(result), dim, index, self.shape)
    return plan_at("take", result, dims, [(index, *place)], outside_of_self, begins=0, inputs=2, cut=(0, 0))


def plan_slices(
    run: str, self: Spec, dim: int, index: Spec, source: Spec | None, refuse: Any, **options: Any
) -> Plan:
    """The plan of what writes slices at indices: arguments begin (self, dim, index, source)."""
    result = Spec(self.dtype, self.shape)
    steps = steps_of(result) if run == "put" else work_steps(result)
    place = (length(self, dim), steps[dim] if steps else 0)
    given = (0,) * self.ndim if source is None else steps_of(source)
    if source is not None and not source.ndim:
        given = (0,) * self.ndim
    dims = _slice_dims(steps, given, dim, index, self.shape)
    others = [d for d in range(self.ndim) if d != dim]
    return plan_at(
        run, result, dims, [(index, *place)], refuse, begins=0, base=self,
        other=-1 if source is None else 2, inputs=2 if source is None else 3,
        cut=(others[0], others[0]) if others else None, **options,
    )  # fmt: skip


def _index_select_slope(g: Tensor, self_shape: Any, dim: int, index: Tensor) -> Tensor:
    dim = wrap_dim(dim, len(self_shape))
    if not self_shape or not index.ndim:
        return ops.index_add(ops.zeros(self_shape, dtype=g.dtype), dim, index, g)
    return ops.index_sum(g, [*[None] * dim, index], self_shape, "IndexAddBackward0")


index_select.vjp(self=_index_select_slope)


@index_select.jvp
def _index_select_tangent(self: Any, dim: Any, index: Any) -> Any:
    return index_select(self, dim, index)


def _index_along(level: Any, index: Any, dim: int, shape: tuple[int, ...]) -> Tensor:
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
    return level.wrap(ops.gather(p, d + 1, _index_along(level, index, d + 1, tuple(p.shape))))


def write_slices(
    level: Any, each: Any, op: Op, self: Any, dim: int, index: Any, source: Any, *options: Any
) -> Any:
    """What writes slices at indices; where a sample has its own, `each` element goes to its place."""
    d = shifted(dim, rank(self))
    p, s = columns(level, self, source)
    s = ops.expand(s, (*p.shape[:d], index.numel(), *p.shape[d + 1 :]))
    if level.holds(index):
        result = each(p, d, _index_along(level, index, d, tuple(p.shape)), s)
    else:
        result = op(p, d, index, s, *options)
    return level.wrap(result if self.ndim else ops.squeeze(result, 1))


@op(name="index_add", places="", writes="C", linear=True)
def _index_add(self: Array, dim: int, index: Array, source: Array, alpha: Number) -> Array:
    """`self` with `alpha * source` added at the named indices of a dimension."""
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index, named=0)
    if alpha != 1:
        source = (source * alpha).astype(self.dtype)
    a = _as_vector(self)
    accumulate(np.add, a, flat_indices(a.shape, _slice_key(dim, index)), source)
    return self


@_index_add.prepare
def _prepare_index_add(self: Spec, dim: int, index: Spec, source: Spec, alpha: Number) -> Plan:
    dim = check_index_add(self, dim, index, source)
    if alpha != 1:
        return Plan(Spec(self.dtype, self.shape))
    return plan_slices(
        "at_sum", self, dim, index, source,
        lambda status, self, d, index, *rest: range_error(self, dim, index, named=0),
    )  # fmt: skip


def _index_add_slope(g: Tensor, dim: int, index: Tensor, source_shape: Any, alpha: Number) -> Tensor:
    picked = _picked_as(g, dim, index, source_shape)
    return picked if alpha == 1 else picked * alpha


def _picked_as(g: Tensor, dim: int, index: Tensor, shape: Any) -> Tensor:
    """The slices at the indices, in the shape of a source that may have no dims."""
    picked = index_select(g, dim, index)
    return picked if tuple(picked.shape) == tuple(shape) else ops.reshape(picked, shape)


_index_add.vjp(self="g", source=_index_add_slope)


@_index_add.batch
def _index_add_batch(level: Any, op: Op, self: Any, dim: int, index: Any, source: Any, alpha: Any) -> Any:
    def each(p: Tensor, d: int, wide_index: Tensor, source: Tensor) -> Tensor:
        return scatter_add(p, d, wide_index, source if alpha == 1 else source * alpha)

    return write_slices(level, each, op, self, dim, index, source, alpha)


@function()
def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1, out: Any = None
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
def index_copy(self: Array, dim: int, index: Array, source: Array) -> Array:
    """A copy of `self` with `source` at the indices of a dimension that `index` names.

    Gradients: of `self`, zero where written; of `source`, `index_select` of the result's.

    >>> import pullback as torch
    >>> torch.zeros(3).index_copy(0, torch.tensor([2]), torch.tensor([5.0]))
    tensor([0., 0., 5.])
    """
    dim = wrap_dim(dim, self.ndim)
    if outside(index, length(self, dim)):
        raise _copy_error(self, dim, index)
    _as_vector(self)[_slice_key(dim, index)] = source
    return self


def _copy_error(self: Array, dim: int, index: Array) -> Exception:
    return IndexError(f"index_copy_(): {range_error(self, dim, index)}")


@index_copy.prepare
def _prepare_index_copy(self: Spec, dim: int, index: Spec, source: Spec) -> Plan:
    dim = check_index_copy(self, dim, index, source)
    return plan_slices(
        "put", self, dim, index, source, lambda status, self, d, index, *rest: _copy_error(self, dim, index)
    )


def _outside(g: Tensor, dim: int, index: Tensor) -> Tensor:
    """A gradient with zeros at the named indices."""
    return _index_fill(g, dim, index, None, 0)


index_copy.vjp(
    self=_outside,
    source=lambda g, dim, index, source_shape: _picked_as(g, dim, index, source_shape),
)


@index_copy.batch
def _index_copy_batch(level: Any, op: Op, self: Any, dim: int, index: Any, source: Any) -> Any:
    return write_slices(level, ops.scatter, op, self, dim, index, source)


@op(name="index_fill", places="", writes="K", piecewise=True, expanded="tensor[mask] = scalar")
def _index_fill(self: Array, dim: int, index: Array, value: Array | None, number: Number) -> Array:
    """`self` with the element of a 0-dim tensor, or a number, at the named indices of a dimension."""
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index, error=IndexError)
    _as_vector(self)[_slice_key(dim, index)] = number if value is None else value
    return self


@_index_fill.prepare
def _prepare_index_fill(self: Spec, dim: int, index: Spec, value: Spec | None, number: Any) -> Plan:
    if value is None:
        ops.check_number(number, self.dtype.numpy)
    dim = check_index_fill(self, dim, index, value)
    result = Spec(self.dtype, self.shape, laid_as(self))
    if value is not None and value.dtype is not self.dtype:
        return Plan(result)
    steps = steps_of(result)
    place = (length(self, dim), steps[dim] if steps else 0)
    others = [d for d in range(self.ndim) if d != dim]
    return plan_at(
        "put", result, _slice_dims(steps, (0,) * self.ndim, dim, index, self.shape), [(index, *place)],
        lambda status, self, d, index, *rest: range_error(self, dim, index, error=IndexError),
        begins=0, base=self, other=-1 if value is None else 2, inputs=2 if value is None else 3,
        value=0 if value is not None else number, cut=(others[0], others[0]) if others else None,
    )  # fmt: skip


def _was_filled(g: Tensor, dim: int, index: Tensor) -> Tensor:
    """Where a fill has written: an index that stands twice writes once."""
    return _index_fill(ops.zeros_like(g, dtype=bool_), dim, index, None, True)


_index_fill.variant = lambda saved: "IndexFillBackward1" if saved["number"] is None else "IndexFillBackward0"
_index_fill.vjp(
    self=lambda g, dim, index, number: _index_fill(g, dim, index, None, 0),
    value=lambda g, dim, index: ops.sum(ops.where(_was_filled(g, dim, index), g, 0)),
)


@_index_fill.jvp
def _index_fill_tangent(self: Any, dim: Any, index: Any, value: Any, number: Any) -> Any:
    return _index_fill(self, dim, index, value, None if number is None else 0)


@_index_fill.batch
def _index_fill_batch(level: Any, op: Op, self: Any, dim: int, index: Any, value: Any, number: Any) -> Any:
    d = shifted(dim, rank(self))
    (p,) = columns(level, self)
    if not level.holds(index) and not level.holds(value):
        result = op(p, d, index, value, number)
    else:
        wide_index = _index_along(level, index, d, tuple(p.shape))
        if value is not None:
            value = ops.reshape(level.front(value), (level.size, *(1,) * (p.ndim - 1)))
            value = ops.expand(value.to(p.dtype), wide_index.shape)
        result = ops.scatter(p, d, wide_index, number if value is None else value)
    return level.wrap(result if self.ndim else ops.squeeze(result, 1))


@function(places="tmi")
def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | Number, *, out: Any = None) -> Tensor:
    """A copy of `input` with a number, or the element of a 0-dim tensor, at indices of a dimension.

    Gradients: of `input`, zero where written; of `value`, the sum of the result's there.

    >>> import pullback as torch
    >>> torch.zeros(3).index_fill(0, torch.tensor([0, 2]), 1.0)
    tensor([1., 0., 1.])
    """
    if isinstance(value, Tensor):
        return _index_fill(input, dim, index, value, None, out=out)
    return _index_fill(input, dim, index, None, value, out=out)
