"""`torch.fx.GraphModule`: a module whose `forward` is the code of a graph."""

from __future__ import annotations

import copy
import linecache
from typing import Any

from pullback import nn
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.fx.graph import Graph
from pullback.fx.node import Node, map_arg

__all__ = ["GraphModule", "reduce_graph_module"]

_files = 0


def _compiled(code: Any) -> Any:
    """The function that code defines; tracebacks show its lines."""
    global _files
    _files += 1
    name = f"<eval_with_key>.{_files}"
    linecache.cache[name] = (len(code.src), None, code.src.splitlines(keepends=True), name)
    world = dict(code.globals)
    exec(compile(code.src, name, "exec"), world)
    return world["forward"]


class GraphModule(nn.Module):
    """A module made of a graph: it has what the graph names of `root`, a module or a dict, and runs its code.

    After a change of the graph, `recompile` writes its code anew.

    >>> import pullback as torch
    >>> graph = torch.fx.Graph()
    >>> y = graph.call_method("neg", (graph.placeholder("x"),))
    >>> _ = graph.output(y)
    >>> torch.fx.GraphModule(torch.nn.Module(), graph)(torch.ones(2))
    tensor([-1., -1.])
    """

    _graph: Graph
    _code: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        for known in cls.__mro__:
            if known.__qualname__.rpartition(".")[2] != "GraphModuleImpl":
                cls = known
                break

        class GraphModuleImpl(cls):  # type: ignore[misc, valid-type]
            pass

        return super().__new__(GraphModuleImpl)

    def __init__(self, root: Any, graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        type(self).__name__ = class_name
        if isinstance(root, nn.Module):
            self.training = root.training
        for node in graph.nodes:
            if node.op in ("get_attr", "call_module"):
                self._take(root, node)
        self.graph = graph
        self._tracer_cls = graph._tracer_cls
        self.meta: dict[str, Any] = {}

    def _take(self, root: Any, node: Node) -> None:
        """Copies what a node names from the root."""
        *above, last = node.target.split(".")
        if isinstance(root, dict):
            if node.target not in root:
                raise RuntimeError(
                    f"Node {node} referenced target {node.target} but that target was not provided in `root`!"
                )
            value = root[node.target]
        else:
            value = root
            for part in (*above, last):
                value = getattr(value, part, None)
        if value is None and last not in vars(self):
            return
        holder: Any = self
        for part in above:
            inner = holder._modules.get(part)
            if inner is None:
                inner = nn.Module()
                holder.add_module(part, inner)
            holder = inner
        if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
            holder.register_buffer(last, value)
        else:
            setattr(holder, last, value)

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        if not isinstance(g, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(g)}")
        self._graph = copy.deepcopy(g) if g.owning_module not in (None, self) else g
        g.owning_module = self
        self._graph.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The code of the graph."""
        return self._code

    def recompile(self) -> Any:
        """Writes the code of the graph anew, and runs it from now on."""
        code = self._graph.python_code("self")
        self._code = code.src
        type(self).forward = _compiled(code)
        return code

    def print_readable(self, print_output: bool = True, **options: Any) -> str:
        """The code as text, printed unless told otherwise."""
        lines = [line for line in self._code.splitlines() if line.strip()]
        text = f"class {self._get_name()}(torch.nn.Module):\n" + "".join(f"    {line}\n" for line in lines)
        if print_output:
            print(text)
        return text

    def add_submodule(self, target: str, m: nn.Module) -> bool:
        """Adds a module at a path; False where something else is in the way."""
        *above, last = target.split(".")
        holder: Any = self
        for part in above:
            inner = getattr(holder, part, None)
            if inner is None:
                inner = nn.Module()
                setattr(holder, part, inner)
            if not isinstance(inner, nn.Module):
                return False
            holder = inner
        holder.add_module(last, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Takes out the module at a path; False where there is none."""
        above, _, last = target.rpartition(".")
        try:
            holder = self.get_submodule(above)
        except AttributeError:
            return False
        if not isinstance(getattr(holder, last, None), nn.Module):
            return False
        delattr(holder, last)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Takes out the modules that no node names, nor anything below or above them."""
        used: set[str] = set()
        for node in self._graph.nodes:
            if node.op in ("get_attr", "call_module"):
                parts = node.target.split(".")
                used.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
                if node.op == "call_module":
                    found = dict(self.named_modules()).get(node.target)
                    if found is not None:
                        used.update(f"{node.target}.{name}" for name, _ in found.named_modules())
        for name in [name for name, _ in self.named_modules()]:
            if name and name not in used:
                self.delete_submodule(name)

    def __deepcopy__(self, memo: Any) -> GraphModule:
        body = {name: value for name, value in vars(self).items() if name != "_graph"}
        holder = nn.Module()
        vars(holder).update(copy.deepcopy(body, memo))
        made = _base(type(self))(holder, copy.deepcopy(self._graph), self._get_name())
        vars(made).update({name: value for name, value in vars(holder).items() if name != "_code"})
        made.recompile()
        return made

    def __reduce__(self) -> Any:
        body = {name: value for name, value in vars(self).items() if name not in ("_graph", "_code")}
        return reduce_graph_module, (_base(type(self)), body, _stored(self._graph), self._get_name())

    def __str__(self) -> str:
        text = nn.Module.__repr__(self)
        return f"{text}\n{self._code}\n# To see more debug info, please use `graph_module.print_readable()`"

    def __copy__(self) -> GraphModule:
        return _base(type(self))(self, copy.deepcopy(self._graph), self._get_name())


def _base(cls: type) -> Any:
    return next(known for known in cls.__mro__ if not known.__qualname__.endswith("GraphModuleImpl"))


def _stored(graph: Graph) -> list[tuple[Any, ...]]:
    """The nodes as a flat list, for pickles."""
    places = {node: place for place, node in enumerate(graph.nodes)}

    def place_of(node: Node) -> _Place:
        return _Place(places[node])

    return [
        (n.op, n.name, n.target, map_arg(n.args, place_of), map_arg(n.kwargs, place_of), n.type)
        for n in graph.nodes
    ]


class _Place:
    """Where a node stands in a stored graph."""

    def __init__(self, place: int) -> None:
        self.place = place


def reduce_graph_module(cls: Any, body: dict[str, Any], stored: list[tuple[Any, ...]], name: str) -> Any:
    """The module that a pickle holds."""
    from pullback.fx.node import map_aggregate

    graph = Graph()
    nodes: list[Node] = []
    for op, node_name, target, args, kwargs, kind in stored:
        found = map_aggregate((args, kwargs), lambda x: nodes[x.place] if isinstance(x, _Place) else x)
        nodes.append(graph.create_node(op, target, found[0], found[1], node_name, kind))
    holder = nn.Module()
    vars(holder).update(body)
    made = cls(holder, graph, name)
    vars(made).update(body)
    return made


__getattr__ = getter(__name__)
