"""Modules in several processes that average their gradients."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.nn.modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """A module whose gradients would be averaged over processes. ValueError: there is no group of them."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )


__getattr__ = getter(__name__)
