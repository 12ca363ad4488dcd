"""Pullback's counterpart of an object of PyTorch: functions, dtypes, tensors, whole samples.

A function that PyTorch publishes is found under the same name in Pullback. A function that the op
database writes itself (a lambda around `torch.einsum`) is made anew of the same code, over globals in
which each name is translated in turn. What has no counterpart raises `Missing`.
"""

from __future__ import annotations

import contextlib
import functools
import re
import types
from typing import Any

import numpy as np
import torch
import torch.masked
import torch.signal.windows
from torch.testing import _utils as testing_utils

import pullback

SPACES = (
    "",
    "linalg",
    "special",
    "fft",
    "nn.functional",
    "signal.windows",
    "masked",
    "Tensor",
    "nested",
    "autograd",
    "random",
    "nn.utils",
    "_C._nn",
)


class Missing(Exception):
    """Pullback has nothing under this name."""


def look_up(path: str, top: Any = pullback) -> Any:
    """The object at a dotted path below a library; `Missing` if there is none."""
    found = top
    for name in filter(None, path.split(".")):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise Missing(f"no {path}") from None
    return found


@functools.cache
def _published() -> dict[int, str]:
    """Where each public function and class of PyTorch stands, by its id."""
    places: dict[int, str] = {}
    for space in SPACES:
        holder = look_up(space, torch)
        for name in dir(holder):
            thing = getattr(holder, name, None)
            if callable(thing) or isinstance(thing, types.ModuleType):
                places.setdefault(id(thing), f"{space}.{name}".lstrip("."))
    return places


def ours(thing: Any) -> Any:
    """Pullback's counterpart of a function, a module or a constant of PyTorch."""
    if thing is torch:
        return pullback
    if thing in _STAND_INS:
        return _STAND_INS[thing]
    if isinstance(thing, torch.dtype | torch.layout | torch.memory_format):
        return look_up(str(thing).removeprefix("torch."))
    if isinstance(thing, torch.device):
        return pullback.device(str(thing))
    if isinstance(thing, torch.Generator):
        return pullback.Generator().manual_seed(thing.initial_seed())
    if isinstance(thing, torch.Size):
        return pullback.Size(thing)
    if isinstance(thing, torch.nn.Module):
        return _as_function(thing)
    if isinstance(thing, functools.partial):
        return functools.partial(ours(thing.func), *map(ours, thing.args), **_values(thing.keywords))
    place = _published().get(id(thing))
    if place is not None:
        return look_up(place)
    if isinstance(thing, types.FunctionType) and thing.__module__.startswith("torch.testing"):
        return _made_anew(thing)
    if getattr(thing, "__objclass__", None) in (torch.Tensor, torch._C.TensorBase):
        return look_up(f"Tensor.{thing.__name__}")
    if type(thing).__module__ in ("torch._ops", "torch.cuda.jiterator"):
        raise Missing(f"no {thing}")
    return thing


def _as_function(module: torch.nn.Module) -> Any:
    """A module without weights as the function of its name, given the module's settings.

    `PairwiseDistance(norm=2.0)` is `pairwise_distance`: the settings are those in `__constants__`, in
    the order of the function's parameters after its tensors.
    """
    if any(True for _ in module.parameters()):
        raise Missing(f"no nn.{type(module).__name__}")
    words = re.findall("[A-Z][a-z0-9]*", type(module).__name__)
    settings = [ours(getattr(module, name)) for name in getattr(module, "__constants__", ())]
    function = look_up("nn.functional." + "_".join(words).lower())
    return lambda *tensors: function(*tensors, *settings)


def _values(mapping: dict[str, Any]) -> dict[str, Any]:
    return {name: ours(value) for name, value in mapping.items()}


def _made_anew(function: types.FunctionType) -> types.FunctionType:
    """The same code over translated globals, defaults and closure."""
    names: set[str] = set()
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
    space = {name: function.__globals__[name] for name in names if name in function.__globals__}
    cells = tuple(types.CellType(ours(cell.cell_contents)) for cell in function.__closure__ or ())
    made = types.FunctionType(function.__code__, {}, function.__name__, None, cells)
    made.__globals__["__builtins__"] = __builtins__
    made.__globals__.update({n: v if v is function else ours(v) for n, v in space.items()})
    made.__defaults__ = tuple(map(ours, function.__defaults__ or ()))
    made.__kwdefaults__ = _values(function.__kwdefaults__ or {})
    return made


