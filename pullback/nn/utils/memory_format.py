"""The layout of convolutions' weights in memory, as `torch.nn.utils.memory_format`."""

from __future__ import annotations

from typing import Any, TypeVar

from pullback.face.absent import getter
from pullback.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from pullback.nn.modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

M = TypeVar("M", bound=Module)


def _converted(module: M, memory_format: Any, kinds: tuple[type, ...]) -> M:
    for part in module.modules():
        if isinstance(part, kinds):
            weight: Any = part.weight
            weight.data = weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Lays the weights of all Conv2d and ConvTranspose2d of a module out anew; returns the module."""
    return _converted(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Lays the weights of all Conv3d and ConvTranspose3d of a module out anew; returns the module."""
    return _converted(module, memory_format, (Conv3d, ConvTranspose3d))


__getattr__ = getter(__name__)
