"""Scatters that reduce: sums, products, means, largest and smallest of what meets at one place.

`scatter_reduce` takes an index for each element, `index_reduce` one for each index of a dimension; both
are one kernel, `_reduce_at`, and one rule, which is written for the former.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.ops.indexing.refusals import (
    check_index_reduce,
    check_line,
    check_range,
    check_same_dtype,
    range_error,
)
from pullback.ops.indexing.scatter import (
    gather,
    leading_part,
    plan_line,
    scatter_add,
    scatter_batch,
    zero_padded,
)
from pullback.ops.indexing.slices import plan_slices, write_slices
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import accumulate, flat_indices_along

_UFUNCS = {
    "sum": np.add,
    "prod": np.multiply,
    "mean": np.add,
    "amax": np.maximum,
    "amin": np.minimum,
}


_INDEX_KERNELS = {"amax": "maximum_cpu", "amin": "minimum_cpu", "mean": "div_floor_cpu"}


def _check_kind(self: Spec, reduce: str, kernel: str) -> None:
    """NotImplementedError for extremes of complex numbers and means of bools."""
    kind = self.dtype.kind
    if (kind == "c" and reduce in ("amax", "amin")) or (kind == "b" and reduce == "mean"):
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{self.dtype.type_name}'")


def _identity(reduce: str, kind: Any) -> Any:
    """What a reduction of nothing starts from."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return info.min if reduce == "amax" else info.max
    if kind.kind == "b":
        return reduce == "amin"
    return -np.inf if reduce == "amax" else np.inf


def _reduce_at(self: Any, positions: Any, src: Any, reduce: str, include_self: bool) -> Any:
    """Reduces `src` into flat positions of `self`, in order."""
    if not positions.size:
        return self
    touched = np.zeros(self.shape, bool)
    touched.reshape(-1)[positions.ravel()] = True
    if not include_self:
        self[touched] = _identity(reduce, self.dtype)
    accumulate(_UFUNCS[reduce], self, positions, src)
    if reduce == "mean":
        counts = np.bincount(positions.ravel(), minlength=self.size).reshape(self.shape)
        counts = np.maximum(counts + bool(include_self), 1)
        wide = self.astype(np.float32) if self.dtype.itemsize == 2 and self.dtype.kind not in "iu" else self
        self[...] = wide // counts if self.dtype.kind in "iu" else wide / counts
    return self


def _picks(saved: dict[str, Any]) -> bool:
    """Whether the gradient is constant only by pieces."""
    return saved["reduce"] in ("amax", "amin", "prod")


@op(name="scatter_reduce", places="", writes="C", flat_slope=_picks)
def _scatter_reduce(
    self: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool
) -> Array:
    """`self` with the elements of `src` reduced in at `index` along a dimension."""
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index)
    line = index if index.ndim else index.reshape(1)
    positions = flat_indices_along(self.shape or (1,), dim, line)
    return _reduce_at(self, positions, leading_part(src, index.shape), reduce, include_self)


@_scatter_reduce.prepare
def _prepare_scatter_reduce(
    self: Spec, dim: int, index: Spec, src: Spec, reduce: str, include_self: bool
) -> Plan:
    if reduce not in _UFUNCS:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    check_same_dtype("scatter", self, src)
    _check_kind(self, reduce, f"scatter_gather_tensor_cpu_reduce_{reduce}")
    dim = check_line("scatter", self, dim, index, src)
    return plan_line(f"at_{reduce}", self, dim, index, src, included=bool(include_self))


@_scatter_reduce.joint_vjp
def _scatter_reduce_rule(
    g: Any, self: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool,
    result: Any, needs: Any,
) -> Any:  # fmt: skip
    used = _leading_part(src, index.shape)
    gself, gsrc = _gradients(g, self, dim, index, used, reduce, include_self, result)
    if not include_self:
        gself = ops.scatter(gself, dim, index, 0)
    return gself if needs[0] else None, None, zero_padded(gsrc, src.shape) if needs[2] else None


_scatter_reduce.batch(scatter_batch)


def _leading_part(src: Tensor, shape: Any) -> Tensor:
    """The leading part of a tensor that has the given shape."""
    for d, n in enumerate(shape):
        if src.shape[d] != n:
            src = ops.narrow(src, d, 0, n)
    return src


def _gradients(
    g: Any, self: Any, dim: int, index: Any, src: Any, reduce: str, include_self: bool, result: Any
) -> tuple[Any, Any]:
    """The gradients of `self`, as if included, and of `src`."""
    if reduce == "sum":
        return g, gather(g, dim, index)
    if reduce == "mean":
        start = ops.ones_like(g) if include_self else ops.zeros_like(g)
        counts = scatter_add(start, dim, index, ops.ones_like(src))
        share = g / ops.masked_fill(counts, counts == 0, 1)
        return share, gather(share, dim, index)
    if reduce == "prod":
        return _product_gradients(g, self, dim, index, src, include_self, result)
    chosen_self = (self == result).to(g.dtype)
    chosen = (src == gather(result, dim, index)).to(g.dtype)
    start = chosen_self if include_self else ops.zeros_like(chosen_self)
    counts = scatter_add(start, dim, index, chosen)
    share = g / ops.masked_fill(counts, counts == 0, 1)
    return chosen_self * share, chosen * gather(share, dim, index)


