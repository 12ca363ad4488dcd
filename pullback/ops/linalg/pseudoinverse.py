"""The pseudoinverse, the rank and the condition number of matrices: by their singular values.

Singular values up to `max(atol, rtol * largest)` count as zero. Tolerances reach the kernels as
numbers or as stacks of 1 x 1 matrices, so that they broadcast with the matrices. While the rank is
constant, the pseudoinverse P of A has

    gA = -P^H gP P^H + (1 - A P) gP^H P P^H + P^H P gP^H (1 - P A)

(Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", 1973).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.op import op
from pullback.core.types import Array, Number
from pullback.ops.linalg.inverse import inverse_and_info
from pullback.ops.linalg.plans import Matrices, said_by
from pullback.ops.linalg.refusals import check_square, check_stack, has_routines
from pullback.ops.linalg.stacks import into_out, meta_numbers
from pullback.ops.linalg.svd import check_converged, check_finite, singular_values
from pullback.ops.products.plans import multiply
from pullback.ops.shared.chains import Operand, Place, operand
from pullback.ops.shared.forms import explained, public


def _smallest_counted(largest: Array, atol: Any, rtol: Any) -> Array:
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
    both = [0.0 if t is None else t for t in (atol, rtol)]
    return [t.detach()[..., None, None] if isinstance(t, Tensor) else float(t) for t in both]


@op(name="linalg_pinv", places="", takes_half=True, batch="leading")
def pseudoinverse(self: Array, atol: Array | Number, rtol: Array | Number, hermitian: bool) -> Array:
    """P (..., n, m) of (..., m, n)."""
    m, n = self.shape[-2:]
    if not self.size:
        return np.zeros((*self.shape[:-2], n, m), self.dtype)
    if hermitian:
        values, U = _umath_linalg.eigh_lo(self)
        Vh = np.conj(np.swapaxes(U, -2, -1))
    else:
        check_finite(self)
        U, values, Vh = _umath_linalg.svd_s(self)
        check_converged(values)
    sizes = np.abs(values)
    counts = sizes > _smallest_counted(sizes.max(-1, keepdims=True), atol, rtol)
    inverse = np.where(counts, 1 / np.where(counts, values, 1), 0)
    return np.conj(np.swapaxes(Vh, -2, -1)) @ (inverse[..., None] * np.conj(np.swapaxes(U, -2, -1)))


@pseudoinverse.prepare
def _plan_pinv(self: Spec, atol: Any, rtol: Any, hermitian: bool) -> Plan:
    _check_pinv(self)
    stack, (m, n), k = self.shape[:-2], self.shape[-2:], min(self.shape[-2:])
    result = Spec(self.dtype, (*stack, n, m))
    given = isinstance(atol, Spec) or isinstance(rtol, Spec)
    if not self.size or hermitian or given or self.dtype.is_complex:
        return Plan(result)
    chain = Matrices(1, stack, self.dtype, result)
    a, S = chain.matrices(Place(0), self), chain.room(self.dtype, {**chain.leading, "i": k})
    U, Vh = chain.packed(m, k), chain.packed(k, n)
    chain.check_finite(a)
    chain.loop(_umath_linalg.svd_s, (m, n, k), a, U, S, Vh)
    chain.check_finite(S)
    inverse = _inverted(chain, S, float(atol), float(rtol)).renamed({"i": "k"})
    V = Vh.renamed({"i": "k"})
    chain.pointwise(np.multiply, V, inverse, V)
    multiply(chain, V, U.renamed({"j": "k"}), operand(chain.result(), result, [*chain.leading, "j", "i"]))
    return chain.plan(said_by(pseudoinverse.kernel))


def _inverted(chain: Matrices, S: Operand, atol: float, rtol: float) -> Operand:
    """The inverses of descending singular values, 0 of those that count as zero."""
    largest = Operand(S.place, S.dtype, S.sizes, S.steps | {"i": 0})
    found, counts = chain.room(S.dtype, S.sizes), chain.room(S.dtype, S.sizes)
    chain.pointwise(np.multiply, largest, rtol, found)
    chain.pointwise(np.maximum, found, atol, found)
    chain.pointwise(np.subtract, S, found, found)
    chain.pointwise(np.heaviside, found, 0, counts)  # 1 above the limit
    chain.pointwise(np.subtract, 1, counts, found)
    chain.pointwise(np.add, S, found, found)
    chain.pointwise(np.divide, counts, found, found)
    return found


def pinv_gradient(gP: Tensor, A: Tensor, P: Tensor) -> Tensor:
    """gA by the formula at the head of the file."""
    Ph, gPh = adjoint(P), adjoint(gP)
    left, right = gPh @ (P @ Ph), (Ph @ P) @ gPh
    gA = -(Ph @ gP @ Ph)
    return gA + (left - A @ (P @ left)) + (right - (right @ P) @ A)


pseudoinverse.vjp(self=lambda g, self, result: pinv_gradient(g, self, result))


def _with_tensors(
    input: Tensor, *, atol: Tensor | None = None, rtol: Tensor | None = None, hermitian: bool = False,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """A form of `pinv` and `matrix_rank`."""


def _with_numbers(
    input: Tensor, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False,
    out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Another one."""


def _by_rconds(input: Tensor, rcond: Tensor, hermitian: bool = False, *, out: Tensor | None = None) -> Tensor:
    """A form of `pinv`."""


