"""Results that are written over an operand which nobody asks for any more."""

from __future__ import annotations

from typing import Any

from pullback.compiler.graph import Graph, Memory, Step, Touches, Value, in_rows
from pullback.core.dtypes import DTYPES

__all__ = ["in_place"]

LEAST = 4096
"""Bytes: what is smaller is placed among many, where little is lost."""


def in_place(graph: Graph) -> None:
    """Has loops and chains write to the memory of an operand whose last use they are."""
    touches = Touches(graph)
    called = {id(w.memory) for step in graph.steps if step.act[0] == "call" for w in step.writes}
    others: dict[int, Value] = {}
    last = dict(touches.last)
    for i, step in enumerate(graph.steps):
        if step.act[0] not in ("loop", "chain"):
            continue
        taken = {id(w.memory) for w in step.writes}
        for w in step.writes:
            made = w.memory
            if not (free(made, touches, called) and touches.writes[id(made)][0] == i and covers(w)):
                continue
            for v in step.reads:
                other = others.get(id(v.memory))
                memory = v.memory if other is None else other.memory
                if (
                    free(memory, touches, called)
                    and last[id(memory)] == i
                    and id(memory) not in taken
                    and covers(v)
                    and DTYPES[v.code].itemsize == DTYPES[w.code].itemsize
                    and v.memory.nbytes == made.nbytes
                    and read_before(step, v.memory, made)
                ):
                    others[id(made)] = Value(memory, 0, made.whole.code, made.whole.shape, made.whole.strides)
                    last[id(memory)] = last[id(made)]
                    taken.add(id(memory))
                    break
    graph.replace(others)


def free(memory: Memory, touches: Touches, called: set[int]) -> bool:
    """Whether a memory is the recording's own, and planned."""
    return (
        memory.home == "work"
        and memory.nbytes >= LEAST
        and id(memory) not in touches.seen
        and id(memory) not in called
        and id(memory) in touches.writes
    )


def covers(v: Value) -> bool:
    """Whether a value is all of its memory, in rows."""
    return not v.offset and in_rows(v) and v.shape == v.memory.whole.shape


def read_before(step: Step, operand: Memory, made: Memory) -> bool:
    """Whether each element of an operand is read before the result's is written there."""
    if step.act[0] == "loop":
        return all(not mentions(x, operand) or covers(x) for x in step.act[3])
    written = False
    for item in step.act[1]:
        asked: tuple[Any, ...] = (item[1],) if item[0] == "spread" else item[3]
        for x in asked:
            if mentions(x, operand) and (written or item[0] == "spread" or not covers(x)):
                return False
        written = written or (item[0] != "spread" and mentions(item[4], made))
    return True


def mentions(x: Any, memory: Memory) -> bool:
    """Whether an operand lies in a memory."""
    return type(x) is Value and x.memory is memory
