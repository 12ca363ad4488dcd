"""Channels that become pixels, and back, as `torch.nn.modules.pixelshuffle`."""

from __future__ import annotations

from pullback.face.absent import getter
from pullback.nn.modules._declared import Layer

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Layer, of="pixel_shuffle"):
    """(..., C r**2, H, W) to (..., C, H r, W r): r**2 channels fill each pixel with r * r.

    >>> import pullback as torch
    >>> torch.nn.PixelShuffle(3)(torch.randn(1, 9, 4, 4)).shape
    torch.Size([1, 1, 12, 12])
    """

    upscale_factor: int


class PixelUnshuffle(Layer, of="pixel_unshuffle"):
    """(..., C, H r, W r) to (..., C r**2, H, W): the inverse of PixelShuffle."""

    downscale_factor: int


__getattr__ = getter(__name__)
