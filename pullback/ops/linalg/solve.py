"""Linear systems: solve, its tensor form, least squares.

A square system keeps its LU factors for the rules: the gradient of B solves the adjoint system, and
that of A is its product with `-X.mH`. In `_solved` the factors stand for A, which is there for its
gradient: so the rules can be differentiated again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core.dtype_names import type_name
from pullback.core.op import function, op
from pullback.kernels import lapack
from pullback.ops.linalg.checks_and_stacks import (
    LinAlgError,
    check_fit,
    check_inexact,
    check_kernel,
    check_square,
    check_stack,
    given,
    named,
    raise_for,
    stacked_alike,
    without_numbers,
)
from pullback.ops.linalg.lu import matrix_slope, solve_by_factors
from pullback.ops.linalg.pseudoinverse import pinv_slope, pseudoinverse
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import check_tensors

# --------------------------------------------------------------------------------- square systems


@op(name="linalg_solve_ex", places="", layout="", takes_half=True)
def _solve_ex(self: Tensor, B: Tensor, left: bool = True, check: str = ""):
    name = "linalg.solve"
    check_inexact(name, self)
    if self.dtype.char in "fdFD" or self.dtype == B.dtype:
        check_square(name, self)
        check_stack(name, B, "B")
        check_fit(name, self, B, left)
    if self.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {type_name(self)} and "
            f"B of type {type_name(B)} instead"
        )
    check_kernel("lu_cpu", self)
    stacked_alike(self, B)
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, "The solver failed because the input matrix is singular.", LinAlgError)
    return solve_by_factors(packed, pivots, B, left, False), packed, pivots, info


@op(name="solved", places="", layout="")
def _solved(self: Tensor, LU: Tensor, pivots: Tensor, B: Tensor, left: bool, adjoint: bool):
    """The solution of a system with `self`, or its adjoint, by its factors."""
    return solve_by_factors(LU, pivots, B, left, adjoint)


@_solve_ex.joint_vjp
def _solve_slope(
    g0: Tensor, self: Tensor, left: bool, result0: Tensor, result1: Tensor, result2: Tensor, needs: Any
) -> Any:
    of_b = _solved(self, result1.detach(), result2, g0, left, True)
    return (matrix_slope(of_b, result0, left, False) if needs[0] else None), of_b


@_solved.joint_vjp
def _solved_slope(
    g: Tensor, self: Tensor, LU: Tensor, pivots: Tensor, left: bool, adjoint: bool, result: Tensor, needs: Any
) -> Any:
    of_b = _solved(self, LU.detach(), pivots, g, left, not adjoint)
    return (matrix_slope(of_b, result, left, adjoint) if needs[0] else None), None, None, of_b


_solve_ex.batch_rule = _solved.batch_rule = "leading"
without_numbers(_solve_ex, 3)


@_solved.meta
def _solved_shape(self: Any, LU: Any, pivots: Any, B: Any, left: bool, adjoint: bool) -> Any:
    return solve_by_factors(self, np.ones(pivots.shape, np.int32), B, left, adjoint)


def _solution(A: Tensor, B: Tensor, left: bool, check: str) -> tuple[Tensor, Tensor]:
    """The solution and the codes; a B of one dim less than A is a stack of vectors."""
    vector = A.ndim > 1 and (B.ndim == 1 or (A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]))
    if vector:
        B = ops.unsqueeze(B, -1)
    result, _, _, info = _solve_ex(A, B, left, check)
    return (ops.squeeze(result, -1) if vector else result), info


@function(places="", aliases=("linalg.solve_ex",))
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """`linalg.solve` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.solve_ex(torch.zeros(2, 2), torch.ones(2)).info
    tensor(1, dtype=torch.int32)
    """
    check_tensors("linalg_solve_ex", A=A, B=B)
    check = "torch.linalg.solve_ex" if check_errors else ""
    return named("linalg_solve_ex", _solution(A, B, left, check), out)


@function(places="", aliases=("linalg.solve",))
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
    return given("linalg_solve_ex", _solution(A, B, left, "torch.linalg.solve")[0], out)


@function(places="", aliases=("linalg.tensorsolve",))
def tensorsolve(A: Tensor, B: Tensor, dims: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The X with `tensordot(A, X, X.ndim) == B`; `dims` of A are moved to its end first.

    RuntimeError if A is not square in that sense.

    >>> import pullback as torch
    >>> torch.linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3)).shape
    torch.Size([6])
    """
    check_tensors("linalg_tensorsolve", A=A, B=B)
    if dims is not None:
        moved = [wrap_dim(d, A.ndim) for d in dims]
        A = ops.movedim(A, moved, list(range(A.ndim - len(moved), A.ndim)))
    shape = tuple(A.shape[B.ndim :])
    count = math.prod(shape)
    rows = math.prod(A.shape[: B.ndim])
    if rows != count:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {count} != {rows}"
        )
    found = _solution(ops.reshape(A, (count, count)), ops.reshape(B, (-1,)), True, "torch.linalg.solve")[0]
    return given("linalg_tensorsolve", ops.reshape(found, shape), out)


