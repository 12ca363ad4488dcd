"""LU factors with row pivots, and solving with them.

A = P L U, A (m, n), L (m, k) with ones on its diagonal and U (k, n), k = min(m, n). For square A

    F = L^-1 P^T dA U^-1 = L^-1 dL + dU U^-1,   so   dL = L tril(F, -1),   dU = triu(F) U

and, transposed, gA = P L^-H gF U^-H with gF = tril(L^H gL, -1) + triu(gU U^H): `lu_gradient`, which has
the wide and the tall matrices too. P is constant. (De Hoog, Anderssen and Lukas, "Differentiation of matrix
functionals using triangular factorization", 2011.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import int32
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.plans import Form, Matrices, said_by
from pullback.ops.linalg.refusals import (
    check_fit,
    check_inexact,
    check_kernel,
    check_square,
    check_stack,
    raise_for,
)
from pullback.ops.linalg.stacks import (
    added,
    batched_all,
    common_stack,
    first_columns,
    first_rows,
    into_out,
    named_results,
    stacked_alike,
    strict_lower,
)
from pullback.ops.linalg.triangular import triangular
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import explained, public


def row_order(pivots: Array, rows: int) -> Array:
    """The rows of P^T A as places in A: pivots, which count from 1, exchange one by one."""
    order = np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows)).copy()
    for k in range(pivots.shape[-1]):
        other = pivots[..., k : k + 1].astype(np.int64) - 1
        moved = np.take_along_axis(order, other, -1)
        np.put_along_axis(order, other, order[..., k : k + 1].copy(), -1)
        order[..., k : k + 1] = moved
    return order


def permutation(pivots: Array, rows: int, dtype: Any) -> Array:
    """The matrix P of A = P L U."""
    order = row_order(pivots, rows)
    return (order[..., None, :] == np.arange(rows)[:, None]).astype(dtype)


def triangles(packed: Array) -> tuple[Array, Array]:
    """L with a diagonal of ones, and U, from what LAPACK packs into one matrix."""
    k = min(packed.shape[-2:])
    L, diagonal = np.tril(packed[..., :, :k], -1), np.arange(k)
    L[..., diagonal, diagonal] = 1
    return L, np.triu(packed[..., :k, :])


def lu_gradient(gL: Tensor | None, gU: Tensor | None, P: Tensor, L: Tensor, U: Tensor) -> Tensor:
    """gA of A = P L U: P (m, m), L (m, k), U (k, n), k = min(m, n), with the gradients of L and U.

    A wide matrix has A = P L [U1 U2], with dU2 = L^-1 P^T dA2 - tril(F, -1) U2, F that of the square part:
    so `tril(-gU2 U2^H, -1)` goes into gF, and gA2 = P L^-H gU2. A tall one has A = P [L1; L2] U, with
    dL2 = (P^T dA)_2 U^-1 - L2 triu(F): `triu(-L2^H gL2)` goes into gF, and (P^T gA)_2 = gL2 U^-H.
    """
    m, n, k = L.shape[-2], U.shape[-1], L.shape[-1]
    L1, U1 = first_rows(L, k), first_columns(U, k)
    below = None if gL is None else adjoint(L1) @ first_rows(gL, k)
    above = None if gU is None else first_columns(gU, k) @ adjoint(U1)
    gA2 = None
    if gU is not None and n > k:
        U2, gU2 = ops.narrow(U, -1, k, n - k), ops.narrow(gU, -1, k, n - k)
        below = added(below, -(gU2 @ adjoint(U2)))
        gA2 = triangular(adjoint(L1), gU2, upper=True, unitriangular=True)
    if gL is not None and m > k:
        L2, gL2 = ops.narrow(L, -2, k, m - k), ops.narrow(gL, -2, k, m - k)
        above = added(above, -(adjoint(L2) @ gL2))
        gA2 = triangular(adjoint(U1), gL2, upper=False, left=False)
    gF = added(
        None if below is None else strict_lower(below),
        None if above is None else ops.triu(above),
    )
    gA = triangular(adjoint(L1), gF, upper=True, unitriangular=True)
    gA = triangular(adjoint(U1), gA, upper=False, left=False)
    if gA2 is not None:
        gA = ops.cat([gA, gA2], -1 if n > k else -2)
    elif n > k or m > k:
        gA = ops.constant_pad_nd(gA, (0, n - k, 0, m - k))
    return P @ gA


@op(name="linalg_lu_factor_ex", places="", layout="", takes_half=True, batch="leading")
def _lu_factor_ex(self: Array, pivot: bool = True, check: str = "") -> tuple[Array, Array, Array]:
    """The factors in one matrix, the pivots and the codes; raises for these in the name of `check`."""
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, _ZERO_PIVOT)
    return packed, pivots, info


@_lu_factor_ex.prepare
def _plan_lu_factor(self: Spec, pivot: bool, check: str) -> Plan:
    _check_lu("torch.lu_factor", self, pivot)
    stack, (m, n) = self.shape[:-2], self.shape[-2:]
    codes = Spec(int32, stack)
    results = (Spec.columns(self.dtype, self.shape), Spec(int32, (*stack, min(m, n))), codes)
    chain = Matrices(1, stack, self.dtype, results)
    packed, pivots = chain.packed(m, n, chain.result(0)), chain.integers(min(m, n), chain.result(1))
    chain.copy(chain.matrices(Place(0), self), packed)
    chain.lu(packed, pivots, chain.result(2), bool(check))
    return chain.plan(said_by(_lu_factor_ex.kernel))


@_lu_factor_ex.joint_vjp
def _lu_factor_gradient(g0: Tensor, result0: Tensor, result1: Tensor) -> Any:
    P, L, U = _unpack(result0, result1)
    k = L.shape[-1]
    return (lu_gradient(first_columns(g0, k), first_rows(g0, k), P.detach(), L, U),)


@op(name="linalg_lu", places="", takes_half=True, batch="leading")
def _lu(self: Array, pivot: bool = True) -> tuple[Array, Array, Array]:
    """P, L and U."""
    packed, pivots, _ = lapack.lu_factor(self)
    return (permutation(pivots, self.shape[-2], self.dtype), *triangles(packed))


def _triangle_specs(a: Spec) -> tuple[Spec, Spec, Spec]:
    """P, L and U."""
    m, n = a.shape[-2:]
    k = min(m, n)
    P, L, U = [Spec(a.dtype, (*a.shape[:-2], *shape)) for shape in ((m, m), (m, k), (k, n))]
    return P, L, U


@_lu.prepare
def _plan_lu(self: Spec, pivot: bool) -> Plan:
    _check_lu("linalg.lu", self, pivot)
    results = _triangle_specs(self)
    chain = Matrices(1, self.shape[:-2], self.dtype, results)
    packed, pivots = chain.factored(chain.matrices(Place(0), self))
    P, L, U = [chain.matrices(chain.result(i), result) for i, result in enumerate(results)]
    chain.permutation(pivots, P)
    chain.unpack(packed, L, U)
    return chain.plan()


@_lu.joint_vjp
def _lu_rule(g1: Tensor, g2: Tensor, result0: Tensor, result1: Tensor, result2: Tensor) -> Any:
    if g1 is None and g2 is None:
        return (None,)
    return (lu_gradient(g1, g2, result0.detach(), result1, result2),)


@op(name="lu_unpack", places="", takes_half=True)
def _unpack(self: Array, pivots: Array, data: bool = True, order: bool = True) -> tuple[Array, Array, Array]:
    """P, L and U from the factors in one matrix; the pivots are checked where `order` is wanted."""
    rows = self.shape[-2]
    if order and not ((pivots >= 1) & (pivots <= rows)).all():
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."
            "Did you properly pass the result of lu_factor?"
        )
    P = permutation(pivots, rows, self.dtype) if order else np.zeros((*self.shape[:-1], rows), self.dtype)
    return (P, *triangles(self))


@_unpack.prepare
def _plan_unpack(self: Spec, pivots: Spec, data: bool, order: bool) -> Plan:
    _check_packed(self, pivots, order)
    results = _triangle_specs(self)
    stack = self.shape[:-2]
    if pivots.shape != (*stack, min(self.shape[-2:])):
        return Plan(results)
    chain = Matrices(2, stack, self.dtype, results)
    P, L, U = [chain.matrices(chain.result(i), result) for i, result in enumerate(results)]
    if order:
        chain.permutation(chain.pivots(Place(1), pivots), P)
    else:
        chain.zero(P)
    chain.unpack(chain.matrices(Place(0), self), L, U)
    return chain.plan(said_by(_unpack.kernel))


@_unpack.joint_vjp
def _unpack_gradient(g1: Tensor, g2: Tensor, self_shape: Any) -> Any:
    """Each element of the packed matrix is one of L or of U."""
    m, n = self_shape[-2:]
    k = min(m, n)
    of_L = None if g1 is None else ops.constant_pad_nd(strict_lower(g1), (0, n - k))
    of_U = None if g2 is None else ops.constant_pad_nd(ops.triu(g2), (0, 0, 0, m - k))
    return added(of_L, of_U), None


_unpack.batch(batched_all)


@public(space="linalg")
def lu_factor_ex(
    A: Tensor,
    *,
    pivot: bool = True,
    check_errors: bool = False,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`linalg.lu_factor` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.lu_factor_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    check = "torch.linalg.lu_factor_ex" if check_errors else ""
    return named_results("linalg_lu_factor_ex", _lu_factor_ex(A, pivot, check), out)


@public(space="linalg")
def lu_factor(
    A: Tensor, *, pivot: bool = True, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """L below and U on and above the diagonal of one matrix, and the row pivots, counted from 1.

    A is (..., m, n), float or complex. RuntimeError for a zero pivot. `lu_solve` and `lu_unpack`
    take the result. The gradient is that of `linalg.lu`.

    >>> import pullback as torch
    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 3.0], [2.0, 4.0]])).pivots
    tensor([2, 2], dtype=torch.int32)
    """
    return named_results("linalg_lu_factor", _lu_factor_ex(A, pivot, "torch.linalg.lu_factor")[:2], out)


@public(space="linalg")
def linalg_lu(
    A: Tensor, *, pivot: bool = True, out: tuple[Tensor, Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """P, L and U of `A = P L U`: a permutation, a lower triangle with ones, an upper triangle.

    A is (..., m, n), float or complex. The gradient is
    `P L^-H [tril(L.mH gL, -1) + triu(gU U.mH)] U^-H` for square matrices.

    >>> import pullback as torch
    >>> torch.linalg.lu(torch.tensor([[1.0, 3.0], [2.0, 4.0]])).U
    tensor([[2., 4.],
            [0., 1.]])
    """
    P, L, U = _lu(A, pivot)
    return named_results("linalg_lu", (P.detach(), L, U), out)


@function(places="t")
def lu_unpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """P, L and U from the result of `linalg.lu_factor`; empty tensors for what is not asked for.

    >>> import pullback as torch
    >>> torch.lu_unpack(*torch.linalg.lu_factor(torch.tensor([[2.0]]))).U
    tensor([[2.]])
    """
    P, L, U = _unpack(LU_data, LU_pivots, unpack_data, unpack_pivots)
    empty = ops.empty((0,), dtype=LU_data.dtype)
    P = P.detach() if unpack_pivots else empty
    return named_results("lu_unpack", (P, L, U) if unpack_data else (P, empty, empty), out)


@function(name="_lu_with_info", places="t")
def _lu_with_info(
    input: Tensor, pivot: bool = True, check_errors: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """`linalg.lu_factor_ex` under the name that `torch.lu` uses."""
    check = "torch.linalg.lu_factor_ex" if check_errors else ""
    return named_results("_lu_with_info", _lu_factor_ex(input, pivot, check), None)


@function()
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> tuple[Tensor, ...]:
    """LU and pivots in a plain tuple, with `get_infos=True` the codes: `linalg.lu_factor` is its name now.

    >>> import pullback as torch
    >>> LU, pivots = torch.lu(torch.tensor([[2.0]]))
    """
    warn(
        "torch.lu is deprecated in favor of torch.linalg.lu_factor / torch.linalg.lu_factor_ex and will be "
        "removed in a future PyTorch release.\nLU, pivots = torch.lu(A, compute_pivots)\n"
        "should be replaced with\nLU, pivots = torch.linalg.lu_factor(A, compute_pivots)\nand\n"
        "LU, pivots, info = torch.lu(A, compute_pivots, get_infos=True)\nshould be replaced with\n"
        "LU, pivots, info = torch.linalg.lu_factor_ex(A, compute_pivots)"
    )
    results = _lu_factor_ex(A, pivot)[: 3 if get_infos else 2]
    if out is None:
        return tuple(results)
    if len(out) != len(results):
        raise TypeError(f"expected tuple of {len(results)} elements but got {len(out)}")
    return tuple(into_out("lu", result, target, True) for result, target in zip(results, out, strict=True))


# ------------------------------------------------------------------------------ solving by factors


def solve_by_factors(packed: Array, pivots: Array, b: Array, left: bool, adjoint: bool) -> Array:
    """The solution of `op(A) X = B` or `X op(A) = B`, op the adjoint or nothing."""
    stack = np.broadcast_shapes(packed.shape[:-2], b.shape[:-2])
    packed, b = stacked_alike(packed, b)
    pivots = np.broadcast_to(pivots, (*stack, pivots.shape[-1]))
    if left:
        return lapack.lu_solve(packed, pivots, b, "C" if adjoint else "N")
    b = np.swapaxes(b, -2, -1)
    if not adjoint:
        return np.swapaxes(lapack.lu_solve(packed, pivots, b, "T"), -2, -1)
    return np.conj(np.swapaxes(lapack.lu_solve(packed, pivots, np.conj(b), "N"), -2, -1))


@op(name="linalg_lu_solve", places="", layout="", takes_half=True)
def _lu_solve(self: Array, pivots: Array, B: Array, left: bool = True, adjoint: bool = False) -> Array:
    """The solution X of `op(A) X = B`, or of `X op(A) = B`, A being given by its packed factors."""
    return solve_by_factors(self, pivots, B, left, adjoint)


_lu_solve.batch(batched_all)


@_lu_solve.prepare
def _plan_lu_solve(self: Spec, pivots: Spec, B: Spec, left: bool, adjoint: bool) -> Plan:
    _check_lu_solve(self, pivots, B, left)
    stack = common_stack(B.shape[:-2], self.shape[:-2])
    return factors_plan(self, pivots, B, stack, Form(left, adjoint), (0, 1, 2))


def solution_spec(B: Spec, stack: tuple[int, ...], left: bool) -> Spec:
    """The result of a system: column by column, or row by row if the matrix stands on the right."""
    shape = stack + B.shape[-2:]
    return Spec.columns(B.dtype, shape) if left else Spec(B.dtype, shape)


def factors_plan(
    packed: Spec, pivots: Spec, B: Spec, stack: tuple[int, ...], form: Form, order: tuple[int, int, int]
) -> Plan:
    """The plan of a solution by factors; `order` says which of the tensors these, the pivots and B are."""
    result = solution_spec(B, stack, form.left)
    of_factors, of_pivots, of_b = map(Place, order)
    chain = Matrices(max(order) + 1, stack, B.dtype, result)
    factors, b, to = (
        chain.matrices(of_factors, packed),
        chain.matrices(of_b, B),
        chain.matrices(chain.result(), result),
    )
    chain.solve_lu(factors, chain.pivots(of_pivots, pivots), b, to, form)
    return chain.plan()


def matrix_gradient(gB: Tensor, X: Tensor, left: bool, adjointed: bool) -> Tensor:
    """gA of `op(A) X = B`, or of `X op(A) = B`, op the adjoint or nothing, from gB.

    For `A X = B`: A dX = dB - dA X, so gA = -gB X^H, where A^H gB = gX. (Giles 2008.)
    """
    if left:
        return -(X @ adjoint(gB)) if adjointed else -(gB @ adjoint(X))
    return -(adjoint(gB) @ X) if adjointed else -(adjoint(X) @ gB)


@_lu_solve.joint_vjp
def _lu_solve_gradient(
    g: Tensor, self: Tensor, pivots: Tensor, left: bool, adjoint: bool, result: Tensor, needs: Any
) -> Any:
    gB = _lu_solve(self, pivots, g, left, not adjoint)
    if not needs[0]:
        return None, None, gB
    return _packed_gradient(matrix_gradient(gB, result, left, adjoint), self, pivots), None, gB


def _packed_gradient(gA: Tensor, packed: Tensor, pivots: Tensor) -> Tensor:
    """The gradient of the packed factors from that of A = P L U: gL = P^T gA U^H, gU = L^H P^T gA."""
    P, L, U = _unpack(packed, pivots)
    permuted = ops.transpose(P.detach(), -2, -1) @ gA
    return strict_lower(permuted @ adjoint(U)) + ops.triu(adjoint(L) @ permuted)


@public(space="linalg")
def linalg_lu_solve(
    LU: Tensor,
    pivots: Tensor,
    B: Tensor,
    *,
    left: bool = True,
    adjoint: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """The solution of `A X = B` (`X A = B` with `left=False`) from the factors of A.

    With `adjoint=True` for `A.mH` in place of A. The stacks are broadcast. RuntimeError for shapes
    and dtypes that do not fit.

    >>> import pullback as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.0]]))
    >>> torch.linalg.lu_solve(LU, pivots, torch.tensor([[6.0]]))
    tensor([[3.]])
    """
    return _lu_solve(LU, pivots, B, left, adjoint, out=out)


@explained
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The solution of `A X = input` from the factors of A: `linalg.lu_solve` is its name now.

    >>> import pullback as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.0]]))
    >>> torch.lu_solve(torch.tensor([[6.0]]), LU, pivots)
    tensor([[3.]])
    """
    warn(
        "torch.lu_solve is deprecated in favor of torch.linalg.lu_solveand will be removed in a future "
        "PyTorch release.\nNote that torch.linalg.lu_solve has its arguments reversed.\nX = "
        "torch.lu_solve(B, LU, pivots)\nshould be replaced with\nX = torch.linalg.lu_solve(LU, pivots, B)"
    )
    return _lu_solve(LU_data, LU_pivots, input, True, False, out=out)


# ---------------------------------------------------------------------------------------- refusals

_ZERO_PIVOT = (
    "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. If you still "
    "want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)"
)


def _check_lu(name: str, a: Spec, pivot: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead"
        )
    check_kernel("lu_cpu", a)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


def _check_packed(a: Spec, pivots: Spec, order: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(
            f"torch.lu_unpack: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead"
        )
    if order and pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )


def _check_lu_solve(LU: Spec, pivots: Spec, B: Spec, left: bool) -> None:
    name = "torch.linalg.lu_solve"
    check_inexact(name, LU)
    if pivots.dtype is not int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    check_square(name, LU)
    name = "linalg.lu_solve"
    check_stack(name, B, "B")
    check_fit(name, LU, B, left)
    if pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if pivots.shape[:-1] != LU.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} instead"
        )
    if LU.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type "
            f"{type_name(LU)} and B of type {type_name(B)} instead"
        )
    check_kernel("linalg.lu_solve_cpu", LU)
