"""`torch.accelerator`: the accelerator of this machine, whichever it is. There is none."""

from __future__ import annotations

from typing import Any

from pullback.core.dtypes import device
from pullback.cuda import device_count, is_available
from pullback.face.absent import getter
from pullback.face.accelerators import Absent, absent_device, refusals
from pullback.face.homes import has_those_below

__all__ = ["Graph", "current_accelerator", "device_count", "device_index", "is_available"]


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator: None.

    >>> import pullback as torch
    >>> torch.accelerator.current_accelerator() or "cpu"
    'cpu'
    """
    return None


class device_index(absent_device):
    """A context in which a device would be the present one; None changes nothing."""

    def __init__(self, device: int | None) -> None:
        super().__init__(device)


class Graph(Absent):
    """Recorded work of a device. RuntimeError: there is none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(absent_device.message)


_REFUSED = refusals(
    "current_device_idx current_device_index current_stream empty_cache empty_host_cache "
    "get_device_capability get_memory_info max_memory_allocated max_memory_reserved memory_allocated "
    "memory_reserved memory_stats reset_accumulated_memory_stats reset_peak_memory_stats set_device_idx "
    "set_device_index set_stream synchronize",
    RuntimeError,
    absent_device.message,
)
globals().update(_REFUSED)
__all__ += [*_REFUSED]


def get_device_module(device: Any = None) -> Any:
    """The module of a kind of device: `torch.cpu` for the CPU, and for none at all.

    >>> import pullback as torch
    >>> torch.get_device_module("cuda").is_available()
    False
    """
    import importlib
    import importlib.util

    from pullback.core.dtypes import device as Device

    kind = "cpu" if device is None else Device(device).type
    if importlib.util.find_spec(f"pullback.{kind}") is None:
        raise RuntimeError(
            f"Device '{kind}' does not have a corresponding module registered as 'torch.{kind}'."
        )
    return importlib.import_module(f"pullback.{kind}")


has_those_below(__name__)
__getattr__ = getter(__name__)
