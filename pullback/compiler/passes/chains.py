"""Elementwise loops that follow one another, done block by block."""

from __future__ import annotations

from typing import Any

from pullback.compiler.graph import Graph, Step, Value
from pullback.core.dtypes import DTYPES

__all__ = ["with_chains"]

LEAST = 4096
"""Elements: what is shorter stays in the cache anyway."""
MOST_LOOPS = 24
MOST_PLACES = 48


def with_chains(graph: Graph) -> None:
    """Makes one step of loops over contiguous operands of one shape that stand side by side.

    What only they ask for lies in scratch memory, a block of it at a time.
    """
    kept = {id(v.memory) for v in graph.kept()}
    uses: dict[int, int] = {}
    for step in graph.steps:
        for v in (*step.reads, *step.writes):
            uses[id(v.memory)] = uses.get(id(v.memory), 0) + 1
    left: list[Step] = []
    group: list[Step] = []

    def close() -> None:
        left.extend(group if len(group) < 2 else [joined(group, kept, uses)])
        group.clear()

    for step in graph.steps:
        if not (fits(step) and (not group or goes_on(group, step))):
            close()
        if fits(step):
            group.append(step)
        else:
            left.append(step)
    close()
    graph.steps[:] = left


def fits(step: Step) -> bool:
    """Whether a step is a loop over contiguous operands, or single ones."""
    if step.act[0] != "loop" or step.act[4]:
        return False
    out = step.act[5]
    return (
        size_of(out) >= LEAST
        and in_rows(out)
        and all(
            isinstance(x, bytes) or not x.shape or (x.shape == out.shape and in_rows(x)) for x in step.act[3]
        )
    )


def goes_on(group: list[Step], step: Step) -> bool:
    """Whether a loop may be done block by block with those before it."""
    out = step.act[5]
    if out.shape != group[0].act[5].shape or len(group) >= MOST_LOOPS:
        return False
    before = [v for s in group for v in (*s.reads, *s.writes)]
    places = {v.key for v in before} | {x for s in group for x in s.act[3] if isinstance(x, bytes)}
    if len(places) + len(step.act[3]) + 1 > MOST_PLACES:
        return False
    written = [w for s in group for w in s.writes]
    return not any(
        a.memory is b.memory and (a.offset != b.offset or a.code != b.code or a.shape != b.shape)
        for many, few in ((written, (*step.reads, out)), (before, (out,)))
        for a in many
        for b in few
    )


def joined(group: list[Step], kept: set[int], uses: dict[int, int]) -> Step:
    """One step for some loops."""
    here: dict[int, int] = {}
    for step in group:
        for v in (*step.reads, *step.writes):
            here[id(v.memory)] = here.get(id(v.memory), 0) + 1
    blocks: dict[int, int] = {}
    sizes: list[int] = []
    for step in group:
        out = step.act[5]
        memory = out.memory
        alone = memory.home == "work" and id(memory) not in kept and uses[id(memory)] == here[id(memory)]
        if alone and id(memory) not in blocks and first_is_write(group, memory):
            blocks[id(memory)] = len(blocks)
            sizes.append(DTYPES[out.code].itemsize)

    def placed(x: Any) -> Any:
        return -1 - blocks[id(x.memory)] if isinstance(x, Value) and id(x.memory) in blocks else x

    loops = [(s.act[1], s.act[2], tuple(placed(x) for x in s.act[3]), placed(s.act[5])) for s in group]
    reads = [v for s in group for v in s.reads if id(v.memory) not in blocks]
    writes = [v for s in group for v in s.writes if id(v.memory) not in blocks]
    shaped = writes[0] if writes else group[0].act[5]
    act = ("chain", loops, len(blocks), shaped, tuple(sizes))
    names = "+".join(s.name for s in group)
    return Step(
        names,
        tuple(dict.fromkeys(map(repr, reads))),
        reads,
        writes,
        act,
        any(s.firm for s in group),
        group[0].line,
    )


def first_is_write(group: list[Step], memory: Any) -> bool:
    """Whether a memory is written before it is read."""
    for step in group:
        if any(v.memory is memory for v in step.reads):
            return False
        if any(v.memory is memory for v in step.writes):
            return True
    return False


def size_of(v: Value) -> int:
    """How many elements a value has."""
    count = 1
    for n in v.shape:
        count *= n
    return count


def in_rows(v: Value) -> bool:
    """Whether a value is contiguous."""
    step = DTYPES[v.code].itemsize
    for n, stride in zip(reversed(v.shape), reversed(v.strides), strict=False):
        if n != 1 and stride != step:
            return False
        step *= n
    return True
