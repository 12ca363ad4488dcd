"""`torch.backends.nnpack`: not there; its switch is accepted."""

from __future__ import annotations

from pullback.backends._switches import flags_of
from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["flags", "is_available", "set_flags"]

enabled = True

flags = flags_of(__name__, enabled=False)


def set_flags(_enabled: bool) -> tuple[bool]:
    """Sets the switch for good; returns what it was, in a tuple."""
    global enabled
    before, enabled = enabled, _enabled
    return (before,)


__getattr__ = getter(__name__)
