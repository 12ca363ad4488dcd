"""A pipe of batches."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import DataChunk, MapDataPipe

__all__ = ["BatcherMapDataPipe"]


@functional_datapipe("batch")
class BatcherMapDataPipe(MapDataPipe[Any]):
    """Batches of `batch_size` samples, the last shorter, or left out with `drop_last`."""

    def __init__(
        self, datapipe: Any, batch_size: int, drop_last: bool = False, wrapper_class: Any = DataChunk
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size, self.drop_last = datapipe, batch_size, drop_last
        self.wrapper_class = wrapper_class

    def __getitem__(self, index: int) -> Any:
        begin, count = index * self.batch_size, len(self.datapipe)
        end = begin + self.batch_size
        if begin >= count or (self.drop_last and end > count):
            raise IndexError("Index is out of bound.")
        return self.wrapper_class([self.datapipe[k] for k in range(begin, min(end, count))])

    def __len__(self) -> int:
        count = len(self.datapipe)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


__getattr__ = getter(__name__)
