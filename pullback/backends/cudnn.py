"""`torch.backends.cudnn`: not there; its switches are accepted."""

from __future__ import annotations

from typing import Any

from pullback.backends._switches import flags_of
from pullback.face.absent import getter

__all__ = ["flags", "is_acceptable", "is_available", "version"]

enabled = True
deterministic = False
benchmark = False
benchmark_limit: int | None = None
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """Whether the library is there: False."""
    return False


def version() -> int | None:
    """The library's version: None."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether the library takes a tensor: False."""
    return False


flags = flags_of(
    __name__, enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True,
    fp32_precision="none",
)  # fmt: skip


def set_flags(**switches: Any) -> None:
    """Sets switches of the library for good."""
    globals().update({name: value for name, value in switches.items() if value is not None})


__getattr__ = getter(__name__)
