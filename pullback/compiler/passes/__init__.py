"""Passes: functions that take a Graph and leave a better one that does the same. A file each."""

from __future__ import annotations

from pullback.compiler.graph import Graph
from pullback.compiler.passes.chains import with_chains
from pullback.compiler.passes.dead import without_dead

__all__ = ["improved"]


def improved(graph: Graph) -> Graph:
    """A graph after all passes."""
    without_dead(graph)
    with_chains(graph)
    return graph
