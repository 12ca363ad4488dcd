"""The format since 1.6: an archive with the pickle of the object, and a record for each storage."""

from __future__ import annotations

import hashlib
import io
import mmap
import pickle
import sys
from typing import Any

import numpy as np

from pullback.face.storage import TypedStorage, UntypedStorage, as_bytes
from pullback.serialization.archive import ALIGNMENT, Reader, Writer
from pullback.serialization.legacy import storage_kind, width_of
from pullback.serialization.locations import Mapping
from pullback.serialization.pickling import Storages, pickler, unpickler
from pullback.serialization.restricted import WeightsUnpickler
from pullback.serialization.settings import assumed_byte_order, skips_data


def write(obj: Any, file: Any, name: str, module: Any, protocol: int) -> None:
    """Writes an object to a file; `name` is the folder in the archive."""
    storages, buffer = Storages(), io.BytesIO()
    pickler(module, buffer, protocol, storages.persistent_id).dump(obj)
    archive = Writer(file, name)
    archive.record("data.pkl", buffer.getvalue())
    archive.record(".format_version", b"1")
    archive.record(".storage_alignment", str(ALIGNMENT).encode())
    archive.record("byteorder", sys.byteorder.encode())
    for key, array in storages.arrays.items():
        contents = as_bytes(array)
        archive.record(f"data/{key}", np.zeros_like(contents) if skips_data() else contents)
    archive.record("version", b"3\n")
    digest = int.from_bytes(hashlib.sha256(b"".join(archive.directory)).digest()[:16], "little")
    archive.record(".data/serialization_id", f"{digest:040d}".encode())
    archive.close()


class Loader:
    """Reads an object from an archive. `memory`, if not None, is the file mapped into memory."""

    def __init__(
        self,
        archive: Reader,
        memory: mmap.mmap | None,
        mapping: Mapping,
        weights_only: bool,
        module: Any,
        options: Any,
    ) -> None:
        self.archive, self.mapping, self.memory = archive, mapping, memory
        self.weights_only, self.module, self.options = weights_only, module, options
        self.storages: dict[tuple[str, Any], UntypedStorage] = {}
        order = archive.read("byteorder").tobytes() if "byteorder" in archive else assumed_byte_order()
        if order not in (b"little", b"big"):
            raise ValueError(f"Unknown endianness type: {order!r:.30}")
        self.swapped = order.decode() != sys.byteorder

    def load(self) -> Any:
        """The object."""
        data = self.archive.read("data.pkl")
        if self.weights_only:
            return WeightsUnpickler(data.data, 0, self.persistent_load).load()
        file = io.BytesIO(data.tobytes())
        return unpickler(self.module, file, self.persistent_load, **self.options).load()

    def persistent_load(self, pid: Any) -> Any:
        """The storage of an id."""
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise pickle.UnpicklingError("a persistent id must be a tuple that describes a storage")
        _, given, key, location, size = pid
        kind = storage_kind(given)
        if not (type(size) is int and isinstance(key, str) and isinstance(location, str)):
            raise pickle.UnpicklingError("a storage needs a key, a location and a size")
        storage = self.storages.get((key, location))
        nbytes = size * width_of(kind)
        if storage is None:
            if self.archive.size(f"data/{key}") != nbytes:
                raise pickle.UnpicklingError(f"the storage {key[:30]!r} has not the size that it is to have")
            storage = UntypedStorage.of(self._bytes(f"data/{key}"))
            if self.swapped and kind is not None:
                storage.byteswap(kind)
            storage = self.storages[key, location] = self.mapping(storage, location)
        elif storage.nbytes() != nbytes:
            raise pickle.UnpicklingError(f"the storage {key[:30]!r} is said to have two sizes")
        return storage if kind is None else TypedStorage(wrap_storage=storage, dtype=kind)

    def _bytes(self, name: str) -> Any:
        """The bytes of a record, in memory of their own or where the file is mapped."""
        if skips_data():
            return np.zeros(self.archive.size(name), np.uint8)
        if self.memory is None:
            return self.archive.read(name)
        size = self.archive.size(name)
        return np.frombuffer(self.memory, np.uint8, size, self.archive.place(name))
