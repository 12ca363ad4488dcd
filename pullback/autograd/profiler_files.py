"""What a profile writes: a time line for browsers, stacks for flame graphs, memory over time."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Iterable, Sequence
from typing import IO, Any, cast

from pullback.autograd.profiler_util import EventList, FunctionEvent

Path = str | os.PathLike[str]


def opened(path: Path) -> IO[str]:
    """A text file to write, compressed if it is called so."""
    if str(path).endswith(".gz"):
        return cast(IO[str], gzip.open(path, "wt", encoding="utf-8"))
    return open(path, "w", encoding="utf-8")


def write_chrome_trace(
    events: Sequence[FunctionEvent],
    path: Path,
    *,
    base: int = 0,
    memory: Iterable[tuple[float, int, int, int]] = (),
    metadata: dict[str, Any] | None = None,
) -> None:
    """Writes events in the format of Chrome's trace viewer, which Perfetto reads too.

    An arrow leads from each op to the node that ran for it in the backward pass. `base` is when the profile
    began, in nanoseconds; `memory` has (microseconds, bytes, total of all then, thread) for each piece that
    was taken or given back.
    """
    pid = os.getpid()
    written: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "ts": 0, "pid": pid, "tid": 0, "args": {"name": "python"}}
    ]
    for thread in sorted({event.thread for event in events}):
        name = next((t.name for t in threading.enumerate() if t.native_id == thread), f"thread {thread}")
        written.append(
            {"ph": "M", "name": "thread_name", "ts": 0, "pid": pid, "tid": thread, "args": {"name": name}}
        )
    makers = {event.sequence_nr: event for event in events if event.sequence_nr >= 0 and event.scope == 0}
    for event in events:
        started = event.time_range.start
        where = {"pid": pid, "tid": event.thread}
        if event.name == "[memory]":
            continue
        args: dict[str, Any] = {"External id": event.id}
        if event.sequence_nr >= 0:
            args["Sequence number"] = event.sequence_nr
        if event.input_shapes:
            args["Input Dims"], args["Input type"] = event.input_shapes, event.input_dtypes
            args["Concrete Inputs"] = ["" if x is None else str(x) for x in event.concrete_inputs]
        if event.stack:
            args["Call stack"] = ";".join(event.stack)
        if event.modules:
            args["Module Hierarchy"] = ".".join(event.modules)
        if event.flops:
            args["flops"] = event.flops
        category = "user_annotation" if event.is_user_annotation else "cpu_op"
        written.append(
            {"ph": "X", "cat": category, "name": event.trace_name, **where, "ts": started,
             "dur": event.cpu_time_total, "args": args}
        )  # fmt: skip
        maker = makers.get(event.sequence_nr) if event.scope == 1 else None
        if maker is not None:
            arrow = {"id": event.sequence_nr, "cat": "fwdbwd", "name": "fwdbwd"}
            written.append(
                {"ph": "s", **arrow, "pid": pid, "tid": maker.thread, "ts": maker.time_range.start}
            )
            written.append({"ph": "f", "bp": "e", **arrow, **where, "ts": started})
    for at, size, total, thread in memory:
        args = {"Bytes": size, "Total Allocated": total, "Device Type": 0, "Device Id": -1}
        written.append(
            {"ph": "i", "cat": "cpu_instant_event", "s": "t", "name": "[memory]", "pid": pid, "tid": thread,
             "ts": at, "args": args}
        )  # fmt: skip
    trace = {
        "schemaVersion": 1,
        "deviceProperties": [],
        "displayTimeUnit": "ms",
        "baseTimeNanoseconds": base,
        "host_name": socket.gethostname(),
        **(metadata or {}),
        "traceEvents": written,
        "traceName": str(path),
    }
    with opened(path) as file:
        json.dump(trace, file)


def write_stacks(events: EventList, path: Path, metric: str) -> None:
    """Writes "outermost;...;innermost microseconds" for each event with a stack."""
    known = events.supported_export_stacks_metrics()
    if metric not in known:
        raise ValueError(f"metric should be one of: {known}")
    spaces = str.maketrans(" ;\t\n", "____")
    with opened(path) as file:
        for event in events:
            weight = int(getattr(event, metric.replace("cuda", "device"), 0))
            if event.stack and weight > 0:
                frames = ";".join(frame.translate(spaces) for frame in reversed(event.stack))
                file.write(f"{frames} {weight}\n")


PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>Memory over time</title></head>
<body><svg viewBox="0 0 1000 400" width="100%" xmlns="http://www.w3.org/2000/svg">
<path d="{path}" fill="#4c72b0" stroke="none"/>
<text x="8" y="20" font-family="sans-serif" font-size="14">most at a time: {most}</text>
</svg></body></html>
"""


def write_memory_timeline(memory: Sequence[tuple[float, int, int, int]], path: Path) -> None:
    """Writes how much memory tensors held over time: a page, or the numbers as JSON.

    JSON is [times, sizes], the times in microseconds; a ".raw.json" file has [time, bytes taken or given
    back, total] for each change.
    """
    name = str(path).removesuffix(".gz")
    times, totals = [at for at, *_ in memory], [total for _, _, total, _ in memory]
    with opened(path) as file:
        if name.endswith(".html"):
            from pullback.autograd.profiler_util import memory_text

            file.write(PAGE.format(path=_area(times, totals), most=memory_text(max(totals, default=0))))
        elif name.endswith(".raw.json"):
            json.dump([[at, size, total] for at, size, total, _ in memory], file)
        else:
            json.dump([times, [[total] for total in totals]], file)


def _area(times: Sequence[float], totals: Sequence[int]) -> str:
    """The path of a filled curve of steps."""
    if not times:
        return ""
    start, span, most = times[0], times[-1] - times[0] or 1.0, max(*totals, 1)
    steps = "".join(
        f" H{1000 * (at - start) / span:.2f} V{390 - 360 * max(total, 0) / most:.2f}"
        for at, total in zip(times, totals, strict=True)
    )
    return f"M0 390{steps} L1000 390 Z"
