"""Plans of ops that read or write elements at indices, as kernels/at.h reads them.

Such an op goes over some dims: (size, step in the addressed memory, step in the other, step in each index
tensor), steps in bytes. What the addressed memory is follows from the run: "take" copies from there to the
result, "put" copies to there, and "at_sum" and its kin reduce into it, after it was made what it begins as.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import complex32, int32, int64
from pullback.core.strides import contiguous_strides, preserved_strides
from pullback.core.types import Number
from pullback.kernels.moves import RUNS
from pullback.ops.shared.chains import merged
from pullback.ops.shared.pieces import outline_of, pattern_of

LARGE = 1 << 15
"""Elements from which on the work is cut into parts."""

MOST_INDICES = 8

FROM_END, MODULO = 1, 2

NOT_AN_INDEX = -(1 << 62)

Refusal = Callable[..., Exception]


def steps_of(spec: Spec) -> tuple[int, ...]:
    """The strides in bytes."""
    if spec.strides is not None:
        return spec.strides
    return tuple([step * spec.dtype.itemsize for step in contiguous_strides(spec.shape)])


def laid_as(spec: Spec, item: int = 0) -> tuple[int, ...]:
    """The strides in bytes of a copy, of elements of `item` bytes, that lies in memory as the tensor does."""
    item = item or spec.dtype.itemsize
    return tuple([step * item for step in preserved_strides(outline_of(spec))])


def plan_at(
    run: str,
    result: Spec,
    dims: Sequence[tuple[int, ...]],
    indices: Sequence[tuple[Spec, int, int]],
    refuse: Refusal | None,
    *,
    begins: int = -1,
    base: Spec | None = None,
    other: int = -1,
    first: int = 1,
    inputs: int,
    cut: tuple[int, int] | None = None,
    wraps: int = 0,
    skipped: int = NOT_AN_INDEX,
    value: Number = 0,
    included: bool = True,
) -> Plan:
    """The plan of a run over `dims`, with index tensors (spec, size and step in bytes of what each counts).

    `begins`, `other` and `first` are the numbers of inputs: of what the result begins as, `base` (for "take",
    of what is addressed), of the other memory, and of the first index; without `other`, `value` is put.
    `wraps` is FROM_END if negative indices count from the end, MODULO if all others do so again and again.
    `cut` names a dim of the result, and its place in `dims`, along which the work may be cut: what indices
    point to never mixes different places along it.
    """
    kind = result.dtype
    compiled = _run_for(run, kind)
    widths = {spec.dtype.itemsize for spec, *_ in indices if spec.dtype in (int32, int64)}
    if compiled is None or len(indices) > MOST_INDICES or len(widths) != 1:
        return Plan(result)
    if not result.size or any(not size for size, *_ in dims):
        return Plan(result)
    takes, counts_elements = run == "take", run not in ("take", "put")
    if counts_elements and not result.contiguous:
        return Plan(result)
    own: list[tuple[int, ...]] = []
    if not takes:
        to = contiguous_strides(result.shape) if counts_elements else steps_of(result)
        given = (0,) * len(to) if base is None else steps_of(base)
        own.extend(zip(result.shape, given, to, strict=True))
    cut_result = cut_dims = -1
    if kind.is_complex and counts_elements:  # sums of pairs of reals
        half = kind.itemsize // 2
        own = [*((size, step, 2 * out) for size, step, out in own), (2, half, 1)]
        dims = [*dims, (2, half, half, *(0,) * len(indices))]
    if cut is not None and result.size >= LARGE and result.shape[cut[0]] > 1:
        own, cut_result = _merged_around(own, cut[0]) if own else (own, -1)
        dims, cut_dims = _merged_around(dims, cut[1])
    else:
        own, dims = merged(own), merged(dims)
    tail = 0
    while tail < len(dims) and not any(dims[-1 - tail][3:]):
        tail += 1
    parts = 1 if cut_dims < 0 else dims[cut_dims][0] if takes else own[cut_result][0]
    geometry = [len(indices), *widths, wraps, skipped, begins, inputs if takes else other]
    geometry += [first, inputs, *pattern_of(value, kind), len(own), len(dims), tail, cut_result, cut_dims]
    for _, size, step in indices:
        geometry += size, step
    for dim in (*own, *dims):
        geometry += dim
    elements = math.prod(size for size, *_ in own)
    geometry += elements, int(included)
    return Plan(
        result, compiled, tuple(geometry), parts, _scratch(run, kind, elements), refuse, base is not None
    )


def _run_for(run: str, kind: Any) -> Any:
    if run in ("take", "put"):
        return RUNS[run][kind.itemsize]
    if run == "at_sum" and kind is not complex32:
        real = kind.to_real().name
        return RUNS[run].get(real.removeprefix("u") if real != "uint8" else real)
    return RUNS[run].get(kind.name)


def _scratch(run: str, kind: Any, elements: int) -> int:
    """The bytes for the sums of half precisions in floats, and for the counts of means."""
    floats = (elements + 1) // 2 * 8 if kind.kind == "f" and kind.itemsize == 2 else 0
    return floats + 8 * elements * (run == "at_mean")


def work_steps(result: Spec) -> tuple[int, ...]:
    """The steps in the memory where a result is reduced into."""
    item = 4 if result.dtype.kind == "f" and result.dtype.itemsize == 2 else result.dtype.itemsize
    return tuple([step * item for step in contiguous_strides(result.shape)])


def _merged_around(dims: Sequence[tuple[int, ...]], cut: int) -> tuple[list[tuple[int, ...]], int]:
    """Dims merged but for one, and where that is then."""
    before = merged(dims[:cut])
    return [*before, tuple(dims[cut]), *merged(dims[cut + 1 :])], len(before)
