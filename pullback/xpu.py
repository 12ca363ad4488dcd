"""`torch.xpu`: there is no XPU device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

from pullback import cuda
from pullback.cuda import (
    StreamContext,
    device_count,
    empty_cache,
    get_arch_list,
    get_rng_state_all,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    manual_seed,
    manual_seed_all,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_accumulated_memory_stats,
    reset_peak_memory_stats,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
    stream,
)
from pullback.face.absent import getter
from pullback.face.accelerators import Absent, absent_device, refusals

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_arch_list",
    "get_rng_state_all",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
    "stream",
]


class device(absent_device):
    """A context in which an XPU device would be the present one; refuses one to be entered."""

    message = "PyTorch was compiled without XPU support"


class device_of(cuda.device_of, device):
    """The same for the device of a tensor: nothing happens for one on the CPU."""


class Stream(Absent):
    """A queue of work on a device. RuntimeError: there is none."""


class Event(Absent):
    """A mark in a stream. RuntimeError: there is none."""


globals().update(
    refusals(
        "can_device_access_peer current_device current_stream get_device_capability get_device_name "
        "get_device_properties get_rng_state init initial_seed mem_get_info set_device synchronize",
        AssertionError,
        "Torch not compiled with XPU enabled",
    )
)

__getattr__ = getter(__name__)
