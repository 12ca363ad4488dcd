"""Rows by index: embedding, one_hot. Bags of rows are in bags.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, grad_enabled, set_grad_enabled
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import int32, int64
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels import bags as bags_kernels
from pullback.kernels.order import hot
from pullback.ops.indexing.slices import outside_of_self
from pullback.ops.reductions.norms import norm_array
from pullback.ops.shared.at import NOT_AN_INDEX, laid_as, plan_at, steps_of, work_steps
from pullback.ops.shared.batches import folded
from pullback.ops.shared.flat_indices import compact, outside

_NORM_MARGIN = 1e-7  # what PyTorch adds to a norm before it divides


def _rows_of(a: Array) -> Array:
    """An array as contiguous rows of reals, complex numbers as pairs."""
    rows = np.ascontiguousarray(a).reshape(-1, a.shape[-1]) if a.size else np.zeros((0, a.shape[-1]), a.dtype)
    return rows.view(rows.real.dtype) if rows.dtype.kind == "c" else rows


def flat_indices(indices: Array) -> Array:
    return np.ascontiguousarray(indices, np.int64).reshape(-1)


# ----------------------------------------------------------------------------------- embedding


@op(places="t", moves=True)
def embedding(
    weight: Array, indices: Array, padding_idx: int = -1, scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:  # fmt: skip
    """The rows of the matrix `weight` at `indices`: shape (*indices, columns).

    IndexError for an index out of range. The gradient of `weight` is added up at the rows taken,
    but for the row `padding_idx`; with `scale_grad_by_freq` each is divided by how often it was.

    >>> import pullback as torch
    >>> torch.embedding(torch.tensor([[1, 2], [3, 4]]), torch.tensor([1, 0]))
    tensor([[3, 4],
            [1, 2]])
    """
    if outside(np.ascontiguousarray(indices), weight.shape[0]):
        raise outside_of_self(0, weight, 0, indices)
    return weight.take(indices, 0)


def _row_dims(rows: tuple[int, ...], wide: tuple[int, ...], indices: Spec, n: int) -> list[tuple[int, ...]]:
    """The dims of rows at indices, for `plan_at`: `rows` are a matrix's steps, `wide` those of the rows."""
    places = zip(indices.shape, wide[:-1], steps_of(indices), strict=True)
    return [*((size, 0, b, i) for size, b, i in places), (n, rows[1], wide[-1], 0)]


@embedding.prepare
def _prepare_embedding(weight: Spec, indices: Spec, *options: Any) -> Plan:
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    check_indices("embedding", indices.dtype)
    rows, columns = weight.shape
    result, steps = Spec(weight.dtype, (*indices.shape, columns)), steps_of(weight)
    return plan_at(
        "take", result, _row_dims(steps, steps_of(result), indices, columns), [(indices, rows, steps[0])],
        lambda status, weight, indices, *rest: outside_of_self(status, weight, 0, indices),
        begins=0, inputs=2, cut=(0, 0),
    )  # fmt: skip


def _shares(flat: Array, rows: int, padding_idx: int, by_frequency: bool, dtype: Any) -> Array | None:
    """What each index counts for in the gradient; None where all count one."""
    if by_frequency:
        shares = (1 / np.bincount(flat, minlength=rows)[flat]).astype(dtype)
    elif padding_idx >= 0:
        shares = np.ones(flat.shape, dtype)
    else:
        return None
    if padding_idx >= 0:
        shares[flat == padding_idx] = 0
    return shares


@op(name="embedding_dense_backward", places="")
def _embedding_slope(self: Array, indices: Array, rows: int, padding_idx: int, by_frequency: bool) -> Array:
    """The gradient of an embedding's matrix for that of its result."""
    flat, values = flat_indices(indices), _rows_of(self)
    shares = _shares(flat, rows, padding_idx, by_frequency, values.dtype)
    return bags_kernels.bag_sum(values, None, flat, shares, rows, flat.size).view(self.dtype)


@op(name="embedding_shares", places="", nondiff=True)
def _embedding_shares(self: Array, rows: int, padding_idx: int, by_frequency: bool, dtype: Any) -> Array:
    shares = _shares(flat_indices(self), rows, padding_idx, by_frequency, dtype.to_real().numpy)
    assert shares is not None  # else nothing asks for them
    return shares.reshape(*self.shape, 1)


def _embedding_slope_vjp(
    g: Tensor, indices: Tensor, rows: int, padding_idx: int, by_frequency: bool
) -> Tensor:
    picked = embedding(g, indices)
    if padding_idx < 0 and not by_frequency:
        return picked
    return picked * _embedding_shares(indices, rows, padding_idx, by_frequency, g.dtype)


