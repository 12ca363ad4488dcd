"""`torch.fx.Node`: one call in a graph, or a parameter, an attribute, the result.

The nodes of a graph are a ring through its root, in the order in which they run. A node knows the nodes in
its arguments, and they know it as a user.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from pullback.core._engine import Op as CoreOp
from pullback.core.op import SURFACE
from pullback.face.absent import getter, shown
from pullback.fx.immutable_collections import immutable_dict, immutable_list

__all__ = ["Node", "has_side_effect", "map_aggregate", "map_arg"]

OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output", "root")

_impure: set[Any] = set()

Target = Callable[..., Any] | str
Argument = Any


def has_side_effect(fn: Any) -> Any:
    """Says of a function that its calls stay in a graph, used or not; returns it."""
    _impure.add(fn)
    return fn


def map_aggregate(a: Any, fn: Callable[[Any], Any]) -> Any:
    """A tree of tuples, lists, dicts and slices with a function's value in place of each leaf."""
    if isinstance(a, tuple):
        made = [map_aggregate(item, fn) for item in a]
        return type(a)(*made) if hasattr(a, "_fields") else tuple(made)
    if isinstance(a, list):
        return immutable_list([map_aggregate(item, fn) for item in a])
    if isinstance(a, dict):
        return immutable_dict({key: map_aggregate(value, fn) for key, value in a.items()})
    if isinstance(a, slice):
        return slice(*(map_aggregate(part, fn) for part in (a.start, a.stop, a.step)))
    return fn(a)


def map_arg(a: Any, fn: Callable[[Node], Any]) -> Any:
    """A tree with a function's value in place of each node; other leaves stay."""
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


def qualified_name(target: Any) -> str:
    """A function's name with its module, as code calls it: `torch.relu`, `operator.add`."""
    name: str = target.__name__
    if isinstance(target, CoreOp) or not getattr(target, "__module__", None):
        for space, names in SURFACE.items():
            if space != "Tensor" and names.get(name) is target:
                return f"torch.{name}" if space == "torch" else f"torch.{space}.{name}"
    if getattr(builtins, name, None) is target:
        return name
    module = shown(getattr(target, "__module__", None) or "torch")
    if module == "_operator":
        module = "operator"
    return f"{module}.{getattr(target, '__qualname__', name)}"


_get_qualified_name = qualified_name


