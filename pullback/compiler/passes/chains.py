"""Elementwise loops that follow one another, done block by block."""

from __future__ import annotations

from typing import Any

from pullback.compiler.graph import Graph, Memory, Step, Touches, Value, in_rows, size_of
from pullback.core._engine import REGISTRY
from pullback.core._plans import Spec
from pullback.core.dtypes import DTYPES

__all__ = ["with_chains"]

LEAST = 4096
"""Elements: what is shorter stays in the cache anyway."""
MOST_LOOPS = 128
MOST_PLACES = 240
MOST_BETWEEN = 16
"""Other steps over which a loop is moved to those before them."""
CACHED = 1 << 15
"""Bytes that a block of all operands and slots may take."""


def with_chains(graph: Graph) -> None:
    """Makes one step of loops over one shape, which stand side by side or may be moved so.

    What only they ask for lies in slots of scratch memory, a block of it at a time. Operands that are
    repeated, or strided, are laid out in slots. A change of dtype is a loop, too.
    """
    touches = Touches(graph)
    last: dict[int, Step] = {}
    for step in graph.steps:
        for v in (*step.reads, *step.writes):
            last[id(v.memory)] = step
    left: list[Step] = []
    group: list[Step] = []
    between: list[Step] = []

    def close() -> None:
        seen = touches.seen.union(id(v.memory) for s in between for v in (*s.reads, *s.writes))
        left.extend(group if len(group) < 2 else [joined(group, seen, last)])
        left.extend(between)
        group.clear()
        between.clear()

    for step in graph.steps:
        if fits(step):
            if group and not (goes_on(group, step) and passes(between, step)):
                close()
            group.append(step)
        elif group and step.act[0] != "aside" and len(between) < MOST_BETWEEN:
            between.append(step)
        else:
            close()
            left.append(step)
    close()
    graph.steps[:] = left


def fits(step: Step) -> bool:
    """Whether a step makes something in rows of operands that can be laid out so, or single ones."""
    if len(step.writes) != 1 or size_of(step.writes[0]) < LEAST or not in_rows(step.writes[0]):
        return False
    if is_cast(step):
        return in_rows(step.reads[0])
    return step.act[0] == "loop" and not step.act[4]


def is_cast(step: Step) -> bool:
    """Whether a step is a change of dtype and no more."""
    return step.name == "to_copy" and step.act[0] == "plan" and step.reads[0].shape == step.writes[0].shape


def operands_of(step: Step) -> tuple[Any, ...]:
    """The operands of a loop, or of a change of dtype."""
    return tuple(step.act[3]) if step.act[0] == "loop" else (step.reads[0],)


def lies_in_rows(x: Any, out: Value) -> bool:
    """Whether an operand can be walked as it lies: in rows like the result, or one element for all."""
    return isinstance(x, bytes) or is_single(x) or (x.shape == out.shape and in_rows(x))


def is_single(v: Value) -> bool:
    """Whether all elements of a value are one in memory."""
    return all(n == 1 or stride == 0 for n, stride in zip(v.shape, v.strides, strict=True))


def goes_on(group: list[Step], step: Step) -> bool:
    """Whether a loop may be done block by block with those before it."""
    out = step.writes[0]
    if out.shape != group[0].writes[0].shape or len(group) >= MOST_LOOPS:
        return False
    before = [v for s in group for v in (*s.reads, *s.writes)]
    places = {v.key for v in before} | {x for s in group for x in operands_of(s) if isinstance(x, bytes)}
    if len(places) + len(operands_of(step)) + 1 > MOST_PLACES:
        return False
    written = [w for s in group for w in s.writes]
    return not any(
        a.memory is b.memory and (a.offset != b.offset or a.code != b.code or a.shape != b.shape)
        for many, few in ((written, (*step.reads, out)), (before, (out,)))
        for a in many
        for b in few
    )


def passes(between: list[Step], step: Step) -> bool:
    """Whether a step may be done before others."""
    if not between:
        return True
    written = {id(w.memory) for s in between for w in s.writes}
    read = {id(v.memory) for s in between for v in s.reads}
    return (
        not step.firm
        and all(id(v.memory) not in written for v in (*step.reads, *step.writes))
        and all(id(w.memory) not in read for w in step.writes)
    )