def _product_gradients(
    g: Any, self: Any, dim: int, index: Any, src: Any, include_self: bool, result: Any
) -> tuple[Any, Any]:
    """The gradients of a product: of the others' product, which a single zero needs by itself."""
    ones = ops.ones_like(self)
    others = _scatter_reduce(ones, dim, index, src, "prod", True)
    zero = src == 0
    nothing = ops.zeros(self.shape, dtype=g.dtype)
    zeros = gather(scatter_add(nothing, dim, index, zero.to(g.dtype)), dim, index)
    alone = zero & (zeros == 1)
    without = _scatter_reduce(self, dim, index, ops.masked_fill(src, alone, 1), "prod", include_self)
    safe = ops.masked_fill(src, zero, 1)
    usual = ops.masked_fill(gather(g * result, dim, index) / safe, zero, 0)
    return g * others, ops.where(alone, gather(g * without, dim, index), usual)


@function()
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *,
    include_self: bool = True, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with the elements of `src` reduced in at `index` along a dimension.

    `reduce` is "sum", "prod", "mean", "amax" or "amin"; `include_self=False` leaves out what `input`
    has there. Among equals that are largest or smallest the gradient is shared.

    >>> import pullback as torch
    >>> x, index = torch.tensor([1.0, 5.0]), torch.tensor([0, 0, 1])
    >>> x.scatter_reduce(0, index, torch.tensor([2.0, 3.0, 4.0]), "amax")
    tensor([3., 5.])
    """
    return _scatter_reduce(input, dim, index, src, reduce, include_self, out=out)


@function(places="m")
def scatter_reduce_(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`scatter_reduce` into the tensor itself."""
    return _scatter_reduce.inplace(input, dim, index, src, reduce, include_self)


# -------------------------------------------------------------------------------- index_reduce


def _index_like(index: Any, shape: Any, dim: int) -> Any:
    """A vector of indices as one for each element of a tensor of that shape."""
    return np.broadcast_to(index.reshape((-1,) + (1,) * (len(shape) - dim - 1)), shape)


@op(name="index_reduce", places="", writes="C", flat_slope=_picks)
def _index_reduce(
    self: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool
) -> Array:
    """`self` with `source` reduced in at the named indices of a dimension."""
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index)
    positions = flat_indices_along(self.shape or (1,), dim, _index_like(index, source.shape or (1,), dim))
    return _reduce_at(self, positions, source, reduce, include_self)


def _check_index_reduction(self: Spec, reduce: str) -> None:
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        )
    _check_kind(self, reduce, _INDEX_KERNELS.get(reduce, ""))


@_index_reduce.prepare
def _prepare_index_reduce(
    self: Spec, dim: int, index: Spec, source: Spec, reduce: str, include_self: bool
) -> Plan:
    _check_index_reduction(self, reduce)
    dim = check_index_reduce(self, dim, index, source)
    if source.shape[:dim] + source.shape[dim + 1 :] != self.shape[:dim] + self.shape[dim + 1 :]:
        return Plan(Spec(self.dtype, self.shape))
    return plan_slices(
        f"at_{reduce}", self, dim, index, source,
        lambda status, self, d, index, *rest: range_error(self, dim, index), included=bool(include_self),
    )  # fmt: skip


@_index_reduce.joint_vjp
def _index_reduce_rule(
    g: Any, self: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool,
    result: Any, needs: Any,
) -> Any:  # fmt: skip
    dim = wrap_dim(dim, self.ndim)
    tail = (1,) * (source.ndim - dim - 1)
    wide = ops.expand(ops.reshape(index, (-1, *tail) if source.ndim else ()), source.shape)
    gself, gsource = _gradients(g, self, dim, wide, source, reduce, include_self, result)
    if not include_self:
        gself = ops.index_fill(gself, dim, index, 0)
    return gself if needs[0] else None, None, gsource if needs[2] else None


@_index_reduce.batch
def _index_reduce_batch(
    level: Any, op: Op, self: Any, dim: int, index: Any, source: Any, reduce: str, include_self: bool
) -> Any:
    def each(p: Tensor, d: int, positions: Tensor, source: Tensor) -> Tensor:
        return scatter_reduce(p, d, positions, source, reduce, include_self=include_self)

    return write_slices(level, each, op, self, dim, index, source, reduce, include_self)


@function()
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *,
    include_self: bool = True, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with `source` reduced in at the indices of a dimension that `index` names.

    `reduce` is "prod", "mean", "amax" or "amin"; gradients are those of `scatter_reduce`.

    >>> import pullback as torch
    >>> torch.ones(2).index_reduce(0, torch.tensor([1, 1]), torch.tensor([2.0, 3.0]), "prod")
    tensor([1., 6.])
    """
    warn("index_reduce() is in beta and the API may change at any time.")
    return _index_reduce(input, dim, index, source, reduce, include_self, out=out)


@function(places="m")
def index_reduce_(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """`index_reduce` into the tensor itself."""
    warn("index_reduce() is in beta and the API may change at any time.")
    return _index_reduce.inplace(input, dim, index, source, reduce, include_self)
