"""What the modules of accelerators share, as `torch.cuda`: there is none, so most functions refuse.

A program asks first (`is_available`, `device_count`), and goes on with the CPU. One that does not ask is
refused as by a build of PyTorch for the CPU, in its words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def refusal(name: str, error: type[Exception], message: str) -> Callable[..., Any]:
    """A function of this name that raises an error."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise error(message)

    refused.__name__ = refused.__qualname__ = name
    refused.__doc__ = f"{error.__name__}: {message}"
    return refused


def refusals(names: str, error: type[Exception], message: str) -> dict[str, Callable[..., Any]]:
    """Such a function for each name."""
    return {name: refusal(name, error, message) for name in names.split()}


class absent_device:
    """A context in which a device would be the present one. Entering it for a device, other than for none
    (None or a negative number), is an error."""

    message = "Cannot access accelerator device when none is available."

    def __init__(self, device: Any) -> None:
        index = getattr(device, "index", device)
        self.idx = -1 if index is None else index

    def __enter__(self) -> None:
        if not isinstance(self.idx, int) or self.idx >= 0:
            raise RuntimeError(self.message)

    def __exit__(self, *exc: object) -> None:
        pass


class no_stream:
    """A context in which a stream would be the present one; with None, nothing changes."""

    def __init__(self, stream: Any = None) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class Absent:
    """The base of classes of which there are no instances, such as `torch.cuda.Stream`."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"Tried to instantiate dummy base class {cls.__name__}")
