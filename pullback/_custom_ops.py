"""`torch._custom_ops`: the first names of `torch.library`'s functions."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.library import custom_op, register_fake, register_kernel

__all__ = ["custom_op", "impl", "impl_abstract"]

impl_abstract = register_fake


def impl(qualname: str, *, device_types: Any = ("cpu", "cuda"), func: Any = None) -> Any:
    """Gives an op a function for devices."""
    return register_kernel(qualname, device_types, func)


__getattr__ = getter(__name__)
