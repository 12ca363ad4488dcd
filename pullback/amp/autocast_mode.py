"""`autocast`: a context in which products are computed in a half precision, losses and the like in float32.

What an op is cast to follows from the folder that it is declared in (`_policy`). It is a mode on the
engine's stack: each op passes through `_Casts` while the context is on. Composites that PyTorch lists are
cast as wholes (`LISTS`): within them autocast is off. All others are what their ops are.
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
from pullback.core.op import surround
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
    "index_copy": WIDEST,
    **dict.fromkeys(["prod", "trace"], FULL),
}
"""Ops that are cast otherwise than their family; None: not at all."""

LISTS = {
    HALF: """
        torch.matmul torch.prelu torch.rnn_tanh torch.rnn_relu torch.rnn_tanh_cell torch.rnn_relu_cell
        torch.affine_grid_generator nn.functional.affine_grid nn.functional.scaled_dot_product_attention
        linalg.vecdot
        """,
    FULL: """
        nn.functional.avg_pool3d nn.functional.max_pool3d nn.functional.adaptive_avg_pool3d
        nn.functional.adaptive_max_pool3d nn.functional.fractional_max_pool2d
        nn.functional.fractional_max_pool3d nn.functional.max_unpool1d nn.functional.max_unpool2d
        nn.functional.max_unpool3d nn.functional.l1_loss nn.functional.mse_loss
        nn.functional.smooth_l1_loss nn.functional.huber_loss nn.functional.soft_margin_loss
        nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
        nn.functional.kl_div nn.functional.poisson_nll_loss nn.functional.hinge_embedding_loss
        nn.functional.cosine_embedding_loss
        nn.functional.triplet_margin_loss nn.functional.margin_ranking_loss nn.functional.nll_loss
        nn.functional.cross_entropy nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss
        nn.functional.ctc_loss nn.functional.grid_sample torch.grid_sampler torch.polar torch.quantile
        torch.nanquantile torch.view_as_complex torch.cdist torch.stft torch.istft torch.triangular_solve
        torch.pinverse linalg.lstsq linalg.cond linalg.matrix_rank linalg.tensorinv linalg.tensorsolve
        linalg.solve linalg.inv
        fft.fft fft.ifft fft.fft2 fft.ifft2 fft.fftn fft.ifftn fft.rfft fft.irfft fft.rfft2 fft.irfft2
        fft.rfftn fft.irfftn fft.hfft fft.ihfft
        """,
}
"""PyTorch's lists for the CPU: what functions that are made of ops are cast to as wholes."""


class _State(threading.local):
    """What holds on a thread, by device."""

    def __init__(self) -> None:
        self.enabled: dict[str, bool] = {}
        self.dtypes: dict[str, Dtype] = {}
        self.cache = True
        self.mode: Any = None
        self.within = False  # a function that is cast as a whole


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
        policy = _policy(func) if _is_on() and not kwargs else None
        if policy is not None:
            wanted: Any = float32 if policy is FULL else _state.dtypes.get("cpu", bfloat16)
            if policy is WIDEST:
                wanted = _widest(args)
            args = tuple(_cast(arg, wanted, policy) for arg in args)
        return func(*args, **(kwargs or {}))


def _as_whole(policy: str) -> Callable[..., Any]:
    """What goes around a function: its arguments are cast, and within it autocast is off."""

    def around(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not _is_on():
            return NotImplemented
        wanted = float32 if policy is FULL else get_autocast_dtype("cpu")
        return _run(function, wanted, args, kwargs)

    return around


def _of_pads(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The pads that PyTorch lists: those that reflect up to two dims, those that replicate up to three."""
    if _is_on():
        pad = kwargs.get("pad", args[1] if len(args) > 1 else ())
        mode = kwargs.get("mode", args[2] if len(args) > 2 else "constant")
        if len(pad) <= {"reflect": 4, "replicate": 6}.get(mode, -1):
            return _run(function, float32, args, kwargs)
    return NotImplemented


def _of_gates(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Layers with gates, and cells: in what the state and the half precision are promoted to."""
    if not _is_on():
        return NotImplemented
    wanted = get_autocast_dtype("cpu")
    tensors = [t for t in _tensors((args[1:3], kwargs.get("hx"))) if _is_cast(t)]
    if tensors and not (function.__name__ == "lstm" and tensors[0].dtype is float32):
        wanted = promote_types(tensors[0].dtype, wanted)
    return _run(function, wanted, args, kwargs)


def _of_tensordot(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Over all dims it is a `dot`, which is not cast."""
    if not _is_on():
        return NotImplemented
    given = dict(zip(("a", "b", "dims"), args, strict=False)) | kwargs
    dims = given.get("dims", 2)
    dims = dims.tolist() if isinstance(dims, Tensor) else dims
    while isinstance(dims, (list, tuple)):
        dims = dims[0] if dims and isinstance(dims[0], (list, tuple)) else len(dims)
    whole = given["a"].ndim == given["b"].ndim == dims
    return _run(function, None, args, kwargs) if whole else NotImplemented


def _of_pinv(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Singular values in the precision of the matrix, and a product of matrices after them."""
    if not _is_on():
        return NotImplemented
    return _cast(_run(function, None, args, kwargs), get_autocast_dtype("cpu"), HALF)


def _is_on() -> bool:
    return _state.enabled.get("cpu", False) and _state.mode is not None and not _state.within


def _run(function: Any, wanted: Dtype | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Calls a function with its tensors cast, unless `wanted` is None; nothing is cast within."""
    cast, named = args, kwargs
    if wanted is not None:
        cast = tuple(_cast(arg, wanted, FULL) for arg in args)
        named = {name: _cast(value, wanted, FULL) for name, value in kwargs.items()}
    _state.within = True
    try:
        return function(*cast, **named)
    finally:
        _state.within = False


def _tensors(tree: Any) -> Any:
    """The tensors in lists and tuples."""
    for item in tree if isinstance(tree, (list, tuple)) else (tree,):
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _tensors(item)


@functools.cache
def _surrounded() -> None:
    """Puts the lists around their functions, once."""
    around = {name: _as_whole(policy) for policy, names in LISTS.items() for name in names.split()}
    around |= {"nn.functional.pad": _of_pads, "torch.tensordot": _of_tensordot, "linalg.pinv": _of_pinv}
    gates = [f"torch.{name}{end}" for name in ("gru", "lstm") for end in ("", "_cell")]
    surround(around | dict.fromkeys(gates, _of_gates))


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
            _surrounded()
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
