"""Plans of several steps: each step is a run of its own, on the op's tensors and on scratch memory.

A `Chain` collects steps and becomes the `Plan` of an op. An `Operand` is memory with labelled dims, which are
any hashables: a step names the dims that it goes over, and what an operand lacks it is broadcast along.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import complex32, dtype, float32
from pullback.kernels import steps
from pullback.kernels.moves import RUNS as MOVES

SCRATCH, CONSTANT = -1, -2
ALIGNED = 64
"""Bytes: what scratch memory of an operand is rounded up to."""


class Place(NamedTuple):
    """Memory of a chain: the number of a tensor, or SCRATCH, and an offset in bytes."""

    base: int
    offset: int = 0


class Step(NamedTuple):
    """A run with its geometry, as `Plan` takes them.

    `work` is about how many elements it takes; where it is not said, one thread does the step.
    """

    run: Any
    geometry: tuple[int, ...]
    parts: int = 1
    scratch: int = 0
    work: int = 0


@dataclass(frozen=True)
class Operand:
    """Memory of one dtype with labelled dims: their sizes and their steps in bytes."""

    place: Place
    dtype: dtype
    sizes: dict[Hashable, int]
    steps: dict[Hashable, int]

    def step(self, label: Hashable) -> int:
        """The step along a dim, 0 along one that it has not."""
        return self.steps.get(label, 0)

    def renamed(self, names: dict[Hashable, Hashable]) -> Operand:
        """The same memory with other labels."""
        sizes = {names.get(label, label): n for label, n in self.sizes.items()}
        steps = {names.get(label, label): n for label, n in self.steps.items()}
        return Operand(self.place, self.dtype, sizes, steps)


def merged(dims: Iterable[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Dims (size, step, ...) without those of one, and with neighbours that run on as one."""
    result: list[tuple[int, ...]] = []
    for size, *of in dims:
        if size == 1:
            continue
        if result and all(before == step * size for before, step in zip(result[-1][1:], of, strict=True)):
            result[-1] = (result[-1][0] * size, *of)
        else:
            result.append((size, *of))
    return result


def turned(dims: list[tuple[int, ...]], item: int) -> list[tuple[int, ...]]:
    """Dims {size, step, step of the result} of a copy, that of the source's runs last but one: see move.h."""
    for d in range(len(dims) - 2):
        if dims[d][1] == item and dims[-1][1] != item:
            return [*dims[:d], *dims[d + 1 : -1], dims[d], dims[-1]]
    return dims


def operand(place: Place, spec: Spec, labels: Sequence[Hashable]) -> Operand:
    """A tensor with a label for each dim. A label that stands twice is the diagonal.

    NotImplementedError for floats of eight bits and complex32, which have no loops.
    """
    if spec.dtype.kind == "e" or spec.dtype is complex32:
        raise NotImplementedError(f"\"addmm_impl_cpu_\" not implemented for '{spec.dtype.type_name}'")
    strides = spec.strides if spec.strides is not None else packed(spec.shape, spec.dtype.itemsize)
    sizes: dict[Hashable, int] = {}
    of: dict[Hashable, int] = {}
    for label, n, step in zip(labels, spec.shape, strides, strict=True):
        sizes[label] = n
        of[label] = of.get(label, 0) + (step if n != 1 else 0)
    return Operand(place, spec.dtype, sizes, of)


def labels_of(spec: Spec, shape: Sequence[int]) -> list[int]:
    """Labels for the dims of a tensor that is broadcast to a shape, whose dims have their numbers."""
    return list(range(len(shape) - spec.ndim, len(shape)))


def part_of(x: Operand, label: Hashable, index: int) -> Operand:
    """What has an index along one dim, without that dim."""
    place = Place(x.place.base, x.place.offset + index * x.step(label))
    sizes, steps = [{y: n for y, n in of.items() if y != label} for of in (x.sizes, x.steps)]
    return Operand(place, x.dtype, sizes, steps)


def packed(shape: Sequence[int], item: int) -> tuple[int, ...]:
    """The steps of contiguous elements of `item` bytes."""
    found = []
    for n in reversed(shape):
        found.append(item)
        item *= n
    return tuple(found[::-1])


