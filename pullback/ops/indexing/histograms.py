"""Counting: histograms over any number of dims, weighted or not; histc and bincount.

`_bin_of_point` finds the bin of each point among edges of any spacing; counting is `bincount`. So the
counts have a derivative in the weights: each weight's gradient is that of its bin. The bins have
none in the points.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Op, Tensor, spread, write_out
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import C_NAMES, type_name
from pullback.core.dtypes import contiguous_format, float32, float64, int64
from pullback.core.op import op
from pullback.core.types import Array, Arrays
from pullback.kernels.order import RUNS, TABLES, counted
from pullback.ops.arrays.casts import cast_array
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.batches import has_samples, of_sample
from pullback.ops.shared.chains import bits_of, merged
from pullback.ops.shared.flat_indices import compact
from pullback.ops.shared.forms import explained


@op(name="histogram_bins", places="", nondiff=True)
def _bin_of_point(self: Array, edges: Arrays) -> Array:
    """The flat bin of each point (row), or the number of bins for a point in none.

    Bins contain their lower edge; the last one its upper edge, too.
    """
    flat_bin, inside = np.zeros(self.shape[0], np.int64), np.ones(self.shape[0], bool)
    for k, edge in enumerate(edges):
        bins = len(edge) - 1
        x = self[:, k]
        edge = edge.astype(self.dtype)
        one = np.searchsorted(edge, x, "right") - 1
        one[x == edge[-1]] = bins - 1
        inside &= (one >= 0) & (one < bins) & (x <= edge[-1])
        flat_bin = flat_bin * bins + one
    return np.where(inside, flat_bin, math.prod(len(edge) - 1 for edge in edges))


@_bin_of_point.prepare
def _plan_bin_of_point(self: Spec, edges: list[Spec]) -> Plan:
    result = Spec(int64, self.shape[:1])
    if any(edge.dtype is not self.dtype or not edge.size for edge in edges):
        return Plan(result)
    flat = [n for edge in edges for n in (edge.size, *steps_of(edge))]
    geometry = (len(edges), *steps_of(self), *flat)
    return Plan(result, RUNS["bins"].get(self.dtype.name), geometry, self.shape[0])


@_bin_of_point.batch
@of_sample
def _bins_by_search(points: Tensor, edges: list[Tensor]) -> Tensor:
    flat_bin, inside = 0, True
    for k, edge in enumerate(edges):
        bins, x = edge.shape[0] - 1, ops.select(points, 1, k)
        last = ops.select(edge, 0, bins)
        one = ops.searchsorted(edge, x, right=True) - 1
        one = ops.where(x == last, bins - 1, one)
        inside = (one >= 0) & (one < bins) & (x <= last) & inside
        flat_bin = one + flat_bin * bins
    return ops.where(inside, flat_bin, math.prod(edge.shape[0] - 1 for edge in edges))


def _limits_by_ops(points: Tensor) -> list[tuple[Tensor, Tensor]]:
    """`_limits` of the points of each sample, of which none can be refused."""
    low, high = ops.amin(points, 0), ops.amax(points, 0)
    low, high = ops.where(low == high, low - 0.5, low), ops.where(low == high, high + 0.5, high)
    return list(zip(ops.unbind(low), ops.unbind(high), strict=True))


def _limits(points: Tensor, range: Sequence[float] | None) -> list[tuple[float, float]]:
    """The lowest and the highest edge of each dim: those given, or those of the points."""
    dims = points.shape[1]
    if range is not None:
        if len(range) != 2 * dims:
            raise RuntimeError(
                f"torch.histogramdd: for a {dims}-dimensional histogram range should have {2 * dims} "
                f"elements, but got {len(range)}"
            )
        ends = list(zip(range[::2], range[1::2], strict=True))
    elif points.shape[0]:
        low, high = ops.aminmax(points.detach(), dim=0)
        ends = list(zip(low.tolist(), high.tolist(), strict=True))
    else:
        ends = [(0.0, 1.0)] * dims
    for k, (low, high) in enumerate(ends):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd: dimension {k}'s range [{low:g}, {high:g}] is not finite")
        if low > high:
            raise RuntimeError(
                f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for "
                f"dimension {k}"
            )
    return [(low - 0.5, high + 0.5) if low == high else (low, high) for low, high in ends]


def _even_edges(points: Tensor, bins: Sequence[int], range: Sequence[float] | None) -> list[Tensor]:
    for k, count in enumerate(bins):
        if count <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {count} for dimension {k}")
    limits: list[tuple[Any, Any]]
    if range is None and has_samples(points) and points.shape[0]:
        limits = _limits_by_ops(points.detach())
    else:
        limits = _limits(points, range)
    return [
        ops.linspace(low, high, count + 1, dtype=points.dtype)
        for count, (low, high) in zip(bins, limits, strict=True)
    ]


def _counted(points: Tensor, edges: list[Tensor], weight: Tensor | None, density: bool) -> Tensor:
    """The counts, or the sums of weights, in the shape of the bins."""
    shape = [len(edge) - 1 for edge in edges]
    total = math.prod(shape)
    flat_bin = _bin_of_point(points, edges)
    weight = None if weight is None else ops.reshape(weight, (-1,))
    counts = ops.narrow(ops.bincount(flat_bin, weight, total + 1), 0, 0, total)
    counts = ops.reshape(counts.to(points.dtype), shape)
    if not density:
        return counts
    counts = counts / ops.sum(counts)
    for k, edge in enumerate(edges):
        widths = ops.diff(edge.detach())
        counts = counts / ops.reshape(widths, [-1 if i == k else 1 for i in range(len(edges))])
    return counts


@op(name="even_histogram", places="", nondiff=True)
def _even_histogram(self: Array, bins: int, ends: tuple[float, float] | None) -> tuple[Array, Array]:
    """The counts of all elements in bins between evenly spaced edges, and the edges."""
    low, high = ends or ((float(self.min()), float(self.max())) if self.size else (0.0, 1.0))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _endless(low, high)
    low, high = (low - 0.5, high + 0.5) if low == high else (low, high)
    edges = np.empty(bins + 1, self.dtype)
    spread(edges, low, high)
    flat = self.reshape(-1)
    places = np.minimum(np.searchsorted(edges, flat, "right") - 1, bins - 1)
    inside = (flat >= edges[0]) & (flat <= edges[-1])
    return np.bincount(places[inside], minlength=bins).astype(self.dtype), edges


def _endless(low: float, high: float) -> RuntimeError:
    return RuntimeError(f"torch.histogramdd: dimension 0's range [{low:g}, {high:g}] is not finite")


@_even_histogram.prepare
def _plan_even_histogram(self: Spec, bins: int, ends: tuple[float, float] | None) -> Plan:
    results = Spec(self.dtype, (bins,)), Spec(self.dtype, (bins + 1,))
    low, high = ends or (0.0, 1.0)
    geometry = (self.size, bins, int(ends is not None), bits_of(low), bits_of(high))
    run = RUNS["even"].get(self.dtype.name) if self.contiguous else None
    return Plan(
        results, run, geometry, 1, 8 * bins,
        lambda status, self, *rest: _endless(float(self.min()), float(self.max())),
    )  # fmt: skip


@_even_histogram.batch
@of_sample
def _even_by_search(self: Tensor, bins: int, ends: tuple[float, float] | None) -> tuple[Tensor, Tensor]:
    points = ops.reshape(self, (-1, 1))
    edges = _even_edges(points, [bins], ends)
    return _counted(points, edges, None, False), edges[0]


def _is_plain(input: Tensor, bins: Any, range: Any) -> bool:
    """Whether a histogram is one of counts in even bins, whose arguments need no check."""
    if input.dtype not in (float32, float64) or type(bins) is not int or bins < 1:
        return False
    if range is None:
        return True
    ends = [float(end) for end in range]
    return len(ends) == 2 and math.isfinite(ends[0]) and math.isfinite(ends[1]) and ends[0] <= ends[1]


def histogramdd(
    input: Tensor,
    bins: int | Sequence[int] | Sequence[Tensor],
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Counts of points in boxes: `(hist, bin_edges)`, the points being the rows of the last dim.

    `bins` is a number of bins, one for each dim, or their edges, in ascending order. `range` lists the
    lowest and the highest edge of each dim. `weight` has one number for each point; the gradient of
    `hist` goes to it. With `density` the integral of the result is 1.

    >>> import pullback as torch
    >>> torch.histogramdd(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), [2, 2]).hist
    tensor([[0., 1.],
            [1., 0.]])
    """
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    dims = input.shape[-1]
    edges: list[Any] = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(edges) != dims:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    points = ops.reshape(input, (math.prod(input.shape[:-1]), dims))
    _check_points(points, input.shape, weight)
    if not dims:
        return return_types.histogramdd((points.new_zeros(()), ()))
    if isinstance(edges[0], Tensor):
        _check_edges(points, edges)
    else:
        edges = _even_edges(points, edges, range)
    return return_types.histogramdd((_counted(points, edges, weight, density), tuple(edges)))


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Counts of all elements in bins: `(hist, bin_edges)`.

    `bins` is the number of bins or their edges, in ascending order; `range` the lowest and the highest
    edge, by default those of the elements. Bins contain their lower edge, the last one both. `weight` has
    the shape of the input; the gradient of `hist` goes to it. With `density` the integral is 1.

    >>> import pullback as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    if weight is None and not density and _is_plain(input, bins, range):
        found = _even_histogram(input.detach(), bins, range and (float(range[0]), float(range[1])))
        return return_types.histogram(found) if out is None else _written(out, found)
    points = ops.reshape(input, (-1, 1))
    flat_weight = weight if weight is None or weight.shape != input.shape else ops.reshape(weight, (-1,))
    _check_points(points, points.shape, flat_weight)
    if isinstance(bins, Tensor):
        _check_edges(points, [bins])
        edges = [ops.clone(bins.detach(), memory_format=contiguous_format)]
    else:
        edges = _even_edges(points, [bins], range)
    hist = _counted(points, edges, flat_weight, density)
    if out is None:
        return return_types.histogram((hist, edges[0]))
    return _written(out, (hist, edges[0]))


