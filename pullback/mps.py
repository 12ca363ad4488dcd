"""`torch.mps`: there is no MPS device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

from pullback.cuda import device_count, is_available, manual_seed
from pullback.face.absent import getter
from pullback.face.accelerators import refusal
from pullback.face.homes import has_those_below

__all__ = ["device_count", "is_available", "manual_seed"]

_CALLS = {
    "synchronize": "deviceSynchronize",
    "empty_cache": "emptyCache",
    "current_allocated_memory": "getCurrentAllocatedMemory",
    "driver_allocated_memory": "getDriverAllocatedMemory",
    "recommended_max_memory": "getRecommendedMaxMemory",
    "set_per_process_memory_fraction": "setMemoryFraction",
    "get_rng_state": "getDefaultGenerator",
    "set_rng_state": "getDefaultGenerator",
    "seed": "getDefaultGenerator",
    "Event": "acquireEvent",
    "compile_shader": "compileShader",
    "load_metallib": "loadMetallib",
}

globals().update(
    {
        name: refusal(name, RuntimeError, f"Cannot execute {call}() without MPS backend.")
        for name, call in _CALLS.items()
    }
)
__all__ += [*_CALLS]

has_those_below(__name__)
__getattr__ = getter(__name__)
