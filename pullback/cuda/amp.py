"""`torch.cuda.amp`: the older names of `torch.amp` for CUDA devices."""

from __future__ import annotations

import functools
from typing import Any

from pullback import amp
from pullback.amp.older import deprecated
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import float16
from pullback.face.absent import getter

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """`torch.amp.autocast("cuda")`: off, as there is no CUDA device."""

    def __init__(self, enabled: bool = True, dtype: Dtype = float16, cache_enabled: bool = True) -> None:
        deprecated("cuda", "autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler("cuda")`: off, as there is no CUDA device."""

    def __init__(self, init_scale: float = 2.0**16, *args: Any, **kwargs: Any) -> None:
        deprecated("cuda", "GradScaler")
        super().__init__("cuda", init_scale, *args, **kwargs)


custom_fwd = functools.partial(amp.custom_fwd, device_type="cuda")
custom_bwd = functools.partial(amp.custom_bwd, device_type="cuda")

__getattr__ = getter(__name__)
