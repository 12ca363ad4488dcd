"""Triangular systems and Cholesky factors.

`triangular` is the op behind all of it: for A X = B, gB solves A^H gB = gX, and gA is the triangle of
-gB X^H (Giles 2008). The derivative of a factor L of A = L L^H comes from dL = L phi(L^-1 dA L^-H), where
phi takes the lower triangle with half the diagonal; transposed, two triangular systems:

    gA = L^-H S L^-1,   S the Hermitian part of phi(L^H gL)

(Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, 2016; Giles 2008). Only one
triangle of A is read, and A counts as Hermitian: so is the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import contiguous_format, int32
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.plans import Matrices, said_by, transposed_operand
from pullback.ops.linalg.refusals import (
    LinAlgError,
    check_fit,
    check_inexact,
    check_kernel,
    check_same_dtype,
    check_square,
    check_stack,
    raise_for,
)
from pullback.ops.linalg.stacks import (
    columns_like,
    common_stack,
    hermitian_part,
    into_out,
    named_results,
    stacked_alike,
    transposed,
    upper_half,
)
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import explained, public

# ----------------------------------------------------------------------------- triangular systems


@op(name="linalg_solve_triangular", places="", layout="", takes_half=True, batch="leading")
def triangular(self: Array, B: Array, upper: bool, left: bool = True, unitriangular: bool = False) -> Array:
    """The solution of `self X = B`, or of `X self = B`, with one triangle of `self`."""
    a, b = stacked_alike(self, B)
    return lapack.solve_triangular(a, b, upper, left, "N", unitriangular)


@triangular.prepare
def _plan_triangular(self: Spec, B: Spec, upper: bool, left: bool, unitriangular: bool) -> Plan:
    _check_triangular(self, B, left)
    stack = common_stack(B.shape[:-2], self.shape[:-2])
    result = Spec.columns(B.dtype, stack + B.shape[-2:])
    chain = Matrices(2, stack, self.dtype, result)
    factor, b, to = [chain.matrices(Place(i), t) for i, t in enumerate((self, B, result))]
    if not left:
        factor, b, to, upper = (
            transposed_operand(factor),
            transposed_operand(b),
            transposed_operand(to),
            not upper,
        )
    chain.solve_by(lambda x: chain.triangular(factor, x, upper, unitriangular), b, to)
    return chain.plan()


@triangular.joint_vjp
def _triangular_gradients(
    g: Tensor, self: Tensor, result: Tensor, upper: bool, left: bool, unitriangular: bool, needs: Any
) -> Any:
    gB = triangular(adjoint(self), g, not upper, left, unitriangular)
    if not needs[0]:
        return None, gB
    gA = -(gB @ adjoint(result)) if left else -(adjoint(result) @ gB)
    unread = int(unitriangular)
    return (ops.triu(gA, unread) if upper else ops.tril(gA, -unread)), gB


@public(space="linalg")
def solve_triangular(
    input: Tensor,
    B: Tensor,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The solution of `input X = B` for a triangular `input`, or of `X input = B` with `left=False`.

    `input` is (..., n, n), B (..., n, k), their stacks broadcast; the other triangle is not read, its
    diagonal neither with `unitriangular=True`. A zero on the diagonal gives inf and nan. The gradient
    of B is the solution with `input.mH`, that of `input` its product with `-X.mH`, of the triangle.

    >>> import pullback as torch
    >>> A = torch.tensor([[2.0, 1.0], [0.0, 4.0]])
    >>> torch.linalg.solve_triangular(A, torch.tensor([[4.0], [8.0]]), upper=True)
    tensor([[1.],
            [2.]])
    """
    return triangular(input, B, upper, left, unitriangular, out=out)


