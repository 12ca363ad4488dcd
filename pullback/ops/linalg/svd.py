"""The singular value decomposition.

For A = U S V^H the derivative of U and V divides by the differences and the sums of singular values.
NOTE [Gaps]: a gap that closes leaves the vectors open, up to a rotation among them. A function that
does not depend on the choice has nothing to be divided there; `guarded` makes that zero, and nan of
a function that does depend on it. So s_j^2 - s_i^2 is not formed: what is to be divided by s_j - s_i
and what by s_j + s_i vanish separately.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.linalg.checks_and_stacks import (
    LinAlgError,
    check_inexact,
    check_kernel,
    check_stack,
    columns_like,
    given,
    guarded,
    left,
    main_diagonal,
    named,
    raise_for,
    skew,
    top,
)

_NO_CONVERGENCE = "The algorithm failed to converge because the input matrix contained non-finite values."


# ------------------------------------------------------------------------------------------- SVD


def check_found(a: Array, values: Array) -> None:
    """Refuses what the algorithm found no values for: it marks them nan."""
    if np.isnan(values).any():
        failed = np.isnan(values).any(-1)
        raise_for(failed.astype(np.int32), "linalg.svd", _NO_CONVERGENCE, LinAlgError)


def _check(a: Array) -> None:
    check_stack("linalg.svd", a)
    check_inexact("linalg.svd", a)
    check_kernel("linalg_svd_cpu", a)


@op(name="linalg_svd", places="", layout="", takes_half=True)
def svd_of(self: Tensor, full: bool = False):
    _check(self)
    m, n = self.shape[-2:]
    few = min(m, n)
    U = columns_like(self, m, m if full else few)
    V = columns_like(self, n if full else few, n)
    S = np.empty((*self.shape[:-2], few), self.real.dtype)
    if self.size:
        (_umath_linalg.svd_f if full else _umath_linalg.svd_s)(self, out=(U, S, V))
        check_found(self, S)
    else:
        U[...], V[...] = np.eye(*U.shape[-2:]), np.eye(*V.shape[-2:])
        S[...] = 0
    return U, S, V


@op(name="linalgsingular_values", places="", grad_name="LinalgSvdBackward0", takes_half=True)
def singular_values(self: Tensor):
    _check(self)
    few = min(self.shape[-2:])
    if not self.size:
        return np.zeros((*self.shape[:-2], few), self.real.dtype)
    values = _umath_linalg.svd(self)
    check_found(self, values)
    return values


@op(name="phase_check", places="", nondiff=True)
def phase_check(self: Tensor, message: str):
    """Refuses a function of singular vectors or eigenvectors that depends on their phase."""
    if self.size and np.abs(self).max() > 1e-2:
        raise RuntimeError(message)
    return np.zeros(())


_PHASE = (
    "svd_backward: The singular vectors in the complex case are specified up to multiplication by "
    "e^{i phi}. The specified loss function depends on this phase term, making it ill-defined."
)


def noise(*parts: Tensor) -> Tensor:
    """What counts as zero among numbers that were summed up from these."""
    size = sum(ops.amax(ops.abs(part), (-2, -1), True) for part in parts)
    return size * (ops.finfo(size.dtype).eps * 64 * max(parts[0].shape[-1], 4))


def nearness(values: Tensor) -> Tensor:
    """How far two of these may lie apart and count as one; values (..., n) to (..., 1, 1)."""
    size = ops.amax(ops.abs(values), -1, True)
    return ops.unsqueeze(size * (ops.finfo(size.dtype).eps * 4 * max(values.shape[-1], 4)), -1)


def _svd_slope(
    of_u: Tensor | None, of_s: Tensor | None, of_v: Tensor | None, U: Tensor, S: Tensor, Vh: Tensor
) -> Tensor:
    """The gradient of A from those of the factors; `of_v` is that of Vh."""
    m, n, few = U.shape[-2], Vh.shape[-1], S.shape[-1]
    if few == 0:
        return ops.matmul(U, Vh)
    if of_u is None and of_v is None:
        return U @ (ops.unsqueeze(of_s, -1) * Vh)
    inner_u = None if of_u is None else adjoint(U) @ of_u
    inner_v = None if of_v is None else Vh @ adjoint(of_v)
    parts = [x for x in (inner_u, inner_v) if x is not None]
    a, b = (skew(x) if x is not None else None for x in (inner_u, inner_v))
    both = a if b is None else b if a is None else a + b
    apart = a if b is None else -b if a is None else a - b
    if U.dtype.is_complex:
        phase_check(ops.imag(main_diagonal(both)), _PHASE)
    size, limit = noise(*parts), nearness(S)
    row, column = ops.unsqueeze(S, -2), ops.unsqueeze(S, -1)
    off = 1 - ops.eye(few, dtype=S.dtype)
    middle = (
        guarded(both * off, row - column, limit, size) + guarded(apart, row + column, limit, size)
    ) * 0.5
    if of_s is not None:
        middle = middle + ops.diag_embed(of_s)
    found = U @ middle @ Vh
    if of_u is not None and m > few:
        outside = of_u - U @ inner_u
        found = found + guarded(outside, row, limit, noise(of_u)) @ Vh
    if of_v is not None and n > few:
        outside = of_v - adjoint(inner_v) @ Vh
        found = found + U @ guarded(outside, column, limit, noise(of_v))
    return found


@svd_of.joint_vjp
def _svd_rule(g0: Tensor, g1: Tensor, g2: Tensor, result0: Tensor, result1: Tensor, result2: Tensor) -> Any:
    few = result1.shape[-1]
    of_u = None if g0 is None else left(g0, few)
    of_v = None if g2 is None else top(g2, few)
    return (_svd_slope(of_u, g1, of_v, left(result0, few), result1, top(result2, few)),)


def singular_values_slope(g: Tensor, self: Tensor) -> Tensor:
    U, _, Vh = svd_of(self, False)
    return U @ (ops.unsqueeze(g, -1) * Vh)


singular_values.vjp(self=singular_values_slope)
svd_of.batch_rule = singular_values.batch_rule = "leading"


def _check_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )


@function(name="linalg_svd", places="", aliases=("linalg.svd",))
def svd_public(A: Tensor, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    """U, S and Vh of `A = U diag(S) Vh`, S real and descending, U and V with orthonormal columns.

    A is (..., m, n), float or complex; with k the smaller of m and n, U is (..., m, k) and Vh
    (..., k, n), or square with `full_matrices=True`. LinAlgError for numbers that are not finite.
    The gradient of U and V exists for functions that do not depend on their phases, nor on a choice
    of vectors for equal singular values: these are finite there, others nan. How equal singular values
    part is not told by the factors: a matrix rebuilt of them gets no gradient for that.

    >>> import pullback as torch
    >>> torch.linalg.svd(torch.tensor([[3.0, 0.0], [0.0, -4.0]])).S
    tensor([4., 3.])
    """
    _check_driver(driver)
    return named("linalg_svd", svd_of(A, bool(full_matrices)), out)


@function(places="", aliases=("linalg.svdvals",))
def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values of (..., m, n), descending. The gradient is `U diag(g) Vh`.

    >>> import pullback as torch
    >>> torch.linalg.svdvals(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor([4., 3.])
    """
    _check_driver(driver)
    return given("linalg_svd", singular_values(A), out)


@function(name="svd")
def svd(input: Tensor, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """U, S and V of `input = U diag(S) V.mH`: `linalg.svd` is its name now, with V.mH in place of V.

    >>> import pullback as torch
    >>> torch.svd(torch.tensor([[3.0, 0.0], [0.0, -4.0]])).S
    tensor([4., 3.])
    """
    if input.ndim < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.ndim} dimensions instead"
        )
    if not compute_uv:
        m, n = input.shape[-2:]
        zeros = [ops.zeros((*input.shape[:-2], k, k), dtype=input.dtype) for k in (m, n)]
        return named("svd", (zeros[0], singular_values(input), zeros[1]), out)
    U, S, Vh = svd_of(input, not some)
    return named("svd", (U, S, adjoint(Vh)), out)
