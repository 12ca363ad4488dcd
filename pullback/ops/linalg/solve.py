"""Linear systems: solve, its tensor form, least squares.

For A X = B, gB solves the adjoint system A^H gB = gX, and gA = -gB X^H (Giles 2008). A square system keeps
its LU factors for that. In `_solve_by_kept_factors` the factors stand for A, which is there for its
gradient: so the rules can be differentiated again.

Least squares have X = P B, P the pseudoinverse of A, so gB = P^H gX and gP = gX B^H (Golub and Pereyra 1973,
see pseudoinverse.py). Their residuals |A X - B|^2 are least: what they pass on to A and B goes past X.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int32
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.lu import factors_plan, matrix_gradient, solution_spec, solve_by_factors
from pullback.ops.linalg.plans import Form, Matrices, alone, said_by
from pullback.ops.linalg.pseudoinverse import pinv_gradient, pseudoinverse
from pullback.ops.linalg.refusals import (
    LinAlgError,
    check_fit,
    check_inexact,
    check_kernel,
    check_same_dtype,
    check_square,
    check_stack,
    has_routines,
    raise_for,
)
from pullback.ops.linalg.stacks import (
    added,
    common_stack,
    into_out,
    meta_matrices,
    meta_numbers,
    meta_vectors,
    named_results,
    stacked_alike,
)
from pullback.ops.linalg.svd import check_finite
from pullback.ops.shared.chains import Place
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import check_tensors

# --------------------------------------------------------------------------------- square systems


@op(name="linalg_solve_ex", places="", layout="", takes_half=True, batch="leading")
def _solve_ex(self: Array, B: Array, left: bool = True, check: str = "") -> tuple[Array, Array, Array, Array]:
    """The solution, A's factors, pivots and codes; raises for these in the name of `check`."""
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, "The solver failed because the input matrix is singular.", LinAlgError)
    return solve_by_factors(packed, pivots, B, left, False), packed, pivots, info


@_solve_ex.prepare
def _plan_solve(self: Spec, B: Spec, left: bool, check: str) -> Plan:
    _check_solve(self, B, left)
    own, n = self.shape[:-2], self.shape[-1]
    stack = common_stack(B.shape[:-2], own)
    results = (
        solution_spec(B, stack, left),
        Spec.columns(self.dtype, self.shape),
        Spec(int32, (*own, n)),
        Spec(int32, own),
    )
    chain = Matrices(2, stack, self.dtype, results)
    of_a = Matrices(2, own, self.dtype, results)
    factors, pivots = of_a.packed(n, n, chain.result(1)), of_a.integers(n, chain.result(2))
    chain.copy(chain.matrices(Place(0), self), factors)
    chain.lu(factors, pivots, chain.result(3), bool(check))
    to = chain.matrices(chain.result(0), results[0])
    chain.solve_lu(factors, pivots, chain.matrices(Place(1), B), to, Form(left))
    return chain.plan(said_by(_solve_ex.kernel))


@op(name="solve_by_kept_factors", places="", layout="", batch="leading")
def _solve_by_kept_factors(
    self: Array, LU: Array, pivots: Array, B: Array, left: bool, adjoint: bool
) -> Array:
    """The solution of a system with `self`, or its adjoint, by its factors."""
    return solve_by_factors(LU, pivots, B, left, adjoint)


@_solve_by_kept_factors.prepare
def _plan_kept_factors(self: Spec, LU: Spec, pivots: Spec, B: Spec, left: bool, adjoint: bool) -> Plan:
    stack = common_stack(B.shape[:-2], self.shape[:-2])
    return factors_plan(LU, pivots, B, stack, Form(left, adjoint), (1, 2, 3))


@_solve_ex.joint_vjp
def _solve_gradients(
    g0: Tensor, self: Tensor, left: bool, result0: Tensor, result1: Tensor, result2: Tensor, needs: Any
) -> Any:
    gB = _solve_by_kept_factors(self, result1.detach(), result2, g0, left, True)
    return (matrix_gradient(gB, result0, left, False) if needs[0] else None), gB


@_solve_by_kept_factors.joint_vjp
def _kept_factors_gradients(
    g: Tensor, self: Tensor, LU: Tensor, pivots: Tensor, left: bool, adjoint: bool, result: Tensor, needs: Any
) -> Any:
    gB = _solve_by_kept_factors(self, LU.detach(), pivots, g, left, not adjoint)
    return (matrix_gradient(gB, result, left, adjoint) if needs[0] else None), None, None, gB


