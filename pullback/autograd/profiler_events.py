"""What the engine notes while a profile runs, made into events."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from types import FrameType
from typing import Any

from pullback.autograd.profiler_util import MEMORY_EVENT_NAME, EventList, FunctionEvent
from pullback.core import _engine
from pullback.core._engine import Op, Tensor
from pullback.core.op import SURFACE
from pullback.ops.shared.flops import flops_of

WITHIN = "autograd::engine::evaluate_function: "
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep


class Details:
    """What is asked of each call while it runs, if a profile wants to know it."""

    def __init__(self, shapes: bool, stack: bool, flops: bool, modules: Any) -> None:
        self.shapes, self.stack, self.flops, self.modules = shapes, stack, flops, modules

    def __call__(self, what: Any, args: tuple[Any, ...], result: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.shapes:
            found["input_shapes"] = [_shape(x) for x in args]
            found["concrete_inputs"] = [_concrete(x) for x in args]
            found["input_dtypes"] = [_dtype(x) for x in args]
        if self.stack:
            found["stack"] = frames(sys._getframe(1))
        if self.flops and isinstance(what, Op):
            found["flops"] = flops_of(what, args, result)
        if self.modules is not None:
            found["modules"] = self.modules()
        return found


def _shape(x: Any) -> list[Any]:
    if isinstance(x, Tensor):
        return list(x.shape)
    if isinstance(x, (list, tuple)) and any(isinstance(item, Tensor) for item in x):
        return [_shape(item) for item in x]
    return []


def _concrete(x: Any) -> Any:
    if isinstance(x, (bool, int, float, str)) or x is None:
        return x
    return list(x) if isinstance(x, (list, tuple)) and all(isinstance(i, int) for i in x) else None


def _dtype(x: Any) -> str:
    if isinstance(x, Tensor):
        return x.dtype.name
    if isinstance(x, (list, tuple)):
        return "TensorList" if any(isinstance(item, Tensor) for item in x) else "ScalarList"
    return "" if x is None else "Scalar"


def frames(frame: FrameType | None) -> list[str]:
    """The calls that a frame stands in, the innermost first: "train.py(12): step"."""
    found = []
    while frame is not None:
        code = frame.f_code
        found.append(f"{code.co_filename.removeprefix(ROOT)}({frame.f_lineno}): {code.co_name}")
        frame = frame.f_back
    return found


class Collector:
    """From its making to `finish`, what happens is noted; `events` and `memory` are made of it then.

    `memory` has (microseconds, bytes, all then, thread) for each piece taken or given back.
    """

    def __init__(
        self, shapes: bool, memory: bool, stack: bool, flops: bool, modules: Any, all_threads: bool
    ) -> None:
        asked = shapes or stack or flops or modules is not None
        self.memory: list[tuple[float, int, int, int]] = []
        self._with_memory, self._with_flops = memory, flops
        self._thread = None if all_threads else threading.get_native_id()
        self._records: list[Any] = []
        self.base = time.time_ns()
        self._place = _engine.start_events(memory, Details(shapes, stack, flops, modules) if asked else None)
        self._began = _engine.clock()

    def finish(self) -> None:
        """Ends the notes."""
        ended = _engine.clock()
        _engine.stop_events()
        self._records = _engine.take_events(self._place)
        ticks, nanoseconds = (b - a for a, b in zip(self._began, ended, strict=True))
        self._scale, self._end = nanoseconds / max(ticks, 1) / 1e3, ended[0]

    @functools.cached_property
    def events(self) -> EventList:
        """What was noted."""
        records, self._records = self._records, []
        events = self._events(records)
        return EventList(events, profile_memory=self._with_memory, with_flops=self._with_flops)

    def _at(self, ticks: int) -> float:
        """Microseconds since the start."""
        return round((ticks - self._began[0]) * self._scale, 3)

    def _events(self, records: list[Any]) -> list[FunctionEvent]:
        found: list[FunctionEvent] = []
        of: list[FunctionEvent | None] = []  # the event that what is within each record belongs to
        for kind, what, detail, start, end, number, size, outer, thread, _, in_place in records:
            parent = of[outer] if outer >= 0 else None
            of.append(parent)
            if self._thread is not None and thread != self._thread:
                continue
            if kind == "memory":
                self._note_memory(found, self._at(start), size, parent, thread)
                continue
            name = _name(kind, what, in_place)
            options = {} if detail is None else detail
            if (
                parent is not None
                and kind == "op"
                and name.removesuffix("_") == parent.name.removesuffix("_")
            ):
                _merge(parent, name, number, options)
                continue
            event = FunctionEvent(
                len(found) + 1,
                name.split("#")[0] + "*" if name.startswith("ProfilerStep#") else name,
                thread,
                self._at(start),
                self._at(end or self._end),
                trace_name=name,
                sequence_nr=number - 1,
                scope=7 if kind == "range" else 0,
                is_user_annotation=kind == "range",
                **options,
            )
            _put(found, event, parent)
            if kind == "node":
                event = self._inner(found, event, what)
            of[-1] = event
        return found

    def _inner(self, found: list[FunctionEvent], step: FunctionEvent, what: Any) -> FunctionEvent:
        """The node within a step of a backward pass: the rules are in the one, and all that the step is."""
        inner = FunctionEvent(
            step.id + 1,
            step.name.removeprefix(WITHIN),
            step.thread,
            step.time_range.start,
            step.time_range.end,
            sequence_nr=step.sequence_nr,
            fwd_thread=step.thread,
            scope=1,
            stack=step.stack,
            input_shapes=step.input_shapes,
            concrete_inputs=step.concrete_inputs,
            input_dtypes=step.input_dtypes,
        )
        step.fwd_thread = step.thread
        _put(found, inner, step)
        return inner

    def _note_memory(
        self, found: list[FunctionEvent], at: float, size: int, parent: FunctionEvent | None, thread: int
    ) -> None:
        total = (self.memory[-1][2] if self.memory else 0) + size
        self.memory.append((at, size, total, thread))
        if parent is None:
            event = FunctionEvent(len(found) + 1, MEMORY_EVENT_NAME, thread, at, at, cpu_memory_usage=size)
            found.append(event)
        while parent is not None:
            parent.cpu_memory_usage += size
            parent = parent.cpu_parent


def _name(kind: str, what: Any, in_place: bool) -> str:
    if kind == "node":
        return WITHIN + (what.grad_name if isinstance(what, Op) else what)
    if isinstance(what, str):
        return what
    writes = in_place or getattr(what, "in_place", False)
    name: str = what.__name__
    return f"{_space(name)}::{name}{'_' if writes and name[-1] != '_' else ''}"


_NAMELESS = {"index", "slice", "embedding_dense_backward"}
"""Ops of PyTorch that it has no function of."""


@functools.cache
def _space(name: str) -> str:
    """Whose op a name is: PyTorch's, "aten", or one that only Pullback has, "pullback"."""
    if name in _NAMELESS:
        return "aten"
    for space, names in SURFACE.items():
        if name in names or name.removeprefix(f"{space}_") in names:
            return "aten"
    return "pullback"


def _put(found: list[FunctionEvent], event: FunctionEvent, parent: FunctionEvent | None) -> None:
    found.append(event)
    if parent is not None:
        event.set_cpu_parent(parent)
        parent.append_cpu_child(event)


def _merge(outer: FunctionEvent, name: str, number: int, details: dict[str, Any]) -> None:
    """A function and the op of its name are one event."""
    outer.name = outer.trace_name = name
    outer.sequence_nr = max(outer.sequence_nr, number - 1)
    for name, value in details.items():
        setattr(outer, name, value)
