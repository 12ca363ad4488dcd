"""Modules on several devices, as `torch.nn.parallel`. Here there is one device, on which they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.face.absent import getter
from pullback.nn.modules.module import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """A module whose batches would be dealt out to devices; here it is called as it is.

    >>> import pullback as torch
    >>> torch.nn.DataParallel(torch.nn.Linear(2, 3))(torch.ones(1, 2)).shape
    torch.Size([1, 3])
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """A module whose gradients would be averaged over processes. ValueError: there is no group of them."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_process_group."
        )


__getattr__ = getter(__name__)
