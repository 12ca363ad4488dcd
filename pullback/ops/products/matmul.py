"""Products of matrices and vectors: two factors. Sums of a product and more are in addmm.py.

The plans are those of plans.py: NumPy's loop, and so BLAS, half precisions in float32. `mm` is the plain
product; `matmul` chooses by the dims, see `_CASES`. The gradient of a product is a product with the
adjoint (conjugate transpose) of the other factor. The refusals stand at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pullback import ops
from pullback.core import _loops
from pullback.core._engine import Op, Tensor, adjoint, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import c_name, type_name
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.products.plans import product_plan
from pullback.ops.shared.batches import padded
from pullback.ops.shared.refusals import check_tensors

# --------------------------------------------------------------------------------------- kernels


def matrix_product(a: Array, b: Array) -> Array:
    """The product of arrays of one dtype, broadcast over the leading dims; half precisions in
    float32.
    """
    if a.dtype.itemsize == 2 and a.dtype.kind not in "iu":
        return matrix_product(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
    return _loops.matmul(a, b)


def spec_of(a: Array) -> Spec:
    """What a plan knows of an array."""
    return Spec(from_numpy_dtype(a.dtype), a.shape, a.strides)


# --------------------------------------------------------------------------------- two factors


@op(multilinear=True, moves=True, factors="self mat2")
def mm(self: Array, mat2: Array) -> Array:
    """The product of two matrices, (n, k) and (k, m). RuntimeError for other shapes, or two dtypes.

    The gradients are `g @ mat2.mH` and `self.mH @ g`.

    >>> import pullback as torch
    >>> torch.mm(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    return matrix_product(self, mat2)


@mm.prepare
def _plan_mm(self: Spec, mat2: Spec) -> Plan:
    _check_mm(self, mat2)
    return product_plan(self, mat2, "ik", "kj", "ij")


mm.vjp(
    self=lambda g, mat2: mm(g, adjoint(mat2)),
    mat2=lambda g, self: mm(adjoint(self), g),
)


@op(multilinear=True, moves=True, factors="self mat2")
def bmm(self: Array, mat2: Array) -> Array:
    """The products of two stacks of matrices, (b, n, k) and (b, k, m), one by one.

    RuntimeError for other shapes, or two dtypes. The gradients are `g @ mat2.mH` and `self.mH @ g`.

    >>> import pullback as torch
    >>> torch.bmm(torch.ones(5, 2, 3), torch.ones(5, 3, 4)).shape
    torch.Size([5, 2, 4])
    """
    return matrix_product(self, mat2)


@bmm.prepare
def _plan_bmm(self: Spec, mat2: Spec) -> Plan:
    check_batches(self, mat2)
    return product_plan(self, mat2, "bik", "bkj", "bij")


bmm.vjp(
    self=lambda g, mat2: bmm(g, adjoint(mat2)),
    mat2=lambda g, self: bmm(adjoint(self), g),
)


@op(multilinear=True, moves=True, factors="self vec")
def mv(self: Array, vec: Array) -> Array:
    """The product of a matrix (n, k) and a vector (k,). RuntimeError for other shapes, or two
    dtypes.

    >>> import pullback as torch
    >>> torch.mv(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    return matrix_product(self, vec)


@mv.prepare
def _plan_mv(self: Spec, vec: Spec) -> Plan:
    if not self.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    check_matrix_vector(self, vec, self.shape[0], 1)
    _check_dtypes(self, vec)
    return product_plan(self, vec, "ik", "k", "i")


mv.vjp(
    self=lambda g, vec: ops.unsqueeze(g, 1) * conj(vec),
    vec=lambda g, self: mv(adjoint(self), g),
)


@op(multilinear=True, moves=True, factors="self tensor")
def dot(self: Array, tensor: Array) -> Array:
    """The sum of the products of two vectors' elements. RuntimeError for two sizes or dtypes.

    >>> import pullback as torch
    >>> torch.dot(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return np.asarray(matrix_product(self, tensor))


@dot.prepare
def _plan_dot(self: Spec, tensor: Spec) -> Plan:
    _check_vectors("dot", self, tensor)
    return product_plan(self, tensor, "k", "k", "")


dot.vjp(self=lambda g, tensor: g * conj(tensor), tensor=lambda g, self: g * conj(self))


@op(moves=True, factors="self other")
def vdot(self: Array, other: Array) -> Array:
    """`dot` with the first vector conjugated. RuntimeError for two sizes or dtypes.

    >>> import pullback as torch
    >>> torch.vdot(torch.tensor([1j]), torch.tensor([1j]))
    tensor(1.+0.j)
    """
    return np.asarray(matrix_product(np.conjugate(self) if self.dtype.kind == "c" else self, other))


@vdot.prepare
def _plan_vdot(self: Spec, other: Spec) -> Plan:
    _check_vectors("vdot" if self.dtype.kind == "c" else "dot", self, other)
    return product_plan(self, other, "k", "k", "", conjugated=self.dtype.kind == "c")


vdot.vjp(self=lambda g, other: conj(g) * other, other=lambda g, self: g * self)


# -------------------------------------------------------------------------------------- matmul


def _as_rows(a: Any) -> Any:
    """A stack of matrices (..., n, k), an array or a tensor, as one tall matrix."""
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _as_columns(a: Tensor) -> Tensor:
    """A stack of matrices (..., n, k) as one matrix with n columns: transposed, one above the other."""
    return _as_rows(ops.transpose(a, -2, -1))


class _Case(NamedTuple):
    """One of the products that `matmul` chooses from by the dims of its factors."""

    node: str  # PyTorch does it by other ops, the last of which names the node
    check: Callable[[Spec, Spec], None]  # refuses factors that do not fit, in the words of those ops
    of_self: Callable[[Tensor, Tensor], Tensor]  # the gradient of the first factor from g and the second
    of_other: Callable[[Tensor, Tensor], Tensor]  # that of the second from g and the first


@op(name="matmul", places="", multilinear=True, moves=True, factors="self other")
def _matmul(self: Array, other: Array, case: str) -> Array:
    """A product with stacks of matrices, or of a vector and a matrix: see _CASES."""
    return matrix_product(self, other)


@_matmul.prepare
def _plan_matmul(self: Spec, other: Spec, case: str) -> Plan:
    _CASES[case].check(self, other)
    of_self = [*range(2 - self.ndim, 0), *"ik"[-self.ndim :]]
    of_other = [*range(2 - other.ndim, 0), *"kj"[: other.ndim]]
    leading = range(2 - max(self.ndim, other.ndim), 0)
    wanted = [*leading, *(label for label in (*of_self[-2:], *of_other[-1:]) if label in ("i", "j"))]
    return product_plan(self, other, of_self, of_other, wanted)


_matmul.variant = lambda saved: _CASES[saved["case"]].node
_matmul.vjp(
    self=lambda g, other, case: _CASES[case].of_self(g, other),
    other=lambda g, self, case: _CASES[case].of_other(g, self),
)


def _check_tall(tall: tuple[int, int], a: Spec, b: Spec) -> None:
    """A stack as one tall matrix, and a matrix."""
    _check_matrix_sizes(Spec(a.dtype, tall), b)
    check_numbers(a, "addmm_impl_cpu_")


def _check_stack_and_vector(stack: Spec, vector: Spec, rows: int, count: int) -> None:
    tall = Spec(stack.dtype, (math.prod(stack.shape[:-2]) * rows, count))
    check_matrix_vector(tall, vector, tall.shape[0], 1)
    _check_dtypes(stack, vector)


_MATRIX_TIMES_STACK = _Case(
    "CloneBackward0",
    lambda a, b: _check_sizes_of_stack(b, a),
    lambda g, other: mm(ops.transpose(_as_columns(g), 0, 1), conj(_as_columns(other))),
    lambda g, self: _matmul(adjoint(self), g, "matrix @ stack"),
)
_CASES: dict[str, _Case] = {
    "stack @ stack": _Case(
        "UnsafeViewBackward0",
        lambda a, b: _check_stacks(a, b),
        lambda g, other: _matmul(g, adjoint(other), "stack @ stack"),
        lambda g, self: _matmul(adjoint(self), g, "stack @ stack"),
    ),
    "stack @ matrix": _Case(
        "UnsafeViewBackward0",
        lambda a, b: _check_tall((math.prod(a.shape[:-1]), a.shape[-1]), a, b),
        lambda g, other: _matmul(g, adjoint(other), "stack @ matrix"),
        lambda g, self: mm(adjoint(_as_rows(self)), _as_rows(g)),
    ),
    "matrix @ stack": _MATRIX_TIMES_STACK,
    "constant @ stack": _MATRIX_TIMES_STACK._replace(node="UnsafeViewBackward0"),
    "vector @ matrix": _Case(
        "SqueezeBackward4",
        lambda a, b: _check_tall((1, a.shape[0]), a, b),
        lambda g, other: mv(conj(other), g),
        lambda g, self: ops.unsqueeze(conj(self), 1) * g,
    ),
    "stack @ vector": _Case(
        "UnsafeViewBackward0",
        lambda a, b: _check_stack_and_vector(a, b, *a.shape[-2:]),
        lambda g, other: ops.unsqueeze(g, -1) * conj(other),
        lambda g, self: mv(adjoint(_as_rows(self)), ops.reshape(g, (-1,))),
    ),
    "vector @ stack": _Case(
        "UnsafeViewBackward0",
        lambda a, b: _check_stack_and_vector(b, a, b.shape[-1], b.shape[-2]),
        lambda g, other: mv(adjoint(_as_columns(other)), ops.reshape(g, (-1,))),
        lambda g, self: ops.unsqueeze(conj(self), 1) * ops.unsqueeze(g, -2),
    ),
}
"""The products by what is multiplied; a stack has three dims or more."""


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
    if left == 1 and right == 1:
        return dot(input, other, out=out)
    if left == 2 and right == 1:
        return mv(input, other, out=out)
    case = _CASE_OF_DIMS[min(left, 3), min(right, 3)]
    if case == "matrix @ stack" and other.requires_grad and not input.requires_grad:
        case = "constant @ stack"
    return _matmul(input, other, case, out=out)


_CASE_OF_DIMS = {
    (1, 2): "vector @ matrix",
    (1, 3): "vector @ stack",
    (2, 3): "matrix @ stack",
    (3, 1): "stack @ vector",
    (3, 2): "stack @ matrix",
    (3, 3): "stack @ stack",
}
"""The case by the dims of the factors; 3 stands for three or more."""

# ---------------------------------------------------------------------------------- under vmap


def product_batch(level: Any, a: Any, b: Any) -> Tensor:
    """`a @ b` of which one or both are batched: physical, as one large product where it can be."""
    left, right = a.ndim, b.ndim
    over_a, over_b = level.holds(a), level.holds(b)
    if over_a and not over_b:
        p = a.physical
        if left == 1 and right > 2:
            return ops.squeeze(matmul(padded(ops.unsqueeze(p, 1), right), b), -2)
        return matmul(padded(p, right) if 2 < right > left else p, b)
    if over_b and not over_a:
        q = b.physical
        if right == 1:
            if left == 1:
                return matmul(q, a)
            if left == 2:
                return matmul(q, ops.transpose(a, 0, 1))
            return ops.squeeze(matmul(a, padded(ops.unsqueeze(q, -1), left)), -1)
        return matmul(a, padded(q, left) if left > right else q)
    p, q = a.physical, b.physical
    p = ops.unsqueeze(p, 1) if left == 1 else p
    q = ops.unsqueeze(q, 2) if right == 1 else q
    most = max(left, right, 2)
    result = matmul(padded(p, most), padded(q, most))
    if left == 1:
        result = ops.squeeze(result, -2)
    return ops.squeeze(result, -1) if right == 1 else result


_RANKS = {"mm": (2, 2), "bmm": (3, 3), "mv": (2, 1), "dot": (1, 1), "vdot": (1, 1)}
"""Of the ops that take matrices or vectors alone."""


def _check_sample(op: Op, a: Array, b: Array, *case: str) -> None:
    """Raises what the op has to say of the shapes of one sample."""
    given = a.ndim, b.ndim
    if 0 in given or a.shape[-1] != b.shape[-2:][0] or _RANKS.get(op.name, given) != given:
        op.prepare_rule(spec_of(a), spec_of(b), *case)


@mm.batch
@bmm.batch
@mv.batch
@dot.batch
@_matmul.batch
def _matmul_batch(level: Any, op: Op, self: Any, other: Any, *case: str) -> Any:
    _check_sample(op, self._layout, other._layout, *case)
    return level.wrap(product_batch(level, self, other))


@vdot.batch
def _vdot_batch(level: Any, op: Op, self: Any, other: Any) -> Any:
    _check_sample(op, self._layout, other._layout)
    first = level.wrap(conj(self.physical)) if level.holds(self) else conj(self)
    return level.wrap(product_batch(level, first, other))


# ---------------------------------------------------------------------------------- refusals


def check_numbers(a: Array | Spec, kernel: str) -> None:
    """NotImplementedError for booleans."""
    if a.dtype.kind == "b":
        raise NotImplementedError(f"\"{kernel}\" not implemented for 'Bool'")


def _check_mm(a: Spec, b: Spec) -> None:
    """Two matrices that can be multiplied; RuntimeError in PyTorch's words if not."""
    if a.ndim != 2:
        raise RuntimeError("self must be a matrix")
    if b.ndim != 2:
        raise RuntimeError("mat2 must be a matrix")
    _check_matrix_sizes(a, b)
    check_numbers(a, "addmm_impl_cpu_")


def _check_matrix_sizes(a: Spec, b: Spec) -> None:
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({a.shape[0]}x{a.shape[1]} and "
            f"{b.shape[0]}x{b.shape[1]})"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {c_name(a)} != {c_name(b)}")


def check_batches(batch1: Spec, batch2: Spec, kernel: str = "bmm") -> None:
    for name, a in (("batch1", batch1), ("batch2", batch2)):
        if a.ndim != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    wanted = [batch1.shape[0], batch1.shape[2]]
    if list(batch2.shape[:2]) != wanted:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: "
            f"{list(batch2.shape[:2])}."
        )
    check_numbers(batch1, kernel)
    if batch1.dtype != batch2.dtype:
        raise RuntimeError(f"expected scalar type {type_name(batch1)} but found {type_name(batch2)}")


def check_matrix_vector(mat: Spec, vec: Spec, rows: int, ndim: int) -> None:
    if mat.ndim != 2 or vec.ndim != 1 or ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0] or rows not in (1, mat.shape[0]):
        raise RuntimeError(
            f"size mismatch, got input ({rows}), mat ({mat.shape[0]}x{mat.shape[1]}), vec ({vec.shape[0]})"
        )
    if mat.dtype is vec.dtype:  # two are refused first
        check_numbers(mat, "addmv_impl_cpu")


def _check_dtypes(mat: Spec, vec: Spec) -> None:
    if mat.dtype != vec.dtype:
        kinds = f"{type_name(vec)}, {type_name(mat)}, and {type_name(vec)}"
        raise RuntimeError(f"addmv input tensors must have the same dtype, but got {kinds}")


def _check_vectors(name: str, a: Spec, b: Spec) -> None:
    if a.ndim != 1 or b.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {a.ndim}D and {b.ndim}D tensors")
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {type_name(a)} and {type_name(b)}"
        )
    if a.shape != b.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a.shape[0]}] and src [{b.shape[0]}] to have the "
            f"same number of elements, but got {a.shape[0]} and {b.shape[0]} elements respectively"
        )
    check_numbers(a, name)


