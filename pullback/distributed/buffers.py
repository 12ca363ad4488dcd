"""Tensors as what MPI reads and writes: their memory itself where it is contiguous, else a copy.

Every collective goes by these: `moved` for bytes that only move, whatever the dtype, `Reduced` for numbers
that are reduced, narrow floats in float32. `Received` is memory that is written to; its `finish` puts copies
back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, bump_version, from_array
from pullback.core.modes import no_grad
from pullback.distributed.reduce_ops import reduced_in

Array = np.ndarray[Any, Any]


def check_tensor(value: Any, name: str) -> None:
    """TypeError for what is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type torch.Tensor\n"
            f"             but got {type(value)} instead."
        )


def check_list(values: Any, name: str) -> None:
    """TypeError for what is no list of tensors."""
    if not isinstance(values, list | tuple) or not all(isinstance(x, Tensor) for x in values):
        raise TypeError(
            f"Invalid function argument. Expected parameter `{name}` of type List[torch.Tensor]\n"
            f"             but got {type(values)} instead."
        )


def check_dtypes(*tensors: Tensor) -> None:
    """ValueError for tensors of several dtypes."""
    for x in tensors:
        if x.dtype != tensors[0].dtype:
            raise ValueError(
                f"Invalid usage of tensors with different dtypesFound {tensors[0].dtype} and  {x.dtype}"
            )


def _memory(x: Tensor) -> Array | None:
    """A tensor's memory as a flat array, None where it is not contiguous or not plain numbers."""
    if x.is_sparse or x.device.type != "cpu":
        raise RuntimeError(
            f"No backend type associated with device type {x.device.type}"
            if not x.is_sparse
            else "Tensors must be contiguous and dense"
        )
    array = x._array
    if x.is_conj() or x.is_neg() or not array.flags.c_contiguous:
        return None
    return array.reshape(-1)


def _copied(x: Tensor) -> Array:
    return np.array(x.detach().resolve_conj().resolve_neg()._array, order="C").reshape(-1)


def as_bytes(array: Array) -> Array:
    """A flat array's bytes, in place."""
    return array.view(np.uint8)


def moved(x: Tensor) -> Array:
    """The bytes of a tensor that is sent."""
    found = _memory(x)
    return as_bytes(_copied(x) if found is None else found)


def joined(tensors: Sequence[Tensor]) -> Array:
    """The bytes of several tensors, one after the other."""
    return np.concatenate([moved(x) for x in tensors]) if len(tensors) != 1 else moved(tensors[0])


class Received:
    """The memory of a tensor that is written to. With `read` it begins as what the tensor holds."""

    def __init__(self, x: Tensor, read: bool = False) -> None:
        self.tensor = x
        found = _memory(x)
        self.own = found is not None and found.flags.writeable
        if self.own:
            assert found is not None
            self.array: Array = found
        else:
            self.array = _copied(x) if read else np.empty(x.numel(), x._array.dtype)

    @property
    def bytes(self) -> Array:
        """The bytes to be written."""
        return as_bytes(self.array)

    def finish(self) -> None:
        """The tensor holds what was received."""
        write(self.tensor, None if self.own else self.array)


def write(x: Tensor, array: Array | None) -> None:
    """Puts numbers into a tensor; None: they are there, and it is said that they were written."""
    if array is None:
        bump_version(x)
        return
    with no_grad():
        x.detach().copy_(from_array(array.reshape(tuple(x.shape))))


class Reduced:
    """Numbers that are reduced: a tensor's own memory, or a copy that is wider or contiguous."""

    def __init__(self, x: Tensor, into: Tensor | None = None) -> None:
        self.tensor = x if into is None else into
        found = _memory(x)
        wide = reduced_in(x._array)
        self.own = into is None and found is not None and found.dtype == wide and found.flags.writeable
        if self.own:
            assert found is not None
            self.array: Array = found
        else:
            self.array = (_copied(x) if found is None else found).astype(wide)

    def finish(self) -> None:
        """The tensor holds what they were reduced to."""
        kind = self.tensor._array.dtype
        write(self.tensor, None if self.own else self.array.astype(kind, copy=False))


def parted(array: Array, tensors: Sequence[Tensor]) -> None:
    """Writes the bytes of several tensors, one after the other, into them."""
    start = 0
    for x in tensors:
        kind = x._array.dtype
        end = start + x.numel() * kind.itemsize
        write(x, array[start:end].view(kind))
        start = end
