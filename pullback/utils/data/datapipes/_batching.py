"""What pipes of batches share, be they iterated or indexed."""

from __future__ import annotations

from typing import Any

from pullback.utils.data.datapipes.datapipe import DataChunk


class OfBatches:
    """Batches of `batch_size` samples, each a `wrapper_class`, the last shorter or left out."""

    datapipe: Any

    def __init__(
        self, datapipe: Any, batch_size: int, drop_last: bool = False, wrapper_class: Any = DataChunk
    ) -> None:
        if batch_size <= 0:
            raise AssertionError("Batch size is required to be larger than 0!")
        self.datapipe, self.batch_size, self.drop_last = datapipe, batch_size, drop_last
        self.wrapper_class = wrapper_class

    def __len__(self) -> int:
        count = len(self.datapipe)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
