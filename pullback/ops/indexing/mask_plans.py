"""Plans of what reads or writes where a mask is true, as kernels/mask.h reads them."""

from __future__ import annotations

import math
from collections.abc import Callable

from pullback.core._plans import Plan, Spec
from pullback.core.types import Number, Size
from pullback.kernels.moves import RUNS
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.chains import merged
from pullback.ops.shared.pieces import pattern_of


def broadcast_steps(spec: Spec, shape: Size) -> Size:
    """The steps of a tensor in a shape that it broadcasts to."""
    steps = [0 if n == 1 else step for n, step in zip(spec.shape, steps_of(spec), strict=True)]
    return (0,) * (len(shape) - spec.ndim) + tuple(steps)


def fill_plan(self: Spec, mask: Spec, value: int, number: Number) -> Plan:
    """A number, or the element of the input `value` if that is not -1, where the mask is true."""
    result = Spec(self.dtype, self.shape)
    dims = merged(zip(self.shape, broadcast_steps(mask, self.shape), steps_of(self), strict=True))
    dims = dims or [(1, 0, 0)]
    inputs = 2 if value < 0 else 3
    flat = [number for dim in dims for number in dim]
    geometry = (0, 1, value, inputs, *pattern_of(number, self.dtype), 1, 1, len(dims), *flat)
    return Plan(result, RUNS["mask_fill"][self.dtype.itemsize], geometry, dims[0][0], over=True)


def put_plan(
    result: Spec, begins: Spec | None, mask: Spec, leading: int, source: Spec, places: Size,
    refuse: Callable[..., Exception],
) -> Plan:  # fmt: skip
    """Rows of `source` put where the mask is true into zeros, or into what the result `begins` as.

    A row belongs to a place in the `leading` dims of the result, to which the mask broadcasts. `places` are
    the numbers of the inputs: of what it begins as, the mask and the source.
    """
    shape, row = result.shape[:leading], math.prod(result.shape[leading:])
    given = (0,) * len(shape) if begins is None else steps_of(begins)[: len(shape)]
    rows_run_on = begins is None or row == 1 or begins.contiguous
    if not (source.contiguous and rows_run_on and result.size):
        return Plan(result)
    dims = merged(zip(shape, broadcast_steps(mask, shape), given, strict=True)) or [(1, 0, 0)]
    flat = [number for dim in dims for number in dim]
    inputs = 2 if begins is None else 3
    geometry = (*places, inputs, 0, 0, row, source.size, len(dims), *flat)
    return Plan(result, RUNS["mask_put"][result.dtype.itemsize], geometry, 1, 0, refuse, begins is not None)
