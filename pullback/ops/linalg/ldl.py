"""LDL factors of symmetric and Hermitian matrices, indefinite ones too, and solving with them.

LAPACK packs A = L D L^H, D with blocks of one or two, into one lower triangle, and leaves the columns
of L as they were before the later exchanges of rows. `_layout` undoes that: where the elements of L
lie, which are D's, and the permutation P with P^T A P = L D L^H. The derivative splits
X = L^-1 P^T dA P L^-H: its blocks are dD, and what is below them is L^-1 dL D.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core.dtype_names import type_name
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.checks_and_stacks import (
    batched_all,
    check_inexact,
    check_kernel,
    check_square,
    columns_like,
    lower,
    main_diagonal,
    named,
    raise_for,
    stacked_alike,
    transposed,
    without_numbers,
)
from pullback.ops.linalg.inverse import inverse_of
from pullback.ops.linalg.triangular import check_pair, triangular

_ZERO_BLOCK = "D[{0},{0}] is zero and using it to solve would result in a division by zero."


@op(name="linalg_ldl_factor_ex", places="", layout="", takes_half=True)
def _ldl_factor_ex(self: Tensor, hermitian: bool = False, check: str = ""):
    name = "torch.linalg.ldl_factor_ex"
    check_square(name, self)
    check_inexact(name, self)
    check_kernel("ldl_factor_kernel_cpu", self)
    packed, pivots, info = lapack.ldl_factor(self, hermitian)
    if check:
        raise_for(info, check, _ZERO_BLOCK)
    factor = columns_like(packed)
    factor[...] = np.tril(packed)
    return factor, pivots, info


@op(name="ldl_layout", places="", nondiff=True)
def _layout(self: Tensor, pivots: Tensor):
    """Rows from where the elements of L come, the mask of those of D, and P."""
    n = self.shape[-1]
    stack = pivots.shape[:-1]
    rows = np.broadcast_to(np.arange(n)[:, None], (*stack, n, n)).copy()
    order = np.broadcast_to(np.arange(n), (*stack, n)).copy()
    mask = np.broadcast_to(np.eye(n), (*stack, n, n)).copy()
    second = np.zeros(stack, bool)
    for k in range(n):
        pivot = pivots[..., k].astype(np.int64)
        pair = pivot < 0
        if k:
            mask[..., k, k - 1] = second
        first = np.where(second, k - 1, k)
        target = np.where(pair & ~second, k, np.abs(pivot) - 1)
        _exchange(order[..., None, :], k, target, np.full(stack, 1))
        _exchange(np.swapaxes(rows, -2, -1), k, target, first)
        second = pair & ~second
    P = (order[..., None, :] == np.arange(n)[:, None]).astype(self.dtype)
    return rows, mask.astype(self.real.dtype), P


def _exchange(lines: Array, k: int, target: Array, count: Array) -> None:
    """Exchanges the elements k and `target` of the first `count` of these lines."""
    among = np.arange(lines.shape[-2]) < count[..., None]
    place = np.where(among, target[..., None], k)[..., None]
    moved = np.take_along_axis(lines, place, -1)
    np.put_along_axis(lines, place, lines[..., k : k + 1].copy(), -1)
    lines[..., k : k + 1] = moved


_layout.batch_rule = batched_all


def _factors(packed: Tensor, pivots: Tensor, hermitian: bool) -> tuple[Tensor, ...]:
    """L, D, the mask of D's elements, rows and P."""
    rows, mask, P = _layout(packed, pivots)
    below = lower(ops.gather(packed, -2, rows)) * (1 - mask)
    L = below + ops.eye(packed.shape[-1], dtype=packed.dtype)
    half = packed * mask
    other = adjoint(lower(half)) if hermitian else transposed(lower(half))
    return L, half + other, mask, rows, P


@_ldl_factor_ex.joint_vjp
def _ldl_slope(g0: Tensor, hermitian: bool, result0: Tensor, result1: Tensor) -> Any:
    L, D, mask, rows, P = _factors(result0, result1, hermitian)
    of_l = lower(ops.gather(g0, -2, rows)) * (1 - mask)
    inner = lower(adjoint(L) @ of_l) * (1 - mask)
    of_x = inner @ adjoint(inverse_of(D, "")[0]) + ops.tril(g0) * mask
    half = triangular(adjoint(L), of_x, True, True, True)
    full = triangular(L if hermitian else conj(L), half, False, False, True)
    full = P @ full @ transposed(P)
    return (ops.tril(full) + lower(adjoint(full) if hermitian else transposed(full)),)


_ldl_factor_ex.batch_rule = "leading"
without_numbers(_ldl_factor_ex, 2)


