"""Plans of reductions: how a tensor lies in memory, as kernels/fold.h reads it."""

from __future__ import annotations

from collections.abc import Iterable

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype
from pullback.kernels.reduce import RUNS


def merged(dims: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Dims (size, step, ...) without those of one, and with neighbours that run on as one."""
    result: list[tuple[int, ...]] = []
    for size, *steps in dims:
        if size == 1:
            continue
        if result and all(before == step * size for before, step in zip(result[-1][1:], steps, strict=True)):
            result[-1] = (result[-1][0] * size, *steps)
        else:
            result.append((size, *steps))
    return result


def fold(name: str, x: Spec, axes: tuple[int, ...] | None, keepdim: bool, result: dtype) -> Plan:
    """The plan of a reduction of `x` over `axes`, all if None; with a run where there is one in its dtype."""
    rank = x.ndim
    axes = tuple(range(rank)) if axes is None else axes
    shape = tuple([1 if d in axes else n for d, n in enumerate(x.shape) if keepdim or d not in axes])
    spec = Spec(result, shape)
    run = RUNS[name].get(x.dtype.name) if result is x.dtype else None
    if run is None:
        return Plan(spec)
    steps, step = [0] * rank, result.itemsize
    for d in reversed(range(rank)):
        if d not in axes:
            steps[d], step = step, step * x.shape[d]
    order = sorted(range(rank), key=lambda d: -abs(x.strides[d]))
    kept = merged((x.shape[d], x.strides[d], steps[d]) for d in order if d not in axes)
    reduced = merged((x.shape[d], x.strides[d]) for d in order if d in axes)
    column = bool(kept) and (not reduced or abs(kept[-1][1]) < abs(reduced[-1][1]))
    parts = 1
    for size, *_ in kept[: len(kept) - column]:
        parts *= size
    geometry = (len(kept), len(reduced), int(column), *[n for dim in (*kept, *reduced) for n in dim])
    return Plan(spec, run, geometry, parts)
