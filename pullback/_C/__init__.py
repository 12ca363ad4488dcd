"""The few names of PyTorch's compiled module that programs use."""

from __future__ import annotations

import enum
import sys
from typing import Any, NoReturn

from pullback.core._engine import DisableTorchFunction as DisableTorchFunctionSubclass
from pullback.core._engine import Tensor, levels
from pullback.core._engine import disabled_torch_function as _disabled_torch_function_impl
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import get_default_device
from pullback.face.absent import getter
from pullback.face.storage import StorageBase
from pullback.ops.linalg.refusals import LinAlgError as _LinAlgError
from pullback.overrides import TorchFunctionMode

TensorBase = Tensor
_TensorMeta: Any = type(Tensor)
_VariableFunctions = _VariableFunctionsClass = sys.modules["pullback"]  # functions as `torch.relu`
_GLIBCXX_USE_CXX11_ABI = True
_has_cuda = _has_mps = _has_xpu = False

__all__ = [
    "DisableTorchFunctionSubclass",
    "DispatchKey",
    "DispatchKeySet",
    "StorageBase",
    "TensorBase",
    "_LinAlgError",
    "_TensorMeta",
    "_VariableFunctions",
    "_VariableFunctionsClass",
    "_disabled_torch_function_impl",
]


_DEVICES = ("CPU", "CUDA", "HIP", "XPU", "MPS", "HPU", "XLA", "MTIA", "Meta", "PrivateUse1")
_KINDS = ("Autograd", "Autocast", "Sparse", "SparseCsr", "Quantized")
_OTHERS = (
    "Undefined Autograd AutogradOther Autocast BackendSelect Python Functionalize Conjugate Negative "
    "ZeroTensor ADInplaceOrView CompositeImplicitAutograd CompositeExplicitAutograd FuncTorchBatched "
    "FuncTorchVmapMode"
)

DispatchKey: Any = enum.Enum(  # type: ignore[misc]
    "DispatchKey",
    " ".join([_OTHERS, *_DEVICES, *(kind + device for kind in _KINDS for device in _DEVICES)]),
)
"""By what PyTorch chooses the kernel of an op. Nothing is chosen so here."""


class DispatchKeySet:
    """A set of dispatch keys."""

    def __init__(self, *keys: Any) -> None:
        self.keys = frozenset(keys)

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(*self.keys, *other.keys)

    def has(self, key: Any) -> bool:
        """Whether a key is in the set."""
        return key in self.keys


class _ExcludeDispatchKeyGuard:
    """A context that changes nothing: kernels are not chosen by keys."""

    def __init__(self, keys: Any) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...


class Graph:
    """A name to ask by: there are no graphs of TorchScript."""


class ScriptModule:
    """A name to ask by: there are no modules of TorchScript."""


class ScriptFunction:
    """A name to ask by: there are no functions of TorchScript."""


def _get_tracing_state() -> None:
    """The trace that is being recorded: none."""


def _log_api_usage_once(event: str) -> None:
    """Nothing is counted."""


def _are_functorch_transforms_active() -> bool:
    """Whether a transform, as vmap, is around the call."""
    return bool(levels())


def _is_torch_function_enabled() -> bool:
    """Whether subclasses of Tensor take part in calls: True."""
    return True


def _is_torch_function_mode_enabled() -> bool:
    """Whether a `TorchFunctionMode` is on in this thread."""
    return any(isinstance(level, TorchFunctionMode) for level in levels())


def _is_alias_of(self: Tensor, other: Tensor) -> bool:
    """Whether two tensors are in one memory."""
    return self.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _get_default_device() -> str:
    """The kind of device on which tensors are made where none is said."""
    return get_default_device().type


def _get_accelerator(check: bool | None = None) -> Device:
    """The device that computes besides the CPU: there is none, so it is the CPU."""
    return Device("cpu")


def _get_privateuse1_backend_name() -> str:
    """What a device from elsewhere is called."""
    return "privateuseone"


def _jit_set_profiling_mode(enabled: bool) -> bool:
    """The mode before: off."""
    return False


_jit_set_profiling_executor = _jit_set_profiling_mode


def _cuda_getDeviceCount() -> int:
    """How many CUDA devices there are: none."""
    return 0


def _disabled_torch_dispatch_impl(*args: Any) -> NoReturn:
    """Set as `__torch_dispatch__`: nothing is dispatched so."""
    raise NotImplementedError("nothing is dispatched by __torch_dispatch__")


__getattr__ = getter(__name__)
