"""What is said where `torch.amp` is called by its older names, as `torch.cpu.amp` and `torch.cuda.amp`."""

from __future__ import annotations

import warnings

__all__ = ["deprecated"]


def deprecated(device: str, name: str) -> None:
    """Warns, as of the line that makes the object, that `torch.amp` has the name for every device."""
    warnings.warn(
        f"`torch.{device}.amp.{name}(args...)` is deprecated. "
        f"Please use `torch.amp.{name}('{device}', args...)` instead.",
        FutureWarning,
        stacklevel=3,
    )
