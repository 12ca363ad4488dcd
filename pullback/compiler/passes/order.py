"""Steps after which memory is free, done before those that take some."""

from __future__ import annotations

from pullback.compiler.graph import Graph, Memory, Step, Touches

__all__ = ["in_order"]

LEAST = 1 << 16
"""Bytes: what is smaller is not worth it."""
FIXED = ("aside", "check")


def in_order(graph: Graph) -> None:
    """Exchanges neighbours where less memory is in use so, unless one asks for what the other does."""
    touches = Touches(graph)
    # By the id of a memory those of the step that makes it, and of the last one that touches it.
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    large: dict[int, Memory] = {}
    for step in graph.steps:
        for v in (*step.reads, *step.writes):
            m = v.memory
            if m.home == "work" and m.nbytes >= LEAST:
                large[id(m)] = m
                first.setdefault(id(m), id(step))
                if id(m) not in touches.seen:
                    last[id(m)] = id(step)
    if not large:
        return

    def taken(step: Step) -> int:
        return sum(large[m].nbytes for m in asked(step, large) if first[m] == id(step))

    def freed(step: Step) -> int:
        return sum(large[m].nbytes for m in asked(step, large) if last.get(m) == id(step))

    steps = graph.steps
    for k in range(1, len(steps)):
        i = k
        while i and are_free(steps[i - 1], steps[i]):
            before, after = steps[i - 1], steps[i]
            both = [m for m in asked(before, large) & asked(after, large) if last.get(m) == id(after)]
            common = sum(large[m].nbytes for m in both)
            now = max(taken(before), taken(before) - freed(before) + taken(after))
            then = max(taken(after), taken(after) - freed(after) + common + taken(before))
            if then >= now:
                break
            steps[i - 1], steps[i] = after, before
            last.update((m, id(before)) for m in both)
            i -= 1


def asked(step: Step, large: dict[int, Memory]) -> set[int]:
    """The large memories that a step touches."""
    return {id(v.memory) for v in (*step.reads, *step.writes)} & large.keys()


def are_free(before: Step, after: Step) -> bool:
    """Whether the order of two steps is of no account."""
    if before.firm or after.firm or before.act[0] in FIXED or after.act[0] in FIXED:
        return False
    written = {id(v.memory) for v in before.writes}
    if any(id(v.memory) in written for v in (*after.reads, *after.writes)):
        return False
    read = {id(v.memory) for v in before.reads}
    return not any(id(v.memory) in read for v in after.writes)
