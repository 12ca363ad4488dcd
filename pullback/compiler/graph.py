"""The graph form: what a call did to memory, as a list of steps.

    Memory   a block of bytes: an input's, a constant's, or one that a step makes
    Value    how a tensor lies in a memory: offset, dtype, shape, strides
    Step     an op, its arguments with values for tensors, the values that it reads and writes, and its act:
    how it
             is done, as `Replay` (pullback/core/_replay.pyx) takes it
    Graph    the steps in order, the inputs, and what is to be seen in the end

Views are no steps: they are values. Writes in place, `out=`, `.data` and `detach` need no rule of their own,
since values are places in memory. A pass is a function of a Graph; the order of steps is the order of the
program.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pullback.core._engine import Seen
from pullback.core.dtypes import DTYPES

__all__ = ["Graph", "Memory", "Step", "Touches", "Value", "found_in", "in_rows", "size_of", "values_in"]


class Memory:
    """A block of bytes. `home` is "given", "kept" or "work"; `place` counts the given ones.

    `array` is what it was when it was recorded, None once that is over, unless it is kept; `whole` says how
    that lay.
    """

    __slots__ = ("array", "high", "home", "low", "name", "place", "start", "whole")

    def __init__(self, home: str, t: Seen, place: int, name: str) -> None:
        a = t.array
        self.array: Any = a
        self.home, self.start, self.low, self.high = home, t.start, t.low, t.high
        self.place, self.name = place, name
        self.whole = Value(self, 0, t.code, a.shape, a.strides)

    @property
    def nbytes(self) -> int:
        """How many bytes it has."""
        return self.high - self.low

    def __repr__(self) -> str:
        return self.name


class Value:
    """A place in a memory, and how the elements lie there; offset and strides in bytes."""

    __slots__ = ("code", "memory", "offset", "shape", "strides")

    def __init__(
        self, memory: Memory, offset: int, code: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ) -> None:
        self.memory, self.offset, self.code, self.shape, self.strides = memory, offset, code, shape, strides

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other values."""
        return id(self.memory), self.offset, self.code, self.shape, self.strides

    def __repr__(self) -> str:
        return f"%{self.memory.name}" + (f"+{self.offset}" if self.offset else "")


class Step:
    """An op that was done. `act` begins with "loop", "plan", "call", "copy" or "aside"; see `Replay`."""

    __slots__ = ("act", "arguments", "firm", "line", "name", "reads", "writes")

    def __init__(
        self,
        name: str,
        arguments: Any,
        reads: list[Value],
        writes: list[Value],
        act: tuple[Any, ...],
        firm: bool = False,
        line: str = "",
    ) -> None:
        self.name, self.arguments, self.reads, self.writes = name, arguments, reads, writes
        self.act, self.firm, self.line = act, firm, line

    def __repr__(self) -> str:
        made = ", ".join(map(repr, self.writes))
        kinds = ", ".join(f"{DTYPES[v.code].name}{list(v.shape)}" for v in self.writes)
        arguments = ", ".join(map(shown, self.arguments))
        return f"{made} = {self.name}({arguments})" + (f"  # {kinds}" if kinds else "")


class Graph:
    """Steps, and what of them is to be seen: `outputs`, and `grads`, pairs of an input and a value or None.

    `bumps` are pairs of an input and how often it was written to. `saved` is what a backward pass reads.
    """

    def __init__(self, steps: list[Step], given: list[Memory], outputs: list[Value]) -> None:
        self.steps, self.given, self.outputs = steps, given, outputs
        self.grads: list[tuple[int, Value | None]] = []
        self.bumps: list[tuple[int, int]] = []
        self.saved: list[Value] = []

    def kept(self) -> Iterator[Value]:
        """The values that are to be seen when the steps are done, or in the midst of them."""
        yield from self.outputs
        yield from self.saved
        for _, value in self.grads:
            if value is not None:
                yield value
        for step in self.steps:
            if step.act[0] == "aside":
                yield from step.reads

    def replace(self, others: dict[int, Value]) -> None:
        """Has values lie in other memories: by the id of a memory the value that it is from now on.

        That has the same elements in the same order in rows; what lay at an offset lies so from where it
        begins.
        """

        moved: dict[int, tuple[Value, Value]] = {}  # by the ids of values: these, and what they become

        def placed(x: Any) -> Any:
            kind = type(x)
            if kind is Value:
                if id(x.memory) not in others:
                    return x
                pair = moved.get(id(x))
                if pair is None:
                    memory, offset = x.memory, x.offset
                    while (other := others.get(id(memory))) is not None:
                        memory, offset = other.memory, offset + other.offset
                    pair = moved[id(x)] = x, Value(memory, offset, x.code, x.shape, x.strides)
                return pair[1]
            if kind is list:
                return [placed(item) for item in x]
            return tuple([placed(item) for item in x]) if kind is tuple else x

        if not others:
            return
        for step in self.steps:
            for v in (*step.reads, *step.writes):
                if id(v.memory) in others:
                    step.arguments, step.act = placed(step.arguments), placed(step.act)
                    step.reads, step.writes = placed(step.reads), placed(step.writes)
                    break
        self.outputs, self.grads, self.saved = placed(self.outputs), placed(self.grads), placed(self.saved)

    def __repr__(self) -> str:
        lines = [f"inputs {', '.join(f'%{m.name}' for m in self.given)}", *map(repr, self.steps)]
        lines += [f"grad of %{self.given[place].name} = {value}" for place, value in self.grads]
        return "\n".join([*lines, f"return {', '.join(map(repr, self.outputs))}"])


class Touches:
    """Where in a graph memories are written and touched at all, by their ids.

    A step of an optimizer may write to what it is given. `seen` are those that are not to be one with others.
    """

    def __init__(self, graph: Graph) -> None:
        self.writes: dict[int, list[int]] = {}
        self.last: dict[int, int] = {}
        self.seen = {id(value.memory) for value in graph.kept()}
        for i, step in enumerate(graph.steps):
            for v in step.reads:
                self.last[id(v.memory)] = i
            for v in step.reads if step.act[0] == "aside" else step.writes:
                self.last[id(v.memory)] = i
                written = self.writes.setdefault(id(v.memory), [])
                if not written or written[-1] != i:
                    written.append(i)

    def born(self, memory: Memory, i: int) -> bool:
        """Whether a memory is the call's own, and a step is the only one that writes to it."""
        return memory.home == "work" and self.writes.get(id(memory)) == [i]

    def stays(self, memory: Memory, i: int) -> bool:
        """Whether nothing is written to a memory after a step."""
        return self.writes.get(id(memory), [-1])[-1] <= i


def in_rows(v: Value) -> bool:
    """Whether a value is contiguous."""
    step = DTYPES[v.code].itemsize
    for n, stride in zip(reversed(v.shape), reversed(v.strides), strict=False):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


def size_of(v: Value) -> int:
    """How many elements a value has."""
    return math.prod(v.shape)


def values_in(x: Any) -> list[Value]:
    """The values among arguments, in order."""
    return found_in(x, Value)


def found_in(x: Any, wanted: type) -> list[Any]:
    """What is of a type among arguments, and in lists and tuples of them, in order."""
    kind = type(x)
    if kind is wanted:
        return [x]
    if kind is list or kind is tuple:
        return [value for item in x for value in found_in(item, wanted)]
    return []


def shown(x: Any) -> str:
    """An argument, briefly."""
    text = repr(x)
    return text if len(text) < 60 else text[:57] + "..."
