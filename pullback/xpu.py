"""`torch.xpu`: there is no XPU device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

from typing import Any

from pullback import cuda
from pullback.cuda import (
    StreamContext,
    default_generators,
    device_count,
    empty_cache,
    get_arch_list,
    get_gencode_flags,
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
    memory_stats_as_nested_dict,
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
from pullback.face.homes import has_those_below

__all__ = [
    "Event",
    "MemPool",
    "Stream",
    "StreamContext",
    "XPUGraph",
    "XPUPluggableAllocator",
    "default_generators",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_arch_list",
    "get_gencode_flags",
    "get_rng_state_all",
    "graph",
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
    "memory_snapshot",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
    "stream",
]


def memory_snapshot() -> list[Any]:
    """What lies in the memory of devices: nothing."""
    return []


class device(absent_device):
    """A context in which an XPU device would be the present one; refuses one to be entered."""

    message = "PyTorch was compiled without XPU support"


class device_of(cuda.device_of, device):
    """The same for the device of a tensor: nothing happens for one on the CPU."""


class Stream(Absent):
    """A queue of work on a device. RuntimeError: there is none."""


class Event(Absent):
    """A mark in a stream. RuntimeError: there is none."""


class XPUGraph(Absent):
    """Recorded work of a device. RuntimeError: there is none."""


class graph(Absent):
    """A context that records work of a device. RuntimeError: there is none."""


class MemPool(Absent):
    """Memory of a device that is set apart. RuntimeError: there is none."""


class XPUPluggableAllocator(Absent):
    """What gives memory of a device, from a library of the user's. RuntimeError: there is none."""


_REFUSED = refusals(
    "can_device_access_peer change_current_allocator clock_rate current_device current_stream "
    "device_memory_used get_device_capability get_device_name get_device_properties "
    "get_per_process_memory_fraction get_rng_state get_stream_from_external graph_pool_handle init "
    "initial_seed is_current_stream_capturing make_graphed_callables mem_get_info memory_usage power_draw "
    "set_device set_per_process_memory_fraction set_stream synchronize temperature use_mem_pool utilization",
    AssertionError,
    "Torch not compiled with XPU enabled",
)
globals().update(_REFUSED)
__all__ += [*_REFUSED]

has_those_below(__name__)
__getattr__ = getter(__name__)
