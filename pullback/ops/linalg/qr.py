"""QR decompositions and products of Householder reflectors.

A = Q R, A (m, n), Q (m, k) with orthonormal columns and R (k, n), k = min(m, n). For m >= n,
with M = R gR^H - gQ^H Q,

    gA = (gQ + Q copyltu(M)) R^-H,   copyltu(M) = tril(M) + tril(M, -1)^H with a real diagonal.

(Seeger et al. 2017; Roberts and Roberts, "QR and LQ decomposition matrix backpropagation algorithms",
arXiv:2009.10071, 2020, for wide and complex matrices.)

A product of reflectors H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H, is 1 - V T V^H, where V has the v_i as
columns and T = (1 + D triu(V^H V, 1))^-1 D, D = diag(tau) (Schreiber and Van Loan, "A storage-efficient WY
representation for products of Householder transformations", 1989). All rules for reflectors go by this
form: matrix products in place of a loop over the reflectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import type_name
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.lu import lu_gradient
from pullback.ops.linalg.plans import BLOCK, WORK_OF_ORMQR, Matrices
from pullback.ops.linalg.refusals import check_inexact, check_kernel, check_stack
from pullback.ops.linalg.stacks import (
    added,
    batched_all,
    columns_like,
    first_columns,
    first_rows,
    main_diagonal,
    named_results,
    strict_lower,
    upper_half,
)
from pullback.ops.linalg.triangular import triangular
from pullback.ops.shared.chains import SCRATCH, Operand, Place
from pullback.ops.shared.forms import explained, public

# -------------------------------------------------------------------------------------------- QR


@op(name="linalg_qr", places="", layout="", takes_half=True, batch="leading")
def qr_factors(self: Array, mode: str = "reduced") -> tuple[Array, Array]:
    """Q and R; Q is square for "complete" and has no elements for "r"."""
    m, n = self.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    packed, tau = lapack.qr_factor(self)
    R = columns_like(packed, k, n)
    R[...] = np.triu(packed[..., :k, :])
    Q = self[..., :0, :0].copy() if mode == "r" else lapack.reflector_product(packed, tau, k)
    return Q, R


@qr_factors.prepare
def _plan_qr(self: Spec, mode: str) -> Plan:
    _check_qr(self)
    stack, (m, n) = self.shape[:-2], self.shape[-2:]
    few = min(m, n)
    k = m if mode == "complete" else few
    of_q = (0, 0) if mode == "r" else (m, k)
    results = tuple(Spec.columns(self.dtype, stack + shape) for shape in (of_q, (k, n)))
    chain = Matrices(1, stack, self.dtype, results)
    packed, scales = chain.packed(m, n), chain.room(self.dtype, {**chain.leading, "i": few})
    chain.copy(chain.matrices(Place(0), self), packed)
    chain.reflectors(packed, scales)
    chain.upper(packed, chain.packed(k, n, chain.result(1)))
    if mode != "r":
        Q = chain.packed(m, k, chain.result(0))
        chain.copy(packed, Operand(Q.place, Q.dtype, Q.sizes | {"j": few}, Q.steps))
        chain.reflector_product(Q, scales)
    return chain.plan()


def qr_gradient(gQ: Tensor | None, gR: Tensor | None, Q: Tensor, R: Tensor) -> Tensor:
    """gA of A = Q R from those of Q (m, k) and R (k, n), k = min(m, n), of which one may be none.

    A wide matrix has A = Q [R1 R2], R2 = Q^H A2: its gradient gA2 = Q gR2 is that of A2, and R2 gR2^H goes
    into gQ as Q R2 gR2^H.
    """
    k, n = R.shape[-2], R.shape[-1]
    R1, gR1, gA2 = first_columns(R, k), None if gR is None else first_columns(gR, k), None
    if gR is not None and n > k:
        R2, gR2 = ops.narrow(R, -1, k, n - k), ops.narrow(gR, -1, k, n - k)
        gA2 = Q @ gR2
        gQ = added(gQ, Q @ (R2 @ adjoint(gR2)))
    # the Hermitian matrix of the upper triangle of M^H is that of the lower one of M
    of_R = None if gR1 is None else gR1 @ adjoint(R1)
    of_Q = None if gQ is None else -(adjoint(Q) @ gQ)
    both = added(of_R, of_Q)
    assert both is not None
    upper = upper_half(both)
    gA1 = added(gQ, Q @ (upper + adjoint(upper)))
    gA1 = triangular(adjoint(R1), gA1, upper=False, left=False)
    if n == k:
        return gA1
    return ops.constant_pad_nd(gA1, (0, n - k)) if gA2 is None else ops.cat([gA1, gA2], -1)


@qr_factors.joint_vjp
def _qr_rule(g0: Tensor, g1: Tensor, self_shape: Any, mode: str, result0: Tensor, result1: Tensor) -> Any:
    m, n = self_shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
            "Please use linalg.qr(A, mode='reduced') if you are going to differentiate through linalg.qr."
        )
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols."
        )
    return (qr_gradient(g0, g1, result0, result1),)


@public(space="linalg")
def linalg_qr(
    A: Tensor, mode: str = "reduced", *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Q with orthonormal columns and the upper triangular R of `A = Q R`.

    A is (..., m, n), float or complex; with k the smaller of m and n, Q is (..., m, k) and R
    (..., k, n), or k is m for `mode="complete"`; "r" leaves Q empty. With `M = R gR.mH - gQ.mH Q` the
    gradient is `(gQ + Q copyltu(M)) R^-H`; there is none for "r", nor for "complete" with m > n.

    >>> import pullback as torch
    >>> torch.linalg.qr(torch.tensor([[3.0, 1.0], [0.0, 2.0]])).R
    tensor([[3., 1.],
            [0., 2.]])
    """
    if not isinstance(mode, str):
        raise TypeError(f"linalg_qr(): argument 'mode' must be str, not {type(mode).__name__}")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or "
            "'complete'"
        )
    Q, R = qr_factors(A, mode)
    if mode == "r":
        Q = ops.flatten(Q)
    return named_results("linalg_qr", (Q, R), out)


