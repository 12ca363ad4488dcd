"""What is known of a recorded program: its steps, each with its line and with the numbers that went through.

A `Step` is a call of an op, or a leaf: its inputs are steps, so the last one holds all that led to it, and
none of its tensors. Forward it knows the range of its results, after a backward pass the gradient that came
to it and those that it passed on. `recording.py` makes steps while a program runs, `graph.py` makes them of
a graph that was recorded without.
"""

from __future__ import annotations

import linecache
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, NamedTuple

import numpy as np

from pullback.core._engine import Tensor
from pullback.core.dtypes import bfloat16
from pullback.core.types import Array
from pullback.transforms.stack import bottom


class Line(NamedTuple):
    """A line of the user's program."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The line as it stands in the file, empty where there is none."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self) -> str:
        place = f"{self.file}:{self.number}"
        return f"{place}, `{self.text}`" if self.text else place


@dataclass(frozen=True)
class Numbers:
    """The numbers of a tensor in short: how many there are, of what kinds, and between which bounds.

    `low` and `high` bound the finite ones (0 where there are none), `norm` is the root of the sum of their
    squares.
    """

    count: int
    zeros: int
    nans: int
    infinities: int
    low: float
    high: float
    norm: float

    @property
    def finite(self) -> bool:
        """Whether none is NaN or infinite."""
        return not (self.nans or self.infinities)

    @property
    def vanished(self) -> bool:
        """Whether all are zero."""
        return self.zeros == self.count > 0

    @property
    def mean_size(self) -> float:
        """The root of the mean of the squares."""
        return self.norm / math.sqrt(self.count) if self.count else 0.0

    def __str__(self) -> str:
        if not self.count:
            return "no numbers"
        if self.count == 1 and self.finite:
            return f"{self.low:.4g}"
        parts = [f"{self.low:.4g} to {self.high:.4g}"]
        parts += [f"{self.nans} NaN"] * bool(self.nans) + [f"{self.infinities} infinite"] * bool(
            self.infinities
        )
        return ", ".join(parts)


def numbers_of(tensor: Tensor | None) -> Numbers | None:
    """The numbers of a tensor in short; None where it has none, as on the meta device."""
    x = bottom(tensor)
    if x is None or x.is_meta:
        return None
    a: Array = x._array
    if x.dtype is bfloat16:
        a = a.astype(np.float32)
    return _numbers(a)


def _numbers(a: Array) -> Numbers:
    if a.dtype.kind not in "fc":
        whole = a.astype(np.float64)
        low, high = (float(whole.min()), float(whole.max())) if a.size else (0.0, 0.0)
        return Numbers(
            a.size, int(a.size - np.count_nonzero(a)), 0, 0, low, high, float(np.linalg.norm(whole))
        )
    if a.dtype.kind == "f" and a.size:  # nearly all are finite, and neither huge nor tiny
        low, high = float(a.min()), float(a.max())
        if abs(low) < 1e150 and abs(high) < 1e150:
            flat = a.ravel().astype(np.float64)
            norm, zeros = math.sqrt(float(flat @ flat)), a.size - int(np.count_nonzero(a))
            if norm > 1e-150 or zeros == a.size:
                return Numbers(a.size, zeros, 0, 0, low, high, norm)
    nan, infinite = np.isnan(a), np.isinf(a)
    kept = a[~(nan | infinite)]
    sizes = np.abs(kept).astype(np.float64)
    ordered = sizes if a.dtype.kind == "c" else kept
    largest = float(sizes.max(initial=0.0))
    norm = largest * float(np.linalg.norm(sizes / largest)) if largest else 0.0  # squares may overflow
    low, high = (float(ordered.min()), float(ordered.max())) if kept.size else (0.0, 0.0)
    zeros = int(a.size - np.count_nonzero(a))
    return Numbers(a.size, zeros, int(nan.sum()), int(infinite.sum()), low, high, norm)


class Step:
    """A call of an op, or a leaf (without `inputs`).

    `order` is a number of its own, above those of its inputs. `inputs` has a step for each operand, None
    for a number. `wanted` says of each whether it required a gradient, `tracked` whether the result does;
    `why` is "no_grad" or "inference_mode" where such a mode was on, `module` the path of the modules around
    it, `used` the name and line of the last step that took its result. `passed[i]` are the numbers of the
    gradient that went to input i, `gradient` those that came.
    """

    __slots__ = (
        "dtype", "gradient", "inputs", "line", "module", "name", "order", "passed", "result", "shape",
        "since", "tracked", "used", "wanted", "why",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        order: int,
        line: Line | None = None,
        inputs: Sequence[Step | None] = (),
        wanted: Sequence[bool] = (),
    ) -> None:
        self.name, self.order, self.line = name, order, line
        self.inputs, self.wanted = tuple(inputs), tuple(wanted)
        self.since = order  # of the oldest step that it follows from without history
        self.tracked = False
        self.why: str | None = None
        self.used: tuple[str, Line | None] | None = None
        self.module: tuple[str, ...] = ()
        self.shape: tuple[int, ...] = ()
        self.dtype: Any = None
        self.result: Numbers | None = None
        self.gradient: Numbers | None = None
        self.passed: tuple[Numbers | None, ...] = ()

    def describe(self, tensor: Tensor) -> None:
        """Notes what the step's result is like."""
        self.tracked, self.shape, self.dtype = tensor.requires_grad, tuple(tensor.shape), tensor.dtype
        self.result = numbers_of(tensor)

    def saw(self, passed: Sequence[Tensor | None], came: Sequence[Tensor | None]) -> None:
        """Notes a backward pass through the step."""
        self.passed = tuple([numbers_of(g) for g in passed])
        self.gradient = next((n for n in map(numbers_of, came) if n is not None), None)

    @property
    def leaf(self) -> bool:
        """Whether it is no call."""
        return not self.inputs

    def __repr__(self) -> str:
        return f"{self.name} at {self.line}" if self.line else self.name


def below(step: Step) -> Iterator[Step]:
    """A step and all that led to it, each once, the latest first: no step comes before one that used it."""
    seen, left = {step}, [(-step.order, step)]
    while left:
        step = heappop(left)[1]
        yield step
        for s in step.inputs:
            if s is not None and s not in seen:
                seen.add(s)
                heappush(left, (-s.order, s))


def path(last: Step, first: Step, only_wanted: bool) -> list[Step] | None:
    """Steps from `last` back to `first`, None if there is no way; `only_wanted`: one that gradients go."""
    came: dict[Step, Step | None] = {last: None}
    left = [last]
    for step in left:
        if step is first:
            found: list[Step] = []
            at: Step | None = step
            while at is not None:
                found.append(at)
                at = came[at]
            return found[::-1]
        for s, wanted in zip(step.inputs, step.wanted, strict=True):
            if s is not None and s not in came and (not only_wanted or (wanted and step.tracked)):
                came[s] = step
                left.append(s)
    return None


def between(last: Step, first: Step) -> list[Step]:
    """The steps on any way of gradients from `last` to `first`, without `first`, in the order of a pass."""
    reached = [s for s in below(last) if s.tracked]
    led: set[Step] = {first}
    for step in reversed(reached):
        if any(s in led and wanted for s, wanted in zip(step.inputs, step.wanted, strict=True)):
            led.add(step)
    return [s for s in reached if s in led and s is not first]
