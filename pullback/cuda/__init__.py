"""`torch.cuda`: there is no CUDA device. Questions are answered so, seeds are taken, all else refuses."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pullback.core.dtypes import device as Device
from pullback.face import accelerators
from pullback.face.absent import getter
from pullback.face.accelerators import Absent, refusals
from pullback.face.legacy import TENSOR_TYPES

__all__ = [
    "AcceleratorError",
    "CUDAGraph",
    "Event",
    "ExternalStream",
    "OutOfMemoryError",
    "Stream",
    "device",
    "device_count",
    "device_of",
    "empty_cache",
    "get_arch_list",
    "get_gencode_flags",
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
    "set_stream",
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


StreamContext = stream = accelerators.no_stream


def set_stream(stream: Any) -> None:
    """Makes a stream the present one; with None, nothing changes."""


class AcceleratorError(RuntimeError):
    """What a device reports."""


class OutOfMemoryError(RuntimeError):
    """What a device reports whose memory is full."""


CudaError = AcceleratorError


class _TensorType(type):
    """The class of `torch.cuda.FloatTensor` and its kin, which have no instances."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. {NO_CUDA}.")

    def __repr__(cls) -> str:
        return f"<class 'torch.cuda.{cls.__name__}'>"


globals().update({name: _TensorType(name, (), {"dtype": kind.dtype}) for name, kind in TENSOR_TYPES.items()})
globals().update(
    refusals(
        "can_device_access_peer clock_rate cudart current_blas_handle current_device current_stream "
        "default_stream get_device_capability get_device_name get_device_properties get_rng_state "
        "get_sync_debug_mode init initial_seed ipc_collect is_current_stream_capturing mem_get_info "
        "memory_snapshot memory_summary memory_usage power_draw set_device set_sync_debug_mode "
        "set_per_process_memory_fraction synchronize temperature utilization",
        AssertionError,
        NO_CUDA,
    )
)

__getattr__ = getter(__name__)
