"""`torch.ops.aten`: functions by the names of PyTorch's operators, with or without an overload.

`aten.add`, `aten.add.Tensor` and `aten.add.default` are one function here, the public one: the
overloads differ in their types of arguments, which it takes all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core.op import SURFACE

_SPACES = ("torch", "nn.functional", "special", "linalg", "fft", "Tensor")


class Overloads:
    """A function by its operator's name; each attribute is an overload, which is the function itself."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.__name__ = name
        self.__wrapped__ = function
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, overload: str) -> Overloads:
        if overload.startswith("__"):
            raise AttributeError(overload)
        return self

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='aten.{self.__name__}')>"


_found: dict[str, Overloads] = {}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name not in _found:
        ops.load_later()
        short = name.partition("_")
        candidates = [(space, name) for space in _SPACES]
        candidates += [(short[0], short[2])] if short[0] in ("special", "linalg", "fft") else []
        function = next((SURFACE[s][n] for s, n in candidates if n in SURFACE.get(s, {})), None)
        if function is None and name == "slice":
            function = _slice
        if function is None:
            raise AttributeError(f"'_OpNamespace' 'aten' object has no attribute '{name}'")
        _found[name] = Overloads(name, function)
    return _found[name]


def _slice(self: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    """`self[start:end:step]` in one dim."""
    key = [slice(None)] * self.ndim
    key[dim] = slice(start, end, step)
    return self[tuple(key)]
