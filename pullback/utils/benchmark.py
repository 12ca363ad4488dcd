"""`torch.utils.benchmark`: how long a statement takes, measured with care, and tables of it."""

from __future__ import annotations

import dataclasses
import enum
import math
import sys
import textwrap
import timeit
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from pullback.core.settings import get_num_threads, set_num_threads
from pullback.face.absent import getter

__all__ = ["Compare", "Language", "Measurement", "TaskSpec", "Timer", "select_unit", "timer", "trim_sigfig"]

timer = timeit.default_timer

UNITS = {
    "ns": ("nanosecond", 1e-9),
    "us": ("microsecond", 1e-6),
    "ms": ("millisecond", 1e-3),
    "s": ("second", 1.0),
}


class Language(enum.Enum):
    """What statements are written in: Python alone can be timed here."""

    PYTHON = 0
    CPP = 1


def select_unit(t: float) -> tuple[str, float]:
    """The unit in which a time is best said, and its length in seconds.

    >>> from pullback.utils.benchmark import select_unit
    >>> select_unit(2e-5)
    ('us', 1e-06)
    """
    place = math.floor(math.log10(t) / 3) * 3 if t > 0 else -9
    unit = {-9: "ns", -6: "us", -3: "ms"}.get(max(place, -9), "s")
    return unit, UNITS[unit][1]


def trim_sigfig(x: float, n: int) -> float:
    """A number with so many digits."""
    return float(f"{x:.{n - 1}e}") if x else 0.0


@dataclasses.dataclass(frozen=True)
class TaskSpec:
    """What was timed."""

    stmt: str
    setup: str
    global_setup: str = ""
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """Its label, or the statement where it has none."""
        if self.label is None:
            return self.stmt + (f": {self.sub_label}" if self.sub_label else "")
        return self.label + (f": {self.sub_label}" if self.sub_label else "")

    def setup_str(self) -> str:
        """What was run first, as it is shown; empty for nothing."""
        if self.setup in ("", "pass"):
            return ""
        text = textwrap.dedent(self.setup).strip()
        return f"setup:\n{textwrap.indent(text, '  ')}\n" if "\n" in text else f"setup: {text}"


