"""`torch.utils.data.graph_settings`: what loaders say to all pipes that a pipe is made of."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes.iter.sharding import SHARDING_PRIORITIES, ShardingFilterIterDataPipe
from pullback.utils.data.graph import traverse_dps
from pullback.utils.data.sampler import random_seed

__all__ = [
    "apply_random_seed",
    "apply_sharding",
    "apply_shuffle_seed",
    "apply_shuffle_settings",
    "get_all_graph_pipes",
]


def get_all_graph_pipes(graph: dict[int, Any]) -> list[Any]:
    """The pipes of a graph, each once, a pipe before those that it is made of."""
    found: dict[int, Any] = {}

    def walk(part: dict[int, Any]) -> None:
        for number, (pipe, below) in part.items():
            if number not in found:
                found[number] = pipe
                walk(below)

    walk(graph)
    return list(found.values())


def _is_sharding(pipe: Any) -> bool:
    return isinstance(pipe, ShardingFilterIterDataPipe) or (
        hasattr(pipe, "apply_sharding") and inspect.ismethod(pipe.apply_sharding)
    )


def apply_sharding(
    datapipe: Any,
    num_of_instances: int,
    instance_id: int,
    sharding_group: Any = SHARDING_PRIORITIES.DEFAULT,
) -> Any:
    """Parts every pipe that can be parted, of which no two may lie on one way."""

    def walk(graph: dict[int, Any], above: Any) -> None:
        for pipe, below in graph.values():
            here = above
            if _is_sharding(pipe):
                if above is not None:
                    raise RuntimeError(
                        "Sharding twice on a single pipeline is likely unintended and will cause data loss. "
                        f"Sharding already applied to {above} while trying to apply to {pipe}"
                    )
                takes_group = len(inspect.signature(pipe.apply_sharding).parameters) > 2
                group = {"sharding_group": sharding_group} if takes_group else {}
                pipe.apply_sharding(num_of_instances, instance_id, **group)
                here = pipe
            walk(below, here)

    walk(traverse_dps(datapipe), None)
    return datapipe


def _has(pipe: Any, *names: str) -> bool:
    return all(inspect.ismethod(getattr(pipe, name, None)) for name in names)


def apply_shuffle_settings(datapipe: Any, shuffle: bool | None = None) -> Any:
    """Turns all shuffling of a pipe on or off; where there is none to be turned on, it is added."""
    if shuffle is None:
        return datapipe
    shufflers = [p for p in get_all_graph_pipes(traverse_dps(datapipe)) if _has(p, "set_shuffle", "set_seed")]
    if not shufflers and shuffle:
        warnings.warn(
            "`shuffle=True` was set, but the datapipe does not contain a `Shuffler`. Adding one at the end. "
            "Be aware that the default buffer size might not be sufficient for your task.",
            stacklevel=2,
        )
        datapipe = datapipe.shuffle()
        shufflers = [datapipe]
    for shuffler in shufflers:
        shuffler.set_shuffle(shuffle)
    return datapipe


def apply_shuffle_seed(datapipe: Any, rng: Any) -> Any:
    """`apply_random_seed`, by its older name."""
    warnings.warn(
        "`apply_shuffle_seed` is deprecated since 1.12 and will be removed in the future releases.\n"
        "Please use `apply_random_seed` instead.",
        FutureWarning,
        stacklevel=2,
    )
    return apply_random_seed(datapipe, rng)


def apply_random_seed(datapipe: Any, rng: Any) -> Any:
    """Gives every pipe that takes a seed one drawn from a generator."""
    for pipe in get_all_graph_pipes(traverse_dps(datapipe)):
        if _has(pipe, "set_seed"):
            pipe.set_seed(random_seed(rng))
    return datapipe


__getattr__ = getter(__name__)
