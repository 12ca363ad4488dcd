"""Histograms over any number of dims, weighted or not.

`_places` finds the bin of each point among edges of any spacing; counting is `bincount`. So the
counts have a derivative in the weights: each weight's gradient is that of its bin. The places have
none in the points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import Tensor, write_out
from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import contiguous_format
from pullback.core.op import op
from pullback.core.types import Array, Tensors
from pullback.ops.shared.batches import of_sample
from pullback.ops.shared.forms import explained


@op(name="histogram_places", places="", nondiff=True)
def _places(self: Tensor, edges: Tensors) -> Array:
    """The flat bin of each point (row), or the number of bins for a point in none.

    Bins contain their lower edge; the last one its upper edge, too.
    """
    place, inside = np.zeros(self.shape[0], np.int64), np.ones(self.shape[0], bool)
    for k, edge in enumerate(edges):
        bins = len(edge) - 1
        x = self[:, k]
        edge = edge.astype(self.dtype)
        found = np.searchsorted(edge, x, "right") - 1
        found[x == edge[-1]] = bins - 1
        inside &= (found >= 0) & (found < bins) & (x <= edge[-1])
        place = place * bins + found
    return np.where(inside, place, math.prod(len(edge) - 1 for edge in edges))


@_places.batch
@of_sample
def _places_by_search(points: Tensor, edges: list[Tensor]) -> Tensor:
    place, inside = 0, True
    for k, edge in enumerate(edges):
        bins, x = edge.shape[0] - 1, ops.select(points, 1, k)
        last = ops.select(edge, 0, bins)
        found = ops.searchsorted(edge, x, right=True) - 1
        found = ops.where(x == last, bins - 1, found)
        inside = (found >= 0) & (found < bins) & (x <= last) & inside
        place = found + place * bins
    return ops.where(inside, place, math.prod(edge.shape[0] - 1 for edge in edges))


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


def _limits(points: Tensor, range: Sequence[float] | None) -> list[tuple[float, float]]:
    """The lowest and the highest edge of each dim: those given, or those of the points."""
    dims = points.shape[1]
    if range is not None:
        if len(range) != 2 * dims:
            raise RuntimeError(
                f"torch.histogramdd: for a {dims}-dimensional histogram range should have {2 * dims} "
                f"elements, but got {len(range)}"
            )
        found = list(zip(range[::2], range[1::2], strict=True))
    elif points.shape[0]:
        a = points.detach()._array
        found = list(zip(a.min(0).tolist(), a.max(0).tolist(), strict=True))
    else:
        found = [(0.0, 1.0)] * dims
    for k, (low, high) in enumerate(found):
        if not (math.isfinite(low) and math.isfinite(high)):
            raise RuntimeError(f"torch.histogramdd: dimension {k}'s range [{low:g}, {high:g}] is not finite")
        if low > high:
            raise RuntimeError(
                "torch.histogramdd: min should not exceed max, but got "
                f"min {low:g} max {high:g} for dimension {k}"
            )
    return [(low - 0.5, high + 0.5) if low == high else (low, high) for low, high in found]


def _even_edges(points: Tensor, bins: Sequence[int], range: Sequence[float] | None) -> list[Tensor]:
    for k, count in enumerate(bins):
        if count <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {count} for dimension {k}")
    limits = _limits(points, range)
    return [
        ops.linspace(low, high, count + 1, dtype=points.dtype)
        for count, (low, high) in zip(bins, limits, strict=True)
    ]


def _counted(points: Tensor, edges: list[Tensor], weight: Tensor | None, density: bool) -> Tensor:
    """The counts, or the sums of weights, in the shape of the bins."""
    shape = [len(edge) - 1 for edge in edges]
    total = math.prod(shape)
    place = _places(points, edges)
    weight = None if weight is None else ops.reshape(weight, (-1,))
    counts = ops.narrow(ops.bincount(place, weight, total + 1), 0, 0, total)
    counts = ops.reshape(counts.to(points.dtype), shape)
    if not density:
        return counts
    counts = counts / ops.sum(counts)
    for k, edge in enumerate(edges):
        widths = ops.diff(edge.detach())
        counts = counts / ops.reshape(widths, [-1 if i == k else 1 for i in range(len(edges))])
    return counts


def histogramdd(
    input: Tensor,
    bins: Any,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
) -> Any:
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
    bins = [bins] * dims if isinstance(bins, int) else list(bins)
    if len(bins) != dims:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input."
        )
    points = ops.reshape(input, (math.prod(input.shape[:-1]), dims))
    _check_points(points, input.shape, weight)
    if isinstance(bins[0], Tensor):
        _check_edges(points, bins)
    else:
        bins = _even_edges(points, bins, range)
    return return_types.histogramdd((_counted(points, bins, weight, density), tuple(bins)))


def histogram(
    input: Tensor,
    bins: Any = 100,
    *,
    range: Sequence[float] | None = None,
    weight: Tensor | None = None,
    density: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> Any:
    """Counts of all elements in bins: `(hist, bin_edges)`.

    `bins` is the number of bins or their edges, in ascending order; `range` the lowest and the highest
    edge, by default those of the elements. Bins contain their lower edge, the last one both. `weight` has
    the shape of the input; the gradient of `hist` goes to it. With `density` the integral is 1.

    >>> import pullback as torch
    >>> torch.histogram(torch.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    points = ops.reshape(input, (-1, 1))
    given = weight if weight is None or weight.shape != input.shape else ops.reshape(weight, (-1,))
    _check_points(points, points.shape, given)
    if isinstance(bins, Tensor):
        _check_edges(points, [bins])
        edges = [ops.clone(bins.detach(), memory_format=contiguous_format)]
    else:
        edges = _even_edges(points, [bins], range)
    hist = _counted(points, edges, given, density)
    if out is None:
        return return_types.histogram((hist, edges[0]))
    written = [write_out(t, result.detach()) for t, result in zip(out, (hist, edges[0]), strict=True)]
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
