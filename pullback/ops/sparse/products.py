"""Products of sparse matrices with dense ones, and with each other.

Two ops of dense tensors are under them, and each is in the derivative of the other: `sparse_product`, the sum
of rows of a matrix, weighted, at rows of the result; and `sampled_product`, the elements of a product of
matrices at some places. SciPy does the first, and products of two sparse matrices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj, from_array
from pullback.core.dtypes import sparse_coo, sparse_csr
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.types import Array, Number
from pullback.ops.networks.embedding import places_of_all
from pullback.ops.shared.batches import folded, unfolded
from pullback.ops.sparse.convert import masked, unmasked
from pullback.ops.sparse.patterns import SHOWN, Pattern, compressed, coo_pattern
from pullback.ops.sparse.tensors import (
    Kept,
    aside,
    build,
    elements,
    implements,
    is_sparse,
    make,
    recorded,
    sparse,
    unsupported,
    values_of,
)

FEW = 2048  # products of numbers that are summed up without SciPy, whose matrices take long to make
BLOCK = 1 << 20  # numbers of both factors that a step of a sampled product takes


@op(places="", multilinear=True)
def sparse_product(values: Array, dense: Array, rows: Array, columns: Array, count: int) -> Array:
    """`out[rows[i]] += values[i] * dense[columns[i]]`: the product of a sparse matrix of `count` rows."""
    if values.dtype.kind == "b":
        return sparse_product.kernel(values.astype(np.int64), dense, rows, columns, count).astype(bool)
    if values.size * dense.shape[1] <= FEW:
        out = np.zeros((count, dense.shape[1]), np.result_type(values, dense))
        np.add.at(out, rows, values[:, None] * dense[columns])
        return out
    return np.ascontiguousarray(_matrix(values, rows, columns, (count, dense.shape[0])) @ dense)


def _matrix(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Any:
    """SciPy's matrix of elements: compressed along the coordinate that is sorted, if one is."""
    from scipy.sparse import csc_matrix, csr_matrix

    if _rises(rows):
        return csr_matrix((values, columns, compressed(rows, shape[0])), shape)
    if _rises(columns):
        return csc_matrix((values, rows, compressed(columns, shape[1])), shape)
    return csr_matrix((values, (rows, columns)), shape)


def _rises(a: Array) -> bool:
    return bool((a[1:] >= a[:-1]).all())


