"""Plans of what sorts rows or picks elements of a rank, as kernels/order.h reads them."""

from __future__ import annotations

import math
from typing import Any

from pullback.core._plans import Plan, Spec
from pullback.kernels.order import RUNS
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.chains import merged

RANK, MEDIAN, NANMEDIAN = range(3)
"""What decides on the rank of an element: a number, or how many are no NaN."""

LONGEST = 1 << 32  # a row whose places fit into half a word


def order_plan(
    run: str,
    self: Spec,
    axis: int,
    results: Any,
    wanted: tuple[int, int],
    keepdim: bool = True,
    picks_places: bool = False,
) -> Plan:
    """The plan of a run along an axis of a tensor that has dims; `results` are values and indices, or one
    of them: the indices if the run `picks_places`.

    Results have the shape of `self` but for the axis, which is missing unless `keepdim`.
    """
    compiled = RUNS[run].get(self.dtype.name)
    made = results if type(results) is tuple else (results,)
    n = self.shape[axis]
    if compiled is None or not self.size or n >= LONGEST:
        return Plan(results)
    to = [step // made[0].itemsize for step in steps_of(made[0])]
    along = to.pop(axis) if keepdim else 0
    steps = steps_of(self)
    rows = [(self.shape[d], steps[d]) for d in range(self.ndim) if d != axis]
    dims = merged((*row, step) for row, step in zip(rows, to, strict=True))
    values, indices = (1, 2) if len(made) == 2 else (0, 1) if picks_places else (1, 0)
    flat = [number for dim in dims for number in dim]
    geometry = (n, steps[axis], values, indices, along, *wanted, len(dims), *flat)
    entry = 16 if self.dtype.itemsize == 8 else 8
    scratch = entry * n * (1 if run == "rank" else 2)
    return Plan(results, compiled, geometry, math.prod(size for size, *_ in dims), scratch)
