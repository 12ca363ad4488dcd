"""`torch.profiler`: what ops, backward passes and marked ranges take, in steps that a schedule chooses."""

from __future__ import annotations

import enum
import json
import os
import socket
import time
import uuid
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from pullback._C._profiler import ProfilerActivity
from pullback.autograd import profiler as _ranges
from pullback.autograd.profiler import EventList, KinetoStepTracker, kineto_available, record_function
from pullback.autograd.profiler_files import write_memory_timeline
from pullback.face.absent import getter

__all__ = [
    "KinetoStepTracker",
    "ProfilerAction",
    "ProfilerActivity",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerAction(enum.Enum):
    """What a profiler does in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3
    DEVICE_STOPPED = 4


def supported_activities() -> set[ProfilerActivity]:
    """What can be watched: the CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """A function from a step's number to what is done in it: rounds of waiting, warming up and recording.

    >>> import pullback as torch
    >>> plan = torch.profiler.schedule(wait=1, warmup=1, active=2)
    >>> [plan(step).name for step in range(4)]
    ['NONE', 'WARMUP', 'RECORD', 'RECORD_AND_SAVE']
    """
    if wait < 0 or warmup < 0 or active <= 0 or repeat < 0 or skip_first < 0:
        raise AssertionError(
            f"Invalid profiler schedule arguments. Got wait={wait} (need >= 0), warmup={warmup} (need >= 0), "
            f"active={active} (need > 0), repeat={repeat} (need >= 0), skip_first={skip_first} (need >= 0)."
        )

    if warmup == 0:
        warnings.warn("Profiler won't be using warmup, this can skew profiler results", stacklevel=2)

    def action(step: int) -> ProfilerAction:
        if step < skip_first:
            return ProfilerAction.NONE
        step -= skip_first
        if skip_first_wait:
            step += wait
        turn, place = divmod(step, wait + warmup + active)
        if place < wait or 0 < repeat <= turn:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == wait + warmup + active - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


class profile:
    """A context that notes what ops, backward passes and marked ranges take, in steps that `schedule` says.

    `step()` ends a step; `on_trace_ready(profile)` is called after the last step of a round, and at the end.
    `record_shapes`, `profile_memory`, `with_stack`, `with_flops` and `with_modules` ask for more than times:
    see `torch.autograd.profiler.profile`. Without `acc_events` the events are those of the last round.

    >>> import pullback as torch
    >>> x = torch.ones(3, requires_grad=True)
    >>> with torch.profiler.profile() as seen:
    ...     x.exp().sum().backward()
    >>> print(seen.key_averages().table(sort_by="cpu_time_total", row_limit=3))  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        activities: Iterable[Any] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[..., Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
        experimental_config: Any = None,
        execution_trace_observer: Any = None,
        acc_events: bool = False,
        use_cuda: bool | None = None,
        custom_trace_id_callback: Callable[[], str] | None = None,
        post_processing_timeout_s: float | None = None,
    ) -> None:
        self.activities = set(supported_activities() if activities is None else activities)
        if use_cuda is not None:
            warnings.warn(
                "`use_cuda` is deprecated, use `activities` argument instead", FutureWarning, stacklevel=2
            )
        if not self.activities & set(ProfilerActivity):
            raise AssertionError("No valid profiler activities found")
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack, self.with_flops, self.with_modules = with_stack, with_flops, with_modules
        self.experimental_config, self.acc_events = experimental_config, acc_events
        self.custom_trace_id_callback = custom_trace_id_callback
        self.schedule = schedule or (lambda step: ProfilerAction.RECORD)
        self.record_steps = schedule is not None
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self.current_action = self.schedule(0)
        self.step_rec_fn: record_function | None = None
        self.profiler: Any = None
        self._metadata: dict[str, Any] = {}
        self._started = self._running = False

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, as entering the context does."""
        self._started = True
        self._go_to(self.current_action)
        self._mark_step()

    def stop(self) -> None:
        """End, as leaving the context does."""
        self._end_step()
        if self.profiler is None and self.current_action in _RECORDS:
            raise AssertionError("Profiler must be initialized before stopping trace")
        self._go_to(None)
        self._started = False

    def step(self) -> None:
        """The end of a step, and the beginning of the next."""
        self._end_step()
        before = self.current_action
        self.step_num += 1
        self.current_action = self.schedule(self.step_num)
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._go_to(None)
        if self._started:
            self._go_to(self.current_action)
            self._mark_step()

    def _mark_step(self) -> None:
        if self.record_steps:
            self.step_rec_fn = record_function(f"ProfilerStep#{self.step_num}")
            self.step_rec_fn.__enter__()

    def _end_step(self) -> None:
        if self.step_rec_fn is not None:
            self.step_rec_fn.__exit__(None, None, None)
            self.step_rec_fn = None

    def _go_to(self, action: ProfilerAction | None) -> None:
        """Begins to note, or ends it, as an action wants."""
        if action in _RECORDS and not self._running:
            self.prepare_trace()
            self.start_trace()
        elif action not in _RECORDS and self._running:
            self.stop_trace()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def prepare_trace(self) -> None:
        """Makes what notes a round."""
        if self.profiler is not None and self.acc_events:
            self.profiler.entered = False
            return
        if self.profiler is not None and not self.record_steps:
            warnings.warn(
                "Warning: Profiler clears events at the end of each cycle. Only events from the current "
                "cycle will be reported. To keep events across cycles, set acc_events=True.",
                stacklevel=3,
            )
        self.profiler = _ranges.profile(
            record_shapes=self.record_shapes,
            profile_memory=self.profile_memory,
            with_stack=self.with_stack,
            with_flops=self.with_flops,
            with_modules=self.with_modules,
            experimental_config=self.experimental_config,
            acc_events=self.acc_events,
        )

    def start_trace(self) -> None:
        """Begins to note."""
        self.profiler.__enter__()
        self.profiler.metadata.update(self._metadata)
        self.trace_id = (self.custom_trace_id_callback or (lambda: uuid.uuid4().hex.upper()))()
        self.profiler.metadata["trace_id"] = self.trace_id
        self._running = True

    def stop_trace(self) -> None:
        """Ends it."""
        if self.profiler is None:
            raise AssertionError("Profiler must be initialized before stopping trace")
        self.profiler.__exit__()
        self._running = False

    def _seen(self, what: str) -> Any:
        if self.profiler is None:
            raise AssertionError(f"Profiler must be initialized before {what}")
        return self.profiler

    def events(self) -> EventList:
        """The events, in the order of their beginnings."""
        return self._seen("accessing events").function_events

    def key_averages(
        self,
        group_by_input_shape: bool = False,
        group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:
        """One entry for all events of a name, or of a name and shapes or stack; `.table()` shows them."""
        return self._seen("getting key averages").key_averages(
            group_by_input_shape, group_by_stack_n, group_by_overload_name
        )

    def export_chrome_trace(self, path: str | os.PathLike[str], use_python_export: bool = False) -> None:
        """Writes the events as a file that browsers show as a time line, compressed if it ends in ".gz"."""
        self._seen("exporting chrome trace").export_chrome_trace(path)

    def export_stacks(self, path: str | os.PathLike[str], metric: str = "self_cpu_time_total") -> None:
        """Writes stacks with their times, as tools that draw flame graphs read them."""
        self._seen("exporting stacks").export_stacks(path, metric)

    def export_memory_timeline(self, path: str | os.PathLike[str], device: str | None = None) -> None:
        """Writes how much memory tensors held over time: a page (".html"), or numbers as JSON."""
        if not (self.record_shapes and self.profile_memory):
            raise ValueError("record_shapes=True, profile_memory=True required for memory profiling.")
        write_memory_timeline(self._seen("exporting memory timeline").memory(), path)

    def add_metadata(self, key: str, value: str) -> None:
        """Puts a text into the files that are written."""
        self._metadata[key] = value
        if self.profiler is not None:
            self.profiler.metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Puts a value, given as JSON, into the files that are written."""
        self.add_metadata(key, json.loads(value))

    preset_metadata_json = add_metadata_json

    def get_trace_id(self) -> str | None:
        """What tells this round from others."""
        return None if self.profiler is None else self.trace_id

    def set_custom_trace_id_callback(self, callback: Callable[[], str]) -> None:
        """Takes what makes the ids of rounds."""
        self.custom_trace_id_callback = callback

    def toggle_collection_dynamic(self, enable: bool, activities: Iterable[ProfilerActivity]) -> None:
        """Accepted: there are no devices whose events could be left out."""


_RECORDS = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes each round into a folder, as TensorBoard reads it."""

    def handler(prof: profile) -> None:
        try:
            os.makedirs(dir_name, exist_ok=True)
        except OSError as error:
            raise RuntimeError(f"Can't create directory: {dir_name}") from error
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        end = ".gz" if use_gzip else ""
        prof.export_chrome_trace(os.path.join(dir_name, f"{worker}.{time.time_ns()}.pt.trace.json{end}"))

    return handler


__getattr__ = getter(__name__)
