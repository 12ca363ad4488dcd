"""Steps that give the same at each run: their results are kept."""

from __future__ import annotations

from pullback.compiler.graph import Graph, Memory, Step, Touches, Value
from pullback.core._engine import seen_of

__all__ = ["with_constants"]

MOST = 1 << 16
"""Bytes: what is larger is made anew."""
FILLS = ("full_like", "zeros_like")
"""Ops that ask for the layout of what they get, not for its numbers."""


def with_constants(graph: Graph) -> None:
    """Keeps the results of steps that read constants alone."""
    touches = Touches(graph)
    others: dict[int, Value] = {}
    left: list[Step] = []
    for i, step in enumerate(graph.steps):
        if (
            step.act[0] in ("loop", "plan", "call", "copy")
            and not step.firm
            and step.writes
            and (step.name in FILLS or all(constant(v, others, touches) for v in step.reads))
            and all(
                touches.born(w.memory, i) and id(w.memory) not in touches.seen and w.memory.nbytes <= MOST
                for w in step.writes
            )
        ):
            for w in step.writes:
                others[id(w.memory)] = kept(w.memory)
        else:
            left.append(step)
    graph.steps[:] = left
    graph.replace(others)


def constant(v: Value, others: dict[int, Value], touches: Touches) -> bool:
    """Whether a value is the same at each run."""
    return id(v.memory) in others or (v.memory.home == "kept" and id(v.memory) not in touches.writes)


def kept(memory: Memory) -> Value:
    """A memory of the recording's own, with what it held when it was recorded."""
    return Value(Memory("kept", seen_of(memory.array.copy("K")), 0, memory.name), 0, -1, (), ())
