"""`torch.fx._compatibility`: marks of what stays as it is between versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.face.absent import getter


def compatibility(is_backward_compatible: bool) -> Callable[[Any], Any]:
    """A decorator that returns its function."""
    return lambda fn: fn


__getattr__ = getter(__name__)
