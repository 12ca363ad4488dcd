"""Steps of a graph that was recorded already, of its nodes: what `explain` and `draw` walk where nothing else
was noted.

A node knows its name and where gradients go; its line only in anomaly mode.
"""

from __future__ import annotations

import re
from typing import Any

from pullback.autograd.anomaly import HERE
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.see.steps import Line, Step

_FRAME = re.compile(r'File "(.+)", line (\d+), in (\S+)')


def node_of(tensor: Tensor) -> Any:
    """The node that the gradient of a tensor goes to, None if it requires none."""
    edge = _engine.gradient_edge(tensor)
    return None if edge is None else edge[0]


def nodes_below(node: Any) -> list[Any]:
    """A node and all that its gradients reach, each once, first those that a pass runs first."""
    found, seen, left = [], {node}, [node]
    while left:
        node = left.pop()
        found.append(node)
        for other, _ in node.next_functions:
            if other is not None and other not in seen:
                seen.add(other)
                left.append(other)
    return sorted(found, key=lambda n: (hasattr(n, "variable"), -n._sequence_nr()))


def op_name(node: Any) -> str:
    """What users call the op of a node: "linalg_vector_norm" for LinalgVectorNormBackward0."""
    if hasattr(node, "variable"):
        return "leaf"
    name = node.name()
    words = re.sub(r"Backward\d*$", "", name)
    if not name[-1].isdigit():  # a custom Function has its own name
        return words
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()


def line_of(node: Any) -> Line | None:
    """The line that made a node, if `explaining` or anomaly mode noted it."""
    step = node.metadata.get("step")
    if step is not None:
        return step.line
    for frame in reversed(node.metadata.get("traceback_", ())):
        match = _FRAME.search(frame)
        if match and not match[1].startswith(HERE):
            return Line(match[1], int(match[2]), match[3])
    return None


def module_of(node: Any) -> tuple[str, ...]:
    """The modules, outer first, within which a node was made, if they were noted."""
    step = node.metadata.get("step")
    return step.module if step is not None else ()


def saved_of(node: Any) -> list[tuple[str, Tensor]]:
    """What a node keeps for the backward pass: names and tensors; none after the graph was freed."""
    found = []
    for name in dir(node):
        if name.startswith("_saved_"):
            try:
                value = getattr(node, name)
            except RuntimeError:  # freed, or overwritten since
                continue
            values = value if isinstance(value, (tuple, list)) else (value,)
            found += [(name[7:], x) for x in values if isinstance(x, Tensor)]
    return found


def steps_of(root: Tensor) -> dict[Any, Step]:
    """A step for each node of the graph of a tensor, that of the tensor itself first."""
    steps: dict[Any, Step] = {}
    nodes = nodes_below(node_of(root))
    for order, node in enumerate(reversed(nodes)):
        edges = [other for other, _ in node.next_functions]
        inputs = [None if other is None else steps[other] for other in edges]
        step = Step(op_name(node), order, line_of(node), inputs, [other is not None for other in edges])
        step.tracked = True
        if hasattr(node, "variable"):
            step.describe(node.variable)
        steps[node] = step
    return dict(reversed(steps.items()))


def watch(steps: dict[Any, Step]) -> list[Any]:
    """Hooks by which the next pass tells the steps what went through; the handles."""
    return [
        node.register_hook(lambda passed, came, step=step: step.saw(passed, came))
        for node, step in steps.items()
        if not step.leaf
    ]
