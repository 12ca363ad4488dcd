"""LU factors with row pivots, and solving with them.

For A = P L U the derivative is that of a triangular splitting: L^-1 P^T dA U^-1 has dL below its
diagonal and dU above. `_split_slope` transposes it for square, wide and tall matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core.dtype_names import type_name
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.checks_and_stacks import (
    batched_all,
    check_fit,
    check_inexact,
    check_kernel,
    check_square,
    check_stack,
    given,
    left,
    lower,
    named,
    raise_for,
    stacked_alike,
    top,
    without_numbers,
)
from pullback.ops.linalg.triangular import triangular

_ZERO_PIVOT = (
    "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. If you still "
    "want to perform the factorization, consider calling linalg.lu(A, pivot) or "
    "linalg.lu_factor_ex(A, pivot)"
)


def _check(name: str, a: Array, pivot: bool) -> None:
    if a.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(a.shape)} instead"
        )
    check_kernel("lu_cpu", a)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")


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
    rows, count = packed.shape[-2:]
    few = min(rows, count)
    below = np.tril(packed[..., :, :few], -1)
    places = np.arange(few)
    below[..., places, places] = 1
    return below, np.triu(packed[..., :few, :])


def _split_slope(of_l: Tensor | None, of_u: Tensor | None, P: Tensor, L: Tensor, U: Tensor) -> Tensor:
    """The gradient of `A = P L U` from those of L and U."""
    rows, count, few = L.shape[-2], U.shape[-1], L.shape[-1]
    first, last = top(L, few), left(U, few)
    inner = rest = None
    if of_l is not None:
        inner = adjoint(first) @ top(of_l, few)
    outer = None if of_u is None else left(of_u, few) @ adjoint(last)
    if of_u is not None and count > few:
        more, of_more = ops.narrow(U, -1, few, count - few), ops.narrow(of_u, -1, few, count - few)
        shift = of_more @ adjoint(more)
        inner = -shift if inner is None else inner - shift
        rest = triangular(adjoint(first), of_more, True, True, True)
    if of_l is not None and rows > few:
        more, of_more = ops.narrow(L, -2, few, rows - few), ops.narrow(of_l, -2, few, rows - few)
        shift = adjoint(more) @ of_more
        outer = -shift if outer is None else outer - shift
        rest = triangular(adjoint(last), of_more, False, False)
    parts = [part for part in (None if inner is None else lower(inner), outer) if part is not None]
    middle = parts[0] if inner is not None else ops.triu(parts[0])
    if len(parts) == 2:
        middle = middle + ops.triu(outer)
    square = triangular(adjoint(first), middle, True, True, True)
    square = triangular(adjoint(last), square, False, False)
    if rest is not None:
        square = ops.cat([square, rest], -1 if count > few else -2)
    elif count > few or rows > few:
        fill = (0, count - few) if count > few else (0, 0, 0, rows - few)
        square = ops.constant_pad_nd(square, fill)
    return P @ square


@op(name="linalg_lu_factor_ex", places="", layout="", takes_half=True)
def _lu_factor_ex(self: Tensor, pivot: bool = True, check: str = ""):
    _check("torch.lu_factor", self, pivot)
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, _ZERO_PIVOT)
    return packed, pivots, info


@_lu_factor_ex.joint_vjp
def _factor_slope(g0: Tensor, result0: Tensor, result1: Tensor) -> Any:
    P, L, U = _unpack(result0, result1)
    few = L.shape[-1]
    return (_split_slope(left(g0, few), top(g0, few), P.detach(), L, U),)


@op(name="linalg_lu", places="", takes_half=True)
def _lu(self: Tensor, pivot: bool = True):
    _check("linalg.lu", self, pivot)
    packed, pivots, _ = lapack.lu_factor(self)
    return (permutation(pivots, self.shape[-2], self.dtype), *triangles(packed))


@_lu.joint_vjp
def _lu_slope(g1: Tensor, g2: Tensor, result0: Tensor, result1: Tensor, result2: Tensor) -> Any:
    if g1 is None and g2 is None:
        return (None,)
    return (_split_slope(g1, g2, result0.detach(), result1, result2),)


@op(name="lu_unpack", places="", takes_half=True)
def _unpack(self: Tensor, pivots: Tensor, data: bool = True, order: bool = True):
    if self.ndim < 2:
        raise RuntimeError(
            "torch.lu_unpack: Expected tensor with 2 or more dimensions. "
            f"Got size: {list(self.shape)} instead"
        )
    if order and pivots.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\n"
            "Note: this function is intended to be used with the output produced by torch.linalg.lu_factor"
        )
    rows = self.shape[-2]
    if order and not ((pivots >= 1) & (pivots <= rows)).all():
        raise RuntimeError(
            "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."
            "Did you properly pass the result of lu_factor?"
        )
    return (permutation(pivots, rows, self.dtype), *triangles(self))


@_unpack.meta
def _unpack_shapes(self: Array, pivots: Array, data: bool, order: bool) -> Any:
    return (np.zeros((*self.shape[:-2], self.shape[-2], self.shape[-2]), self.dtype), *triangles(self))


@_unpack.joint_vjp
def _unpack_slope(g1: Tensor, g2: Tensor, self_shape: Any) -> Any:
    rows, count = self_shape[-2:]
    few = min(rows, count)
    found = None
    if g1 is not None:
        found = ops.constant_pad_nd(lower(g1), (0, count - few))
    if g2 is not None:
        above = ops.constant_pad_nd(ops.triu(g2), (0, 0, 0, rows - few))
        found = above if found is None else found + above
    return found, None


_lu_factor_ex.batch_rule = _lu.batch_rule = "leading"
_unpack.batch_rule = batched_all
without_numbers(_lu_factor_ex, 2)


@function(places="", aliases=("linalg.lu_factor_ex",))
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """`linalg.lu_factor` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.lu_factor_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    check = "torch.linalg.lu_factor_ex" if check_errors else ""
    return named("linalg_lu_factor_ex", _lu_factor_ex(A, pivot, check), out)


