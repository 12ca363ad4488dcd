"""`torch.fx.replace_pattern`: puts one part of a graph in place of each that looks like a pattern."""

from __future__ import annotations

from typing import Any, NamedTuple

from pullback.face.absent import getter
from pullback.fx._symbolic_trace import symbolic_trace
from pullback.fx.graph import Graph
from pullback.fx.graph_module import GraphModule
from pullback.fx.node import Node

__all__ = ["Match", "replace_pattern"]


class Match(NamedTuple):
    """Where a pattern was found: the node that is its result, and the node for each of the pattern's."""

    anchor: Node
    nodes_map: dict[Node, Node]


def _graph(thing: Any) -> Graph:
    if isinstance(thing, Graph):
        return thing
    graph: Graph = thing.graph if isinstance(thing, GraphModule) else symbolic_trace(thing).graph
    return graph


def _matches(pattern: Any, found: Any, known: dict[Node, Node]) -> bool:
    """Whether an argument looks like the pattern's; nodes are noted in `known`."""
    if isinstance(pattern, Node):
        if not isinstance(found, Node):
            return False
        if pattern in known:
            return known[pattern] is found
        if pattern.op != "placeholder":
            same = pattern.op == found.op and pattern.target == found.target
            if not same or not _matches(pattern.args, found.args, known):
                return False
            if not _matches(pattern.kwargs, found.kwargs, known):
                return False
        known[pattern] = found
        return True
    if isinstance(pattern, (tuple, list)):
        return (
            isinstance(found, (tuple, list))
            and len(pattern) == len(found)
            and all(_matches(p, f, known) for p, f in zip(pattern, found, strict=True))
        )
    if isinstance(pattern, dict):
        return pattern.keys() == found.keys() and all(_matches(pattern[k], found[k], known) for k in pattern)
    return type(pattern) is type(found) and pattern == found


def replace_pattern(gm: GraphModule, pattern: Any, replacement: Any) -> list[Match]:
    """Puts `replacement` in place of each part of a module's graph that looks like `pattern`.

    Both are functions, modules or graphs with the same parameters and one result. Returns where it was found.
    """
    wanted, new = _graph(pattern), _graph(replacement)
    result = wanted.output_node().args[0]
    if not isinstance(result, Node):
        raise RuntimeError("a pattern must give one value")
    inner = [n for n in wanted.nodes if n.op not in ("placeholder", "output")]
    parameters = [n for n in wanted.nodes if n.op == "placeholder"]
    found: list[Match] = []
    for node in list(gm.graph.nodes):
        known: dict[Node, Node] = {}
        if node._erased or not _matches(result, node, known):
            continue
        within = {known[n] for n in inner}
        if any(user not in within for n in inner if n is not result for user in known[n].users):
            continue  # others need what stands within
        given = [known[p] for p in parameters]
        values = dict(zip((n for n in new.nodes if n.op == "placeholder"), given, strict=True))
        with gm.graph.inserting_before(node):
            made = gm.graph.graph_copy(new, values)
        for user in [user for user in node.users if user not in within]:
            user.replace_input_with(node, made)
        for n in reversed(inner):
            gm.graph.erase_node(known[n])
        found.append(Match(node, known))
    gm.recompile()
    return found


__getattr__ = getter(__name__)
