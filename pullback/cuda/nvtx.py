"""`torch.cuda.nvtx`: marks for a profiler of CUDA devices, of which there are none."""

import contextlib
from collections.abc import Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_WORDS = "NVTX functions not installed. Are you sure you have a CUDA build?"

_REFUSED = refusals("mark range_end range_pop range_push range_start", RuntimeError, _WORDS)
globals().update(_REFUSED)
__all__ = [*_REFUSED, "range"]


@contextlib.contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """RuntimeError, where it is entered or what it decorates is called."""
    raise RuntimeError(_WORDS)
    yield


__getattr__ = getter(__name__)
