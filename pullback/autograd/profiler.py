"""`torch.autograd.profiler`: what ops, composites, nodes of backward passes and marked ranges take.

The engine notes all of it while a `profile` runs (`core/engine/events.pxi`), some 40 ns an op, and nothing
otherwise. `torch.profiler` stands on this.
"""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from typing import Any, ClassVar

from pullback.autograd.profiler_events import Collector
from pullback.autograd.profiler_files import write_chrome_trace
from pullback.autograd.profiler_util import (
    MEMORY_EVENT_NAME,
    DeviceType,
    EventList,
    FunctionEvent,
    FunctionEventAvg,
)
from pullback.core import _engine
from pullback.face.absent import getter

__all__ = [
    "MEMORY_EVENT_NAME",
    "DeviceType",
    "EventList",
    "FunctionEvent",
    "FunctionEventAvg",
    "KinetoStepTracker",
    "emit_itt",
    "emit_nvtx",
    "kineto_available",
    "profile",
    "record_function",
]

_running = threading.local()


class record_function(_engine.Range):
    """A context, or a decorator, that marks a part of a program for `profile`.

    >>> import pullback as torch
    >>> with torch.profiler.profile() as seen:
    ...     with torch.profiler.record_function("forward"):
    ...         _ = torch.ones(3).exp()
    >>> [(row.key, row.count) for row in seen.key_averages()]
    [('forward', 1), ('aten::ones', 1), ('aten::exp', 1)]
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        super().__init__(name)
        self.args = args

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def marked(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return marked


class profile:
    """A context that notes what this thread does, and sums it up.

    `record_shapes` keeps the shapes of inputs, `profile_memory` what memory tensors take and give back,
    `with_stack` the program's calls around each op, `with_flops` how many operations products and
    convolutions take, `with_modules` the modules that run. All but the first of these cost far more than the
    notes themselves. With `acc_events` what several entries see is kept. Of other devices nothing is seen:
    the other arguments change nothing.

    >>> import pullback as torch
    >>> with torch.autograd.profiler.profile(with_flops=True) as seen:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 4)
    >>> [(event.name, event.flops) for event in seen.function_events]
    [('aten::ones', 0), ('aten::ones', 0), ('aten::mm', 48)]
    """

    def __init__(
        self,
        enabled: bool = True,
        *,
        use_cuda: bool = False,
        use_device: str | None = None,
        record_shapes: bool = False,
        with_flops: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_modules: bool = False,
        use_kineto: bool = False,
        use_cpu: bool = True,
        experimental_config: Any = None,
        acc_events: bool = False,
        **options: Any,
    ) -> None:
        self.enabled, self.use_cpu, self.use_device = enabled, use_cpu, None
        self.record_shapes = record_shapes or with_flops
        self.with_flops, self.profile_memory = with_flops, profile_memory
        self.with_stack, self.with_modules, self.acc_events = with_stack, with_modules, acc_events
        self.experimental_config = experimental_config
        self.entered = False
        self._shapes = record_shapes
        self._path: Any = None
        self._collector: Collector | None = None
        self._rounds: list[Collector] = []  # those that have ended
        self._events: EventList | None = None
        self.metadata: dict[str, Any] = {}

    def __enter__(self) -> Any:
        if not self.enabled:
            return None
        if self.entered:
            raise RuntimeError("Profiler context manager is not reentrant")
        if getattr(_running, "profile", None) is not None:
            raise RuntimeError("Profiler is already enabled on this thread.")
        self.entered, _running.profile = True, self
        if self.with_modules and _module_path is not None:
            self._path = _module_path()
            self._path.__enter__()
        self._collector = Collector(
            self._shapes,
            self.profile_memory,
            self.with_stack,
            self.with_flops,
            None if self._path is None else self._path.dotted,
            getattr(self.experimental_config, "profile_all_threads", False),
        )
        return self

    def __exit__(self, *exc: object) -> None:
        if self._collector is None:
            return
        self._collector.finish()
        if self._path is not None:
            self._path.__exit__()
        self._rounds = [*(self._rounds if self.acc_events else []), self._collector]
        self._events, self._collector = None, None
        _running.profile = None

    def __repr__(self) -> str:
        return repr(self.function_events) if self._rounds else "<unfinished torch.autograd.profile>"

    def __str__(self) -> str:
        return str(self.function_events) if self._rounds else "<unfinished torch.autograd.profile>"

    @property
    def function_events(self) -> EventList:
        """The events, in the order of their beginnings; none while the profile has not ended."""
        if self._events is None:
            rounds = [round.events for round in self._rounds]
            self._events = (
                rounds[0]
                if len(rounds) == 1
                else EventList(
                    itertools.chain(*rounds), profile_memory=self.profile_memory, with_flops=self.with_flops
                )
            )
        return self._events

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """The sums over all events of one name: see `EventList.key_averages`."""
        return self.function_events.key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def total_average(self) -> FunctionEventAvg:
        """The sums over all events."""
        return self.function_events.total_average()

    def table(self, sort_by: str | None = None, row_limit: int = 100, *options: Any, **more: Any) -> str:
        """The events as text: see `EventList.table`."""
        return self.function_events.table(sort_by, row_limit, *options, **more)

    @property
    def self_cpu_time_total(self) -> float:
        """The microseconds of all events together, none counted twice."""
        return self.function_events.self_cpu_time_total

    def export_chrome_trace(
        self, path: str | os.PathLike[str], metadata: Any = None, use_python_export: bool = False
    ) -> None:
        """Writes the events as a file that browsers show as a time line."""
        flags = ("record_shapes", "profile_memory", "with_stack", "with_flops", "with_modules")
        held = {flag: 1 for flag in flags if getattr(self, flag)}
        memory = self.memory()
        write_chrome_trace(
            self.function_events,
            path,
            base=self._rounds[-1].base,
            memory=memory,
            metadata={**held, **self.metadata, **(metadata or {})},
        )

    def export_stacks(self, path: str | os.PathLike[str], metric: str = "self_cpu_time_total") -> None:
        """Writes a line for each event that has a stack, as tools that draw flame graphs read them."""
        if not self.with_stack:
            raise AssertionError("export_stacks() requires with_stack=True")
        self.function_events.export_stacks(path, metric)

    def memory(self) -> list[tuple[float, int, int, int]]:
        """Each piece of memory that was taken or given back: (microseconds, bytes, all then, thread)."""
        if not self._rounds:
            raise AssertionError("Profiler must be finished before its events are written")
        assert self.function_events is not None  # made now, if they were not
        return self._rounds[-1].memory

    def toggle_collection_dynamic(self, enabled: bool, activities: Any) -> None:
        """Accepted: there are no devices whose events could be left out."""


def _in_child() -> None:
    """A process that was forked off is not profiled: its log would never be read."""
    _running.profile = None
    while _engine.is_profiling():
        _engine.stop_events()
        _engine.take_events(0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


_module_path: Callable[[], Any] | None = None


def install_module_path(path: Callable[[], Any]) -> None:
    """Takes what makes a context that knows which modules are running, for `with_modules`."""
    global _module_path
    _module_path = path


def kineto_available() -> bool:
    """Whether events can be written as a trace with a time line. They can."""
    return True


class KinetoStepTracker:
    """Counts the steps of whoever counts any, and the most of them."""

    _current = 0
    _steps: ClassVar[dict[str, int]] = {}

    @classmethod
    def init_step_count(cls, requester: str) -> None:
        """Begins to count for somebody, from where the count is."""
        cls._steps[requester] = cls._current

    @classmethod
    def erase_step_count(cls, requester: str) -> bool:
        """Ends the count for somebody; whether there was one."""
        return cls._steps.pop(requester, None) is not None

    @classmethod
    def increment_step(cls, requester: str) -> int:
        """One step more; returns the most that anybody has counted."""
        if requester not in cls._steps:
            cls.init_step_count(requester)
        cls._steps[requester] += 1
        cls._current = max(cls._steps.values())
        return cls._current

    @classmethod
    def current_step(cls) -> int:
        """The most steps that anybody has counted."""
        return cls._current


class emit_nvtx:
    """Marks for a profiler of CUDA devices: an error when entered, as there are none."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        if self.enabled:
            raise AssertionError("Torch not compiled with CUDA enabled")

    def __exit__(self, *exc: object) -> None:
        pass


class emit_itt:
    """Marks for Intel's profiler, which is not told of anything: the context does nothing."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled, self.record_shapes = enabled, record_shapes

    def __enter__(self) -> emit_itt:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


__getattr__ = getter(__name__)
