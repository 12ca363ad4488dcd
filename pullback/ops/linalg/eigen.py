"""Eigenvalues and eigenvectors.

For Hermitian A = V L V^H the derivative of V divides by the differences of eigenvalues, see NOTE
[Gaps] in svd.py; for others the left eigenvectors, V^-H, take part. The values alone ask for
the vectors in their rule.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.linalg.checks_and_stacks import (
    LinAlgError,
    check_kernel,
    check_square,
    columns_like,
    given,
    guarded,
    main_diagonal,
    named,
    skew,
)
from pullback.ops.linalg.inverse import inverse_of
from pullback.ops.linalg.svd import nearness, noise, phase_check

# -------------------------------------------------------------------------------------- Hermitian


def _side(UPLO: Any) -> str:
    if not isinstance(UPLO, str) or UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


def _check_hermitian(a: Array) -> None:
    check_square("linalg.eigh", a)
    check_kernel("linalg_eigh_cpu", a)


def _check_found(a: Array, values: Array) -> None:
    if np.isnan(values).any() and np.isfinite(a).all():
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues."
        )


@op(name="linalg_eigh", places="", layout="", takes_half=True)
def eigh_of(self: Tensor, UPLO: str = "L"):
    _check_hermitian(self)
    values = np.empty(self.shape[:-1], self.real.dtype)
    vectors = columns_like(self)
    if self.size:
        loop = _umath_linalg.eigh_lo if UPLO == "L" else _umath_linalg.eigh_up
        loop(self, out=(values, vectors))
        _check_found(self, values)
    return values, vectors


@op(name="linalg_eigvalsh", places="", grad_name="LinalgEighBackward0", takes_half=True)
def _eigvalsh(self: Tensor, UPLO: str = "L"):
    _check_hermitian(self)
    if not self.size:
        return np.empty(self.shape[:-1], self.real.dtype)
    values = (_umath_linalg.eigvalsh_lo if UPLO == "L" else _umath_linalg.eigvalsh_up)(self)
    _check_found(self, values)
    return values


def _spread(values: Tensor, V: Tensor) -> Tensor:
    """`V diag(values) V^H`."""
    return (V * ops.unsqueeze(values, -2)) @ adjoint(V)


@eigh_of.joint_vjp
def _eigh_slope(g0: Tensor, g1: Tensor, result0: Tensor, result1: Tensor) -> Any:
    L, V = result0, result1
    if g1 is None or V.shape[-1] == 0:
        return (_spread(g0 if g0 is not None else L, V),)
    inner = adjoint(V) @ g1
    if V.dtype.is_complex:
        phase_check(ops.imag(main_diagonal(inner)), _phase("linalg_eigh_backward", "eigenvectors", ""))
    gap = ops.unsqueeze(L, -2) - ops.unsqueeze(L, -1)
    off = 1 - ops.eye(L.shape[-1], dtype=L.dtype)
    middle = guarded(skew(inner) * off * 0.5, gap, nearness(L), noise(inner))
    if g0 is not None:
        middle = middle + ops.diag_embed(g0)
    return (V @ middle @ adjoint(V),)


def _phase(rule: str, what: str, case: str) -> str:
    return (
        f"{rule}: The {what} in the complex case are specified up to multiplication by e^{{i phi}}. "
        "The specified loss function depends on this quantity, so it is ill-defined."
    )


_eigvalsh.vjp(self=lambda g, self, UPLO: _spread(g, eigh_of(self, UPLO)[1]))


@function(places="", aliases=("linalg.eigh",))
def eigh(A: Tensor, UPLO: str = "L", *, out: Any = None) -> Any:
    """Ascending eigenvalues and orthonormal eigenvectors of Hermitian (..., n, n).

    One triangle is read, the lower for "L". The gradient of the vectors exists for functions that do
    not depend on their phases, nor on a choice of vectors for equal eigenvalues: these are finite
    there, others nan. What vectors and values pass on does not tell how equal eigenvalues part: a
    matrix that is rebuilt of them (`V f(w) V.mH`) gets no gradient for that. `matrix_exp` and its kin do.

    >>> import pullback as torch
    >>> torch.linalg.eigh(torch.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    return named("linalg_eigh", eigh_of(A, _side(UPLO)), out)


@function(places="", aliases=("linalg.eigvalsh",))
def eigvalsh(A: Tensor, UPLO: str = "L", *, out: Tensor | None = None) -> Tensor:
    """The ascending eigenvalues of Hermitian (..., n, n). The gradient is `V diag(g) V.mH`.

    >>> import pullback as torch
    >>> torch.linalg.eigvalsh(torch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    return given("linalg_eigh", _eigvalsh(A, _side(UPLO)), out)


# ---------------------------------------------------------------------------------------- general


def _check_general(name: str, a: Array) -> None:
    check_square(name, a)
    kind = from_numpy_dtype(a.dtype)
    if kind.kind not in "fc":
        raise RuntimeError(f"Unknown Complex ScalarType for {kind.type_name}")
    check_kernel("linalg_eig_out_cpu", a)
    if not np.isfinite(a).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")


def _complex_of(a: Array) -> Any:
    return np.result_type(a.dtype, np.complex64)


@op(name="linalg_eig", places="", layout="", takes_half=True)
def eig_of(self: Tensor):
    _check_general("linalg.eig", self)
    values = np.empty(self.shape[:-1], _complex_of(self))
    vectors = columns_like(self, dtype=_complex_of(self))
    if self.size:
        _umath_linalg.eig(self, out=(values, vectors))
    return values, vectors


@op(name="linalg_eigvals", places="", grad_name="LinalgEigBackward0", takes_half=True)
def _eigvals(self: Tensor):
    _check_general("linalg.eigvals", self)
    values = np.empty(self.shape[:-1], _complex_of(self))
    return _umath_linalg.eigvals(self, out=values) if self.size else values


def _apart(middle: Tensor, V: Tensor) -> Tensor:
    """`V^-H middle V^H`."""
    return adjoint(inverse_of(V, "")[0]) @ (middle @ adjoint(V))


@eig_of.joint_vjp
def _eig_slope(g0: Tensor, g1: Tensor, result0: Tensor, result1: Tensor) -> Any:
    L, V = result0, result1
    if g1 is None or V.shape[-1] == 0:
        return (_apart(ops.diag_embed(g0 if g0 is not None else L), V),)
    inner = adjoint(V) @ g1
    along = main_diagonal(inner)
    phase_check(ops.imag(along), _phase("linalg_eig_backward", "eigenvectors", ""))
    moved = inner - (adjoint(V) @ V) * ops.unsqueeze(ops.real(along), -2)
    gap = conj(ops.unsqueeze(L, -2) - ops.unsqueeze(L, -1))
    off = 1 - ops.eye(L.shape[-1], dtype=V.dtype)
    middle = guarded(moved * off, gap, nearness(L), noise(inner))
    if g0 is not None:
        middle = middle + ops.diag_embed(g0)
    return (_apart(middle, V),)


_eigvals.vjp(self=lambda g, self: _apart(ops.diag_embed(g), eig_of(self)[1]))

for _record in (eigh_of, _eigvalsh, eig_of, _eigvals):
    _record.batch_rule = "leading"


@function(places="", aliases=("linalg.eig",))
def eig(A: Tensor, *, out: Any = None) -> Any:
    """Eigenvalues and eigenvectors (columns of norm 1) of square (..., n, n); always complex.

    RuntimeError for numbers that are not finite. The gradient of the vectors exists for functions
    that do not depend on their phases, nor on a choice among equal eigenvalues.

    >>> import pullback as torch
    >>> torch.linalg.eig(torch.tensor([[0.0, 1.0], [1.0, 0.0]])).eigenvalues
    tensor([ 1.+0.j, -1.+0.j])
    """
    return named("linalg_eig", eig_of(A), out)


@function(places="", aliases=("linalg.eigvals",))
def eigvals(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The eigenvalues of square (..., n, n); always complex. The gradient is `V^-H diag(g) V^H`.

    >>> import pullback as torch
    >>> torch.linalg.eigvals(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([ 1.+0.j, -1.+0.j])
    """
    return given("linalg_eigvals", _eigvals(A), out)
