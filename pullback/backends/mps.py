"""`torch.backends.mps`: not there."""

from __future__ import annotations

from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["is_available", "is_built", "is_macos13_or_newer", "is_macos_or_newer"]


def is_built() -> bool:
    """Whether this is a build for MPS: False."""
    return False


def is_macos13_or_newer(minor: int = 0) -> bool:
    """Whether MPS could run here: False."""
    return False


def is_macos_or_newer(major: int, minor: int) -> bool:
    """Whether this is that version of macOS with MPS: False."""
    return False


__getattr__ = getter(__name__)
