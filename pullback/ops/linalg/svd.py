"""The singular value decomposition.

A = U S V^H, A (m, n), U (m, k), S (k,), V^H (k, n), k = min(m, n). With the skew parts of U^H gU and
V^H gV, `X = U^H gU - gU^H U` and `Y = V^H gV - gV^H V`, the gradient is

    gA = U [(X S + S Y) / E + diag(gS)] V^H + (1 - U U^H) gU S^-1 V^H + U S^-1 gV^H (1 - V V^H),

where E_ij = s_j^2 - s_i^2 off the diagonal; on it a complex matrix has X_ii / (2 s_i). (Seeger et al. 2017;
Wan and Zhang 2019 for complex matrices.)
It exists for functions that do not depend on the phases of the singular vectors: `Im diag(X + Y)` is zero.

NOTE [Gaps]: a gap that closes leaves the vectors open, up to a rotation among them. A function that
does not depend on the choice has nothing to be divided there; `guarded_quotient` makes that zero, and nan
of a function that does depend on it. So s_j^2 - s_i^2 is not formed: what is to be divided by s_j - s_i
and what by s_j + s_i vanish separately. By (X s_j + s_i Y) / E_ij = [(X + Y) / (s_j - s_i) +
(X - Y) / (s_j + s_i)] / 2 they are the sum and the difference of the two skew parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Op, Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.linalg.plans import Matrices, said_by
from pullback.ops.linalg.refusals import LinAlgError, check_inexact, check_kernel, check_stack, raise_for
from pullback.ops.linalg.stacks import (
    added,
    columns_like,
    first_columns,
    first_rows,
    guarded_quotient,
    into_out,
    main_diagonal,
    named_results,
    skew,
    will_record,
)
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import explained, public


@op(name="linalg_svd", places="", layout="", takes_half=True, batch="leading")
def svd_factors(self: Array, full: bool = False) -> tuple[Array, Array, Array]:
    """U, S and V^H; with `full` U and V are square."""
    m, n = self.shape[-2:]
    k = min(m, n)
    U = columns_like(self, m, m if full else k)
    Vh = columns_like(self, n if full else k, n)
    S = np.empty((*self.shape[:-2], k), self.real.dtype)
    if self.size:
        check_finite(self)
        (_umath_linalg.svd_f if full else _umath_linalg.svd_s)(self, out=(U, S, Vh))
        check_converged(S)
    else:
        U[...], Vh[...] = np.eye(*U.shape[-2:]), np.eye(*Vh.shape[-2:])
        S[...] = 0
    return U, S, Vh


@svd_factors.prepare
def _plan_svd(self: Spec, full: bool) -> Plan:
    _check_svd(self)
    stack, (m, n), real = self.shape[:-2], self.shape[-2:], self.dtype.to_real()
    k = min(m, n)
    rows, columns = (m, n) if full else (k, k)
    results = (
        Spec.columns(self.dtype, (*stack, m, rows)),
        Spec(real, (*stack, k)),
        Spec.columns(self.dtype, (*stack, columns, n)),
    )
    if not self.size:
        return Plan(results)
    chain = Matrices(1, stack, self.dtype, results)
    a, S = chain.matrices(Place(0), self), chain.vectors(chain.result(1), real, k)
    U, Vh = chain.packed(m, rows, chain.result(0)), chain.packed(columns, n, chain.result(2))
    chain.check_finite(a)
    chain.loop(_umath_linalg.svd_f if full else _umath_linalg.svd_s, (m, n, k), a, U, S, Vh)
    chain.check_finite(S)
    return chain.plan(said_by(svd_factors.kernel))


@op(name="linalg_svdvals", places="", grad_name="LinalgSvdBackward0", takes_half=True, batch="leading")
def singular_values(self: Array) -> Array:
    """S alone, which is quicker."""
    if not self.size:
        return np.zeros((*self.shape[:-2], min(self.shape[-2:])), self.real.dtype)
    check_finite(self)
    values = _umath_linalg.svd(self)
    check_converged(values)
    return values


@singular_values.prepare
def _plan_svdvals(self: Spec) -> Plan:
    _check_svd(self)
    stack, (m, n), real = self.shape[:-2], self.shape[-2:], self.dtype.to_real()
    result = Spec(real, (*stack, min(m, n)))
    if not self.size:
        return Plan(result)
    chain = Matrices(1, stack, self.dtype, result)
    a, S = chain.matrices(Place(0), self), chain.vectors(chain.result(), real, min(m, n))
    chain.check_finite(a)
    chain.loop(_umath_linalg.svd, (m, n, min(m, n)), a, S)
    chain.check_finite(S)
    return chain.plan(said_by(singular_values.kernel))


def noise(*parts: Tensor) -> Tensor:
    """What counts as zero among numbers that were summed up from these."""
    size = sum(ops.amax(ops.abs(part), (-2, -1), True) for part in parts)
    return size * (ops.finfo(size.dtype).eps * 64 * max(parts[0].shape[-1], 4))


def nearness(values: Tensor) -> Tensor:
    """How far two of these may lie apart and count as one; values (..., n) to (..., 1, 1)."""
    size = ops.amax(ops.abs(values), -1, True)
    return ops.unsqueeze(size * (ops.finfo(size.dtype).eps * 4 * max(values.shape[-1], 4)), -1)


def _svd_gradient(
    gU: Tensor | None, gS: Tensor | None, gVh: Tensor | None, U: Tensor, S: Tensor, Vh: Tensor
) -> Tensor:
    """gA from the gradients of U (m, k), S (k,) and V^H (k, n), by the formula at the head of the file."""
    m, n, k = U.shape[-2], Vh.shape[-1], S.shape[-1]
    if k == 0:
        return ops.matmul(U, Vh)
    if gU is None and gVh is None:
        return U @ (ops.unsqueeze(gS, -1) * Vh)
    UhgU = None if gU is None else adjoint(U) @ gU
    VhgV = None if gVh is None else Vh @ adjoint(gVh)
    products = [x for x in (UhgU, VhgV) if x is not None]
    X, Y = (skew(x) if x is not None else None for x in (UhgU, VhgV))
    total, difference = added(X, Y), added(X, None if Y is None else -Y)
    assert total is not None and difference is not None
    if U.dtype.is_complex:
        phase_check(ops.imag(main_diagonal(total)), _PHASE)
    size, limit = noise(*products), nearness(S)
    s_j, s_i = ops.unsqueeze(S, -2), ops.unsqueeze(S, -1)
    off_diagonal = 1 - ops.eye(k, dtype=S.dtype)
    middle = 0.5 * (
        guarded_quotient(total * off_diagonal, s_j - s_i, limit, size)
        + guarded_quotient(difference, s_j + s_i, limit, size)
    )
    if gS is not None:
        middle = middle + ops.diag_embed(gS)
    gA = U @ middle @ Vh
    if gU is not None and UhgU is not None and m > k:
        outside = gU - U @ UhgU
        gA = gA + guarded_quotient(outside, s_j, limit, noise(gU)) @ Vh
    if gVh is not None and VhgV is not None and n > k:
        outside = gVh - adjoint(VhgV) @ Vh
        gA = gA + U @ guarded_quotient(outside, s_i, limit, noise(gVh))
    return gA


@svd_factors.joint_vjp
def _svd_rule(g0: Tensor, g1: Tensor, g2: Tensor, result0: Tensor, result1: Tensor, result2: Tensor) -> Any:
    k = result1.shape[-1]
    gU = None if g0 is None else first_columns(g0, k)
    gVh = None if g2 is None else first_rows(g2, k)
    return (_svd_gradient(gU, g1, gVh, first_columns(result0, k), result1, first_rows(result2, k)),)


def _svdvals_gradient(g: Tensor, self: Tensor) -> Tensor:
    """U diag(gS) V^H."""
    U, _, Vh = svd_factors(self, False)
    return U @ (ops.unsqueeze(g, -1) * Vh)


singular_values.vjp(self=_svdvals_gradient)


@op(name="phase_check", places="", nondiff=True)
def phase_check(self: Array, message: str) -> Array:
    """Refuses a function of singular vectors or eigenvectors that depends on their phase."""
    if self.size and np.abs(self).max() > 1e-2:
        raise RuntimeError(message)
    return np.zeros(())


@phase_check.meta
def _phase_check_shape(self: Array, message: str) -> Array:
    return meta_array((), np.dtype(np.float64))


@phase_check.batch
def _phase_check_batch(level: Any, op: Op, self: Any, message: str) -> Any:
    op(self.physical, message)
    return level.wrap(ops.zeros(level.size))


@public(space="linalg")
def linalg_svd(
    A: Tensor,
    full_matrices: bool = True,
    *,
    driver: str | None = None,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
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
    return named_results("linalg_svd", svd_factors(A, bool(full_matrices)), out)


@public(space="linalg")
def svdvals(A: Tensor, *, driver: str | None = None, out: Tensor | None = None) -> Tensor:
    """The singular values of (..., m, n), descending. The gradient is `U diag(g) Vh`.

    >>> import pullback as torch
    >>> torch.linalg.svdvals(torch.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor([4., 3.])
    """
    _check_driver(driver)
    values = svd_factors(A, False)[1] if will_record(A) else singular_values(A)
    return into_out("linalg_svd", values, out)


@explained
def svd(
    input: Tensor,
    some: bool = True,
    compute_uv: bool = True,
    *,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
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
        return named_results("svd", (zeros[0], singular_values(input), zeros[1]), out)
    U, S, Vh = svd_factors(input, not some)
    return named_results("svd", (U, S, adjoint(Vh)), out)


# ---------------------------------------------------------------------------------------- refusals

_NO_CONVERGENCE = "The algorithm failed to converge because the input matrix contained non-finite values."
_PHASE = (
    "svd_backward: The singular vectors in the complex case are specified up to multiplication by "
    "e^{i phi}. The specified loss function depends on this phase term, making it ill-defined."
)


def _check_svd(a: Spec) -> None:
    check_stack("linalg.svd", a)
    check_inexact("linalg.svd", a)
    check_kernel("linalg_svd_cpu", a)


def check_finite(a: Array, name: str = "linalg.svd") -> None:
    """Refuses infinite numbers and NaN, with which the algorithm may never end."""
    if not np.isfinite(a).all():
        failed = np.asarray(~np.isfinite(a).all((-2, -1)), np.int32)
        raise_for(failed, name, _NO_CONVERGENCE, LinAlgError)


def check_converged(values: Array) -> None:
    """Refuses what the algorithm found no values for: it marks them nan."""
    if np.isnan(values).any():
        failed = np.asarray(np.isnan(values).any(-1), np.int32)
        raise_for(failed, "linalg.svd", _NO_CONVERGENCE, LinAlgError)


def _check_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with "
            "cuSOLVER backend."
        )
