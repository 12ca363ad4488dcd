"""How a loss is reduced: names, numbers, and the two older parameters that said so."""

from __future__ import annotations

import warnings

from pullback import ops


def get_enum(reduction: str) -> int:
    """The number of a reduction; ValueError for another name."""
    return int(ops.reduction_of(reduction))


def legacy_get_string(size_average: bool | None, reduce: bool | None, emit_warning: bool = True) -> str:
    """The reduction that the two older parameters mean."""
    name = "none" if reduce is False else "sum" if size_average is False else "mean"
    if emit_warning:
        warnings.warn(
            f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.",
            stacklevel=3,
        )
    return name


def legacy_get_enum(size_average: bool | None, reduce: bool | None, emit_warning: bool = True) -> int:
    """The number of the reduction that the two older parameters mean."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
