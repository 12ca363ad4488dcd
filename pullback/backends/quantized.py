"""`torch.backends.quantized`: there are no quantized tensors."""

from __future__ import annotations

from pullback.face.absent import getter

engine = "none"
supported_engines: list[str] = ["none"]

__getattr__ = getter(__name__)
