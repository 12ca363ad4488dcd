"""`torch.compile` and `torch.compiler`: programs run as they are written.

`compile` accepts what PyTorch's does, checks it, and returns the function itself, or for a module the module:
each op runs when it is called. What a program marks for the compiler stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pullback.face.absent import getter

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]

_F = TypeVar("_F", bound=Callable[..., Any])

_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")


def compile(
    model: Any = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable[..., Any] | None = None,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Any:
    """The function or module itself, which runs op by op; without one, a decorator.

    The other arguments are PyTorch's and change nothing.

    >>> import pullback as torch
    >>> @torch.compile(mode="max-autotune")
    ... def f(x):
    ...     return x.sin() ** 2
    >>> f(torch.zeros(2))
    tensor([0., 0.])
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if model is None:
        return lambda found: compile(found)
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return model


def is_compiling() -> bool:
    """Whether the program is being compiled: False."""
    return False


def is_dynamo_compiling() -> bool:
    """Whether the program is being compiled: False."""
    return False


def is_exporting() -> bool:
    """Whether the program is being exported: False."""
    return False


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself, or without one a decorator that returns it: nothing is compiled."""
    return (lambda found: found) if fn is None else fn


def allow_in_graph(fn: _F) -> _F:
    """The function itself."""
    return fn


def assume_constant_result(fn: _F) -> _F:
    """The function itself."""
    return fn


def substitute_in_graph(original_fn: Any, **options: Any) -> Callable[[_F], _F]:
    """A decorator that returns its function."""
    return lambda fn: fn


def reset() -> None:
    """Nothing was kept."""


def cudagraph_mark_step_begin() -> None:
    """Nothing is recorded."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The compilers that there are: none."""
    return []


class set_stance:
    """Accepted, as a call, a context or a decorator."""

    def __init__(self, stance: str = "default", **options: Any) -> None:
        self.stance = stance

    def __call__(self, fn: _F) -> _F:
        return fn

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


__getattr__ = getter(__name__)
