"""`torch.backends.mha`: whether attention may take a way of its own when nothing is trained."""

from __future__ import annotations

from pullback.face.absent import getter

_is_fastpath_enabled = True


def get_fastpath_enabled() -> bool:
    """What was set; True at first."""
    return _is_fastpath_enabled


def set_fastpath_enabled(value: bool) -> None:
    """Kept, and without effect."""
    global _is_fastpath_enabled
    _is_fastpath_enabled = value


__getattr__ = getter(__name__)
