"""Determinants.

The gradient of det is the matrix of cofactors, which for a regular matrix is det(A) A^-H. It exists
for every matrix: near singular ones `cofactors` takes it from the singular values, where it is a
product of all but one, and its own derivative, a product of all but two, likewise. So det of a
singular matrix has the right first and second derivative, whatever its rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.linalg import _umath_linalg

from pullback import ops
from pullback.core._engine import Tensor, adjoint, conj
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.linalg.checks_and_stacks import (
    check_inexact,
    check_kernel,
    check_square,
    given,
    main_diagonal,
    named,
)
from pullback.ops.linalg.inverse import inverse_of
from pullback.ops.linalg.svd import svd_of


@op(name="linalg_det", places="", takes_half=True)
def _det(self: Tensor):
    check_square("linalg.det", self)
    check_inexact("linalg.det", self)
    check_kernel("lu_cpu", self)
    return np.asarray(_umath_linalg.det(self))


def _matrices(g: Tensor) -> Tensor:
    """A stack of numbers as one of matrices."""
    return ops.unsqueeze(ops.unsqueeze(g, -1), -1)


_det.vjp(self=lambda g, self: _matrices(g) * _cofactors(self))


def _all_but_one(values: Array) -> Array:
    """For each value the product of the others, of their logarithms' sums free of overflow only where
    the product is."""
    ones = np.ones((*values.shape[:-1], 1), values.dtype)
    before = np.cumprod(np.concatenate([ones, values[..., :-1]], -1), -1)
    behind = np.cumprod(np.concatenate([ones, values[..., :0:-1]], -1), -1)[..., ::-1]
    return before * behind


@op(name="cofactors", places="")
def _cofactors(self: Tensor):
    """The conjugate of the cofactors, by which det(A) changes with the elements of A.

    They are det(A) / A, which loses as many digits as A is ill-conditioned and is nothing where A is
    singular. Matrices that lose more than a third of them go by their singular values, ten times slower.
    """
    if not self.size:
        return np.zeros_like(self)
    det, inverse = _umath_linalg.det(self), _umath_linalg.inv(self)
    found = np.conj(np.swapaxes(det[..., None, None] * inverse, -1, -2))
    spread = np.abs(self).sum(-1).max(-1) * np.abs(inverse).sum(-1).max(-1)
    limits, size = np.finfo(self.dtype), np.abs(det)
    ill = ~((spread < limits.eps ** (-1 / 3)) & (size > limits.tiny) & (size < np.inf))
    if ill.any():
        found[ill] = _by_singular_values(self[ill])
    return found


def _by_singular_values(a: Array) -> Array:
    U, S, Vh = _umath_linalg.svd_s(a)
    turn = np.conj(_umath_linalg.det(U) * _umath_linalg.det(Vh))[..., None]
    return (U * (turn * _all_but_one(S))[..., None, :]) @ Vh


def _all_but_two(S: Tensor) -> Tensor:
    """For each pair of descending values the product of the others, zero on the diagonal.

    Only the two smallest may be left out of a division: with more zeros all products are zero.
    """
    n = S.shape[-1]
    head = ops.narrow(S, -1, 0, n - 2)
    zero = head == 0
    shares = ops.where(zero, 0.0, 1 / ops.where(zero, 1.0, head))
    shares = ops.constant_pad_nd(shares, (0, 2), 1.0)
    found = _matrices(ops.prod(head, -1)) * ops.unsqueeze(shares, -1) * ops.unsqueeze(shares, -2)
    places = ops.arange(n)
    for place in (n - 2, n - 1):
        mine = places == place
        taken = ops.unsqueeze(mine, -1) | mine
        found = found * ops.where(taken, 1.0, _matrices(ops.select(S, -1, place)))
    return found * (1 - ops.eye(n, dtype=S.dtype))


def _cofactors_slope(g: Tensor, self: Tensor) -> Tensor:
    n = self.shape[-1]
    if n < 2:
        return ops.zeros_like(self) * g
    U, S, Vh = svd_of(self, False)
    turn = _matrices(_det(U) * _det(Vh))
    W = adjoint(turn * (adjoint(U) @ g @ adjoint(Vh)))
    pairs = _all_but_two(S)
    along = ops.squeeze(pairs.to(W.dtype) @ ops.unsqueeze(main_diagonal(W), -1), -1)
    return U @ (ops.diag_embed(along) - pairs * W) @ Vh


_cofactors.vjp(self=_cofactors_slope)


@op(name="linalg_slogdet", places="", takes_half=True)
def _slogdet(self: Tensor):
    check_square("linalg.slogdet", self)
    check_inexact("linalg.slogdet", self, low=False)
    sign, size = _umath_linalg.slogdet(self)
    return np.asarray(sign), np.asarray(size)


@_slogdet.joint_vjp
def _slogdet_slope(g0: Tensor, g1: Tensor, self: Tensor, result0: Tensor) -> Any:
    turning = None
    if g0 is not None and self.dtype.is_complex:
        turning = ops.imag(g0 * conj(result0)) * 1j
    parts = [g for g in (g1, turning) if g is not None]
    if not parts:
        return (ops.zeros_like(self),)
    g = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return (_matrices(g) * adjoint(inverse_of(self, "")[0]),)


for _record in (_det, _cofactors, _slogdet):
    _record.batch_rule = "leading"


@function(name="det", aliases=("linalg.det",))
def det(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The determinant of square matrices (..., n, n), float or complex.

    The gradient is g times the conjugate cofactors, `conj(det) inv(A).mH` for regular matrices; it is
    right, to the second order, for singular ones of any rank.

    >>> import pullback as torch
    >>> torch.det(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return given("linalg_det", _det(A), out)


@function(name="linalg_slogdet", places="", aliases=("linalg.slogdet",))
def slogdet_of(A: Tensor, *, out: Any = None) -> Any:
    """The sign (for complex numbers, the phase) and the logarithm of the size of the determinant.

    For a singular matrix 0 and -inf. The gradient of `logabsdet` is `inv(A).mH`.

    >>> import pullback as torch
    >>> torch.linalg.slogdet(torch.tensor([[-1.0]])).sign
    tensor(-1.)
    """
    return named("linalg_slogdet", _slogdet(A), out)


@function()
def slogdet(input: Tensor, *, out: Any = None) -> Any:
    """`linalg.slogdet`.

    >>> import pullback as torch
    >>> torch.slogdet(torch.tensor([[1.0]])).logabsdet
    tensor(0.)
    """
    return named("slogdet", _slogdet(input), out)


@function()
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant: nan where that is negative, -inf where it is zero.

    >>> import pullback as torch
    >>> torch.logdet(torch.tensor([[1.0]]))
    tensor(0.)
    """
    check_square("logdet", input._array)
    check_inexact("logdet", input._array, low=False)
    sign, size = _slogdet(input)
    if sign.dtype.is_complex:
        return size + ops.log(sign)
    return ops.where(sign == -1.0, float("nan"), size)
