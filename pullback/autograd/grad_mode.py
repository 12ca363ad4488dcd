"""`torch.autograd.grad_mode`: the modes of `core/modes.py` by PyTorch's name of their module."""

from pullback.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from pullback.face.absent import getter

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

__getattr__ = getter(__name__)
