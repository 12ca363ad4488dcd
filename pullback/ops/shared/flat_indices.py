"""Flat positions of what indices pick, and sums into them: what indexing and scattering share.

NumPy's `ufunc.at` is fast on flat arrays only, so every accumulation is one of numbers into flat
positions. Their order is that of the indices, so equal calls give equal bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core.types import Array

WHOLE = slice(None)


def compact(a: Any) -> Any:
    """The array itself if its elements lie in the order of rows, else a copy where they do."""
    return a if a.flags.c_contiguous else a.copy()


def row_steps(shape: Any) -> list[int]:
    """How many elements lie between neighbours of each dimension of a contiguous array."""
    steps, step = [1] * len(shape), 1
    for d in range(len(shape) - 1, -1, -1):
        steps[d] = step
        step *= shape[d]
    return steps


def _without_masks(key: tuple[Any, ...]) -> list[Any]:
    """The key with masks replaced by the indices of what is true."""
    entries: list[Any] = []
    for entry in key:
        entries.extend(
            np.nonzero(entry) if isinstance(entry, np.ndarray) and entry.dtype == bool else [entry]
        )
    return entries


def flat_indices(shape: tuple[int, ...], key: tuple[Any, ...]) -> Any:
    """Flat positions of `a[key]` in a contiguous array; the key's parts are whole slices and arrays."""
    entries = _without_masks(key)
    entries += [WHOLE] * (len(shape) - len(entries))
    steps = row_steps(shape)
    arrays = [d for d, entry in enumerate(entries) if entry is not WHOLE]
    positions: Array = np.zeros((), np.int64)
    for d in arrays:
        at = np.asarray(entries[d], dtype=np.int64)
        positions = positions + np.where(at < 0, at + shape[d], at) * steps[d]
    positions = np.asarray(positions)
    together = arrays == list(range(arrays[0], arrays[-1] + 1)) if arrays else True
    first = arrays[0] if arrays and together else 0
    whole = [d for d in range(len(shape)) if entries[d] is WHOLE]
    ndim = positions.ndim + len(whole)
    total = positions.reshape(
        positions.shape + (1,) * sum(d > first for d in whole)
        if together
        else positions.shape + (1,) * len(whole)
    )
    for rank, d in enumerate(whole):
        axis = rank if together and d < first else rank + positions.ndim
        line = np.arange(shape[d]) * steps[d]
        total = total + line.reshape((-1,) + (1,) * (ndim - axis - 1))
    return total


def line_key(dim: int, index: Any) -> tuple[Any, ...]:
    """The NumPy key of what `gather` along a dimension reads."""
    return tuple(
        [
            index if d == dim else np.arange(n).reshape((n,) + (1,) * (index.ndim - d - 1))
            for d, n in enumerate(index.shape)
        ]
    )


def flat_indices_along(shape: tuple[int, ...], dim: int, index: Any) -> Any:
    """Flat positions, in a contiguous array, that `gather` along a dimension reads."""
    steps = row_steps(shape)
    total = 0
    for part, step in zip(line_key(dim, index), steps, strict=True):
        total = total + part * step
    return total


def outside(index: Any, n: int) -> bool:
    """Whether an index is below 0 or not below `n`."""
    unsigned = np.uint64 if index.dtype == np.int64 else np.uint32
    return bool(index.size) and bool(np.maximum.reduce(index.view(unsigned), None) >= n)


def accumulate(ufunc: Any, a: Any, positions: Any, values: Any) -> None:
    """`a[place] = ufunc(a[place], value)` in turn, for flat positions; half precisions in single ones."""
    if values.shape != positions.shape:
        values = np.broadcast_to(values, positions.shape)
    kind = np.dtype(np.float32) if a.dtype.itemsize == 2 and a.dtype.kind not in "iu" else a.dtype
    if kind.name == "complex32":
        kind = np.dtype(np.complex64)
    direct = a.flags.c_contiguous and kind == a.dtype
    work = a.reshape(-1) if direct else a.astype(kind).reshape(-1)
    ufunc.at(work, positions.ravel(), values.ravel().astype(kind, copy=False))
    if not direct:
        a[...] = work.reshape(a.shape)
