"""A pipe that calls a function of each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import MapDataPipe

__all__ = ["MapperMapDataPipe", "default_fn"]


def default_fn(data: Any) -> Any:
    """The sample itself."""
    return data


@functional_datapipe("map")
class MapperMapDataPipe(MapDataPipe[Any]):
    """What a function gives for each sample."""

    def __init__(self, datapipe: Any, fn: Callable[[Any], Any] = default_fn) -> None:
        self.datapipe, self.fn = datapipe, fn

    def __len__(self) -> int:
        return len(self.datapipe)

    def __getitem__(self, index: Any) -> Any:
        return self.fn(self.datapipe[index])


__getattr__ = getter(__name__)
