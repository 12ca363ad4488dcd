"""`torch.cpu.amp`: the older names of `torch.amp` for the CPU."""

from __future__ import annotations

import warnings
from typing import Any

from pullback import amp
from pullback.core.dtypes import bfloat16
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter

__all__ = ["GradScaler", "autocast"]


def _deprecated(name: str) -> None:
    warnings.warn(
        f"`torch.cpu.amp.{name}(args...)` is deprecated. Please use `torch.amp.{name}('cpu', args...)` "
        "instead.",
        FutureWarning,
        stacklevel=3,
    )


class autocast(amp.autocast):
    """`torch.amp.autocast("cpu")`."""

    def __init__(self, enabled: bool = True, dtype: Dtype = bfloat16, cache_enabled: bool = True) -> None:
        _deprecated("autocast")
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler("cpu")`."""

    def __init__(self, init_scale: float = 2.0**16, *args: Any, **kwargs: Any) -> None:
        _deprecated("GradScaler")
        super().__init__("cpu", init_scale, *args, **kwargs)


__getattr__ = getter(__name__)
