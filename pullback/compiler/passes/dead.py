"""Steps whose results nobody reads."""

from __future__ import annotations

from pullback.compiler.graph import Graph

__all__ = ["without_dead"]


def without_dead(graph: Graph) -> None:
    """Takes out the steps that only write what is neither read later nor seen in the end."""
    wanted = {id(value.memory) for value in graph.kept()}
    left = []
    for step in reversed(graph.steps):
        if step.firm or step.act[0] == "check" or any(id(v.memory) in wanted for v in step.writes):
            left.append(step)
            wanted.update(id(v.memory) for v in step.reads)
    graph.steps[:] = left[::-1]