@function(places="", aliases=("linalg.ldl_factor_ex",))
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """`linalg.ldl_factor` with a code for each matrix: 0, or the place of a zero block.

    >>> import pullback as torch
    >>> torch.linalg.ldl_factor_ex(torch.zeros(1, 1)).info
    tensor(1, dtype=torch.int32)
    """
    check = "torch.linalg.ldl_factor_ex" if check_errors else ""
    return named("linalg_ldl_factor_ex", _ldl_factor_ex(A, hermitian, check), out)


@function(places="", aliases=("linalg.ldl_factor",))
def ldl_factor(A: Tensor, *, hermitian: bool = False, out: Any = None) -> Any:
    """L and D of `A = L D L.mT` (`L.mH` if `hermitian`) in one lower triangle, and pivots.

    A is (..., n, n), float or complex; its lower triangle is read. RuntimeError for a block of D that
    is zero. `ldl_solve` takes the result. The gradient is that of the lower triangle, the pivots
    being constant.

    >>> import pullback as torch
    >>> torch.linalg.ldl_factor(torch.tensor([[4.0, 0.0], [2.0, 5.0]])).LD
    tensor([[4.0000, 0.0000],
            [0.5000, 4.0000]])
    """
    found = _ldl_factor_ex(A, hermitian, "torch.linalg.ldl_factor")
    return named("linalg_ldl_factor", found[:2], out)


# ---------------------------------------------------------------------------------------- solving


def _real_diagonal(a: Array) -> Array:
    """A copy without the imaginary part of the diagonal, which a Hermitian matrix has not."""
    places = np.arange(a.shape[-1])
    a = a.copy()
    a[..., places, places] = a[..., places, places].real
    return a


@op(name="linalg_ldl_solve", places="", layout="", takes_half=True)
def _ldl_solve(self: Tensor, pivots: Tensor, B: Tensor, hermitian: bool = False):
    name = "torch.linalg.ldl_solve"
    check_square(name, self)
    check_inexact(name, self)
    if B.ndim < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -2)")
    check_pair(name, B, self)
    if pivots.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {type_name(pivots)}")
    if pivots.shape != self.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, "
            f"but got pivots with shape {list(pivots.shape)} instead"
        )
    check_kernel("ldl_solve_kernel_cpu", self)
    if hermitian and self.dtype.kind == "c":
        self = _real_diagonal(self)
    packed, b = stacked_alike(self, B)
    pivots = np.broadcast_to(pivots, packed.shape[:-1])
    return lapack.ldl_solve(packed, pivots, b, hermitian)


@_ldl_solve.meta
def _ldl_solve_shape(self: Array, pivots: Array, B: Array, hermitian: bool) -> Array:
    return np.zeros(stacked_alike(self, B)[1].shape, B.dtype)


@_ldl_solve.joint_vjp
def _ldl_solve_slope(
    g: Tensor, self: Tensor, pivots: Tensor, hermitian: bool, result: Tensor, needs: Any
) -> Any:
    of_b = _ldl_solve(self, pivots, g if hermitian else conj(g), hermitian)
    of_b = of_b if hermitian else conj(of_b)
    if not needs[0]:
        return None, None, of_b
    L, D, mask, rows, P = _factors(self, pivots, hermitian)
    of_a = transposed(P) @ -(of_b @ adjoint(result)) @ P
    if hermitian:
        of_l, of_d, turn = (of_a + adjoint(of_a)) @ L @ D, adjoint(L) @ of_a @ L, adjoint
    else:
        right = conj(L)
        of_l = (of_a + transposed(of_a)) @ right @ conj(D)
        of_d, turn = adjoint(L) @ of_a @ right, transposed
    of_l = lower(of_l) * (1 - mask)
    packed = ops.scatter_add(ops.zeros_like(of_l), -2, rows, of_l)
    packed = packed + (ops.tril(of_d) + lower(turn(of_d))) * mask
    if hermitian and packed.dtype.is_complex:
        packed = packed - ops.diag_embed(ops.imag(main_diagonal(packed))) * 1j
    return packed, None, of_b


_ldl_solve.batch_rule = batched_all


@function(places="", aliases=("linalg.ldl_solve",))
def ldl_solve(
    LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False, out: Tensor | None = None
) -> Tensor:
    """The solution of `A X = B` from the result of `linalg.ldl_factor`.

    The stacks are broadcast. RuntimeError for shapes and dtypes that do not fit.

    >>> import pullback as torch
    >>> LD, pivots = torch.linalg.ldl_factor(torch.tensor([[2.0]]))
    >>> torch.linalg.ldl_solve(LD, pivots, torch.tensor([[6.0]]))
    tensor([[3.]])
    """
    return _ldl_solve(LD, pivots, B, hermitian, out=out)
