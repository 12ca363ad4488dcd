"""The singular value decomposition and what stands on it: pseudoinverse, rank, condition.

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
from pullback._engine import Tensor, adjoint
from pullback.op import function, op
from pullback.ops.matrices import (
    Array,
    LinAlgError,
    check_inexact,
    check_kernel,
    check_square,
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
    type_name,
)

_NO_CONVERGENCE = "The algorithm failed to converge because the input matrix contained non-finite values."


# ------------------------------------------------------------------------------------------- SVD


def _check_found(a: Array, values: Array) -> None:
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
        _check_found(self, S)
    else:
        U[...], V[...] = np.eye(*U.shape[-2:]), np.eye(*V.shape[-2:])
        S[...] = 0
    return U, S, V


@op(name="linalg_svdvals", places="", grad_name="LinalgSvdBackward0", takes_half=True)
def _svdvals(self: Tensor):
    _check(self)
    few = min(self.shape[-2:])
    if not self.size:
        return np.zeros((*self.shape[:-2], few), self.real.dtype)
    values = _umath_linalg.svd(self)
    _check_found(self, values)
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


def _svdvals_slope(g: Tensor, self: Tensor) -> Tensor:
    U, _, Vh = svd_of(self, False)
    return U @ (ops.unsqueeze(g, -1) * Vh)


_svdvals.vjp(self=_svdvals_slope)
svd_of.batch_rule = _svdvals.batch_rule = "leading"


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
    of vectors for equal singular values: these are finite there, others nan.

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
    return given("linalg_svd", _svdvals(A), out)


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
        return named("svd", (zeros[0], _svdvals(input), zeros[1]), out)
    U, S, Vh = svd_of(input, not some)
    return named("svd", (U, S, adjoint(Vh)), out)


# ---------------------------------------------------------------------------------- pseudoinverse


def _limits(largest: Array, atol: Any, rtol: Any) -> Array:
    """The size from which on a singular value counts; tolerances are numbers or (..., 1, 1)."""
    atol, rtol = (np.asarray(t)[..., 0] if np.ndim(t) else t for t in (atol, rtol))
    return np.maximum(atol, rtol * largest).astype(largest.dtype)


def _tolerances(name: str, A: Tensor, atol: Any, rtol: Any) -> list[Any]:
    """Both tolerances, numbers or tensors (..., 1, 1): without any, `rtol` is eps * max(m, n)."""
    for t in (atol, rtol):
        if isinstance(t, Tensor) and t.dtype.is_complex:
            kind = "atol" if t is atol else "rtol"
            raise RuntimeError(
                f"{name}: {kind} tensor of complex type is not supported. Got {t.dtype.type_name}"
            )
    if rtol is None:
        usual = ops.finfo(A.dtype).eps * max(A.shape[-2:]) if A.dtype.kind in "fc" and A.ndim > 1 else 0.0
        if isinstance(atol, Tensor):
            rtol = ops.where(atol > 0, 0.0, usual)
        else:
            rtol = 0.0 if atol is not None and atol > 0 else usual
    found = [0.0 if t is None else t for t in (atol, rtol)]
    return [t.detach()[..., None, None] if isinstance(t, Tensor) else float(t) for t in found]


@op(name="linalg_pinv", places="", takes_half=True)
def pseudoinverse(self: Tensor, atol: Tensor | Number, rtol: Tensor | Number, hermitian: bool):
    if self.ndim < 2 or self.dtype.char not in "fdFD":
        shown = type_name(self)
        raise RuntimeError(
            f"linalg.pinv({shown}{{{list(self.shape)}}}): expected a tensor with 2 or more dimensions of "
            "float, double, cfloat or cdouble types"
        )
    m, n = self.shape[-2:]
    if not self.size:
        return np.zeros((*self.shape[:-2], n, m), self.dtype)
    if hermitian:
        values, U = _umath_linalg.eigh_lo(self)
        Vh = np.conj(np.swapaxes(U, -2, -1))
    else:
        U, values, Vh = _umath_linalg.svd_s(self)
        _check_found(self, values)
    sizes = np.abs(values)
    counts = sizes > _limits(sizes.max(-1, keepdims=True), atol, rtol)
    inverse = np.where(counts, 1 / np.where(counts, values, 1), 0)
    return np.conj(np.swapaxes(Vh, -2, -1)) @ (inverse[..., None] * np.conj(np.swapaxes(U, -2, -1)))


def pinv_slope(g: Tensor, self: Tensor, result: Tensor) -> Tensor:
    """The gradient of A from that of its pseudoinverse P, the rank being constant.

    `-P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A)`
    """
    P, Ph, gh = result, adjoint(result), adjoint(g)
    first, second = gh @ (P @ Ph), (Ph @ P) @ gh
    found = -(Ph @ g @ Ph)
    return found + (first - self @ (P @ first)) + (second - (second @ P) @ self)


pseudoinverse.vjp(self=lambda g, self, result: pinv_slope(g, self, result))


pseudoinverse.batch_rule = "leading"


@function(name="pinv", places="", aliases=("linalg.pinv",))
def pinv(
    A: Tensor,
    rcond: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The Moore-Penrose inverse P of matrices (..., m, n), float or complex: (..., n, m).

    Singular values up to `max(atol, rtol * largest)` count as zero; `rtol` (`rcond`) is eps times the
    larger dim if neither is given. `hermitian=True` reads the lower triangle alone. The gradient is
    `-P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A)`, the rank being constant.

    >>> import pullback as torch
    >>> torch.linalg.pinv(torch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    if rcond is not None and rtol is None:
        rtol = rcond
    atol, rtol = _tolerances("linalg.pinv", A, atol, rtol)
    return given("linalg_pinv", pseudoinverse(A, atol, rtol, bool(hermitian)), out)


@function()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` with a relative tolerance.

    >>> import pullback as torch
    >>> torch.pinverse(torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return pseudoinverse(input, 0.0, rcond, False)


@op(name="linalg_matrix_rank", places="", nondiff=True, takes_half=True)
def _matrix_rank(self: Tensor, atol: Tensor | Number, rtol: Tensor | Number, hermitian: bool):
    check_stack("torch.linalg.matrix_rank", self, "input")
    if self.dtype.char not in "fdFD":
        raise RuntimeError("This function doesn't handle types other than float and double")
    if not self.size:
        return np.zeros(self.shape[:-2], np.int64)
    values = np.abs(_umath_linalg.eigvalsh_lo(self)) if hermitian else _umath_linalg.svd(self)
    _check_found(self, values)
    limits = _limits(values.max(-1, keepdims=True), atol, rtol)
    return np.count_nonzero(values > limits, -1)


_matrix_rank.batch_rule = "leading"


@function(places="", aliases=("linalg.matrix_rank",))
def matrix_rank(
    A: Tensor,
    tol: Any = None,
    hermitian: bool = False,
    *,
    atol: Any = None,
    rtol: Any = None,
    out: Tensor | None = None,
) -> Tensor:
    """The number of singular values above `max(atol, rtol * largest)`; `tol` is an old name of atol.

    `rtol` is eps times the larger dim if none is given.

    >>> import pullback as torch
    >>> torch.linalg.matrix_rank(torch.ones(3, 3))
    tensor(1)
    """
    if tol is not None:
        atol, rtol = tol, 0.0
    atol, rtol = _tolerances("linalg.matrix_rank", A, atol, rtol)
    return given("linalg_matrix_rank", _matrix_rank(A, atol, rtol, bool(hermitian)), out)


@function(places="", aliases=("linalg.cond",))
def cond(A: Tensor, p: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number: `norm(A, p) * norm(inv(A), p)`, inf if A is singular.

    For `p` None, 2 or -2 the quotient of the extreme singular values, for (..., m, n); other norms
    ("fro", "nuc", inf, -inf, 1, -1) need square matrices.

    >>> import pullback as torch
    >>> torch.linalg.cond(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """
    if A.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or p in (2, -2):
        values = _svdvals(A)
        if not A._array.size and 0 in A.shape[-2:]:
            return given("linalg_cond", ops.sum(values, -1), out)
        first, last = ops.narrow(values, -1, 0, 1), ops.narrow(values, -1, values.shape[-1] - 1, 1)
        ratio = last / first if p == -2 else first / last
        return given("linalg_cond", ops.squeeze(ratio, -1), out)
    return given("linalg_cond", _cond_by_inverse(A, p), out)


def _cond_by_inverse(A: Tensor, p: Any) -> Tensor:
    inf = float("inf")
    if p not in (("fro", "nuc") if isinstance(p, str) else (1, -1, inf, -inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square(f"linalg.cond(ord={p})", A)
    inverse, info = inverse_of(A, "")
    of_inverse = ops.nan_to_num(ops.matrix_norm(inverse, p), inf, inf, -inf)
    result = ops.matrix_norm(A, p) * of_inverse
    return ops.where(info == 0, result, inf)
