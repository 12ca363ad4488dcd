"""`torch.backends.mkldnn`: not there; its switches are accepted."""

from __future__ import annotations

from typing import Any

from pullback.backends._switches import flags_of
from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["flags", "is_available"]

enabled = True
deterministic = False
allow_tf32 = True
fp32_precision = "none"

flags = flags_of(__name__, enabled=False, deterministic=False, allow_tf32=True, fp32_precision="none")


def set_flags(**switches: Any) -> None:
    """Sets switches of the library for good."""
    globals().update({name: value for name, value in switches.items() if value is not None})


__getattr__ = getter(__name__)