@function(places="", aliases=("linalg.lu_factor",))
def lu_factor(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """L below and U on and above the diagonal of one matrix, and the row pivots, counted from 1.

    A is (..., m, n), float or complex. RuntimeError for a zero pivot. `lu_solve` and `lu_unpack`
    take the result. The gradient is that of `linalg.lu`.

    >>> import pullback as torch
    >>> torch.linalg.lu_factor(torch.tensor([[1.0, 3.0], [2.0, 4.0]])).pivots
    tensor([2, 2], dtype=torch.int32)
    """
    return named("linalg_lu_factor", _lu_factor_ex(A, pivot, "torch.linalg.lu_factor")[:2], out)


@function(name="linalg_lu", places="", aliases=("linalg.lu",))
def lu_of(A: Tensor, *, pivot: bool = True, out: Any = None) -> Any:
    """P, L and U of `A = P L U`: a permutation, a lower triangle with ones, an upper triangle.

    A is (..., m, n), float or complex. The gradient is
    `P L^-H [tril(L.mH gL, -1) + triu(gU U.mH)] U^-H` for square matrices.

    >>> import pullback as torch
    >>> torch.linalg.lu(torch.tensor([[1.0, 3.0], [2.0, 4.0]])).U
    tensor([[2., 4.],
            [0., 1.]])
    """
    P, L, U = _lu(A, pivot)
    return named("linalg_lu", (P.detach(), L, U), out)


@function(places="t")
def lu_unpack(
    LU_data: Tensor,
    LU_pivots: Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
    *,
    out: Any = None,
) -> Any:
    """P, L and U from the result of `linalg.lu_factor`; empty tensors for what is not asked for.

    >>> import pullback as torch
    >>> torch.lu_unpack(*torch.linalg.lu_factor(torch.tensor([[2.0]]))).U
    tensor([[2.]])
    """
    P, L, U = _unpack(LU_data, LU_pivots, unpack_data, unpack_pivots)
    empty = ops.empty((0,), dtype=LU_data.dtype)
    P = P.detach() if unpack_pivots else empty
    return named("lu_unpack", (P, L, U) if unpack_data else (P, empty, empty), out)


@function(name="_lu_with_info", places="t")
def _lu_with_info(input: Tensor, pivot: bool = True, check_errors: bool = True) -> Any:
    """`linalg.lu_factor_ex` under the name that `torch.lu` uses."""
    check = "torch.linalg.lu_factor_ex" if check_errors else ""
    return named("_lu_with_info", _lu_factor_ex(input, pivot, check), None)


@function()
def lu(input: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
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
    found = _lu_factor_ex(input, pivot)[: 3 if get_infos else 2]
    if out is None:
        return tuple(found)
    if len(out) != len(found):
        raise TypeError(f"expected tuple of {len(found)} elements but got {len(out)}")
    return tuple(given("lu", result, target) for result, target in zip(found, out, strict=True))


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
def _lu_solve(self: Tensor, pivots: Tensor, B: Tensor, left: bool = True, adjoint: bool = False):
    name = "torch.linalg.lu_solve"
    check_inexact(name, self)
    if pivots.dtype != np.int32:
        raise RuntimeError("linalg.lu_solve: pivots should be a Tensor of scalar type torch.int32")
    check_square(name, self)
    name = "linalg.lu_solve"
    check_stack(name, B, "B")
    check_fit(name, self, B, left)
    if pivots.shape[-1] != self.shape[-1]:
        raise RuntimeError(
            f"{name}: Number of pivots per batch should be same as the dimension of the matrix"
        )
    if pivots.shape[:-1] != self.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, "
            f"but got pivots with shape {list(pivots.shape)} instead"
        )
    if self.dtype != B.dtype:
        raise RuntimeError(
            f"{name}: Expected LU and B to have the same dtype, but found LU of type "
            f"{type_name(self)} and B of type {type_name(B)} instead"
        )
    check_kernel("linalg.lu_solve_cpu", self)
    return solve_by_factors(self, pivots, B, left, adjoint)


_lu_solve.batch_rule = batched_all


@_lu_solve.meta
def _lu_solve_shape(self: Array, pivots: Array, B: Array, left: bool, adjoint: bool) -> Array:
    return _lu_solve.kernel(self, np.ones(pivots.shape, np.int32), B, left, adjoint)


def matrix_slope(of_b: Tensor, x: Tensor, left: bool, adjointed: bool) -> Tensor:
    """The gradient of A in `op(A) X = B`, or `X op(A) = B`, from that of B."""
    if left:
        return -(x @ adjoint(of_b)) if adjointed else -(of_b @ adjoint(x))
    return -(adjoint(of_b) @ x) if adjointed else -(adjoint(x) @ of_b)


@_lu_solve.joint_vjp
def _lu_solve_slope(
    g: Tensor, self: Tensor, pivots: Tensor, left: bool, adjoint: bool, result: Tensor, needs: Any
) -> Any:
    of_b = _lu_solve(self, pivots, g, left, not adjoint)
    return (
        _of_packed(matrix_slope(of_b, result, left, adjoint), self, pivots) if needs[0] else None,
        None,
        of_b,
    )


def _of_packed(of_matrix: Tensor, packed: Tensor, pivots: Tensor) -> Tensor:
    """The gradient of packed factors from that of the matrix P L U."""
    P, L, U = _unpack(packed, pivots)
    moved = ops.transpose(P.detach(), -2, -1) @ of_matrix
    return lower(moved @ adjoint(U)) + ops.triu(adjoint(L) @ moved)


@function(name="linalg_lu_solve", places="", aliases=("linalg.lu_solve",))
def lu_solve_of(
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


@function()
def lu_solve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The solution of `A X = b` from the factors of A: `linalg.lu_solve` is its name now.

    >>> import pullback as torch
    >>> LU, pivots = torch.linalg.lu_factor(torch.tensor([[2.0]]))
    >>> torch.lu_solve(torch.tensor([[6.0]]), LU, pivots)
    tensor([[3.]])
    """
    warn(
        "torch.lu_solve is deprecated in favor of torch.linalg.lu_solve"
        "and will be removed in a future PyTorch release.\n"
        "Note that torch.linalg.lu_solve has its arguments reversed.\n"
        "X = torch.lu_solve(B, LU, pivots)\nshould be replaced with\n"
        "X = torch.linalg.lu_solve(LU, pivots, B)"
    )
    return _lu_solve(LU_data, LU_pivots, b, True, False, out=out)
