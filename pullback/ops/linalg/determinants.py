"""Determinants.

By Jacobi's formula gA = g C, C the conjugate cofactors, which for a regular matrix are conj(det A) A^-H
(Giles 2008); and gA = g A^-H for the logarithm. Cofactors exist for every matrix: those of singular ones
`_cofactors` takes them from A = U S V^H, as C = conj(det U det V^H) U diag(p) V^H with p_i the product of
the singular values but s_i (Stewart, "On the adjugate matrix", 1998). Their own derivative, by products of
all values but two, likewise. So det of a singular matrix has the right first and second derivative,
whatever its rank. Of small matrices the derivative of the cofactors is that of the polynomial that they are,
by Faddeev and LeVerrier's recursion (Gantmacher, "The Theory of Matrices", 1959): so all are right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core._plans import Plan, Spec, run_into
from pullback.core.op import op
from pullback.core.types import Array
from pullback.ops.linalg.inverse import inverse_and_info
from pullback.ops.linalg.plans import Form, Matrices, transposed_operand
from pullback.ops.linalg.refusals import check_inexact, check_kernel, check_square
from pullback.ops.linalg.stacks import (
    added,
    into_out,
    main_diagonal,
    meta_matrices,
    named_results,
)
from pullback.ops.linalg.svd import svd_factors
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import explained, public


@op(name="linalg_det", places="", takes_half=True, batch="leading")
def _det(self: Array) -> Array:
    """A number for each matrix."""
    return np.asarray(_umath_linalg.det(self))


@_det.prepare
def _plan_det(self: Spec) -> Plan:
    check_square("linalg.det", self)
    check_inexact("linalg.det", self)
    check_kernel("lu_cpu", self)
    chain = Matrices(1, self.shape[:-2], self.dtype, Spec(self.dtype, self.shape[:-2]))
    det = chain.vectors(chain.result(), self.dtype)
    chain.loop(_umath_linalg.det, self.shape[-1:], chain.matrices(Place(0), self), det)
    return chain.plan()


def _as_matrices(numbers: Tensor) -> Tensor:
    """A stack of numbers as one of 1 x 1 matrices."""
    return ops.unsqueeze(ops.unsqueeze(numbers, -1), -1)


def _all_but_one(values: Array) -> Array:
    """For each of (..., n) values the product of the others, without a division."""
    ones = np.ones((*values.shape[:-1], 1), values.dtype)
    before = np.cumprod(np.concatenate([ones, values[..., :-1]], -1), -1)
    behind = np.cumprod(np.concatenate([ones, values[..., :0:-1]], -1), -1)[..., ::-1]
    return before * behind


@op(name="cofactors_of_regular", places="", nondiff=True, batch="leading")
def _of_regular(self: Array) -> tuple[Array, Array]:
    """The conjugate of the cofactors, det(A) / A, and det(A), both from one LU decomposition."""
    det, inverse = np.asarray(_umath_linalg.det(self)), _umath_linalg.inv(self)
    return np.conj(np.swapaxes(det[..., None, None] * inverse, -1, -2)), det


@_of_regular.prepare
def _plan_regular(self: Spec) -> Plan:
    results = Spec(self.dtype, self.shape), Spec(self.dtype, self.shape[:-2])
    chain = Matrices(1, self.shape[:-2], self.dtype, results)
    cofactors, det = chain.matrices(chain.result(0), results[0]), chain.vectors(chain.result(1), self.dtype)
    inverse = transposed_operand(cofactors)
    factors, pivots = chain.factored(chain.matrices(Place(0), self))
    chain.unit(inverse)
    chain.solve_lu(factors, pivots, inverse, inverse, Form(left=False))
    chain.determinant(factors, pivots, det)
    chain.pointwise(np.multiply, inverse, det, inverse)
    if self.dtype.is_complex:
        chain.pointwise(np.conjugate, inverse, inverse)
    return chain.plan()


@op(name="cofactors", places="", batch="leading")
def _cofactors(self: Array) -> Array:
    """The conjugate of the cofactors, by which det(A) changes with the elements of A.

    They are det(A) / A, which with both from one LU decomposition is exact for ill-conditioned matrices too:
    what the last pivot lacks in digits cancels. Singular ones go by their singular values, much slower.
    """
    cofactors, det = np.empty(self.shape, self.dtype), np.empty(self.shape[:-2], self.dtype)
    if not self.size:
        return cofactors
    run_into(_of_regular, (self,), (cofactors, det))
    ill = ~((np.abs(det) > np.finfo(self.dtype).tiny) & np.isfinite(cofactors).all((-1, -2)))
    ill &= np.isfinite(det)
    if ill.any():
        cofactors[ill] = _cofactors_by_svd(self[ill])
    return cofactors


@_cofactors.meta
def _cofactors_shape(self: Array) -> Array:
    return meta_matrices(self, *self.shape[-2:], columns=False)


_det.vjp(self=lambda g, self: _as_matrices(g) * _cofactors(self))


def _cofactors_by_svd(a: Array) -> Array:
    finite = np.isfinite(a).all((-2, -1), keepdims=True)
    U, S, Vh = _umath_linalg.svd_s(np.where(finite, a, 0))
    phase = np.conj(_umath_linalg.det(U) * _umath_linalg.det(Vh))[..., None]
    return np.where(finite, (U * (phase * _all_but_one(S))[..., None, :]) @ Vh, a.dtype.type(np.nan))


def _all_but_two(S: Tensor) -> Tensor:
    """(..., n, n) for (..., n) descending values: the product of all but two, zero on the diagonal.

    Only the two smallest may be left out of a division: with more zeros all products are zero.
    """
    n = S.shape[-1]
    head = ops.narrow(S, -1, 0, n - 2)
    zero = head == 0
    inverses = ops.where(zero, 0.0, 1 / ops.where(zero, 1.0, head))
    inverses = ops.constant_pad_nd(inverses, (0, 2), 1.0)
    products = _as_matrices(ops.prod(head, -1)) * ops.unsqueeze(inverses, -1) * ops.unsqueeze(inverses, -2)
    index = ops.arange(n)
    for small in (n - 2, n - 1):
        left_out = ops.unsqueeze(index == small, -1) | (index == small)
        products = products * ops.where(left_out, 1.0, _as_matrices(ops.select(S, -1, small)))
    return products * (1 - ops.eye(n, dtype=S.dtype))


SMALL = 8
"""Up to so many rows the recursion, which loses a binary digit a row, is used."""


def _polynomial_gradient(g: Tensor, a: Tensor) -> Tensor:
    """gA of C(A) = adj(A)^H, backwards through

    M_0 = 1,  M_k = A M_(k-1) - tr(A M_(k-1)) / k,  adj(A) = (-1)^(n-1) M_(n-1).
    """
    n = a.shape[-1]
    unit = ops.eye(n, dtype=a.dtype)

    def traced(m: Tensor) -> Tensor:
        return _as_matrices(ops.sum(main_diagonal(m), -1)) * unit

    powers = [ops.expand(unit, a.shape)]
    for k in range(1, n - 1):
        step = a @ powers[-1]
        powers.append(step - traced(step) / k)
    gm, total = adjoint(g) * (-1) ** (n - 1), None
    for k in range(n - 1, 0, -1):
        step = gm - traced(gm) / k
        share = step @ adjoint(powers[k - 1])
        total = share if total is None else total + share
        gm = adjoint(a) @ step
    assert total is not None
    return total


def _cofactors_gradient(g: Tensor, self: Tensor) -> Tensor:
    """gA of C(A): with W = [det U det V^H U^H g V]^H and Q_ij the product of all s but s_i and s_j,

    gA = U [diag(Q w) - Q * W] V^H, w being the diagonal of W.
    """
    n = self.shape[-1]
    if n < 2:
        return ops.zeros_like(self) * g
    if n <= SMALL:
        return _polynomial_gradient(g, self)
    U, S, Vh = svd_factors(self, False)
    phase = _as_matrices(_det(U) * _det(Vh))
    W = adjoint(phase * (adjoint(U) @ g @ adjoint(Vh)))
    Q = _all_but_two(S)
    Qw = ops.squeeze(Q.to(W.dtype) @ ops.unsqueeze(main_diagonal(W), -1), -1)
    return U @ (ops.diag_embed(Qw) - Q * W) @ Vh


_cofactors.vjp(self=_cofactors_gradient)


@op(name="linalg_slogdet", places="", takes_half=True, batch="leading")
def _slogdet(self: Array) -> tuple[Array, Array]:
    """The sign, or phase, and the logarithm of the size."""
    sign, size = _umath_linalg.slogdet(self)
    return np.asarray(sign), np.asarray(size)


@_slogdet.prepare
def _plan_slogdet(self: Spec) -> Plan:
    check_square("linalg.slogdet", self)
    check_inexact("linalg.slogdet", self, low=False)
    stack, real = self.shape[:-2], self.dtype.to_real()
    chain = Matrices(1, stack, self.dtype, (Spec(self.dtype, stack), Spec(real, stack)))
    sign, size = chain.vectors(chain.result(0), self.dtype), chain.vectors(chain.result(1), real)
    chain.loop(_umath_linalg.slogdet, self.shape[-1:], chain.matrices(Place(0), self), sign, size)
    return chain.plan()


@_slogdet.joint_vjp
def _slogdet_gradient(g0: Tensor, g1: Tensor, self: Tensor, result0: Tensor) -> Any:
    """`(g1 + i Im(g0 conj(sign))) A^-H`; a real sign is constant."""
    of_phase = None
    if g0 is not None and self.dtype.is_complex:
        of_phase = ops.imag(g0 * conj(result0)) * 1j
    g = added(g1, of_phase)
    if g is None:
        return (ops.zeros_like(self),)
    return (_as_matrices(g) * adjoint(inverse_and_info(self, "")[0]),)


@public(space="linalg")
def linalg_det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of square matrices (..., n, n), float or complex.

    The gradient is g times the conjugate cofactors, `conj(det) inv(A).mH` for regular matrices; it is
    right, to the second order, for singular ones of any rank.

    >>> import pullback as torch
    >>> torch.linalg.det(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return into_out("linalg_det", _det(A), out)


@explained
def det(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.det`.

    >>> import pullback as torch
    >>> torch.det(torch.tensor([[2.0]]))
    tensor(2.)
    """
    return into_out("linalg_det", _det(input), out)


@public(space="linalg")
def linalg_slogdet(A: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """The sign (for complex numbers, the phase) and the logarithm of the size of the determinant.

    For a singular matrix 0 and -inf. The gradient of `logabsdet` is `inv(A).mH`.

    >>> import pullback as torch
    >>> torch.linalg.slogdet(torch.tensor([[-1.0]])).sign
    tensor(-1.)
    """
    return named_results("linalg_slogdet", _slogdet(A), out)


@explained
def slogdet(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """`linalg.slogdet`.

    >>> import pullback as torch
    >>> torch.slogdet(torch.tensor([[1.0]])).logabsdet
    tensor(0.)
    """
    return named_results("slogdet", _slogdet(input), out)


@explained
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan where that is negative, -inf where it is zero.

    >>> import pullback as torch
    >>> torch.logdet(torch.tensor([[1.0]]))
    tensor(0.)
    """
    check_square("logdet", input._layout)
    check_inexact("logdet", input._layout, low=False)
    sign, size = _slogdet(input)
    if sign.dtype.is_complex:
        return size + ops.log(sign)
    return ops.where(sign == -1.0, float("nan"), size)
