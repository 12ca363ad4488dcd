"""`torch.autograd.profiler_util`: events of a profile, sums of them, and the table that shows them."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable, Sequence
from typing import Any

from pullback.face.absent import getter

__all__ = ["DeviceType", "EventList", "FunctionEvent", "FunctionEventAvg", "Interval"]

MEMORY_EVENT_NAME = "[memory]"


class DeviceType(enum.Enum):
    """Where an event was: on the CPU."""

    CPU = 0


class Interval:
    """From when to when something was, in microseconds."""

    def __init__(self, start: float, end: float) -> None:
        self.start, self.end = start, end

    def elapsed_us(self) -> float:
        """How long it was."""
        return self.end - self.start


def time_text(microseconds: float, unit: str | None = None) -> str:
    """A time with its unit, the given one or the largest that it has."""
    units = {"s": 1e6, "ms": 1e3, "us": 1.0}
    if unit not in units:
        unit = next((name for name, size in units.items() if microseconds >= size), "us")
    return f"{microseconds / units[unit]:.3f}{unit}"


def memory_text(bytes: float) -> str:
    """A number of bytes with its unit."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "KB")):
        if abs(bytes) >= 1024**power:
            return f"{bytes / 1024**power:.2f} {unit}"
    return f"{bytes} B"


def share_text(part: float, whole: float) -> str:
    """A part of a whole as a percentage."""
    return f"{part * 100 / whole:.2f}%" if whole else "NaN"


class _Times:
    """What events and their sums have alike: times as text, and those of devices, which are zero."""

    count: int
    cpu_time_total: float
    self_cpu_time_total: float
    device_time_total = self_device_time_total = 0.0
    device_memory_usage = self_device_memory_usage = 0
    device_type = DeviceType.CPU
    use_device: str | None = None
    is_async = is_remote = is_legacy = False
    node_id = -1
    overload_name = ""

    @property
    def cpu_time(self) -> float:
        """The mean time in microseconds."""
        return self.cpu_time_total / self.count if self.count else 0.0

    @property
    def device_time(self) -> float:
        """The mean time on a device."""
        return 0.0

    @property
    def cpu_time_str(self) -> str:
        """The mean time as text."""
        return time_text(self.cpu_time)

    @property
    def cpu_time_total_str(self) -> str:
        """The whole time as text."""
        return time_text(self.cpu_time_total)

    @property
    def self_cpu_time_total_str(self) -> str:
        """The time without that of the events within, as text."""
        return time_text(self.self_cpu_time_total)

    @property
    def device_time_total_str(self) -> str:
        """The time on devices as text."""
        return time_text(0.0)

    device_time_str = self_device_time_total_str = device_time_total_str


class FunctionEvent(_Times):
    """One event: an op, a call of a composite, a node of a backward pass, or a range of the program's own.

    `time_range` says when it was, in microseconds from the start of the profile; `cpu_children` are the
    events directly within, `cpu_parent` the one around. `scope` is 0 for what ran forward, 1 for a node of a
    backward pass and 7 for a range. `sequence_nr` is the number of the node that an op made and that runs
    for it later, -1 for none. Shapes, stacks and operations are there if the profile was asked for them.
    """

    def __init__(
        self,
        id: int,
        name: str,
        thread: int,
        start_us: float,
        end_us: float,
        *,
        trace_name: str | None = None,
        fwd_thread: int | None = 0,
        input_shapes: Sequence[Any] | None = None,
        concrete_inputs: Sequence[Any] | None = None,
        input_dtypes: Sequence[str] | None = None,
        stack: Sequence[str] | None = None,
        modules: Sequence[str] = (),
        scope: int = 0,
        cpu_memory_usage: int = 0,
        sequence_nr: int = -1,
        flops: int | None = 0,
        is_user_annotation: bool = False,
    ) -> None:
        self.id, self.name, self.thread = id, name, thread
        self.trace_name = name if trace_name is None else trace_name
        self.time_range = Interval(start_us, end_us)
        self.fwd_thread, self.scope, self.sequence_nr = fwd_thread, scope, sequence_nr
        self.input_shapes = list(input_shapes or ())
        self.concrete_inputs, self.input_dtypes = list(concrete_inputs or ()), list(input_dtypes or ())
        self.kwinputs: dict[str, Any] = {}
        self.stack, self.modules = list(stack or ()), list(modules)
        self.cpu_memory_usage, self.flops = cpu_memory_usage, flops or 0
        self.is_user_annotation = is_user_annotation
        self.count = 1
        self.kernels: list[Any] = []
        self.cpu_children: list[FunctionEvent] = []
        self.cpu_parent: FunctionEvent | None = None

    def append_cpu_child(self, child: FunctionEvent) -> None:
        """Adds an event that was within this one."""
        self.cpu_children.append(child)

    def set_cpu_parent(self, parent: FunctionEvent) -> None:
        """Says within which event it was."""
        self.cpu_parent = parent

    @property
    def key(self) -> str:
        """By what it is summed up: its name."""
        return self.name

    @property
    def cpu_time_total(self) -> float:  # type: ignore[override]
        """How long it took, in microseconds."""
        return self.time_range.elapsed_us()

    @property
    def self_cpu_time_total(self) -> float:  # type: ignore[override]
        """The same without the events within."""
        return self.cpu_time_total - sum(child.cpu_time_total for child in self.cpu_children)

    @property
    def self_cpu_memory_usage(self) -> int:
        """The bytes that it took itself, less what it gave back."""
        return self.cpu_memory_usage - sum(child.cpu_memory_usage for child in self.cpu_children)

    def __repr__(self) -> str:
        return (
            f"<FunctionEvent id={self.id} name={self.name} overload_name= device_type={self.device_type} "
            f"node_id={self.node_id} cpu_time={self.cpu_time_str} start_us={self.time_range.start} "
            f"end_us={self.time_range.end} cpu_children={[child.id for child in self.cpu_children]} "
            f"None_time={self.device_time_str} name={self.name} thread={self.thread} "
            f"input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage} "
            f"None_memory_usage=0 is_async=False is_remote=False seq_nr={self.sequence_nr} is_legacy=False>"
        )