def _triangular_solve(
    self: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The solution of `A X = input` and a copy of A: `linalg.solve_triangular` is its name now.

    With `transpose=True` that of `A.mT X = input`.

    >>> import pullback as torch
    >>> b, A = torch.tensor([[4.0]]), torch.tensor([[2.0]])
    >>> torch.triangular_solve(b, A).solution
    tensor([[2.]])
    """
    warn(
        "torch.triangular_solve is deprecated in favor of torch.linalg.solve_triangular"
        "and will be removed in a future PyTorch release.\ntorch.linalg.solve_triangular has its arguments "
        "reversed and does not return a copy of one of the inputs.\n"
        "X = torch.triangular_solve(B, A).solution\nshould be replaced with\n"
        "X = torch.linalg.solve_triangular(A, B)."
    )
    for what, t in (("b", self), ("A", A)):
        if t.ndim < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {what} to have at least 2 dimensions, "
                f"but it has {t.ndim} dimensions instead"
            )
    check_pair("triangular_solve", self, A)
    matrix = transposed(A) if transpose else A
    solution = triangular(matrix, self, upper != transpose, True, unitriangular)
    rows = transposed(ops.expand(A, (*solution.shape[:-2], *A.shape[-2:])))
    columns = transposed(ops.clone(rows, memory_format=contiguous_format))
    return named_results("triangular_solve", (solution, columns), out)


triangular_solve = function(name="triangular_solve", keywords={"input": "self"})(_triangular_solve)


# ------------------------------------------------------------------------------------- Cholesky

_DEPRECATED = "cholesky"
"""The `check` of `torch.cholesky`, which has messages and a node name of its own."""


@op(name="linalg_cholesky_ex", places="", layout="", takes_half=True, batch="leading")
def _cholesky_ex(self: Array, upper: bool = False, check: str = "") -> tuple[Array, Array]:
    """The factor and the codes; raises for these in the name of `check`."""
    factor, info = lapack.cholesky(self, upper)
    if check:
        raise_for(info, check, _NOT_POSITIVE, LinAlgError)
    return factor, info


@_cholesky_ex.prepare
def _plan_cholesky(self: Spec, upper: bool, check: str) -> Plan:
    _check_cholesky(self, check)
    stack, n = self.shape[:-2], self.shape[-1]
    chain = Matrices(1, stack, self.dtype, (Spec.columns(self.dtype, self.shape), Spec(int32, stack)))
    factor = chain.packed(n, n, chain.result(0))
    chain.copy(chain.matrices(Place(0), self), factor)
    chain.cholesky(factor, upper, chain.result(1), bool(check))
    return chain.plan(said_by(_cholesky_ex.kernel))


def _cholesky_gradient(g0: Tensor, result0: Tensor, upper: bool, check: str) -> Tensor:
    gL, L = (adjoint(g0), adjoint(result0)) if upper else (g0, result0)
    S = hermitian_part(upper_half(adjoint(adjoint(L) @ gL)))
    return triangular(L, triangular(adjoint(L), S, upper=True), upper=False, left=False)


_cholesky_ex.vjp(self=_cholesky_gradient)
_cholesky_ex.variant = lambda saved: (
    "CholeskyBackward0" if saved["check"] == _DEPRECATED else "LinalgCholeskyExBackward0"
)


@public(space="linalg")
def cholesky_ex(
    input: Tensor,
    *,
    upper: bool = False,
    check_errors: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """The Cholesky factor and a code for each matrix: 0, or the order of the minor not positive.

    See `linalg.cholesky`. LinAlgError for codes other than 0 with `check_errors=True`.

    >>> import pullback as torch
    >>> torch.linalg.cholesky_ex(torch.tensor([[-1.0]])).info
    tensor(1, dtype=torch.int32)
    """
    check = "linalg.cholesky_ex" if check_errors else ""
    return named_results("linalg_cholesky_ex", _cholesky_ex(input, upper, check), out)


@public(space="linalg")
def linalg_cholesky(input: Tensor, *, upper: bool = False, out: Tensor | None = None) -> Tensor:
    """The factor L of a positive-definite `input = L L.mH`, lower triangular; `L.mH` with `upper=True`.

    `input` is (..., n, n), float or complex, and counts as Hermitian: one triangle is read. LinAlgError
    if it is not positive-definite. The gradient is `L^-H S L^-1`, S the Hermitian part of the
    triangle, with half its diagonal, of `L.mH @ g`.

    >>> import pullback as torch
    >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return into_out("linalg_cholesky_ex", _cholesky_ex(input, upper, "linalg.cholesky")[0], out)


@explained
def cholesky(input: Tensor, upper: bool = False, *, out: Tensor | None = None) -> Tensor:
    """The Cholesky factor; `torch.linalg.cholesky` is its name now.

    >>> import pullback as torch
    >>> torch.cholesky(torch.tensor([[4.0]]))
    tensor([[2.]])
    """
    warn(
        "torch.cholesky is deprecated in favor of torch.linalg.cholesky and will be removed in a future "
        "PyTorch release.\nL = torch.cholesky(A)\nshould be replaced with\nL = torch.linalg.cholesky(A)\n"
        "and\nU = torch.cholesky(A, upper=True)\nshould be replaced with\n"
        "U = torch.linalg.cholesky(A).mH\nThis transform will produce equivalent results for all valid "
        "(symmetric positive definite) inputs."
    )
    return into_out("cholesky", _cholesky_ex(input, upper, _DEPRECATED)[0], out, True)


def _factor_gradient(gA: Tensor, factor: Tensor, upper: bool) -> Tensor:
    """A Cholesky factor's gradient from the matrix's: `(gA + gA^H) L`, as if all of L were read."""
    both = gA + adjoint(gA)
    return ops.triu(factor) @ both if upper else both @ ops.tril(factor)


@op(layout="", takes_half=True, batch="leading", casts_out=True)
def cholesky_inverse(self: Array, upper: bool = False) -> Array:
    """The inverse of the matrix whose Cholesky factor is given, lower unless `upper`.

    LinAlgError for a zero on the diagonal. With P the inverse, the gradient is `-P (g + g.mH) P L`, that of
    `inv(L @ L.mH)`: numbers above the diagonal, which are not read, have one too.

    >>> import pullback as torch
    >>> torch.cholesky_inverse(torch.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    missing = np.diagonal(self, 0, -2, -1) == 0
    if missing.any():
        first = np.where(missing.any(-1), missing.argmax(-1) + 1, 0)
        raise_for(first, "cholesky_inverse", SINGULAR, LinAlgError)
    unit = np.broadcast_to(np.eye(self.shape[-1], dtype=self.dtype), self.shape)
    half = lapack.solve_triangular(self, unit, upper, True, "N", False)
    back = np.conj(np.swapaxes(half, -2, -1))
    inverse = columns_like(self)
    left, right = (half, back) if upper else (back, half)
    np.matmul(left, right, out=inverse)
    return inverse


@cholesky_inverse.prepare
def _plan_cholesky_inverse(self: Spec, upper: bool) -> Plan:
    _check_cholesky_inverse(self)
    result = Spec.columns(self.dtype, self.shape)
    chain = Matrices(1, self.shape[:-2], self.dtype, result)
    factor = chain.matrices(Place(0), self)
    # what lies row by row where the result lies column by column is its transpose, and so its conjugate
    unit = transposed_operand(chain.matrices(chain.result(), result))
    chain.unit(unit)
    chain.solve_cholesky(factor, unit, unit, upper, not upper)
    chain.check_divisors(chain.diagonal_of(factor))
    return chain.plan(said_by(cholesky_inverse.kernel))


cholesky_inverse.vjp(
    self=lambda g, self, result, upper: _factor_gradient(-(result @ g @ result), self, upper)
)


@op(name="cholesky_solve", places="", layout="", takes_half=True, batch="leading", casts_out=True)
def _cholesky_solve(self: Array, input2: Array, upper: bool = False) -> Array:
    factor, b = stacked_alike(input2, self)
    first, second = ("C", "N") if upper else ("N", "C")
    half = lapack.solve_triangular(factor, b, upper, True, first, False)
    return lapack.solve_triangular(factor, half, upper, True, second, False)


@_cholesky_solve.prepare
def _plan_cholesky_solve(self: Spec, input2: Spec, upper: bool) -> Plan:
    _check_cholesky_solve(self, input2)
    stack = common_stack(self.shape[:-2], input2.shape[:-2])
    result = Spec.columns(self.dtype, stack + self.shape[-2:])
    chain = Matrices(2, stack, self.dtype, result)
    b, factor, to = [chain.matrices(Place(i), t) for i, t in enumerate((self, input2, result))]
    chain.solve_cholesky(factor, b, to, upper, upper)
    return chain.plan()


@_cholesky_solve.joint_vjp
def _cholesky_solve_gradients(g: Tensor, input2: Tensor, result: Tensor, upper: bool, needs: Any) -> Any:
    gB = _cholesky_solve(g, input2, upper)
    return gB, (_factor_gradient(-(gB @ adjoint(result)), input2, upper) if needs[1] else None)


@explained
def cholesky_solve(
    input: Tensor, input2: Tensor, upper: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """The solution of `A X = input` from a Cholesky factor of A, lower unless `upper`.

    `input` is (..., n, k), the factor (..., n, n), their stacks broadcast. The gradient of `input` is the
    solution with g, gB; that of the factor L is `(gA + gA.mH) @ L`, where `gA = -gB @ X.mH` is the matrix's.

    >>> import pullback as torch
    >>> torch.cholesky_solve(torch.tensor([[8.0]]), torch.tensor([[2.0]]))
    tensor([[2.]])
    """
    return _cholesky_solve(input, input2, upper, out=out)


# ---------------------------------------------------------------------------------------- refusals

SINGULAR = (
    "The diagonal element {} is zero, the inversion could not be completed because the input "
    "matrix is singular."
)
_NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite "
    "(the leading minor of order {} is not positive-definite)."
)


def _check_triangular(A: Spec, B: Spec, left: bool) -> None:
    name = "linalg.solve_triangular"
    check_square(name, A)
    check_stack(name, B, "B")
    check_fit(name, A, B, left)
    check_same_dtype(name, A, B)
    check_kernel("triangular_solve_cpu", A)


def check_pair(name: str, b: Any, a: Any) -> None:
    """Refuses a matrix and a right side that do not fit, in the words of the older functions."""
    rows, count = a.shape[-2:]
    if rows != count:
        raise RuntimeError(f"A must be batches of square matrices, but they are {rows} by {count} matrices")
    if count != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {count} by {count} "
            f"but each b matrix is {b.shape[-2]} by {b.shape[-1]}"
        )
    if a.dtype != b.dtype:
        kinds = [x.dtype.type_name if isinstance(x, Tensor) else type_name(x) for x in (b, a)]
        raise RuntimeError(
            f"Expected b and A to have the same dtype, but found b of type {kinds[0]} "
            f"and A of type {kinds[1]} instead."
        )


def _check_cholesky(a: Spec, check: str) -> None:
    if check == _DEPRECATED:
        check_square(check, a)
    else:
        check_square("linalg.cholesky", a)
        check_inexact("linalg.cholesky", a)
    check_kernel("cholesky_cpu", a)


def _check_cholesky_inverse(a: Spec) -> None:
    check_square("cholesky_inverse", a)
    check_kernel("cholesky_inverse_out_cpu", a)


def _check_cholesky_solve(b: Spec, factor: Spec) -> None:
    for what, a in (("b", b), ("u", factor)):
        if a.ndim < 2:
            raise RuntimeError(
                f"{what} should have at least 2 dimensions, but has {a.ndim} dimensions instead"
            )
    check_pair("cholesky_solve", b, factor)
    check_kernel("cholesky_solve_cpu", b)