@op(places="", multilinear=True)
def sampled_product(left: Array, right: Array, rows: Array, columns: Array) -> Array:
    """`left[rows[i]] . right[columns[i]]`: elements of the product of `left` and the transpose of `right`."""
    out = np.empty(rows.shape, np.result_type(left, right))
    step = max(BLOCK // max(left.shape[1], 1), 1)
    for begin in range(0, len(rows), step):
        part = slice(begin, begin + step)
        np.einsum("ij,ij->i", left[rows[part]], right[columns[part]], out=out[part])
    return out


sparse_product.vjp(
    values=lambda g, dense, rows, columns: sampled_product(g, conj(dense), rows, columns),
    dense=lambda g, values, rows, columns, dense_shape: sparse_product(
        conj(values), g, columns, rows, dense_shape[0]
    ),
)
sampled_product.vjp(
    left=lambda g, right, rows, columns, left_shape: sparse_product(
        g, conj(right), rows, columns, left_shape[0]
    ),
    right=lambda g, left, rows, columns, right_shape: sparse_product(
        g, conj(left), columns, rows, right_shape[0]
    ),
)


@sparse_product.meta
def _sparse_product_meta(values: Array, dense: Array, rows: Array, columns: Array, count: int) -> Array:
    return meta_array((count, *dense.shape[1:]), np.result_type(values, dense))


@sampled_product.meta
def _sampled_product_meta(left: Array, right: Array, rows: Array, columns: Array) -> Array:
    return meta_array(rows.shape, np.result_type(left, right))


@sparse_product.batch
def _sparse_product_batch(
    level: Any, op: Op, values: Any, dense: Any, rows: Any, columns: Any, count: int
) -> Any:
    """One product with the matrices of all samples along the diagonal."""
    places = _of_all(level, rows, count), _of_all(level, columns, dense.shape[0])
    flat = ops.reshape(level.front(values), (-1,))
    return unfolded(level, op(flat, folded(level, dense), *places, count * level.size))


@sampled_product.batch
def _sampled_product_batch(level: Any, op: Op, left: Any, right: Any, rows: Any, columns: Any) -> Any:
    places = _of_all(level, rows, left.shape[0]), _of_all(level, columns, right.shape[0])
    return unfolded(level, op(folded(level, left), folded(level, right), *places))


def _of_all(level: Any, places: Any, rows: int) -> Tensor:
    return ops.reshape(places_of_all(level, places, rows), (-1,))


# ----------------------------------------------------------------- the factors, as they come


class _Factor:
    """A sparse matrix, or a batch of them one below the other: rows, columns and values of its elements."""

    def __init__(self, x: Any) -> None:
        *batch, rows, columns = x.pattern.places
        self.batch = tuple(x.shape[:-2])
        height, width = x.shape[-2:]
        self.samples = math.prod(self.batch)
        if batch:
            number = np.ravel_multi_index(tuple(batch), self.batch)
            rows, columns = rows + number * height, columns + number * width
        self.rows, self.columns = from_array(rows), from_array(columns)
        self.height, self.width = self.samples * height, self.samples * width
        self.values = elements(x.pattern, values_of(x))

    def times(self, dense: Tensor) -> Tensor:
        """Its product with a dense matrix."""
        return sparse_product(self.values, dense, self.rows, self.columns, self.height)

    def transposed_times(self, dense: Tensor) -> Tensor:
        """The product of its transpose with a dense matrix."""
        return sparse_product(self.values, dense, self.columns, self.rows, self.width)


def _of_sparse(a: Any, b: Any) -> Any:
    """The product of two sparse matrices, without history: COO if both are, else CSR."""

    def as_scipy(x: Any) -> Any:
        v = x.numbers
        if v.dtype.itemsize == 2 and v.dtype.is_floating_point:
            v = v.float()
        rows, columns = x.pattern.places
        return _matrix(elements(x.pattern, v)._array, rows, columns, tuple(x.shape)).tocsr()

    left, right = as_scipy(a), as_scipy(b)
    found = left @ right
    found.sort_indices()
    if not (left.data.all() and right.data.all()):  # SciPy drops what comes out as zero
        found = _with_zeros(found, left, right)
    kind = ops.promote_types(a.dtype, b.dtype)
    v = ops.to(from_array(np.ascontiguousarray(found.data)), kind)
    rows = np.repeat(np.arange(a.shape[0]), np.diff(found.indptr))
    if a.layout is sparse_coo and b.layout is sparse_coo:
        places = np.stack([rows, found.indices.astype(np.int64)])
        return make(coo_pattern(places, (a.shape[0], b.shape[1])), v)
    index = from_array(compressed(rows, a.shape[0])), from_array(found.indices.astype(np.int64))
    return make(Pattern(sparse_csr, index, (a.shape[0], b.shape[1])), v)


def _with_zeros(found: Any, left: Any, right: Any) -> Any:
    """A product of SciPy's matrices with all elements that stored ones contribute to."""
    for matrix in (left, right):
        matrix.data = np.ones(len(matrix.data))
    full = left @ right
    full.sort_indices()
    data = np.zeros(full.nnz, found.dtype)
    numbers = [
        np.repeat(np.arange(m.shape[0]), np.diff(m.indptr)) * m.shape[1] + m.indices for m in (full, found)
    ]
    data[np.searchsorted(*numbers)] = found.data
    full.data = data
    return full


def _check(name: str, a: Any, b: Any) -> None:
    for place, x in (("mat1", a), ("mat2", b)):
        if x.ndim != 2:
            raise RuntimeError(f"{name}: {place} must be a matrix, got {x.ndim}-D tensor")
    if a.shape[1] != b.shape[0]:
        one, other = (a, b) if is_sparse(a) else (b, a)
        if is_sparse(a) != is_sparse(b) and one.layout is sparse_coo:
            wanted, got = (a.shape[1], b.shape[0]) if one is a else (b.shape[0], a.shape[1])
            raise RuntimeError(f"addmm: Argument #3 (dense): Expected dim 0 size {wanted}, got {got}")
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )
    if a.dtype is not b.dtype:
        if is_sparse(a) and is_sparse(b):
            kinds = a.dtype.type_name, b.dtype.type_name
            raise RuntimeError("mat1 dtype {} does not match mat2 dtype {}".format(*kinds))
        one, other = (a, b) if is_sparse(a) else (b, a)
        raise RuntimeError(f"expected scalar type {one.dtype.type_name} but found {other.dtype.type_name}")