# ---------------------------------------------------------------------------------- least squares

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


@op(name="linalg_lstsq", places="", layout="", takes_half=True)
def _lstsq(self: Tensor, B: Tensor, rcond: float, driver: str):
    a, b = stacked_alike(self, B)
    m, n = a.shape[-2:]
    if not a.size or not b.size:
        b = np.zeros((*b.shape[:-2], max(m, n), b.shape[-1]), b.dtype)
        rank, values = np.zeros(a.shape[:-2], np.int64), np.zeros((*a.shape[:-2], 0), b.real.dtype)
    else:
        b, rank, values, _ = lapack.least_squares(a, b, rcond, driver)
    rest = b[..., n:m, :]
    return b[..., :n, :], np.sum(rest.real**2 + rest.imag**2, -2), rank.astype(np.int64), values


@_lstsq.joint_vjp
def _lstsq_slope(g0: Tensor, g1: Tensor, self: Tensor, B: Tensor, result0: Tensor, needs: Any) -> Any:
    of_a = of_b = None
    if g0 is not None:
        eps = ops.finfo(self.dtype).eps * max(self.shape[-2:])
        inverse = pseudoinverse(self, 0.0, eps, False)
        of_b = adjoint(inverse) @ g0
        of_a = pinv_slope(g0 @ adjoint(B), self, inverse) if needs[0] else None
    if g1 is not None:
        away = (self @ result0 - B) * ops.unsqueeze(g1, -2) * 2
        of_b = -away if of_b is None else of_b - away
        more = away @ adjoint(result0)
        of_a = more if of_a is None else of_a + more
    return of_a, of_b


_lstsq.batch_rule = "leading"


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


@function(places="", aliases=("linalg.lstsq",))
def lstsq(
    A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None, out: Any = None
) -> Any:
    """The X with the least `norm(A X - B)`: `(solution, residuals, rank, singular_values)`.

    A is (..., m, n), B (..., m, k) or a stack of vectors (..., m). `driver` is LAPACK's gelsy (the
    default), gels for full rank, gelsd or gelss; `rcond` is the relative size from which on a pivot
    or singular value counts. Residuals are there for m > n and full rank, but not from gelsy. The
    gradients are those of `pinv(A) @ B` and of `norm(A X - B)**2`.

    >>> import pullback as torch
    >>> torch.linalg.lstsq(torch.tensor([[1.0], [1.0]]), torch.tensor([[1.0], [4.0]])).solution
    tensor([[2.5000]])
    """
    check_tensors("linalg_lstsq", A=A, B=B)
    driver = "gelsy" if driver is None else driver
    _check_lstsq(A, B, driver)
    vector = A.ndim == B.ndim + 1
    m, n = A.shape[-2:]
    if rcond is None:
        rcond = ops.finfo(A.dtype).eps * max(m, n)
    elif isinstance(rcond, Tensor):
        rcond = rcond.item()
    solution, residuals, rank, values = _lstsq(A, ops.unsqueeze(B, -1) if vector else B, rcond, driver)
    if vector:
        solution = ops.squeeze(solution, -1)
    if m <= n or driver == "gelsy" or (driver != "gels" and not bool((rank == n).all())):
        residuals = ops.narrow(ops.flatten(residuals), 0, 0, 0)
    if driver == "gels":
        rank = ops.narrow(ops.flatten(rank), 0, 0, 0)
    if driver not in ("gelsd", "gelss"):
        values = ops.narrow(ops.flatten(values), 0, 0, 0)
    return named("linalg_lstsq", (solution, residuals, rank, values.detach()), out)
