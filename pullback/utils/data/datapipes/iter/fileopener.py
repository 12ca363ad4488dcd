"""A pipe of opened files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe
from pullback.utils.data.datapipes.utils.common import get_file_binaries_from_pathnames

__all__ = ["FileOpenerIterDataPipe"]


@functional_datapipe("open_files")
class FileOpenerIterDataPipe(IterDataPipe[Any]):
    """Pairs of a path and its opened file, for each path; `mode` is "b", "t", or one for reading."""

    def __init__(
        self, datapipe: Iterable[str], mode: str = "r", encoding: str | None = None, length: int = -1
    ) -> None:
        self.datapipe, self.mode, self.encoding, self.length = datapipe, mode, encoding, length
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        if "b" in mode and encoding is not None:
            raise ValueError("binary mode doesn't take an encoding argument")

    def __iter__(self) -> Iterator[Any]:
        yield from get_file_binaries_from_pathnames(self.datapipe, self.mode, self.encoding)

    def __len__(self) -> int:
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


__getattr__ = getter(__name__)
