"""LDL factors of symmetric and Hermitian matrices, indefinite ones too, and solving with them.

LAPACK packs A = L D L^H, D with blocks of one or two, into one lower triangle, and leaves the columns
of L as they were before the later exchanges of rows. `_ldl_layout` undoes that: where the elements of L
lie, which are D's, and the permutation P with P^T A P = L D L^H. As for LU factors (see lu.py),

    X = L^-1 P^T dA P L^-H = L^-1 dL D + dD + D dL^H L^-H,

whose blocks are dD, and what is below them is L^-1 dL D. Transposed, with "below" for that part,
gX = below(L^H gL) D^-H + gD and gA = P L^-H gX L^-1 P^T, as a gradient of the lower triangle alone.
Without `hermitian` the transpose stands for the adjoint.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import int32
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.inverse import inverse_and_info
from pullback.ops.linalg.plans import BLOCK, Matrices, said_by, transposed_operand
from pullback.ops.linalg.refusals import check_inexact, check_kernel, check_square, raise_for
from pullback.ops.linalg.stacks import (
    batched_all,
    columns_like,
    main_diagonal,
    meta_matrices,
    named_results,
    stacked_alike,
    strict_lower,
    transposed,
)
from pullback.ops.linalg.triangular import check_pair, triangular
from pullback.ops.shared.chains import SCRATCH, Place
from pullback.ops.shared.forms import public


@op(name="linalg_ldl_factor_ex", places="", layout="", takes_half=True, batch="leading")
def _ldl_factor_ex(self: Array, hermitian: bool = False, check: str = "") -> tuple[Array, Array, Array]:
    """The factors in one lower triangle, pivots and codes; raises for these in the name of `check`."""
    packed, pivots, info = lapack.ldl_factor(self, hermitian)
    if check:
        raise_for(info, check, _ZERO_BLOCK)
    factor = columns_like(packed)
    factor[...] = np.tril(packed)
    return factor, pivots, info


@_ldl_factor_ex.prepare
def _plan_ldl(self: Spec, hermitian: bool, check: str) -> Plan:
    _check_ldl(self)
    stack, n = self.shape[:-2], self.shape[-1]
    results = Spec.columns(self.dtype, self.shape), Spec(int32, (*stack, n)), Spec(int32, stack)
    chain = Matrices(1, stack, self.dtype, results)
    packed, pivots, codes = chain.packed(n, n), chain.integers(n, chain.result(1)), chain.result(2)
    chain.copy(chain.matrices(Place(0), self), packed)
    if n:
        name = "hetrf" if hermitian and self.dtype.is_complex else "sytrf"
        numbers = ("L", n, packed, n, pivots, Place(SCRATCH), n * BLOCK)
        chain.routine(name, *numbers, info=codes, checked=bool(check), work=n * BLOCK)
    else:
        chain.zero(chain.room(int32, chain.leading, codes))
    # the lower triangle of what lies column by column is the upper one of the transpose, row by row
    to = chain.packed(n, n, chain.result(0))
    chain.triangle(transposed_operand(packed), transposed_operand(to), lower=False)
    return chain.plan(said_by(_ldl_factor_ex.kernel))


@op(name="ldl_layout", places="", nondiff=True)
def _ldl_layout(self: Array, pivots: Array) -> tuple[Array, Array, Array]:
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
    index = np.where(among, target[..., None], k)[..., None]
    moved = np.take_along_axis(lines, index, -1)
    np.put_along_axis(lines, index, lines[..., k : k + 1].copy(), -1)
    lines[..., k : k + 1] = moved


@_ldl_layout.meta
def _ldl_layout_shapes(self: Array, pivots: Array) -> Any:
    n = self.shape[-1]
    kinds = (np.int64, self.real.dtype, self.dtype)
    return tuple(meta_matrices(self, n, n, kind, columns=False) for kind in kinds)


_ldl_layout.batch(batched_all)


def _factors(packed: Tensor, pivots: Tensor, hermitian: bool) -> tuple[Tensor, ...]:
    """L, D, the mask of D's elements, rows and P."""
    rows, mask, P = _ldl_layout(packed, pivots)
    L = strict_lower(ops.gather(packed, -2, rows)) * (1 - mask) + ops.eye(
        packed.shape[-1], dtype=packed.dtype
    )
    lower_D = packed * mask
    upper_D = adjoint(strict_lower(lower_D)) if hermitian else transposed(strict_lower(lower_D))
    return L, lower_D + upper_D, mask, rows, P


@_ldl_factor_ex.joint_vjp
def _ldl_gradient(g0: Tensor, hermitian: bool, result0: Tensor, result1: Tensor) -> Any:
    L, D, mask, rows, P = _factors(result0, result1, hermitian)
    gL = strict_lower(ops.gather(g0, -2, rows)) * (1 - mask)
    below = strict_lower(adjoint(L) @ gL) * (1 - mask)
    gX = below @ adjoint(inverse_and_info(D, "")[0]) + ops.tril(g0) * mask
    half = triangular(adjoint(L), gX, upper=True, unitriangular=True)
    gA = triangular(L if hermitian else conj(L), half, upper=False, left=False, unitriangular=True)
    gA = P @ gA @ transposed(P)
    return (ops.tril(gA) + strict_lower(adjoint(gA) if hermitian else transposed(gA)),)


