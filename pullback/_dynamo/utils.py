"""`torch._dynamo.utils`: what packages ask of PyTorch's compiler."""

from typing import Any

from pullback.face.absent import getter


def is_compile_supported(device_type: Any) -> bool:
    """Whether programs can be compiled for a device: False."""
    return False


__getattr__ = getter(__name__)