def _written(out: Any, results: Any) -> tuple[Tensor, Tensor]:
    written = [write_out(t, result.detach()) for t, result in zip(out, results, strict=True)]
    return return_types.histogram_out(written)


def _between_edges(
    input: Tensor,
    bins: Tensor,
    *,
    weight: Tensor | None = None,
    density: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """A form of `histogram`."""


def _of_equal_width(
    input: Tensor,
    bins: int = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Another one."""


histogram = explained(histogram, _between_edges, _of_equal_width)
histogramdd = explained(histogramdd, places="t")


# ------------------------------------------------------------------------------ histc, bincount


@op(nondiff=True, takes_half=True)
def histc(self: Array, bins: int = 100, min: float = 0, max: float = 0) -> Array:
    """Counts of the elements in `bins` equal parts of [min, max], in the input's dtype.

    The range is that of the elements if `min` equals `max`. Elements outside are not counted. Places
    are computed in the input's dtype, half precisions too.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0, 1.0]).histc(4, 0, 3)
    tensor([0., 2., 1., 0.])
    """
    low, high = float(min), float(max)
    if low == high and self.size:
        low, high = float(self.min()), float(self.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (math.isfinite(low) and math.isfinite(high)):
        raise _not_finite(low, high)
    inside, number = self[(self >= low) & (self <= high)], self.dtype.type
    bin_of = (inside - number(low)) * number(bins) / (number(high) - number(low))
    bin_of = np.minimum(bin_of.astype(np.float64), bins - 1).astype(np.int64)
    return np.bincount(bin_of, minlength=bins).astype(self.dtype)


def _not_finite(low: float, high: float) -> Exception:
    return RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")


@histc.prepare
def _plan_histc(self: Spec, bins: int, min: float, max: float) -> Plan:
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    if not self.dtype.is_floating_point:
        raise NotImplementedError(f"\"histogram_cpu\" not implemented for '{self.dtype.type_name}'")
    low, high = float(min), float(max)
    if low != high and not (math.isfinite(low) and math.isfinite(high)):
        raise _not_finite(low, high)
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    dims = merged(zip(self.shape, steps_of(self), strict=True)) or [(1, 0)]
    flat = [number for dim in dims for number in dim]
    edges = struct.unpack("qq", struct.pack("dd", low, high))
    return Plan(
        Spec(self.dtype, (bins,)), RUNS["histc"].get(self.dtype.name), (bins, *edges, len(dims), *flat),
        scratch=8 * TABLES * (bins + 1),
        refuse=lambda status, self, *rest: _not_finite(float(self.min()), float(self.max())),
    )  # fmt: skip


@histc.batch
@of_sample
def _histc_by_scatter(self: Tensor, bins: int, min: float, max: float) -> Tensor:
    if bins <= 0 or min > max or not self.dtype.is_floating_point or (min == max and not self.numel()):
        return NotImplemented  # the kernel says what is wrong
    flat = ops.reshape(self.detach(), (-1,))
    if min == max:
        low, high = ops.amin(flat), ops.amax(flat)
        equal = low == high
        low, high = ops.where(equal, low - 1, low), ops.where(equal, high + 1, high)
    else:
        low, high = (ops.full((), float(end), dtype=self.dtype) for end in (min, max))
    inside = (flat >= low) & (flat <= high)
    bin_of = ops.clamp((flat - low) * bins / (high - low), 0, bins - 1)
    bin_of = ops.where(inside, bin_of.to(float64), 0.0).long()
    return ops.scatter_add(ops.zeros(bins, dtype=self.dtype), 0, bin_of, inside.to(self.dtype))


@op(allowed="bifch")
def bincount(self: Array, weights: Array | None = None, minlength: int = 0) -> Array:
    """How often each number from 0 to the largest occurs in a 1-dim tensor of integers.

    With `weights` their sums, float32 for float32 weights and float64 for others. The gradient of a
    weight is that of the sum it went into.

    >>> import pullback as torch
    >>> torch.bincount(torch.tensor([1, 2, 1]))
    tensor([0, 2, 1])
    """
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if self.ndim == 1 and weights is None and self.dtype == np.int64:
        counts = counted(compact(self), minlength)
        if counts is not None:
            return counts
    if self.dtype.kind not in "iu":
        raise NotImplementedError(f"\"bincount_cpu\" not implemented for '{type_name(self)}'")
    if self.size and self.max() == _LARGEST:  # one more is no number: NumPy would write past its memory
        raise RuntimeError(f"maximum value of input overflowed, it should be < {_LARGEST} but got {_LARGEST}")
    if self.ndim != 1 or (self.size and self.min() < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return np.bincount(self, minlength=minlength).astype(np.int64, copy=False)
    if weights.shape != self.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counts = np.bincount(self, cast_array(weights, np.dtype(np.float64)), minlength)
    return counts.astype(np.float32 if weights.dtype == np.float32 else np.float64, copy=False)


_LARGEST = np.iinfo(np.int64).max

bincount.vjp(weights=lambda g, self: ops.index_select(g, 0, self))


@bincount.batch
def _bincount_batch(level: Any, op: Op, self: Any, weights: Any, minlength: int) -> Any:
    """One count of the numbers of all samples, each sample's after the last one's."""
    p = level.front(self)
    if p.ndim != 2 or p.dtype.kind not in "iu" or (weights is not None and weights.shape != self.shape):
        return NotImplemented
    tops = ops.clamp(ops.amax(p, 1) + 1, minlength) if p.numel() else ops.full((1,), minlength)
    count = int(ops.amax(tops))
    if int(ops.amin(tops)) != count or (p.numel() and int(ops.amin(p)) < 0):
        return NotImplemented  # of several lengths: it will say so
    flat = p + ops.unsqueeze(ops.arange(level.size), 1) * count
    flat_weights = None if weights is None else ops.reshape(level.front(weights), (-1,))
    counts = op(ops.reshape(flat, (-1,)), flat_weights, level.size * count)
    return level.wrap(ops.reshape(counts, (level.size, count)))


# ---------------------------------------------------------------------------------------- refusals


def _check_points(points: Tensor, shape: Sequence[int], weight: Tensor | None) -> None:
    if points.dtype.kind != "f":
        raise NotImplementedError(f"\"histogramdd\" not implemented for '{points.dtype.type_name}'")
    if weight is None:
        return
    own = C_NAMES[points.dtype.name]
    other = C_NAMES[weight.dtype.name]
    if weight.dtype is not points.dtype:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided, input tensor and weight tensor should have "
            f"the same dtype, but got input({own}), and weight({other})"
        )
    if tuple(weight.shape) != tuple(shape[:-1]):
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input "
            f"tensor excluding its innermost dimension, but got input with shape {list(shape)} and weight "
            f"with shape {list(weight.shape)}"
        )


def _check_edges(points: Tensor, edges: Sequence[Tensor]) -> None:
    for k, edge in enumerate(edges):
        if edge.dtype is not points.dtype:
            own = C_NAMES[points.dtype.name]
            other = C_NAMES[edge.dtype.name]
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input "
                f"with dtype {own} and bins for dimension {k} with dtype {other}"
            )
        if edge.ndim != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {edge.ndim} dimensions "
                f"in the bins tensor for dimension {k}"
            )
        if not edge.shape[0]:
            raise RuntimeError(
                "torch.histogramdd: bins tensor should have at least 1 element, but got 0 elements in the "
                f"bins tensor for dimension {k}"
            )
