"""How the windows of a pooling lie: from its arguments, or from the size of its result.

`Windows` says for each spatial dim where they begin and end, and `pool_windows` makes them of a kernel,
a stride and the rest, after all checks, in PyTorch's order (the errors are in refusals.py);
`adaptive_windows` covers each dim evenly. Both are found again by their arguments. Read `Windows`.
"""

from __future__ import annotations

import functools
from operator import index
from typing import Any, NamedTuple

import numpy as np

from pullback.core.types import Array, Ints
from pullback.ops.images import refusals


class Windows(NamedTuple):
    """Windows, for each spatial dim: counted from the image's first element, so some begin in the padding."""

    size: tuple[int, ...]  # of the image
    first: list[Array]  # where each window begins
    end: list[Array]  # and where it ends
    dilation: tuple[int, ...]  # the step within a window
    padding: tuple[int, ...]


def per_dim(name: str, dims: int, what: str, value: Ints) -> tuple[int, ...]:
    """One int for each of `dims` dims; RuntimeError if there are neither one nor as many."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) not in (1, dims):
        refusals.refuse_list(name, dims, what, len(values))
    return tuple([index(v) for v in values]) * (dims if len(values) == 1 else 1)


def hashable(*values: Any) -> tuple[Any, ...]:
    """Lists as tuples, by which windows are looked up."""
    if list not in map(type, values):
        return values
    return tuple([tuple(v) if isinstance(v, list) else v for v in values])


def _window_count(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows in a dim of size n."""
    refusals.check_window(kernel, stride, padding, dilation)
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1  # the last window would lie in the padding
    return count


@functools.lru_cache(4096)
def pool_windows(
    name: str,
    dims: int,
    shape: tuple[int, ...],
    kernel: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> Windows:
    """The windows of the pooling `name` in an input of this shape, after all checks."""
    kernel = per_dim(name, dims, "kernel_size", kernel)
    stride = kernel if stride in (None, (), []) else per_dim(name, dims, "stride", stride)
    padding = per_dim(name, dims, "padding", padding)
    dilation = per_dim(name, dims, "dilation", dilation)
    refusals.check_pool_early(name, shape, kernel, stride, dilation)
    size = shape[-dims:]
    each_dim = list(zip(size, kernel, stride, padding, dilation, strict=True))
    out = tuple(_window_count(*numbers, ceil_mode) for numbers in each_dim)
    refusals.check_pool_late(name, shape, kernel, stride, padding, dilation, out)
    first = [np.arange(m) * s - p for m, s, p in zip(out, stride, padding, strict=True)]
    end = [f + d * (k - 1) + 1 for f, k, d in zip(first, kernel, dilation, strict=True)]
    return Windows(size, first, end, dilation, padding)


@functools.lru_cache(1024)
def adaptive_windows(name: str, dims: int, shape: tuple[int, ...], output_size: Any) -> Windows:
    """`output_size` windows that cover each dim evenly; None keeps a dim."""
    values = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    refusals.check_adaptive(name, dims, shape, len(values))
    size = shape[-dims:]
    out = tuple([n if v is None else index(v) for v, n in zip(values, size, strict=True)])
    refusals.check_adaptive_size(name, shape, out)
    first, end = [], []
    for n, m in zip(size, out, strict=True):
        place = np.arange(m)
        first.append(place * n // max(m, 1))
        end.append(-(-(place + 1) * n // max(m, 1)))
    return Windows(size, first, end, (1,) * dims, (0,) * dims)
