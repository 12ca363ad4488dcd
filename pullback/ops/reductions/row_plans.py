"""Plans of work on rows: how operands lie in a frame, as kernels/rows.h reads it.

A frame is a shape in which every operand has strides; `Lying` is an operand with its strides there, zero for
the dims that it is repeated over. The rows lie along some of the frame's dims, and there is one for each
place in the others. Read `row_plan`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype, float32, float64
from pullback.kernels.rows import RUNS
from pullback.ops.reductions.plans import merged
from pullback.ops.shared.dims import view_strides

LANES = 16
"""Rows that a scan does side by side."""
PART = 8192
"""About how many numbers are one part of the work."""
CHUNK = 256
"""Columns that a body of column_bodies.h does at a time."""
LONG_COLUMNS = 1 << 15
"""Numbers from which on columns are cut into blocks."""
TURNED = 1 << 17
"""Numbers of a part whose rows lie across memory: they and the results stay in a cache."""


class Lying(NamedTuple):
    """An operand in a frame: its dtype and strides in bytes, the dims that are its own, and not repeated, and
    where it begins, from its first number.
    """

    dtype: dtype
    strides: tuple[int, ...]
    own: tuple[int, ...]
    start: int = 0
    shares: bool = False  # it is another part of the tensor before it


def strides_of(spec: Spec) -> tuple[int, ...]:
    """The strides of an operand or a result, in bytes."""
    if spec.strides is not None:
        return spec.strides
    strides, step = [], spec.dtype.itemsize
    for n in reversed(spec.shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def placed(spec: Spec, ndim: int, dims: Sequence[int] | None = None) -> Lying:
    """An operand whose dims are `dims` of a frame of `ndim`, or all of them; dims of one are repeated."""
    strides, own = [0] * ndim, []
    for d, n, step in zip(range(ndim) if dims is None else dims, spec.shape, strides_of(spec), strict=True):
        if n != 1:
            strides[d] = step
            own.append(d)
    return Lying(spec.dtype, tuple(strides), tuple(own))


def seen_as(spec: Spec | None, shape: tuple[int, ...]) -> Lying | None:
    """An operand in a frame of which `shape` is its part, without strides if it must be copied for that."""
    if spec is None:
        return None
    steps = view_strides(spec.shape, strides_of(spec), shape)
    if steps is None:
        return Lying(spec.dtype, (), ())
    return placed(Spec(spec.dtype, shape, tuple(steps)), len(shape))


def from_end(x: Lying, shape: tuple[int, ...], axis: int) -> Lying:
    """An operand seen from its end along a dim."""
    step = x.strides[axis]
    strides = tuple([-s if d == axis else s for d, s in enumerate(x.strides)])
    return Lying(x.dtype, strides, x.own, step * (shape[axis] - 1))


def scan_plan(
    name: str, results: Any, operands: Sequence[Lying], inputs: int, shape: tuple[int, ...], axis: int
) -> Plan:
    """The plan of a scan, whose run is for the dtype of the first operand and takes any strides.

    Half precisions are copied to floats, a block of rows at a time.
    """
    half = operands[0].dtype.kind == "f" and operands[0].dtype.itemsize == 2
    run = RUNS[name].get("float32" if half else operands[0].dtype.name)
    if run is None or not shape:
        return Plan(results)
    frame = Frame(shape, (axis,), operands, inputs, LANES, float32 if half else None)
    geometry = frame.geometry()
    return Plan(results, run, geometry, frame.parts, frame.scratch)


class Frame:
    """How the operands of some rows lie: the geometry of kernels/rows.h.

    `real` is the type that a body computes in, or None if it takes its operands as they are; `block` the
    number of rows that it is given at a time, at most. All rows along the dims `across` are given at once.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        axes: Iterable[int],
        operands: Sequence[Lying | None],
        inputs: int,
        block: int = 0,
        real: dtype | None = None,
        parameters: Sequence[float] = (),
        across: Sequence[int] = (),
    ) -> None:
        self.operands, self.inputs, self.real, self.parameters = operands, inputs, real, parameters
        self.along = along = tuple(axes)
        steps = [x.strides if x is not None else (0,) * len(shape) for x in operands]
        dims = [(n, *(s[d] for s in steps)) for d, n in enumerate(shape)]
        order = sorted(range(len(shape)), key=lambda d: -abs(dims[d][1]))
        self.column = merged(dims[d] for d in order if d in across)
        self.kept = merged(dims[d] for d in order if d not in along and d not in across) + self.column
        self.runs = merged(dims[d] for d in along)
        none = (1, *(0 for _ in operands))
        self.kept = self.kept or [none]
        self.apart, self.step = [*(none, none), *self.runs][-2:]
        if across:
            block = self.kept[-1][0]
        elif real is not None:
            block = min(block, self._block()) if block else self._block()
        self.block = max(1, min(block, self.kept[-1][0]))

    @property
    def fits(self) -> bool:
        """Whether a row is no more than some runs of numbers a step from one another."""
        return len(self.runs) <= 2

    @property
    def length(self) -> int:
        """The numbers of a row."""
        return self.apart[0] * self.step[0]

    @property
    def parts(self) -> int:
        return math.prod(n for n, *_ in self.kept[:-1]) * -(-self.kept[-1][0] // self.block)

    def expanded(self, k: int) -> bool:
        """Whether an operand has dims along the row in which all of its numbers are one."""
        x = self.operands[k]
        return x is not None and any(d in self.along and not x.strides[d] for d in x.own)

    def copied(self, k: int) -> bool:
        """Whether an operand must be copied to lie as a body wants it."""
        x, step = self.operands[k], self.step[1 + k]
        if x is None or self.real is None or x.dtype.kind != "f":
            return False
        return x.dtype is not self.real or step not in (0, x.dtype.itemsize) or self.expanded(k)

    def _block(self) -> int:
        """How many rows are one part of the work; where they are turned, so many as some cache lines hold."""
        slots = range(len(self.operands))
        turned = any(self.copied(k) and abs(self.kept[-1][1 + k]) < abs(self.step[1 + k]) for k in slots)
        length = max(self.length, 1)
        return max(PART // length, min(max(TURNED // length, LANES), 4 * LANES) if turned else 1)

    def scratch_of(self, k: int) -> tuple[int, int, int]:
        """The runs and the numbers of a run of a copied operand, and the bytes for a block of its rows."""
        whole = self.expanded(k)
        runs = self.apart[0] if self.apart[1 + k] or whole else 1
        span = self.step[0] if self.step[1 + k] or whole else 1
        pitch = runs * span + 16 if runs * span > 1 else 1
        return runs, span, -(-self.block * pitch * 8 // 64) * 64

    def geometry(self) -> tuple[int, ...]:
        slots, self.scratch, place = [], 0, -1
        for k, x in enumerate(self.operands):
            if x is None:
                slots += [-1, 0, 0, 0, 0, 0, 0, 0]
                continue
            copied, place = self.copied(k), place + (not x.shares)
            runs, span, size = self.scratch_of(k)
            slots += [place, x.start, self.apart[1 + k], self.step[1 + k], x.dtype.code if copied else 0]
            slots += [self.scratch, runs, span]
            self.scratch += size if copied else 0
        bits = [struct.unpack("q", struct.pack("d", x))[0] for x in self.parameters]
        head = [
            len(self.operands),
            self.inputs,
            len(self.kept),
            self.apart[0],
            self.step[0],
            self.block,
            len(bits),
        ]
        return (*head, *bits, *slots, *(n for dim in self.kept for n in dim))


def row_plan(
    name: str,
    results: Any,
    operands: Sequence[Lying | None],
    inputs: int,
    shape: tuple[int, ...],
    axes: Iterable[int],
    parameters: Sequence[float] = (),
    columns: bool = False,
) -> Plan:
    """The plan of work on rows along `axes` of a frame, by the run that computes in float32 or float64.

    The first `inputs` operands are the op's arguments in their order, None for what is left out; the others
    are its results. Half precisions are computed in float32. Without a run for them all, or if rows are more
    than runs of numbers, the work is left to the kernel. `columns` says that there is a body for rows that
    lie across memory.
    """
    axes = tuple(axes)
    across = columns_plan(name, results, operands, inputs, shape, axes, parameters) if columns else None
    if across is not None:
        return across
    real = real_of(operands, len(shape))
    if real is None:
        return Plan(results)
    frame = Frame(shape, axes, operands, inputs, real=real, parameters=parameters)
    if not frame.fits:
        return Plan(results)
    geometry = frame.geometry()
    return Plan(results, RUNS[name][real.name], geometry, frame.parts, frame.scratch)


def spread(spec: Spec, shape: tuple[int, ...]) -> Lying:
    """An operand broadcast to a frame, of which all dims are its own."""
    strides = placed(spec, len(shape), range(len(shape) - spec.ndim, len(shape))).strides
    return Lying(spec.dtype, strides, tuple(range(len(shape))))


def elementwise_plan(
    name: str,
    results: Any,
    operands: Sequence[Lying | None],
    inputs: int,
    shape: tuple[int, ...],
    parameters: Sequence[float] = (),
    whole: bool = False,
) -> Plan:
    """The plan of work on each number by itself: rows as long as operands allow, or as a part of the work.

    With `whole` all numbers are one row, since they are summed.
    """
    steps = [x.strides if x is not None else (0,) * len(shape) for x in operands]
    if any(len(s) != len(shape) for s in steps):
        return Plan(results)
    dims = merged((n, *(s[d] for s in steps)) for d, n in enumerate(shape)) or [(1, *(0 for _ in steps))]
    size = dims[-1][0]
    row = next((n for n in range(PART, PART // 16, -1) if size % n == 0), size)
    if size > PART and row < size and not whole:
        dims[-1:] = [(size // row, *(row * step for step in dims[-1][1:])), (row, *dims[-1][1:])]
    lying = [
        None
        if x is None
        else Lying(x.dtype, tuple([dim[1 + k] for dim in dims]), _merged_own(x, dims), x.start, x.shares)
        for k, x in enumerate(operands)
    ]
    axes = range(len(dims)) if whole else (len(dims) - 1,)
    return row_plan(name, results, lying, inputs, tuple([n for n, *_ in dims]), axes, parameters)


def _merged_own(x: Lying, dims: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The merged dims that are an operand's own: all, or none."""
    return tuple(range(len(dims))) if x.own else ()


def columns_plan(
    name: str,
    results: Any,
    operands: Sequence[Lying | None],
    inputs: int,
    shape: tuple[int, ...],
    axes: Sequence[int],
    parameters: Sequence[float] = (),
) -> Plan | None:
    """The plan of work on what lies across memory, by a body of column_bodies.h; None if it does not.

    The rows are then the dims that are faster than `axes`; they and the axes must run on as one.
    """
    real = real_of(operands, len(shape))
    first = operands[0]
    across = [d for d in axes if shape[d] > 1]
    if real is None or first is None or not across:
        return None
    least = min(abs(first.strides[d]) for d in across)
    inner = [d for d in range(len(shape)) if d not in axes and abs(first.strides[d]) < least]
    plain = len(inner) == 1 and all(len(x.strides) == len(shape) for x in operands if x is not None)
    width = _width(shape[inner[0]]) if plain and math.prod(shape) >= LONG_COLUMNS else 0
    if width:  # blocks of columns are parts of the work
        operands = [x and _in_blocks(x, inner[0], width) for x in operands]
        across = [d + (d > inner[0]) for d in across]
        shape = (*shape[: inner[0]], shape[inner[0]] // width, width, *shape[inner[0] + 1 :])
        inner = [inner[0] + 1]
    frame = Frame(shape, inner, operands, inputs, 0, real, parameters, across)
    copied = any(map(frame.copied, range(len(operands))))
    if copied or len(frame.column) != 1 or len(frame.runs) != 1 or frame.length < LANES // 2:
        return None
    return Plan(results, RUNS[f"column_{name}"][real.name], frame.geometry(), frame.parts)


def _width(n: int) -> int:
    """The columns of a block of n: a divisor that fills lines of a cache; 0 if there is none."""
    return next((w for w in range(CHUNK, 63, -LANES) if n % w == 0 and n > w), 0)


def _in_blocks(x: Lying, d: int, width: int) -> Lying:
    """An operand in a frame with a dim for blocks of a dim, before that dim."""
    strides = (*x.strides[:d], x.strides[d] * width, *x.strides[d:])
    own = [k + (k > d) for k in x.own] + [d + 1 for k in x.own if k == d]
    return Lying(x.dtype, strides, tuple(sorted(own)), x.start, x.shares)


def real_of(operands: Sequence[Lying | None], ndim: int) -> dtype | None:
    """The type that operands in a frame of `ndim` dims are computed in; None if there is no body for them."""
    given = [x for x in operands if x is not None]
    if any(len(x.strides) != ndim for x in given):
        return None
    dtypes = {x.dtype for x in given}
    real = float64 if float64 in dtypes else float32
    plain = all(x is real or (x.kind == "f" and x.itemsize == 2 and real is float32) for x in dtypes)
    return real if plain else None
