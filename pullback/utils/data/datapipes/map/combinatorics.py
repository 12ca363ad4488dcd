"""A pipe of the samples of another in random order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe
from pullback.utils.data.sampler import random_seed

__all__ = ["ShufflerIterDataPipe"]


class ShufflerIterDataPipe(IterDataPipe[Any]):
    """The samples at all `indices`, those from 0 on unless they are given, in random order."""

    def __init__(self, datapipe: Any, *, indices: list[Any] | None = None) -> None:
        self.datapipe = datapipe
        self.indices = list(range(len(datapipe))) if indices is None else indices
        self._enabled, self._rng = True, random.Random()
        self._seed: int | None = None
        self._shuffled_indices: list[Any] = self.indices

    def set_shuffle(self, shuffle: bool = True) -> ShufflerIterDataPipe:
        """Whether the samples are shuffled."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed: int) -> ShufflerIterDataPipe:
        """The seed of the next iterator."""
        self._seed = seed
        return self

    def reset(self) -> None:
        if self._enabled:
            self._rng.seed(random_seed() if self._seed is None else self._seed)
            self._seed = None
            self._shuffled_indices = list(self.indices)
            self._rng.shuffle(self._shuffled_indices)

    def __iter__(self) -> Iterator[Any]:
        for index in self._shuffled_indices if self._enabled else self.indices:
            yield self.datapipe[index]

    def __len__(self) -> int:
        return len(self.datapipe)


MapDataPipe.register_datapipe_as_function("shuffle", ShufflerIterDataPipe)

__getattr__ = getter(__name__)
