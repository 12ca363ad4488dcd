"""`DistributedSampler`: the part of a data set that is one process's of several."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pullback import ops
from pullback.distributed.groups import get_rank, get_world_size
from pullback.face.absent import getter
from pullback.kernels.random.generators import Generator
from pullback.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[Any]):
    """Every `num_replicas`-th index, beginning with `rank`, of the shuffled data set.

    All processes get as many: some indices come twice at the end, or with `drop_last` some are left out.
    `set_epoch` before each epoch makes the shuffles differ. Without `num_replicas` and `rank` they are the
    ranks of the default process group.
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        num_replicas = get_world_size() if num_replicas is None else num_replicas
        rank = get_rank() if rank is None else rank
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        self.num_samples = (
            len(dataset) // num_replicas if drop_last else math.ceil(len(dataset) / num_replicas)
        )
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[Any]:
        count = len(self.dataset)
        if self.shuffle:
            generator = Generator()
            generator.manual_seed(self.seed + self.epoch)
            indices = ops.randperm(count, generator=generator).tolist()
        else:
            indices = list(range(count))
        if indices and len(indices) < self.total_size:
            indices *= math.ceil(self.total_size / len(indices))
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Sets the number that, with the seed, says how to shuffle."""
        self.epoch = epoch


__getattr__ = getter(__name__)
