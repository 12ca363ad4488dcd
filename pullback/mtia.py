"""`torch.mtia`: there is no MTIA device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

from pullback.cuda import (
    device_count,
    get_rng_state_all,
    is_available,
    is_initialized,
    manual_seed,
    manual_seed_all,
    max_memory_allocated,
    memory_allocated,
    memory_stats,
    reset_peak_memory_stats,
    seed,
    seed_all,
    set_rng_state_all,
)
from pullback.face.absent import getter
from pullback.face.accelerators import Absent, absent_device, no_stream, refusals
from pullback.face.homes import has_those_below

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "default_generators",
    "device",
    "device_count",
    "get_rng_state_all",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "memory_stats",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_rng_state_all",
    "stream",
]


class device(absent_device):
    """A context in which an MTIA device would be the present one; refuses one to be entered."""

    message = "Torch not compiled with MTIA enabled."


class Stream(Absent):
    """A queue of work on a device. RuntimeError: there is none."""


class Event(Absent):
    """A mark in a stream. RuntimeError: there is none."""


StreamContext = stream = no_stream
default_generators: tuple[object, ...] = ()


def is_bf16_supported() -> bool:
    """True, as PyTorch says it of every MTIA device."""
    return True


_REFUSED = refusals(
    "MTIAGraph attach_out_of_memory_observer current_device current_stream default_stream empty_cache "
    "get_device_capability get_device_properties get_rng_state graph graph_pool_handle init initial_seed "
    "record_memory_history set_device set_rng_state set_stream snapshot synchronize",
    AssertionError,
    device.message,
)
globals().update(_REFUSED)
__all__ += [*_REFUSED]

has_those_below(__name__)
__getattr__ = getter(__name__)