def adjoint(x: Any) -> Any:
    return ops.conj(ops.transpose(x, -2, -1))


def _multiplied(a: Any, b: Any) -> Any:
    """The product of two matrices, one of them sparse at least, without history."""
    with aside(a, b):
        if is_sparse(a) and is_sparse(b):
            return _of_sparse(a, b)
        if is_sparse(a):
            return _Factor(a).times(b)
        return ops.transpose(_Factor(b).transposed_times(ops.transpose(a, 0, 1)), 0, 1).contiguous()


@implements("mm")
def _mm(input: Any, mat2: Any) -> Any:
    _check("mm", input, mat2)
    for_a, for_b = _rules(input, mat2)
    return recorded("MmBackward0", _multiplied(input, mat2), (input, for_a), (mat2, for_b))


@implements("mv")
def _mv(input: Any, vec: Any) -> Any:
    if is_sparse(vec):
        if is_sparse(input):
            raise unsupported("as_strided", vec)
        return ops.mv(input, unmasked(vec))
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    if input.shape[1] != vec.shape[0]:
        raise RuntimeError("mv: expected self.size(-1) == vec.size(-1)")
    for_mat, for_vec = _rules_of_mv(input, vec)
    with aside(input, vec):
        result = ops.squeeze(_Factor(input).times(ops.unsqueeze(vec, 1)), 1)
    return recorded("MvBackward0", result, (input, for_mat), (vec, for_vec))


@implements("bmm")
def _bmm(input: Any, mat2: Any) -> Any:
    if is_sparse(mat2):
        raise RuntimeError("bmm_sparse: Tensor 'mat2' must be dense")
    if input.ndim != 3 or mat2.ndim != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    b, m, n = input.shape
    if mat2.shape[0] != b or mat2.shape[1] != n:
        raise RuntimeError(
            f"bmm_sparse: Expected size for first two dimensions of batch2 tensor to be: [{b}, {n}] but got: "
            f"[{mat2.shape[0]}, {mat2.shape[1]}]."
        )
    kept_a, kept_b = Kept(input), Kept(mat2)
    with aside(input, mat2):
        flat = _Factor(input).times(ops.reshape(mat2, (b * n, mat2.shape[2])))
        result = ops.reshape(flat, (b, m, mat2.shape[2]))
    return recorded(
        "BmmBackward0",
        result,
        (input, lambda g: ops.bmm(g, adjoint(kept_b()))),
        (mat2, lambda g: ops.bmm(adjoint(kept_a()), g)),
    )


@implements("matmul")
def _matmul(input: Any, other: Any) -> Any:
    a, b = input, other
    if a.ndim == 2 and b.ndim == 2:
        return ops.mm(a, b)
    if a.ndim == 2 and b.ndim == 1:
        return ops.mv(a, b)
    if a.ndim == 1 and b.ndim == 2:
        if is_sparse(a):
            return ops.mv(ops.t(b), unmasked(a))
        return ops.mv(ops.t(b), a)
    if a.ndim == 3 and b.ndim == 3:
        return ops.bmm(a, b)
    if not is_sparse(a) and a.ndim > 2 and b.ndim in (1, 2):
        rows = ops.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))
        if b.ndim == 1:
            return ops.reshape(ops.mv(rows, unmasked(b)), tuple(a.shape[:-1]))
        return ops.reshape(ops.mm(rows, b), (*a.shape[:-1], b.shape[1]))
    raise unsupported("matmul", a, b)


Rules = tuple[Callable[[Any], Any], Callable[[Any], Any]]


