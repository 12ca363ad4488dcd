"""A pipe of the samples of another in random order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._shuffling import Shuffling
from pullback.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = ["ShufflerIterDataPipe"]


class ShufflerIterDataPipe(Shuffling, IterDataPipe[Any]):
    """The samples at all `indices`, those from 0 on unless they are given, in random order."""

    def __init__(self, datapipe: Any, *, indices: list[Any] | None = None) -> None:
        self.datapipe = datapipe
        self.indices = list(range(len(datapipe))) if indices is None else indices
        self._rng = random.Random()
        self._shuffled_indices: list[Any] = self.indices

    def reset(self) -> None:
        if self._enabled:
            self._reseed()
            self._shuffled_indices = list(self.indices)
            self._rng.shuffle(self._shuffled_indices)

    def __iter__(self) -> Iterator[Any]:
        for index in self._shuffled_indices if self._enabled else self.indices:
            yield self.datapipe[index]

    def __len__(self) -> int:
        return len(self.datapipe)


MapDataPipe.register_datapipe_as_function("shuffle", ShufflerIterDataPipe)

__getattr__ = getter(__name__)
