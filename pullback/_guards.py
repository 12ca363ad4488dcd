"""`torch._guards`: whether tensors without numbers are being made by a mode. There is none."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter

__all__ = ["active_fake_mode", "detect_fake_mode"]


def active_fake_mode() -> Any:
    """The `FakeTensorMode` that is on: None, what has no numbers is on the device "meta"."""
    return None


def detect_fake_mode(inputs: Any = None) -> Any:
    """The mode that made tensors: None."""
    return None


__getattr__ = getter(__name__)
