"""`torch.autograd.profiler`: how long the parts of a program take that it marks with `record_function`.

`profile` collects the marked ranges of all threads; what is not marked is not seen. Ops are not
recorded one by one: Python's own profilers see those.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pullback.face.absent import getter

__all__ = ["EventList", "FunctionEvent", "FunctionEventAvg", "emit_nvtx", "profile", "record_function"]


class FunctionEvent:
    """A range: its name, when it began and ended in microseconds, and the ranges within it."""

    def __init__(self, name: str, thread: int, start: float) -> None:
        self.name = self.key = name
        self.thread, self.start, self.end = thread, start, start
        self.within = 0.0
        self.count = 1

    @property
    def cpu_time_total(self) -> float:
        """The range's length in microseconds."""
        return self.end - self.start

    @property
    def self_cpu_time_total(self) -> float:
        """The same without the ranges within it."""
        return self.cpu_time_total - self.within

    cpu_time = cpu_time_total


class FunctionEventAvg:
    """All ranges of one name: how many there are, and how long they take together."""

    def __init__(self, key: str, events: Sequence[FunctionEvent]) -> None:
        self.key, self.count = key, len(events)
        self.cpu_time_total = sum(event.cpu_time_total for event in events)
        self.self_cpu_time_total = sum(event.self_cpu_time_total for event in events)
        self.device_time_total = self.self_device_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = self.flops = 0

    @property
    def cpu_time(self) -> float:
        """The mean length in microseconds."""
        return self.cpu_time_total / self.count

    def __repr__(self) -> str:
        return f"<FunctionEventAvg key={self.key} count={self.count} cpu_time={shown(self.cpu_time)}>"


def shown(microseconds: float) -> str:
    """A time with its unit."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


class EventList(list[Any]):
    """Ranges, or averages of them."""

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all together, none counted twice."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(self, *options: Any, **more: Any) -> EventList:
        """One entry for all ranges of a name."""
        groups: dict[str, list[FunctionEvent]] = {}
        for event in self:
            groups.setdefault(event.key, []).append(event)
        return EventList([FunctionEventAvg(key, group) for key, group in groups.items()])

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """The averages as text, the longest first where `sort_by` names a time."""
        rows = list(self)
        if sort_by is not None:
            rows.sort(key=lambda row: getattr(row, sort_by, 0), reverse=True)
        whole = sum(row.self_cpu_time_total for row in self) or 1.0
        heads = ("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")
        cells = [heads]
        for row in rows[:row_limit] if row_limit >= 0 else rows:
            own, total = row.self_cpu_time_total, row.cpu_time_total
            percents = [f"{100 * part / whole:.2f}%" for part in (own, total)]
            mean = total / row.count
            cells.append(
                (row.key, percents[0], shown(own), percents[1], shown(total), shown(mean), str(row.count))
            )
        widths = [max(12, *(len(line[place]) for line in cells)) for place in range(len(heads))]
        rule = "  ".join("-" * width for width in widths)
        lines = [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells
        ]
        return "\n".join([rule, lines[0], rule, *lines[1:], rule, f"Self CPU time total: {shown(whole)}", ""])

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the ranges as a file that browsers show as a time line."""
        ranges = [
            {"ph": "X", "cat": "user_annotation", "name": event.name, "pid": os.getpid(),
             "tid": event.thread, "ts": event.start, "dur": event.cpu_time_total}
            for event in self
        ]  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"schemaVersion": 1, "traceEvents": ranges}, file)


_running: list[list[FunctionEvent]] = []
_open = threading.local()


class record_function:
    """A context, or a decorator, that marks a part of a program for `profile`.

    >>> import pullback as torch
    >>> with torch.profiler.profile() as seen:
    ...     with torch.profiler.record_function("forward"):
    ...         _ = torch.ones(3).exp()
    >>> [(row.key, row.count) for row in seen.key_averages()]
    [('forward', 1)]
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name, self.args = name, args

    def __enter__(self) -> record_function:
        if not hasattr(_open, "ranges"):
            _open.ranges = []
        _open.ranges.append(FunctionEvent(self.name, threading.get_native_id(), time.perf_counter() * 1e6))
        return self

    def __exit__(self, *exc: object) -> None:
        event = _open.ranges.pop()
        event.end = time.perf_counter() * 1e6
        if _open.ranges:
            _open.ranges[-1].within += event.cpu_time_total
        for events in _running:
            events.append(event)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def marked(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return marked


class profile:
    """A context that collects the ranges that `record_function` marks. Other arguments change nothing."""

    def __init__(self, enabled: bool = True, **options: Any) -> None:
        self.enabled = enabled
        self._events: EventList | None = None

    def __enter__(self) -> profile:
        if self.enabled:
            self._events = EventList()
            _running.append(self._events)
        return self

    def __exit__(self, *exc: object) -> None:
        if self._events is not None:
            _running[:] = [events for events in _running if events is not self._events]
            self._events.sort(key=lambda event: event.start)

    @property
    def function_events(self) -> EventList:
        """The ranges, in the order of their beginnings."""
        if self._events is None:
            raise RuntimeError("Profiler didn't finish running")
        return self._events

    def key_averages(self, *options: Any, **more: Any) -> EventList:
        """One entry for all ranges of a name."""
        return self.function_events.key_averages()

    def table(self, sort_by: str | None = None, row_limit: int = 100, **options: Any) -> str:
        """The ranges as text."""
        return self.function_events.table(sort_by, row_limit)

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all ranges together."""
        return self.function_events.self_cpu_time_total

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the ranges as a file that browsers show as a time line."""
        self.function_events.export_chrome_trace(path)


class emit_nvtx:
    """Marks for a profiler of CUDA devices: RuntimeError when entered, as there is none."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        if self.enabled:
            raise RuntimeError("NVTX functions not installed. Are you sure you have a CUDA build?")

    def __exit__(self, *exc: object) -> None:
        pass


__getattr__ = getter(__name__)
