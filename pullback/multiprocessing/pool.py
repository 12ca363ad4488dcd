"""`torch.multiprocessing.pool`: Python's `multiprocessing.pool`, whose processes share tensors."""

import gc
from multiprocessing import pool
from typing import Any

from pullback.face.absent import getter


def clean_worker(*args: Any, **kwargs: Any) -> None:
    """The program of a worker of a pool, which frees what is left of tensors before it ends."""
    pool.worker(*args, **kwargs)  # type: ignore[attr-defined]
    gc.collect()


class Pool(pool.Pool):
    """Worker processes, to which calls with tensors may be sent."""


__getattr__ = getter(__name__)
