"""What a DataLoader says to a data pipe: the seed of an epoch, and which part of it a process reads."""

from __future__ import annotations

import sys
from typing import Any

from pullback.kernels.random.generators import Generator
from pullback.utils.data.datapipes.iter.sharding import SHARDING_PRIORITIES
from pullback.utils.data.graph_settings import apply_random_seed, apply_sharding


class Part:
    """The seed of an epoch of a data pipe, None for another data set, and which of how many processes of a
    group reads it."""

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self.group: tuple[int, int] | None = None
        distributed = sys.modules.get("pullback.distributed")  # it stands above
        if seed is not None and distributed is not None and distributed.is_initialized():
            self.group = distributed.get_world_size(), distributed.get_rank()
            said = [seed]
            distributed.broadcast_object_list(said)
            self.seed = said[0]


def prepared(
    pipe: Any, seed: int | None, group: tuple[int, int] | None = None, workers: tuple[int, int] | None = None
) -> None:
    """Parts a pipe among the processes of a group and the workers of each, and seeds what is random in it."""
    for part, priority in (
        (group, SHARDING_PRIORITIES.DISTRIBUTED),
        (workers, SHARDING_PRIORITIES.MULTIPROCESSING),
    ):
        if part is not None:
            apply_sharding(pipe, *part, priority)
    rng = Generator()
    rng.manual_seed(seed or 0)
    apply_random_seed(pipe, rng)
