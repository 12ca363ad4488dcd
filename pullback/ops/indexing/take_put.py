"""Reading and writing at indices into the flattened tensor: take, put."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.indexing.refusals import check_put, check_take
from pullback.ops.indexing.scatter import gather, scatter_add
from pullback.ops.shared.at import FROM_END, laid_as, plan_at, steps_of, work_steps
from pullback.ops.shared.flat_indices import accumulate, compact


def _flat_index(self: Array, index: Array) -> Array:
    """Indices into the flattened tensor, made non-negative; IndexError for one out of range."""
    n = self.size
    bad = index[(index < -n) | (index >= n)]
    if bad.size:
        raise _out_of_flat(0, self, index)
    return np.where(index < 0, index + n, index)


@op(moves=True, linear=True)
def take(self: Array, index: Array) -> Array:
    """The elements of the flattened tensor at `index`, in the shape of `index`.

    IndexError for an index out of range. The gradient is added up at the places taken.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2], [3, 4]]).take(torch.tensor([3, 0]))
    tensor([4, 1])
    """
    return compact(self.reshape(-1)[_flat_index(self, index)])


def _out_of_flat(status: int, self: Array, index: Array, *rest: Any) -> Exception:
    n = self.size
    bad = index[(index < -n) | (index >= n)]
    return IndexError(f"out of range: tried to access index {bad.ravel()[0]} on a tensor of {n} elements.")


@take.prepare
def _prepare_take(self: Spec, index: Spec) -> Plan:
    check_take("take", index)
    result, size, item = Spec(self.dtype, index.shape), self.size, self.dtype.itemsize
    if steps_of(self) != steps_of(Spec(self.dtype, self.shape)):
        return Plan(result)
    dims = [(n, 0, b, i) for n, b, i in zip(index.shape, steps_of(result), steps_of(index), strict=True)]
    return plan_at(
        "take",
        result,
        dims,
        [(index, size, item)],
        _out_of_flat,
        begins=0,
        inputs=2,
        cut=(0, 0),
        wraps=FROM_END,
    )


take.vjp(self=lambda g, self_shape, index: ops.put(ops.zeros(self_shape, dtype=g.dtype), index, g, True))


@take.jvp
def _take_tangent(self: Any, index: Any) -> Any:
    return take(self, index)


def _flat_rows(level: Any, index: Any, count: int) -> Tensor:
    """Indices into flat samples, none of them negative: a row for each sample."""
    flat = ops.reshape(level.front(index), (level.size, -1))
    return ops.where(flat < 0, flat + count, flat)


@take.batch
def _take_batch(level: Any, op: Op, self: Any, index: Any) -> Any:
    if not level.holds(self):
        return level.wrap(op(self, index.physical))
    p = ops.reshape(self.physical, (level.size, -1))
    taken = gather(p, 1, _flat_rows(level, index, p.shape[1]))
    return level.wrap(ops.reshape(taken, (level.size, *index.shape)))


@op(places="mi", aliases=("torch.put",), writes="K", linear=True)
def put(self: Array, index: Array, source: Array, accumulate: bool = False) -> Array:
    """A copy of `self` with `source` at `index` of the flattened tensor; added with `accumulate`.

    Gradients: of `self`, zero where written (the result's if added); of `source`, `take` of it.

    >>> import pullback as torch
    >>> torch.zeros(2, 2).put(torch.tensor([0, 3]), torch.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    positions, values = _flat_index(self, index).reshape(-1), source.reshape(-1)
    if accumulate:
        _add_flat(self, positions, values)
    else:
        self.flat[positions] = values
    return self


@put.prepare
def _prepare_put(self: Spec, index: Spec, source: Spec, accumulate: bool) -> Plan:
    check_put(self, index, source)
    result, item = Spec(self.dtype, self.shape, laid_as(self)), self.dtype.itemsize
    if result.strides != steps_of(Spec(self.dtype, self.shape)) or index.shape != source.shape:
        return Plan(result)
    steps = zip(index.shape, steps_of(source), steps_of(index), strict=True)
    unit = (work_steps(Spec(self.dtype, (1,))) if accumulate else (item,))[0]
    return plan_at(
        "at_sum" if accumulate else "put", result, [(n, 0, b, i) for n, b, i in steps],
        [(index, self.size, unit)], _out_of_flat, begins=0, base=self, other=2, inputs=3, wraps=FROM_END,
    )  # fmt: skip


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
    result = write(p, 1, _flat_rows(level, index, p.shape[1]), values)
    return level.wrap(ops.reshape(result, (level.size, *self.shape)))


def _add_flat(self: Array, positions: Array, values: Array) -> None:
    accumulate(np.add, self, positions, values)