def _check_stacks(a: Spec, b: Spec) -> None:
    if a.shape[:-2] == b.shape[:-2] and a.shape[-1] == b.shape[-2] and a.dtype == b.dtype:
        return check_numbers(a, "bmm")
    n = len(a.shape[:-2])
    for i in range(1, 1 + min(n, len(b.shape[:-2]))):
        x, y = a.shape[-2 - i], b.shape[-2 - i]
        if x != y and 1 not in (x, y):
            dim = max(a.ndim, b.ndim) - 2 - i
            raise RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton "
                f"dimension {dim}"
            )
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        count = math.prod(batch)
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{count}, {a.shape[-1]}] but got: [{count}, {b.shape[-2]}]."
        )
    check_numbers(a, "bmm")
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected scalar type {type_name(a)} but found {type_name(b)}")


def _check_sizes_of_stack(stack: Spec, factor: Spec) -> None:
    tall = math.prod(stack.shape[:-2]) * stack.shape[-1]
    if factor.shape[1] != stack.shape[-2]:
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({tall}x{stack.shape[-2]} and "
            f"{factor.shape[1]}x{factor.shape[0]})"
        )
    if stack.dtype != factor.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {c_name(stack)} != {c_name(factor)}"
        )
    check_numbers(stack, "addmm_impl_cpu_")
