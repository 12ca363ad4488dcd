"""Eigenvalues and eigenvectors.

A Hermitian A = V diag(l) V^H has, with E_ij = l_j - l_i,

    gA = V [(V^H gV - gV^H V) / (2 E) + diag(gl)] V^H,

and nothing from the first term on the diagonal (Giles 2008; Seeger et al. 2017; Boeddeker et al. 2017 for
complex matrices). Another A = V diag(l) V^-1, with columns of norm 1, has, by its left eigenvectors V^-H,

    gA = V^-H [(V^H gV - V^H V diag(Re V^H gV)) / conj(E) + diag(gl)] V^H

(Boeddeker et al. 2017). Both exist for functions that do not depend on the phases of the vectors,
`Im diag(V^H gV) = 0`; for what a gap that closes leaves open see NOTE [Gaps] in svd.py. The values alone
ask for the vectors in their rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.linalg.inverse import inverse_and_info
from pullback.ops.linalg.plans import Matrices, said_by
from pullback.ops.linalg.refusals import LinAlgError, check_kernel, check_square
from pullback.ops.linalg.stacks import (
    columns_like,
    guarded_quotient,
    into_out,
    main_diagonal,
    meta_matrices,
    meta_vectors,
    named_results,
    skew,
    will_record,
)
from pullback.ops.linalg.svd import nearness, noise, phase_check
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import public

# -------------------------------------------------------------------------------------- Hermitian


@op(name="linalg_eigh", places="", layout="", takes_half=True, batch="leading")
def eigh_pairs(self: Array, UPLO: str = "L") -> tuple[Array, Array]:
    """Values and vectors of Hermitian matrices, of which one triangle is read."""
    values = np.empty(self.shape[:-1], self.real.dtype)
    vectors = columns_like(self)
    if self.size:
        loop = _umath_linalg.eigh_lo if UPLO == "L" else _umath_linalg.eigh_up
        loop(self, out=(values, vectors))
        _check_converged(self, values)
        values[~_finite(self)], vectors[~_finite(self)] = np.nan, np.nan
    return values, vectors


@eigh_pairs.prepare
def _plan_eigh(self: Spec, UPLO: str) -> Plan:
    _check_hermitian(self)
    real, n = self.dtype.to_real(), self.shape[-1]
    results = Spec(real, self.shape[:-1]), Spec.columns(self.dtype, self.shape)
    if not self.size:
        return Plan(results)
    chain = Matrices(1, self.shape[:-2], self.dtype, results)
    values, vectors = chain.vectors(chain.result(0), real, n), chain.packed(n, n, chain.result(1))
    loop = _umath_linalg.eigh_lo if UPLO == "L" else _umath_linalg.eigh_up
    a = chain.packed(n, n)
    chain.copy(chain.matrices(Place(0), self), a)
    chain.loop(loop, (n,), a, values, vectors)
    chain.poison(a, values, vectors)
    chain.check_finite(values)
    return chain.plan(said_by(eigh_pairs.kernel))


@op(name="linalg_eigvalsh", places="", grad_name="LinalgEighBackward0", takes_half=True, batch="leading")
def _eigvalsh(self: Array, UPLO: str = "L") -> Array:
    """The values alone, which is quicker."""
    if not self.size:
        return np.empty(self.shape[:-1], self.real.dtype)
    values = (_umath_linalg.eigvalsh_lo if UPLO == "L" else _umath_linalg.eigvalsh_up)(self)
    _check_converged(self, values)
    values[~_finite(self)] = np.nan
    return values


@_eigvalsh.prepare
def _plan_eigvalsh(self: Spec, UPLO: str) -> Plan:
    _check_hermitian(self)
    real, n = self.dtype.to_real(), self.shape[-1]
    result = Spec(real, self.shape[:-1])
    if not self.size:
        return Plan(result)
    chain = Matrices(1, self.shape[:-2], self.dtype, result)
    values = chain.vectors(chain.result(), real, n)
    loop = _umath_linalg.eigvalsh_lo if UPLO == "L" else _umath_linalg.eigvalsh_up
    a = chain.packed(n, n)
    chain.copy(chain.matrices(Place(0), self), a)
    chain.loop(loop, (n,), a, values)
    chain.poison(a, values)
    chain.check_finite(values)
    return chain.plan(said_by(_eigvalsh.kernel))


def _rebuilt(values: Tensor, V: Tensor) -> Tensor:
    """`V diag(values) V^H`."""
    return (V * ops.unsqueeze(values, -2)) @ adjoint(V)


def _divided_by_gaps(numerator: Tensor, gap: Tensor, values: Tensor, size: Tensor) -> Tensor:
    """The quotient off the diagonal, zero on it."""
    off_diagonal = 1 - ops.eye(values.shape[-1], dtype=numerator.dtype)
    return guarded_quotient(numerator * off_diagonal, gap, nearness(values), size)


@eigh_pairs.joint_vjp
def _eigh_gradient(g0: Tensor, g1: Tensor, result0: Tensor, result1: Tensor) -> Any:
    values, V = result0, result1
    if g1 is None or V.shape[-1] == 0:
        return (_rebuilt(g0 if g0 is not None else values, V),)
    VhgV = adjoint(V) @ g1
    if V.dtype.is_complex:
        phase_check(ops.imag(main_diagonal(VhgV)), _phase_message("linalg_eigh_backward"))
    gap = ops.unsqueeze(values, -2) - ops.unsqueeze(values, -1)
    middle = _divided_by_gaps(skew(VhgV) * 0.5, gap, values, noise(VhgV))
    if g0 is not None:
        middle = middle + ops.diag_embed(g0)
    return (V @ middle @ adjoint(V),)


_eigvalsh.vjp(self=lambda g, self, UPLO: _rebuilt(g, eigh_pairs(self, UPLO)[1]))


@public(space="linalg")
def eigh(
    input: Tensor, UPLO: str = "L", *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Ascending eigenvalues and orthonormal eigenvectors of Hermitian (..., n, n).

    One triangle is read, the lower for "L". The gradient of the vectors exists for functions that do
    not depend on their phases, nor on a choice of vectors for equal eigenvalues: these are finite
    there, others nan. What vectors and values pass on does not tell how equal eigenvalues part: a
    matrix that is rebuilt of them (`V f(w) V.mH`) gets no gradient for that. `matrix_exp` and its kin do.

    >>> import pullback as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    return named_results("linalg_eigh", eigh_pairs(input, _triangle_of(UPLO)), out)


@public(space="linalg")
def eigvalsh(input: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The ascending eigenvalues of Hermitian (..., n, n). The gradient is `V diag(g) V.mH`.

    >>> import pullback as torch
    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    triangle = _triangle_of(UPLO)
    values = eigh_pairs(input, triangle)[0] if will_record(input) else _eigvalsh(input, triangle)
    return into_out("linalg_eigh", values, out)


# ---------------------------------------------------------------------------------------- general


def _complex_of(a: Array) -> Any:
    return np.result_type(a.dtype, np.complex64)


@op(name="linalg_eig", places="", layout="", takes_half=True, batch="leading")
def eig_pairs(self: Array) -> tuple[Array, Array]:
    """Values and vectors of square matrices, complex."""
    _check_general("linalg.eig", self)
    _check_finite(self)
    values = np.empty(self.shape[:-1], _complex_of(self))
    vectors = columns_like(self, dtype=_complex_of(self))
    if self.size:
        _umath_linalg.eig(self, out=(values, vectors))
    return values, vectors


@eig_pairs.meta
def _eig_shapes(self: Array) -> Any:
    _check_general("linalg.eig", self)
    n, dtype = self.shape[-1], _complex_of(self)
    return meta_vectors(self, n, dtype), meta_matrices(self, n, n, dtype)


@op(name="linalg_eigvals", places="", grad_name="LinalgEigBackward0", takes_half=True, batch="leading")
def _eigvals(self: Array) -> Array:
    """The values alone, which is quicker."""
    _check_general("linalg.eigvals", self)
    _check_finite(self)
    values = np.empty(self.shape[:-1], _complex_of(self))
    return _umath_linalg.eigvals(self, out=values) if self.size else values


@_eigvals.meta
def _eigvals_shape(self: Array) -> Array:
    _check_general("linalg.eigvals", self)
    return meta_vectors(self, self.shape[-1], _complex_of(self))


def _between_left_vectors(middle: Tensor, V: Tensor) -> Tensor:
    """`V^-H middle V^H`."""
    return adjoint(inverse_and_info(V, "")[0]) @ (middle @ adjoint(V))


@eig_pairs.joint_vjp
def _eig_gradient(g0: Tensor, g1: Tensor, result0: Tensor, result1: Tensor) -> Any:
    values, V = result0, result1
    if g1 is None or V.shape[-1] == 0:
        return (_between_left_vectors(ops.diag_embed(g0 if g0 is not None else values), V),)
    VhgV = adjoint(V) @ g1
    along = main_diagonal(VhgV)
    phase_check(ops.imag(along), _phase_message("linalg_eig_backward"))
    normalized = VhgV - (adjoint(V) @ V) * ops.unsqueeze(ops.real(along), -2)
    gap = conj(ops.unsqueeze(values, -2) - ops.unsqueeze(values, -1))
    middle = _divided_by_gaps(normalized, gap, values, noise(VhgV))
    if g0 is not None:
        middle = middle + ops.diag_embed(g0)
    return (_between_left_vectors(middle, V),)


_eigvals.vjp(self=lambda g, self: _between_left_vectors(ops.diag_embed(g), eig_pairs(self)[1]))


@public(space="linalg")
def eig(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors (columns of norm 1) of square (..., n, n); always complex.

    RuntimeError for numbers that are not finite. The gradient of the vectors exists for functions
    that do not depend on their phases, nor on a choice among equal eigenvalues.

    >>> import pullback as torch
    >>> torch.linalg.eig(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).eigenvalues
    tensor([ 1.+0.j, -1.+0.j])
    """
    return named_results("linalg_eig", eig_pairs(input), out, True)