@public(space="linalg")
def ldl_factor_ex(
    input: Tensor,
    *,
    hermitian: bool = False,
    check_errors: bool = False,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`linalg.ldl_factor` with a code for each matrix: 0, or the place of a zero block.

    >>> import pullback as torch
    >>> torch.linalg.ldl_factor_ex(torch.zeros(1, 1)).info
    tensor(1, dtype=torch.int32)
    """
    check = "torch.linalg.ldl_factor_ex" if check_errors else ""
    return named_results("linalg_ldl_factor_ex", _ldl_factor_ex(input, hermitian, check), out)


@public(space="linalg")
def ldl_factor(
    input: Tensor, *, hermitian: bool = False, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """L and D of `input = L D L.mT` (`L.mH` if `hermitian`) in one lower triangle, and pivots.

    `input` is (..., n, n), float or complex; its lower triangle is read. RuntimeError for a block of D
    that is zero. `ldl_solve` takes the result. The gradient is that of the lower triangle, the pivots
    being constant.

    >>> import pullback as torch
    >>> torch.linalg.ldl_factor(torch.tensor([[4.0, 0.0], [2.0, 5.0]])).LD
    tensor([[4.0000, 0.0000],
            [0.5000, 4.0000]])
    """
    LD, pivots, _ = _ldl_factor_ex(input, hermitian, "torch.linalg.ldl_factor")
    return named_results("linalg_ldl_factor", (LD, pivots), out)


# ---------------------------------------------------------------------------------------- solving


def _real_diagonal(a: Array) -> Array:
    """A copy without the imaginary part of the diagonal, which a Hermitian matrix has not."""
    i = np.arange(a.shape[-1])
    a = a.copy()
    a[..., i, i] = a[..., i, i].real
    return a


@op(name="linalg_ldl_solve", places="", layout="", takes_half=True)
def _ldl_solve(self: Array, pivots: Array, B: Array, hermitian: bool = False) -> Array:
    """The solution X of `A X = B`, A being given by its packed factors."""
    _check_ldl_solve(self, pivots, B)
    if hermitian and self.dtype.kind == "c":
        self = _real_diagonal(self)
    packed, b = stacked_alike(self, B)
    pivots = np.broadcast_to(pivots, packed.shape[:-1])
    return lapack.ldl_solve(packed, pivots, b, hermitian)


@_ldl_solve.meta
def _ldl_solve_shape(self: Array, pivots: Array, B: Array, hermitian: bool) -> Array:
    _check_ldl_solve(self, pivots, B)
    b = stacked_alike(self, B)[1]
    return meta_matrices(b, *b.shape[-2:])


@_ldl_solve.joint_vjp
def _ldl_solve_gradients(
    g: Tensor, self: Tensor, pivots: Tensor, hermitian: bool, result: Tensor, needs: Any
) -> Any:
    """gA = -gB X^H, brought to L and D, and to the elements that hold them."""
    gB = _ldl_solve(self, pivots, g if hermitian else conj(g), hermitian)
    gB = gB if hermitian else conj(gB)
    if not needs[0]:
        return None, None, gB
    L, D, mask, rows, P = _factors(self, pivots, hermitian)
    gA = transposed(P) @ -(gB @ adjoint(result)) @ P
    if hermitian:
        gL, gD, mirrored = (gA + adjoint(gA)) @ L @ D, adjoint(L) @ gA @ L, adjoint
    else:
        gL = (gA + transposed(gA)) @ conj(L) @ conj(D)
        gD, mirrored = adjoint(L) @ gA @ conj(L), transposed
    gL = strict_lower(gL) * (1 - mask)
    gpacked = ops.scatter_add(ops.zeros_like(gL), -2, rows, gL)
    gpacked = gpacked + (ops.tril(gD) + strict_lower(mirrored(gD))) * mask
    if hermitian and gpacked.dtype.is_complex:
        gpacked = gpacked - ops.diag_embed(ops.imag(main_diagonal(gpacked))) * 1j
    return gpacked, None, gB


_ldl_solve.batch(batched_all)


@public(space="linalg")
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


# ---------------------------------------------------------------------------------------- refusals

_ZERO_BLOCK = "D[{0},{0}] is zero and using it to solve would result in a division by zero."


def _check_ldl(a: Spec) -> None:
    name = "torch.linalg.ldl_factor_ex"
    check_square(name, a)
    check_inexact(name, a)
    check_kernel("ldl_factor_kernel_cpu", a)


def _check_ldl_solve(LD: Array, pivots: Array, B: Array) -> None:
    name = "torch.linalg.ldl_solve"
    check_square(name, LD)
    check_inexact(name, LD)
    if B.ndim < 2:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got -2)")
    check_pair(name, B, LD)
    if pivots.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {type_name(pivots)}")
    if pivots.shape != LD.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} instead"
        )
    check_kernel("ldl_solve_kernel_cpu", LD)
