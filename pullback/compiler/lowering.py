"""From a graph to what runs: where each memory lies, and the acts on it.

What is to be seen afterwards (results, gradients, what a backward pass reads) is new at each run. What is
large is taken when the first step touches it and given back after the last one, so it is there for others
between runs. All else shares one block, planned once: a memory has its place from the first step that touches
it to the last, and places are given first to the largest. Read `Lowered`.
"""

from __future__ import annotations

from typing import Any

from pullback.compiler.graph import Graph, Memory, Step, Value, values_in
from pullback.core._replay import Ref, Replay

__all__ = ["Lowered", "block_size", "lowered"]

ALIGNED = 64
SMALL = 4096
"""Bytes up to which memories are placed one after another."""
LARGE = 1 << 15
"""Bytes from which on a memory is taken for the time in which it is used."""


class Lowered:
    """A replay of a graph, and how its values are numbered."""

    def __init__(self, graph: Graph, given: list[Memory] | None = None) -> None:
        self.graph = graph
        self.memories: list[tuple[str, Any]] = []
        self.memory_numbers: dict[int, int] = {}
        self.values: list[tuple[Any, ...]] = []
        self.value_numbers: dict[tuple[Any, ...], int] = {}
        for memory in graph.given if given is None else given:
            self.add(memory, "given", memory.place)
        fresh = {
            id(value.memory): value for value in graph.kept() if id(value.memory) not in self.memory_numbers
        }
        found = {id(value.memory) for step in graph.steps if step.act[0] == "call" for value in step.act[3]}
        self.touched = [touched(step) for step in graph.steps]
        for memories in self.touched:
            for memory in memories:
                if id(memory) in self.memory_numbers:
                    continue
                if memory.home == "kept":
                    self.add(memory, "kept", memory.array)
                elif id(memory) in found:
                    self.add(memory, "found", None)
                elif id(memory) in fresh:
                    self.add(memory, "fresh", self.number(memory.whole, len(self.memories)))
                elif memory.nbytes >= LARGE:
                    self.add(memory, "late", memory.nbytes)
                else:
                    self.add(memory, "work", None)
        for value in graph.kept():
            if value.memory.home == "kept" and id(value.memory) not in self.memory_numbers:
                self.add(value.memory, "kept", value.memory.array)
        block = self.plan()
        acts, self.firm = self.acts()
        self.size = block + self.most
        for value in graph.kept():
            self.number(value)  # before the replay is made of all that have one
        self.replay = Replay(self.memories, self.values, acts, block)

    def acts(self) -> tuple[list[tuple[Any, ...]], int]:
        """What is done, and the first of it that cannot be taken back. Large memory is taken before its first
        use; it goes after its last one, and so does what calls gave.
        """
        acts: list[tuple[Any, ...]] = []
        firm = None
        kept = {self.memory_numbers[id(value.memory)] for value in self.graph.kept()}
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        sizes: dict[int, int] = {}
        for i, memories in enumerate(self.touched):
            for memory in memories:
                number = self.memory_numbers[id(memory)]
                first.setdefault(number, i)
                last[number] = i
                sizes[number] = memory.nbytes
        begun: dict[int, list[int]] = {}
        over: dict[int, list[int]] = {}
        for number, i in last.items():
            home = self.memories[number][0]
            if home in ("found", "late") and number not in kept:
                over.setdefault(i, []).append(number)
            if home == "late" or (home == "fresh" and sizes[number] >= LARGE):
                begun.setdefault(first[number], []).append(number)
        taken = self.most = 0  # bytes of late memory, now and at most
        for i, step in enumerate(self.graph.steps):
            if i in begun:
                acts.append(("make", begun[i]))
                taken += sum(sizes[n] for n in begun[i] if self.memories[n][0] == "late")
                self.most = max(self.most, taken)
            if step.firm and firm is None:
                firm = len(acts)
            acts.append(self.act(step))
            if i in over:
                acts.append(("release", over[i], over[i]))
                taken -= sum(sizes[n] for n in over[i] if self.memories[n][0] == "late")
        lying: dict[int, list[int]] = {}  # values, by their memory
        for n, value in enumerate(self.values):
            lying.setdefault(value[0], []).append(n)
        for k, act in enumerate(acts):
            if act[0] == "release":
                acts[k] = "release", act[1], [n for number in act[1] for n in lying[number]]
        return acts, len(acts) + 1 if firm is None else firm

    def add(self, memory: Memory, home: str, what: Any) -> None:
        """Gives a memory the next number."""
        self.memory_numbers[id(memory)] = len(self.memories)
        self.memories.append((home, what))

    def number(self, value: Value, memory: int | None = None) -> int:
        """The number of a value."""
        key = id(value.memory), value.offset, value.code, value.shape, value.strides
        found = self.value_numbers.get(key)
        if found is None:
            found = self.value_numbers[key] = len(self.values)
            at = self.memory_numbers[id(value.memory)] if memory is None else memory
            self.values.append((at, value.offset, value.code, value.shape, value.strides))
        return found

    def plan(self) -> int:
        """Places the memories of the block; its size."""
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        sizes: dict[int, int] = {}
        for i, memories in enumerate(self.touched):
            for memory in memories:
                number = self.memory_numbers[id(memory)]
                if self.memories[number][0] == "work":
                    first.setdefault(number, i)
                    last[number] = i
                    sizes[number] = -(-max(memory.nbytes, 1) // ALIGNED) * ALIGNED
        large = sorted((n for n in sizes if sizes[n] > SMALL), key=lambda n: (-sizes[n], first[n]))
        total = 0
        placed: list[tuple[int, int, int, int]] = []  # begin, end, first, last
        for number in large:
            size, since, until = sizes[number], first[number], last[number]
            at = 0
            for begin, end in sorted((b, e) for b, e, f, t in placed if f <= until and since <= t):
                if at + size <= begin:
                    break
                at = max(at, end)
            placed.append((at, at + size, since, until))
            total = max(total, at + size)
            self.memories[number] = ("work", at)
        return self.plan_small(first, last, sizes, total)

    def plan_small(
        self, first: dict[int, int], last: dict[int, int], sizes: dict[int, int], total: int
    ) -> int:
        """Places the small memories behind the others, in the order of steps; a place is taken again by one
        of its size. They are many, and what is lost by it is little.
        """
        free: dict[int, list[int]] = {}
        over: dict[int, list[int]] = {}
        step = 0
        for number in sorted((n for n in sizes if sizes[n] <= SMALL), key=first.__getitem__):
            for i in range(step, first[number]):
                for done in over.pop(i, ()):
                    free.setdefault(sizes[done], []).append(self.memories[done][1])
            step = max(step, first[number])
            size = sizes[number]
            if free.get(size):
                at = free[size].pop()
            else:
                at, total = total, total + size
            self.memories[number] = ("work", at)
            over.setdefault(last[number], []).append(number)
        return total

    def act(self, step: Step) -> tuple[Any, ...]:
        """A step as `Replay` takes it."""
        kind = step.act[0]
        if kind == "loop":
            _, table, code, operands, wide, result = step.act
            return (
                "loop",
                table,
                code,
                tuple(self.operand(x) for x in operands),
                wide,
                self.number(result),
            )
        if kind == "copy":
            return "copy", self.number(step.act[1]), self.number(step.act[2])
        if kind == "chain":
            return "chain", [tuple(map(self.operand, item)) for item in step.act[1]], *step.act[2:]
        if kind == "check":
            return "check", self.number(step.act[1]), step.act[2]
        if kind == "aside":
            _, function, grads, bumps = step.act
            return "aside", function, [(p, -1 if v is None else self.number(v)) for p, v in grads], bumps
        _, function, arguments, results = step.act
        return kind, function, self.referred(arguments), [self.number(v) for v in results]

    def operand(self, x: Any) -> Any:
        """An operand of a loop, or some: a number for a value."""
        if isinstance(x, Value):
            return self.number(x)
        return tuple([self.operand(item) for item in x]) if type(x) is tuple else x

    def referred(self, x: Any) -> Any:
        """Arguments with numbers for values."""
        if isinstance(x, Value):
            return Ref(self.number(x))
        if type(x) in (list, tuple):
            return type(x)([self.referred(item) for item in x])
        return x

    def grads(self) -> list[tuple[int, int]]:
        """The gradients that are left, as `Recording` takes them."""
        return [(p, -1 if v is None else self.number(v)) for p, v in self.graph.grads]


def touched(step: Step) -> list[Memory]:
    """The memories that a step reads or writes, each once."""
    values = (*step.reads, *step.writes, *(values_in(step.act) if step.act[0] != "loop" else step.act[3]))
    found = {id(v.memory): v.memory for v in values if type(v) is Value}
    return list(found.values())


def lowered(graph: Graph) -> Lowered:
    """What runs a graph."""
    return Lowered(graph)


def block_size(graph: Graph) -> int:
    """The bytes that the steps of a graph take one by one, as they do without a plan."""
    seen = {id(v.memory): v.memory for step in graph.steps for v in step.writes}
    return sum(m.nbytes for m in seen.values() if m.home == "work")
