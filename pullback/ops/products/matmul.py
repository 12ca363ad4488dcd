"""Products of matrices and vectors: two factors. Sums of a product and more are in addmm.py.

`matrix_product` multiplies arrays: NumPy's loop, and so BLAS, for two matrices, half precisions in
float32. `mm` is the plain product; `matmul` chooses by the dims. A stack of matrices times one
matrix is one large product (`folded`), two stacks are multiplied matrix by matrix (`stacked`). The
gradient of a product is a product with the adjoint (conjugate transpose) of the other factor.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _loops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.meta import MetaArray, meta_array
from pullback.core.op import function, op
from pullback.core.strides import Array
from pullback.kernels.random.fills import C_NAMES
from pullback.ops.shared.forms import check_tensors

# --------------------------------------------------------------------------------------- kernels


def matrix_product(a: Array, b: Array) -> Array:
    """The product of arrays of one dtype, broadcast over the leading dims; half precisions in
    float32.
    """
    if type(a) is MetaArray:
        return _product_shape(a, b)
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":
        wide = _loops.matmul(a.astype(np.float32), b.astype(np.float32))
        return wide.astype(a.dtype)
    if a.ndim > 2 and b.ndim > 2:
        return _stacked_product(a, b)
    return _loops.matmul(a, b)


def _stacked_product(a: Array, b: Array) -> Array:
    """Products of stacks of matrices. Those of thin ones, and of one matrix shown many times, as an
    expanded weight is, cost BLAS a call each: they are one product here."""
    if a.shape[-1] == 1 and a.dtype.kind != "b":
        found = _loops.outer_products(a, b)
        return np.multiply(a, b) if found is None else found
    if a.ndim == b.ndim == 3 and len(a) == len(b) > 1 and a.size and b.size:
        if b.strides[0] == 0:
            tall = _loops.matmul(a.reshape(-1, a.shape[2]), b[0])
            return tall.reshape(len(a), a.shape[1], b.shape[2])
        if a.strides[0] == 0 and b.shape[2] == 1:
            return _loops.matmul(b.reshape(len(b), -1), a[0].T).reshape(len(b), a.shape[1], 1)
    return _loops.matmul(a, b)


def _product_shape(a: Array, b: Array) -> Array:
    """An array without numbers in the shape of the product."""
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return meta_array((*batch, *rows, *columns), a.dtype).view(MetaArray)


def find_shapes(*records: Any) -> None:
    """Lets ops on meta tensors run their kernels, with products that are not computed."""

    def windows(args: tuple[Any, ...]) -> list[Any]:
        return [x.view(MetaArray) if isinstance(x, np.ndarray) else x for x in args]

    for record in records:
        record.meta(lambda *args, kernel=record.kernel: np.asarray(kernel(*windows(args))))


def check_numbers(a: Array, kernel: str) -> None:
    if a.dtype.kind == "b":
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def type_name(a: Array) -> str:
    return from_numpy_dtype(a.dtype).type_name


def _c_name(a: Array) -> str:
    name = from_numpy_dtype(a.dtype).name
    return "long int" if name == "int64" else C_NAMES[name]


def _check_matrices(a: Array, b: Array) -> None:
    """Two matrices that can be multiplied; RuntimeError in PyTorch's words if not."""
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_sizes(a, b)
    check_numbers(a, "addmm_impl_cpu_")


def _check_sizes(a: Array, b: Array) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {_c_name(a)} != {_c_name(b)}"
        )


# --------------------------------------------------------------------------------- two factors


@op(multilinear=True, moves=True)
def mm(self: Tensor, mat2: Tensor):
    """The product of two matrices, (n, k) and (k, m). RuntimeError for other shapes, or two dtypes.

    The gradients are `g @ mat2.mH` and `self.mH @ g`.

    >>> import pullback as torch
    >>> torch.mm(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    found = _loops.matrix_product(self, mat2)
    if found is None:
        _check_matrices(self, mat2)
        found = matrix_product(self, mat2)
    return found


mm.vjp(
    self=lambda g, mat2: mm(g, adjoint(mat2)),
    mat2=lambda g, self: mm(adjoint(self), g),
)


def check_batches(batch1: Array, batch2: Array, kernel: str = "bmm") -> None:
    for name, a in (("batch1", batch1), ("batch2", batch2)):
        if a.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    wanted = [batch1.shape[0], batch1.shape[2]]
    if list(batch2.shape[:2]) != wanted:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: "
            f"{list(batch2.shape[:2])}."
        )
    if batch1.dtype != batch2.dtype:
        raise RuntimeError(f"expected scalar type {type_name(batch1)} but found {type_name(batch2)}")
    check_numbers(batch1, kernel)


@op(multilinear=True, moves=True)
def bmm(self: Tensor, mat2: Tensor):
    """The products of two stacks of matrices, (b, n, k) and (b, k, m), one by one.

    RuntimeError for other shapes, or two dtypes. The gradients are `g @ mat2.mH` and `self.mH @ g`.

    >>> import pullback as torch
    >>> torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    check_batches(self, mat2)
    return matrix_product(self, mat2)


