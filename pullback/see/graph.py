"""Steps of a graph that was recorded already, of its nodes: what `explain` and `draw` walk where nothing else
was noted.

A node knows its name and where gradients go; its line only in anomaly mode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pullback.autograd.anomaly import HERE
from pullback.autograd.graph import nodes_below
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.see.steps import Line, Step

_FRAME = re.compile(r'File "(.+)", line (\d+), in (\S+)')


def node_of(tensor: Tensor) -> Any:
    """The node that the gradient of a tensor goes to, None if it requires none."""
    edge = _engine.gradient_edge(tensor)
    return None if edge is None else edge[0]


def leaves_of(result: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """The leaves that the graph of a tensor, or of several, leads to."""
    return [node.variable for node in nodes_below(result) if hasattr(node, "variable")]


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


def steps_of(root: Tensor) -> dict[Any, Step]:
    """A step for each node of the graph of a tensor, that of the tensor itself first."""
    steps: dict[Any, Step] = {}
    for order, node in enumerate(reversed(nodes_below(root))):
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
