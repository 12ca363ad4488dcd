"""Arrays without memory, the payloads of tensors on the device "meta".

They are windows on one mapping of zero pages that is read-only and never touched, so a meta tensor
of any size costs address space only. They have true shapes and strides, and the ops that move no
numbers work on them as on any other.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core.strides import contiguous_strides, preserved_strides

_SMALLEST = 1 << 24


class MetaArray(np.ndarray[Any, Any]):
    """What kernels that find shapes by the way are given instead of a plain array: nothing is to
    be computed.
    """


_pages: Any = None


def meta_array(
    shape: Sequence[int], dtype: np.dtype[Any], strides: Sequence[int] | None = None
) -> np.ndarray[Any, np.dtype[Any]]:
    """A read-only array of zeros that uses no memory; `strides` count elements."""
    strides = contiguous_strides(shape) if strides is None else strides
    reach = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    nbytes = (reach + 1) * dtype.itemsize if math.prod(shape) else 0
    byte_strides = [step * dtype.itemsize for step in strides]
    return np.ndarray(tuple(shape), dtype, _mapping(nbytes), strides=byte_strides)


def meta_like(a: np.ndarray[Any, np.dtype[Any]], dtype: Any = None) -> np.ndarray[Any, np.dtype[Any]]:
    """One of the shape of `a`, in the layout that a copy of it gets."""
    return meta_array(a.shape, a.dtype if dtype is None else np.dtype(dtype), preserved_strides(a))


def meta_broadcast(
    arrays: Sequence[np.ndarray[Any, np.dtype[Any]]], dtype: Any
) -> np.ndarray[Any, np.dtype[Any]]:
    """One of the shape that arrays broadcast to, in the layout of the first that has it."""
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    for a in arrays:
        if a.shape == shape:
            return meta_like(a, dtype)
    return meta_array(shape, np.dtype(dtype))


def _mapping(nbytes: int) -> Any:
    """A mapping of at least that many bytes; a larger one replaces the last."""
    global _pages
    if _pages is None or len(_pages) < nbytes:
        size = max(_SMALLEST, 1 << (nbytes - 1).bit_length())
        if hasattr(mmap, "PROT_READ"):
            _pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
        else:
            _pages = mmap.mmap(-1, size, access=mmap.ACCESS_READ)
    return _pages
