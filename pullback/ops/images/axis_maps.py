"""Linear maps of images that work on one dim after another: what pooling, padding and resizing share.

An `AxisMap` says which weighted elements of a dim make each place of the result; its transpose is an
AxisMap again. `resample` applies one to each of the last dims, so its derivative is `resample` with
the transposed maps, to any order; `take_axes` is the same for maps that only copy, of any dtype.
Read `AxisMap`, then `apply_maps`. The loops are in `kernels/resample.pyx`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core._plans import Lasting, Plan, Spec
from pullback.core.dtypes import complex32
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import resample as resample_kernels
from pullback.kernels.pooling import address
from pullback.ops.shared.chains import Chain, Operand, Place, Step, operand


class AxisMap(Lasting):
    """A linear map of one dim: place o is the sum of `weight[k] * x[index[k]]`, over `divisor[o]`.

    `k` runs from `start[o]` to `start[o + 1]`. Without weights they are one; without divisor likewise.
    """

    def __init__(
        self, size: int, start: Array, index: Array, weight: Array | None = None, divisor: Array | None = None
    ) -> None:
        self.size, self.places = size, len(start) - 1
        self.start, self.index = start.astype(np.int64), np.ascontiguousarray(index, np.int64)
        self.copies = weight is None and divisor is None and len(index) == self.places
        self.weight = np.ones(len(index)) if weight is None else np.ascontiguousarray(weight, np.float64)
        self.divisor = None if divisor is None else np.ascontiguousarray(divisor, np.float64)
        self._transpose: AxisMap | None = None
        if self.copies:
            self.runs = _runs(self.index)

    @property
    def transposed(self) -> AxisMap:
        """The map that sends each place's gradient back to the elements it was made of."""
        if self._transpose is None:
            place = np.repeat(np.arange(self.places), np.diff(self.start))
            weight = self.weight if self.divisor is None else self.weight / self.divisor[place]
            order = np.argsort(self.index, kind="stable")
            counts = np.bincount(self.index, minlength=self.size)
            start = np.concatenate([[0], np.cumsum(counts)])
            self._transpose = AxisMap(self.places, start, place[order], weight[order])
            self._transpose._transpose = self
        return self._transpose


Maps = tuple[AxisMap | None, ...]


