"""Where values would go in sorted rows: searchsorted, bucketize."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int32, int64
from pullback.core.op import function, op
from pullback.core.types import Array, Number
from pullback.kernels.order import RUNS
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.batches import rank
from pullback.ops.shared.chains import merged

Side = Literal["left", "right"]


@op(name="searchsorted", places="", nondiff=True)
def _searchsorted(
    sorted_sequence: Array,
    self: Array | Number,
    right: bool = False,
    out_int32: bool = False,
    sorter: Array | None = None,
) -> Array:
    bounds, values = sorted_sequence, np.asarray(self)
    if sorter is not None:
        bounds = np.take_along_axis(bounds, sorter, -1)
    side: Side = "right" if right else "left"
    if bounds.ndim <= 1:
        index = np.searchsorted(bounds.reshape(-1), values, side)
    else:
        index = _search_rows(bounds, values, side)
    if values.dtype.kind == "f":
        index = np.where(np.isnan(values), bounds.shape[-1], index)
    return np.asarray(index).astype(np.int32 if out_int32 else np.int64)


@_searchsorted.prepare
def _plan_search(
    bounds: Spec, self: Spec | Number, right: bool, out_int32: bool, sorter: Spec | None
) -> Plan:
    if bounds.dtype.kind in "bc":
        raise NotImplementedError(f"\"searchsorted_out_cpu\" not implemented for '{bounds.dtype.type_name}'")
    kind = int32 if out_int32 else int64
    if not isinstance(self, Spec):
        return Plan(Spec(kind, ()))
    result, run = Spec(kind, self.shape), RUNS["search"].get(bounds.dtype.name)
    if (
        run is None
        or self.dtype is not bounds.dtype
        or sorter is not None
        or not bounds.ndim
        or not self.size
    ):
        return Plan(result)
    *rows, step = steps_of(bounds)
    rows = [*rows, 0] if rows else [0] * self.ndim
    dims = merged(zip(self.shape, rows, steps_of(self), steps_of(result), strict=True)) or [(1, 0, 0, 0)]
    flat = [number for dim in dims for number in dim]
    geometry = (bounds.shape[-1], step, int(bool(right)), kind.itemsize, len(dims), *flat)
    steps = bounds.shape[-1].bit_length()
    return Plan(result, run, geometry, self.size, work=self.size * (1 + steps))


@_searchsorted.batch
def _searchsorted_batch(
    level: Any, op: Op, sorted_sequence: Any, self: Any, right: bool, out_int32: bool, sorter: Any
) -> Any:
    """One sorted row for all samples takes all their values; else each has its own."""
    alone = rank(sorted_sequence) == 1
    if not isinstance(self, Tensor):
        self = ops.full((), self, dtype=sorted_sequence.dtype)
    if alone and not level.holds(sorted_sequence) and not level.holds(sorter):
        return level.wrap(op(sorted_sequence, self.physical, right, out_int32, sorter))
    sorter = None if sorter is None else level.front(sorter)
    p = level.front(self)
    values = ops.reshape(p, (level.size, -1)) if alone else p
    index = op(level.front(sorted_sequence), values, right, out_int32, sorter)
    return level.wrap(ops.reshape(index, p.shape))


def _search_rows(bounds: Array, values: Array, side: Side) -> Array:
    """One search for all rows: numbers become ranks, and each row's are lifted above the last's."""
    both = np.concatenate([bounds.ravel(), values.ravel()])
    ranks = np.unique(both, return_inverse=True)[1]
    n = bounds.shape[-1]
    rows = max(math.prod(bounds.shape[:-1]), 1)
    lift = np.arange(rows)[:, None] * (len(ranks) + 1)
    keys = ranks[: bounds.size].reshape(rows, -1) + lift
    wanted = ranks[bounds.size :].reshape(rows, -1) + lift
    return (np.searchsorted(keys.ravel(), wanted, side) - np.arange(rows)[:, None] * n).reshape(values.shape)


@function(places="t")
def searchsorted(
    sorted_sequence: Tensor,
    input: Tensor | Number,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Where each value would go in the last dim of `sorted_sequence`, to keep it sorted: int64.

    Before equal elements, after them with `right=True` or `side="right"`. The leading dims of a
    sequence with several match those of the values. `sorter` is the order of an unsorted sequence.

    >>> import pullback as torch
    >>> torch.searchsorted(torch.tensor([1, 3, 5]), torch.tensor([0, 3, 6]))
    tensor([0, 1, 3])
    """
    if side is not None:
        if side not in ("left", "right"):
            raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
        if right and side == "left":
            raise RuntimeError(
                "torch.searchsorted(): side and right can't be set to opposites, got side of left "
                "while right was True"
            )
        right = side == "right"
    _check_search(sorted_sequence, input)
    return _searchsorted(sorted_sequence, input, right, out_int32, sorter, out=out)


@function(places="t")
def bucketize(
    input: Tensor | Number,
    boundaries: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The bucket of each value between sorted 1-dim `boundaries`: `searchsorted`, turned round.

    >>> import pullback as torch
    >>> torch.bucketize(torch.tensor([0, 3, 6]), torch.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return _searchsorted(boundaries, input, right, out_int32, None, out=out)


# ---------------------------------------------------------------------------------------- refusals


def _check_search(sorted_sequence: Tensor, value: Any) -> None:
    """Refuses values and boundaries whose leading dims do not match."""
    bounds = list(sorted_sequence.shape)
    shape = list(value.shape) if isinstance(value, Tensor) else []
    if not shape and len(bounds) != 1:
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor "
            f"dimension is 1, but we got boundaries tensor dim({len(bounds)}) and input value's "
            "dim(0) numel(1)"
        )
    if len(bounds) != 1 and bounds[:-1] != shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {bounds} and input value tensor {shape}"
        )
