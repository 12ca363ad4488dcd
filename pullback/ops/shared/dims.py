"""Dimensions and sizes as users give them, made non-negative and checked in PyTorch's words."""

from __future__ import annotations

import itertools
import math
from operator import index
from typing import Any


def wrap_dim(dim: Any, ndim: int) -> int:
    """A dimension counted from the front; 0-dim tensors have the dimensions 0 and -1."""
    bound = ndim if ndim > 0 else 1
    if type(dim) is not int:
        dim = index(dim)
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
    for a, b in itertools.pairwise(wrapped):
        if a == b:
            raise RuntimeError(f"dim {a} appears multiple times in the list of dims")
    return tuple(wrapped)


def one_or_many(dims: tuple[Any, ...]) -> tuple[int, ...]:
    """Ints given one by one or as one list: `f(2, 3)` and `f((2, 3))`."""
    if len(dims) == 1 and isinstance(dims[0], (tuple, list)):
        dims = tuple(dims[0])
    return tuple(index(d) for d in dims)


def ints_of(name: str, parameter: str, sizes: Any) -> tuple[int, ...]:
    """An argument that is a tuple of ints; TypeError if something in it cannot be read as one."""
    for place, n in enumerate(sizes):
        if type(n) is not int and not hasattr(type(n), "__index__"):
            raise TypeError(
                f"{name}(): argument '{parameter}' (position 1) must be tuple of ints, but found element of "
                f"type {type(n).__name__} at pos {place}"
            )
    return tuple([index(n) for n in sizes])


def infer_size(shape: Any, numel: int) -> tuple[int, ...]:
    """A shape for `numel` elements, in which one size may be -1; RuntimeError if none fits."""
    sizes = tuple([n if type(n) is int else index(n) for n in shape])
    if -1 not in sizes:
        if min(sizes, default=0) < 0:
            n = next(n for n in sizes if n < 0)
            raise RuntimeError(
                f"invalid shape dimension {n} at index {sizes.index(n)} of shape {list(sizes)}"
            )
        if math.prod(sizes) != numel:
            raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {numel}")
        return sizes
    open_index = sizes.index(-1)
    known = sizes[:open_index] + sizes[open_index + 1 :]
    if -1 in known:
        raise RuntimeError("only one dimension can be inferred")
    infer_size(known, math.prod(known))
    size = math.prod(known)
    if size == 0 and numel == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if size == 0 or numel % size:
        raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {numel}")
    return (*sizes[:open_index], numel // size, *sizes[open_index + 1 :])


def broadcasts(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to another one."""
    behind = whole[len(whole) - len(shape) :]
    return len(shape) <= len(whole) and all(n in (1, m) for n, m in zip(shape, behind, strict=True))


def view_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], new_shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Strides with which the same memory has another shape, None if it must be copied.

    Runs of old dimensions that lie evenly in memory are matched, from the back, with new dimensions.
    """
    if not shape:
        return (1,) * len(new_shape)
    new_strides = [0] * len(new_shape)
    axis = len(new_shape) - 1
    run_stride, old, new = strides[-1], 1, 1
    for d in range(len(shape) - 1, -1, -1):
        old *= shape[d]
        if d and (shape[d - 1] == 1 or strides[d - 1] == old * run_stride):
            continue
        while axis >= 0 and (new < old or new_shape[axis] == 1):
            new_strides[axis] = new * run_stride
            new *= new_shape[axis]
            axis -= 1
        if new != old:
            return None
        if d:
            run_stride, old, new = strides[d - 1], 1, 1
    return None if axis >= 0 else tuple(new_strides)
