"""`torch.backends.opt_einsum`: which order `einsum` takes products in is its own business."""

from __future__ import annotations

from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["is_available"]

enabled = False
strategy: str | None = None

__getattr__ = getter(__name__)
