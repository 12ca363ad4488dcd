"""`torch.utils._foreach_utils`: how optimizers sort lists of tensors for functions of lists."""

from __future__ import annotations

from typing import Any

from pullback.core._engine import Tensor
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter


def _get_foreach_kernels_supported_devices() -> list[str]:
    """The devices for which PyTorch prefers functions of lists."""
    return ["cuda", "xpu", "mtia"]


def _get_fused_kernels_supported_devices() -> list[str]:
    """The devices that have fused optimizers."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia"]


def _group_tensors_by_device_and_dtype(
    tensorlistlist: list[list[Any]], with_indices: bool = False
) -> dict[tuple[Device, Dtype], tuple[list[list[Any]], list[int]]]:
    """Lists of tensors that belong together, apart by the device and dtype of the first list's.

    With `with_indices` each group has the places of its tensors in the lists.
    """
    groups: dict[tuple[Device, Dtype], tuple[list[list[Any]], list[int]]] = {}
    for place, first in enumerate(tensorlistlist[0]):
        if first is None:
            raise RuntimeError("Tensors of the first list of nested Tensor lists are supposed to be defined")
        lists, places = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for mine, theirs in zip(lists, tensorlistlist, strict=True):
            if theirs:
                mine.append(theirs[place])
        if with_indices:
            places.append(place)
    return groups


def _device_has_foreach_support(device: Device) -> bool:
    return device.type in (*_get_foreach_kernels_supported_devices(), "cpu")


def _has_foreach_support(tensors: list[Tensor | None], device: Device) -> bool:
    return _device_has_foreach_support(device) and all(t is None or type(t) is Tensor for t in tensors)


__getattr__ = getter(__name__)
