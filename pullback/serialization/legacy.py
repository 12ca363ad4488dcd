"""The format of before 1.6: pickles one after another, then the bytes of the storages.

A magic number, the version and the sizes of C's types; the object, with storages as persistent ids; the keys
of the storages; for each its number of elements, as 8 bytes, and its elements.
"""

from __future__ import annotations

import pickle
import struct
import sys
from typing import Any

import numpy as np

from pullback.face.storage import STORAGE_TYPES, TypedStorage, UntypedStorage, as_bytes
from pullback.serialization.locations import Mapping
from pullback.serialization.pickling import Storages, pickler, unpickler
from pullback.serialization.restricted import WeightsUnpickler

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
VERSION = 1001
SIZES = {"short": 2, "int": 4, "long": 4}
ORDER = struct.Struct("<q")


def write(obj: Any, file: Any, module: Any, protocol: int) -> None:
    """Writes an object to a file."""
    system = {"protocol_version": VERSION, "little_endian": sys.byteorder == "little", "type_sizes": SIZES}
    for part in (MAGIC_NUMBER, VERSION, system):
        pickle.dump(part, file, protocol)
    storages = Storages()

    def persistent_id(thing: Any) -> Any:
        found = storages.persistent_id(thing)
        return None if found is None else (*found, None)

    pickler(module, file, protocol, persistent_id).dump(obj)
    pickle.dump(sorted(storages.arrays), file, protocol)
    for key in sorted(storages.arrays):
        data = as_bytes(storages.arrays[key])
        kind = storages.dtypes[key]
        file.write(ORDER.pack(data.nbytes // width_of(kind)))
        file.write(data.data)


class Loader:
    """Reads an object from a file, whose position is where it begins."""

    def __init__(self, file: Any, mapping: Mapping, weights_only: bool, module: Any, options: Any) -> None:
        self.file, self.mapping = file, mapping
        self.weights_only, self.module, self.options = weights_only, module, options
        self.storages: dict[str, tuple[UntypedStorage, Any]] = {}
        self.whole = 0
        self.data: Any = b""
        self.place = 0

    def load(self) -> Any:
        """The object."""
        begin = self.file.tell()
        self.length = self.file.seek(0, 2) - begin
        self.file.seek(begin)
        if self.weights_only:
            self.data = self.file.read()
        if self._next() != MAGIC_NUMBER:
            raise RuntimeError("Invalid magic number; corrupt file?")
        version = self._next()
        if version != VERSION:
            raise RuntimeError("Invalid protocol version; corrupt file?")
        system = self._next()
        little = not isinstance(system, dict) or system.get("little_endian") is not False
        place = self._tell()
        try:
            self._find_storages()
            keys = self._next()
            if not isinstance(keys, list):
                raise RuntimeError("the list of storages is missing; corrupt file?")
            for key in keys:
                self._fill(key, little)
        except Exception:
            self._seek(place)
            self._next(self.persistent_load)  # what is wrong with the object is said first
            raise
        end = self._tell()
        self._seek(place)
        result = self._next(self.persistent_load)
        self._seek(end)  # other objects may follow
        return result

    def _find_storages(self) -> None:
        """Reads the pickle of the object for its storages alone, and makes nothing else of it.

        Their bytes come behind it, and a tensor may be made of numbers: a conjugated or a sparse one.
        """
        if self.weights_only:
            reader = WeightsUnpickler(self.data, self.place, self.persistent_load)
            reader.names = []
            reader.load()
            self.place = reader.place
        else:
            _Scanner(self.file, self.persistent_load).load()

    def _tell(self) -> int:
        return self.place if self.weights_only else self.file.tell()

    def _seek(self, place: int) -> None:
        if self.weights_only:
            self.place = place
        else:
            self.file.seek(place)

    def _next(self, persistent_load: Any = None) -> Any:
        """The next pickle."""
        load = persistent_load or _refuse
        if not self.weights_only:
            return unpickler(self.module, self.file, load, **self.options).load()
        reader = WeightsUnpickler(self.data, self.place, load)
        result = reader.load()
        self.place = reader.place
        return result

    def _take(self, size: int) -> Any:
        if not self.weights_only:
            return self.file.read(size)
        part = memoryview(self.data)[self.place : self.place + size]
        self.place += size
        return part

    def persistent_load(self, pid: Any) -> Any:
        """The storage of an id: its bytes come later in the file."""
        if not isinstance(pid, tuple) or not pid:
            raise pickle.UnpicklingError("a persistent id must be a tuple")
        if pid[0] == "module":
            return pid[1]  # a class and its source, of which PyTorch would warn if it had changed
        if pid[0] != "storage" or len(pid) not in (5, 6):
            raise pickle.UnpicklingError("unknown persistent id")
        kind, size = storage_kind(pid[1]), pid[4]
        key, location = str(pid[2]), pid[3]
        view = pid[5] if len(pid) == 6 else None
        if type(size) is not int or size < 0 or not isinstance(location, str):
            raise pickle.UnpicklingError("a storage needs a size and a location")
        if key not in self.storages:
            nbytes = size * width_of(kind)
            self.whole += nbytes
            if self.whole > self.length:
                raise pickle.UnpicklingError(
                    f"storages of {self.whole} bytes cannot be in a file of {self.length} bytes"
                )
            storage = UntypedStorage.of(np.zeros(nbytes, np.uint8))
            self.storages[key] = self.mapping(storage, location), (kind, size, storage)
        storage, (known, count, _) = self.storages[key]
        if count * width_of(known) != size * width_of(kind):
            raise pickle.UnpicklingError("a storage is said to have two sizes")
        if view is not None:
            _, offset, part = view
            width = width_of(kind)
            if not all(type(n) is int and n >= 0 for n in (offset, part)) or offset + part > size:
                raise pickle.UnpicklingError("a view of a storage reaches beyond it")
            storage = storage[offset * width : (offset + part) * width]
        return storage if kind is None else TypedStorage(wrap_storage=storage, dtype=kind)

    def _fill(self, key: Any, little: bool) -> None:
        """Reads the bytes of a storage."""
        found = self.storages.get(key) if isinstance(key, str) else None
        if found is None:
            raise RuntimeError("a storage that nothing refers to; corrupt file?")
        moved, (kind, size, storage) = found
        head = self._take(ORDER.size)
        if len(head) != ORDER.size or ORDER.unpack(head)[0] != size:
            raise RuntimeError("storage has wrong byte size: the file is corrupt")
        data = self._take(storage.nbytes())
        if len(data) != storage.nbytes():
            missing = storage.nbytes() - len(data)
            raise RuntimeError(f"unexpected EOF, expected {missing} more bytes. The file might be corrupted.")
        storage._array[:] = np.frombuffer(data, np.uint8)
        if little != (sys.byteorder == "little") and kind is not None:
            storage.byteswap(kind)
        if moved != storage and moved.device.type == "cpu":
            moved.copy_(storage)


class _Anything:
    """What a pickle makes, where nobody wants it: it takes all that a pickle does to it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Anything:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> _Anything:
        return _Anything()

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    __setstate__ = append = extend = update = add = __init__

    def __hash__(self) -> int:
        return 0


class _Scanner(pickle.Unpickler):
    """Calls `persistent_load` for each storage, and no function or class that the pickle names."""

    def __init__(self, file: Any, persistent_load: Any) -> None:
        super().__init__(file, encoding="latin-1")
        self._load = persistent_load

    def persistent_load(self, pid: Any) -> Any:
        """The storage."""
        return self._load(pid)

    def find_class(self, place: str, name: str) -> Any:
        """A class of storages, or what stands for anything else."""
        known = STORAGE_TYPES.get(name) if place.partition(".")[0] in ("torch", "pullback") else None
        if name == "UntypedStorage":
            return UntypedStorage
        return _Anything if known is None else known


def width_of(kind: Any) -> int:
    """The bytes of an element of a dtype, of a byte for None."""
    return 1 if kind is None else kind.itemsize


def _refuse(pid: Any) -> Any:
    raise pickle.UnpicklingError("a persistent id where there is no storage")


def storage_kind(given: Any) -> Any:
    """The dtype of the class that a persistent id names, None for UntypedStorage.

    UnpicklingError for anything else.
    """
    if given is UntypedStorage:
        return None
    if not any(given is kind for kind in STORAGE_TYPES.values()):
        raise pickle.UnpicklingError("a persistent id must name a class of storages")
    return given.dtype
