"""Reductions of segments: runs of neighbours along a dim, by their lengths or their bounds.

The data are seen as flat rows: what stands before the dim, and the dim itself, are one.
`_segment_bounds` gives the first row of each segment and the one behind its last, `_segments` the segment
of each row, -1 outside of all. The reductions and their gradients are loops in `kernels/segments.h`; where
gradients are to be differentiated they are made of picks by the latter, to any order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, grad_enabled, levels
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import float64, int32, int64
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels import segments
from pullback.kernels.steps import call
from pullback.ops.reductions.reduce import others_prod
from pullback.ops.shared.chains import Chain, Step, words_of
from pullback.ops.shared.dims import wrap_dim

_HOW = ("sum", "mean", "max", "min", "prod")
"""What is done to segments, in the order of segments.h."""


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
    result = np.empty(_reduced_shape(self, marks, axis, offsets), self.dtype)
    return _computed(
        "segment_reduce", (self, marks), marks, result, self, reduce, axis, offsets, unsafe, initial
    )


@_segment_reduce.prepare
def _plan_segment_reduce(
    self: Spec, marks: Spec, reduce: str, axis: int, offsets: bool, unsafe: bool, initial: float | None
) -> Plan:
    _check_segments(self, marks, axis, offsets, unsafe)
    result = Spec(self.dtype, _reduced_shape(self, marks, axis, offsets))
    return _planned(
        "segment_reduce", (self, marks), marks, result, self, reduce, axis, offsets, unsafe, initial
    )


@op(name="segment_slope", places="", nondiff=True)
def _segment_slope(
    g: Array, self: Array, marks: Array, result: Array, reduce: str, axis: int, offsets: bool,
    initial: float | None,
) -> Array:  # fmt: skip
    """The gradient of the data from that of the reduced segments."""
    inputs = (g, self, marks, result)
    slope = np.empty(self.shape, self.dtype)
    return _computed("segment_slope", inputs, marks, slope, self, reduce, axis, offsets, True, initial)


@_segment_slope.prepare
def _plan_segment_slope(
    g: Spec, self: Spec, marks: Spec, result: Spec, reduce: str, axis: int, offsets: bool,
    initial: float | None,
) -> Plan:  # fmt: skip
    inputs, slope = (g, self, marks, result), Spec(self.dtype, self.shape)
    return _planned("segment_slope", inputs, marks, slope, self, reduce, axis, offsets, True, initial)


def _reduced_shape(self: Array | Spec, marks: Array | Spec, axis: int, offsets: bool) -> tuple[int, ...]:
    return (*self.shape[:axis], marks.shape[-1] - offsets, *self.shape[axis + 1 :])


def _geometry(
    self: Array | Spec, marks: Array | Spec, reduce: str, axis: int, offsets: bool, unsafe: bool,
    initial: float | None,
) -> tuple[int, ...]:  # fmt: skip
    """What segments.h calls a pb_segments."""
    inner = math.prod(self.shape[axis + 1 :])
    lines, segments = math.prod(self.shape[:axis]), marks.shape[-1] - offsets
    start, *_ = words_of(0.0 if initial is None else initial, float64)
    head = (lines, self.shape[axis], inner, segments, _HOW.index(reduce), int(offsets))
    return (*head, marks.dtype.itemsize, int(not unsafe), int(initial is not None), start)


def _computed(
    name: str, inputs: tuple[Array, ...], marks: Array, result: Array, self: Array, *options: Any
) -> Array:
    """A run on arrays."""
    plain = [np.ascontiguousarray(a) for a in inputs]
    run, scratch = segments.RUNS[name][self.dtype.name], self.nbytes
    status = call(run, _geometry(self, marks, *options), (*plain, result), 1, scratch)
    if status:
        raise RuntimeError(_WRONG_MARKS[status])
    return result


def _planned(
    name: str, inputs: tuple[Spec, ...], marks: Spec, result: Spec, self: Spec, *options: Any
) -> Plan:
    """The plan of the same."""
    chain, geometry = Chain(len(inputs), result), _geometry(self, marks, *options)
    places = [chain.floats(number, spec) for number, spec in enumerate(inputs)]
    runs, scratch = segments.RUNS[name], 8 * geometry[2]
    chain.add_floats(lambda kind: Step(runs[kind.name], geometry, 1, scratch), *places)
    return chain.plan(lambda status, *_: RuntimeError(_WRONG_MARKS[status]))


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


def _segment_vjp(
    g: Tensor, self: Tensor, marks: Tensor, reduce: str, axis: int, offsets: bool, initial: float | None,
    result: Tensor,
) -> Tensor:  # fmt: skip
    if not grad_enabled() and not levels():
        return _segment_slope(g, self, marks, result, reduce, axis, offsets, initial)
    return _segment_gradient(g, self, marks, reduce, axis, offsets, initial, result)


_segment_reduce.vjp(self=_segment_vjp)


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
    if reduce not in _HOW:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    if data.ndim < marks.ndim:
        raise RuntimeError(
            f"Expected data.dim() >= {'lengths' if offsets is None else 'offsets'}_value.dim() to be true, "
            "but got false.  (Could this error message be improved?  If so, please report an "
            "enhancement request to PyTorch.)"
        )
    return _segment_reduce(data, marks, reduce, axis, offsets is not None, unsafe, initial, out=out)


# ---------------------------------------------------------------------------------------- refusals


def _check_segments(self: Spec, marks: Spec, axis: int, offsets: bool, unsafe: bool) -> None:
    """Refuses marks whose shape or dtype does not fit the data."""
    word = "offsets" if offsets else "lengths"
    if self.dtype.kind != "f":
        raise NotImplementedError(f"\"_segment_reduce_cpu\" not implemented for '{self.dtype.type_name}'")
    if marks.dtype not in (int32, int64):
        kind = marks.dtype.type_name
        raise NotImplementedError(f"\"_segment_reduce_{word}_cpu_kernel1\" not implemented for '{kind}'")
    if axis != marks.ndim - 1:
        raise RuntimeError(
            f"segment_reduce(): Expected axis to be the last dimension of {word} but got {axis}."
        )
    if marks.shape[:-1] != self.shape[:axis]:
        raise RuntimeError(f"segment_reduce(): {word} and data must agree in the dims before the axis.")
    if offsets and not marks.shape[-1]:
        shape = [*self.shape[:axis], -1, *self.shape[axis + 1 :]]
        raise RuntimeError(f"Trying to create tensor with negative dimension -1: {shape}")
    if not marks.size and not offsets and not unsafe:
        raise RuntimeError(
            "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )


_WRONG_MARKS = {
    1: "lengths contains negative value!",
    2: (
        "segment_reduce(): Expected all rows of lengths along axis to sum to "
        "data.size(lengths.dim()-1) when !unsafe."
    ),
    3: (
        "Expected segment_length >= 0 to be true, but got false.  (Could this error message be improved?  "
        "If so, please report an enhancement request to PyTorch.)"
    ),
    4: "segment_reduce(): Expected all segments to lie within the data.",
}
"""What is wrong with marks, by the status of a run."""