@_embedding_slope.prepare
def _prepare_embedding_slope(
    self: Spec, indices: Spec, rows: int, padding_idx: int, by_frequency: bool
) -> Plan:
    columns = self.shape[-1]
    result = Spec(self.dtype, (rows, columns))
    if by_frequency:
        return Plan(result)
    steps = work_steps(result)
    return plan_at(
        "at_sum", result, _row_dims(steps, steps_of(self), indices, columns), [(indices, rows, steps[0])],
        lambda status, self, indices, *rest: IndexError("index out of range in self"),
        other=0, inputs=2, cut=(1, indices.ndim),
        skipped=padding_idx if padding_idx >= 0 else NOT_AN_INDEX,
    )  # fmt: skip


_embedding_shares.meta(
    lambda self, rows, padding_idx, by_frequency, dtype: meta_array((*self.shape, 1), dtype.to_real().numpy)
)
_embedding_slope.vjp(self=_embedding_slope_vjp)


def _embedding_vjp(
    g: Tensor, weight_shape: Any, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Tensor:
    slope = ops.embedding_sparse_backward if sparse else _embedding_slope
    return slope(g, indices, weight_shape[0], padding_idx, scale_grad_by_freq)


embedding.vjp(weight=_embedding_vjp)


@embedding.jvp
def _embedding_tangent(weight: Tensor, indices: Any, *options: Any) -> Tensor:
    return embedding(weight, indices)


def places_of_all(level: Any, places: Any, rows: int) -> Tensor:
    """Numbers of rows in one matrix as numbers in that of all samples, which is `folded`."""
    first = ops.arange(level.size) * rows
    return level.front(places) + ops.reshape(first, (level.size,) + (1,) * places.ndim)


@embedding.batch
def _embedding_batch(
    level: Any, op: Op, weight: Any, indices: Any, padding_idx: int, scale_grad_by_freq: bool, sparse: bool
) -> Any:
    if not level.holds(weight):
        return level.wrap(op(weight, indices.physical, padding_idx, scale_grad_by_freq, sparse))
    if padding_idx >= 0 or scale_grad_by_freq:
        return level.call(_embedding_by_rows, weight, indices, padding_idx, scale_grad_by_freq)
    places = places_of_all(level, indices, weight.shape[0])
    return level.wrap(op(folded(level, weight), places, padding_idx, scale_grad_by_freq, sparse))


@op(places="")
def scaled_gradient(self: Array, scale: Array) -> Array:
    return self.copy()


scaled_gradient.meta(lambda self, scale: meta_array(self.shape, self.dtype))
scaled_gradient.vjp(self=lambda g, scale: g * scale)


@scaled_gradient.batch
def _scaled_gradient_batch(level: Any, op: Op, self: Any, scale: Any) -> Any:
    return level.wrap(op(level.front(self), level.front(scale)))


def _occurrences(flat: Tensor, rows: int, kind: Any) -> Tensor:
    """How often each row is asked for."""
    return ops.scatter_add(ops.zeros(rows, dtype=kind), 0, flat, ops.ones_like(flat, dtype=kind))


def _embedding_by_rows(weight: Tensor, indices: Tensor, padding: int, by_frequency: bool) -> Tensor:
    """Picked rows, of which the padding sends no gradient and each other one's is shared out."""
    rows, flat = weight.shape[0], ops.reshape(indices, (-1,)).long()
    share = ops.ones(rows, dtype=weight.dtype)
    if by_frequency:
        share = 1 / ops.clamp(_occurrences(flat, rows, weight.dtype), 1)
    if padding >= 0:
        share = ops.where(ops.arange(rows) == padding, 0.0, share)
    weight = scaled_gradient(weight, ops.unsqueeze(share, 1))
    return ops.reshape(ops.index_select(weight, 0, flat), (*indices.shape, *weight.shape[1:]))


@_embedding_slope.batch
def _embedding_slope_batch(
    level: Any, op: Op, self: Any, indices: Any, rows: int, padding_idx: int, by_frequency: bool
) -> Any:
    """All samples' rows are those of one matrix."""
    if padding_idx >= 0 or by_frequency:
        return level.call(_embedding_slope_by_rows, self, indices, rows, padding_idx, by_frequency)
    places = places_of_all(level, indices, rows)
    result = op(level.front(self), places, rows * level.size, padding_idx, by_frequency)
    return level.wrap(ops.reshape(result, (level.size, rows, -1)))


def _embedding_slope_by_rows(
    g: Tensor, indices: Tensor, rows: int, padding: int, by_frequency: bool
) -> Tensor:
    flat = ops.reshape(indices, (-1,)).long()
    values = ops.reshape(g, (flat.shape[0], -1))
    result = ops.index_add(ops.zeros((rows, values.shape[1]), dtype=g.dtype), 0, flat, values)
    if by_frequency:
        result = result / ops.unsqueeze(ops.clamp(_occurrences(flat, rows, g.dtype), 1), 1)
    if padding >= 0:
        result = ops.where(ops.unsqueeze(ops.arange(rows) == padding, 1), 0.0, result)
    return result


@op(name="embedding_renorm", places="", writes="K")
def _embedding_renorm(self: Array, indices: Array, max_norm: float, norm_type: float) -> Array:
    """A matrix with the named rows scaled down to the norm `max_norm` where theirs is larger."""
    rows = np.unique(indices)
    for bad in rows[(rows < 0) | (rows >= len(self))]:
        raise IndexError(
            f"select(): index {bad} out of range for tensor of size {list(self.shape)} at dimension 0"
        )
    picked = self[rows].astype(np.float32) if self.itemsize == 2 else self[rows]
    norms = np.asarray(norm_array(picked, norm_type, (1,), True))
    scale = np.where(norms > max_norm, max_norm / (norms + _NORM_MARGIN), 1)
    self[rows] = picked * scale.astype(picked.dtype)
    return self


@_embedding_renorm.prepare
def _prepare_embedding_renorm(self: Spec, indices: Spec, max_norm: float, norm_type: float) -> Plan:
    if self.ndim != 2:
        raise RuntimeError("'self' must be 2-D")
    check_indices("embedding_renorm_", indices.dtype)
    return Plan(Spec(self.dtype, self.shape, laid_as(self)))


@function(places="t")
def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scales the rows at `indices` whose norm exceeds `max_norm` down to it, in place.

    IndexError for an index out of range.

    >>> import pullback as torch
    >>> torch.embedding_renorm_(torch.tensor([[3.0, 4.0]]), torch.tensor([0]), 1.0, 2.0)
    tensor([[0.6000, 0.8000]])
    """
    return _embedding_renorm.inplace(input, indices, max_norm, norm_type)


def renormed(weight: Tensor, indices: Tensor, max_norm: float | None, norm_type: float) -> None:
    """The same without a trace in the graph, as the functions with `max_norm` do it."""
    if max_norm is None:
        return
    before = grad_enabled()
    set_grad_enabled(False)
    try:
        _embedding_renorm.inplace(weight.detach(), indices, max_norm, norm_type)
    finally:
        set_grad_enabled(before)


@function(name="embedding", places="", aliases=("nn.functional.embedding",))
def _functional_embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of the matrix `weight` at the indices `input`: shape (*input, columns).

    `max_norm` first scales, in place, the rows taken whose norm is larger. The row `padding_idx`
    gets no gradient; with `scale_grad_by_freq` each is divided by how often its row was taken.
    With `sparse` the gradient is a sparse tensor of the rows taken. AssertionError for a
    `padding_idx` that is no row.

    >>> import pullback as torch
    >>> torch.nn.functional.embedding(torch.tensor([1, 0]), torch.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= weight.shape[0]
    renormed(weight, input, max_norm, norm_type)
    return embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


# ------------------------------------------------------------------------------------- one_hot


@op(places="", aliases=("nn.functional.one_hot",), nondiff=True, batch="leading")
def one_hot(self: Array, num_classes: int = -1) -> Array:
    """1 at the place that each class number names along a new last dim, else 0; int64.

    Without `num_classes` there are as many as the largest number needs. RuntimeError for negative
    numbers, for those not below `num_classes`, and for other dtypes than int64.

    >>> import pullback as torch
    >>> torch.nn.functional.one_hot(torch.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if num_classes == -1:
        rows = hot(compact(self))
        if rows is not None:
            return rows.reshape(*self.shape, rows.shape[1])
    if not self.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty self.")
    if self.size and self.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(self.max()) + 1
    elif self.size and self.max() >= num_classes:
        raise _too_large_class(0, self, num_classes)
    result = np.zeros((self.size, num_classes), np.int64)
    result[np.arange(self.size), self.reshape(-1)] = 1
    return result.reshape(*self.shape, num_classes)


def _too_large_class(status: int, self: Array, num_classes: int) -> Exception:
    if self.min() < 0:
        return RuntimeError("Class values must be non-negative.")
    return RuntimeError("Class values must be smaller than num_classes.")


@one_hot.prepare
def _prepare_one_hot(self: Spec, num_classes: int) -> Plan:
    if self.dtype is not int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if num_classes == -1:
        return Plan(())
    result = Spec(int64, (*self.shape, num_classes))
    if num_classes <= 0:
        return Plan(result)
    steps = zip(self.shape, steps_of(result), steps_of(self), strict=False)
    dims = [(n, step, 0, i) for n, step, i in steps]
    return plan_at(
        "put", result, dims, [(self, num_classes, 8)], _too_large_class,
        first=0, inputs=1, value=1, cut=(0, 0) if self.ndim else None,
    )  # fmt: skip


@one_hot.meta
def _one_hot_meta(self: Array, num_classes: int) -> Array:
    raise RuntimeError("Tensor.item() cannot be called on meta tensors")


# ---------------------------------------------------------------------------------- what is refused


def check_indices(name: str, kind: Dtype) -> None:
    """Refuses what is no int64 or int32."""
    if kind not in (int64, int32):
        shown = f"torch.{kind.type_name}Tensor" if kind.kind == "f" else f"CPU{kind.type_name}Type"
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {shown} instead (while checking arguments for {name})"
        )
