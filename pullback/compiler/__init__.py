"""`torch.compile` and `torch.compiler`: functions recorded once and replayed.

    graph.py        the recording form: memories, values, steps
    recording.py    what a call does to memory, heard from the engine
    reading.py      what it may have read of Python, as guards
    passes/         functions from graph to graph
    lowering.py     where each memory lies, and the acts that run
    gradients.py    the backward pass of what is replayed
    functions.py    when a call is run, recorded or replayed

Read `CompiledFunction` in functions.py, then `Trace` in recording.py. What runs a recording is in C:
core/engine/replays.pxi (signatures, guards, results) and core/_replay.pyx (the acts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pullback.compiler.functions import MOST_RECORDINGS, CompiledFunction, forget_all
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
    """The function or module, recorded at its first call and replayed from then on; without one, a decorator.

    A recording is used where all that it depended on is as it was: dtypes, shapes and strides of tensors, and
    what the function read of Python. Otherwise the call is recorded anew. A function that does what cannot be
    recorded runs in Python, which a warning says; with `fullgraph` that is an error. The backends are
    "pullback", which "inductor" and None mean too, and "eager", which records nothing; a `backend` that is a
    function, and the other arguments, are taken for PyTorch's sake.

    >>> import pullback as torch
    >>> @torch.compile
    ... def f(x):
    ...     return x.sin() ** 2
    >>> for _ in range(3):
    ...     y = f(torch.zeros(2))
    >>> y
    tensor([0., 0.])
    >>> f.graph
    inputs %x0
    %1 = sin(%x0)  # float32[2]
    %2 = pow_number(%1, 2)  # float32[2]
    return %2
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    if model is None:
        return lambda found: compile(
            found, fullgraph=fullgraph, backend=backend, disable=disable, recompile_limit=recompile_limit
        )
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    if disable or backend not in _BACKENDS:
        return model
    limit = MOST_RECORDINGS if recompile_limit is None else recompile_limit
    wrapped = _wrappers.get("module")
    if wrapped is not None and isinstance(model, wrapped[0]):
        return wrapped[1](model, CompiledFunction(model, fullgraph, limit))
    return CompiledFunction(model, fullgraph, limit)


_BACKENDS = (None, "pullback", "inductor")
_wrappers: dict[str, tuple[type, Callable[..., Any]]] = {}


def install_modules(module: type, wrapper: Callable[..., Any]) -> None:
    """Hands over what a compiled module is: `wrapper(module, function)`."""
    _wrappers["module"] = module, wrapper


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
    """Forgets the recordings of all compiled functions."""
    forget_all()


def cudagraph_mark_step_begin() -> None:
    """Nothing is recorded."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The compilers that there are."""
    return ["pullback"]


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
