"""`torch.distributed.elastic.multiprocessing.errors`: errors are raised where they happen."""

from typing import Any

from pullback.face.placeholders import placeholders

__all__ = ["record"]


def record(fn: Any, error_handler: Any = None) -> Any:
    """The function itself."""
    return fn


__getattr__ = placeholders(__name__, "runs in one process")