def words_of(number: Any, kind: dtype) -> tuple[int, ...]:
    """A number of a dtype as two words of memory."""
    data = np.array([number], kind.numpy).tobytes()
    return tuple(int(word) for word in np.frombuffer(data.ljust(16, b"\0"), np.int64))


def bits_of(number: float) -> int:
    """A double as a word of a geometry."""
    bits: int = struct.unpack("q", struct.pack("d", number))[0]
    return bits


class Chain:
    """Steps on the tensors of an op: `inputs` of them, then its results."""

    def __init__(self, inputs: int, results: Spec | tuple[Spec, ...]) -> None:
        self.inputs, self.results = inputs, results
        self._steps: list[tuple[Step, tuple[Place, ...]]] = []
        self._shared = 0

    def result(self, number: int = 0) -> Place:
        """Where a result is written."""
        return Place(self.inputs + number)

    def room(self, kind: dtype, sizes: dict[Hashable, int], place: Place | None = None) -> Operand:
        """Contiguous memory of dims in the order of `sizes`: scratch, or that of a result."""
        if place is None:
            place = Place(SCRATCH, self._shared)
            count = math.prod(sizes.values()) * kind.itemsize
            self._shared += -(-count // ALIGNED) * ALIGNED
        return operand(place, Spec(kind, tuple(sizes.values())), list(sizes))

    def add(self, step: Step, *places: Place) -> None:
        """One step more, on memory in the order that its run takes."""
        self._steps.append((step, places))

    def contiguous(self, number: int, spec: Spec) -> Place:
        """An argument of the op, or a contiguous copy of it."""
        return (
            Place(number)
            if spec.contiguous
            else self.copied(operand(Place(number), spec, range(spec.ndim))).place
        )

    def flat(self, number: int, spec: Spec) -> Operand:
        """An argument of the op as contiguous elements, itself or a copy, with the numbers of its dims."""
        return self.room(spec.dtype, dict(enumerate(spec.shape)), self.contiguous(number, spec))

    def labelled(self, x: Operand, sizes: dict[Hashable, int]) -> Operand:
        """Contiguous memory with other dims."""
        return self.room(x.dtype, sizes, x.place)

    def pointwise(self, ufunc: Any, *operands: Operand | int | float | complex) -> None:
        """A loop of NumPy's over the dims of the last operand, the result; the others may be numbers."""
        *inputs, out = operands
        assert isinstance(out, Operand)
        order = sorted(out.sizes, key=lambda x: -abs(out.steps[x]))
        of = [[x.step(label) if isinstance(x, Operand) else 0 for x in operands] for label in order]
        dims = merged((out.sizes[label], *steps) for label, steps in zip(order, of, strict=True))
        dims = dims or [(1, *[0] * len(operands))]
        numbers = [x for x in inputs if not isinstance(x, Operand)]
        kind = next((x.dtype for x in inputs if isinstance(x, Operand)), out.dtype)
        words = [word for x in numbers for word in words_of(x, kind)]
        geometry = [*steps.loop_of(ufunc, kind.code), len(operands), len(dims)]
        geometry += [n for dim in dims for n in dim]
        places, constant = [], len(geometry) * 8
        for x in operands:
            places.append(x.place if isinstance(x, Operand) else Place(CONSTANT, constant))
            constant += 0 if isinstance(x, Operand) else 16
        lines = math.prod(dim[0] for dim in dims[:-1])
        parts = lines * max(1, -(-dims[-1][0] // steps.LINE_BLOCK))
        self.add(Step(steps.POINTWISE, (*geometry, *words), parts, 0, lines * dims[-1][0]), *places)

    def copied(self, x: Operand, order: Sequence[Hashable] | None = None) -> Operand:
        """A contiguous copy in scratch with dims in this order."""
        labels = list(x.sizes) if order is None else order
        copy = self.room(x.dtype, {label: x.sizes[label] for label in labels})
        self.copy(x, copy)
        return copy

    def copy(self, x: Operand, out: Operand) -> None:
        """Writes the elements of an operand into another of its dtype."""
        item = out.dtype.itemsize
        order = sorted(out.sizes, key=lambda label: -abs(out.steps[label]))
        dims = turned(merged((out.sizes[y], x.step(y), out.steps[y]) for y in order), item)
        self._move(0, dims, item, x.place, out.place)

    def zero(self, out: Operand) -> None:
        """Fills contiguous memory with zeros."""
        item = out.dtype.itemsize
        self._move(-1, [(math.prod(out.sizes.values()), 0, item)], item, out.place)

    def _move(self, source: int, dims: list[tuple[int, ...]], item: int, *places: Place) -> None:
        parts = dims[0][0] if len(dims) > 1 else 1
        box = (source, 0, 0, parts, len(dims), *[n for dim in dims for n in dim])
        work = math.prod(dim[0] for dim in dims)
        self.add(Step(MOVES["move"][item], (len(places) - 1, 0, 0, 1, 1, *box), parts, 0, work), *places)

    def convert(self, x: Operand, out: Operand) -> None:
        """A half precision as float, or float as a half precision."""
        run = steps.WIDEN[x.dtype.name] if out.dtype is float32 else steps.NARROW[out.dtype.name]
        order = sorted(x.sizes, key=lambda label: -abs(x.steps[label]))
        dims = merged((x.sizes[label], x.steps[label], out.step(label)) for label in order)
        dims = dims or [(1, 0, 0)]
        parts = math.prod(dim[0] for dim in dims[:-1])
        geometry = (len(dims), *[n for dim in dims for n in dim])
        self.add(Step(run, geometry, parts, 0, parts * dims[-1][0]), x.place, out.place)

    def widened(self, x: Operand) -> Operand:
        """The operand itself, or a float copy of one in half precision."""
        if x.dtype.name not in steps.WIDEN:
            return x
        sizes = {label: n for label, n in x.sizes.items() if x.steps[label] or n == 1}
        wide = self.room(float32, sizes)
        self.convert(Operand(x.place, x.dtype, sizes, x.steps), wide)
        full = wide.steps | {label: 0 for label in x.sizes if label not in sizes}
        return Operand(wide.place, float32, x.sizes, full)

    def floats(self, number: int, spec: Spec) -> Place:
        """An argument of the op as contiguous elements, of a half precision as float: itself, or a copy."""
        if spec.dtype.name not in steps.WIDEN:
            return self.contiguous(number, spec)
        x = operand(Place(number), spec, range(spec.ndim))
        wide = self.room(float32, x.sizes)
        self.convert(x, wide)
        return wide.place

    def add_floats(self, step: Callable[[dtype], Step], *places: Place) -> None:
        """The step that writes all results, its last places; halves are written as floats first.

        `step` makes it for a dtype.
        """
        results = (self.results,) if isinstance(self.results, Spec) else self.results
        written = []
        for number, spec in enumerate(results):
            out = operand(self.result(number), spec, range(spec.ndim))
            half = spec.dtype.name in steps.NARROW
            written.append((self.room(float32, out.sizes) if half else out, out))
        self.add(step(written[0][0].dtype), *places, *[work.place for work, _ in written])
        for work, out in written:
            if work is not out:
                self.convert(work, out)

    def plan(self, refuse: Callable[..., Exception | None] | None = None) -> Plan:
        """The plan that does all steps."""
        count = 1 if isinstance(self.results, Spec) else len(self.results)
        if len(self._steps) == 1 and not self._shared:
            step, places = self._steps[0]
            if places == tuple(Place(i) for i in range(self.inputs + count)):
                run, numbers = self.wrapped(step.run, step.geometry)
                return Plan(
                    self.results, run, numbers, step.parts, step.scratch, refuse=refuse, work=step.work
                )
        geometry = [len(self._steps), self._shared]
        for step, places in self._steps:
            geometry += [steps.address(step.run), *step[2:], len(places), len(step.geometry)]
            geometry += [n for place in places for n in place] + list(step.geometry)
        own = max((step.scratch for step, _ in self._steps), default=0)
        run, numbers = self.wrapped(steps.CHAIN, tuple(geometry))
        return Plan(self.results, run, numbers, 1, self._shared + own, refuse)

    def wrapped(self, run: Any, geometry: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
        """The run of the plan with its geometry, or another that calls it."""
        return run, geometry
