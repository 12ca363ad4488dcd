"""What the linear algebra refuses, in PyTorch's words.

Kernels and shape rules check their arguments by the `check_...` functions; `raise_for` turns the codes
that LAPACK gives (`info`, one a matrix) into the exception.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core._plans import Spec
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.op import function
from pullback.core.types import Array


class LinAlgError(RuntimeError):
    """A matrix for which the result does not exist, or was not found."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
function(name="LinAlgError", places="", aliases=("linalg.LinAlgError",))(LinAlgError)


def check_stack(name: str, a: Array | Spec | Tensor, what: str = "A") -> None:
    """Refuses what is no matrix and no stack of them."""
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {what} must have at least 2 dimensions.")


def check_square(name: str, a: Array | Spec | Tensor, what: str = "A") -> None:
    """Refuses what is not square."""
    check_stack(name, a, what)
    rows, count = a.shape[-2:]
    if rows != count:
        raise RuntimeError(
            f"{name}: {what} must be batches of square matrices, but they are {rows} by {count} matrices"
        )


def has_routines(a: Array | Spec) -> bool:
    """Whether LAPACK has routines for the dtype."""
    return a.dtype.kind in "fc" and a.dtype.itemsize >= 4


def check_inexact(name: str, a: Array | Spec, low: bool = True) -> None:
    """Refuses integers, and the half precisions unless `low`."""
    if has_routines(a):
        return
    kind = from_numpy_dtype(a.dtype) if isinstance(a, np.ndarray) else a.dtype
    if kind.kind not in "fc":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {kind.type_name}"
        )
    if not low:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {kind.type_name}")


def check_kernel(kernel: str, *arrays: Array | Spec) -> None:
    """Refuses what LAPACK has no routine for, as a missing kernel."""
    for a in arrays:
        if not has_routines(a):
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(a)}'")


def check_fit(name: str, a: Any, b: Any, left: bool) -> None:
    """Refuses a right side that does not fit to a square matrix."""
    if a.shape[-1] != b.shape[-2 if left else -1]:
        shapes = " and ".join(f"{x.shape[-2]}x{x.shape[-1]}" for x in (a, b))
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {equation} ({shapes})")


def check_same_dtype(name: str, a: Array | Spec, b: Array | Spec) -> None:
    """Refuses matrices of two dtypes."""
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"{name}: Expected A and B to have the same dtype, but found A of type {type_name(a)} and "
            f"B of type {type_name(b)} instead"
        )


def raise_for(info: Array, name: str, message: str, error: type[RuntimeError] = RuntimeError) -> None:
    """Raises `message` with the code of the first matrix that has one in place of `{}`."""
    if not info.any():
        return
    first = int(np.flatnonzero(info)[0])
    where = f"(Batch element {first}): " if info.ndim else ""
    raise error(f"{name}: {where}{message.format(int(info.flat[first]))}")
