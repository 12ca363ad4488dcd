"""Stacks of matrices: their dims, their results, and parts of them.

A matrix is the last two dims of an array, and what is before them a stack. The gradients in this family
are written with `strict_lower`, `upper_half` and `skew`, and with `guarded_quotient`, which stays zero
where its gap closes and nothing is to be divided. In their formulas gX is the gradient of a real number by
X, that is d = Re tr(gX^H dX); X^H is the adjoint, and X^-H that of the inverse.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import REGISTRY, Tensor, adjoint, grad_enabled, write_out
from pullback.core.dtypes import can_cast
from pullback.core.meta import meta_array
from pullback.core.strides import contiguous_strides
from pullback.core.types import Array


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


def meta_matrices(a: Array, rows: int, count: int, dtype: Any = None, *, columns: bool = True) -> Array:
    """A stack of matrices (..., rows, count) without numbers, the leading dims those of `a`.

    Column-major unless `columns` is False, as LAPACK's results are.
    """
    shape, dtype = (*a.shape[:-2], rows, count), a.dtype if dtype is None else np.dtype(dtype)
    if not columns:
        return meta_array(shape, dtype)
    *stack, step, _ = contiguous_strides((*a.shape[:-2], count, rows))
    return meta_array(shape, dtype, (*stack, 1, step))


def meta_vectors(a: Array, count: int, dtype: Any = None) -> Array:
    """A stack of vectors (..., count) without numbers for the stack of matrices `a`."""
    return meta_array((*a.shape[:-2], count), a.dtype if dtype is None else np.dtype(dtype))


def meta_numbers(a: Array, dtype: Any = None) -> Array:
    """A number for each matrix of the stack `a`, without its value."""
    return meta_array(a.shape[:-2], a.dtype if dtype is None else np.dtype(dtype))


def batched_all(level: Any, op: Any, *args: Any) -> Any:
    """The batching rule of matrices with vectors, the second argument: all get the batch in front.

    What has fewer dims gets new ones behind the batch.
    """
    fronted = [level.front(x) if isinstance(x, Tensor) else x for x in args]
    lacking = [int(i == 1) for i in range(len(args))]
    most = max(x.ndim + lacking[i] for i, x in enumerate(fronted) if isinstance(x, Tensor))
    for i, x in enumerate(fronted):
        missing = most - lacking[i] - x.ndim if isinstance(x, Tensor) else 0
        if missing:
            key = (slice(None), *(None,) * missing, Ellipsis)
            fronted[i] = REGISTRY["basic"](x, key)
    return level.wrap(op(*fronted))


def will_record(A: Tensor) -> bool:
    """Whether what is computed of a tensor gets a gradient: vectors are then wanted with their values."""
    return A.requires_grad and grad_enabled()


def into_out(name: str, result: Tensor, out: Tensor | None, casts: bool = False) -> Tensor:
    """A result, or `out` with the result written into it, of another dtype if it `casts`.

    RuntimeError where it cannot be.
    """
    if out is None:
        return result
    if grad_enabled() and (result.requires_grad or out.requires_grad):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad."
        )
    if casts and not can_cast(result.dtype, out.dtype):
        raise RuntimeError(
            f"Expected out tensor to have dtype {result.dtype.type_name.lower()}, "
            f"but got {out.dtype.type_name.lower()} instead"
        )
    return write_out(out, result.detach(), casts)


def named_results(kind: str, results: Any, out: Any, casts: bool = False) -> Any:
    """Results as the named tuple of that kind, or written into the tensors of `out`."""
    if out is None:
        return getattr(return_types, kind)(results)
    if len(out) != len(results):
        raise TypeError(f"expected tuple of {len(results)} elements but got {len(out)}")
    tensors = [into_out(kind, result, target, casts) for result, target in zip(results, out, strict=True)]
    return getattr(return_types, f"{kind}_out")(tensors)


# ---------------------------------------------------------------------------- parts of matrices


def added(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """The sum of two gradients, either of which may be none."""
    return b if a is None else a if b is None else a + b


def transposed(x: Tensor) -> Tensor:
    return ops.transpose(x, -2, -1)


def strict_lower(x: Tensor) -> Tensor:
    """What is below the diagonal."""
    return ops.tril(x, -1)


def main_diagonal(x: Tensor) -> Tensor:
    return ops.diagonal(x, 0, -2, -1)


def skew(x: Tensor) -> Tensor:
    """`x - x.mH`."""
    return x - adjoint(x)


def hermitian_part(x: Tensor) -> Tensor:
    """`(x + x.mH) / 2`."""
    return (x + adjoint(x)) * 0.5


def upper_half(x: Tensor) -> Tensor:
    """The upper triangle, with half the diagonal."""
    return ops.triu(x) - ops.diag_embed(main_diagonal(x)) * 0.5


def first_rows(x: Tensor, count: int) -> Tensor:
    """The first rows."""
    return x if x.shape[-2] == count else ops.narrow(x, -2, 0, count)


def first_columns(x: Tensor, count: int) -> Tensor:
    """The first columns."""
    return x if x.shape[-1] == count else ops.narrow(x, -1, 0, count)


def guarded_quotient(numerator: Tensor, gap: Tensor, limit: Tensor, size: Tensor) -> Tensor:
    """`numerator / gap`; where the gap is within `limit`, 0 if the numerator is but noise, else nan.

    The functions whose derivatives these are do not depend on a choice that the gap leaves open:
    then nothing is to be divided, up to rounding (`size`, the noise). Nan says that one does.
    """
    closed = ops.abs(gap) <= limit
    quotient = numerator / ops.where(closed, 1.0, gap)
    return ops.where(closed, ops.where(ops.abs(numerator) <= size, 0.0, float("nan")), quotient)
