"""What the linear algebra has in common: refusals in PyTorch's words, stacks, and triangles.

A matrix is the last two dims of an array, and what is before them a stack. Kernels check their
arguments here; `raise_for` turns the codes that LAPACK gives (`info`, one a matrix) into the
exception. Rules use `lower`, `skew`, `halved` and `guarded`, a quotient that stays zero where its
gap closes and nothing is to be divided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import REGISTRY, Tensor, adjoint, apply_below, grad_enabled, write_out
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import can_cast, from_numpy_dtype
from pullback.core.op import function
from pullback.core.types import Array


class LinAlgError(RuntimeError):
    """A matrix for which the result does not exist, or was not found."""


LinAlgError.__name__ = LinAlgError.__qualname__ = "_LinAlgError"
function(name="LinAlgError", places="", aliases=("linalg.LinAlgError",))(LinAlgError)


# -------------------------------------------------------------------------------------- refusals


def check_stack(name: str, a: Array, what: str = "A") -> None:
    """Refuses what is no matrix and no stack of them."""
    if a.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {what} must have at least 2 dimensions.")


def check_square(name: str, a: Array, what: str = "A") -> None:
    """Refuses what is not square."""
    check_stack(name, a, what)
    rows, count = a.shape[-2:]
    if rows != count:
        raise RuntimeError(
            f"{name}: {what} must be batches of square matrices, but they are {rows} by {count} matrices"
        )


def check_inexact(name: str, a: Array, low: bool = True) -> None:
    """Refuses integers, and the half precisions unless `low`."""
    if a.dtype.char in "fdFD":
        return
    kind = from_numpy_dtype(a.dtype)
    if kind.kind not in "fc":
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {kind.type_name}"
        )
    if not low:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {kind.type_name}")


def check_kernel(kernel: str, *arrays: Array) -> None:
    """Refuses what LAPACK has no routine for, as a missing kernel."""
    for a in arrays:
        if a.dtype.char not in "fdFD":
            raise NotImplementedError(f"\"{kernel}\" not implemented for '{type_name(a)}'")


def check_fit(name: str, a: Any, b: Any, left: bool) -> None:
    """Refuses a right side that does not fit to a square matrix."""
    if a.shape[-1] != b.shape[-2 if left else -1]:
        shapes = " and ".join(f"{x.shape[-2]}x{x.shape[-1]}" for x in (a, b))
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(f"{name}: Incompatible shapes of A and B for the equation {equation} ({shapes})")


def raise_for(info: Array, name: str, message: str, error: type[RuntimeError] = RuntimeError) -> None:
    """Raises `message` with the code of the first matrix that has one in place of `{}`."""
    if not info.any():
        return
    first = int(np.flatnonzero(info)[0])
    where = f"(Batch element {first}): " if info.ndim else ""
    raise error(f"{name}: {where}{message.format(int(info.flat[first]))}")


# ---------------------------------------------------------------------------------------- stacks


def common_stack(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Leading dims broadcast; RuntimeError in PyTorch's words if they cannot be."""
    if a == b:
        return a
    ndim = max(len(a), len(b))
    wide_a, wide_b = ((1,) * (ndim - len(s)) + tuple(s) for s in (a, b))
    for dim in range(ndim - 1, -1, -1):
        n, m = wide_a[dim], wide_b[dim]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"The size of tensor a ({n}) must match the size of tensor b ({m}) at non-singleton "
                f"dimension {dim}"
            )
    return tuple(m if n == 1 else n for n, m in zip(wide_a, wide_b, strict=True))


