"""`torch.cpu.amp`: the older names of `torch.amp` for the CPU."""

from __future__ import annotations

from typing import Any

from pullback import amp
from pullback.amp.older import deprecated
from pullback.core.dtypes import bfloat16
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter

__all__ = ["GradScaler", "autocast"]


class autocast(amp.autocast):
    """`torch.amp.autocast("cpu")`."""

    def __init__(self, enabled: bool = True, dtype: Dtype = bfloat16, cache_enabled: bool = True) -> None:
        deprecated("cpu", "autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler("cpu")`."""

    def __init__(self, init_scale: float = 2.0**16, *args: Any, **kwargs: Any) -> None:
        deprecated("cpu", "GradScaler")
        super().__init__("cpu", init_scale, *args, **kwargs)


__getattr__ = getter(__name__)
