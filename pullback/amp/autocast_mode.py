"""`autocast`: a context in which products are computed in a half precision, losses and the like in float32.

What an op is cast to follows from the folder that it is declared in (`_policy`). It is a mode on the engine's
stack: each op passes through `_Casts` while the context is on.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Op, Tensor
from pullback.core.dtypes import bfloat16, float16, float32, float64, promote_types
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter
from pullback.overrides import TorchFunctionMode

__all__ = ["autocast", "autocast_decorator", "custom_bwd", "custom_fwd", "is_autocast_available"]

DEFAULTS = {"cpu": bfloat16}
"""The half precision of a device; of any other float16."""

# By the folder or file of an op below `pullback/ops/`: the half precision, float32, the widest of the inputs.
HALF, FULL, WIDEST = "half", "full", "widest"
FAMILIES = {
    "products.": HALF,
    "images.convolution": HALF,
    "linalg.": FULL,
    "signals.": FULL,
    "networks.losses": FULL,
    "networks.margins": FULL,
    "networks.ctc": FULL,
    "networks.distances": FULL,
    "arrays.join": WIDEST,
}
ALONE = {
    **dict.fromkeys(["mv", "dot", "vdot", "addmv", "addr", "outer"]),
    **dict.fromkeys(["cosine_of_angle", "linalg_cross", "linalg_matrix_exp"]),
    "grid_samples": FULL,
    "index_copy": WIDEST,
    **dict.fromkeys(
        ["prod", "quantile", "nanquantile", "trace", "nll_loss", "polar", "view_as_complex"], FULL
    ),
    "prelu": HALF,
}
"""Ops that are cast otherwise than their family; None: not at all."""


class _State(threading.local):
    """What holds on a thread, by device."""

    def __init__(self) -> None:
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, Dtype] = {}
        self.cache = True
        self.mode: Any = None


_state = _State()


@functools.cache
def _policy(op: Any) -> str | None:
    """What the inputs of an op, or of a custom Function, are cast to."""
    if not isinstance(op, Op):
        return None
    if op.name in ALONE:
        return ALONE[op.name]
    place = (getattr(op.kernel, "__module__", None) or "").removeprefix("pullback.ops.")
    return next((policy for family, policy in FAMILIES.items() if place.startswith(family)), None)


class _Casts(TorchFunctionMode):
    """The mode that casts the inputs of ops while autocast is on."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        policy = _policy(func) if _state.enabled.get("cpu") and not kwargs else None
        if policy is not None:
            wanted: Any = float32 if policy is FULL else _state.dtypes.get("cpu", bfloat16)
            if policy is WIDEST:
                wanted = _widest(args)
            args = tuple(_cast(arg, wanted, policy) for arg in args)
        return func(*args, **(kwargs or {}))


def _is_cast(thing: Any) -> bool:
    return isinstance(thing, Tensor) and thing.dtype.is_floating_point and thing.dtype is not float64


def _widest(args: Any) -> Dtype:
    found = [
        t.dtype for arg in args for t in (arg if isinstance(arg, (list, tuple)) else (arg,)) if _is_cast(t)
    ]
    return functools.reduce(promote_types, found) if found else float32


def _cast(thing: Any, wanted: Dtype, policy: str) -> Any:
    """An argument with its tensors cast."""
    if _is_cast(thing):
        return thing.to(wanted)
    if isinstance(thing, (list, tuple)) and any(map(_is_cast, thing)):
        return [_cast(item, wanted, policy) for item in thing]
    return thing


class autocast:
    """A context, or a decorator, in which products are computed in `dtype`, by default bfloat16.

    So are convolutions; losses and linear algebra in float32, all else in what it gets. Within a custom
    Function nothing is cast. That is for "cpu"; for "cuda", as there is none, it is off, with a warning.

    >>> import pullback as torch
    >>> x = torch.ones(2, 2)
    >>> with torch.autocast("cpu"):
    ...     (x @ x).dtype, (x + x).dtype
    (torch.bfloat16, torch.float32)
    """

    def __init__(
        self,
        device_type: str,
        dtype: Dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = Device(device_type).type
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        if enabled and self.device == "cuda":
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        if enabled and self.device == "cpu" and self.fast_dtype not in (bfloat16, float16):
            warnings.warn(
                "In CPU autocast, but the target dtype is not supported. Disabling autocast.\nCPU Autocast "
                "only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[tuple[Any, ...]] = []

    def __enter__(self) -> autocast:
        before = _state.enabled.get(self.device, False), _state.dtypes.get(self.device)
        mode = None
        if self._enabled and self.device == "cpu" and _state.mode is None:
            mode = _state.mode = _Casts()
            mode.__enter__()
        self._before.append((*before, mode))
        _state.enabled[self.device], _state.dtypes[self.device] = self._enabled, self.fast_dtype
        return self

    def __exit__(self, *exc: object) -> None:
        enabled, dtype, mode = self._before.pop()
        _state.enabled[self.device] = enabled
        if dtype is None:
            del _state.dtypes[self.device]
        else:
            _state.dtypes[self.device] = dtype
        if mode is not None:
            mode.__exit__(*exc)
            _state.mode = None

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return autocast_decorator(self, func)


def autocast_decorator(autocast_instance: autocast, func: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs within a context."""

    @functools.wraps(func)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        with autocast_instance:
            return func(*args, **kwargs)

    return decorated


def is_autocast_available(device_type: str) -> bool:
    """Whether a device can compute so: True, also for those that PyTorch may have."""
    return Device(device_type).type in ("cpu", "cuda", "xpu", "mps", "hpu", "mtia", "maia", "xla", "ipu")


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for a device."""
    return _state.enabled.get(device_type, False)


def get_autocast_dtype(device_type: str) -> Dtype:
    """The half precision of a device."""
    return _state.dtypes.get(device_type) or DEFAULTS.get(device_type, float16)


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on for the CPU."""
    return is_autocast_enabled("cpu")


def get_autocast_cpu_dtype() -> Dtype:
    """The half precision of the CPU."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> Dtype:
    """The half precision of CUDA devices."""
    return get_autocast_dtype("cuda")


def is_autocast_cache_enabled() -> bool:
    """Whether casts of weights may be kept: accepted; none are."""
    return _state.cache


def clear_autocast_cache() -> None:
    """Nothing is kept."""


def custom_fwd(
    fwd: Any = None, *, device_type: str = "cuda", cast_inputs: Dtype | None = None
) -> Callable[..., Any]:
    """A decorator of the `forward` of a Function: with `cast_inputs` it runs on inputs that are cast so."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        on = is_autocast_enabled(device_type)
        args[0]._dtype = get_autocast_dtype(device_type)
        args[0]._fwd_used_autocast = on and cast_inputs is None
        if cast_inputs is None or not on:
            return fwd(*args, **kwargs)
        with autocast(device_type, enabled=False):
            cast = {name: _cast(value, cast_inputs, HALF) for name, value in kwargs.items()}
            return fwd(*(_cast(arg, cast_inputs, HALF) for arg in args), **cast)

    return decorated


def custom_bwd(bwd: Any = None, *, device_type: str = "cuda") -> Callable[..., Any]:
    """A decorator of the `backward` of a Function: it runs with autocast as the `forward` did."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        context = args[0]
        with autocast(device_type, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(*args, **kwargs)

    return decorated


__getattr__ = getter(__name__)
