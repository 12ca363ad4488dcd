"""Batching rules of products of matrices and vectors.

They all come down to `ops.matmul` of the physical tensors, in the arrangement that makes one large
product where only one factor is batched.
"""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Op, conj
from pullback.transforms.batching.batched import batched
from pullback.transforms.batching.rules import holds, padded, rule


def product(level: Any, a: Any, b: Any) -> Any:
    """`a @ b` of which one or both are batched; physical."""
    left, right = a.ndim, b.ndim
    over_a, over_b = holds(level, a), holds(level, b)
    if over_a and not over_b:
        p = a.physical
        if left == 1 and right > 2:
            return ops.squeeze(ops.matmul(padded(ops.unsqueeze(p, 1), right), b), -2)
        return ops.matmul(padded(p, right) if 2 < right > left else p, b)
    if over_b and not over_a:
        q = b.physical
        if right == 1:
            if left == 1:
                return ops.matmul(q, a)
            if left == 2:
                return ops.matmul(q, ops.transpose(a, 0, 1))
            return ops.squeeze(ops.matmul(a, padded(ops.unsqueeze(q, -1), left)), -1)
        return ops.matmul(a, padded(q, left) if left > right else q)
    p, q = a.physical, b.physical
    p = ops.unsqueeze(p, 1) if left == 1 else p
    q = ops.unsqueeze(q, 2) if right == 1 else q
    most = max(left, right, 2)
    found = ops.matmul(padded(p, most), padded(q, most))
    if left == 1:
        found = ops.squeeze(found, -2)
    return ops.squeeze(found, -1) if right == 1 else found


def _checked(op: Op, a: Any, b: Any, *case: str) -> None:
    """Raises what the op has to say of the shapes of one sample."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2:][0]:
        op.kernel(a, b, *case)


@rule("mm bmm mv dot matmul")
def _matmul(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    a, b, *case = args
    _checked(op, a._array, b._array, *case)
    return batched(level, product(level, a, b))


@rule("vdot")
def _vdot(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    a, b = args
    _checked(op, a._array, b._array)
    return batched(level, product(level, batched(level, conj(a.physical)) if holds(level, a) else conj(a), b))


def _combined(level: Any, start: Any, found: Any, beta: Any, alpha: Any) -> Any:
    """`beta * start + alpha * found`, where a beta of zero forgets even NaN."""
    if alpha != 1:
        found = found * alpha
    if beta == 0:
        return batched(level, found)
    ranks = found.ndim - 1
    start = padded(start.physical, ranks) if holds(level, start) else start
    return batched(level, (start if beta == 1 else start * beta) + found)


@rule("addmm addmv baddbmm addbmm")
def _add_product(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    start, a, b, beta, alpha = args
    if a._array.shape[-1] != b._array.shape[-2:][0]:
        op.kernel(start._array, a._array, b._array, beta, alpha)
    if holds(level, a) or holds(level, b):
        found = product(level, a, b)
    else:
        found = ops.expand(ops.matmul(a, b), (level.size, *_product_shape(a, b)))
    if op.name == "addbmm":
        found = ops.sum(found, 1)
    return _combined(level, start, found, beta, alpha)


def _product_shape(a: Any, b: Any) -> tuple[int, ...]:
    return (*a.shape[:-1], *b.shape[-1:]) if b.ndim > 1 else tuple(a.shape[:-1])
