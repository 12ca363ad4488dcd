"""Inverses of square matrices, and of tensors that stand for them.

The inverse is its LU factors' solution for the unit matrix; its gradient needs nothing but itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, adjoint
from pullback.core.op import function, op
from pullback.kernels import lapack
from pullback.ops.linalg.checks_and_stacks import (
    LinAlgError,
    check_inexact,
    check_square,
    given,
    named,
    raise_for,
    without_numbers,
)
from pullback.ops.linalg.triangular import SINGULAR


@op(name="linalg_inv_ex", places="", layout="", takes_half=True)
def inverse_of(self: Tensor, check: str = ""):
    """The inverse and the codes; raises for these in the name of `check`."""
    check_square("linalg.inv", self)
    check_inexact("linalg.inv", self, low=False)
    packed, pivots, info = lapack.lu_factor(self)
    if check:
        raise_for(info, check, SINGULAR, LinAlgError)
    unit = np.broadcast_to(np.eye(self.shape[-1], dtype=self.dtype), self.shape)
    return lapack.lu_solve(packed, pivots, unit, "N"), info


inverse_of.vjp(self=lambda g0, result0: -(adjoint(result0) @ g0 @ adjoint(result0)))
inverse_of.batch_rule = "leading"
without_numbers(inverse_of, 1)


@function(places="", aliases=("linalg.inv_ex",))
def inv_ex(A: Tensor, *, check_errors: bool = False, out: Any = None) -> Any:
    """`linalg.inv` with a code for each matrix: 0, or the place of the first zero pivot.

    >>> import pullback as torch
    >>> torch.linalg.inv_ex(torch.zeros(2, 2)).info
    tensor(1, dtype=torch.int32)
    """
    check = "linalg.inv_ex" if check_errors else ""
    return named("linalg_inv_ex", inverse_of(A, check), out)


@function(name="inverse", aliases=("linalg.inv",))
def inverse(A: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The inverse of square matrices (..., n, n), float or complex; LinAlgError if one is singular.

    The gradient is `-P.mH @ g @ P.mH` of the inverse P.

    >>> import pullback as torch
    >>> torch.linalg.inv(torch.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return given("linalg_inv", inverse_of(A, "linalg.inv")[0], out)


@function(places="", aliases=("linalg.tensorinv",))
def tensorinv(A: Tensor, ind: int = 2, *, out: Tensor | None = None) -> Tensor:
    """The inverse of the map that `A` is from its dims after the first `ind` to those.

    RuntimeError if the two groups of dims have not as many elements.

    >>> import pullback as torch
    >>> torch.linalg.tensorinv(torch.eye(6).reshape(2, 3, 6)).shape
    torch.Size([6, 2, 3])
    """
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    if ind > A.ndim:
        raise RuntimeError(f"ArrayRef: invalid slice, N = {ind}; size = {A.ndim}")
    first, last = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    rows, count = math.prod(first), math.prod(last)
    if rows != count:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {count} != {rows}"
        )
    found = inverse_of(ops.reshape(A, (rows, count)), "linalg.inv")[0]
    return given("linalg_tensorinv", ops.reshape(found, last + first), out)