bmm.vjp(
    self=lambda g, mat2: bmm(g, adjoint(mat2)),
    mat2=lambda g, self: bmm(adjoint(self), g),
)


@op(multilinear=True, moves=True)
def mv(self: Tensor, vec: Tensor):
    """The product of a matrix (n, k) and a vector (k,). RuntimeError for other shapes, or two
    dtypes.

    >>> import pullback as torch
    >>> torch.mv(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    check_matrix_vector(self, vec, self.shape[0] if self.ndim else 0, 1)
    _check_dtypes(self, vec)
    return matrix_product(self, vec)


def check_matrix_vector(mat: Array, vec: Array, rows: int, ndim: int) -> None:
    if mat.ndim != 2 or vec.ndim != 1 or ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0] or rows not in (1, mat.shape[0]):
        raise RuntimeError(
            f"size mismatch, got input ({rows}), mat ({mat.shape[0]}x{mat.shape[1]}), vec ({vec.shape[0]})"
        )
    check_numbers(mat, "addmv_impl_cpu")


def _check_dtypes(mat: Array, vec: Array) -> None:
    if mat.dtype != vec.dtype:
        kinds = f"{type_name(vec)}, {type_name(mat)}, and {type_name(vec)}"
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {kinds}")


mv.vjp(
    self=lambda g, vec: ops.unsqueeze(g, 1) * conj(vec),
    vec=lambda g, self: mv(adjoint(self), g),
)


def _check_vectors(name: str, a: Array, b: Array) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {type_name(a)} and {type_name(b)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to "
            "have the "
            f"same number of elements, but got {a.shape[0]} and {b.shape[0]} elements respectively"
        )
    check_numbers(a, name)


@op(multilinear=True, moves=True)
def dot(self: Tensor, tensor: Tensor):
    """The sum of the products of two vectors' elements. RuntimeError for two sizes or dtypes.

    >>> import pullback as torch
    >>> torch.dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_vectors("dot", self, tensor)
    return np.asarray(matrix_product(self, tensor))


dot.vjp(self=lambda g, tensor: g * conj(tensor), tensor=lambda g, self: g * conj(self))


@op(moves=True)
def vdot(self: Tensor, other: Tensor):
    """`dot` with the first vector conjugated. RuntimeError for two sizes or dtypes.

    >>> import pullback as torch
    >>> torch.vdot(torch.tensor([1j]), torch.tensor([1j]))
    tensor(1.+0.j)
    """
    _check_vectors("vdot" if self.dtype.kind == "c" else "dot", self, other)
    return np.asarray(matrix_product(np.conjugate(self) if self.dtype.kind == "c" else self, other))


vdot.vjp(self=lambda g, other: conj(g) * other, other=lambda g, self: g * self)


# -------------------------------------------------------------------------------------- matmul


def _check_stacks(a: Array, b: Array) -> None:
    if a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2] and a.dtype == b.dtype:
        return check_numbers(a, "bmm")
    n = len(a.shape[:-2])
    for i in range(1, 1 + min(n, len(b.shape[:-2]))):
        x, y = a.shape[-2 - i], b.shape[-2 - i]
        if x != y and 1 not in (x, y):
            dim = max(a.ndim, b.ndim) - 2 - i
            raise RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at "
                "non-singleton "
                f"dimension {dim}"
            )
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        count = math.prod(batch)
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {a.shape[-1]}] but got: [{count}, {b.shape[-2]}]."
        )
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {type_name(a)} but found {type_name(b)}")
    check_numbers(a, "bmm")


@op(name="matmul", places="", multilinear=True, moves=True, grad_name="UnsafeViewBackward0")
def stacked(self: Tensor, other: Tensor):
    """The products of two stacks of matrices, their leading dims broadcast."""
    _check_stacks(self, other)
    return matrix_product(self, other)


stacked.vjp(
    self=lambda g, other: stacked(g, adjoint(other)),
    other=lambda g, self: stacked(adjoint(self), g),
)


