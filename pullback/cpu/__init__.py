"""`torch.cpu`: the CPU under the names of accelerators' modules, for programs that serve any device."""

from __future__ import annotations

import os
import platform
import re
from typing import Any

from pullback.face.absent import getter
from pullback.face.accelerators import no_stream

__all__ = [
    "Event",
    "Stream",
    "StreamContext",
    "current_device",
    "current_stream",
    "device_count",
    "get_capabilities",
    "is_available",
    "is_initialized",
    "set_device",
    "stream",
    "synchronize",
]


def is_available() -> bool:
    """True: there is a CPU."""
    return True


def is_initialized() -> bool:
    """True: nothing is to be started."""
    return True


def device_count() -> int:
    """1: all cores are one device."""
    return 1


def _features() -> dict[str, bool]:
    """The sets of instructions that NumPy looks for, and whether the processor has them."""
    import numpy as np

    compiled: Any = getattr(np, "_core", None)
    return dict(compiled._multiarray_umath.__cpu_features__) if compiled is not None else {}


def get_capabilities() -> dict[str, Any]:
    """What the processor can do: its architecture, the number of its cores and its sets of instructions.

    >>> import pullback as torch
    >>> type(torch.cpu.get_capabilities()["architecture"])
    <class 'str'>
    """
    found: dict[str, bool] = {}
    for name, has in _features().items():
        known = re.sub("^avx512_?", "avx512_", name.lower())
        found[re.sub(r"^sse4(?=\d)", "sse4_", known)] = has
    return {"architecture": platform.machine(), "num_logical_cores": os.cpu_count(), **found}


def current_device() -> str:
    """The present device, "cpu"."""
    return "cpu"


def set_device(device: Any) -> None:
    """There is but one."""


def synchronize(device: Any = None) -> None:
    """Waits for nothing: each op is done when its call returns."""


class Stream:
    """A queue of work: all work is done in order, so it has nothing to wait for."""

    def __init__(self, priority: int = -1) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        """Nothing to wait for."""

    def record_event(self) -> None:
        """Nothing to mark."""

    def wait_event(self, event: Any) -> None:
        """Nothing to wait for."""


class Event:
    """A mark in a stream, passed as soon as it is made."""

    def query(self) -> bool:
        """True: the work before it is done."""
        return True

    def record(self, stream: Any = None) -> None:
        """Nothing to mark."""

    def synchronize(self) -> None:
        """Nothing to wait for."""

    def wait(self, stream: Any = None) -> None:
        """Nothing to wait for."""


_STREAM = Stream()


def current_stream(device: Any = None) -> Stream:
    """The one stream."""
    return _STREAM


StreamContext = stream = no_stream

__getattr__ = getter(__name__)