@public(space="linalg")
def eigvals(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of square (..., n, n); always complex. The gradient is `V^-H diag(g) V^H`.

    >>> import pullback as torch
    >>> torch.linalg.eigvals(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([ 1.+0.j, -1.+0.j])
    """
    values = eig_pairs(input)[0] if will_record(input) else _eigvals(input)
    return into_out("linalg_eigvals", values, out, True)


# ---------------------------------------------------------------------------------------- refusals


def _triangle_of(UPLO: Any) -> str:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


def _check_hermitian(a: Spec) -> None:
    check_square("linalg.eigh", a)
    check_kernel("linalg_eigh_cpu", a)


def _finite(a: Array) -> Array:
    """The matrices without an infinite number or NaN."""
    return np.asarray(np.isfinite(a).all((-2, -1)))


def _check_converged(a: Array, values: Array) -> None:
    if np.isnan(values).any() and np.isfinite(a).all():
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues."
        )


def _check_general(name: str, a: Array) -> None:
    check_square(name, a)
    kind = from_numpy_dtype(a.dtype)
    if kind.kind not in "fc":
        raise RuntimeError(f"Unknown Complex ScalarType for {kind.type_name}")
    check_kernel("linalg_eig_out_cpu", a)


def _check_finite(a: Array) -> None:
    if not np.isfinite(a).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


def _phase_message(rule: str) -> str:
    return (
        f"{rule}: The eigenvectors in the complex case are specified up to multiplication by e^{{i phi}}. "
        "The specified loss function depends on this quantity, so it is ill-defined."
    )
