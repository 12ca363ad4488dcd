"""Reductions of segments: runs of neighbours along a dim, by their lengths or their bounds.

The data are seen as flat rows: what stands before the dim, and the dim itself, are one.
`_segment_bounds` gives the first row of each segment and the one behind its last, `_segments` the segment
of each row, -1 outside of all. The gradients are made of picks by the latter, so they have derivatives of
any order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.reductions.reduce import others_prod
from pullback.ops.shared.dims import wrap_dim

_UFUNC_AND_IDENTITY = {
    "sum": (np.add, 0.0),
    "mean": (np.add, 0.0),
    "max": (np.maximum, -np.inf),
    "min": (np.minimum, np.inf),
    "prod": (np.multiply, 1.0),
}


def _segment_bounds(marks: Array, count: int, offsets: bool) -> tuple[Array, Array]:
    """First and last rows of all segments, of data with `count` rows in each line."""
    if offsets:
        first, behind = marks[..., :-1], marks[..., 1:]
    else:
        behind = np.cumsum(marks, -1)
        first = behind - marks
    lines = np.arange(math.prod(marks.shape[:-1])).reshape(*marks.shape[:-1], 1) * count
    return (first + lines).reshape(-1), (np.minimum(behind, count) + lines).reshape(-1)


@op(name="segment_reduce", places="")
def _segment_reduce(
    self: Array, marks: Array, reduce: str, axis: int, offsets: bool, unsafe: bool, initial: float | None
) -> Array:
    _check_segments(self, marks, axis, offsets)
    if not offsets and not unsafe:
        _check_sum_of_lengths(self, marks, axis)
    ufunc, identity = _UFUNC_AND_IDENTITY[reduce]
    first, behind = _segment_bounds(marks, self.shape[axis], offsets)
    rest = self.shape[axis + 1 :]
    rows = self.reshape(math.prod(self.shape[: axis + 1]), *rest)
    full = behind > first
    start = identity if initial is None else initial
    result = np.full((len(first), *rest), start, self.dtype)
    if full.any():
        cuts = np.stack([first[full], behind[full]], -1).reshape(-1)
        reduced = ufunc.reduceat(rows, cuts[:-1] if cuts[-1] >= len(rows) else cuts, 0)[::2]
        result[full] = reduced if initial is None else ufunc(reduced, self.dtype.type(initial))
    if reduce == "mean":
        size = (behind - first) if initial is None else np.maximum(behind - first, 1)
        result /= size.astype(self.dtype).reshape(-1, *(1,) * len(rest))
    bags = marks.shape[-1] - offsets
    return result.reshape(*self.shape[:axis], bags, *rest)


@_segment_reduce.meta
def _segment_reduce_shape(
    self: Array, marks: Array, reduce: str, axis: int, offsets: bool, unsafe: bool, initial: float | None
) -> Array:
    _check_segments(self, marks, axis, offsets)
    count = marks.shape[-1] - offsets
    return meta_array((*self.shape[:axis], count, *self.shape[axis + 1 :]), self.dtype)


@op(name="segments", places="", nondiff=True)
def _segments(self: Array, count: int, offsets: bool) -> tuple[Array, ...]:
    """Each row's segment, -1 if none; each segment's size; each row's place in a table of segments.

    And that table: its rows are the segments, and hold the numbers of their rows, then -1.
    """
    first, behind = _segment_bounds(self, count, offsets)
    size = np.maximum(behind - first, 0)
    segment = np.full(math.prod(self.shape[:-1]) * count, -1)
    cell = np.zeros_like(segment)
    table = np.full((len(first), max(int(size.max(initial=0)), 1)), -1)
    owner = np.repeat(np.arange(len(first)), size)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(size) - size, size)
    row = np.repeat(first, size) + within
    segment[row], cell[row], table[owner, within] = owner, owner * table.shape[1] + within, row
    return segment, size, cell, table


def _column(t: Tensor, ndim: int) -> Tensor:
    """A vector as a column that broadcasts along the rows of a tensor with `ndim` dims."""
    return ops.reshape(t, (-1,) + (1,) * (ndim - 1))


def _segment_gradient(
    g: Tensor, self: Tensor, marks: Tensor, reduce: str, axis: int, offsets: bool, initial: float | None,
    result: Tensor,
) -> Tensor:  # fmt: skip
    rest = tuple(self.shape[axis + 1 :])
    rows = ops.reshape(self, (math.prod(self.shape[: axis + 1]), *rest))
    segment, size, cell, table = _segments(marks, self.shape[axis], offsets)
    outside, chosen = _column(segment < 0, rows.ndim), ops.clamp(segment, 0)

    def of_segment(t: Tensor) -> Tensor:
        """For each row what its segment has."""
        return ops.where(outside, 0.0, ops.index_select(t, 0, chosen))

    g, result = (ops.reshape(t, (len(size), *rest)) for t in (g, result))
    if reduce == "mean":
        g = g / _column(ops.clamp(size, 1).to(g.dtype), g.ndim)
    elif reduce in ("max", "min"):
        most = of_segment(result)
        tied = ((rows == most) | ((rows != rows) & (most != most))) & ~outside
        shares = ops.index_add(ops.zeros_like(result), 0, chosen, tied.to(g.dtype))
        return ops.reshape(ops.where(tied, of_segment(g / ops.clamp(shares, 1)), 0.0), tuple(self.shape))
    if reduce != "prod":
        return ops.reshape(of_segment(g), tuple(self.shape))
    lines = ops.index_select(rows, 0, ops.reshape(ops.clamp(table, 0), (-1,)))
    lines = ops.reshape(lines, (*table.shape, *rest))
    mask = ops.reshape(table < 0, (*table.shape, *(1,) * len(rest)))
    others = ops.movedim(others_prod(ops.movedim(ops.where(mask, 1.0, lines), 1, -1)), -1, 1)
    others = ops.index_select(ops.reshape(others, (-1, *rest)), 0, cell)
    return ops.reshape(of_segment(g) * others * (1.0 if initial is None else initial), tuple(self.shape))


_segment_reduce.vjp(self=_segment_gradient)


@_segment_reduce.batch
def _segment_reduce_batch(
    level: Any, op: Op, self: Any, marks: Any, reduce: str, axis: int, *options: Any
) -> Any:
    """The batch is one more of the dims before the axis, which marks have as well."""
    return level.wrap(op(level.front(self), level.front(marks), reduce, axis + 1, *options))


@function(places="t", aliases=("torch._segment_reduce",))
def segment_reduce(
    data: Tensor,
    reduce: str,
    *,
    lengths: Tensor | None = None,
    indices: Tensor | None = None,
    offsets: Tensor | None = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The "sum", "mean", "max", "min" or "prod" of each run of neighbours along `axis`.

    `lengths` (..., S), or `offsets` (..., S + 1), say where the runs are; the dims before are those of
    `data` before `axis`. `initial` takes part in each run, and is the value of an empty one. Unless
    `unsafe`, lengths must sum to the size: RuntimeError. Elements tied for a maximum share its gradient.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0, 3.0])
    >>> torch.segment_reduce(x, "sum", lengths=torch.tensor([2, 0, 1]))
    tensor([3., 0., 3.])
    """
    axis = wrap_dim(axis, data.ndim)
    if indices is not None:
        raise RuntimeError("segment_reduce(): indices based reduction is not supported yet.")
    marks = lengths if offsets is None else offsets
    if marks is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    if reduce not in _UFUNC_AND_IDENTITY:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if data.ndim < marks.ndim:
        raise RuntimeError(
            f"Expected data.dim() >= {'lengths' if offsets is None else 'offsets'}_value.dim() to be true, "
            "but got false.  (Could this error message be improved?  If so, please report an "
            "enhancement request to PyTorch.)"
        )
    return _segment_reduce(data, marks, reduce, axis, offsets is not None, unsafe, initial, out=out)


# ---------------------------------------------------------------------------------------- refusals


def _check_segments(self: Array, marks: Array, axis: int, offsets: bool) -> None:
    """Refuses marks whose shape or dtype does not fit the data."""
    word = "offsets" if offsets else "lengths"
    if from_numpy_dtype(self.dtype).kind != "f":
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{type_name(self)}'")
    if marks.dtype.kind != "i":
        kind = type_name(marks)
        raise NotImplementedError(f"\"_segment_reduce_{word}_cpu_kernel1\" not implemented for '{kind}'")
    if axis != marks.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {word} but got {axis}."
        )
    if marks.shape[:-1] != self.shape[:axis]:
        raise RuntimeError(f"segment_reduce(): {word} and data must agree in the dims before the axis.")


def _check_sum_of_lengths(self: Array, lengths: Array, axis: int) -> None:
    """Refuses lengths that are negative or do not sum to the size."""
    if not lengths.size:
        raise RuntimeError(
            "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    if lengths.min() < 0:
        raise RuntimeError("lengths contains negative value!")
    if (np.add.reduce(lengths, -1) != self.shape[axis]).any():
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            "data.size(lengths.dim()-1) when !unsafe."
        )
