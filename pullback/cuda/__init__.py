"""`torch.cuda`: there is no CUDA device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from pullback.core.dtypes import device as Device
from pullback.face import accelerators
from pullback.face.absent import getter
from pullback.face.accelerators import Absent, refusals
from pullback.face.homes import has_those_below
from pullback.face.legacy import TENSOR_TYPES
from pullback.face.storage import STORAGE_TYPES

__all__ = [
    "AcceleratorError",
    "CUDAGraph",
    "CUDAPluggableAllocator",
    "CudaError",
    "DeferredCudaCallError",
    "Event",
    "ExternalStream",
    "MemPool",
    "OutOfMemoryError",
    "Stream",
    "StreamContext",
    "amp",
    "caching_allocator_disabled",
    "caching_allocator_enable",
    "default_generators",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_arch_list",
    "get_gencode_flags",
    "get_rng_state_all",
    "graph",
    "has_half",
    "has_magma",
    "host_memory_stats",
    "host_memory_stats_as_nested_dict",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "is_tf32_supported",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "memory",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_stats_as_nested_dict",
    "nvtx",
    "random",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "stream",
    "streams",
]

NO_CUDA = "Torch not compiled with CUDA enabled"

has_half = True
has_magma = False
default_generators: tuple[Any, ...] = ()


def is_available() -> bool:
    """False: there is no CUDA device.

    >>> import pullback as torch
    >>> torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device(type='cpu')
    """
    return False


def device_count() -> int:
    """The number of CUDA devices: 0."""
    return 0


def is_initialized() -> bool:
    """False: nothing was started."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False, as there is no device."""
    return False


def is_tf32_supported() -> bool:
    """False, as there is no device."""
    return False


def get_arch_list() -> list[str]:
    """The architectures of devices that are served: none."""
    return []


def get_gencode_flags() -> str:
    """The compiler's flags for them: none."""
    return ""


# --------------------------------------------------------------------------------- random numbers


def manual_seed(seed: int) -> None:
    """Accepted: there is no generator to seed."""
    int(seed)


def manual_seed_all(seed: int) -> None:
    """Accepted: there is no generator to seed."""
    int(seed)


def seed() -> None:
    """Accepted: there is no generator to seed."""


def seed_all() -> None:
    """Accepted: there is no generator to seed."""


def get_rng_state_all() -> list[Any]:
    """The states of the devices' generators: none."""
    return []


def set_rng_state_all(new_states: Any) -> None:
    """Sets the states of the devices' generators, of which there are none."""
    for state in new_states:
        set_rng_state(state)


def set_rng_state(new_state: Any, device: int | str | Device = "cuda") -> None:
    """Accepted: there is no generator whose state it could be."""


# ----------------------------------------------------------------------------------------- memory


def empty_cache() -> None:
    """Nothing is cached."""


def memory_allocated(device: Any = None) -> int:
    """The bytes in use on a device: 0."""
    return 0


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use: 0."""
    return 0


def memory_reserved(device: Any = None) -> int:
    """The bytes that are held on a device: 0."""
    return 0


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that were held: 0."""
    return 0


def memory_stats(device: Any = None) -> dict[str, Any]:
    """What is known of a device's memory: nothing."""
    return OrderedDict()


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing was counted."""


def reset_accumulated_memory_stats(device: Any = None) -> None:
    """Nothing was counted."""


def memory_stats_as_nested_dict(device: Any = None) -> dict[str, Any]:
    """What is known of a device's memory: nothing."""
    return {}


def host_memory_stats() -> dict[str, Any]:
    """What is known of memory for copies to devices: nothing."""
    return OrderedDict()


def host_memory_stats_as_nested_dict() -> dict[str, Any]:
    """What is known of memory for copies to devices: nothing."""
    return {}


def caching_allocator_enable(value: bool = True) -> None:
    """Accepted: nothing is cached."""


@contextlib.contextmanager
def caching_allocator_disabled() -> Iterator[None]:
    """A context in which nothing is cached, as nowhere."""
    yield


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved
reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


# ---------------------------------------------------------------------------- devices and streams


class device(accelerators.absent_device):
    """A context in which a CUDA device would be the present one; refuses one to be entered."""

    message = "PyTorch was compiled without CUDA support"


class device_of(device):
    """The same for the device of a tensor: nothing happens for one on the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device())


class Stream(Absent):
    """A queue of work on a device. RuntimeError: there is none."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class ExternalStream(Stream):
    """A stream that another library made. RuntimeError: there is none."""


class Event(Absent):
    """A mark in a stream. RuntimeError: there is none."""


class CUDAGraph(Absent):
    """Recorded work of a device. RuntimeError: there is none."""


class graph(Absent):
    """A context that records work of a device. RuntimeError: there is none."""


class MemPool(Absent):
    """Memory of a device that is set apart. RuntimeError: there is none."""


class CUDAPluggableAllocator(Absent):
    """What gives memory of a device, from a library of the user's. RuntimeError: there is none."""


StreamContext = stream = accelerators.no_stream


def set_stream(stream: Any) -> None:
    """Makes a stream the present one; with None, nothing changes."""


class AcceleratorError(RuntimeError):
    """What a device reports."""


class OutOfMemoryError(RuntimeError):
    """What a device reports whose memory is full."""


CudaError = AcceleratorError


class DeferredCudaCallError(Exception):
    """What PyTorch raises where a call that waited for CUDA to start fails: none waits here."""


class cudaStatus:
    """Codes of CUDA's calls."""

    SUCCESS = 0
    ERROR_NOT_READY = 34


class GreenContext(Absent):
    """A part of a device's processors. RuntimeError: there is none."""


class _TensorType(type):
    """The class of `torch.cuda.FloatTensor` and its kin, which have no instances."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. {NO_CUDA}.")

    def __repr__(cls) -> str:
        return f"<class 'torch.cuda.{cls.__name__}'>"


globals().update({name: _TensorType(name, (), {"dtype": kind.dtype}) for name, kind in TENSOR_TYPES.items()})
globals().update({name: _TensorType(name, (), {"dtype": kind.dtype}) for name, kind in STORAGE_TYPES.items()})

_REFUSED = refusals(
    "caching_allocator_alloc caching_allocator_delete can_device_access_peer change_current_allocator "
    "check_error clock_rate cudart current_blas_handle current_device current_solver_handle current_stream "
    "default_stream device_memory_used get_allocator_backend get_device_capability get_device_name "
    "get_device_properties get_per_process_memory_fraction get_rng_state get_stream_from_external "
    "get_sync_debug_mode graph_pool_handle init initial_seed ipc_collect is_current_stream_capturing "
    "list_gpu_processes make_graphed_callables mem_get_info memory_snapshot memory_summary memory_usage "
    "power_draw reset_accumulated_host_memory_stats reset_peak_host_memory_stats set_device "
    "set_per_process_memory_fraction set_sync_debug_mode synchronize temperature use_mem_pool utilization",
    AssertionError,
    NO_CUDA,
)
globals().update(_REFUSED)
__all__ += [*_REFUSED, *TENSOR_TYPES, *STORAGE_TYPES]

has_those_below(__name__)
__getattr__ = getter(__name__)
