"""`torch.fx.Graph`: the nodes of a program in the order in which they run, and their text as Python code."""

from __future__ import annotations

import builtins
import contextlib
import keyword
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from pullback.core.dtypes import Size
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.face.absent import getter
from pullback.fx.node import Node, map_arg, qualified_name

__all__ = ["CodeGen", "Graph", "PythonCode"]

_BINARY = {
    operator.add: "+", operator.sub: "-", operator.mul: "*", operator.floordiv: "//", operator.truediv: "/",
    operator.mod: "%", operator.pow: "**", operator.lt: "<", operator.le: "<=", operator.gt: ">",
    operator.ge: ">=", operator.eq: "==", operator.ne: "!=", operator.and_: "&", operator.or_: "|",
    operator.xor: "^", operator.lshift: "<<", operator.rshift: ">>", operator.matmul: "@",
}  # fmt: skip
_KEPT = ("inf", "nan", "torch", "device", "self")
_UNARY = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}


class PythonCode(NamedTuple):
    """Code of a graph, and the objects that it names."""

    src: str
    globals: dict[str, Any]


class CodeGen:
    """What writes a graph as code. A subclass may change how inputs come in and results go out."""

    def process_inputs(self, *args: Any) -> Any:
        """The values of the placeholders, by what the code is called with."""
        return args

    def process_outputs(self, outputs: Any) -> Any:
        """What the code returns, by the value of the output node."""
        return outputs


