"""`make_tensor`: random numbers to test with, PyTorch's for the same seed."""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import finfo, iinfo, memory_format

RANGES = {"f": (-9, 9), "c": (-9, 9), "i": (-9, 10), "u": (0, 10), "b": (0, 2)}
"""Where numbers are drawn from without limits, by the kind of the dtype."""


def make_tensor(
    *shape: Any,
    dtype: Dtype,
    device: str | Device,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Numbers drawn evenly from [low, high), by default [-9, 9), integers [-9, 10), booleans both.

    `noncontiguous` leaves a gap after each element, `exclude_zero` replaces zeros by the smallest number.

    >>> import pullback as torch
    >>> torch.testing.make_tensor(3, dtype=torch.int64, device="cpu", low=5, high=6)
    tensor([5, 5, 5])
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    if requires_grad and dtype.kind not in "fc":
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got dtype={dtype}"
        )
    begin, end = _limits(dtype, low, high)
    gaps = noncontiguous and math.prod(sizes) > 1
    drawn_sizes = (*sizes[:-1], 2 * sizes[-1]) if gaps else sizes
    if dtype.kind in "fc":
        made = ops.empty(drawn_sizes, dtype=dtype, device=device)
        (ops.view_as_real(made) if dtype.is_complex else made).uniform_(begin, end)
    else:
        made = ops.randint(int(begin), int(end), drawn_sizes, dtype=dtype, device=device)
    if gaps:
        made = made[..., 1::2]
    elif memory_format is not None:
        made = made.clone(memory_format=memory_format)
    if exclude_zero:
        smallest = finfo(dtype).tiny if dtype.kind in "fc" else 1
        made[made == 0] = smallest
    return made.requires_grad_() if requires_grad else made


def _limits(dtype: Dtype, low: float | None, high: float | None) -> tuple[float, float]:
    """Where the numbers are drawn from: the limits within those of the dtype, or ValueError."""
    usual = RANGES[dtype.kind]
    begin: float = usual[0] if low is None else low
    end: float = usual[1] if high is None else high
    if math.isnan(begin) or math.isnan(end):
        raise ValueError(f"`low` and `high` cannot be NaN, but got low={begin} and high={end}")
    if dtype.kind in "fc":
        info = finfo(dtype)
        least: float = info.min
        most: float = info.max
    elif dtype.kind == "b":
        least, most = 0, 2
    else:
        limits = iinfo(dtype)
        least, most = limits.min, limits.max + 1
    if begin > end or (begin == end and dtype.kind not in "fc"):
        raise ValueError(f"`low` must be less than `high`, but got {begin} >= {end}")
    if begin > most or end < least or (begin >= most and dtype.kind not in "fc"):
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{begin}, {end}), but {dtype} only "
            f"supports [{least}, {most})"
        )
    begin, end = max(begin, least), min(end, most)
    return (begin, end) if dtype.kind in "fc" else (math.ceil(begin), math.ceil(end))


__all__ = ["make_tensor"]