class Slots:
    """Scratch memory by blocks: which are free."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.count = 0
        self.widest = 1

    def take(self, itemsize: int) -> tuple[int, int]:
        """A slot, and the bytes of an element in it."""
        self.widest = max(self.widest, itemsize)
        if self.free:
            return self.free.pop(), itemsize
        self.count += 1
        return self.count - 1, itemsize


def joined(group: list[Step], seen: set[int], last: dict[int, Step]) -> Step:
    """One step for some loops."""
    slots = Slots()
    made = {id(w.memory) for s in group for w in s.writes if is_inner(w.memory, group, seen, last)}
    final: dict[int, Step] = {}  # which loop asks last for a memory
    for step in group:
        for v in (*step.reads, *step.writes):
            final[id(v.memory)] = step
    spreads: dict[Any, Step] = {}  # which loop asks last for an operand that is laid out
    for step in group:
        for x in operands_of(step):
            if not lies_in_rows(x, step.writes[0]):
                spreads[x.key] = step
    inner: dict[int, tuple[int, int]] = {}
    laid: dict[Any, tuple[int, int]] = {}
    items: list[tuple[Any, ...]] = []
    outside: dict[Any, None] = {}
    for step in group:
        out = step.writes[0]
        operands: list[Any] = []
        over: list[int] = []  # slots that no later loop asks for
        for x in operands_of(step):
            if isinstance(x, bytes):
                operands.append(x)
            elif id(x.memory) in inner:
                operands.append(inner[id(x.memory)])
            elif lies_in_rows(x, out):
                operands.append(x)
                outside[x.key] = None
            else:
                if x.key not in laid:
                    laid[x.key] = slots.take(DTYPES[x.code].itemsize)
                    items.append(("spread", expanded(x, out.shape), laid[x.key]))
                operands.append(laid[x.key])
        for v in step.reads:
            if id(v.memory) in inner and final[id(v.memory)] is step and v.memory is not out.memory:
                over.append(inner.pop(id(v.memory))[0])
            elif v.key in laid and spreads[v.key] is step:
                over.append(laid.pop(v.key)[0])
        itemsize = DTYPES[out.code].itemsize
        in_place = all(type(x) is not tuple or x[1] == itemsize for x in operands)
        if in_place:
            slots.free += over
        memory = out.memory
        if id(memory) in made and id(memory) not in inner:
            inner[id(memory)] = slots.take(itemsize)
        if not in_place:
            slots.free += over
        target: Any = inner.get(id(memory), out)
        if target is out:
            outside[out.key] = None
        items.append(item_of(step, operands, target))
        if id(memory) in inner and final[id(memory)] is step:
            slots.free.append(inner.pop(id(memory))[0])
    reads = [v for s in group for v in s.reads if id(v.memory) not in made]
    writes = [v for s in group for v in s.writes if id(v.memory) not in made]
    size = size_of(group[0].writes[0])
    block = block_of(slots.count * slots.widest + len(outside) * DTYPES[group[0].writes[0].code].itemsize)
    items = [blockwise(item, block, size) for item in items]
    return Step(
        "+".join(s.name for s in group),
        tuple({v.key: v for v in reads}.values()),
        reads,
        writes,
        ("chain", items, slots.count, size, block, block * slots.widest),
        any(s.firm for s in group),
        group[0].line,
    )


def is_inner(memory: Memory, group: list[Step], seen: set[int], last: dict[int, Step]) -> bool:
    """Whether nobody outside of some loops asks for a memory that they make."""
    if memory.home != "work" or id(memory) in seen or not any(last[id(memory)] is s for s in group):
        return False
    for step in group:
        if any(v.memory is memory for v in step.reads):
            return False
        if any(v.memory is memory for v in step.writes):
            return True
    return False


def expanded(v: Value, shape: tuple[int, ...]) -> Value:
    """A value as it is repeated to a shape."""
    more = len(shape) - len(v.shape)
    strides = [0 if n == 1 else stride for n, stride in zip(v.shape, v.strides, strict=True)]
    return Value(v.memory, v.offset, v.code, shape, (*[0] * more, *strides))


def block_of(width: int) -> int:
    """How many elements are done at a time, if all that lies side by side takes so many bytes for one."""
    block = 4096
    while block > 256 and block * width > CACHED:
        block //= 2
    return block


def item_of(step: Step, operands: list[Any], target: Any) -> tuple[Any, ...]:
    """A loop as an item of a chain."""
    if step.act[0] == "loop":
        return "loop", step.act[1], step.act[2], tuple(operands), target
    return "cast", step.reads[0].code, step.writes[0].code, tuple(operands), target


def blockwise(item: tuple[Any, ...], block: int, size: int) -> tuple[Any, ...]:
    """A change of dtype as runs of plans over a block, and over the last one."""
    if item[0] != "cast":
        return item
    source, target = DTYPES[item[1]], DTYPES[item[2]]
    plans = [
        REGISTRY["to_copy"].prepare_rule(Spec(source, (n,), (source.itemsize,)), target, None)
        for n in (block, size % block or block)
    ]
    return "run", *plans, *item[3:]
