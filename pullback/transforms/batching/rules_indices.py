"""Batching rules of indexing, gathering and scattering.

Where indices are batched, each sample's are joined by its own number along the batch dim: then one
index picks from all samples at once.
"""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import REGISTRY, Op, apply_below
from pullback.ops.shared.dims import wrap_dim
from pullback.transforms.batching.batched import batched
from pullback.transforms.batching.rules import holds, looped, padded, rank, rule
from pullback.transforms.batching.rules_rewritten import REWRITTEN

MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch "
    "over indexing with a boolean mask."
)
SELECT = (
    "vmap: Attempted to vmap over `mask` in torch.masked_select(self, mask) We cannot support this "
    "because for each batch this would return a differently shaped Tensor. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues if you need this feature."
)


# --------------------------------------------------------------------------- index and its kin


class Key:
    """Index tensors on samples as index tensors on physical tensors.

    `indices` is the physical list. The picked dims (`width` of them) stand in a sample's result from
    `place` on, and in the physical result from `physical_place` on, counted with the batch; if
    `joined`, the batch is the first of them, else it stands elsewhere.
    """

    def __init__(self, level: Any, indices: Any, self_batched: bool) -> None:
        plain = [_plain(level, x) for x in indices]
        flat = [x for parts in plain for x in parts]
        self.over_indices = any(holds(level, x) for x in flat)
        picked = [i for i, x in enumerate(flat) if x is not None]
        self.width = max(rank(flat[i]) for i in picked)
        adjacent = picked[-1] - picked[0] + 1 == len(picked)
        self.place = picked[0] if adjacent else 0
        physical: list[Any] = [padded(x.physical, self.width) if holds(level, x) else x for x in flat]
        self.joined = self.over_indices
        if self.over_indices and self_batched:
            numbers = ops.reshape(ops.arange(level.size), (level.size,) + (1,) * self.width)
            physical.insert(0, numbers)
            adjacent = adjacent and picked[0] == 0
            self.physical_place = 0
        elif self_batched:
            physical.insert(0, None)
            self.physical_place = self.place + 1 if adjacent else 0
        else:
            self.physical_place = self.place if adjacent else 0
        self.indices = physical

    def order(self, ndim: int) -> list[int] | None:
        """The dims of the physical result, in the order batch first and then as a sample has them."""
        batch = self.physical_place if self.joined else (0 if self.physical_place else self.width)
        first = self.physical_place + self.joined
        picked = list(range(first, first + self.width))
        rest = [d for d in range(ndim) if d != batch and d not in picked]
        order = [batch, *rest[: self.place], *picked, *rest[self.place :]]
        return None if order == list(range(ndim)) else order


def _plain(level: Any, x: Any) -> list[Any]:
    """An index as one without masks."""
    if x is None or x.dtype.name != "bool":
        return [x]
    if holds(level, x):
        raise RuntimeError(MASK)
    return list(ops.nonzero(x, as_tuple=True))


