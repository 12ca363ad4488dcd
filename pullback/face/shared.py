"""Memory that several processes have: that of tensors after `share_memory_`.

It is a file without a name, where the system has such, mapped into memory. Its number goes to other
processes, which map it, too; `mapped` knows what is mapped already, so that what is sent back is the same
memory.
"""

from __future__ import annotations

import mmap
import os
import weakref

import numpy as np

from pullback.core.types import Array

_handles: weakref.WeakKeyDictionary[mmap.mmap, int] = weakref.WeakKeyDictionary()
_known: weakref.WeakValueDictionary[tuple[int, int], mmap.mmap] = weakref.WeakValueDictionary()


def _new_file(size: int) -> int | None:
    """A file of this size that has no name; None where there is no such thing."""
    if not hasattr(os, "memfd_create"):
        return None
    handle = os.memfd_create("pullback")  # type: ignore[attr-defined, unused-ignore]
    os.ftruncate(handle, size)
    return handle


def _keep(handle: int, size: int) -> mmap.mmap:
    """Maps a file, which stays open as long as it is mapped."""
    status = os.fstat(handle)
    mapped = mmap.mmap(handle, size)
    _handles[mapped] = handle
    _known[status.st_dev, status.st_ino] = mapped
    weakref.finalize(mapped, os.close, handle).atexit = False
    return mapped


def shared_bytes(size: int) -> Array:
    """New memory that other processes can have; where it has no file, only those that are forked."""
    handle = _new_file(size)
    return np.frombuffer(mmap.mmap(-1, size) if handle is None else _keep(handle, size), np.uint8)


def mapping(owner: Array) -> mmap.mmap | None:
    """The mapped memory that an array owns; None if it is another's."""
    found = owner.base
    found = getattr(found, "obj", found)
    return found if isinstance(found, mmap.mmap) else None


def handle_of(owner: Array) -> int | None:
    """The number of the file that shared memory is mapped from; None if it has none."""
    found = mapping(owner)
    return None if found is None else _handles.get(found)


def mapped(handle: int) -> Array:
    """The bytes of a file that another process sent; its number is this function's to close."""
    status = os.fstat(handle)
    found = _known.get((status.st_dev, status.st_ino))
    if found is None:
        found = _keep(handle, status.st_size)
    else:
        os.close(handle)
    return np.frombuffer(found, np.uint8)


def move(array: Array) -> Array:
    """The elements of an array in new shared memory."""
    moved = shared_bytes(array.nbytes).view(array.dtype).reshape(array.shape)
    np.copyto(moved, array)
    return moved
