"""What pipes that shuffle share: whether they do, and the seed of the next iterator."""

from __future__ import annotations

import random
from typing import Self

from pullback.utils.data.sampler import random_seed


class Shuffling:
    """Shuffles unless told otherwise, by a seed that is set, or one of PyTorch's random numbers."""

    _enabled = True
    _seed: int | None = None
    _rng: random.Random

    def set_shuffle(self, shuffle: bool = True) -> Self:
        """Whether the samples are shuffled."""
        self._enabled = shuffle
        return self

    def set_seed(self, seed: int) -> Self:
        """The seed of the next iterator."""
        self._seed = seed
        return self

    def _reseed(self) -> None:
        """Begins the random numbers of the next iterator."""
        self._rng.seed(random_seed() if self._seed is None else self._seed)
        self._seed = None
