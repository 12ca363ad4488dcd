"""Sums, norms and softmax of sparse tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import int64, sparse_coo
from pullback.core.modes import no_grad
from pullback.core.op import function
from pullback.core.types import Dims
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.sparse.convert import as_layout, masked, refuse_layout, unmasked
from pullback.ops.sparse.patterns import coo_pattern, flat_places
from pullback.ops.sparse.tensors import (
    build,
    elements,
    implements,
    in_order,
    is_sparse,
    linear,
    recorded,
    unsupported,
    values_of,
)


def _wrapped(x: Any, dim: Any) -> list[int]:
    dims = [dim] if isinstance(dim, int) else list(dim)
    return sorted({wrap_dim(d, x.ndim) for d in dims})


# ----------------------------------------------------------------------------------- sums


def _summed(x: Any, dims: list[int], keepdim: bool) -> Any:
    """The sum over dims of a tensor in COO; dense where no sparse dim is left."""
    k = len(x.pattern.places)
    v = elements(x.pattern, values_of(x))
    dense = [d - k + 1 for d in dims if d >= k]
    if dense:
        v = ops.sum(v, dense, keepdim)
    left = [d for d in range(k) if d not in dims]
    size = [1 if d in dims else n for d, n in enumerate(x.shape) if keepdim or d not in dims]
    if not left and not keepdim:
        return ops.sum(v, 0)
    places = x.pattern.places[left]
    if len(left) == k:
        return build(coo_pattern(places, size, x.pattern.coalesced), v)
    joined = in_order(
        build(coo_pattern(places, [x.shape[d] for d in left] + size[len(size) - v.ndim + 1 :], False), v)
    )
    if not keepdim:
        return joined
    full = np.zeros((k, joined.pattern.places.shape[1]), np.int64)
    full[left] = joined.pattern.places
    return build(coo_pattern(full, size, False), values_of(joined))


def _total(x: Any, dtype: Any) -> Tensor:
    with no_grad():
        return ops.sum(x.numbers, dtype=dtype) if dtype is not None else ops.sum(x.numbers)


@implements("sum")
def _sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None) -> Any:
    dim = axis if dim is None else dim
    if dim is None or (isinstance(dim, (list, tuple)) and not dim and not keepdim):
        shape, kind = tuple(input.shape), input.dtype
        return recorded(
            "SumBackward0", _total(input, dtype), (input, lambda g: ops.to(ops.expand(g, shape), kind))
        )
    dims = _wrapped(input, dim)
    x = input if dtype is None else ops.to(input, dtype)
    if x.layout is not sparse_coo:
        if not keepdim:
            raise RuntimeError("reduction operations on CSR tensors with keepdim=False is unsupported")
        layout = x.layout

        def composite(t: Any) -> Any:
            return as_layout(_summed(as_layout(t, sparse_coo), dims, True), layout)

        return linear("SumBackward1", x, composite, lambda t: ops.sum(t, dims, True))
    if x.dtype.kind in "bui":
        x = ops.to(x, int64)
    if keepdim and len(dims) == x.ndim:
        return ops.reshape(ops.sum(x), (1,) * x.ndim)
    return linear("SumBackward1", x, lambda t: _summed(t, dims, keepdim), lambda t: ops.sum(t, dims, keepdim))


@function(name="_sparse_sum", places="t", aliases=("sparse.sum",))
def sparse_sum(input: Tensor, dim: Dims = None, dtype: Any = None) -> Tensor:
    """The sum of a COO tensor over dims, sparse; over all of them a dense number.

    Other than with `torch.sum` the gradient is sparse: it is where the tensor stores elements.

    >>> import pullback as torch
    >>> torch.sparse.sum(torch.eye(2).to_sparse(), 0).values()
    tensor([1., 1.])
    """
    x: Any = input if dtype is None else ops.to(input, dtype)
    if not is_sparse(x) or x.layout is not sparse_coo:
        raise refuse_layout("coalesce", "sparse coordinate tensor", x)
    pattern = x.pattern
    if dim is None:
        return recorded(
            "SumBackward0",
            _total(x, None),
            (x, lambda g: build(pattern, ops.expand(g, pattern.values_shape))),
        )
    dims = _wrapped(x, dim)
    composite = linear("SparseSumBackward0", x, lambda t: _summed(t, dims, False), lambda t: ops.sum(t, dims))
    if not is_sparse(composite):  # the gradient is sparse although that of a dense result is not
        with no_grad():
            value = _summed(x, dims, False)
        return recorded(
            "SparseSumBackward0",
            value,
            (x, lambda g: masked(ops.expand(_unsummed(g, x.ndim, dims), tuple(pattern.size)), pattern)),
        )
    return composite


def _unsummed(g: Tensor, ndim: int, dims: list[int]) -> Tensor:
    for d in dims:
        g = ops.unsqueeze(g, d)
    return g


implements("_sparse_sum")(sparse_sum.__wrapped__)


@implements("sum_to_size")
def _sum_to_size(input: Any, *size: Any) -> Any:
    shape = tuple(size[0]) if len(size) == 1 and not isinstance(size[0], int) else tuple(size)
    if tuple(input.shape) == shape:
        return input if shape else ops.sum(input)
    if len(shape) == input.ndim and all(m in (1, n) for n, m in zip(input.shape, shape, strict=True)):
        return ops.sum(input, [d for d, n in enumerate(shape) if n != input.shape[d]], True)
    return ops.sum_to_size(unmasked(input), shape)


def _tested(input: Any) -> Any:
    """Whether elements are not zero, each: what a test over no dim is."""
    return build(input.pattern, input.numbers != 0)


@implements("all")
def _all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    if dim == ():
        return _tested(input)
    raise unsupported("all", input)


@implements("any")
def _any(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    if dim == () and input.layout is sparse_coo:
        return _tested(input)
    if dim is not None or input.layout is not sparse_coo:
        raise unsupported("any", input)
    return ops.any(input.numbers)


@implements("norm native_norm")
def _norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    if input.layout is not sparse_coo:
        raise unsupported("norm.out", input)
    if dim is not None and len(_wrapped(input, dim)) not in (0, input.ndim):
        raise RuntimeError(
            "norm_sparse currently only supports full reductions, so 'dim' must either be empty or contain "
            "all dimensions of the input"
        )
    order = 2 if p in ("fro", None) else p
    v = values_of(in_order(input))
    found = ops.norm(ops.reshape(v, (-1,)), order, dtype=dtype)
    return ops.reshape(found, (1,) * input.ndim) if keepdim else found


@implements("dist")
def _dist(input: Any, other: Any, p: Any = 2) -> Tensor:
    return ops.norm(input - other, p)


# -------------------------------------------------------------------------------- softmax


def _softmax(name: str, x: Any, dim: int, dtype: Any) -> Any:
    """Softmax, or its logarithm, of the elements that are stored; the others count as minus infinity."""
    if x.layout is not sparse_coo:
        raise unsupported(f"_sparse_{name}", x)
    at = wrap_dim(dim, x.ndim)
    x = in_order(x if dtype is None else ops.to(x, dtype))
    pattern, v = x.pattern, values_of(x)
    label = "SparseSoftmaxBackward0" if name == "softmax" else "SparseLogSoftmaxBackward0"
    k = pattern.sparse_dim
    if at >= k:
        return build(pattern, getattr(ops, name)(v, at - k + 1), label)
    if not pattern.nnz:
        return x
    others = [d for d in range(k) if d != at]
    flat = flat_places(pattern.places[others], tuple(x.shape[d] for d in others)) if others else None
    group = np.zeros(pattern.nnz, np.int64) if flat is None else np.unique(flat, return_inverse=True)[1]
    count, index = int(group.max()) + 1, from_array(group.reshape(-1))
    shape = (count, *v.shape[1:])
    largest = np.full(shape, -np.inf, v._layout.dtype)
    np.maximum.at(largest, group.reshape(-1), v.detach()._array)
    shifted = v - ops.index_select(from_array(largest), 0, index)
    e = ops.exp(shifted)
    total = ops.index_add(ops.zeros(shape, dtype=v.dtype), 0, index, e)
    if name == "softmax":
        return build(pattern, e / ops.index_select(total, 0, index), label)
    return build(pattern, shifted - ops.index_select(ops.log(total), 0, index), label)


@function(name="_sparse_softmax", places="t", aliases=("sparse.softmax",))
def sparse_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """Softmax along a dim of a COO tensor: elements that are not stored count as minus infinity.

    >>> import pullback as torch
    >>> torch.sparse.softmax(torch.eye(2).to_sparse(), 1).values()
    tensor([1., 1.])
    """
    if not is_sparse(input):
        raise NotImplementedError(
            "Could not run 'aten::_sparse_softmax' with arguments from the 'CPU' backend."
        )
    return _softmax("softmax", input, dim, dtype)


@function(name="_sparse_log_softmax", places="t", aliases=("sparse.log_softmax",))
def sparse_log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """The logarithm of `torch.sparse.softmax`."""
    if not is_sparse(input):
        raise NotImplementedError(
            "Could not run 'aten::_sparse_log_softmax' with arguments from the 'CPU' backend."
        )
    return _softmax("log_softmax", input, dim, dtype)


implements("_sparse_softmax")(sparse_softmax.__wrapped__)
implements("_sparse_log_softmax")(sparse_log_softmax.__wrapped__)