class Measurement:
    """Times of several runs of a statement: `median`, `mean`, `iqr` in seconds for one execution."""

    def __init__(
        self,
        number_per_run: int,
        raw_times: list[float],
        task_spec: TaskSpec,
        metadata: dict[Any, Any] | None = None,
    ) -> None:
        self.number_per_run, self.raw_times = number_per_run, raw_times
        self.task_spec, self.metadata = task_spec, metadata

    def __getattr__(self, name: str) -> Any:
        if name in {field.name for field in dataclasses.fields(TaskSpec)} | {"title"}:
            return getattr(self.task_spec, name)
        raise AttributeError(f"'Measurement' object has no attribute '{name}'")

    @property
    def times(self) -> list[float]:
        """The seconds of one execution in each run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def median(self) -> float:
        """The middle of the times."""
        return float(np.median(self.times)) if self.raw_times else 0.0

    @property
    def mean(self) -> float:
        """The mean of the times."""
        return float(np.mean(self.times)) if self.raw_times else 0.0

    @property
    def iqr(self) -> float:
        """The distance between the quartiles of the times."""
        low, high = self._quartiles()
        return high - low

    def _quartiles(self) -> tuple[float, float]:
        if not self.raw_times:
            return 0.0, 0.0
        low, high = np.quantile(self.times, [0.25, 0.75])
        return float(low), float(high)

    @property
    def significant_figures(self) -> int:
        """How many digits of the median the spread of the times leaves, at most five.

        The half width of a confidence interval of 80 % around the middle of a normal distribution is its
        standard deviation (iqr / 1.349) times 1.645 over the root of the number of runs.
        """
        interval = max(2 * 1.645 * self.iqr / 1.349 / math.sqrt(len(self.raw_times) or 1), 1e-30)
        lost = math.log10(self.median / interval) if self.median > 0 else 0.0
        return max(1, min(5, math.floor(lost) + 1))

    @property
    def has_warnings(self) -> bool:
        """Whether the times scatter by more than a tenth."""
        return not self.meets_confidence()

    def meets_confidence(self, threshold: float = 0.1) -> bool:
        """Whether the quartiles lie within that part of the median."""
        return len(self.raw_times) < 2 or self.iqr / (self.median or 1.0) < threshold

    @property
    def as_row_name(self) -> str:
        """How rows of a table name it."""
        return self.task_spec.sub_label or self.task_spec.stmt or "[Unknown]"

    @property
    def env(self) -> str | None:
        """The environment that it was measured in, by the user's name for it."""
        return self.task_spec.env

    @property
    def title(self) -> str:
        """Its label, or the statement where it has none."""
        return self.task_spec.title

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Those of the same task put together."""
        groups: dict[TaskSpec, list[Measurement]] = {}
        for m in measurements:
            groups.setdefault(m.task_spec, []).append(m)
        merged = []
        for spec, group in groups.items():
            number = group[0].number_per_run
            times = [t * number for m in group for t in m.times]
            merged.append(Measurement(number, times, spec))
        return merged

    def __repr__(self) -> str:
        lines = [object.__repr__(self), self.title]
        lines += filter(None, [self.task_spec.description, self.task_spec.setup_str()])
        unit, size = select_unit(self.median)
        runs, name = len(self.raw_times), "Median: " if len(self.raw_times) > 1 else ""
        lines.append(f"  {name}{self.median / size:.2f} {unit}")
        if runs > 3:
            low, high = self._quartiles()
            lines.append(f"  IQR:    {self.iqr / size:.2f} {unit} ({low / size:.2f} to {high / size:.2f})")
        threads = self.task_spec.num_threads
        per = "runs per measurement," if runs > 1 else "runs ,"
        on = f"{threads} thread{'s' * (threads > 1)}"
        lines.append(f"  {runs} measurement{'s' * (runs > 1)}, {self.number_per_run} {per} {on}")
        if self.has_warnings:
            part = self.iqr / self.median * 100
            lines.append(f"  WARNING: Interquartile range is {part:.1f}% of the median measurement.")
            lines.append(
                "           This "
                + (
                    "suggests significant environmental influence."
                    if part > 25
                    else "could indicate system fluctuation."
                )
            )
        return "\n".join(lines)


class Timer:
    """Times a statement of Python, on so many threads as said (one, unless `num_threads` says else).

    >>> import pullback as torch
    >>> from pullback.utils.benchmark import Timer
    >>> found = Timer("x + 1", globals={"x": torch.ones(3)}).timeit(10)
    >>> found.number_per_run, found.median > 0
    (10, True)
    """

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Callable[[], float] = timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Language | str = Language.PYTHON,
    ) -> None:
        if not isinstance(stmt, str):
            raise ValueError("Currently only a `str` stmt is supported.")
        if language not in (Language.PYTHON, "py", "python"):
            raise NotImplementedError("Timer: statements in Python alone can be timed, not in C++")
        if global_setup:
            raise ValueError(
                f"global_setup is C++ only, got `{global_setup}`. Most likely this code can simply be moved "
                "to `setup`."
            )
        stmt, setup = textwrap.dedent(stmt).strip(), textwrap.dedent(setup).strip()
        names = {"torch": sys.modules["pullback"], **(globals or {})}
        self._timer = timeit.Timer(stmt, setup, timer, globals=names)
        self._task_spec = TaskSpec(stmt, setup, global_setup, label, sub_label, description, env, num_threads)

    def _seconds(self, number: int) -> float:
        before = get_num_threads()
        set_num_threads(self._task_spec.num_threads)
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            set_num_threads(before)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One run of so many executions, after a short one that warms up."""
        self._seconds(max(number // 100, 2))
        return Measurement(number, [self._seconds(number)], self._task_spec)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Refused, as in PyTorch: use `timeit` or `blocked_autorange`."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    autorange = repeat

    def _block_size(self, least: float) -> int:
        """So many executions that the clock's own time does not count, and that it is called often."""
        number, overhead = 1, min(self._seconds_of_nothing() for _ in range(5))
        while True:
            taken = self._seconds(number)
            if overhead <= 1e-4 * taken and taken >= least / 1000:
                return number
            if taken > least:
                return number
            number *= 10

    def _seconds_of_nothing(self) -> float:
        return timeit.Timer("pass").timeit(1)

    def blocked_autorange(
        self, callback: Callable[[int, float], NoReturn] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Runs of one length until `min_run_time` seconds have passed; the median outlasts disturbances."""
        number = self._block_size(min_run_time)
        return self._runs(number, callback, lambda times, whole: whole < min_run_time)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], NoReturn] | None = None,
    ) -> Measurement:
        """Runs until the quartiles of their times lie within `threshold` of the median, or time is up."""
        number = self._block_size(0.05)

        def unsure(times: Sequence[float], whole: float) -> bool:
            if whole >= max_run_time:
                return False
            found = Measurement(number, list(times), self._task_spec)
            return len(times) < 3 or whole < min_run_time or not found.meets_confidence(threshold)

        return self._runs(number, callback, unsure)

    def _runs(
        self,
        number: int,
        callback: Callable[[int, float], NoReturn] | None,
        more: Callable[[Sequence[float], float], bool],
    ) -> Measurement:
        times: list[float] = []
        while not times or more(times, sum(times)):
            times.append(self._seconds(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._task_spec)


Cell = tuple[int, str, str]
"""Where a measurement stands in a table: its number of threads, its row, its column."""
GREEN, BLUE, RED, PALE_RED = "\033[92m\033[1m", "\033[34m\033[1m", "\033[31m\033[1m", "\033[2m\033[91m"
PLAIN = "\033[0m"


class Compare:
    """A table of measurements: a row for each `sub_label`, a column for each `description`, by threads."""

    def __init__(self, results: list[Measurement]) -> None:
        self._results: list[Measurement] = []
        self._trim = self._coloured = self._warned = False
        self.extend_results(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Adds measurements."""
        results = list(results)
        for m in results:
            if not isinstance(m, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(m)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Shows only the digits that are sure."""
        self._trim = True

    def colorize(self, rowwise: bool = False) -> None:
        """Shows the best of each row (`rowwise`) or column in green."""
        self._coloured = True
        self._rowwise = rowwise

    def highlight_warnings(self) -> None:
        """Shows how much times scatter, where it is more than a tenth."""
        self._warned = True

    def print(self) -> None:
        """Prints the table."""
        print(self)

    def __str__(self) -> str:
        return "\n".join(self._tables())

    def _tables(self) -> Iterator[str]:
        merged = Measurement.merge(self._results)
        for label in dict.fromkeys(m.task_spec.label or m.task_spec.stmt for m in merged):
            yield self._table(label, [m for m in merged if (m.task_spec.label or m.task_spec.stmt) == label])

    def _table(self, label: str, results: list[Measurement]) -> str:
        unit, size = select_unit(min(m.median for m in results))
        columns = list(dict.fromkeys(m.task_spec.description or "" for m in results))
        threads = sorted({m.task_spec.num_threads for m in results})
        found = {(m.task_spec.num_threads, m.as_row_name, m.task_spec.description or ""): m for m in results}
        names = list(dict.fromkeys(m.as_row_name for m in results))
        head = max(len(name) for name in names) + 6
        shown = {key: self._shown(m, size) for key, m in found.items()}
        digits = {c: max(len(v) for k, v in shown.items() if k[2] == c) for c in columns}
        widths = {c: max(len(c), digits[c]) for c in columns}
        whole = head + sum(w + 5 for w in widths.values())
        lines = [f"[{f' {label} '.center(whole - 2, '-')}]"]
        lines.append(" " * head + "".join(f"  |  {c.center(widths[c])}" for c in columns))
        for count in threads:
            lines.append(f"{count} threads: ".ljust(whole, "-"))
            for name in names:
                keys = [(count, name, column) for column in columns]
                if any(key in found for key in keys):
                    cells = [
                        self._coloured_text(
                            shown.get(k, "").rjust(digits[k[2]]).center(widths[k[2]]), k, found
                        )
                        for k in keys
                    ]
                    lines.append(f"      {name}".ljust(head) + "".join(f"  |  {cell}" for cell in cells))
        lines += ["", f"Times are in {UNITS[unit][0]}s ({unit})."]
        if self._warned and any(m.has_warnings for m in results):
            lines.append("(! XX%) Measurement has high variance, where XX is the IQR / median * 100.")
        return "\n".join([*lines, ""])

    def _shown(self, m: Measurement, size: float) -> str:
        value = m.median / size
        text = f"{trim_sigfig(value, m.significant_figures):g}" if self._trim else f"{value:.1f}"
        return f"{text} (! {m.iqr / m.median:.0%})" if self._warned and m.has_warnings else text

    def _coloured_text(self, text: str, key: Cell, found: dict[Cell, Measurement]) -> str:
        """The text of a cell in the colour of its distance from the best of its row or column."""
        if not self._coloured or key not in found:
            return text
        same = 1 if self._rowwise else 2
        best = min(m.median for k, m in found.items() if k[0] == key[0] and k[same] == key[same])
        median = found[key].median
        for holds, colour in (
            (median <= max(1.01 * best, best + 100e-9), GREEN),
            (median <= 1.1 * best, BLUE),
            (median >= 5 * best, RED),
            (median >= 2 * best, PALE_RED),
        ):
            if holds:
                return f"{colour}{text}{PLAIN}{PLAIN}"
        return text


__getattr__ = getter(__name__)
