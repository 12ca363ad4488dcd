"""Passes: functions that take a Graph and leave a better one that does the same. A file each."""

from __future__ import annotations

from pullback.compiler.graph import Graph
from pullback.compiler.passes.chains import with_chains
from pullback.compiler.passes.constants import with_constants
from pullback.compiler.passes.copies import without_copies
from pullback.compiler.passes.dead import without_dead
from pullback.compiler.passes.equal import without_equal
from pullback.compiler.passes.in_place import in_place
from pullback.compiler.passes.order import in_order
from pullback.compiler.passes.recomputed import with_recomputed

__all__ = ["PASSES", "improved"]

PASSES = (
    with_constants,
    without_copies,
    without_equal,
    without_dead,
    with_chains,
    in_order,
    with_recomputed,
    in_place,
)


def improved(graph: Graph) -> Graph:
    """A graph after all passes."""
    for do in PASSES:
        do(graph)
    return graph
