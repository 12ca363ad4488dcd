"""`torch.PyTorchFileReader`: the records of a file that `save` wrote, by their names."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.storage import UntypedStorage
from pullback.serialization.archive import Reader


class PyTorchFileReader:
    """Reads the records of an archive, a path or an open file. RuntimeError if there is none.

    >>> import io, pullback as torch
    >>> file = io.BytesIO()
    >>> torch.save(torch.ones(2), file)
    >>> torch.PyTorchFileReader(file).get_record_size("data/0")
    8
    """

    def __init__(self, file: Any) -> None:
        if isinstance(file, str):
            try:
                file = Path(file).open("rb")  # noqa: SIM115  # it is read as long as this reader is there
            except OSError as error:
                raise RuntimeError(
                    f"open file failed because of errno {error.errno} on fopen: {error.strerror}, "
                    f"file path: {file}"
                ) from None
            weakref.finalize(self, file.close)
        file.seek(0)
        self._archive = Reader(file)

    def get_all_records(self) -> list[str]:
        """The names of the records."""
        return [name.removeprefix(self._archive.prefix) for name in self._archive.records]

    def has_record(self, name: str) -> bool:
        """Whether there is a record of this name."""
        return name in self._archive

    def get_record(self, name: str) -> bytes:
        """The bytes of a record."""
        data: bytes = self._archive.read(name).tobytes()
        return data

    def get_record_size(self, name: str) -> int:
        """The number of bytes of a record."""
        return self._archive.size(name)

    def get_record_offset(self, name: str) -> int:
        """Where the bytes of a record begin in the file."""
        return self._archive.place(name)

    def get_storage_from_record(self, name: str, numel: int, dtype: Any) -> Tensor:
        """A tensor without elements whose storage has the bytes of a record, read as `numel` of `dtype`."""
        storage = UntypedStorage.of(self._archive.read(name)[: numel * dtype.itemsize])
        return ops.empty(0, dtype=dtype).set_(storage, 0, (0,))

    def serialization_id(self) -> str:
        """The number that tells a file's content."""
        known = ".data/serialization_id"
        return self.get_record(known).decode() if self.has_record(known) else ""
