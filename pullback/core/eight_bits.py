"""Floats of eight bits: how float32 is rounded to them, as PyTorch does it.

ml_dtypes has the types and rounds to nearest, ties to even. PyTorch differs where a number does not fit:
float8_e4m3fn saturates, NaN has all bits set but the sign's, and float8_e8m0fnu, which has neither sign nor
zero, takes the size of a number, and its least one for zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.types import Array


def narrowed(a: Array, kind: np.dtype[Any]) -> Array:
    """An array in one of the types: of float32, or of what is rounded to it first."""
    a = a.astype(np.float32, copy=False)
    with np.errstate(all="ignore"):
        if kind.name == "float8_e8m0fnu":
            made = np.asarray(np.abs(a)).astype(kind)
            np.copyto(made.view(np.uint8), 0, where=a == 0)
            return made
        if kind.name == "float8_e4m3fn":
            a = np.clip(a, -448, 448)
        made = np.asarray(a).astype(kind)
    if not kind.name.endswith("uz"):
        lost = np.where(np.signbit(a), np.uint8(0xFF), np.uint8(0x7F))
        np.copyto(made.view(np.uint8), lost, where=np.isnan(a))
    return made
