"""Tensors sent from one device to others. There is one device, so nothing can be sent."""

from __future__ import annotations

from typing import Any, NoReturn

from pullback.core.dtypes import device as Device
from pullback.face.absent import getter
from pullback.face.accelerators import refusals


def refuse(device: Any) -> NoReturn:
    """Refuses a device: a name for the CPU, or the number of an accelerator."""
    if isinstance(device, str | Device):
        raise ValueError(f"Expected a non cpu device, but got: {Device(device).type}")
    raise AssertionError("Torch not compiled with CUDA enabled")


globals().update(
    refusals(
        "broadcast broadcast_coalesced gather reduce_add reduce_add_coalesced scatter",
        AssertionError,
        "Torch not compiled with CUDA enabled",
    )
)

__getattr__ = getter(__name__)
