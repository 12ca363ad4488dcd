"""Batches dealt out to the devices of a machine. Here there is one, so a module is called as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.face.absent import getter
from pullback.nn.modules.module import Module
from pullback.nn.parallel.parallel_apply import parallel_apply
from pullback.nn.parallel.replicate import replicate
from pullback.nn.parallel.scatter_gather import gather, scatter_kwargs

__all__ = ["DataParallel", "data_parallel"]


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

    def replicate(self, module: Any, device_ids: Sequence[Any]) -> list[Any]:
        """Copies of a module on devices: `nn.parallel.replicate`."""
        return replicate(module, device_ids)

    def scatter(self, inputs: Any, kwargs: dict[str, Any] | None, device_ids: Sequence[Any]) -> Any:
        """The arguments of a call, parted for devices: `scatter_kwargs`."""
        return scatter_kwargs(inputs, kwargs, device_ids)

    def parallel_apply(self, replicas: Sequence[Any], inputs: Sequence[Any], kwargs: Any) -> list[Any]:
        """Calls modules side by side: `nn.parallel.parallel_apply`."""
        return parallel_apply(replicas, inputs, kwargs)

    def gather(self, outputs: Any, output_device: Any) -> Any:
        """Puts results together again: `nn.parallel.gather`."""
        return gather(outputs, output_device)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """What `module` gives for `inputs`, a tuple of arguments or one of them.

    >>> import pullback as torch
    >>> torch.nn.parallel.data_parallel(torch.nn.Flatten(), torch.ones(1, 2, 2))
    tensor([[1., 1., 1., 1.]])
    """
    if not isinstance(inputs, tuple):
        inputs = (inputs,) if inputs is not None else ()
    return module(*inputs, **(module_kwargs or {}))


__getattr__ = getter(__name__)
