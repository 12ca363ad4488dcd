"""`torch.multiprocessing`: Python's `multiprocessing`, whose queues, pipes and processes share tensors.

All names of `multiprocessing` are here, too. A tensor that is sent is moved to shared memory: both processes
see what either writes. reductions.py says how.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import *  # noqa: F403

from pullback.face.absent import getter
from pullback.multiprocessing import pool as pool
from pullback.multiprocessing import queue as queue
from pullback.multiprocessing import starting
from pullback.multiprocessing.reductions import init_reductions
from pullback.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    SpawnContext,
    spawn,
    start_processes,
)

__all__ = [
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "init_reductions",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]

__all__ += multiprocessing.__all__

_strategy = "file_descriptor"


def get_all_sharing_strategies() -> set[str]:
    """The names of the ways in which memory can be shared."""
    return {"file_descriptor", "file_system"}


def get_sharing_strategy() -> str:
    """The name that was set last."""
    return _strategy


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted: memory is shared by files without names, whichever is set."""
    global _strategy
    if new_strategy not in get_all_sharing_strategies():
        raise AssertionError(
            f"invalid sharing strategy '{new_strategy}', expected one of {get_all_sharing_strategies()}"
        )
    _strategy = new_strategy


init_reductions()
starting.install()

__getattr__ = getter(__name__, {n: "multiprocessing" for n in vars(multiprocessing) if n[0] != "_"})