def _rows(a: Any) -> Any:
    """A stack of matrices, an array or a tensor, as one tall matrix."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _columns(a: Tensor) -> Tensor:
    """A stack of matrices side by side, each transposed: the rows are the last dim."""
    return _rows(ops.transpose(a, -2, -1))


def _product(name: str, grad_name: str = "UnsafeViewBackward0") -> Any:
    """Declares one of the products that `matmul` chooses from."""
    return op(
        name=name,
        places="",
        public_name="matmul",
        multilinear=True,
        moves=True,
        grad_name=grad_name,
    )


@_product("matmul_folded")
def folded(self: Tensor, other: Tensor):
    """A stack of matrices times one matrix, as one product."""
    tall = _rows(self)
    _check_sizes(tall, other)
    check_numbers(tall, "addmm_impl_cpu_")
    return matrix_product(tall, other).reshape((*self.shape[:-1], other.shape[1]))


folded.vjp(
    self=lambda g, other: folded(g, adjoint(other)),
    other=lambda g, self: mm(adjoint(_rows(self)), _rows(g)),
)


def _declare_spread(name: str, grad_name: str) -> Any:
    @_product(name, grad_name)
    def spread(self: Tensor, other: Tensor):
        """One matrix times each of a stack."""
        _check_sizes_of_stack(other, self)
        return matrix_product(self, other)

    return spread.vjp(
        self=lambda g, other: mm(ops.transpose(_columns(g), 0, 1), conj(_columns(other))),
        other=lambda g, self: _spread(adjoint(self), g),
    )


_spread = _declare_spread("matmul_spread", "CloneBackward0")
_constant_spread = _declare_spread("matmul_constant_spread", "UnsafeViewBackward0")


def _check_sizes_of_stack(stack: Array, factor: Array) -> None:
    tall = math.prod(stack.shape[:-2]) * stack.shape[-1]
    if factor.shape[1] != stack.shape[-2]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({tall}x{stack.shape[-2]} and "
            f"{factor.shape[1]}x{factor.shape[0]})"
        )
    if stack.dtype != factor.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {_c_name(stack)} != {_c_name(factor)}"
        )
    check_numbers(stack, "addmm_impl_cpu_")


@_product("matmul_row", "SqueezeBackward4")
def _row_times(self: Tensor, other: Tensor):
    """A vector times a matrix."""
    _check_sizes(self[None], other)
    check_numbers(self, "addmm_impl_cpu_")
    return matrix_product(self, other)


_row_times.vjp(
    self=lambda g, other: mv(conj(other), g),
    other=lambda g, self: ops.unsqueeze(conj(self), 1) * g,
)


@_product("matmul_columns")
def _times_vector(self: Tensor, other: Tensor):
    """A stack of matrices times a vector."""
    tall = _rows(self)
    check_matrix_vector(tall, other, tall.shape[0], 1)
    _check_dtypes(self, other)
    return matrix_product(tall, other).reshape(self.shape[:-1])


_times_vector.vjp(
    self=lambda g, other: ops.unsqueeze(g, -1) * conj(other),
    other=lambda g, self: mv(adjoint(_rows(self)), ops.reshape(g, (-1,))),
)


@_product("matmul_rows")
def _vector_times(self: Tensor, other: Tensor):
    """A vector times each of a stack of matrices."""
    tall = math.prod(other.shape[:-2]) * other.shape[-1]
    check_matrix_vector(np.empty((tall, other.shape[-2]), other.dtype), self, tall, 1)
    _check_dtypes(self, other)
    return matrix_product(self, other)


_vector_times.vjp(
    self=lambda g, other: mv(adjoint(_columns(other)), ops.reshape(g, (-1,))),
    other=lambda g, self: ops.unsqueeze(conj(self), 1) * ops.unsqueeze(g, -2),
)


@function(aliases=("linalg.matmul",))
def matmul(input: Tensor, other: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of vectors, matrices or stacks of matrices, the leading dims broadcast.

    Two vectors give a number; a vector on the left counts as a row, on the right as a column, and
    that dim is dropped again. RuntimeError for shapes that do not fit and for two dtypes.

    >>> import pullback as torch
    >>> torch.matmul(torch.ones(5, 2, 3), torch.ones(3, 4)).shape
    torch.Size([5, 2, 4])
    """
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        check_tensors("matmul", input=input, other=other)
    left, right = input.ndim, other.ndim
    if left == 2 and right == 2:
        return mm(input, other, out=out)
    if left == 0 or right == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {left}D and {right}D"
        )
    product = _PRODUCTS[min(left, 3), min(right, 3)]
    if product is _spread and other.requires_grad and not input.requires_grad:
        product = _constant_spread
    return product(input, other, out=out)


_PRODUCTS = {
    (1, 1): dot,
    (1, 2): _row_times,
    (1, 3): _vector_times,
    (2, 1): mv,
    (2, 3): _spread,
    (3, 1): _times_vector,
    (3, 2): folded,
    (3, 3): stacked,
}
"""What multiplies tensors of these dims; 3 stands for three or more."""


find_shapes(mm, bmm, mv, dot, vdot, _constant_spread, *(x for x in _PRODUCTS.values() if x not in (dot, mv)))
