"""QR decompositions and products of Householder reflectors.

A product of reflectors H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H, is 1 - V T V^H, where V has the v_i as
columns and T = (1 + D triu(V^H V, 1))^-1 D, D = diag(tau). All rules for reflectors go by this form:
matrix products in place of a loop over the reflectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core.dtype_names import type_name
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.checks_and_stacks import (
    batched_all,
    check_inexact,
    check_kernel,
    check_stack,
    columns_like,
    halved,
    left,
    lower,
    main_diagonal,
    named,
    top,
)
from pullback.ops.linalg.lu import _split_slope
from pullback.ops.linalg.triangular import triangular

# -------------------------------------------------------------------------------------------- QR


@op(name="linalg_qr", places="", layout="", takes_half=True)
def qr_of(self: Tensor, mode: str = "reduced"):
    check_stack("linalg.qr", self)
    check_inexact("linalg.qr", self)
    check_kernel("geqrf_cpu", self)
    m, n = self.shape[-2:]
    rows = m if mode == "complete" else min(m, n)
    packed, tau = lapack.qr_factor(self)
    R = columns_like(packed, rows, n)
    R[...] = np.triu(packed[..., :rows, :])
    Q = self[..., :0, :0].copy() if mode == "r" else lapack.reflector_product(packed, tau, rows)
    return Q, R


def qr_slope(of_q: Tensor | None, of_r: Tensor | None, Q: Tensor, R: Tensor) -> Tensor:
    """The gradient of A = Q R from those of Q (m, k) and R (k, n)."""
    few, count = R.shape[-2], R.shape[-1]
    first, of_first, rest = left(R, few), None if of_r is None else left(of_r, few), None
    if of_r is not None and count > few:
        more, of_more = ops.narrow(R, -1, few, count - few), ops.narrow(of_r, -1, few, count - few)
        rest = Q @ of_more
        shift = Q @ (more @ adjoint(of_more))
        of_q = shift if of_q is None else of_q + shift
    middle = None if of_first is None else of_first @ adjoint(first)
    if of_q is not None:
        turned = adjoint(Q) @ of_q
        middle = -turned if middle is None else middle - turned
    middle = halved(middle)
    inner = Q @ (middle + adjoint(middle))
    if of_q is not None:
        inner = inner + of_q
    found = triangular(adjoint(first), inner, False, False)
    if count == few:
        return found
    if rest is None:
        return ops.constant_pad_nd(found, (0, count - few))
    return ops.cat([found, rest], -1)


@qr_of.joint_vjp
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
    return (qr_slope(g0, g1, result0, result1),)


qr_of.batch_rule = "leading"


@function(name="linalg_qr", places="", aliases=("linalg.qr",))
def qr_public(A: Tensor, mode: str = "reduced", *, out: Any = None) -> Any:
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
            f"qr received unrecognized mode '{mode}' but expected one of "
            "'reduced' (default), 'r', or 'complete'"
        )
    Q, R = qr_of(A, mode)
    if mode == "r":
        Q = ops.flatten(Q)
    return named("linalg_qr", (Q, R), out)


@function()
def qr(input: Tensor, some: bool = True, *, out: Any = None) -> Any:
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
    return named("qr", qr_of(input, "reduced" if some else "complete"), out)


# -------------------------------------------------------------------------------------- reflectors


def _reflectors(packed: Tensor, tau: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """V and T of the product 1 - V T V^H, and the inverse of `1 + D triu(V^H V, 1)`."""
    few = tau.shape[-1]
    m = packed.shape[-2]
    V = lower(left(packed, few)) + ops.eye(m, few, dtype=packed.dtype)
    D = ops.unsqueeze(tau, -1)
    unit = ops.eye(few, dtype=packed.dtype)
    chain = unit + D * ops.triu(adjoint(V) @ V, 1)
    inverse = triangular(chain, ops.expand_as(unit, chain), True, True, True)
    return V, inverse * ops.unsqueeze(tau, -2), inverse


def _reflector_slope(
    of_v: Tensor, of_t: Tensor, packed: Tensor, tau: Tensor, parts: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The gradients of the packed vectors and of tau from those of V and T."""
    V, T, inverse = parts
    few, count = tau.shape[-1], packed.shape[-1]
    turned = adjoint(inverse) @ of_t
    of_chain = ops.triu(-(turned @ adjoint(T)), 1)
    above = ops.triu(adjoint(V) @ V, 1)
    of_tau = main_diagonal(turned) + ops.sum(of_chain * ops.conj(above), -1)
    of_above = ops.unsqueeze(ops.conj(tau), -1) * of_chain
    of_v = of_v + V @ (of_above + adjoint(of_above))
    of_packed = lower(of_v)
    if count > few:
        of_packed = ops.constant_pad_nd(of_packed, (0, count - few))
    return of_packed, of_tau