def _rules(a: Any, b: Any) -> Rules:
    """The gradients of the factors of a matrix product: whole matrices."""
    kept_a, kept_b = Kept(a), Kept(b)
    return lambda g: ops.mm(g, adjoint(kept_b())), lambda g: ops.mm(adjoint(kept_a()), g)


def _added(label: str, product: Any, rules: Rules, input: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
    """`beta * input + alpha * (a @ b)`, for which `product` is of two factors without history."""
    shape = tuple(input.shape)
    with aside(input, a, b):
        result = product(a, b)
        if not is_sparse(input):
            result = unmasked(result)
        result = result * alpha if alpha != 1 else result
        if beta != 0 or is_sparse(input):
            start = input * beta if beta != 1 else input
            result = start + result

    def for_input(g: Any) -> Any:
        return ops.sum_to_size(g * beta, shape)

    for_a, for_b = rules
    return recorded(
        label,
        result,
        (input, for_input),
        (a, lambda g: for_a(g * alpha if alpha != 1 else g)),
        (b, lambda g: for_b(g * alpha if alpha != 1 else g)),
    )


@implements("addmm")
def _addmm(input: Any, mat1: Any, mat2: Any, beta: Number = 1, alpha: Number = 1) -> Any:
    if not is_sparse(mat1) and not is_sparse(mat2):
        raise RuntimeError("addmm: expected 'mat1' or 'mat2' to be sparse where 'input' is sparse")
    if is_sparse(input) and not (is_sparse(mat1) and is_sparse(mat2)):
        a, b = (SHOWN[x.layout] for x in (mat1, mat2))
        raise RuntimeError(
            f"addmm: computation on CPU is not implemented for {SHOWN[input.layout]} + {a} @ {b}"
        )
    _check("addmm", mat1, mat2)
    return _added("AddmmBackward0", _multiplied, _rules(mat1, mat2), input, mat1, mat2, beta, alpha)


@implements("addmv")
def _addmv(input: Any, mat: Any, vec: Any, beta: Number = 1, alpha: Number = 1) -> Any:
    rules = _rules_of_mv(mat, vec)
    return _added("AddmvBackward0", ops.mv, rules, input, mat, vec, beta, alpha)


def _rules_of_mv(mat: Any, vec: Any) -> Rules:
    kept_m, kept_v = Kept(mat), Kept(vec)
    return lambda g: ops.outer(g, ops.conj(kept_v())), lambda g: ops.mv(adjoint(kept_m()), g)


@implements("addr")
def _addr(input: Any, vec1: Any, vec2: Any, beta: Number = 1, alpha: Number = 1) -> Any:
    kept_a, kept_b = Kept(vec1), Kept(vec2)
    rules = (
        lambda g: ops.mv(g, ops.conj(unmasked(kept_b()))),
        lambda g: ops.mv(ops.transpose(g, 0, 1), ops.conj(unmasked(kept_a()))),
    )
    return _added("AddrBackward0", ops.outer, rules, input, vec1, vec2, beta, alpha)


@implements("outer ger")
def _outer(input: Any, vec2: Any) -> Any:
    if is_sparse(input):
        raise RuntimeError("reshape is not implemented for sparse tensors")
    return ops.unsqueeze(input, 1) * vec2


@implements("vecdot linalg_vecdot")
def _vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    return ops.sum(ops.conj(x) * y, dim)


@implements("linear")
def _linear(input: Any, weight: Any, bias: Any = None) -> Any:
    found = ops.matmul(input, ops.t(weight))
    return found if bias is None else found + bias


@implements("inner")
def _inner(input: Any, other: Any) -> Any:
    return input * other if input.ndim == 0 or other.ndim == 0 else ops.sum(input * other)


@implements("matrix_power")
def _matrix_power(input: Any, n: int) -> Any:
    if n < 1:
        raise unsupported("eye", input)
    found = input
    for _ in range(n - 1):
        found = ops.mm(found, input)
    return found


@implements("chain_matmul")
def _chain(*matrices: Any) -> Any:
    found = matrices[0]
    for x in matrices[1:]:
        found = ops.mm(found, x)
    return found


@implements("linalg_multi_dot multi_dot")
def _multi_dot(tensors: Any) -> Any:
    found = tensors[0]
    for x in tensors[1:]:
        found = ops.matmul(found, x)
    return found


# ------------------------------------------------------------------ torch.sparse's own products


def _masked_rules(a: Any, b: Any) -> Rules:
    """The gradients of the factors of a matrix product, those of sparse ones with their patterns."""
    kept_a, kept_b = Kept(a), Kept(b)

    def for_a(g: Any) -> Any:
        if is_sparse(a) and not is_sparse(b):
            return at_places(a.pattern, g, ops.conj(kept_b()))
        found = ops.mm(g, adjoint(kept_b()))
        return masked(found, a.pattern) if is_sparse(a) else found

    def for_b(g: Any) -> Any:
        if is_sparse(b) and not is_sparse(a):
            return at_places(b.pattern, ops.transpose(ops.conj(kept_a()), 0, 1), ops.transpose(g, 0, 1))
        found = ops.mm(adjoint(kept_a()), g)
        return masked(found, b.pattern) if is_sparse(b) else found

    return for_a, for_b


def at_places(pattern: Pattern, left: Tensor, right: Tensor) -> Any:
    """The product of `left` and the transpose of `right` at the places of a pattern."""
    rows, columns = (from_array(row) for row in pattern.places)
    found = sampled_product(left, right, rows, columns)
    return build(pattern, ops.reshape(found, pattern.values_shape))


def _sparse_mm(a: Any, b: Any) -> Any:
    """The product whose gradients have the patterns of what is sparse."""
    _check("mm", a, b)
    if not is_sparse(a) and not is_sparse(b):
        return ops.mm(a, b)
    for_a, for_b = _masked_rules(a, b)
    both = is_sparse(a) and is_sparse(b)
    label = "SparseSparseMatmulBackward0" if both else "SparseAddmmBackward0"
    return recorded(label, _multiplied(a, b), (a, for_a), (b, for_b))


def _reduced(a: Any, b: Tensor, reduce: str) -> Tensor:
    """The product with the terms of each element averaged, or the largest or smallest of them."""
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise RuntimeError(f"reduce argument must be either sum, mean, amax or amin, got {reduce}")
    if not is_sparse(a) or a.layout is not sparse_csr:
        raise unsupported("_sparse_mm_reduce_impl", a, b)
    _check("mm", a, b)
    if reduce == "sum":
        return _sparse_mm(a, b)
    factor = _Factor(a)
    counts = np.diff(a.pattern.index[0]._array)
    if reduce == "mean":
        weights = from_array((1 / np.maximum(counts, 1)).astype(b._layout.dtype))
        return factor.times(b) * ops.unsqueeze(weights, 1)
    terms = ops.unsqueeze(factor.values, 1) * ops.index_select(b, 0, factor.columns)
    room = ops.zeros((factor.height, b.shape[1]), dtype=b.dtype)
    index = ops.expand(ops.unsqueeze(factor.rows, 1), terms.shape)
    return ops.scatter_reduce(room, 0, index, terms, reduce, include_self=False)


@function(name="_sparse_mm", places="t", aliases=("sparse.mm",))
def sparse_mm(mat1: Tensor, mat2: Tensor, reduce: str | None = None) -> Tensor:
    """The matrix product of a sparse matrix and a dense one, or of two sparse ones.

    The gradient of a sparse factor is sparse, with its pattern. With `reduce`, for CSR, the terms of each
    element are not summed: "mean", "amax" or "amin".

    >>> import pullback as torch
    >>> torch.sparse.mm(torch.eye(2).to_sparse(), torch.tensor([[1.0], [2.0]]))
    tensor([[1.],
            [2.]])
    """
    return _sparse_mm(mat1, mat2) if reduce is None else _reduced(mat1, mat2, reduce)


@function(name="_sparse_addmm", places="t", aliases=("sparse.addmm",))
def sparse_addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * mat + alpha * torch.sparse.mm(mat1, mat2)`: the gradient of a sparse factor is sparse."""
    _check("addmm", mat1, mat2)
    rules = _masked_rules(mat1, mat2)
    return _added("SparseAddmmBackward0", _multiplied, rules, mat, mat1, mat2, beta, alpha)


@function(places="t", name="_sparse_sparse_matmul")
def sparse_sparse_matmul(self: Tensor, other: Tensor) -> Tensor:
    """`torch.sparse.mm` of two sparse matrices."""
    return _sparse_mm(self, other)


@function(places="", aliases=("sparse.sampled_addmm",))
def sampled_addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1
) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)` at the places that the CSR matrix `input` stores.

    >>> import pullback as torch
    >>> x = torch.eye(2).to_sparse_csr()
    >>> torch.sparse.sampled_addmm(x, torch.ones(2, 3), torch.ones(3, 2)).values()
    tensor([4., 4.])
    """
    if not is_sparse(input) or input.layout is not sparse_csr:
        raise RuntimeError(
            f"sampled_addmm: Expected self to have sparse csr layout, but got {SHOWN[input.layout]}"
        )
    for name, x in (("mat1", mat1), ("mat2", mat2)):
        if is_sparse(x):
            raise RuntimeError(
                f"sampled_addmm: Expected {name} to have strided layout, but got {SHOWN[x.layout]}"
            )
    if mat1.ndim != 2 or mat2.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        raise RuntimeError(
            "sampled_addmm: mat1 and mat2 shapes cannot be multiplied "
            f"({mat1.shape[-2]}x{mat1.shape[-1]} and {mat2.shape[-2]}x{mat2.shape[-1]})"
        )
    rows, columns = (from_array(row) for row in sparse(input).pattern.places)
    found = sampled_product(mat1, ops.transpose(mat2, 0, 1), rows, columns) * alpha
    v = values_of(input)
    return build(sparse(input).pattern, found + v * beta if beta else found, "SparseSampledAddmmBackward0")


@function(places="t", aliases=("torch.hsmm",))
def hspmm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """The product of a sparse and a dense matrix, as a COO tensor with one sparse and one dense dim.

    >>> import pullback as torch
    >>> torch.hspmm(torch.eye(2).to_sparse(), torch.ones(2, 3)).dense_dim()
    1
    """
    if not is_sparse(mat1) or mat1.layout is not sparse_coo:
        raise RuntimeError("hspmm: Argument #1: expected sparse tensor")
    _check("mm", mat1, mat2)
    rows = np.unique(sparse(mat1).pattern.places[0])
    dense = ops.index_select(ops.mm(mat1.detach(), mat2), 0, from_array(rows))
    return build(coo_pattern(rows[None], (mat1.shape[0], mat2.shape[1]), False), dense, "HspmmBackward0")


@function(places="tm")
def smm(input: Tensor, mat: Tensor) -> Tensor:
    """The product of a sparse and a dense matrix as a COO tensor.

    >>> import pullback as torch
    >>> torch.smm(torch.eye(2).to_sparse(), torch.ones(2, 2)).layout
    torch.sparse_coo
    """
    return ops.sspaddmm(ops.to_sparse(ops.zeros(input.shape[0], mat.shape[1], dtype=mat.dtype)), input, mat)


@function(places="tm", aliases=("torch.saddmm",))
def sspaddmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)` of sparse `input` and `mat1`, as a COO tensor."""
    if not is_sparse(mat1):
        raise RuntimeError("sspaddmm: Argument #1: expected sparse tensor")
    _check("sspaddmm", mat1, mat2)
    dense = ops.mm(mat1, mat2) * alpha
    return input * beta + ops.to_sparse(dense)


for _function in (sparse_mm, sparse_addmm, sparse_sparse_matmul, sampled_addmm, hspmm, smm, sspaddmm):
    implements(_function.__name__)(_function.__wrapped__)


@function(places="t", aliases=("torch.dsmm",))
def spmm(input: Tensor, mat2: Tensor) -> Tensor:
    """`torch.mm` of a sparse matrix and a dense one.

    >>> import pullback as torch
    >>> torch.spmm(torch.eye(2).to_sparse(), torch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    return ops.mm(input, mat2)


implements("spmm")(_mm)
