"""A worker process of a DataLoader: reads samples, makes batches of them and sends them."""

from __future__ import annotations

import os
import pickle
import random
import sys
import traceback
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback.core.settings import set_num_threads
from pullback.face.absent import getter
from pullback.kernels.random.generators import Generator
from pullback.ops.arrays.random import manual_seed
from pullback.utils.data._utils.fetch import fetcher
from pullback.utils.data._utils.messages import Sender
from pullback.utils.data._utils.pipes import Part, prepared

__all__ = ["ExceptionWrapper", "WorkerInfo", "get_worker_info"]

MP_STATUS_CHECK_INTERVAL = 5.0  # seconds after which a worker looks whether its parent lives


@dataclass
class WorkerInfo:
    """What a worker knows of itself: `id` of `num_workers`, the `seed` of its random numbers, its copy of
    the `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any
    rng: Any = None
    worker_method: str = "multiprocessing"


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader, which one it is; None elsewhere.

    >>> import pullback as torch
    >>> print(torch.utils.data.get_worker_info())
    None
    """
    return _worker_info


def _generate_state(base_seed: int, worker_id: int) -> list[int]:
    """The seeds of NumPy's generator in a worker."""
    entropy = [worker_id, base_seed & 0xFFFFFFFF, base_seed >> 32, 0]
    return [int(word) for word in np.random.SeedSequence(entropy).generate_state(4)]


class ExceptionWrapper:
    """An exception with its traceback as text, to be raised in another process."""

    def __init__(self, where: str = "in background") -> None:
        kind, value, _ = sys.exc_info()
        assert kind is not None
        self.exc_type: Any = kind
        self.exc_msg = traceback.format_exc()
        self.exc_args = getattr(value, "args", ())
        self.where = where

    def reraise(self) -> None:
        """Raises the exception here, with the traceback of its own process in the message."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = _Repr(message)  # a KeyError shows the repr of its argument
        try:
            exception = self.exc_type(message)
        except Exception:  # its constructor takes other arguments
            exception = RuntimeError(message)
        raise exception


class _Repr(str):
    """A text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


@dataclass
class Task:
    """What a worker is to know."""

    id: int
    num_workers: int
    parent: int
    iterable: bool
    dataset: Any
    auto_collation: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    worker_init_fn: Callable[[int], Any] | None
    part: Part


class Resume:
    """A message to a worker that lives on: a new epoch begins, with this seed for data pipes."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed


class Ended:
    """A message from a worker: its part of an iterable data set is at its end."""

    def __init__(self, worker: int) -> None:
        self.worker = worker


ENDS: weakref.WeakSet[Any] = weakref.WeakSet()
"""The parent's ends of the connections to its workers."""


def work(connection: Any, task: Task, seed: int) -> None:
    """The program of a worker process: it ends when it is told None, or when its parent is gone."""
    for other in list(ENDS):  # those of the parent, which a forked process has, too
        other.close()
    try:
        _serve(connection, task, seed)
    except (KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent says what is to be said
    finally:
        connection.close()


def _seeds(task: Task, seed: int) -> None:
    """Seeds all generators of random numbers: `seed` plus the worker's number."""
    global _worker_info
    random.seed(seed + task.id)
    manual_seed(seed + task.id)
    np.random.seed(np.random.SeedSequence([task.id, seed]).generate_state(4))
    rng = Generator()
    rng.manual_seed(seed + task.id)
    _worker_info = WorkerInfo(task.id, task.num_workers, seed + task.id, task.dataset, rng)


def _serve(connection: Any, task: Task, seed: int) -> None:
    set_num_threads(1)
    sender = Sender.current = Sender(connection)
    where = f"in DataLoader worker process {task.id}"
    failed: ExceptionWrapper | None = None
    source: Any = None
    try:
        _seeds(task, seed)
        if task.part.seed is not None:
            prepared(task.dataset, task.part.seed, task.part.group, (task.num_workers, task.id))
        if task.worker_init_fn is not None:
            task.worker_init_fn(task.id)
        source = fetcher(task.iterable, task.dataset, task.auto_collation, task.collate_fn, task.drop_last)
    except Exception:
        failed = ExceptionWrapper(where)
    ended = False
    while True:
        while not connection.poll(MP_STATUS_CHECK_INTERVAL):
            if os.getppid() != task.parent:
                return
        message = pickle.loads(connection.recv_bytes())
        if message is None:
            return
        if isinstance(message, Resume):
            ended = False
            try:
                if message.seed is not None:
                    prepared(task.dataset, message.seed)
                source = fetcher(
                    task.iterable, task.dataset, task.auto_collation, task.collate_fn, task.drop_last
                )
            except Exception:
                failed = ExceptionWrapper(where)
            sender.send((None, message))
            continue
        place, index, released = message
        sender.released(released)
        if ended:
            continue  # asked for before the parent knew
        batch: Any = failed
        if failed is None:
            try:
                batch = source.fetch(index)
            except Exception as error:
                ended = task.iterable and isinstance(error, StopIteration)
                batch = Ended(task.id) if ended else ExceptionWrapper(where)
        failed = None
        try:
            sender.send((place, batch))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception:
            sender.send((place, ExceptionWrapper(where)))


__getattr__ = getter(__name__)