class _Names:
    """Names that are each given once in a graph."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.count: dict[str, int] = {}

    def create(self, wish: str) -> str:
        """A name like the one wished for that nothing has yet."""
        wish = re.sub(r"[^0-9a-zA-Z_]+", "_", wish) or "_unnamed"
        if wish[0].isdigit():
            wish = f"_{wish}"
        stem, number = wish, None
        found = re.match(r"(.*)_(\d+)$", wish)
        if found and found[1]:
            stem, number = found[1], int(found[2])
        name = wish
        while name in self.used or self._taken(name):
            number = self.count.get(stem, 0) + 1 if number is None or name in self.used else number + 1
            self.count[stem] = number
            name = f"{stem}_{number}"
        self.used.add(name)
        return name

    @staticmethod
    def _taken(name: str) -> bool:
        return keyword.iskeyword(name) or name in vars(builtins) or name in _KEPT


class _NodeList:
    """The nodes of a graph, to be walked either way; they may be changed meanwhile."""

    def __init__(self, graph: Graph, backward: bool = False) -> None:
        self.graph, self.backward = graph, backward

    def __len__(self) -> int:
        return self.graph._len

    def __iter__(self) -> Iterator[Node]:
        root = self.graph._root
        node = root._prev if self.backward else root._next
        while node is not root:
            if not node._erased:
                yield node
            node = node._prev if self.backward else node._next

    def __reversed__(self) -> _NodeList:
        return _NodeList(self.graph, not self.backward)


class Graph:
    """A program: nodes, in the order in which they run.

    >>> import pullback as torch
    >>> graph = torch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> y = graph.call_function(torch.relu, (x,))
    >>> _ = graph.output(y)
    >>> print(graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %relu : [num_users=1] = call_function[target=torch.relu](args = (%x,), kwargs = {})
        return relu
    """

    def __init__(self, owning_module: Any = None, tracer_cls: Any = None, tracer_extras: Any = None) -> None:
        self.owning_module, self._tracer_cls, self._tracer_extras = owning_module, tracer_cls, tracer_extras
        self._root = Node(self, "", "root", "", (), {})
        self._insert: Callable[[Node], None] = self._root.prepend
        self._names = _Names()
        self._len = 0
        self._codegen = CodeGen()

    @property
    def nodes(self) -> _NodeList:
        """The nodes, in order; `reversed` walks them backwards."""
        return _NodeList(self)

    def set_codegen(self, codegen: CodeGen) -> None:
        """Sets what takes inputs in and gives results out."""
        self._codegen = codegen

    def process_inputs(self, *args: Any) -> Any:
        """The values of the placeholders, by what the code is called with."""
        return self._codegen.process_inputs(*args)

    def process_outputs(self, out: Any) -> Any:
        """What the code returns, by the value of the output node."""
        return self._codegen.process_outputs(out)

    def create_node(
        self,
        op: str,
        target: Any,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A new node, at the place where nodes are inserted: at first the end."""
        name = self._names.create(name if name is not None else _snake(self._wish(op, target)))
        made = Node(self, name, op, target, args or (), kwargs or {}, type_expr)
        self._insert(made)
        self._len += 1
        return made

    @staticmethod
    def _wish(op: str, target: Any) -> str:
        if isinstance(target, str):
            return target.lstrip("*").replace(".", "_")
        return str(target.__name__)

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = ...) -> Node:
        """A parameter of the program."""
        args = () if default_value is ... else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """A parameter, buffer or attribute of the module that owns the graph."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_module(
        self, module_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None
    ) -> Node:
        """A call of a module below the one that owns the graph."""
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def call_method(
        self, method_name: str, args: Any = None, kwargs: Any = None, type_expr: Any = None
    ) -> Node:
        """A call of a method of the first argument."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_function(
        self, the_function: Any, args: Any = None, kwargs: Any = None, type_expr: Any = None, name: Any = None
    ) -> Node:
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name, type_expr)

    def output(self, result: Any, type_expr: Any = None) -> Node:
        """The result of the program."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def output_node(self) -> Node:
        """The node of the result."""
        return next(iter(reversed(self.nodes)))

    def find_nodes(self, *, op: str, target: Any = None, sort: bool = True) -> list[Node]:
        """The nodes of a kind, and of a target if one is given."""
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Any] = lambda x: x) -> Node:
        """A copy of another graph's node; the function gives for each node in its arguments one of this."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        made = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        made.meta = dict(node.meta)
        return made

    def graph_copy(self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False) -> Any:
        """Copies the nodes of a graph, noted in `val_map`; returns what its output node gives."""
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: Any = None) -> Graph:
        made = Graph(tracer_cls=self._tracer_cls)
        known: dict[Node, Node] = {}
        found = made.graph_copy(self, known, return_output_node=True)
        if found is not None:
            result, old = found
            made.output(result, old.type).meta = dict(old.meta)
        made._codegen = self._codegen
        return made

    def erase_node(self, to_erase: Node) -> None:
        """Takes out a node that has no users."""
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase.users:
            raise RuntimeError(
                f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                f"{to_erase.users}!"
            )
        if to_erase._erased:
            return
        to_erase._take_out()
        to_erase._erased = True
        to_erase._set((), {})
        self._len -= 1

    @contextlib.contextmanager
    def _inserting(self, insert: Callable[[Node], None]) -> Iterator[None]:
        before, self._insert = self._insert, insert
        try:
            yield
        finally:
            self._insert = before

    def inserting_before(self, n: Node | None = None) -> contextlib.AbstractContextManager[None]:
        """A context in which new nodes come in front of a node, by default of the first."""
        return self._inserting((self._root._next if n is None else n).prepend)

    def inserting_after(self, n: Node | None = None) -> contextlib.AbstractContextManager[None]:
        """A context in which new nodes come behind a node, each behind the one before."""
        last = [self._root if n is None else n]

        def insert(node: Node) -> None:
            last[0].append(node)
            last[0] = node

        return self._inserting(insert)

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Takes out the nodes that nothing uses; whether there were any."""
        changed = False
        for node in reversed(self.nodes):
            if not node.users and not (node.is_impure() if is_impure_node is None else is_impure_node(node)):
                self.erase_node(node)
                changed = True
        return changed

    def lint(self) -> None:
        """RuntimeError where a node uses one that runs later, or is of another graph."""
        seen: set[Node] = set()
        names: set[str] = set()
        for node in self.nodes:
            for used in node.all_input_nodes:
                if used.graph is not self:
                    raise RuntimeError(f"Argument '{used}' of Node '{node}' does not belong to this Graph")
                if used not in seen:
                    raise RuntimeError(
                        f"Argument '{used}' of Node '{node}' was used before it has been defined! Please "
                        "check that Nodes in the graph are topologically ordered\n" + str(self)
                    )
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen.add(node)
            names.add(node.name)
            if node.op in ("get_attr", "call_module") and self.owning_module is not None:
                _check_target(self.owning_module, node)

    def print_tabular(self) -> None:
        """Prints the nodes as a table."""
        rows = [("opcode", "name", "target", "args", "kwargs")]
        rows += [(n.op, n.name, str(n.target), str(n.args), str(n.kwargs)) for n in self.nodes]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def python_code(self, root_module: str = "self", **options: Any) -> PythonCode:
        """The graph as a function `forward` of Python, and the objects that it names."""
        return _Writer(self, root_module).code()

    def __str__(self) -> str:
        lines = ["graph():"] + [f"    {node.format_node()}" for node in self.nodes]
        return "\n".join(lines)


def _check_target(owner: Any, node: Node) -> None:
    found = owner
    for part in node.target.split("."):
        if not hasattr(found, part):
            raise RuntimeError(
                f"Node {node} target {node.target} references nonexistent attribute {part} of "
                f"{type(owner).__name__}"
            )
        found = getattr(found, part)


def _snake(name: str) -> str:
    """A name in lower case with underscores between its words."""
    return (
        re.sub(r"(?<=[a-z])([A-Z])|(?<!_)([A-Z])(?=[a-z])", r"_\1\2", name).lower().lstrip("_")
        if (name.lower() != name)
        else name
    )


class _Writer:
    """Writes one graph as code."""

    def __init__(self, graph: Graph, root: str) -> None:
        self.graph, self.root = graph, root
        self.globals: dict[str, Any] = {}
        self.last: dict[Node, list[Node]] = {}  # what is used for the last time, by the node that does
        seen: set[Node] = set()
        for node in reversed(graph.nodes):
            self.last[node] = [n for n in node.all_input_nodes if n not in seen]
            seen.update(node.all_input_nodes)
        self.unused = {node for node in graph.nodes if node not in seen}

    def code(self) -> PythonCode:
        """The code."""
        parameters, body, result = [self.root], [], "None"
        for node in self.graph.nodes:
            if node.op == "placeholder":
                parameters.append(self.parameter(node))
                if node.target.startswith("*"):
                    body.append(f"{node.name} = {node.target.lstrip('*')}")
            elif node.op == "output":
                result = self.value(node.args[0])
            else:
                body.append(self.statement(node))
        lines = [*body, f"return {result}"]
        text = "\n".join(f"    {line}" for line in lines)
        return PythonCode(f"\n\n\ndef forward({', '.join(parameters)}):\n{text}\n    ", self.globals)

    def parameter(self, node: Node) -> str:
        """A parameter's name, with its default."""
        name = node.target if node.target.startswith("*") else node.name
        return f"{name} = {self.value(node.args[0])}" if node.args else name

    def statement(self, node: Node) -> str:
        """An assignment to a node's name; what is not needed any more is let go."""
        line = f"{node.name} = {self.call(node)}"
        done = [*self.last[node], *([node] if node in self.unused else [])]
        return f"{line};  {' = '.join(n.name for n in done)} = None" if done else line

    def call(self, node: Node) -> str:
        """What a node does, as an expression."""
        if node.op == "get_attr":
            return self.attribute(node.target)
        if node.op == "call_module":
            return f"{self.attribute(node.target)}({self.arguments(node.args, node.kwargs)})"
        if node.op == "call_method":
            first, *others = node.args
            return f"{self.value(first)}.{node.target}({self.arguments(others, node.kwargs)})"
        target, args = node.target, node.args
        if not node.kwargs:
            if target in _BINARY and len(args) == 2:
                return f"{self.operand(args[0])} {_BINARY[target]} {self.operand(args[1])}"
            if target in _UNARY and len(args) == 1:
                return f"{_UNARY[target]}{self.operand(args[0])}"
            if target is operator.getitem and len(args) == 2:
                return f"{self.value(args[0])}[{self.value(args[1])}]"
            if target is getattr and len(args) == 2 and isinstance(args[1], str) and args[1].isidentifier():
                return f"{self.value(args[0])}.{args[1]}"
        return f"{self.function(target)}({self.arguments(args, node.kwargs)})"

    def operand(self, arg: Any) -> str:
        """A value between operators."""
        text = self.value(arg)
        return f"({text})" if isinstance(arg, (int, float, complex)) and text.startswith("-") else text

    def attribute(self, target: str) -> str:
        """A part of the root, by its path."""
        found = self.root
        for part in target.split("."):
            found = f"{found}.{part}" if part.isidentifier() else f'getattr({found}, "{part}")'
        return found

    def arguments(self, args: Any, kwargs: dict[str, Any]) -> str:
        """The arguments of a call."""
        parts = [self.value(arg) for arg in args]
        parts += [f"{key} = {self.value(value)}" for key, value in kwargs.items()]
        return ", ".join(parts)

    def function(self, target: Any) -> str:
        """A function's name in the code."""
        name = qualified_name(target)
        if getattr(builtins, name, None) is target:
            return name
        top = name.partition(".")[0]
        if top == "torch" and _resolves(name, target):
            self.globals["torch"] = _torch()
            return name
        return self.named(re.sub(r"\W", "_", name), target)

    def named(self, wish: str, thing: Any) -> str:
        """A name of the code's globals for an object."""
        name, number = wish, 0
        while self.globals.get(name, thing) is not thing:
            number += 1
            name = f"{wish}_{number}"
        self.globals[name] = thing
        return name

    def value(self, arg: Any) -> str:
        """An argument as an expression."""
        if isinstance(arg, Node):
            return arg.name
        if isinstance(arg, tuple) and hasattr(arg, "_fields"):
            return f"{self.named(type(arg).__name__, type(arg))}({self.arguments(arg, {})})"
        if isinstance(arg, Size):
            return f"({''.join(f'{n}, ' for n in arg)})"
        if isinstance(arg, tuple):
            parts = ", ".join(map(self.value, arg))
            return f"({parts},)" if len(arg) == 1 else f"({parts})"
        if isinstance(arg, list):
            return f"[{', '.join(map(self.value, arg))}]"
        if isinstance(arg, dict):
            return "{" + ", ".join(f"{key!r}: {self.value(value)}" for key, value in arg.items()) + "}"
        if isinstance(arg, slice):
            return f"slice({', '.join(map(self.value, (arg.start, arg.stop, arg.step)))})"
        if isinstance(arg, (Dtype, Device)):
            self.globals["torch"] = _torch()
            return f"torch.{arg!r}" if isinstance(arg, Device) else repr(arg)
        if isinstance(arg, float) and (arg != arg or arg in (float("inf"), float("-inf"))):
            return f"float('{arg}')"
        if arg is None or isinstance(arg, (bool, int, float, complex, str, bytes, type(...), np.generic)):
            return repr(arg)
        return self.named(getattr(arg, "__name__", type(arg).__name__).replace(".", "_"), arg)


def _torch() -> Any:
    import sys

    return sys.modules["pullback"]


def _resolves(name: str, target: Any) -> bool:
    """Whether code that says `torch.x.y` means a function."""
    found = _torch()
    for part in name.split(".")[1:]:
        found = getattr(found, part, None)
    return found is target


__getattr__ = getter(__name__)
