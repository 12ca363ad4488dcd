"""Results of quick steps that are asked for again much later: they are computed again instead of being
kept."""

from __future__ import annotations

import copy
import itertools

from pullback.compiler.graph import Graph, Step, Touches, Value

__all__ = ["with_recomputed"]

LEAST = 1 << 16
"""Bytes: what is smaller may lie around."""
MOST = 16
QUICK = ("loop", "chain", "copy")


def with_recomputed(graph: Graph) -> None:
    """Does quick steps twice whose results would be there, unused, when the most memory is in use.

    What such a step reads must be there at the second time as it was at the first.
    """
    if any(w.memory.nbytes >= LEAST for step in graph.steps for w in step.writes):
        for _ in range(MOST):
            if not one_recomputed(graph):
                break


def one_recomputed(graph: Graph) -> bool:
    """Finds the largest result that need not be there at the peak; False if there is none."""
    touches = Touches(graph)
    first: dict[int, int] = {}
    sizes: dict[int, int] = {}
    reading: dict[int, list[int]] = {}
    for i, step in enumerate(graph.steps):
        for v in (*step.reads, *step.writes):
            if v.memory.home == "work":
                first.setdefault(id(v.memory), i)
                sizes[id(v.memory)] = v.memory.nbytes
        for v in step.reads:
            reading.setdefault(id(v.memory), []).append(i)
    changes = [0] * (len(graph.steps) + 1)
    for m, size in sizes.items():
        changes[first[m]] += size
        if m not in touches.seen:
            changes[touches.last[m] + 1] -= size
    used = list(itertools.accumulate(changes))
    peak = used.index(max(used))
    best = None
    for i, step in enumerate(graph.steps[:peak]):
        if step.act[0] not in QUICK or step.firm or len(step.writes) != 1:
            continue
        made = step.writes[0].memory
        if id(made) in touches.seen or not touches.born(made, i) or sizes[id(made)] < LEAST:
            continue
        asked = reading.get(id(made), [])
        later = next((k for k in asked if k > peak), None)
        if later is None or peak in asked or any(s.act[0] == "aside" for s in graph.steps[i:later]):
            continue
        if not all(stays(v, i, later, touches) for v in step.reads):
            continue
        if best is None or sizes[id(made)] > sizes[id(best[1])]:
            best = i, made, later
    if best is None:
        return False
    i, made, later = best
    again = copy.copy(made)
    again.name, again.array = f"{made.name}r", None
    again.whole = Value(again, 0, made.whole.code, made.whole.shape, made.whole.strides)
    done = graph.steps[i]
    rest = Graph(
        [
            Step(done.name, done.arguments, done.reads, done.writes, done.act, line=done.line),
            *graph.steps[later:],
        ],
        [],
        [],
    )
    rest.replace({id(made): Value(again, 0, -1, (), ())})
    graph.steps[later:] = rest.steps
    return True


def stays(v: Value, i: int, later: int, touches: Touches) -> bool:
    """Whether what a step reads is the same, and there anyway, at a later step."""
    memory = v.memory
    if not all(w <= i for w in touches.writes.get(id(memory), ())):
        return False
    return memory.home != "work" or id(memory) in touches.seen or touches.last[id(memory)] >= later
