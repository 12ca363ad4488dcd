"""`map_location`: where the storages of a file go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.core.dtypes import device as Device
from pullback.face.storage import UntypedStorage

NO_DEVICE = (
    "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is False. If you are "
    "running on a CPU-only machine, please use torch.load with map_location=torch.device('cpu') to map your "
    "storages to the CPU."
)

Mapping = Callable[[UntypedStorage, str], UntypedStorage]

MAP_LOCATION = Mapping | Device | str | dict[str, str] | None
"""What `map_location` may be."""

_packages: list[tuple[int, Callable[..., Any], Callable[..., Any]]] = []


def register_package(priority: int, tagger: Callable[..., Any], deserializer: Callable[..., Any]) -> None:
    """Adds a device: `tagger(storage)` names a location, `deserializer(storage, location)` moves it there."""
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda entry: entry[0])


def location_tag(storage: Any) -> str:
    """The name of a storage's location in files: "cpu" or "meta", or what a registered device says."""
    for _, tagger, _ in _packages:
        tag = tagger(storage)
        if tag is not None:
            return tag
    return storage.device.type


def default_restore_location(storage: Any, location: str) -> Any:
    """A storage moved to the location that a file names. RuntimeError for one that is not here."""
    for _, _, deserializer in _packages:
        moved = deserializer(storage, location)
        if moved is not None:
            return moved
    kind = location.partition(":")[0]
    if kind in ("cpu", "meta"):
        return storage.to(device=kind)
    if kind == "cuda":
        raise RuntimeError(NO_DEVICE)
    raise RuntimeError(
        f"don't know how to restore data location of torch.storage.UntypedStorage (tagged with {location})"
    )


def mapping_of(map_location: Any) -> Mapping:
    """The function of a storage and its location that an argument `map_location` stands for."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, dict):
        return lambda storage, location: default_restore_location(
            storage, map_location.get(location, location)
        )
    if isinstance(map_location, (str, Device)):
        target = str(map_location)
        return lambda storage, location: default_restore_location(storage, target)

    def mapped(storage: Any, location: str) -> Any:
        found = map_location(storage, location)
        return default_restore_location(storage, location) if found is None else found

    return mapped
