"""PyTorch's container: a zip file of records that are stored as they are, each at a multiple of 64 bytes.

`Writer` needs nothing of a file but `write`. `Reader` trusts nothing in a file: records lie within it, do not
overlap and are not compressed, so that no more memory is asked for than the file is long.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from pullback.core.types import Array
from pullback.serialization.settings import get_crc32_options

ALIGNMENT = 64
MAGIC = b"PK\x03\x04"

LOCAL = struct.Struct("<4s5H3L2H")  # PK34 version flags method time date crc stored size name extra
CENTRAL = struct.Struct("<4s6H3L5H2L")  # PK12 made version flags method time date crc stored size ...
END = struct.Struct("<4s4H2LH")  # PK56 disk disk entries entries size offset comment
END64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")

FLAGS = 0x800  # names are UTF-8
DATE = 0x21  # the first day of 1980: files with the same contents are the same
FULL = 0xFFFFFFFF
STEP = 1 << 19  # bytes that are read at once, and still at hand for their checksum


class BadArchive(RuntimeError):
    """A file that is no archive, or a broken one."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"PytorchStreamReader failed reading zip archive: {reason}. There is a high likelihood that your "
            "checkpoint file is corrupted. This can happen if the checkpoint was not saved properly, was "
            "transferred incorrectly, or the file was modified after saving."
        )


class Writer:
    """Writes records one after another, then with `close` the directory of the archive.

    `file` has `write`; `name` is the folder in the archive that all records are in.
    """

    def __init__(self, file: Any, name: str) -> None:
        self.file, self.name = file, name
        self.place = 0
        self.directory: list[bytes] = []

    def _write(self, data: Any) -> None:
        self.file.write(data)
        self.place += len(data)

    def record(self, name: str, data: Any) -> None:
        """Adds a record: bytes, or an array of bytes."""
        path = f"{self.name}/{name}".encode()
        view = memoryview(data)
        size, crc = view.nbytes, zlib.crc32(view) if get_crc32_options() else 0
        begin = self.place
        large = size >= FULL
        extra = struct.pack("<2H2Q", 1, 16, size, size) if large else b""
        room = -(begin + LOCAL.size + len(path) + len(extra) + 4) % ALIGNMENT
        extra += struct.pack("<2s1H", b"FB", room) + b"Z" * room
        shown = FULL if large else size
        version = 45 if large else 20
        self._write(
            LOCAL.pack(MAGIC, version, FLAGS, 0, 0, DATE, crc, shown, shown, len(path), len(extra))
            + path
            + extra
        )
        if size:
            self._write(view.cast("B") if view.format != "B" else view)
        wide = [number for number in (size, size, begin) if number >= FULL]
        extra = struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        self.directory.append(
            CENTRAL.pack(
                *(b"PK\x01\x02", 45 if wide else 20, 45 if wide else 20, FLAGS, 0, 0, DATE, crc),
                *(min(size, FULL), min(size, FULL), len(path), len(extra), 0, 0, 0, 0, min(begin, FULL)),
            )
            + path
            + extra
        )

    def close(self) -> None:
        """Writes the directory."""
        begin, entries = self.place, len(self.directory)
        for entry in self.directory:
            self._write(entry)
        size, end = self.place - begin, self.place
        if begin >= FULL or entries >= 0xFFFF:
            self._write(END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, begin))
            self._write(LOCATOR64.pack(b"PK\x06\x07", 0, end, 1))
        few = min(entries, 0xFFFF)
        self._write(END.pack(b"PK\x05\x06", 0, 0, few, few, min(size, FULL), min(begin, FULL), 0))


