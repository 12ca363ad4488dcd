"""Sums, means and maxima of bags of rows: embedding_bag.

`_bags` reads indices and offsets as they are (`kernels/bags.h`). Its derivatives are made of a bag sum, which
adds scaled rows of a table to the rows of a result, `_bag_places` having found which. A bag sum is linear in
the rows and in the scales, and its derivatives are a bag sum with source and target exchanged, and inner
products of rows, `_bag_dots`; theirs are bag sums again. So they carry the means and the weighted sums to any
order, and transforms take them for `_bags`. Read `_bags`, then `_bag_sum`.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import from_numpy_dtype, int64
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array
from pullback.kernels import bags as kernels
from pullback.kernels.steps import call
from pullback.ops.networks.embedding import (
    check_indices,
    flat_indices,
    places_of_all,
    renormed,
    scaled_gradient,
)
from pullback.ops.shared.batches import folded, of_sample
from pullback.ops.shared.chains import Chain, Step
from pullback.ops.shared.flat_indices import outside


class BagMode(IntEnum):
    """What becomes of the rows of a bag, by PyTorch's numbers."""

    SUM = 0
    MEAN = 1
    MAX = 2


# ------------------------------------------------------------------------------------ whole bags


@op(name="embedding_bags", places="", grad_name="EmbeddingBagBackward0", public_name="embedding_bag")
def _bags(
    self: Array, scale: Array | None, indices: Array, offsets: Array | None, number: int, mode: int,
    padding: int, last: bool, sparse: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """Sums, means or maxima of bags, their sizes, and of maxima which rows they are.

    There are `number` bags of as many indices, or as many as offsets say: with `last` one less. With
    `sparse` the gradient of the matrix is a sparse tensor.
    """
    geometry, shapes = _bag_geometry(self, scale, indices, offsets, number, mode, padding, last)
    kinds = (self.dtype, np.int64, np.int64)
    made = tuple([np.empty(shape, kind) for shape, kind in zip(shapes, kinds, strict=True)])
    given = [np.ascontiguousarray(indices if x is None else x) for x in (self, scale, indices, offsets)]
    status = call(kernels.RUNS["bags"][self.dtype.name], geometry, (*given, *made))
    if status:
        raise _refused(status, self, indices, offsets)
    return made


@_bags.prepare
def _plan_bags(
    self: Spec, scale: Spec | None, indices: Spec, offsets: Spec | None, number: int, mode: int, padding: int,
    last: bool, sparse: bool,
) -> Plan:  # fmt: skip
    if self.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if scale is not None and scale.shape != indices.shape:
        raise RuntimeError("expected per_sample_weights to have the same shape as indices")
    for spec in (indices, offsets):
        if spec is not None:
            check_indices("embedding_bag", spec.dtype)
    geometry, shapes = _bag_geometry(self, scale, indices, offsets, number, mode, padding, last)
    kinds = (self.dtype, int64, int64)
    there = [spec for spec in (self, scale, indices, offsets) if spec is not None]
    chain = Chain(len(there), tuple([Spec(kind, shape) for kind, shape in zip(kinds, shapes, strict=True)]))
    places = {id(spec): chain.floats(number, spec) for number, spec in enumerate(there)}
    given = [places[id(indices if spec is None else spec)] for spec in (self, scale, indices, offsets)]
    chain.add_floats(lambda kind: Step(kernels.RUNS["bags"][kind.name], geometry), *given)
    scaled = scale is not None

    def refuse(status: int, rows: Array, *rest: Any) -> Exception:
        return _refused(status, rows, *rest[1:3] if scaled or rest[0] is None else rest[:2])

    return chain.plan(refuse)


def _bag_geometry(
    self: Any, scale: Any, indices: Any, offsets: Any, number: int, mode: int, padding: int, last: bool
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """What bags.h calls pb_bags, and the shapes of the results."""
    rows, width = self.shape
    count = math.prod(indices.shape)
    given = 0 if offsets is None else offsets.shape[0]
    bags = number if offsets is None else max(given - last, 0)
    every = count // max(number, 1) if offsets is None else -1
    of_offsets = 8 if offsets is None else offsets.dtype.itemsize
    where = (bags, width) if mode == BagMode.MAX else (0,)
    geometry = (rows, width, bags, count, every, given, mode, padding)
    kinds = (int(scale is not None), indices.dtype.itemsize, of_offsets)
    return (*geometry, *kinds), ((bags, width), (bags,), where)


def _refused(status: int, rows: Array, indices: Array, offsets: Array | None) -> Exception:
    """What is wrong with indices or offsets."""
    if status == 1:
        return _outside(flat_indices(indices), len(rows))
    assert offsets is not None
    return _wrong_offsets(flat_indices(offsets), indices.size, type_name(offsets))


@op(name="bag_sum", places="", grad_name="EmbeddingBagBackward0")
def _bag_sum(self: Array, scale: Array | None, source: Array, target: Array, bags: int) -> Array:
    """`scale[i] * self[source[i]]` added to row `target[i]` of zeros, for each i."""
    if scale is not None:
        scale = np.ascontiguousarray(scale)
    return kernels.bag_sum(np.ascontiguousarray(self), source, target, scale, bags, source.size)


@op(name="bag_dots", places="")
def _bag_dots(self: Array, other: Array, at_self: Array, at_other: Array) -> Array:
    """The inner products of the rows `self[at_self[i]]` and `other[at_other[i]]`."""
    return kernels.bag_dots(np.ascontiguousarray(self), at_self, np.ascontiguousarray(other), at_other)


_bag_sum.meta(lambda self, scale, source, target, bags: meta_array((bags, *self.shape[1:]), self.dtype))
_bag_dots.meta(lambda self, other, at_self, at_other: meta_array(at_self.shape, self.dtype))
_bag_sum.vjp(
    self=lambda g, self_shape, scale, source, target: _bag_sum(g, scale, target, source, self_shape[0]),
    scale=lambda g, self, source, target: _bag_dots(self, g, source, target),
)
_bag_dots.vjp(
    self=lambda g, self_shape, other, at_self, at_other: _bag_sum(other, g, at_other, at_self, self_shape[0]),
    other=lambda g, other_shape, self, at_self, at_other: _bag_sum(
        self, g, at_self, at_other, other_shape[0]
    ),
)


@op(name="embedding_bag_max", places="", grad_name="EmbeddingBagBackward0", public_name="embedding_bag")
def _bag_max(self: Array, source: Array, target: Array, bags: int) -> tuple[Array, Array]:
    """The largest of each bag's rows, column by column, and which row it is, -1 in an empty bag."""
    return kernels.bag_max(np.ascontiguousarray(self), source, target, bags)


@_bag_max.meta
def _bag_max_meta(self: Array, source: Array, target: Array, bags: int) -> tuple[Array, Array]:
    shape = (bags, *self.shape[1:])
    return meta_array(shape, self.dtype), meta_array(shape, np.dtype(np.int64))


def _bag_max_vjp(g0: Tensor, self_shape: tuple[int, ...], result1: Tensor) -> Tensor:
    empty = result1 < 0
    zeros = ops.zeros(self_shape, dtype=g0.dtype)
    return ops.scatter_add(zeros, 0, ops.where(empty, 0, result1), ops.where(empty, 0.0, g0))


_bag_max.vjp(self=_bag_max_vjp)


def _flat_places_of_all(level: Any, places: Any, rows: int) -> Tensor:
    return ops.reshape(places_of_all(level, places, rows), (-1,))


@_bag_sum.batch
def _bag_sum_batch(level: Any, op: Op, self: Any, scale: Any, source: Any, target: Any, bags: int) -> Any:
    places = _flat_places_of_all(level, source, self.shape[0]), _flat_places_of_all(level, target, bags)
    scale = None if scale is None else folded(level, scale)
    result = op(folded(level, self), scale, *places, bags * level.size)
    return level.wrap(ops.reshape(result, (level.size, bags, *self.shape[1:])))


@_bag_dots.batch
def _bag_dots_batch(level: Any, op: Op, self: Any, other: Any, at_self: Any, at_other: Any) -> Any:
    places = (
        _flat_places_of_all(level, at_self, self.shape[0]),
        _flat_places_of_all(level, at_other, other.shape[0]),
    )
    result = op(folded(level, self), folded(level, other), *places)
    return level.wrap(ops.reshape(result, (level.size, -1)))


@_bag_max.batch
def _bag_max_batch(level: Any, op: Op, self: Any, source: Any, target: Any, bags: int) -> Any:
    rows = self.shape[0]
    places = _flat_places_of_all(level, source, rows), _flat_places_of_all(level, target, bags)
    result, where = op(folded(level, self), *places, bags * level.size)
    shape = (level.size, bags, *self.shape[1:])
    result, where = ops.reshape(result, shape), ops.reshape(where, shape)
    return level.wrap((result, ops.where(where < 0, where, where % max(rows, 1))))


@op(name="bag_places", places="", nondiff=True)
def _bag_places(self: Array, offsets: Array, padding: int, last: bool, rows: int) -> tuple[Array, ...]:
    """Of each index that is no padding, its place, its row and its bag; and the size of each bag."""
    check_indices("embedding_bag", from_numpy_dtype(self.dtype))
    check_indices("embedding_bag", from_numpy_dtype(offsets.dtype))
    flat, starts = flat_indices(self), flat_indices(offsets)
    if starts.size and (starts[0] or starts[-1] > flat.size or (np.diff(starts) < 0).any()):
        raise _wrong_offsets(starts, flat.size, type_name(offsets))
    if outside(flat, rows):
        raise _outside(flat, rows)
    ends = starts[1:] if last else np.append(starts[1:], flat.size)
    starts = starts[: len(ends)]
    target = np.repeat(np.arange(len(ends)), ends - starts)
    place = np.arange(len(target))
    if padding >= 0:
        place = place[flat[: len(target)] != padding]
    source, target = flat[place], target[place]
    return place, source, target, np.bincount(target, minlength=len(ends))


@_bag_places.batch
@of_sample
def _bag_places_of_all(flat: Tensor, offsets: Tensor, padding: int, last: bool, rows: int) -> Any:
    """Bags that hold all indices: else how many places there are depends on the sample."""
    if padding >= 0 or last or flat.ndim != 1 or not offsets.shape[0]:
        return NotImplemented
    count = flat.shape[0]
    place = ops.arange(count)
    target = ops.searchsorted(offsets.long(), place, right=True) - 1
    size = ops.diff(offsets.long(), append=ops.full((1,), count, dtype=int64))
    return place, ops.clamp(flat.long(), 0, rows - 1), target, size


def _places(indices: Tensor, offsets: Tensor | None, number: int, *options: Any) -> tuple[Tensor, ...]:
    """What `_bag_places` finds, of equal bags as well."""
    if offsets is None:
        offsets = ops.arange(number) * (indices.numel() // max(number, 1))
    return _bag_places(indices, offsets, *options)


def _factors(scale: Tensor | None, mode: int, places: tuple[Tensor, ...], kind: Any) -> Tensor | None:
    """What each row is multiplied with in a sum."""
    place, _, target, size = places
    if mode == BagMode.MEAN:
        return (1 / ops.clamp(size, 1)).to(kind)[target]
    return None if scale is None else ops.index_select(scale, 0, place)


def _bags_by_parts(
    weight: Tensor, scale: Tensor | None, indices: Tensor, offsets: Tensor | None, number: int, mode: int,
    padding: int, last: bool, sparse: bool,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The same as `_bags`, of ops that find the places first."""
    places = _places(indices, offsets, number, padding, last, weight.shape[0])
    _, source, target, size = places
    if mode == BagMode.MAX:
        result, where = _bag_max(weight, source, target, size.shape[0])
        return result, size, where
    factors = _factors(scale, BagMode.SUM, places, weight.dtype)
    result = _bag_sum(weight, factors, source, target, size.shape[0])
    if mode == BagMode.MEAN:
        result = result / ops.unsqueeze(ops.clamp(size, 1).to(weight.dtype), 1)
    return result, size, size


def _bags_vjp(
    g0: Tensor, self_shape: tuple[int, ...], scale: Tensor | None, indices: Tensor, offsets: Tensor | None,
    number: int, mode: int, padding: int, last: bool, sparse: bool, result2: Tensor,
) -> Tensor:  # fmt: skip
    if mode == BagMode.MAX:
        return _bag_max_vjp(g0, self_shape, result2)
    places = _places(indices, offsets, number, padding, last, self_shape[0])
    _, source, target, _ = places
    factors = _factors(scale, mode, places, g0.dtype)
    if sparse:
        rows = ops.index_select(g0, 0, target)
        return ops.sparse_rows(rows if factors is None else rows * factors[:, None], source, self_shape[0])
    return _bag_sum(g0, factors, target, source, self_shape[0])


def _bag_scale_vjp(
    g0: Tensor, self: Tensor, scale_shape: tuple[int, ...], indices: Tensor, offsets: Tensor | None,
    number: int, padding: int, last: bool,
) -> Tensor:  # fmt: skip
    place, source, target, _ = _places(indices, offsets, number, padding, last, self.shape[0])
    dots = _bag_dots(self, g0, source, target)
    return ops.index_add(ops.zeros(scale_shape, dtype=dots.dtype), 0, place, dots)


_bags.vjp(self=_bags_vjp, scale=_bag_scale_vjp)


@_bags.batch
def _bags_batch(level: Any, op: Op, *args: Any) -> Any:
    return level.call(_bags_by_parts, *args)


def _by_frequency(table: Tensor, indices: Tensor) -> Tensor:
    """The matrix itself, but its gradient is divided by how often each row was asked for."""
    wanted = ops.bincount(ops.reshape(indices, (-1,)), minlength=table.shape[0])
    share = (1 / ops.clamp(wanted, 1)).to(table.dtype)
    return scaled_gradient(table, ops.unsqueeze(share, 1))


@function(name="embedding_bag", places="t")
def _embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What `nn.functional.embedding_bag` gives, each index's bag, the bags' sizes and maxima's rows.

    `mode` is 0, 1 or 2: sum, mean or max.

    >>> import pullback as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.embedding_bag(table, torch.tensor([1, 0]), torch.tensor([0]))[0]
    tensor([[4., 6.]])
    """
    _check_bag_weight(weight, per_sample_weights)
    rows = weight.shape[0]
    padding_idx = _padding(padding_idx, rows)
    if scale_grad_by_freq and mode != BagMode.MAX:
        weight = _by_frequency(weight, indices)
    scale = None if mode == BagMode.MAX else per_sample_weights
    found = _bags(weight, scale, indices, offsets, 0, mode, padding_idx, include_last_offset, sparse)
    target = _bag_places(indices, offsets, padding_idx, include_last_offset, rows)[2]
    return found[0], target, found[1], found[2] if mode == BagMode.MAX else found[1]


@function(name="embedding_bag", places="", aliases=("nn.functional.embedding_bag",))
def _functional_embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of `weight`: shape (bags, columns).

    `input` is 2D, a bag in each row, or 1D with the `offsets` at which bags start (with
    `include_last_offset` also where the last ends). Indices equal to `padding_idx` count for
    nothing; empty bags give zeros. `per_sample_weights` are factors for mode "sum".

    >>> import pullback as torch
    >>> table = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> torch.nn.functional.embedding_bag(torch.tensor([[0, 1], [1, 1]]), table)
    tensor([[2., 3.],
            [3., 4.]])
    """
    if weight.dtype is int64 and input.is_floating_point():
        warn_each_time(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, "
            "input, ...)` is deprecated, and should now be `embedding_bag(input, weight, ...)`.",
        )
        input, weight = weight, input
    _check_bags(input, weight, offsets, per_sample_weights, mode, include_last_offset)
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")
    number = 0
    if input.ndim == 2:
        number, include_last_offset = input.shape[0], False
        input = ops.reshape(input, (-1,))
        if per_sample_weights is not None:
            per_sample_weights = ops.reshape(per_sample_weights, (-1,))
    renormed(weight, input, max_norm, norm_type)
    _check_bag_weight(weight, per_sample_weights)
    padding = _padding(padding_idx, weight.shape[0])
    if scale_grad_by_freq:
        weight = _by_frequency(weight, input)
    code = int(BagMode[mode.upper()])
    last = include_last_offset
    return _bags(weight, per_sample_weights, input, offsets, number, code, padding, last, sparse)[0]


# ---------------------------------------------------------------------------------- what is refused


def _padding(padding_idx: int | None, rows: int) -> int:
    """The row that counts for nothing, -1 for none."""
    if padding_idx is None:
        return -1
    if not -rows <= padding_idx < rows:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, -{rows} through {rows - 1}, "
            f"but got {padding_idx}"
        )
    return padding_idx % rows


def _outside(flat: Array, rows: int) -> Exception:
    bad = flat[(flat < 0) | (flat >= rows)][0]
    return RuntimeError(f"embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be {bad}")


def _wrong_offsets(starts: Array, count: int, shown: str) -> Exception:
    if starts[0] != 0:
        return RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {starts[0]}\n[ torch.{shown}Tensor{{}} ]"
        )
    if starts[-1] > count:
        return RuntimeError(
            f"offsets[-1] can not be greater than input's length {count} but got offsets[-1] of {starts[-1]}"
        )
    return RuntimeError("embedding_bag: Expected offsets that do not fall")


def _check_bag_weight(weight: Tensor, scale: Tensor | None) -> None:
    """Refuses matrices of other kinds than floats, and scales of another dtype."""
    if weight.dtype.kind != "f":
        kind = weight.dtype.type_name
        shown = f"torch.{kind}Tensor" if weight.dtype.kind in "iu" else f"CPU{kind}Type"
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, "
            f"BFloat16, Float, Double; but got {shown} instead (while checking arguments for embedding_bag)"
        )
    if scale is not None and scale.dtype is not weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
            f"'per_sample_weights'; but type torch.{weight.dtype.type_name}Tensor does not equal "
            f"torch.{scale.dtype.type_name}Tensor (while checking arguments for embedding_bag)"
        )


def _check_bags(
    input: Tensor, weight: Tensor, offsets: Tensor | None, scale: Tensor | None, mode: str, last: bool
) -> None:
    """Refuses what `nn.functional.embedding_bag` does not take."""
    if weight.ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if scale is not None and scale.shape != input.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({scale.shape}) is not None, then it must have the "
            f"same shape as the input ({input.shape})"
        )
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of "
                f"fixed length sequences. However, found offsets of type {type(offsets)}"
            )
    elif input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    elif offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    elif offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if scale is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for "
            f"mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
