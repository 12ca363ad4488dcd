"""Copies of what stays as it is, and arithmetic that changes nothing: what was copied is read instead. Others
are plain copies of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.compiler.graph import Graph, Step, Touches, Value, in_rows, size_of
from pullback.core.dtypes import DTYPES

__all__ = ["without_copies"]

COPIES = ("clone", "copy", "unsafe_view")


def without_copies(graph: Graph) -> None:
    """Takes out the steps that give what they get, where nobody can tell the two apart."""
    touches = Touches(graph)
    others: dict[int, Value] = {}
    left: list[Step] = []
    for i, step in enumerate(graph.steps):
        source = copied(step)
        while source is not None and (other := others.get(id(source.memory))) is not None:
            source = Value(
                other.memory, other.offset + source.offset, source.code, source.shape, source.strides
            )
        if source is not None and removable(step.writes[0], source, i, touches):
            a, b = id(source.memory), id(step.writes[0].memory)
            touches.last[a] = max(touches.last[a], touches.last[b])
            if b in touches.seen:
                touches.seen.add(a)
                touches.writes[a] = [*touches.writes[a], *touches.writes[b][1:]]
            others[b] = source
        else:
            step.act = moved(step) or step.act
            left.append(step)
    graph.steps[:] = left
    graph.replace(others)


def copied(step: Step) -> Value | None:
    """What a step gives again, element for element, in the same order."""
    if step.firm or len(step.writes) != 1 or step.act[0] not in ("loop", "plan", "call", "copy"):
        return None
    made = step.writes[0]
    source = None
    if step.name in COPIES and len(step.reads) == 1:
        source = step.reads[0]
    elif step.name in ("mul", "times") and len(step.arguments) >= 2:
        first, second = step.arguments[:2]
        source = first if is_one(second) else second if is_one(first) else None
    elif step.name in ("div", "over") and len(step.arguments) == 2 and is_one(step.arguments[1]):
        source = step.arguments[0]
    if type(source) is not Value or (DTYPES[made.code].is_complex and step.name not in COPIES):
        return None
    if source.code != made.code or size_of(source) != size_of(made):
        return None
    if source.shape == made.shape and source.strides == made.strides:
        return source
    rows = in_rows(source) and in_rows(made) and (source.shape == made.shape or step.name == "unsafe_view")
    return source if rows else None


def moved(step: Step) -> tuple[Any, ...] | None:
    """A copy that stays as the act of one, where it is an op that is called."""
    if step.act[0] != "call" or step.name not in COPIES or len(step.reads) != 1 or len(step.writes) != 1:
        return None
    source, made = step.reads[0], step.writes[0]
    if source.code != made.code or size_of(source) != size_of(made) or not in_rows(made):
        return None
    strides, step_size = [], DTYPES[made.code].itemsize
    for n in reversed(source.shape):
        strides.append(step_size)
        step_size *= n
    rows = Value(made.memory, made.offset, made.code, source.shape, tuple(strides[::-1]))
    return "copy", source, rows


def is_one(x: Any) -> bool:
    """Whether an operand is the number one, everywhere."""
    if type(x) is Value:
        return x.memory.home == "kept" and size_of(x) != 0 and bool(np.all(x.memory.array == 1))
    return type(x) in (int, float, bool) and x == 1


def removable(made: Value, source: Value, i: int, touches: Touches) -> bool:
    """Whether what a step makes may be what it was made of."""
    a, b = source.memory, made.memory
    if b.home != "work" or touches.writes[id(b)][0] != i or made.offset or not in_rows(made):
        return False
    alone = touches.last[id(a)] <= i and id(a) in touches.writes and id(a) not in touches.seen
    if id(b) in touches.seen:
        return alone and not source.offset and a.nbytes == b.nbytes
    return alone or (touches.writes[id(b)] == [i] and touches.stays(a, i))
