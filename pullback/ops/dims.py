"""Dimensions as users give them, made non-negative and checked in PyTorch's words."""

from __future__ import annotations

from typing import Any


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension counted from the front; 0-dim tensors have the dimensions 0 and -1."""
    bound = ndim if ndim > 0 else 1
    if -bound <= dim < bound:
        return dim + bound if dim < 0 else dim
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got {dim})"
    )


def wrap_dims(dim: Any, ndim: int) -> tuple[int, ...]:
    """Sorted dimensions, of one int, several, or None for all."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, int):
        return (wrap_dim(dim, ndim),)
    wrapped = sorted(wrap_dim(d, ndim) for d in dim)
    for a, b in zip(wrapped, wrapped[1:], strict=False):
        if a == b:
            raise RuntimeError(f"dim {a} appears multiple times in the list of dims")
    return tuple(wrapped)