@rule("index")
def _index(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, indices = args
    key = Key(level, indices, holds(level, x))
    found = apply_below(op, (x.physical if holds(level, x) else x, key.indices))
    order = key.order(found.ndim)
    return batched(level, found if order is None else ops.permute(found, order))


def _result_order(level: Any, key: Key, values: Any, ndim: int) -> Any:
    """Values for the places of a key, batch first, as the physical key wants them."""
    p = padded(level.front(values), ndim - 1)
    order = key.order(ndim)
    if order is None:
        return p
    back = [0] * ndim
    for place, dim in enumerate(order):
        back[dim] = place
    return ops.permute(p, back)


@rule("index_sum")
def _index_sum(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    g, indices, shape = args
    key = Key(level, indices, True)
    values = _result_order(level, key, g, rank(g) + 1)
    return batched(level, apply_below(op, (values, key.indices, (level.size, *shape))))


@rule("index_put")
def _index_put(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, indices, values, accumulate = args
    if any(holds(level, i) and i.dtype.name == "bool" for i in indices):
        return _masked_put(level, x, indices, values, accumulate)
    key = Key(level, indices, True)
    picked = sum(i is not None for i in key.indices) - key.joined
    ndim = 1 + rank(x) - picked + key.width
    values = _result_order(level, key, values, ndim)
    return batched(level, apply_below(op, (level.front(x), key.indices, values, accumulate)))


def _masked_put(level: Any, x: Any, indices: Any, values: Any, accumulate: bool) -> Any:
    """A mask for each sample takes one value, which needs no places."""
    mask = indices[0]
    if len(indices) != 1 or math.prod(values.shape) != 1 or rank(mask) > rank(x):
        raise RuntimeError(MASK)
    p = level.front(x)
    wide = ops.reshape(mask.physical, (*mask.physical.shape, *(1,) * (rank(x) - rank(mask))))
    value = ops.reshape(level.front(values), (level.size,) + (1,) * rank(x))
    return batched(level, ops.where(wide, p + value if accumulate else value, p))


@rule("masked_select")
def _masked_select(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, mask = args
    if holds(level, mask):
        raise RuntimeError(SELECT)
    most = max(rank(x), rank(mask))
    shape = ops.broadcast_shapes(x.shape, mask.shape)
    p = ops.expand(padded(x.physical, most), (level.size, *shape))
    p = p if most else ops.unsqueeze(p, 1)
    places = ops.nonzero(ops.expand(mask, shape), as_tuple=True)
    return batched(level, apply_below(REGISTRY["index"], (p, [None, *places])))


@rule("masked_scatter")
def _masked_scatter(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, mask, source = args
    if holds(level, mask):
        return REWRITTEN["masked_scatter"](level, op, args)
    values = ops.reshape(level.front(source), (level.size, -1))
    if not values.shape[1]:
        return batched(level, ops.clone(level.front(x)))
    if not x.ndim:
        return batched(level, ops.where(mask, values[:, 0], level.front(x)))
    places = ops.nonzero(ops.expand(mask, x.shape), as_tuple=True)
    values = values[:, : places[0].shape[0]]
    put = REGISTRY["index_put"]
    return batched(level, apply_below(put, (level.front(x), [None, *places], values, False)))


@rule("bincount")
def _bincount(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """One count of the numbers of all samples, each sample's after the last one's."""
    x, weights, least = args
    p = level.front(x)
    if p.ndim != 2 or p.dtype.kind not in "iu" or (weights is not None and weights.shape != x.shape):
        return looped(level, op, args)
    tops = ops.clamp(ops.amax(p, 1) + 1, least) if p.numel() else ops.full((1,), least)
    count = int(ops.amax(tops))
    if int(ops.amin(tops)) != count or (p.numel() and int(ops.amin(p)) < 0):
        return looped(level, op, args)  # of several lengths: it will say so
    flat = p + ops.unsqueeze(ops.arange(level.size), 1) * count
    given = None if weights is None else ops.reshape(level.front(weights), (-1,))
    found = apply_below(op, (ops.reshape(flat, (-1,)), given, level.size * count))
    return batched(level, ops.reshape(found, (level.size, count)))


# ---------------------------------------------------------------------------- gather and scatter


def _columns(level: Any, *tensors: Any) -> list[Any]:
    """Physical tensors, of which samples of 0 dims get one of size 1."""
    fronts = [level.front(x) for x in tensors]
    return [ops.unsqueeze(p, 1) if p.ndim == 1 else p for p in fronts]


@rule("gather")
def _gather(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim, index, sparse = args
    dim = wrap_dim(dim, rank(x)) + 1
    p, i = _columns(level, x, index)
    found = apply_below(op, (p, dim, i, sparse))
    return batched(level, found if index.ndim else ops.squeeze(found, 1))


@rule("scatter scatter_add scatter_reduce")
def _scatter(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim, index, src, *rest = args
    dim = wrap_dim(dim, rank(x)) + 1
    p, i, *s = _columns(level, x, index, *([] if src is None else [src]))
    found = apply_below(op, (p, dim, i, s[0] if s else None, *rest))
    return batched(level, found if x.ndim else ops.squeeze(found, 1))


@rule("take")
def _take(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, index = args
    if not holds(level, x):
        return batched(level, apply_below(op, (x, index.physical)))
    p = ops.reshape(x.physical, (level.size, -1))
    flat = ops.reshape(level.front(index), (level.size, -1))
    count = p.shape[1]
    flat = ops.where(flat < 0, flat + count, flat)
    found = ops.gather(p, 1, flat)
    return batched(level, ops.reshape(found, (level.size, *index.shape)))


@rule("put")
def _put(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, index, source, accumulate = args
    p = ops.reshape(level.front(x), (level.size, -1))
    flat = ops.reshape(level.front(index), (level.size, -1))
    flat = ops.where(flat < 0, flat + p.shape[1], flat)
    values = ops.reshape(level.front(source), (level.size, -1))
    write = ops.scatter_add if accumulate else ops.scatter
    return batched(level, ops.reshape(write(p, 1, flat, values), (level.size, *x.shape)))


# ------------------------------------------------------------------------- index_select and its kin


def _expanded_index(level: Any, index: Any, dim: int, shape: tuple[int, ...]) -> Any:
    """A batched vector of indices, or a single one, along `dim` (a physical one) of a whole shape."""
    i = ops.reshape(level.front(index), (level.size, -1))
    ndim = len(shape)
    view = [level.size, *(1,) * (ndim - 1)]
    view[dim] = i.shape[1]
    wanted = list(shape)
    wanted[dim] = i.shape[1]
    return ops.expand(ops.reshape(i, view), wanted)


@rule("index_select")
def _index_select(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim, index = args
    if not x.ndim:
        return batched(level, ops.reshape(level.front(x), (level.size,)).clone())
    d = wrap_dim(dim, x.ndim)
    if not holds(level, index):
        return batched(level, apply_below(op, (x.physical, d + 1, index)))
    if not holds(level, x):
        picked = apply_below(op, (x, d, ops.reshape(index.physical, (-1,))))
        shape = (*x.shape[:d], level.size, -1, *x.shape[d + 1 :])
        return batched(level, ops.movedim(ops.reshape(picked, shape), d, 0))
    p = x.physical
    return batched(level, ops.gather(p, d + 1, _expanded_index(level, index, d + 1, tuple(p.shape))))


@rule("index_add index_copy index_reduce")
def _index_write(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim, index, source, *rest = args
    d = wrap_dim(dim, rank(x)) + 1
    p, s = _columns(level, x, source)
    s = ops.expand(s, (*p.shape[:d], index.numel(), *p.shape[d + 1 :]))
    if not holds(level, index):
        found = apply_below(op, (p, d, index, s, *rest))
    else:
        places = _expanded_index(level, index, d, tuple(p.shape))
        if op.name == "index_add":
            found = ops.scatter_add(p, d, places, s if rest[0] == 1 else s * rest[0])
        elif op.name == "index_copy":
            found = ops.scatter(p, d, places, s)
        else:
            found = ops.scatter_reduce(p, d, places, s, rest[0], include_self=rest[1])
    return batched(level, found if x.ndim else ops.squeeze(found, 1))


@rule("index_fill")
def _index_fill(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim, index, value, number = args
    d = wrap_dim(dim, rank(x)) + 1
    (p,) = _columns(level, x)
    if not holds(level, index) and not holds(level, value):
        found = apply_below(op, (p, d, index, value, number))
    else:
        places = _expanded_index(level, index, d, tuple(p.shape))
        if value is not None:
            value = ops.reshape(level.front(value), (level.size, *(1,) * (p.ndim - 1)))
            found = ops.scatter(p, d, places, ops.expand(value.to(p.dtype), places.shape))
        else:
            found = ops.scatter(p, d, places, number)
    return batched(level, found if x.ndim else ops.squeeze(found, 1))