class Node:
    """One step of a graph.

    `op` says what it is: `placeholder` (a parameter, named by `target`), `get_attr`, `call_function`,
    `call_method` (of its first argument), `call_module`, `output`. Arguments are trees that nodes stand in.
    """

    def __init__(
        self,
        graph: Any,
        name: str,
        op: str,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        return_type: Any = None,
    ) -> None:
        if op not in OPS:
            raise AssertionError(f"invalid op: {op}")
        if op == "call_function" and not callable(target):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} but a "
                "Callable is expected"
            )
        if op != "call_function" and not isinstance(target, str):
            raise ValueError(
                f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} but a str "
                "is expected"
            )
        self.graph, self.name, self.op, self.target, self.type = graph, name, op, target, return_type
        self.users: dict[Node, None] = {}
        self.meta: dict[str, Any] = {}
        self._inputs: dict[Node, None] = {}
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}
        self._prev = self._next = self
        self._erased = False
        self._set(args, kwargs)

    def _set(self, args: Any, kwargs: Any) -> None:
        for node in self._inputs:
            node.users.pop(self, None)
        self._inputs = {}

        def note(node: Node) -> Node:
            self._inputs[node] = None
            node.users[self] = None
            return node

        self._args, self._kwargs = map_arg(tuple(args), note), map_arg(dict(kwargs), note)

    @property
    def next(self) -> Node:
        """The node that runs after this one."""
        return self._next

    @property
    def prev(self) -> Node:
        """The node that runs before this one."""
        return self._prev

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments by position."""
        return self._args

    @args.setter
    def args(self, args: tuple[Any, ...]) -> None:
        self._set(args, self._kwargs)

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by name."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs: dict[str, Any]) -> None:
        self._set(self._args, kwargs)

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes in the arguments, each once."""
        return list(self._inputs)

    @property
    def _input_nodes(self) -> dict[Node, None]:
        return self._inputs

    @property
    def stack_trace(self) -> str | None:
        """Where the program made the call, if that was kept."""
        return self.meta.get("stack_trace")

    @stack_trace.setter
    def stack_trace(self, trace: str | None) -> None:
        self.meta["stack_trace"] = trace

    def update_arg(self, idx: int, arg: Any) -> None:
        """Sets one argument by position."""
        args = list(self._args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx: int, arg: Any) -> None:
        """Puts an argument in front of that at a place."""
        if not 0 <= idx <= len(self._args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self._args[:idx], arg, *self._args[idx:])

    def update_kwarg(self, key: str, arg: Any) -> None:
        """Sets one argument by name."""
        self.kwargs = {**self._kwargs, key: arg}

    def _take_out(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev

    def prepend(self, x: Node) -> None:
        """Puts a node of the graph in front of this one."""
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            return
        x._take_out()
        before = self._prev
        before._next, x._prev, x._next, self._prev = x, before, self, x

    def append(self, x: Node) -> None:
        """Puts a node of the graph behind this one."""
        self._next.prepend(x)

    def replace_all_uses_with(
        self,
        replace_with: Node,
        delete_user_cb: Callable[[Node], bool] | None = None,
        *,
        propagate_meta: bool = False,
    ) -> list[Node]:
        """Has the users of this node use another; those for which the function says so. Returns them."""
        if propagate_meta:
            for key, value in self.meta.items():
                replace_with.meta.setdefault(key, value)
        changed = [user for user in list(self.users) if delete_user_cb is None or delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Puts a node in place of another in the arguments."""

        def swap(node: Node) -> Node:
            return new_input if node is old_input else node

        self._set(map_arg(self._args, swap), map_arg(self._kwargs, swap))

    def is_impure(self, impure_random: bool = True) -> bool:
        """Whether the node must stay though no other uses it."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            return self.target in _impure or bool(getattr(self.target, "__name__", "").endswith("_"))
        if self.op == "call_module":
            owner = self.graph.owning_module
            return owner is not None and getattr(owner.get_submodule(self.target), "_is_impure", False)
        return False

    def normalized_arguments(self, *args: Any, **kwargs: Any) -> Any:
        """None: the signatures of targets are not looked up."""
        return None

    def format_node(
        self,
        placeholder_names: list[str] | None = None,
        maybe_return_typename: list[str] | None = None,
        **options: Any,
    ) -> str | None:
        """The node as a line of a graph's text."""
        users = f"[num_users={len(self.users)}] = {self.op}"
        if self.op == "placeholder":
            default = f"(default={self.args[0]})" if self.args else ""
            return f"%{self.name} : {_shown_type(self.type)}{users}[target={self.target}]{default}"
        if self.op == "get_attr":
            return f"%{self.name} : {_shown_type(self.type)}{users}[target={self.target}]"
        if self.op == "output":
            return f"return {self.args[0]}"
        target = self.target if isinstance(self.target, str) else _shown_target(self.target)
        return (
            f"%{self.name} : {_shown_type(self.type)}{users}[target={target}](args = "
            f"{_shown_arg(self.args)}, kwargs = {_shown_arg(self.kwargs)})"
        )

    def __repr__(self) -> str:
        return self.name

    def __lt__(self, other: Node) -> bool:
        places = {node: place for place, node in enumerate(self.graph.nodes)}
        return places[self] < places[other]

    def __gt__(self, other: Node) -> bool:
        return other < self


def _shown_type(kind: Any) -> str:
    return "" if kind is None else f"{getattr(kind, '__name__', kind)} "


def _shown_target(target: Any) -> str:
    name = qualified_name(target)
    return f"builtins.{name}" if getattr(builtins, name, None) is target else name


def _shown_arg(arg: Any) -> str:
    if isinstance(arg, Node):
        return f"%{arg.name}"
    if isinstance(arg, list):
        return f"[{', '.join(map(_shown_arg, arg))}]"
    if isinstance(arg, tuple):
        parts = ", ".join(map(_shown_arg, arg))
        return f"({parts},)" if len(arg) == 1 else f"({parts})"
    if isinstance(arg, dict):
        return "{" + ", ".join(f"{key}: {_shown_arg(value)}" for key, value in arg.items()) + "}"
    return str(arg)


__getattr__ = getter(__name__)
