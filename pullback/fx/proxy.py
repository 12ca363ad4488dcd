"""`torch.fx.Proxy`: the stand-in for a value in a trace. What is done with it becomes nodes."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from pullback.core._engine import Tensor
from pullback.core.op import SURFACE
from pullback.face.absent import getter
from pullback.fx.graph import Graph
from pullback.fx.node import Node, map_aggregate

__all__ = ["Attribute", "Proxy", "TraceError", "TracerBase"]

_CONTROL_FLOW = "symbolically traced variables cannot be used as inputs to control flow"


class TraceError(ValueError):
    """A program does with a stand-in what cannot be recorded."""


class TracerBase:
    """What makes nodes and stand-ins. `Tracer` traces modules and functions with it."""

    graph: Graph
    param_shapes_constant = False

    def create_node(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A node of the graph."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node: Node) -> Proxy:
        """The stand-in for what a node gives."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Any] | None = None,
    ) -> Any:
        """A node with these arguments, in which stand-ins may stand, and the stand-in for it."""
        made = self.create_node(kind, target, self.create_arg(args), self.create_arg(kwargs), name, type_expr)
        return (proxy_factory_fn or self.proxy)(made)

    def create_arg(self, a: Any) -> Any:
        """An argument of a node, by one of a call."""
        return map_aggregate(a, self._leaf)

    def _leaf(self, a: Any) -> Any:
        if isinstance(a, Proxy):
            return a.node
        if hasattr(a, "__fx_create_arg__"):
            return a.__fx_create_arg__(self)
        return a

    def to_bool(self, obj: Proxy) -> bool:
        """What a stand-in is where a bool is needed: refused."""
        raise TraceError(_CONTROL_FLOW)

    def iter(self, obj: Proxy) -> Iterator[Any]:
        """What a stand-in gives where it is iterated: refused, but for the parts of what is called."""
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a "
            "*args or **kwargs function argument. See the torch.fx docs on pytorch.org for a more detailed "
            "explanation of what types of control flow can be traced, and check out the Proxy docstring for "
            "help troubleshooting Proxy iteration errors"
        )

    def keys(self, obj: Proxy) -> Any:
        """The keys of a stand-in that is passed as `**kwargs`: a stand-in."""
        return Attribute(obj, "keys")()


class GraphAppendingTracer(TracerBase):
    """Adds nodes to a graph that is there."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


class Proxy:
    """A stand-in for a value: calls, operators and attributes of it become nodes.

    >>> import pullback as torch
    >>> graph = torch.fx.Graph()
    >>> x = torch.fx.Proxy(graph.placeholder("x"))
    >>> (torch.relu(x) + 1).node.args
    (relu, 1)
    """

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.node, self.tracer = node, tracer or GraphAppendingTracer(node.graph)

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, name: str) -> Attribute:
        if name in ("node", "tracer") or (name.startswith("__") and name.endswith("__")):
            raise AttributeError(f"'Proxy' object has no attribute '{name}'")
        return Attribute(self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator[Any]:
        return self.tracer.iter(self)

    def __bool__(self) -> bool:
        return self.tracer.to_bool(self)

    def __contains__(self, item: Any) -> bool:
        raise TraceError(_CONTROL_FLOW)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, "
            "please call torch.fx.wrap('len') at module scope"
        )

    def keys(self) -> Any:
        """Where it is passed as `**kwargs`."""
        return self.tracer.keys(self)

    def __getitem__(self, key: Any) -> Any:
        return self.tracer.create_proxy("call_function", operator.getitem, (self, key), {})

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(f"'{type(self).__name__}' object does not support item assignment")

    def __eq__(self, other: object) -> Any:
        return self.tracer.create_proxy("call_function", operator.eq, (self, other), {})

    def __ne__(self, other: object) -> Any:
        return self.tracer.create_proxy("call_function", operator.ne, (self, other), {})

    __hash__ = object.__hash__

    @classmethod
    def __torch_function__(cls, orig_method: Any, types: Any, args: Any = None, kwargs: Any = None) -> Any:
        args, kwargs = args or (), kwargs or {}
        found = _first_proxy((args, kwargs))
        assert found is not None
        name = getattr(orig_method, "__name__", "")
        if name == "einsum" and len(args) == 2 and isinstance(args[1], (tuple, list)):
            args = args[0], *args[1]  # operands in one sequence are given one by one
        if _is_method(orig_method, name):
            return found.tracer.create_proxy("call_method", name, args, kwargs)
        return found.tracer.create_proxy("call_function", orig_method, args, kwargs)


def _is_method(function: Any, name: str) -> bool:
    """Whether a function is known as a method of Tensor alone."""
    if getattr(Tensor, name, None) is not function:
        return False
    return not any(names.get(name) is function for space, names in SURFACE.items() if space != "Tensor")


def _first_proxy(tree: Any) -> Proxy | None:
    found: list[Proxy] = []
    map_aggregate(tree, lambda x: found.append(x) if isinstance(x, Proxy) else None)
    return found[0] if found else None


class Attribute(Proxy):
    """The stand-in for an attribute: called, a method's result; its node is made when it is needed."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root, self.attr, self.tracer = root, attr, root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """The node that reads the attribute."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


def _operator(name: str, function: Any, reflected: bool = False) -> Any:
    def call(self: Proxy, *others: Any) -> Any:
        args = (*others, self) if reflected else (self, *others)
        return self.tracer.create_proxy("call_function", function, args, {})

    call.__name__ = call.__qualname__ = name
    return call


_ARITHMETIC = "add sub mul floordiv truediv mod pow lshift rshift and or xor matmul"
_ALONE = "lt le gt ge neg pos invert abs"

for _name in _ARITHMETIC.split():
    _function = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(Proxy, f"__{_name}__", _operator(f"__{_name}__", _function))
    setattr(Proxy, f"__r{_name}__", _operator(f"__r{_name}__", _function, reflected=True))
for _name in _ALONE.split():
    setattr(Proxy, f"__{_name}__", _operator(f"__{_name}__", getattr(operator, _name)))

__getattr__ = getter(__name__)