def _by_rcond(input: Tensor, rcond: float, hermitian: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Another one."""


@public(_with_tensors, _with_numbers, _by_rconds, _by_rcond, space="linalg")
def pinv(
    input: Tensor,
    rcond: Tensor | float | None = None,
    hermitian: bool = False,
    *,
    atol: Tensor | float | None = None,
    rtol: Tensor | float | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """The Moore-Penrose inverse P of matrices (..., m, n), float or complex: (..., n, m).

    Singular values up to `max(atol, rtol * largest)` count as zero; `rtol` (`rcond`) is eps times the
    larger dim if neither is given. `hermitian=True` reads the lower triangle alone. The gradient is
    `-P^H g P^H + (1 - A P) g^H P P^H + P^H P g^H (1 - P A)` for an input A, the rank being constant.

    >>> import pullback as torch
    >>> torch.linalg.pinv(torch.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    if rcond is not None and rtol is None:
        rtol = rcond
    atol, rtol = _tolerances("linalg.pinv", input, atol, rtol)
    return into_out("linalg_pinv", pseudoinverse(input, atol, rtol, bool(hermitian)), out, True)


@explained
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`linalg.pinv` with a relative tolerance.

    >>> import pullback as torch
    >>> torch.pinverse(torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return pseudoinverse(input, 0.0, rcond, False)


@op(name="linalg_matrix_rank", places="", nondiff=True, takes_half=True, batch="leading")
def _matrix_rank(self: Array, atol: Array | Number, rtol: Array | Number, hermitian: bool) -> Array:
    """How many singular values count."""
    _check_rank(self)
    if not self.size:
        return np.zeros(self.shape[:-2], np.int64)
    values = np.abs(_umath_linalg.eigvalsh_lo(self)) if hermitian else _umath_linalg.svd(self)
    check_converged(values)
    limits = _smallest_counted(values.max(-1, keepdims=True), atol, rtol)
    return np.count_nonzero(values > limits, -1)


@_matrix_rank.meta
def _rank_shape(self: Array, atol: Any, rtol: Any, hermitian: bool) -> Array:
    _check_rank(self)
    return meta_numbers(self, np.int64)


def _from_sizes(input: Tensor, tol: Tensor, hermitian: bool = False, *, out: Tensor | None = None) -> Tensor:
    """A form of `matrix_rank`."""


def _from_size(input: Tensor, tol: float, hermitian: bool = False, *, out: Tensor | None = None) -> Tensor:
    """Another one."""


@public(_with_tensors, _with_numbers, _from_sizes, _from_size, space="linalg")
def matrix_rank(
    input: Tensor,
    tol: Tensor | float | None = None,
    hermitian: bool = False,
    *,
    atol: Tensor | float | None = None,
    rtol: Tensor | float | None = None,
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
    atol, rtol = _tolerances("linalg.matrix_rank", input, atol, rtol)
    return into_out("linalg_matrix_rank", _matrix_rank(input, atol, rtol, bool(hermitian)), out, True)


def _of_order(input: Tensor, p: Number | None = None, *, out: Tensor | None = None) -> Tensor:
    """A form of `cond`."""


def _of_named_order(input: Tensor, p: str, *, out: Tensor | None = None) -> Tensor:
    """Another one."""


@public(_of_order, _of_named_order, space="linalg")
def cond(input: Tensor, p: float | str | None = None, *, out: Tensor | None = None) -> Tensor:
    """The condition number: `norm(input, p) * norm(inv(input), p)`, inf for a singular one.

    For `p` None, 2 or -2 the quotient of the extreme singular values, for (..., m, n); other norms
    ("fro", "nuc", inf, -inf, 1, -1) need square matrices.

    >>> import pullback as torch
    >>> torch.linalg.cond(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """
    if input.ndim < 2:
        raise RuntimeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p is None or p in (2, -2):
        values = singular_values(input)
        if not input._layout.size and 0 in input.shape[-2:]:
            return into_out("linalg_cond", ops.sum(values, -1), out, True)
        first, last = ops.narrow(values, -1, 0, 1), ops.narrow(values, -1, values.shape[-1] - 1, 1)
        ratio = last / first if p == -2 else first / last
        return into_out("linalg_cond", ops.squeeze(ratio, -1), out, True)
    return into_out("linalg_cond", _cond_by_inverse(input, p), out, True)


def _cond_by_inverse(A: Tensor, p: Any) -> Tensor:
    inf = float("inf")
    if p not in (("fro", "nuc") if isinstance(p, str) else (1, -1, inf, -inf)):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    check_square(f"linalg.cond(ord={p})", A)
    inverse, info = inverse_and_info(A, "")
    of_inverse = ops.nan_to_num(ops.matrix_norm(inverse, p), inf, inf, -inf)
    result = ops.matrix_norm(A, p) * of_inverse
    return ops.where(info == 0, result, inf)


# ---------------------------------------------------------------------------------------- refusals


def _check_pinv(a: Array | Spec) -> None:
    if a.ndim < 2 or not has_routines(a):
        raise RuntimeError(
            f"linalg.pinv({type_name(a)}{{{list(a.shape)}}}): expected a tensor with 2 or more dimensions of "
            "float, double, cfloat or cdouble types"
        )


def _check_rank(a: Array) -> None:
    check_stack("torch.linalg.matrix_rank", a, "input")
    if not has_routines(a):
        raise RuntimeError("This function doesn't handle types other than float and double")
