"""Batching rules that say an op in terms of others, which have rules.

A `rewritten` rule is a function of one sample: what the op does, by ops that take a batch in one call.
The kernels are quicker on one sample, so they stay what runs outside of `vmap`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Op, Tensor
from pullback.core.dtypes import bool_, float64, int64, uint8
from pullback.transforms import stack
from pullback.transforms.batching.rules import Rule, looped

REWRITTEN: dict[str, Rule] = {}
"""The rules of this file, by the op's name."""


def rewritten(names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enters a function of one sample as the rule of the ops of these names. A decorator.

    Where it returns NotImplemented, the op is done sample by sample.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
            with stack.entered(level):
                found = function(*args)
            return looped(level, op, args) if found is NotImplemented else found

        REWRITTEN.update(dict.fromkeys(names.split(), apply))
        return function

    return enter


# ------------------------------------------------------------------------- searching and counting


@rewritten("isin")
def _isin(elements: Any, tests: Any, assume_unique: bool, invert: bool) -> Tensor:
    """The place of an element among the sorted others, and whether that is the element."""
    if not isinstance(tests, Tensor):
        return elements != tests if invert else elements == tests
    ranked = ops.sort(ops.reshape(tests, (-1,)))[0]
    if not isinstance(elements, Tensor):
        elements = ops.full((), elements, dtype=ranked.dtype)
    kind = _engine.result_type(elements, ranked)
    elements, ranked = elements.to(kind), ranked.to(kind)
    if not ranked.shape[0]:
        return ops.full_like(elements, invert, dtype=bool_)
    flat = ops.reshape(elements, (-1,))
    place = ops.clamp(ops.searchsorted(ranked, flat), 0, ranked.shape[0] - 1)
    found = ops.reshape(ops.gather(ranked, 0, place) == flat, tuple(elements.shape))
    return ~found if invert else found


@rewritten("nonzero_static")
def _nonzero_static(x: Tensor, size: int, fill_value: int) -> Tensor:
    """Stable sorting brings the places of what is not zero to the front."""
    if not x.numel():
        return ops.full((size, x.ndim), fill_value, dtype=int64)
    flat = ops.reshape(x, (-1,)) == 0
    found = ops.sort(flat.to(uint8), dim=0, stable=True)[1]
    count = flat.shape[0] - ops.sum(flat)
    if size > flat.shape[0]:
        found = ops.constant_pad_nd(found, (0, size - flat.shape[0]))
    found, kept = ops.narrow(found, 0, 0, size), ops.arange(size) < count
    columns = []
    for n in reversed(x.shape):
        columns.append(ops.where(kept, found % n, fill_value))
        found = found // n
    return ops.stack(columns[::-1], 1) if columns else ops.zeros_like(ops.unsqueeze(found, 1))[:, :0]


@rewritten("histc")
def _histc(x: Tensor, bins: int, low: float, high: float) -> Tensor:
    if bins <= 0 or low > high or not x.dtype.is_floating_point or (low == high and not x.numel()):
        return NotImplemented  # the kernel says what is wrong
    flat = ops.reshape(x.detach(), (-1,))
    if low == high:
        first, last = ops.amin(flat), ops.amax(flat)
        equal = first == last
        first, last = ops.where(equal, first - 1, first), ops.where(equal, last + 1, last)
    else:
        first, last = (ops.full((), float(end), dtype=x.dtype) for end in (low, high))
    inside = (flat >= first) & (flat <= last)
    place = ops.clamp((flat - first) * bins / (last - first), 0, bins - 1)
    place = ops.where(inside, place.to(float64), 0.0).long()
    return ops.scatter_add(ops.zeros(bins, dtype=x.dtype), 0, place, inside.to(x.dtype))


@rewritten("histogram_places")
def _histogram_places(points: Tensor, edges: list[Tensor]) -> Tensor:
    place, inside = 0, True
    for k, edge in enumerate(edges):
        bins, x = edge.shape[0] - 1, ops.select(points, 1, k)
        last = ops.select(edge, 0, bins)
        found = ops.searchsorted(edge, x, right=True) - 1
        found = ops.where(x == last, bins - 1, found)
        inside = (found >= 0) & (found < bins) & (x <= last) & inside
        place = found + place * bins
    return ops.where(inside, place, math.prod(edge.shape[0] - 1 for edge in edges))


@rewritten("masked_scatter")
def _masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The n-th true place takes the n-th element."""
    if mask.dtype is not bool_ or x.dtype is not source.dtype:
        return NotImplemented
    flat = ops.reshape(ops.expand(mask, tuple(x.shape)), (-1,))
    source = ops.reshape(source, (-1,))
    if not source.shape[0]:
        return NotImplemented
    place = ops.cumsum(flat, 0) - 1
    picked = ops.gather(source, 0, ops.clamp(place, 0, source.shape[0] - 1))
    return ops.where(mask, ops.reshape(picked, tuple(x.shape)), x)


# ---------------------------------------------------------------------------------------- networks

NONE, MEAN, SUM = range(3)


def _reduced(loss: Tensor, reduction: int) -> Tensor:
    if reduction == NONE:
        return loss
    return ops.mean(loss) if reduction == MEAN else ops.sum(loss)


@rewritten("multi_margin_loss")
def _multi_margin(
    x: Tensor, target: Tensor, weight: Tensor | None, p: int, margin: float, reduction: int
) -> Tensor:
    shape = (1, x.numel()) if x.ndim < 2 else tuple(x.shape)
    rows, own = ops.reshape(x, shape), ops.reshape(target, (shape[0], 1))
    short = ops.clamp_min(rows - ops.gather(rows, 1, own) + margin, 0) ** p
    if weight is not None:
        short = short * ops.gather(ops.expand(weight, shape), 1, own)
    loss = ops.sum(ops.scatter(short, 1, own, 0.0), 1) / shape[1]
    return _reduced(loss if x.ndim == 2 else ops.reshape(loss, tuple(target.shape)), reduction)


@rewritten("nll_slope")
def _nll_slope(
    g: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignored: int, shape: tuple[int, ...]
) -> Tensor:
    """Minus each row's share of the gradient, at its class."""
    at = 0 if len(shape) == 1 else 1
    safe = ops.where(target == ignored, 0, target).long()
    factors = (target != ignored).to(g.dtype)
    if weight is not None:
        factors = factors * ops.reshape(weight[ops.reshape(safe, (-1,))], tuple(safe.shape))
    share = g * factors
    if reduction == MEAN:
        share = share / ops.sum(factors)
    place = ops.unsqueeze(safe, at)
    return ops.scatter(ops.zeros(shape, dtype=g.dtype), at, place, -ops.unsqueeze(share, at))


@rewritten("conv_tbc")
def _conv_tbc(x: Tensor, weight: Tensor, bias: Tensor, pad: int) -> Tensor:
    if (x.ndim, weight.ndim, bias.ndim) != (3, 3, 1):
        return NotImplemented
    found = ops.conv1d(ops.permute(x, (1, 2, 0)), ops.permute(weight, (2, 1, 0)), bias, 1, pad)
    return ops.permute(found, (2, 0, 1))


def _occurrences(flat: Tensor, rows: int, kind: Any) -> Tensor:
    """How often each row is asked for."""
    return ops.scatter_add(ops.zeros(rows, dtype=kind), 0, flat, ops.ones_like(flat, dtype=kind))


@rewritten("embedding")
def _embedding(
    weight: Tensor, indices: Tensor, padding: int, by_frequency: bool, sparse: bool = False
) -> Tensor:
    """Picked rows, of which the padding sends no gradient and each other one's is shared out."""
    rows, flat = weight.shape[0], ops.reshape(indices, (-1,)).long()
    if padding >= 0 or by_frequency:
        share = ops.ones(rows, dtype=weight.dtype)
        if by_frequency:
            share = 1 / ops.clamp(_occurrences(flat, rows, weight.dtype), 1)
        if padding >= 0:
            share = ops.where(ops.arange(rows) == padding, 0.0, share)
        weight = _engine.REGISTRY["scaled_gradient"](weight, ops.unsqueeze(share, 1))
    return ops.reshape(ops.index_select(weight, 0, flat), (*indices.shape, *weight.shape[1:]))


@rewritten("embedding_dense_backward")
def _embedding_slope(g: Tensor, indices: Tensor, rows: int, padding: int, by_frequency: bool) -> Tensor:
    flat = ops.reshape(indices, (-1,)).long()
    values = ops.reshape(g, (flat.shape[0], -1))
    found = ops.index_add(ops.zeros((rows, values.shape[1]), dtype=g.dtype), 0, flat, values)
    if by_frequency:
        found = found / ops.unsqueeze(ops.clamp(_occurrences(flat, rows, g.dtype), 1), 1)
    if padding >= 0:
        found = ops.where(ops.unsqueeze(ops.arange(rows) == padding, 1), 0.0, found)
    return found


@rewritten("bag_places")
def _bag_places(flat: Tensor, offsets: Tensor, padding: int, last: bool, rows: int) -> Any:
    """Bags that hold all indices: else how many places there are depends on the sample."""
    if padding >= 0 or last or flat.ndim != 1 or not offsets.shape[0]:
        return NotImplemented
    count = flat.shape[0]
    place = ops.arange(count)
    target = ops.searchsorted(offsets.long(), place, right=True) - 1
    size = ops.diff(offsets.long(), append=ops.full((1,), count, dtype=int64))
    return place, ops.clamp(flat.long(), 0, rows - 1), target, size
