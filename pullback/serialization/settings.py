"""What `save` and `load` go by besides their arguments."""

from __future__ import annotations

import sys
from enum import Enum


class LoadEndianness(Enum):
    """The order of bytes of files that do not say theirs."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


_SHARED = 1  # mmap.MAP_SHARED
_endianness: LoadEndianness | None = None
_checksums = True
_mmap_flags = 2  # mmap.MAP_PRIVATE
_skipped = 0  # contexts that are open


def get_default_load_endianness() -> LoadEndianness | None:
    """What was set by `set_default_load_endianness`."""
    return _endianness


def set_default_load_endianness(endianness: LoadEndianness | None) -> None:
    """Says in which order the bytes of a file are that does not say it; None for the little end first."""
    global _endianness
    if not isinstance(endianness, LoadEndianness) and endianness is not None:
        raise TypeError("Invalid argument type in function set_default_load_endianness")
    _endianness = endianness


def assumed_byte_order() -> bytes:
    """The order of bytes of a file that does not say it, as the files' own word."""
    if _endianness is LoadEndianness.NATIVE:
        return sys.byteorder.encode()
    return b"big" if _endianness is LoadEndianness.BIG else b"little"


def get_crc32_options() -> bool:
    """Whether `save` writes a checksum of each record."""
    return _checksums


def set_crc32_options(compute_crc32: bool) -> None:
    """Says whether `save` writes a checksum of each record. Without it broken files are not found out."""
    global _checksums
    _checksums = compute_crc32


class set_default_mmap_options:
    """How `load(mmap=True)` maps files: `mmap.MAP_PRIVATE`, the default, or `MAP_SHARED`. Also a context."""

    def __init__(self, flags: int) -> None:
        global _mmap_flags
        if flags not in (1, 2):
            raise ValueError(
                "Invalid argument in function set_default_mmap_options, expected mmap.MAP_PRIVATE or "
                f"mmap.MAP_SHARED, but got {flags}"
            )
        self.before, _mmap_flags = _mmap_flags, flags

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        global _mmap_flags
        _mmap_flags = self.before


def get_default_mmap_options() -> int:
    """How `load(mmap=True)` maps files."""
    return _mmap_flags


def maps_shared() -> bool:
    """Whether a mapped file is only read, so that processes share it."""
    return bool(_mmap_flags & _SHARED)


class skip_data:
    """Within, `save` leaves zeros in the place of what storages hold, and `load` does not read it.

    >>> import io
    >>> import pullback as torch
    >>> file = io.BytesIO()
    >>> with torch.serialization.skip_data():
    ...     torch.save(torch.ones(2), file)
    >>> _ = file.seek(0)
    >>> torch.load(file)
    tensor([0., 0.])
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        global _skipped
        _skipped += 1

    def __exit__(self, *exc: object) -> None:
        global _skipped
        _skipped -= 1


def skips_data() -> bool:
    """Whether a `skip_data` is open."""
    return bool(_skipped)