class FunctionEventAvg(_Times):
    """The sums over some events: how many there are, and what they took together."""

    def __init__(self) -> None:
        self.key: str | None = None
        self.count = self.node_id = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = self.flops = 0
        self.input_shapes: str | None = None
        self.stack: list[str] | None = None
        self.scope: int | None = None
        self.cpu_children: list[FunctionEvent] | None = None
        self.cpu_parent: FunctionEvent | None = None
        self.is_user_annotation = False

    def add(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        """Adds an event, or sums of others."""
        if self.key is None:
            self.key, self.node_id, self.scope = other.key, other.node_id, other.scope
            self.input_shapes = str(other.input_shapes)
            self.stack, self.is_user_annotation = other.stack, other.is_user_annotation
            self.cpu_parent, self.cpu_children = other.cpu_parent, other.cpu_children
        for name in ("cpu_time_total", "self_cpu_time_total", "cpu_memory_usage", "self_cpu_memory_usage",
                     "count", "flops"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def __iadd__(self, other: FunctionEvent | FunctionEventAvg) -> FunctionEventAvg:
        return self.add(other)

    def __repr__(self) -> str:
        return (
            f"<FunctionEventAvg key={self.key} self_cpu_time={self.self_cpu_time_total_str} "
            f"cpu_time={self.cpu_time_str}  self_cuda_time={time_text(0.0)} cuda_time={time_text(0.0)} "
            f"input_shapes={self.input_shapes} cpu_memory_usage={self.cpu_memory_usage} cuda_memory_usage=0>"
        )


class EventList(list[Any]):
    """Events in the order of their beginnings, or sums of them."""

    def __init__(
        self,
        events: Iterable[Any] = (),
        *,
        use_device: str | None = None,
        profile_memory: bool = False,
        with_flops: bool = False,
    ) -> None:
        super().__init__(events)
        self._profile_memory, self._with_flops = profile_memory, with_flops

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all together, none counted twice."""
        return sum(event.self_cpu_time_total for event in self)

    def key_averages(
        self,
        group_by_input_shapes: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """The sums over all events of one name; of one name and shapes, or stack, if asked for."""
        groups: dict[Any, FunctionEventAvg] = {}
        for event in self:
            key = (
                event.key,
                str(event.input_shapes) if group_by_input_shapes else "",
                tuple(event.stack[:group_by_stack_n]),
                event.is_user_annotation,
            )
            groups.setdefault(key, FunctionEventAvg()).add(event)
        for average in groups.values():
            average.stack = (average.stack or [])[:group_by_stack_n]
            if not group_by_input_shapes:
                average.input_shapes = ""
        return EventList(groups.values(), profile_memory=self._profile_memory, with_flops=self._with_flops)

    def total_average(self) -> FunctionEventAvg:
        """The sums over all."""
        total = FunctionEventAvg()
        for event in self:
            total.add(event)
        total.key = "Total"
        return total

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
        time_unit: str | None = None,
    ) -> str:
        """The events as text, those with most of what `sort_by` names first; `row_limit` -1 shows all.

        `time_unit` is "s", "ms" or "us", or each row has its own.
        """
        if not self:
            return ""
        rows = list(self)
        if sort_by is not None:
            by = sort_by.replace("cuda", "device")
            rows.sort(key=lambda event: getattr(event, by), reverse=True)
        whole = self.self_cpu_time_total
        columns = self._columns(
            whole, time_unit, max_name_column_width, max_shapes_column_width, max_src_column_width
        )
        return _text(columns, rows, row_limit, whole, header, top_level_events_only, time_unit)

    def _columns(self, whole: float, unit: str | None, *most: int) -> list[Any]:
        """The columns, that of sources last: the head, the width, and what an event has there."""
        name = _width((event.key for event in self), most[0])
        columns: list[Any] = [
            ("Name", name, lambda e: _head(e.key, name)),
            ("Self CPU %", 12, lambda e: share_text(e.self_cpu_time_total, whole)),
            ("Self CPU", 12, lambda e: time_text(e.self_cpu_time_total, unit)),
            ("CPU total %", 12, lambda e: share_text(e.cpu_time_total, whole)),
            ("CPU total", 12, lambda e: time_text(e.cpu_time_total, unit)),
            ("CPU time avg", 12, lambda e: time_text(e.cpu_time, unit)),
        ]
        if self._profile_memory:
            columns += [
                ("CPU Mem", 12, lambda e: memory_text(e.cpu_memory_usage)),
                ("Self CPU Mem", 12, lambda e: memory_text(e.self_cpu_memory_usage)),
            ]
        columns.append(("# of Calls", 12, lambda e: str(e.count)))
        if any(event.input_shapes for event in self):
            shapes = _width((str(event.input_shapes) for event in self), most[1])
            columns.append(("Input Shapes", shapes, lambda e: str(e.input_shapes)[:shapes]))
        if self._with_flops:
            size, unit_name = _flops_unit(min([event.flops for event in self if event.flops > 0], default=0))
            columns.append(
                (f"Total {unit_name}", 12, lambda e: f"{e.flops / size:.3f}" if e.flops > 0 else "--")
            )
        if any(event.stack for event in self):
            source = _width((line for event in self for line in event.stack or ()), most[2])
            columns.append(("Source Location", source, lambda e: [_tail(s, source) for s in e.stack or ()]))
        return columns

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Writes the events as a file that browsers show as a time line."""
        from pullback.autograd.profiler_files import write_chrome_trace

        write_chrome_trace(self, path)

    def supported_export_stacks_metrics(self) -> list[str]:
        """By what `export_stacks` may weigh a stack."""
        return [f"self_{kind}_time_total" for kind in ("cpu", "cuda", "xpu", "privateuse1")]

    def export_stacks(self, path: str | os.PathLike[str], metric: str = "self_cpu_time_total") -> None:
        """Writes a line for each event that has a stack, as tools that draw flame graphs read them."""
        from pullback.autograd.profiler_files import write_stacks

        write_stacks(self, path, metric)

    def __str__(self) -> str:
        return self.table()


def _width(texts: Iterable[str], most: int) -> int:
    return min(max(map(len, texts), default=0) + 4, most)


def _head(text: str, width: int) -> str:
    return f"{text[: width - 3]}..." if len(text) >= width - 3 else text


def _tail(text: str, width: int) -> str:
    return f"...{text[3 - width :]}" if len(text) > width else text


def _flops_unit(least: int) -> tuple[float, str]:
    """In which unit operations are shown, by the smallest number of them."""
    units = ("FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs")
    power = min((len(str(least)) - 1) // 3, len(units) - 1)
    return 1000.0**power, units[power]


def _text(
    columns: list[Any],
    rows: list[Any],
    limit: int,
    whole: float,
    header: str | None,
    top: bool,
    unit: str | None,
) -> str:
    """The table. Only the column of sources is to the left, and has several lines in a row."""
    left = columns[-1][0] == "Source Location"

    def line(cells: Sequence[str]) -> str:
        placed = [cell.rjust(width) for cell, (_, width, _) in zip(cells, columns, strict=True)]
        if left:
            placed[-1] = cells[-1].ljust(columns[-1][1])
        return "".join(f"{cell}  " for cell in placed)

    rule = "".join("-" * width + "  " for _, width, _ in columns)
    found = []
    if header is not None:
        found += ["=" * len(rule), header]
    if top:
        found += ["=" * len(rule), "This report only display top-level ops statistics"]
    found += [rule, line([name for name, _, _ in columns]), rule]
    shown = 0
    for event in rows:
        if shown == limit:
            break
        if top and event.cpu_parent is not None:
            continue
        shown += 1
        cells = [cell(event) for _, _, cell in columns]
        if not left:
            found.append(line(cells))
            continue
        sources = cells.pop()
        found.append(line([*cells, *(sources[:1] or [""])]))
        blank = [""] * len(cells)
        found += [line([*blank, source]) for source in sources[1:]]
        if sources:
            found.append(line([*blank, ""]))
    return "\n".join([*found, rule, f"Self CPU time total: {time_text(whole, unit)}", ""])


__getattr__ = getter(__name__)
