"""Plans of reductions: how a tensor lies in memory, as kernels/fold.h reads it."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype, int64
from pullback.kernels.reduce import COLUMNS, FEW, RUNS
from pullback.ops.shared.chains import Operand, Step, bits_of, merged

SHORT = 8
"""Elements of a run up to which several are reduced side by side: one for itself costs a call."""

LONG_SEARCH = 2048
"""Elements from which on NumPy finds the extremes along a few contiguous runs sooner than pick.h."""


def fold_plan(
    name: str,
    x: Spec,
    axes: tuple[int, ...] | None,
    keepdim: bool,
    result: dtype | None = None,
    parameter: float = 0.0,
    runs: bool = True,
    shape: tuple[int, ...] | None = None,
) -> Plan:
    """The plan of a reduction of `x` over `axes`, all if None: by the run for its dtype, if there is one.

    The result has the dtype of `x` unless another is given. `runs=False` leaves the work to the kernel.
    """
    axes = tuple(range(x.ndim)) if axes is None else axes
    spec = Spec(result or x.dtype, kept_shape(x.shape, axes, keepdim) if shape is None else shape)
    run = RUNS[name].get(x.dtype.name) if runs else None
    if run is None:
        return Plan(spec)
    return Plan(spec, run, *_geometry(x, axes, spec.dtype.itemsize, bits_of(parameter)))


def fold_step(name: str, x: Operand, axes: Collection[Hashable], item: int, parameter: float = 0.0) -> Step:
    """A reduction over some dims of an operand, into contiguous memory, as a step of a chain."""
    spec = Spec(x.dtype, tuple(x.sizes.values()), tuple(x.steps.values()))
    numbers = tuple([d for d, label in enumerate(x.sizes) if label in axes])
    geometry, parts = _geometry(spec, numbers, item, bits_of(parameter))
    return Step(RUNS[name][x.dtype.name], geometry, parts, 0, spec.size)


def pick_plan(name: str, x: Spec, axis: int | None, keepdim: bool, values: bool) -> Plan:
    """The plan of what picks an element, along an axis or of all: its index, or its value and its index."""
    shape = kept_shape(x.shape, range(x.ndim) if axis is None else (axis,), keepdim)
    indices, run = Spec(int64, shape), RUNS[name].get(x.dtype.name)
    results = (Spec(x.dtype, shape), indices) if values else indices
    if axis is None and x.contiguous:
        x, axis = Spec(x.dtype, (x.size,), (x.itemsize,)), 0
    if run is None or not x.ndim or axis is None:
        return Plan(results)
    geometry, parts = _geometry(x, (axis,), 1, int(values), whole=True)
    if x.size > LONG_SEARCH and parts < FEW and not geometry[2]:
        return Plan(results)
    return Plan(results, run, geometry, parts)


def kept_shape(shape: Sequence[int], axes: Collection[int], keepdim: bool) -> tuple[int, ...]:
    """The shape of a reduction's result."""
    return tuple([1 if d in axes else n for d, n in enumerate(shape) if keepdim or d not in axes])


def _geometry(
    x: Spec, axes: tuple[int, ...], item: int, extra: int, whole: bool = False
) -> tuple[tuple[int, ...], int]:
    """How `x` and a contiguous result of `item` bytes an element lie, and the number of parts of the work.

    `whole` keeps a reduced dim of one.
    """
    steps, step = [0] * x.ndim, item
    for d in reversed(range(x.ndim)):
        if d not in axes:
            steps[d], step = step, step * x.shape[d]
    strides = x.strides or ()
    order = sorted(range(x.ndim), key=lambda d: -abs(strides[d]))
    kept = merged((x.shape[d], strides[d], steps[d]) for d in order if d not in axes)
    dims = [(x.shape[d], strides[d]) for d in order if d in axes]
    reduced = dims if whole else merged(dims)
    faster = not reduced or (bool(kept) and abs(kept[-1][1]) < abs(reduced[-1][1]))
    short = not whole and len(reduced) == 1 and reduced[0][0] < SHORT
    column = bool(kept) and (faster or (short and kept[-1][0] >= SHORT))
    parts = math.prod(size for size, *_ in kept[: len(kept) - column])
    parts *= -(-kept[-1][0] // COLUMNS) if column else 1
    if not whole and parts < FEW:
        parts = min(parts, 1)  # the fold itself is cut
    flat = [n for dim in (*kept, *reduced) for n in dim]
    return (len(kept), len(reduced), int(column), extra, *flat), parts
