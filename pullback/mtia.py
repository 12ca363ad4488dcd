"""`torch.mtia`: there is no MTIA device."""

from __future__ import annotations

from pullback.cuda import device_count, is_available, is_initialized, manual_seed, manual_seed_all
from pullback.face.absent import getter

__all__ = ["device_count", "is_available", "is_initialized", "manual_seed", "manual_seed_all"]

__getattr__ = getter(__name__)
