"""Inverses of square matrices, and of tensors that stand for them.

The inverse P is its LU factors' solution for the unit matrix. From dP = -P dA P follows
gA = -P^H gP P^H, which needs nothing but P (Giles 2008).
"""

from __future__ import annotations

import math

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int32
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import lapack
from pullback.ops.linalg.plans import Form, Matrices, said_by
from pullback.ops.linalg.refusals import LinAlgError, check_inexact, check_square, raise_for
from pullback.ops.linalg.stacks import into_out, named_results
from pullback.ops.linalg.triangular import SINGULAR
from pullback.ops.shared.chains import Place
from pullback.ops.shared.forms import explained, public


@op(name="linalg_inv_ex", places="", layout="", takes_half=True, batch="leading")
def inverse_and_info(self: Array, check: str = "") -> tuple[Array, Array]:
    """The inverse and the codes; raises for these in the name of `check`."""
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, SINGULAR, LinAlgError)
    unit = np.broadcast_to(np.eye(self.shape[-1], dtype=self.dtype), self.shape)
    return lapack.lu_solve(packed, pivots, unit, "N"), info


@inverse_and_info.prepare
def _plan_inverse(self: Spec, check: str) -> Plan:
    check_square("linalg.inv", self)
    check_inexact("linalg.inv", self, low=False)
    stack, n = self.shape[:-2], self.shape[-1]
    chain = Matrices(1, stack, self.dtype, (Spec.columns(self.dtype, self.shape), Spec(int32, stack)))
    factors, pivots = chain.packed(n, n), chain.integers(n)
    chain.copy(chain.matrices(Place(0), self), factors)
    chain.lu(factors, pivots, chain.result(1), bool(check))
    unit = chain.packed(n, n, chain.result(0))
    chain.unit(unit)
    chain.solve_lu(factors, pivots, unit, unit, Form(left=False))
    return chain.plan(said_by(inverse_and_info.kernel))


inverse_and_info.vjp(self=lambda g0, result0: -(adjoint(result0) @ g0 @ adjoint(result0)))


@public(space="linalg")
def inv_ex(
    A: Tensor, *, check_errors: bool = False, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """`linalg.inv` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.inv_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    check = "linalg.inv_ex" if check_errors else ""
    return named_results("linalg_inv_ex", inverse_and_info(A, check), out)


@public(space="linalg")
def inv(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of square matrices (..., n, n), float or complex; LinAlgError if one is singular.

    The gradient is `-P.mH @ g @ P.mH` of the inverse P.

    >>> import pullback as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return into_out("linalg_inv", inverse_and_info(A, "linalg.inv")[0], out)


@explained
def inverse(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`linalg.inv`.

    >>> import pullback as torch
    >>> torch.inverse(torch.tensor([[2.0]]))
    tensor([[0.5000]])
    """
    return into_out("linalg_inv", inverse_and_info(input, "linalg.inv")[0], out)


@public(space="linalg")
def tensorinv(input: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the map that `input` is from its dims after the first `ind` to those.

    RuntimeError if the two groups of dims have not as many elements.

    >>> import pullback as torch
    >>> torch.linalg.tensorinv(torch.eye(6).reshape(2, 3, 6)).shape
    torch.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    if ind > input.ndim:
        raise RuntimeError(f"ArrayRef: invalid slice, N = {ind}; size = {input.ndim}")
    first, last = tuple(input.shape[:ind]), tuple(input.shape[ind:])
    rows, count = math.prod(first), math.prod(last)
    if rows != count:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {count} != {rows}"
        )
    inverse = inverse_and_info(ops.reshape(input, (rows, count)), "linalg.inv")[0]
    return into_out("linalg_tensorinv", ops.reshape(inverse, last + first), out, True)