def _runs(index: Array) -> tuple[Array, Array]:
    """An index as runs of consecutive elements: where each begins, and its length."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(index) != 1) + 1]) if len(index) else index
    return index[first], np.diff(np.concatenate([first, [len(index)]])).astype(np.int64)


def gather_map(size: int, index: Array) -> AxisMap:
    """The map that copies an element to each place."""
    return AxisMap(size, np.arange(len(index) + 1), index)


def window_map(size: int, first: Array, end: Array, divisor: Array | None) -> AxisMap:
    """The map that adds up the elements of windows [first, end), over a divisor each."""
    counts = end - first
    start = np.concatenate([[0], np.cumsum(counts)])
    index = np.arange(start[-1]) - np.repeat(start[:-1] - first, counts)
    return AxisMap(size, start, index, np.ones(len(index)), divisor)


@functools.lru_cache(4096)
def _work_order(maps: Maps) -> list[tuple[int, AxisMap]]:
    """The dims and their maps in the order of their work: those that shrink most first.

    Of dims that grow alike the last goes first, as it has the slowest loop; of those that shrink, the first.
    """
    given = {axis: m for axis, m in enumerate(maps) if m is not None}
    growth = {axis: m.places / max(m.size, 1) for axis, m in given.items()}
    axes = sorted(growth, key=lambda axis: (growth[axis], -axis if growth[axis] >= 1 else axis))
    return [(axis, given[axis]) for axis in axes]


def apply_maps(x: Array, maps: Maps) -> Array:
    """An array with a map applied to each of its last dims."""
    x = np.ascontiguousarray(x)
    if x.dtype.kind == "c":
        pairs = x.view(x.real.dtype).reshape(*x.shape, 2)
        return apply_maps(pairs, (*maps, None)).view(x.dtype).reshape(mapped_shape(x, maps))
    before = x.ndim - len(maps)
    for axis, m in _work_order(maps):
        shape = x.shape
        outer, inner = math.prod(shape[: before + axis]), math.prod(shape[before + axis + 1 :])
        y = np.empty((*shape[: before + axis], m.places, *shape[before + axis + 1 :]), x.dtype)
        if m.copies:
            resample_kernels.take_runs(x, y, outer, m.size, inner, *m.runs, m.places)
        else:
            resample_kernels.weighted_sums(
                x, y, outer, m.size, inner, m.places, m.start, m.index, m.weight, m.divisor
            )
        x = y
    return x


def mapped_shape(x: Any, maps: Maps) -> tuple[int, ...]:
    """The shape of an array after maps of its last dims."""
    before = x.ndim - len(maps)
    tail = zip(x.shape[before:], maps, strict=True)
    return (*x.shape[:before], *(n if m is None else m.places for n, m in tail))


def transposed_maps(maps: Maps) -> Maps:
    """The transposed maps."""
    return tuple([None if m is None else m.transposed for m in maps])


def _shown_slope(saved: dict[str, Any]) -> bool:
    """Whether the gradient counts as a function of the input: of pooling and padding, as in PyTorch."""
    return not saved["grad_name"].startswith(("Upsample", "CopySlices"))


@op(places="", linear=True, batch="leading", layout="F", flat_slope=_shown_slope)
def resample(self: Array, maps: Maps, grad_name: str) -> Array:
    """Maps on the last dims of `self`: sums of weighted elements. Nodes are called `grad_name`."""
    if all(m is None for m in maps):
        return self.copy()
    return apply_maps(self, maps)


@resample.prepare
def _plan_resample(self: Spec, maps: Maps, grad_name: str) -> Plan:
    result = Spec(self.dtype, mapped_shape(self, maps))
    if all(m is None for m in maps) or self.dtype.kind not in "fc":
        return Plan(result)
    chain = Chain(1, result)
    x = chain.widened(operand(Place(0), self, range(self.ndim)))
    # What is expanded is widened as it lies.
    if not self.contiguous and (x.place.base >= 0 or 0 in self.strides):
        x = chain.copied(x)
    out = operand(chain.result(), result, range(self.ndim))
    _add_maps(chain, x, maps, out if x.dtype is self.dtype else None)
    return chain.plan()


def _add_maps(chain: Chain, x: Operand, maps: Maps, out: Operand | None) -> None:
    """The steps of `apply_maps`; the last writes into `out`, or into a half precision's result."""
    before = len(x.sizes) - len(maps)
    order = _work_order(maps)
    halves = 1 + x.dtype.is_complex
    real = x.dtype.to_real()
    for number, (axis, m) in enumerate(order):
        shape = tuple(x.sizes.values())
        outer, inner = math.prod(shape[: before + axis]), math.prod(shape[before + axis + 1 :]) * halves
        sizes, work = x.sizes | {before + axis: m.places}, outer * m.places * inner
        to = out if out is not None and number == len(order) - 1 else chain.room(x.dtype, sizes)
        if m.copies:
            source, length = m.runs
            geometry = (real.itemsize, m.size, inner, m.places, len(source), *map(address, (source, length)))
            chain.add(Step(resample_kernels.GATHER, geometry, outer, 0, work), x.place, to.place)
        else:
            terms = [0 if a is None else address(a) for a in (m.start, m.index, m.weight, m.divisor)]
            geometry = (m.size, inner, m.places, *terms)
            chain.add(Step(resample_kernels.WEIGH[real.name], geometry, outer, 0, work), x.place, to.place)
        x = to
    if out is None:
        assert isinstance(chain.results, Spec)
        chain.convert(x, operand(chain.result(), chain.results, range(len(x.sizes))))


@op(places="", linear=True, moves=True, batch="leading", layout="F", flat_slope=_shown_slope)
def take_axes(self: Array, maps: Maps, grad_name: str) -> Array:
    """The same for maps that only copy, which take any dtype."""
    if all(m is None for m in maps):
        return self.copy()
    if self.dtype.kind == "V" or self.dtype.itemsize == 2:
        return apply_maps(self.view(np.int16), maps).view(self.dtype)
    return apply_maps(self, maps)


@take_axes.prepare
def _plan_take_axes(self: Spec, maps: Maps, grad_name: str) -> Plan:
    result = Spec(self.dtype, mapped_shape(self, maps))
    if all(m is None for m in maps) or not self.contiguous or self.dtype is complex32:
        return Plan(result)
    chain, place, shape = Chain(1, result), Place(0), self.shape
    before, order = self.ndim - len(maps), _work_order(maps)
    for number, (axis, m) in enumerate(order):
        outer, inner = math.prod(shape[: before + axis]), math.prod(shape[before + axis + 1 :])
        shape = (*shape[: before + axis], m.places, *shape[before + axis + 1 :])
        last = number == len(order) - 1
        to = chain.result() if last else chain.room(self.dtype, dict(enumerate(shape))).place
        source, length = m.runs
        geometry = (
            self.dtype.itemsize,
            m.size,
            inner,
            m.places,
            len(source),
            *map(address, (source, length)),
        )
        chain.add(Step(resample_kernels.GATHER, geometry, outer, 0, math.prod(shape)), place, to)
        place = to
    return chain.plan()


def _resample_vjp(g: Tensor, maps: Maps, grad_name: str) -> Tensor:
    return resample(g, transposed_maps(maps), grad_name.replace("Backward", "BackwardBackward"))


for _record in (resample, take_axes):
    _record.vjp(self=_resample_vjp)
    _record.variant = "grad_name"