def _solution(A: Tensor, B: Tensor, left: bool, check: str) -> tuple[Tensor, Tensor]:
    """The solution and the codes; a B of one dim less than A is a stack of vectors."""
    vector = A.ndim > 1 and (B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]))
    if vector:
        B = ops.unsqueeze(B, -1)
    result, _, _, info = _solve_ex(A, B, left, check)
    return (ops.squeeze(result, -1) if vector else result), info


@public(space="linalg")
def solve_ex(
    A: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    check_errors: bool = False,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """`linalg.solve` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.solve_ex(torch.zeros(2, 2), torch.ones(2)).info
    tensor(1, dtype=torch.int32)
    """
    check_tensors("linalg_solve_ex", A=A, B=B)
    check = "torch.linalg.solve_ex" if check_errors else ""
    return named_results("linalg_solve_ex", _solution(A, B, left, check), out)


@public(space="linalg")
def solve(A: Tensor, B: Tensor, *, left: bool = True, out: Tensor | None = None) -> Tensor:
    """The solution of `A X = B`, or `X A = B` with `left=False`, for square A.

    A is (..., n, n), float or complex; B is (..., n, k), or (n,) or (..., n) for vectors; the stacks
    are broadcast. LinAlgError if a matrix is singular. The gradient of B solves `A.mH gB = g`, that
    of A is `-gB X.mH`.

    >>> import pullback as torch
    >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 8.0]))
    tensor([1., 2.])
    """
    check_tensors("linalg_solve", A=A, B=B)
    return into_out("linalg_solve_ex", _solution(A, B, left, "torch.linalg.solve")[0], out)


@public(space="linalg")
def tensorsolve(
    input: Tensor, other: Tensor, dims: Sequence[int] | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The X with `tensordot(input, X, X.ndim) == other`; `dims` of `input` are moved to its end first.

    RuntimeError if `input` is not square in that sense.

    >>> import pullback as torch
    >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3)).shape
    torch.Size([6])
    """
    check_tensors("linalg_tensorsolve", input=input, other=other)
    if dims is not None:
        moved = [wrap_dim(d, input.ndim) for d in dims]
        input = ops.movedim(input, moved, list(range(input.ndim - len(moved), input.ndim)))
    shape = tuple(input.shape[other.ndim :])
    count = math.prod(shape)
    rows = math.prod(input.shape[: other.ndim])
    if rows != count:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {count} != {rows}"
        )
    X = _solution(ops.reshape(input, (count, count)), ops.reshape(other, (-1,)), True, "torch.linalg.solve")[
        0
    ]
    return into_out("linalg_tensorsolve", ops.reshape(X, shape), out, True)


# ---------------------------------------------------------------------------------- least squares

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@op(name="linalg_lstsq", places="", layout="", takes_half=True, batch="leading")
def _lstsq(self: Array, B: Array, rcond: float, driver: str) -> tuple[Array, Array, Array, Array]:
    """The solution (..., n, k), the residuals (..., k), the ranks and the singular values, if any."""
    a, b = stacked_alike(self, B)
    m, n = a.shape[-2:]
    if not a.size or not b.size:
        b = np.zeros((*b.shape[:-2], max(m, n), b.shape[-1]), b.dtype)
        rank, values = np.zeros(a.shape[:-2], np.int64), np.zeros((*a.shape[:-2], 0), b.real.dtype)
    else:
        if driver in ("gelsd", "gelss"):
            check_finite(a, "linalg.lstsq")
        with alone(max(m, n) * max(n, b.shape[-1])):
            b, rank, values, _ = lapack.least_squares(a, b, rcond, driver)
    rest = b[..., n:m, :]
    return b[..., :n, :], np.sum(rest.real**2 + rest.imag**2, -2), rank.astype(np.int64), values


@_lstsq.meta
def _lstsq_shapes(self: Array, B: Array, rcond: float, driver: str) -> Any:
    a, b = stacked_alike(self, B)
    m, n = a.shape[-2:]
    real = self.real.dtype
    values = min(m, n) if a.size and b.size else 0
    return (
        meta_matrices(b, max(m, n), b.shape[-1])[..., :n, :],
        meta_array((*b.shape[:-2], b.shape[-1]), real),
        meta_numbers(a, np.int64),
        meta_vectors(a, values, real),
    )


@_lstsq.joint_vjp
def _lstsq_gradients(g0: Tensor, g1: Tensor, self: Tensor, B: Tensor, result0: Tensor, needs: Any) -> Any:
    gA = gB = None
    if g0 is not None:
        eps = ops.finfo(self.dtype).eps * max(self.shape[-2:])
        P = pseudoinverse(self, 0.0, eps, False)
        gB = adjoint(P) @ g0
        gA = pinv_gradient(g0 @ adjoint(B), self, P) if needs[0] else None
    if g1 is not None:
        residual = (self @ result0 - B) * ops.unsqueeze(g1, -2) * 2
        gB = added(gB, -residual)
        gA = added(gA, residual @ adjoint(result0))
    return gA, gB


@public(space="linalg")
def lstsq(
    input: Tensor,
    b: Tensor,
    rcond: float | None = None,
    *,
    driver: str | None = None,
    out: tuple[Tensor, Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The X with the least `norm(input X - b)`: `(solution, residuals, rank, singular_values)`.

    `input` is (..., m, n), `b` (..., m, k) or a stack of vectors (..., m). `driver` is LAPACK's gelsy (the
    default), gels for full rank, gelsd or gelss; `rcond` is the relative size from which on a pivot
    or singular value counts. Residuals are there for m > n and full rank, but not from gelsy. The
    gradients are those of `pinv(input) @ b` and of `norm(input X - b)**2`.

    >>> import pullback as torch
    >>> torch.linalg.lstsq(torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [4.0]])).solution
    tensor([[2.5000]])
    """
    check_tensors("linalg_lstsq", input=input, b=b)
    driver = "gelsy" if driver is None else driver
    _check_lstsq(input, b, driver)
    vector = input.ndim == b.ndim + 1
    m, n = input.shape[-2:]
    if rcond is None:
        rcond = ops.finfo(input.dtype).eps * max(m, n)
    elif isinstance(rcond, Tensor):
        rcond = rcond.item()
    solution, residuals, rank, values = _lstsq(input, ops.unsqueeze(b, -1) if vector else b, rcond, driver)
    if vector:
        solution = ops.squeeze(solution, -1)
    if m <= n or driver == "gelsy" or (driver != "gels" and not bool((rank == n).all())):
        residuals = ops.narrow(ops.flatten(residuals), 0, 0, 0)
    if driver == "gels":
        rank = ops.narrow(ops.flatten(rank), 0, 0, 0)
    if driver not in ("gelsd", "gelss"):
        values = ops.narrow(ops.flatten(values), 0, 0, 0)
    return named_results("linalg_lstsq", (solution, residuals, rank, values.detach()), out, True)


