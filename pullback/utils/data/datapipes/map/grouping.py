"""A pipe of batches."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._batching import OfBatches
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import MapDataPipe

__all__ = ["BatcherMapDataPipe"]


@functional_datapipe("batch")
class BatcherMapDataPipe(OfBatches, MapDataPipe[Any]):
    """Batches of `batch_size` samples, the last shorter, or left out with `drop_last`."""

    def __getitem__(self, index: int) -> Any:
        begin, count = index * self.batch_size, len(self.datapipe)
        end = begin + self.batch_size
        if begin >= count or (self.drop_last and end > count):
            raise IndexError("Index is out of bound.")
        return self.wrapper_class([self.datapipe[k] for k in range(begin, min(end, count))])


__getattr__ = getter(__name__)
