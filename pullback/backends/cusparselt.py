"""`torch.backends.cusparselt`: not there."""

from __future__ import annotations

from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["get_max_alg_id", "is_available", "version"]


def version() -> int | None:
    """The library's version: None."""
    return None


def get_max_alg_id() -> int | None:
    """The number of its algorithms: None."""
    return None


__getattr__ = getter(__name__)
