"""A pipe of what is in files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe

__all__ = ["StreamReaderIterDataPipe"]


@functional_datapipe("read_from_stream")
class StreamReaderIterDataPipe(IterDataPipe[Any]):
    """Of pairs of a name and a stream, the name with all that is in the stream, or each `chunk` of it."""

    def __init__(self, datapipe: Any, chunk: int | None = None) -> None:
        self.datapipe, self.chunk = datapipe, chunk

    def __iter__(self) -> Iterator[Any]:
        for name, stream in self.datapipe:
            while data := stream.read(self.chunk):
                yield name, data
            stream.close()


__getattr__ = getter(__name__)
