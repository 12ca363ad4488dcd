"""`torch.fx.symbolic_trace`: runs a module or function on stand-ins, and notes what it does."""

from __future__ import annotations

import builtins
import contextlib
import inspect
import math
import sys
import threading
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

from pullback import nn
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.fx.graph import Graph
from pullback.fx.graph_module import GraphModule
from pullback.fx.node import Node
from pullback.fx.proxy import TracerBase, _first_proxy

__all__ = ["Tracer", "symbolic_trace", "wrap"]

_wrapped: dict[tuple[int, str], dict[str, Any]] = {}
"""The names that `wrap` was told of, by the globals that they stand in."""


class _Tracing(threading.local):
    tracer: Tracer | None = None


_tracing = _Tracing()


def is_fx_tracing() -> bool:
    """Whether a trace is being made on this thread."""
    return _tracing.tracer is not None


def wrap(fn_or_name: Any) -> Any:
    """Has calls of a function, in the module where it stands, recorded as one node. Also a decorator."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    if frame.f_back.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    name = fn_or_name if isinstance(fn_or_name, str) else fn_or_name.__name__
    world = frame.f_back.f_globals
    _wrapped[id(world), name] = world
    return fn_or_name


def _assert_is_none(value: Any, msg: str) -> None:
    if value is not None:
        raise AssertionError(msg)


class Tracer(TracerBase):
    """Makes the graph of a module or function. Override `is_leaf_module` to look into other modules.

    `autowrap_modules` are modules of Python whose functions are recorded where they get a stand-in,
    `autowrap_functions` functions.
    """

    def __init__(
        self,
        autowrap_modules: tuple[ModuleType, ...] = (math,),
        autowrap_functions: tuple[Callable[..., Any], ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        self._modules_of_python, self._functions = autowrap_modules, autowrap_functions
        self.param_shapes_constant = param_shapes_constant
        self.root: Any = None
        self.tensor_attrs: dict[int, str] = {}
        self.module_stack: dict[str, Any] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node: those of PyTorch are, but containers."""
        module = type(m).__module__
        ours = module.startswith(("torch.nn", "pullback.nn", "torch.ao.nn", "pullback.ao.nn"))
        return ours and not isinstance(m, nn.Sequential)

    def path_of_module(self, mod: nn.Module) -> str:
        """A module's name below the root."""
        for name, module in self.root.named_modules():
            if module is mod:
                return str(name)
        raise NameError("module is not installed as a submodule")

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """What a call of a module gives: a stand-in for a leaf, else what its `forward` does."""
        path = self.path_of_module(m)
        self.module_stack[path] = (path, type(m))
        try:
            if self.is_leaf_module(m, path):
                return self.create_proxy("call_module", path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            del self.module_stack[path]

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """What an attribute of a module is: a stand-in for a parameter or buffer."""
        path = self.tensor_attrs.get(id(attr_val)) if isinstance(attr_val, Tensor) else None
        if path is None:
            return attr_val
        if path not in parameter_proxy_cache:
            parameter_proxy_cache[path] = self.create_proxy("get_attr", path, (), {})
        return parameter_proxy_cache[path]

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A node, which knows the modules that it is in."""
        made = super().create_node(kind, target, args, kwargs, name, type_expr)
        if self.module_stack:
            made.meta["nn_module_stack"] = dict(self.module_stack)
        return made

    def _leaf(self, a: Any) -> Any:
        if isinstance(a, Tensor):
            return self._tensor(a)
        if isinstance(a, nn.Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        return super()._leaf(a)

    def _tensor(self, a: Tensor) -> Node:
        """A node that reads a tensor, which becomes an attribute of the root if it is none."""
        path = self.tensor_attrs.get(id(a))
        if path is None:
            number = 0
            while hasattr(self.root, f"_tensor_constant{number}"):
                number += 1
            path = self.tensor_attrs[id(a)] = f"_tensor_constant{number}"
            setattr(self.root, path, a)
        return self.create_node("get_attr", path, (), {})

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> Graph:
        """The graph of a module or function. `concrete_args` gives values for some of its parameters."""
        if isinstance(root, nn.Module):
            self.root, forward = root, type(root).forward
            bound: tuple[Any, ...] = (root,)
        else:
            self.root, forward, bound = nn.Module(), root, ()
        self.graph = Graph(tracer_cls=type(self))
        self.tensor_attrs = {}
        for prefix, module in self.root.named_modules():
            for name, value in (*module._parameters.items(), *module._buffers.items(), *vars(module).items()):
                if isinstance(value, Tensor):
                    self.tensor_attrs.setdefault(id(value), f"{prefix}.{name}" if prefix else name)
        function = inspect.unwrap(forward)
        args = [*bound, *self._parameters(function, len(bound), dict(concrete_args or {}))]
        with self._patched():
            result = _by_position(function)(*args)
        self.create_node("output", "output", (self.create_arg(result),), {})
        return self.graph

    def _parameters(self, function: Any, skip: int, concrete: dict[str, Any]) -> Iterator[Any]:
        """Stand-ins for the parameters of a function, or the values that are given for them."""
        rank: dict[Any, int] = {inspect.Parameter.VAR_POSITIONAL: 1, inspect.Parameter.VAR_KEYWORD: 2}
        found = list(inspect.signature(function).parameters.values())[skip:]
        for p in sorted(found, key=lambda p: rank.get(p.kind, 0)):
            stars = "*" * rank.get(p.kind, 0)
            default = () if p.default is p.empty else (p.default,)
            value = self.create_proxy("placeholder", stars + p.name, default, {})
            if p.name in concrete and concrete[p.name] is None:
                words = f"{p.name} has been specialized to have value None but got another value"
                self.create_proxy("call_function", _assert_is_none, (value, words), {})
            yield concrete.get(p.name, value)

    @contextlib.contextmanager
    def _patched(self) -> Iterator[None]:
        """A context in which modules, and the functions of `wrap`, are recorded."""
        cache: dict[str, Any] = {}
        before_call, before_getattr = nn.Module.__call__, nn.Module.__getattr__

        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            def forward(*args: Any, **kwargs: Any) -> Any:
                return before_call(module, *args, **kwargs)

            return self.call_module(module, forward, args, kwargs)

        def get(module: Any, name: str) -> Any:
            return self.getattr(name, before_getattr(module, name), cache)

        undo: list[Callable[[], None]] = []
        previous, _tracing.tracer = _tracing.tracer, self
        nn.Module.__call__, nn.Module.__getattr__ = call, get  # type: ignore[method-assign]
        try:
            for (_, name), world in _wrapped.items():
                self._wrap_in(world, name, undo)
            for module in self._modules_of_python:
                for name, value in list(vars(module).items()):
                    if callable(value) and not name.startswith("_"):
                        self._wrap_in(vars(module), name, undo)
            for function in self._functions:
                for module in list(sys.modules.values()):
                    for name, value in list(getattr(module, "__dict__", {}).items()):
                        if value is function:
                            self._wrap_in(vars(module), name, undo)
            yield
        finally:
            for put_back in reversed(undo):
                put_back()
            nn.Module.__call__ = before_call  # type: ignore[method-assign]
            nn.Module.__getattr__ = before_getattr  # type: ignore[method-assign]
            _tracing.tracer = previous

    def _wrap_in(self, world: dict[str, Any], name: str, undo: list[Callable[[], None]]) -> None:
        there = name in world
        function = world[name] if there else getattr(builtins, name, None)
        if function is None:
            return

        def recorded(*args: Any, **kwargs: Any) -> Any:
            if _first_proxy((args, kwargs)) is None:
                return function(*args, **kwargs)
            return self.create_proxy("call_function", function, args, kwargs)

        world[name] = recorded
        undo.append(lambda: world.__setitem__(name, function) if there else world.__delitem__(name))


def _by_position(function: Any) -> Any:
    """A function that takes all of its parameters by position, `*args` and `**kwargs` as they are."""
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    rests = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    count = code.co_argcount + code.co_kwonlyargcount + rests.bit_count()
    plain = code.replace(
        co_argcount=count, co_kwonlyargcount=0, co_posonlyargcount=0, co_flags=code.co_flags & ~rests
    )
    return FunctionType(plain, function.__globals__, function.__name__, None, function.__closure__)


def symbolic_trace(root: Any, concrete_args: dict[str, Any] | None = None) -> GraphModule:
    """The graph of a module or function as a module that does the same.

    `concrete_args` gives values for some of its parameters. TraceError where control flow depends on others.

    >>> import pullback as torch
    >>> traced = torch.fx.symbolic_trace(lambda x: torch.relu(x) + 1)
    >>> print(traced.code.strip())
    def forward(self, x):
        relu = torch.relu(x);  x = None
        add = relu + 1;  relu = None
        return add
    >>> traced(torch.tensor([-1.0, 2.0]))
    tensor([1., 3.])
    """
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, nn.Module) else root.__name__
    return GraphModule(tracer.root, graph, name)


__getattr__ = getter(__name__)
