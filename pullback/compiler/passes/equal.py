"""Steps that do again what was done before: the first result is read instead."""

from __future__ import annotations

from typing import Any

from pullback.compiler.graph import Graph, Step, Touches, Value

__all__ = ["without_equal"]


def without_equal(graph: Graph) -> None:
    """Takes out a step whose op and arguments are an earlier one's, if neither result is written to."""
    touches = Touches(graph)
    others: dict[int, Value] = {}
    versions: dict[int, int] = {}
    known: dict[Any, Step] = {}
    left: list[Step] = []
    for i, step in enumerate(graph.steps):
        if (
            step.act[0] in ("loop", "plan", "call")
            and not step.firm
            and step.writes
            and all(touches.born(w.memory, i) and not w.offset for w in step.writes)
        ):
            made = tuple((w.code, w.shape, w.strides) for w in step.writes)
            key = step.name, op_of(step), told(step.arguments, versions, others), made
            first = known.setdefault(key, step)
            if first is not step and not any(id(w.memory) in touches.seen for w in step.writes):
                others.update((id(w.memory), v) for w, v in zip(step.writes, first.writes, strict=True))
                continue
        left.append(step)
        for w in step.writes:
            versions[id(w.memory)] = i
    graph.steps[:] = left
    graph.replace(others)


def op_of(step: Step) -> Any:
    """What a step does, besides its name."""
    function = step.act[1]
    return step.act[0], getattr(function, "args", function) if step.act[0] == "call" else None


def told(x: Any, versions: dict[int, int], others: dict[int, Value]) -> Any:
    """What tells an argument from others: for a value its place, and who wrote to it last."""
    kind = type(x)
    if kind is Value:
        at = others.get(id(x.memory), x)
        memory = id(at.memory)
        return memory, versions.get(memory), x.offset, x.code, x.shape, x.strides
    if kind is list or kind is tuple:
        return kind.__name__, tuple(told(item, versions, others) for item in x)
    if kind in (int, bool, float, complex, str, type(None)):
        return kind.__name__, repr(x)
    return id(x)
