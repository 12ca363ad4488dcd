"""`torch.jit`: programs run as they are written.

`script` and `trace` give the function or module back. What marks code for TorchScript (`ignore`, `export`,
`unused` and their like) leaves it as it is. There are no archives of TorchScript: `save` and `load` say so.
"""

from __future__ import annotations

import builtins
import contextlib
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from pullback import nn
from pullback._jit_internal import (
    Final,
    _overload,  # noqa: F401
    _overload_method,  # noqa: F401
    export,
    ignore,
    is_scripting,
    unused,
)
from pullback.face.absent import getter
from pullback.futures import Future

__all__ = [
    "Attribute",
    "CompilationUnit",
    "Error",
    "Final",
    "Future",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "export_opnames",
    "fork",
    "freeze",
    "fuser",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "last_executed_optimized_graph",
    "load",
    "onednn_fusion_enabled",
    "optimize_for_inference",
    "optimized_execution",
    "run_frozen_optimizations",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "set_fusion_strategy",
    "strict_fusion",
    "trace",
    "trace_module",
    "unused",
    "wait",
]

Attribute = namedtuple("Attribute", ["value", "type"])


class Error(Exception):
    """What a scripted program raises in PyTorch."""


class ScriptWarning(Warning):
    """The category of warnings about scripts."""


class TracerWarning(Warning):
    """The category of warnings about traces."""

    @staticmethod
    def ignore_lib_warnings() -> None:
        """There are none to be ignored."""


class TracingCheckError(Exception):
    """What a trace that differs between runs raises in PyTorch."""


class ScriptModule(nn.Module):
    """A module whose methods may be marked with `script_method`; they run as they are written."""


class RecursiveScriptModule(ScriptModule):
    """A name to ask by: `script` returns modules as they are."""


class TracedModule(ScriptModule):
    """A name to ask by: `trace` returns modules as they are."""


class TopLevelTracedModule(TracedModule):
    """A name to ask by: `trace` returns modules as they are."""


class ScriptFunction:
    """A name to ask by: `script` returns functions as they are."""


def _no_archive(what: str) -> NoReturn:
    raise RuntimeError(
        f"{what}: Pullback has no archives of TorchScript. Save a module's state_dict with torch.save, and "
        "load it into a module made by its class"
    )


class CompilationUnit:
    """Refused: source in the language of TorchScript cannot be run."""

    def __init__(self, lang: Any = None, _frames_up: int = 0) -> None:
        if lang is not None:
            raise RuntimeError("torch.jit.CompilationUnit: Pullback runs no TorchScript. Write it in Python")


def script(
    obj: Any, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None
) -> Any:
    """The function, class or module itself.

    >>> import pullback as torch
    >>> @torch.jit.script
    ... def f(x):
    ...     return x * 2
    >>> f(torch.ones(2))
    tensor([2., 2.])
    """
    return obj


def script_method(fn: Any) -> Any:
    """The method itself."""
    return fn


def script_if_tracing(fn: Any) -> Any:
    """The function itself."""
    return fn


_script_if_tracing = script_if_tracing


def interface(obj: Any) -> Any:
    """The class itself."""
    return obj


def trace(func: Any = None, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself, after a run on the example: errors come where PyTorch has them.

    >>> import pullback as torch
    >>> f = torch.jit.trace(lambda x: x + 1, torch.zeros(2))
    >>> f(torch.ones(2))
    tensor([2., 2.])
    """
    by_name = kwargs.get("example_kwarg_inputs")
    if example_inputs is None and by_name is None:
        raise RuntimeError("example_kwarg_inputs should be a dict")
    if by_name is not None:
        func(**by_name)
    else:
        func(*(example_inputs if builtins.isinstance(example_inputs, (tuple, list)) else (example_inputs,)))
    return func


def trace_module(mod: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
    """The module itself, after a run of each method on its example."""
    for name, example in inputs.items():
        getattr(mod, name)(*(example if builtins.isinstance(example, tuple) else (example,)))
    return mod


def _get_trace_graph(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError("torch.jit._get_trace_graph: Pullback makes no graphs of TorchScript; see torch.fx")


def is_tracing() -> bool:
    """Whether a trace is being recorded: False."""
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type; of `List[int]` and the like, whether its parts are too.

    >>> import pullback as torch
    >>> from typing import List
    >>> torch.jit.isinstance([1, 2], List[int]), torch.jit.isinstance([1, "a"], List[int])
    (True, False)
    """
    from pullback._jit_internal import _isinstance

    return _isinstance(obj, target_type)


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
    """The function's result as a Future: it is called at once."""
    made: Future[Any] = Future()
    try:
        made.set_result(func(*args, **kwargs))
    except Exception as error:
        made.set_exception(error)
    return made


def wait(future: Future[Any]) -> Any:
    """The result of a Future."""
    return future.wait()


def freeze(
    mod: Any, preserved_attrs: Any = None, optimize_numerics: bool = True, preserved_parameters: Any = None
) -> Any:
    """The module itself."""
    return mod


def optimize_for_inference(mod: Any, other_methods: Any = None) -> Any:
    """The module itself."""
    return mod


def run_frozen_optimizations(mod: Any, optimize_numerics: bool = True, preserved_methods: Any = None) -> None:
    """Nothing is frozen."""


@contextlib.contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """A context that changes nothing."""
    yield


@contextlib.contextmanager
def fuser(name: str) -> Iterator[None]:
    """A context that changes nothing."""
    yield


class strict_fusion:
    """A context that changes nothing."""

    def __enter__(self) -> None: ...

    def __exit__(self, *exc: object) -> None: ...


def set_fusion_strategy(strategy: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The strategy before: none."""
    return []


def enable_onednn_fusion(enabled: bool) -> None:
    """Nothing is fused."""


def onednn_fusion_enabled() -> bool:
    """Whether ops are fused so: False."""
    return False


def last_executed_optimized_graph() -> NoReturn:
    """RuntimeError: there are no such graphs."""
    raise RuntimeError("torch.jit.last_executed_optimized_graph: Pullback makes no graphs of TorchScript")


def export_opnames(m: Any) -> NoReturn:
    """RuntimeError: there is no bytecode."""
    raise RuntimeError("torch.jit.export_opnames: Pullback makes no bytecode of TorchScript")


def save(m: Any, f: Any, _extra_files: Any = None) -> NoReturn:
    """RuntimeError: there are no archives of TorchScript."""
    _no_archive("torch.jit.save")


def load(
    f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False
) -> NoReturn:
    """RuntimeError: there are no archives of TorchScript."""
    _no_archive("torch.jit.load")


def _unwrap_optional(x: Any) -> Any:
    if x is None:
        raise AssertionError("Unwrapping null optional")
    return x


__getattr__ = getter(__name__)
