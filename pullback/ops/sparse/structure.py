"""Ops that move the elements of sparse tensors: transpositions, parts, joins.

Each is a function of the indices, in NumPy, and of the values, in ops; `linear` gives it its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import sparse_bsc, sparse_bsr, sparse_coo, sparse_csc, sparse_csr
from pullback.core.types import Array
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.sparse.patterns import Pattern, coo_pattern
from pullback.ops.sparse.tensors import (
    build,
    elements,
    implements,
    is_sparse,
    linear,
    turned,
    unsupported,
    values_of,
)


def _coo_only(name: str, *tensors: Any) -> None:
    if not all(is_sparse(x) and x.layout is sparse_coo for x in tensors):
        raise unsupported(name, *tensors)


# --------------------------------------------------------------------------- transpositions

TURNED = {
    sparse_csr: sparse_csc,
    sparse_csc: sparse_csr,
    sparse_bsr: sparse_bsc,
    sparse_bsc: sparse_bsr,
}


def _permuted(x: Any, dims: Sequence[int]) -> Any:
    """A COO tensor with its dims in another order; sparse ones stay sparse."""
    pattern = x.pattern
    k = pattern.sparse_dim
    size = tuple(x.shape[d] for d in dims)
    v = values_of(x)
    if pattern.dense_dim:
        v = ops.permute(v, (0, *(d - k + 1 for d in dims[k:])))
    if tuple(dims[:k]) == tuple(range(k)):
        return build(Pattern(sparse_coo, pattern.index, size, pattern.coalesced), v)
    return build(coo_pattern(pattern.places[list(dims[:k])], size, False), v)


@implements("permute")
def _permute(input: Any, *dims: Any) -> Any:
    order = dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims
    order = tuple(wrap_dim(d, input.ndim) for d in order)
    if len(order) != input.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = "
            f"{len(order)}"
        )
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    _coo_only("permute", input)
    k = input.pattern.sparse_dim
    if any(d >= k for d in order[:k]):
        raise RuntimeError(
            "permute(sparse_coo): transpositions between sparse and dense dimensions are not allowed.Only "
            "transpositions within sparse and dense dimensions are supported."
        )
    inverse = tuple(order.index(d) for d in range(input.ndim))
    return turned("PermuteBackward0", input, lambda x: _permuted(x, order), lambda g: ops.permute(g, inverse))


@implements("transpose swapaxes swapdims")
def _transpose(input: Any, dim0: int, dim1: int) -> Any:
    return _exchanged("TransposeBackward0", input, dim0, dim1)


def _exchanged(label: str, x: Any, dim0: int, dim1: int) -> Any:
    a, b = wrap_dim(dim0, x.ndim), wrap_dim(dim1, x.ndim)
    if x.layout is not sparse_coo:
        return _of_compressed(label, x, a, b)
    k = x.pattern.sparse_dim
    if max(a, b) >= k and a != b:
        raise RuntimeError(
            f"sparse transpose: transposed dimensions must be sparse Got sparse_dim: {k}, d0: {a}, d1: {b}"
        )
    order = list(range(x.ndim))
    if a != b:
        order[a], order[b] = b, a
    return turned(label, x, lambda t: _permuted(t, order), lambda g: ops.transpose(g, a, b))


def _of_compressed(label: str, x: Any, a: int, b: int) -> Any:
    """A compressed matrix with rows and columns exchanged: the same indices, in the other layout."""
    if a == b:
        return x
    at = x.pattern.batch_dim
    if {a, b} != {at, at + 1}:
        raise RuntimeError(
            "transpose(): can only transpose rows and columns of compressed sparse tensors, got dims "
            f"{a} and {b}"
        )

    def composite(t: Any) -> Any:
        pattern, v = t.pattern, values_of(t)
        size = list(t.shape)
        size[a], size[b] = size[b], size[a]
        if pattern.block:
            v = ops.transpose(v, at + 1, at + 2)
        made = Pattern(TURNED[t.layout], pattern.index, size, block=pattern.block[::-1])
        return build(made, v)

    return turned(label, x, composite, lambda g: ops.transpose(g, a, b))


@implements("t")
def _t(input: Any) -> Any:
    if input.layout is sparse_coo and (input.pattern.dense_dim or input.ndim > 2):
        p = input.pattern
        raise RuntimeError(
            "t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got "
            f"{p.sparse_dim} sparse and {p.dense_dim} dense dimensions"
        )
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return input if input.ndim < 2 else _exchanged("TBackward0", input, 0, 1)


@implements("adjoint")
def _adjoint(input: Any) -> Any:
    return ops.conj(ops.transpose(input, -2, -1))


@implements("movedim moveaxis")
def _movedim(input: Any, source: Any, destination: Any) -> Any:
    froms = [source] if isinstance(source, int) else list(source)
    to = [destination] if isinstance(destination, int) else list(destination)
    froms, to = [wrap_dim(d, input.ndim) for d in froms], [wrap_dim(d, input.ndim) for d in to]
    order = [d for d in range(input.ndim) if d not in froms]
    for where, dim in sorted(zip(to, froms, strict=True)):
        order.insert(where, dim)
    return ops.permute(input, tuple(order))


# ------------------------------------------------------------------------------ new dims


def _with_dim(x: Any, dim: int) -> Any:
    pattern, size = x.pattern, list(x.shape)
    size.insert(dim, 1)
    k = pattern.sparse_dim
    if dim > k:
        v = ops.unsqueeze(values_of(x), dim - k + 1)
        return build(Pattern(sparse_coo, pattern.index, size, pattern.coalesced), v)
    places = np.insert(pattern.places, dim, 0, axis=0)
    return build(coo_pattern(places, size, pattern.layout is sparse_coo and pattern.coalesced), values_of(x))


@implements("unsqueeze")
def _unsqueeze(input: Any, dim: int) -> Any:
    if input.layout is not sparse_coo:
        raise RuntimeError("Sparse CSR tensors do not have strides")
    at = wrap_dim(dim, input.ndim + 1)
    return turned("UnsqueezeBackward0", input, lambda x: _with_dim(x, at), lambda g: ops.select(g, at, 0))


@implements("squeeze")
def _squeeze(input: Any, dim: Any = None) -> Any:
    """Sums of sparse gradients call it; users find it, too."""
    _coo_only("squeeze", input)
    dims = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    found = input
    for d in sorted({wrap_dim(d, input.ndim) for d in dims}, reverse=True):
        if found.shape[d] == 1 and found.pattern.sparse_dim > 1:
            found = _sum_away(found, d)
    return found


def _sum_away(x: Any, dim: int) -> Any:
    return turned("SqueezeBackward1", x, lambda t: _at(t, dim, 0), lambda g: ops.unsqueeze(g, dim))


def _at_least(name: str, ndim: int) -> None:
    def grown(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
            tensors = tuple(tensors[0])
        if len(tensors) > 1:
            return tuple(getattr(ops, name)(x) for x in tensors)
        (x,) = tensors
        if x.ndim >= ndim:
            return x
        if ndim == 3 and x.ndim == 2:
            return ops.unsqueeze(x, 2)
        x = ops.unsqueeze(x, 0) if ndim > 1 or x.ndim == 0 else x
        while x.ndim < ndim:
            x = ops.unsqueeze(x, x.ndim)
        return x

    implements(name)(grown)


for _ndim in (1, 2, 3):
    _at_least(f"atleast_{_ndim}d", _ndim)


# --------------------------------------------------------------------------------- parts


def _kept(x: Any, chosen: Array, places: Array, size: Any) -> Any:
    """The elements at some positions, at other places."""
    v = elements(x.pattern, values_of(x))
    if len(chosen) != len(v):
        v = ops.index_select(v, 0, from_array(chosen))
    rises = places.shape[1] < 2 and x.pattern.coalesced
    return build(coo_pattern(places, size, rises), v)


def _at(x: Any, dim: int, index: int) -> Any:
    """One position of a dim, which goes; dense where no sparse dim is left."""
    pattern = x.pattern
    size = [n for d, n in enumerate(x.shape) if d != dim]
    k = len(pattern.places)
    if dim >= k:
        v = ops.select(elements(pattern, values_of(x)), dim - k + 1, index)
        return build(coo_pattern(pattern.places, size, pattern.coalesced), v)
    chosen = np.flatnonzero(pattern.places[dim] == index)
    if k == 1:
        return ops.index_select(elements(pattern, values_of(x)), 0, from_array(chosen)).sum(0)
    return _kept(x, chosen, np.delete(pattern.places[:, chosen], dim, 0), size)


@implements("select select_copy")
def _select(input: Any, dim: int, index: int) -> Any:
    at = wrap_dim(dim, input.ndim)
    n = input.shape[at]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at "
                         f"dimension {at}")  # fmt: skip
    place = int(index) % n
    return linear("SelectBackward0", input, lambda x: _at(x, at, place), lambda x: ops.select(x, at, place))


@implements("unbind")
def _unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    at = wrap_dim(dim, input.ndim)
    return tuple(_select(input, at, i) for i in range(input.shape[at]))


def _narrowed(x: Any, dim: int, start: int, length: int, step: int = 1) -> Any:
    pattern, size = x.pattern, list(x.shape)
    size[dim] = length
    k = pattern.sparse_dim
    if dim >= k:
        key = (slice(None),) * (dim - k + 1) + (slice(start, start + length * step, step),)
        return build(Pattern(sparse_coo, pattern.index, size, pattern.coalesced), values_of(x)[key])
    at = pattern.places[dim] - start
    chosen = np.flatnonzero((at >= 0) & (at < length * step) & (at % step == 0))
    places = pattern.places[:, chosen]
    places[dim] = at[chosen] // step
    v = ops.index_select(values_of(x), 0, from_array(chosen))
    return build(coo_pattern(places, size, pattern.coalesced), v)


@implements("narrow_copy narrow")
def _narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    _coo_only("narrow_copy", input)
    at = wrap_dim(dim, input.ndim)
    n = input.shape[at]
    begin = start + n if start < 0 else start
    if not 0 <= begin <= n or length < 0 or begin + length > n:
        raise RuntimeError(
            f"Invalid range to narrow. range(start, start+length) must be a subset of range(0, {n})."
        )
    return linear(
        "NarrowCopyBackward0",
        input,
        lambda x: _narrowed(x, at, begin, length),
        lambda x: ops.narrow(x, at, begin, length),
    )


@implements("basic")
def _basic(self: Any, key: Any) -> Any:
    """`x[key]` of ints, slices, None and an Ellipsis."""
    taken = sum(part is not None and part is not Ellipsis for part in key)
    x, dim = self, 0
    for part in key:
        if part is Ellipsis:
            dim += self.ndim - taken
        elif part is None:
            x, dim = ops.unsqueeze(x, dim), dim + 1
        elif isinstance(part, slice):
            if part != slice(None):
                _coo_only("as_strided", x)
                begin, end, step = part.indices(x.shape[dim])
                length = len(range(begin, end, step))
                x = linear(
                    "SliceBackward0",
                    x,
                    lambda t, d=dim, b=begin, n=length, s=step: _narrowed(t, d, b, n, s),
                    lambda t, d=dim, k=part: t[(slice(None),) * d + (k,)],
                )
            dim += 1
        else:
            n = x.shape[dim]
            if not -n <= part < n:
                where = dim + self.ndim - x.ndim
                raise IndexError(f"index {part} is out of bounds for dimension {where} with size {n}")
            x = ops.select(x, dim, int(part))
    return x


def _selected(x: Any, dim: int, index: Tensor) -> Any:
    pattern, size = x.pattern, list(x.shape)
    wanted = index._array.reshape(-1).astype(np.int64)
    size[dim] = len(wanted)
    k = pattern.sparse_dim
    if dim >= k:
        v = ops.index_select(values_of(x), dim - k + 1, index)
        return build(Pattern(sparse_coo, pattern.index, size, pattern.coalesced), v)
    order = np.argsort(pattern.places[dim], kind="stable")
    column = pattern.places[dim][order]
    begins, ends = np.searchsorted(column, wanted), np.searchsorted(column, wanted, "right")
    counts = ends - begins
    target = np.repeat(np.arange(len(wanted)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = order[np.repeat(begins, counts) + within]
    places = pattern.places[:, chosen]
    places[dim] = target
    v = ops.index_select(values_of(x), 0, from_array(chosen))
    return build(coo_pattern(places, size, False), v)


@implements("index_select")
def _index_select(input: Any, dim: int, index: Tensor) -> Any:
    _coo_only("index_select", input)
    at = wrap_dim(dim, input.ndim)
    n = input.shape[at]
    if index.ndim > 1:
        raise IndexError("index_select() argument index must be 1-D or 0-D tensor.")
    outside = (index._array < -n) | (index._array >= n)
    if outside.any():
        bad = int(index._array[outside].reshape(-1)[0])
        raise IndexError(f"index_select(): index contains {bad} that is out of range for tensor of size "
                         f"{list(input.shape)} at dimension {at}")  # fmt: skip
    index = from_array(np.where(index._array < 0, index._array + n, index._array).astype(np.int64))
    return linear(
        "IndexSelectBackward0",
        input,
        lambda x: _selected(x, at, index),
        lambda x: ops.index_select(x, at, index),
    )


# --------------------------------------------------------------------------------- joins


def _joined(tensors: Sequence[Any], dim: int) -> Any:
    first = tensors[0].pattern
    size = list(first.size)
    size[dim] = sum(x.shape[dim] for x in tensors)
    kind = tensors[0].dtype
    for x in tensors[1:]:
        kind = ops.promote_types(kind, x.dtype)
    k, offset, places, parts = first.sparse_dim, 0, [], []
    for x in tensors:
        at, v = x.pattern.places.copy(), ops.to(values_of(x), kind)
        if dim < k:
            at[dim] += offset
        else:
            wide = list(v.shape)
            wide[dim - k + 1] = size[dim]
            room = ops.zeros(wide, dtype=kind)
            axis = dim - k + 1
            v = ops.slice_scatter(room, v, axis, offset, offset + x.shape[dim])
        offset += x.shape[dim]
        places.append(at)
        parts.append(v)
    return build(coo_pattern(np.concatenate(places, 1), size, False), ops.cat(parts))


@implements("cat concat concatenate")
def _cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    tensors = tuple(tensors)
    if not all(is_sparse(x) for x in tensors):
        place = next(i for i, x in enumerate(tensors) if not is_sparse(x))
        raise RuntimeError(f"Concatenating sparse tensors, but a dense tensor was found at position {place}.")
    if any(x.layout is not sparse_coo for x in tensors):
        raise RuntimeError("Sparse CSR tensors do not have is_contiguous")
    first = tensors[0]
    at = wrap_dim(dim, first.ndim)
    for i, x in enumerate(tensors):
        if x.pattern.sparse_dim != first.pattern.sparse_dim or x.ndim != first.ndim:
            raise RuntimeError(
                f"All tensors must have the same shape: {list(first.shape)} (except in the concatenating "
                f"dimension), but found shape: {list(x.shape)} at position {i}"
            )
        for d, (n, m) in enumerate(zip(first.shape, x.shape, strict=True)):
            if n != m and d != at:
                raise RuntimeError(
                    f"All tensors must have the same shape: {list(first.shape)} (except in the concatenating "
                    f"dimension), but found shape: {list(x.shape)} at position {i}."
                )
    return linear("CatBackward0", tensors, lambda *xs: _joined(xs, at), lambda *xs: ops.cat(list(xs), at))


@implements("stack")
def _stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    at = wrap_dim(dim, tensors[0].ndim + 1)
    return _cat([ops.unsqueeze(x, at) for x in tensors], at)


@implements("hstack")
def _hstack(tensors: Sequence[Any]) -> Any:
    grown = [ops.atleast_1d(x) for x in tensors]
    return _cat(grown, 0 if grown[0].ndim == 1 else 1)


@implements("vstack row_stack")
def _vstack(tensors: Sequence[Any]) -> Any:
    return _cat([ops.atleast_2d(x) for x in tensors], 0)


@implements("dstack")
def _dstack(tensors: Sequence[Any]) -> Any:
    return _cat([ops.atleast_3d(x) for x in tensors], 2)


@implements("column_stack")
def _column_stack(tensors: Sequence[Any]) -> Any:
    return _hstack([ops.unsqueeze(x, 1) if x.ndim == 1 else x for x in tensors])


# ------------------------------------------------------------------------------- refusals


@implements("expand expand_as broadcast_to")
def _expand(input: Any, *size: Any, implicit: bool = False) -> Any:
    if not is_sparse(input):
        return ops.expand(input, tuple(size[0].shape))
    raise RuntimeError(
        f"expand is unsupported for {'Sparse' if input.layout is sparse_coo else 'SparseCsr'} tensors"
    )


@implements("reshape view_as reshape_as")
def _reshape(input: Any, *shape: Any, **more: Any) -> Any:
    if not is_sparse(input):
        return ops.reshape(input, tuple(shape[0].shape))
    raise RuntimeError("reshape is not implemented for sparse tensors")


@implements("flatten")
def _flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """One dim alone is as it is."""
    if input.ndim and wrap_dim(start_dim, input.ndim) == wrap_dim(end_dim, input.ndim):
        return input
    raise RuntimeError("reshape is not implemented for sparse tensors")


@implements("cartesian_prod")
def _cartesian_prod(*tensors: Any) -> Any:
    if len(tensors) == 1:
        return tensors[0]
    raise unsupported("cartesian_prod", *tensors)


@implements("diff")
def _diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    if n == 0:
        return input
    raise unsupported("as_strided", input)


@implements("repeat_interleave")
def _repeat_interleave(
    input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Slices a number of times each, which is a tensor's."""
    if dim is None or not isinstance(repeats, Tensor) or repeats.ndim == 0:
        raise RuntimeError("expand is unsupported for Sparse tensors")
    return ops.index_select(input, dim, ops.repeat_interleave(repeats))


@implements("embedding")
def _embedding(input: Any, weight: Any, *options: Any, **named: Any) -> Any:
    """Rows of a sparse matrix at dense indices, which have one dim: of the op, and of the function."""
    index, matrix = (weight, input) if is_sparse(input) else (input, weight)
    if index.ndim != 1:
        raise RuntimeError("reshape is not implemented for sparse tensors")
    return ops.index_select(matrix, 0, index)


def _dropped(name: str) -> None:
    @implements(name)
    def drop(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
        if p == 0 or not training:
            return input
        if p == 1:
            return input * 0
        raise unsupported("bernoulli_.float", input)


for _name in ("dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"):
    _dropped(_name)