def _applied_slope(
    g: Tensor, packed: Tensor, tau: Tensor, other: Tensor, adjointed: bool
) -> tuple[Tensor, Tensor]:
    """The gradients of the reflectors whose product, or its adjoint, is applied to `other`."""
    parts = _reflectors(packed, tau)
    V, T, _ = parts
    if adjointed:
        T = adjoint(T)
    seen, back = adjoint(V) @ other, adjoint(V) @ g
    of_t = -(back @ adjoint(seen))
    of_v = -(g @ adjoint(T @ seen)) - other @ adjoint(adjoint(T) @ back)
    return _reflector_slope(of_v, adjoint(of_t) if adjointed else of_t, packed, tau, parts)


def _check_reflectors(name: str, a: Array, tau: Array, dtypes: str) -> None:
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


@op(
    name="linalg_householder_product",
    public_name="orgqr",
    aliases=("linalg.householder_product",),
    layout="",
    takes_half=True,
)
def householder_product(self: Tensor, tau: Tensor):
    """The first n columns of the product of reflectors that `geqrf` packs into (..., m, n).

    RuntimeError unless m >= n >= the number of tau. The gradients go by `Q = 1 - V T V.mH`.

    >>> import pullback as torch
    >>> torch.linalg.householder_product(torch.ones(2, 1), torch.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    name = "torch.linalg.householder_product"
    if self.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if self.shape[-2] < self.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if tau.shape[-1] > self.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    _check_reflectors(name, self, tau, "tau dtype {tau} does not match input dtype {input}")
    check_kernel("orgqr_cpu", self)
    return lapack.reflector_product(self, tau, self.shape[-1])


@householder_product.joint_vjp
def _product_slope(g: Tensor, self: Tensor, tau: Tensor) -> Any:
    m, n = self.shape[-2:]
    if not tau.shape[-1]:
        return ops.zeros_like(self), ops.zeros_like(tau)
    unit = ops.expand_as(ops.eye(m, n, dtype=self.dtype), self)
    return _applied_slope(g, self, tau, unit, False)


@op(layout="", takes_half=True)
def ormqr(self: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False):
    """`Q other`, or `other Q` with `left=False`, Q the whole product of reflectors, or its adjoint.

    RuntimeError for shapes and dtypes that do not fit. The gradients go by `Q = 1 - V T V.mH`.

    >>> import pullback as torch
    >>> torch.ormqr(torch.zeros(2, 1), torch.tensor([2.0]), torch.ones(2, 1))
    tensor([[-1.],
            [ 1.]])
    """
    name = "torch.ormqr"
    for what, a in (("input", self), ("other", other)):
        if a.ndim < 2:
            raise RuntimeError(f"{name}: {what} must have at least 2 dimensions.")
    side = -2 if left else -1
    if other.shape[side] < tau.shape[-1] and other.shape[side] == self.shape[-2]:
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    if other.shape[side] != self.shape[-2]:
        raise RuntimeError(f"{name}: other.shape[{side}] must be equal to input.shape[-2]")
    if tau.shape[-1] != min(other.shape[side], self.shape[-1]):
        raise RuntimeError(
            f"{name}: tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
        )
    said = (
        "Expected input and {0} to have the same dtype, but input has dtype{{input}} "
        "and {0} has dtype {{tau}}"
    )
    if other.ndim != self.ndim:
        _check_reflectors(name, self, tau, said.format("tau"))
        raise RuntimeError(
            f"{name}: Expected other to have the same number of dimensions as input, but got other.ndim "
            f"equal to {other.ndim} and input.ndim is equal to {self.ndim}"
        )
    _check_reflectors(name, self, tau, said.format("tau"))
    if other.shape[:-2] != self.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of other to be equal to input.shape[:-2], "
            f"but got {list(other.shape[:-2])}"
        )
    if other.dtype != self.dtype:
        text = said.format("other")
        raise RuntimeError(f"{name}: {text.format(tau=type_name(other), input=type_name(self))}")
    check_kernel("ormqr_cpu", self)
    return lapack.apply_reflectors(self, tau, other, left, transpose)


@ormqr.joint_vjp
def _ormqr_slope(
    g: Tensor, self: Tensor, tau: Tensor, other: Tensor, left: bool, transpose: bool, needs: Any
) -> Any:
    of_packed = of_tau = None
    if needs[0] or needs[1]:
        if left:
            of_packed, of_tau = _applied_slope(g, self, tau, other, transpose)
        else:
            of_packed, of_tau = _applied_slope(adjoint(g), self, tau, adjoint(other), not transpose)
    return of_packed, of_tau, ormqr(self, tau, g, left, not transpose) if needs[2] else None


householder_product.batch_rule = ormqr.batch_rule = batched_all


@op(name="geqrf", places="", layout="", takes_half=True)
def _geqrf(self: Tensor):
    if self.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    check_kernel("geqrf_cpu", self)
    return lapack.qr_factor(self)


@_geqrf.joint_vjp
def _geqrf_slope(g0: Tensor, g1: Tensor, self: Tensor, result0: Tensor, result1: Tensor) -> Any:
    """By way of Q: `1 - Q = V (T V_1^H)` is an LU decomposition, whose U has tau on its diagonal.

    The last reflector of a real matrix with no more rows than columns is the identity: it takes no
    part.
    """
    m, n = self.shape[-2:]
    few = min(m, n)
    moving = few - 1 if m <= n and not self.dtype.is_complex else few
    g0 = ops.zeros_like(result0) if g0 is None else g0
    g1 = ops.zeros_like(result1) if g1 is None else g1
    of_v, of_tau = lower(left(g0, moving)), ops.narrow(g1, -1, 0, moving)
    packed, tau = left(result0, moving), ops.narrow(result1, -1, 0, moving)
    of_rest = None
    if n > moving:
        rest = ops.narrow(self, -1, moving, n - moving)
        of_r = ops.triu(ops.narrow(g0, -1, moving, n - moving), -moving)
        of_rest = ormqr(packed, tau, of_r, True, False)
        more_v, more_tau = _applied_slope(of_r, packed, tau, rest, True)
        of_v, of_tau = of_v + more_v, of_tau + more_tau
    if not moving:
        return (of_rest,)
    Q = householder_product(packed, tau)
    V, T, _ = _reflectors(packed, tau)
    unit = ops.expand_as(ops.eye(m, m, dtype=self.dtype), Q @ adjoint(Q))
    of_first = -_split_slope(of_v, ops.diag_embed(of_tau), unit, V, T @ adjoint(top(V, moving)))
    R = ops.triu(top(packed, moving))
    found = qr_slope(of_first, ops.triu(top(left(g0, moving), moving)), Q, R)
    return (found if of_rest is None else ops.cat([found, of_rest], -1),)


_geqrf.batch_rule = "leading"


@function()
def geqrf(input: Tensor, *, out: Any = None) -> Any:
    """R and, below its diagonal, the reflectors whose product is Q, and tau: see `ormqr`.

    >>> import pullback as torch
    >>> torch.geqrf(torch.tensor([[3.0]])).a
    tensor([[3.]])
    """
    return named("geqrf", _geqrf(input), out)
