"""Strides: what PyTorch says of an array's layout, and the layouts it asks for.

NumPy counts strides in bytes and gives new arrays without elements strides of zero; here they are
counted in elements, and such an array has those of a contiguous one. Read
`strides_of`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core._loops import strided
from pullback.core.dtypes import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)
from pullback.core.types import Array


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements; dims of zero count as one."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= max(n, 1)
    return tuple(reversed(strides))


def strides_of(a: Array) -> tuple[int, ...]:
    """The strides of an array in elements."""
    if not a.size and not any(a.strides):
        return contiguous_strides(a.shape)
    item = a.itemsize
    return tuple([step // item for step in a.strides])


def ordered_strides(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Dense strides with the dims in `order`, the slowest first."""
    strides, step = [0] * len(shape), 1
    for dim in reversed(order):
        strides[dim] = step
        step *= max(shape[dim], 1)
    return tuple(strides)


def preserved_strides(a: Array) -> tuple[int, ...]:
    """The strides that a new tensor like this one gets: its own if dense, else dense in the same
    order.
    """
    strides = strides_of(a)
    if a.flags.c_contiguous or is_dense(a.shape, strides):
        return strides
    return walked_strides(a.shape, [strides])


def walked_strides(shape: Sequence[int], operands: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The strides of what is made element by element of operands with these strides in its dims.

    An insertion sort, as in PyTorch: dims of stride zero tell nothing and stay where they are.
    """
    order = list(range(len(shape)))[::-1]
    for i in range(1, len(shape)):
        at = i
        for before in range(i - 1, -1, -1):
            verdict = 0
            for strides in operands:
                verdict = verdict or _slower(shape, strides, order[before], order[at])
            if verdict > 0:
                order[before], order[at] = order[at], order[before]
                at = before
            elif verdict < 0:
                break
    return ordered_strides(shape, order[::-1])


def _slower(shape: Sequence[int], strides: Sequence[int], left: int, right: int) -> int:
    """1 if `left` is the slower dim, -1 if the faster, 0 if the strides do not tell."""
    a, b = strides[left], strides[right]
    if a == 0 or b == 0:
        return 0
    if a != b:
        return 1 if a > b else -1
    return 1 if shape[left] > shape[right] else 0


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements fill their memory without gaps or overlap, in whatever order."""
    step = 1
    for size, stride in sorted(
        ((n, s) for n, s in zip(shape, strides, strict=True) if n != 1), key=_by_stride
    ):
        if stride != step:
            return size == 0
        step *= size
    return True


def _by_stride(pair: tuple[int, int]) -> tuple[int, int]:
    return pair[1], pair[0]


def strides_for(shape: Sequence[int], wanted: memory_format) -> tuple[int, ...]:
    """The strides of a memory format.

    RuntimeError if the number of dims is not the format's.
    """
    if wanted is contiguous_format:
        return contiguous_strides(shape)
    if wanted is preserve_format:
        raise RuntimeError("unsupported memory format option Preserve")
    rank = {channels_last: 4, channels_last_3d: 5}[wanted]
    if len(shape) != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {wanted.name} format")
    return ordered_strides(shape, (0, *range(2, rank), 1))


def has_format(a: Array, wanted: memory_format) -> bool:
    """Whether the array lies in memory as the format says; dims of one may have any stride."""
    if wanted is contiguous_format:
        return bool(a.flags.c_contiguous)
    rank = {channels_last: 4, channels_last_3d: 5}.get(wanted)
    if a.ndim != rank:
        return False
    return all(
        n == 1 or have == want
        for n, have, want in zip(a.shape, strides_of(a), strides_for(a.shape, wanted), strict=True)
    )


def format_of(a: Array) -> memory_format:
    """The memory format that an array is in."""
    for last in (channels_last, channels_last_3d):
        if has_format(a, last) and not a.flags.c_contiguous:
            return last
    return contiguous_format


def strided_array(shape: Sequence[int], strides: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """A new array with these strides in elements, its contents undefined."""
    reach = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    size = reach + 1 if math.prod(shape) else 0
    memory = np.empty(size, dtype)
    byte_strides = [step * dtype.itemsize for step in strides]
    return np.ndarray(tuple(shape), dtype, memory, strides=byte_strides)


def memory(a: Array) -> Array:
    """The array that owns the memory of another, itself if it owns it or the owner is no array."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def storage_of(a: Array) -> tuple[Array, int]:
    """The array that owns the memory of `a`, and the place of `a` there, in elements of `a`."""
    root = memory(a)
    return root, _bytes_before(a, root) // a.itemsize


def _bytes_before(a: Array, root: Array) -> int:
    """How far into the memory of `root` an array begins."""
    offset: int = a.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return offset


def ends_in(a: Array, root: Array, count: int) -> bool:
    """Whether the memory of `root` has `count` elements like those of `a`, counted as they lie there."""
    return count * a.itemsize + _bytes_before(a, root) % a.itemsize <= root.nbytes


def resized(a: Array, shape: tuple[int, ...], strides: Sequence[int]) -> Array:
    """A dense array of another shape in the memory of `a`, or in larger one with a copy of it."""
    root, here = storage_of(a)
    count = math.prod(shape)
    if count and not ends_in(a, root, here + count):
        fresh = np.empty(count, a.dtype)
        kept = min(max(root.nbytes // a.itemsize - here, 0), count)  # what is empty may begin behind the end
        fresh[:kept] = strided(a, (kept,), (1,), 0)
        a = fresh
    return strided(a, shape, tuple(strides), 0)