# ---------------------------------------------------------------------------------------- refusals


def _check_solve(A: Spec, B: Spec, left: bool) -> None:
    name = "linalg.solve"
    check_inexact(name, A)
    if has_routines(A) or A.dtype == B.dtype:
        check_square(name, A)
        check_stack(name, B, "B")
        check_fit(name, A, B, left)
    check_same_dtype(name, A, B)
    check_kernel("lu_cpu", A)
    common_stack(B.shape[:-2], A.shape[:-2])


def _check_lstsq(A: Tensor, B: Tensor, driver: str) -> None:
    """Refuses what does not fit, in PyTorch's words."""
    name = "torch.linalg.lstsq"
    said = None
    if A.ndim < 2:
        said = "input must have at least 2 dimensions."
    elif B.ndim < 1:
        said = "other must have at least 1 dimension."
    elif A.dtype is not B.dtype:
        said = (
            "Expected input and other to have the same dtype, but got input's dtype "
            f"{A.dtype.type_name} and other's dtype {B.dtype.type_name}"
        )
    elif A.ndim - B.ndim not in (0, 1):
        said = "input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) <= 1"
    elif A.ndim > B.ndim and A.shape[-2] != B.shape[-1]:
        said = "input.size(-2) should match other.size(-1)"
    elif A.ndim == B.ndim and A.shape[-2] != B.shape[-2]:
        said = "input.size(-2) should match other.size(-2)"
    elif driver not in _DRIVERS:
        said = "parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
    if said is not None:
        raise RuntimeError(f"{name}: {said}")
    if A.dtype.kind not in "fc" or A.dtype.itemsize < 4:
        raise RuntimeError("This function doesn't handle types other than float and double")