def _hashable(stand_ins: dict[Any, Any]) -> Any:
    """A table that may be asked for anything."""

    class Table:
        def __contains__(self, key: Any) -> bool:
            return any(key is known for known in stand_ins)

        def __getitem__(self, key: Any) -> Any:
            return stand_ins[key]

    return Table()


# The database keeps PyTorch's generator as it was; here each run is seeded.
_STAND_INS = _hashable({testing_utils.freeze_rng_state: contextlib.nullcontext})


# ------------------------------------------------------------------------------- tensors and samples


def copied(t: torch.Tensor) -> torch.Tensor:
    """A leaf of PyTorch over memory of its own, with the strides of `t`, dense or not."""
    if t.layout is not torch.strided or t.is_conj() or t.is_neg() or t.numel() == 0:
        made = t.detach().clone()
    else:
        memory = _span(t).clone()
        made = memory.as_strided(t.shape, t.stride()).detach()
    return made.requires_grad_(t.requires_grad)


def _span(t: torch.Tensor) -> torch.Tensor:
    """The memory that a tensor lies in, from its first element to its last, flat."""
    last = sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))
    return t.detach().as_strided((last + 1,), (1,), t.storage_offset())


def to_ours(t: torch.Tensor) -> Any:
    """A leaf of Pullback with the tensor's numbers, strides, dtype and `requires_grad`."""
    if t.layout is not torch.strided:
        raise Missing(f"no {t.layout} tensors")
    plain = t.detach().resolve_conj().resolve_neg()
    if plain.numel() == 0 or t.is_meta:
        made = pullback.empty_strided(
            tuple(plain.shape), plain.stride(), dtype=ours(t.dtype), device=str(t.device)
        )
    else:
        memory = _span(plain)
        if t.dtype in _BITS:
            held = pullback.from_numpy(memory.view(_BITS[t.dtype]).numpy().copy()).view(ours(t.dtype))
        else:
            held = pullback.from_numpy(memory.numpy().copy())
        made = held.as_strided(tuple(plain.shape), plain.stride()).detach()
    return made.requires_grad_(t.requires_grad)


_BITS = {torch.bfloat16: torch.int16, torch.complex32: torch.int32}
"""What has the bits of numbers that NumPy does not know."""


def to_numpy(t: Any) -> np.ndarray:
    """The numbers of a tensor of either library; bfloat16 as float32, complex32 as complex64."""
    plain = t.detach().resolve_conj().resolve_neg()
    if str(plain.dtype).endswith("complex32"):
        return plain.cfloat().numpy()
    return plain.float().numpy() if str(plain.dtype).endswith("bfloat16") else plain.numpy()


def mapped(value: Any, change: Any) -> Any:
    """`value` with `change` at its leaves: through lists, tuples, dicts and slices."""
    if isinstance(value, torch.Size | pullback.Size):
        return change(value)
    if isinstance(value, list):
        return [mapped(x, change) for x in value]
    if isinstance(value, tuple):
        return tuple(mapped(x, change) for x in value)
    if isinstance(value, dict):
        return {k: mapped(x, change) for k, x in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(x, change) for x in (value.start, value.stop, value.step)))
    return change(value)


def fresh(args: Any, kwargs: Any, change_tensor: Any, change: Any = lambda x: x) -> tuple[Any, Any]:
    """The arguments of a call made anew; a tensor that stands in it twice stays one tensor."""
    made: dict[int, Any] = {}

    def at_leaf(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return change(x)
        if id(x) not in made:
            made[id(x)] = change_tensor(x)
        return made[id(x)]

    return mapped(args, at_leaf), mapped(kwargs, at_leaf)


def for_theirs(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a call, copied."""
    return fresh(args, kwargs, copied)


def for_ours(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of a call, translated."""
    return fresh(args, kwargs, to_ours, ours)