def stacked_alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Two stacks of matrices with the same leading dims."""
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    stack = common_stack(b.shape[:-2], a.shape[:-2])
    return np.broadcast_to(a, stack + a.shape[-2:]), np.broadcast_to(b, stack + b.shape[-2:])


def columns_like(a: Array, rows: int | None = None, count: int | None = None, dtype: Any = None) -> Array:
    """A new column-major stack of matrices with the leading dims of `a`."""
    rows, count = a.shape[-2] if rows is None else rows, a.shape[-1] if count is None else count
    return np.empty((*a.shape[:-2], count, rows), dtype or a.dtype).swapaxes(-2, -1)


def batched_all(level: Any, op: Any, args: tuple[Any, ...]) -> Any:
    """The batching rule of matrices with vectors, the second argument: all get the batch in front.

    What has fewer dims gets new ones behind the batch.
    """
    fronted = [level.front(x) if isinstance(x, Tensor) else x for x in args]
    lacking = [int(i == 1) for i in range(len(args))]
    most = max(x.ndim + lacking[i] for i, x in enumerate(fronted) if isinstance(x, Tensor))
    for i, x in enumerate(fronted):
        missing = most - lacking[i] - x.ndim if isinstance(x, Tensor) else 0
        if missing:
            place = (slice(None), *(None,) * missing, Ellipsis)
            fronted[i] = apply_below(REGISTRY["basic"], (x, place))
    return level.wrap(apply_below(op, tuple(fronted)))


def without_numbers(record: Any, *silent: int) -> None:
    """Shapes for meta tensors: the kernel run on zeros, its parameters at `silent`, which raise, off."""

    def shapes(*args: Any) -> Any:
        args = tuple("" if i in silent else value for i, value in enumerate(args))
        with np.errstate(all="ignore"):
            return record.kernel(*args)

    record.meta(shapes)


def given(name: str, result: Tensor, out: Tensor | None) -> Tensor:
    """A result, or `out` with the result written into it; RuntimeError where it cannot be."""
    if out is None:
        return result
    if grad_enabled() and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    if not can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"Expected out tensor to have dtype {result.dtype.type_name.lower()}, "
            f"but got {out.dtype.type_name.lower()} instead"
        )
    return write_out(out, result.detach())


def named(kind: str, results: Any, out: Any) -> Any:
    """Results as the named tuple of that kind, or written into the tensors of `out`."""
    if out is None:
        return getattr(return_types, kind)(results)
    tensors = [given(kind, result, target) for result, target in zip(results, out, strict=True)]
    return getattr(return_types, f"{kind}_out")(tensors)


# ---------------------------------------------------------------------------- parts of matrices


def transposed(x: Tensor) -> Tensor:
    return ops.transpose(x, -2, -1)


def lower(x: Tensor) -> Tensor:
    """What is below the diagonal."""
    return ops.tril(x, -1)


def main_diagonal(x: Tensor) -> Tensor:
    return ops.diagonal(x, 0, -2, -1)


def skew(x: Tensor) -> Tensor:
    """`x - x.mH`."""
    return x - adjoint(x)


def hermitian(x: Tensor) -> Tensor:
    """`(x + x.mH) / 2`."""
    return (x + adjoint(x)) * 0.5


def halved(x: Tensor) -> Tensor:
    """The upper triangle, with half the diagonal."""
    return ops.triu(x) - ops.diag_embed(main_diagonal(x)) * 0.5


def top(x: Tensor, count: int) -> Tensor:
    """The first rows."""
    return x if x.shape[-2] == count else ops.narrow(x, -2, 0, count)


def left(x: Tensor, count: int) -> Tensor:
    """The first columns."""
    return x if x.shape[-1] == count else ops.narrow(x, -1, 0, count)


def guarded(numerator: Tensor, gap: Tensor, limit: Tensor, size: Tensor) -> Tensor:
    """`numerator / gap`; where the gap is within `limit`, 0 if the numerator is but noise, else nan.

    The functions whose derivatives these are do not depend on a choice that the gap leaves open:
    then nothing is to be divided, up to rounding (`size`, the noise). Nan says that one does.
    """
    closed = ops.abs(gap) <= limit
    quotient = numerator / ops.where(closed, 1.0, gap)
    return ops.where(closed, ops.where(ops.abs(numerator) <= size, 0.0, float("nan")), quotient)