@explained
def qr(
    input: Tensor, some: bool = True, *, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Q and R of `input = Q R`: `linalg.qr` is its name now.

    >>> import pullback as torch
    >>> torch.qr(torch.tensor([[3.0]])).R
    tensor([[3.]])
    """
    warn(
        "torch.qr is deprecated in favor of torch.linalg.qr and will be removed in a future PyTorch "
        "release.\nThe boolean parameter 'some' has been replaced with a string parameter 'mode'.\n"
        "Q, R = torch.qr(A, some)\nshould be replaced with\n"
        "Q, R = torch.linalg.qr(A, 'reduced' if some else 'complete')"
    )
    return named_results("qr", qr_factors(input, "reduced" if some else "complete"), out)


# -------------------------------------------------------------------------------------- reflectors


def _compact_form(packed: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """V (m, k) and T (k, k) of the product 1 - V T V^H of k reflectors, and `(1 + D triu(V^H V, 1))^-1`."""
    m, k = packed.shape[-2], tau.shape[-1]
    V = strict_lower(first_columns(packed, k)) + ops.eye(m, k, dtype=packed.dtype)
    unit = ops.eye(k, dtype=packed.dtype)
    chain = unit + ops.unsqueeze(tau, -1) * ops.triu(adjoint(V) @ V, 1)
    inverse = triangular(chain, ops.expand_as(unit, chain), upper=True, unitriangular=True)
    return V, inverse * ops.unsqueeze(tau, -2), inverse


def _reflector_gradients(
    gV: Tensor, gT: Tensor, packed: Tensor, tau: Tensor, form: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The gradients of the packed vectors and of tau from those of V and T.

    With N = triu(V^H V, 1) and K = (1 + D N)^-1, T = K D: dT = K (dD - dD N T - D dN T), so for
    B = K^H gT, C = triu(-B T^H, 1) the gradient of D is diag(B) + diag(C N^H), and that of N is D^H C.
    """
    V, T, inverse = form
    k, n = tau.shape[-1], packed.shape[-1]
    B = adjoint(inverse) @ gT
    C = ops.triu(-(B @ adjoint(T)), 1)
    N = ops.triu(adjoint(V) @ V, 1)
    gtau = main_diagonal(B) + ops.sum(C * ops.conj(N), -1)
    gN = ops.unsqueeze(ops.conj(tau), -1) * C
    gpacked = strict_lower(gV + V @ (gN + adjoint(gN)))
    if n > k:
        gpacked = ops.constant_pad_nd(gpacked, (0, n - k))
    return gpacked, gtau


def _applied_gradients(
    g: Tensor, packed: Tensor, tau: Tensor, other: Tensor, adjointed: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of the reflectors whose product, or its adjoint, is applied to `other`.

    Y = X - V T V^H X: gT = -(V^H gY) (V^H X)^H and gV = -gY (T V^H X)^H - X (T^H V^H gY)^H; for the
    adjoint of the product with T^H in place of T.
    """
    form = _compact_form(packed, tau)
    V, T, _ = form
    if adjointed:
        T = adjoint(T)
    VhX, Vhg = adjoint(V) @ other, adjoint(V) @ g
    gT = -(Vhg @ adjoint(VhX))
    gV = -(g @ adjoint(T @ VhX)) - other @ adjoint(adjoint(T) @ Vhg)
    return _reflector_gradients(gV, adjoint(gT) if adjointed else gT, packed, tau, form)


@op(
    name="linalg_householder_product",
    public_name="orgqr",
    aliases=("linalg.householder_product",),
    layout="",
    takes_half=True,
    casts_out=True,
)
def householder_product(self: Array, tau: Array) -> Array:
    """The first n columns of the product of reflectors that `geqrf` packs into (..., m, n).

    RuntimeError unless m >= n >= the number of tau. The gradients go by `Q = 1 - V T V.mH`.

    >>> import pullback as torch
    >>> torch.linalg.householder_product(torch.ones(2, 1), torch.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    return lapack.reflector_product(self, tau, self.shape[-1])


@householder_product.prepare
def _plan_householder(self: Spec, tau: Spec) -> Plan:
    _check_householder(self, tau)
    result = Spec.columns(self.dtype, self.shape)
    chain = Matrices(2, self.shape[:-2], self.dtype, result)
    m, n = self.shape[-2:]
    Q, scales = chain.packed(m, n, chain.result()), chain.contiguous_vectors(Place(1), tau)
    chain.copy(chain.matrices(Place(0), self), Q)
    chain.reflector_product(Q, scales)
    return chain.plan()


@householder_product.joint_vjp
def _householder_gradients(g: Tensor, self: Tensor, tau: Tensor) -> Any:
    m, n = self.shape[-2:]
    if not tau.shape[-1]:
        return ops.zeros_like(self), ops.zeros_like(tau)
    unit = ops.expand_as(ops.eye(m, n, dtype=self.dtype), self)
    return _applied_gradients(g, self, tau, unit, False)


@op(layout="", takes_half=True)
def ormqr(self: Array, tau: Array, other: Array, left: bool = True, transpose: bool = False) -> Array:
    """`Q other`, or `other Q` with `left=False`, Q the whole product of reflectors, or its adjoint.

    RuntimeError for shapes and dtypes that do not fit. The gradients go by `Q = 1 - V T V.mH`.

    >>> import pullback as torch
    >>> torch.ormqr(torch.zeros(2, 1), torch.tensor([2.0]), torch.ones(2, 1))
    tensor([[-1.],
            [ 1.]])
    """
    return lapack.apply_reflectors(self, tau, other, left, transpose)


@ormqr.prepare
def _plan_ormqr(self: Spec, tau: Spec, other: Spec, left: bool, transpose: bool) -> Plan:
    _check_ormqr(self, tau, other, left)
    (m, n), k = other.shape[-2:], tau.shape[-1]
    chain = Matrices(3, other.shape[:-2], self.dtype, Spec.columns(self.dtype, other.shape))
    reflectors, x = chain.packed(self.shape[-2], self.shape[-1]), chain.packed(m, n, chain.result())
    chain.copy(chain.matrices(Place(0), self), reflectors)
    chain.copy(chain.matrices(Place(2), other), x)
    if m and n and k:
        way = ("C" if self.dtype.is_complex else "T") if transpose else "N"
        scales, room = chain.contiguous_vectors(Place(1), tau), (n if left else m) * BLOCK + WORK_OF_ORMQR
        rows = self.shape[-2]
        numbers = ("L" if left else "R", way, m, n, k, reflectors, rows, scales, x, m, Place(SCRATCH), room)
        chain.routine("ormqr", *numbers, work=room)
    return chain.plan()


@ormqr.joint_vjp
def _ormqr_gradients(
    g: Tensor, self: Tensor, tau: Tensor, other: Tensor, left: bool, transpose: bool, needs: Any
) -> Any:
    gpacked = gtau = None
    if needs[0] or needs[1]:
        if left:
            gpacked, gtau = _applied_gradients(g, self, tau, other, transpose)
        else:
            gpacked, gtau = _applied_gradients(adjoint(g), self, tau, adjoint(other), not transpose)
    return gpacked, gtau, ormqr(self, tau, g, left, not transpose) if needs[2] else None


householder_product.batch(batched_all)
ormqr.batch(batched_all)


@op(name="geqrf", places="", layout="", takes_half=True, batch="leading")
def _geqrf(self: Array) -> tuple[Array, Array]:
    """R with the reflectors below its diagonal, and tau."""
    return lapack.qr_factor(self)


@_geqrf.prepare
def _plan_geqrf(self: Spec) -> Plan:
    _check_geqrf(self)
    stack, (m, n) = self.shape[:-2], self.shape[-2:]
    results = Spec.columns(self.dtype, self.shape), Spec(self.dtype, (*stack, min(m, n)))
    chain = Matrices(1, stack, self.dtype, results)
    packed, scales = (
        chain.packed(m, n, chain.result(0)),
        chain.vectors(chain.result(1), self.dtype, min(m, n)),
    )
    chain.copy(chain.matrices(Place(0), self), packed)
    chain.reflectors(packed, scales)
    return chain.plan()


@_geqrf.joint_vjp
def _geqrf_gradient(g0: Tensor, g1: Tensor, self: Tensor, result0: Tensor, result1: Tensor) -> Any:
    """By way of Q: `1 - Q = V (T V_1^H)` is an LU decomposition, whose U has tau on its diagonal.

    The last reflector of a real matrix with no more rows than columns is the identity: it takes no
    part. A = [A1 A2], A1 of as many columns as there are reflectors; the rest of R is Q^H A2.
    """
    m, n = self.shape[-2:]
    k = min(m, n)
    if m <= n and not self.dtype.is_complex:
        k -= 1
    g0 = ops.zeros_like(result0) if g0 is None else g0
    g1 = ops.zeros_like(result1) if g1 is None else g1
    gV, gtau = strict_lower(first_columns(g0, k)), ops.narrow(g1, -1, 0, k)
    packed, tau = first_columns(result0, k), ops.narrow(result1, -1, 0, k)
    gA2 = None
    if n > k:
        A2, gR2 = ops.narrow(self, -1, k, n - k), ops.triu(ops.narrow(g0, -1, k, n - k), -k)
        gA2 = ormqr(packed, tau, gR2, True, False)
        more_gV, more_gtau = _applied_gradients(gR2, packed, tau, A2, True)
        gV, gtau = gV + more_gV, gtau + more_gtau
    if not k:
        return (gA2,)
    Q = householder_product(packed, tau)
    V, T, _ = _compact_form(packed, tau)
    unit = ops.expand_as(ops.eye(m, m, dtype=self.dtype), Q @ adjoint(Q))
    gQ = -lu_gradient(gV, ops.diag_embed(gtau), unit, V, T @ adjoint(first_rows(V, k)))
    R1, gR1 = ops.triu(first_rows(packed, k)), ops.triu(first_rows(first_columns(g0, k), k))
    gA1 = qr_gradient(gQ, gR1, Q, R1)
    return (gA1 if gA2 is None else ops.cat([gA1, gA2], -1),)


@function()
def geqrf(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """R and, below its diagonal, the reflectors whose product is Q, and tau: see `ormqr`.

    >>> import pullback as torch
    >>> torch.geqrf(torch.tensor([[3.0]])).a
    tensor([[3.]])
    """
    return named_results("geqrf", _geqrf(input), out, True)


# ---------------------------------------------------------------------------------------- refusals


def _check_qr(a: Spec) -> None:
    check_stack("linalg.qr", a)
    check_inexact("linalg.qr", a)
    check_kernel("geqrf_cpu", a)


def _check_geqrf(a: Spec) -> None:
    if a.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    check_kernel("geqrf_cpu", a)


def _check_reflectors(name: str, a: Spec, tau: Spec, dtypes: str) -> None:
    if tau.ndim != a.ndim - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to "
            f"{tau.ndim} and input.ndim is equal to {a.ndim}"
        )
    if tau.shape[:-1] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], "
            f"but got {list(tau.shape[:-1])}"
        )
    if tau.dtype != a.dtype:
        raise RuntimeError(f"{name}: {dtypes.format(tau=type_name(tau), input=type_name(a))}")


def _check_householder(a: Spec, tau: Spec) -> None:
    name = "torch.linalg.householder_product"
    if a.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if a.shape[-2] < a.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if tau.shape[-1] > a.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    _check_reflectors(name, a, tau, "tau dtype {tau} does not match input dtype {input}")
    check_kernel("orgqr_cpu", a)


def _check_ormqr(a: Spec, tau: Spec, other: Spec, left: bool) -> None:
    name = "torch.ormqr"
    for what, x in (("input", a), ("other", other)):
        if x.ndim < 2:
            raise RuntimeError(f"{name}: {what} must have at least 2 dimensions.")
    side = -2 if left else -1
    if other.shape[side] < tau.shape[-1] and other.shape[side] == a.shape[-2]:
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    if other.shape[side] != a.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if tau.shape[-1] != min(other.shape[side], a.shape[-1]):
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    said = (
        "Expected input and {0} to have the same dtype, but input has dtype{{input}} "
        "and {0} has dtype {{tau}}"
    )
    if other.ndim != a.ndim:
        _check_reflectors(name, a, tau, said.format("tau"))
        raise RuntimeError(
            f"{name}: Expected other to have the same number of dimensions as input, but got other.ndim "
            f"equal to {other.ndim} and input.ndim is equal to {a.ndim}"
        )
    _check_reflectors(name, a, tau, said.format("tau"))
    if other.shape[:-2] != a.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of other to be equal to input.shape[:-2], "
            f"but got {list(other.shape[:-2])}"
        )
    if other.dtype != a.dtype:
        text = said.format("other")
        raise RuntimeError(f"{name}: {text.format(tau=type_name(other), input=type_name(a))}")
    check_kernel("ormqr_cpu", a)