class Reader:
    """Reads the records of an archive. `file` has `seek`, `tell` and `read`; BadArchive if it is broken."""

    def __init__(self, file: Any) -> None:
        self.file = file
        self.start = file.tell()
        self.length = file.seek(0, 2) - self.start
        self.records = self._directory()
        first = next(iter(self.records), "")
        self.prefix = first.partition("/")[0] + "/"
        if "/" not in first:
            raise BadArchive("file not in archive folder")

    def _read(self, place: int, size: int) -> bytes:
        if not 0 <= place <= place + size <= self.length:
            raise BadArchive("invalid header or archive is corrupted")
        self.file.seek(self.start + place)
        data = self.file.read(size)
        if len(data) != size:
            raise BadArchive("file read failed")
        return data

    def _ends(self) -> tuple[int, int, int]:
        """Where the directory is, its size, and its number of entries."""
        tail_size = min(self.length, END.size + 0xFFFF)
        tail = self._read(self.length - tail_size, tail_size)
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < END.size:
            raise BadArchive("failed finding central directory")
        _, _, _, _, entries, size, begin, _ = END.unpack_from(tail, at)
        place = self.length - tail_size + at - LOCATOR64.size
        if FULL in (begin, size) or entries == 0xFFFF:
            mark, _, end, _ = LOCATOR64.unpack(self._read(place, LOCATOR64.size))
            found = END64.unpack(self._read(end, END64.size))
            if mark != b"PK\x06\x07" or found[0] != b"PK\x06\x06":
                raise BadArchive("failed finding central directory")
            *_, entries, size, begin = found
        return begin, size, entries

    def _directory(self) -> dict[str, tuple[int, int, int]]:
        """For each record where its header is, its size and its checksum."""
        begin, size, entries = self._ends()
        data = self._read(begin, size)
        found: dict[str, tuple[int, int, int]] = {}
        place = whole = 0
        for _ in range(entries):
            if len(data) - place < CENTRAL.size:
                raise BadArchive("invalid header or archive is corrupted")
            (mark, _, _, flags, method, _, _, crc, stored, full, names, extras, notes, _, _, _, header) = (
                CENTRAL.unpack_from(data, place)
            )
            place += CENTRAL.size
            path, extra = data[place : place + names], data[place + names : place + names + extras]
            place += names + extras + notes
            if mark != b"PK\x01\x02" or place > len(data):
                raise BadArchive("invalid header or archive is corrupted")
            full, stored, header = _wide(extra, full, stored, header)
            if method or full != stored or flags & 1:
                raise BadArchive("unsupported compression method")
            try:
                name = path.decode()
            except UnicodeDecodeError:
                raise BadArchive("invalid filename") from None
            if name in found:
                raise BadArchive(f"file {name!r} is there twice")
            whole += full
            if header + LOCAL.size + full > self.length or whole > self.length:
                raise BadArchive("invalid header or archive is corrupted")
            found[name] = header, full, crc
        return found

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.records

    def size(self, name: str) -> int:
        """The bytes of a record; RuntimeError if there is none of the name."""
        return self._find(name)[1]

    def _find(self, name: str) -> tuple[int, int, int]:
        found = self.records.get(self.prefix + name)
        if found is None:
            raise RuntimeError(f"PytorchStreamReader failed locating file {name}: file not found")
        return found

    def place(self, name: str) -> int:
        """Where the bytes of a record begin in the file."""
        header, size, _ = self._find(name)
        head = LOCAL.unpack(self._read(header, LOCAL.size))
        place = header + LOCAL.size + head[9] + head[10]
        if head[0] != MAGIC or place + size > self.length:
            raise BadArchive("invalid header or archive is corrupted")
        return self.start + place

    def read(self, name: str) -> Array:
        """The bytes of a record, which must agree with its checksum."""
        place, (_, size, crc) = self.place(name), self._find(name)
        data = np.empty(size, np.uint8)
        self.file.seek(place)
        found = done = 0
        while done < size:
            part = data[done : done + STEP]
            self._fill(part.data)
            found = zlib.crc32(part.data, found)
            done += len(part)
        # A checksum of 0 says that none was made, as `set_crc32_options(False)` has it.
        if crc and found != crc:
            raise RuntimeError(f"PytorchStreamReader failed reading file {name}: checksum does not agree")
        return data

    def _fill(self, view: memoryview) -> None:
        """Reads as many bytes as there is room for."""
        done = 0
        while done < len(view):
            if hasattr(self.file, "readinto"):
                count = self.file.readinto(view[done:]) or 0
            else:
                data = self.file.read(len(view) - done)
                count = len(data)
                view[done : done + count] = data
            if not count:
                raise BadArchive("file read failed")
            done += count


def _wide(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """Numbers of a directory entry, those that are too large for it read from the field for such."""
    place = 0
    while len(extra) - place >= 4:
        kind, size = struct.unpack_from("<2H", extra, place)
        place += 4
        if kind == 1:
            field = extra[place : place + size]
            wide = iter([number for (number,) in struct.iter_unpack("<Q", field[: len(field) // 8 * 8])])
            return tuple(next(wide, number) if number == FULL else number for number in numbers)
        place += size
    return numbers
