"""Work between ranks that has begun: `Work`, what moves it on, and how long it is waited for.

MPI moves messages on while it is called, so whoever waits asks all work under way again and again
(`progress`). Waiting ends with an error after the group's time-out, or when a rank that it needs has ended.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from pullback import futures
from pullback.core._engine import unrecordable

__all__ = ["Work"]

_pending: list[Work] = []
_lock = threading.RLock()
_SPINS = 100  # of asking without a pause, which the other ranks of a busy machine get instead
_PAUSE = 5e-5


class OpType(enum.Enum):
    """What kind of work is under way."""

    UNKNOWN = 100


def progress() -> bool:
    """Asks all work that has begun whether it is done; whether any is left."""
    if not _pending:
        return False
    with _lock:
        for work in _pending[:]:
            work._ask()
    return bool(_pending)


futures.progress.append(progress)


def pause(times: int) -> None:
    """Lets others run, who may be what is waited for: longer the longer it takes."""
    if times > _SPINS:
        time.sleep(_PAUSE)
    elif hasattr(os, "sched_yield"):
        os.sched_yield()


class Work:
    """Something that ranks do together. `wait` returns when this rank's part is done and its results there.

    >>> import pullback as torch
    >>> dist = torch.distributed
    >>> dist.init_process_group("gloo", rank=0, world_size=1)
    >>> work = dist.all_reduce(torch.ones(2), async_op=True)
    >>> work.wait(), work.is_completed()
    (True, True)
    >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        requests: Sequence[Any],
        group: Any,
        what: str,
        finish: Callable[[], Any] | None = None,
        results: Sequence[Any] = (),
        peer: int | None = None,
    ) -> None:
        unrecordable("a message to other processes")
        self._requests = list(requests)
        self._group = group
        self._what = what
        self._finish = finish
        self._results = list(results)
        self._peer = peer
        self._error: Exception | None = None
        self._future: futures.Future[Any] | None = None
        self._source: int | None = None
        self._done = False
        with _lock:
            self._ask()
            if not self._done:
                _pending.append(self)

    def _ask(self) -> bool:
        """Asks MPI; what was received is put in its place when all of it is there."""
        with _lock:
            if self._done:
                return True
            try:
                self._requests = [request for request in self._requests if not self._test(request)]
            except RuntimeError as error:  # of MPI: a message that is longer than the memory for it
                self._requests = []
                self._end(self._failed(error))
            else:
                if self._requests:
                    return False
                self._end()
            return True

    def _failed(self, error: RuntimeError) -> Exception:
        from pullback.distributed.errors import DistBackendError

        words = f"{self._what} failed: {' '.join(str(error).split())}"
        if self._what == "recv":
            shape, dtype = tuple(self._results[0].shape), self._results[0].dtype
            words += f". What is sent must fit the tensor that it is received into: {shape}, {dtype}"
        return DistBackendError(words)

    def _test(self, request: Any) -> bool:
        if self._peer is not None or not hasattr(request, "Cancel"):
            return bool(request.Test())
        status = self._group.transport.MPI.Status()
        done = bool(request.Test(status))
        if done:
            self._source = status.Get_source()
        return done

    def _end(self, error: Exception | None = None) -> None:
        self._done, self._error = True, error
        if self in _pending:
            _pending.remove(self)
        finish, self._finish = self._finish, None
        if finish is not None and error is None:
            finish()
        if self._future is not None:
            self._complete(self._future)

    def _complete(self, future: futures.Future[Any]) -> None:
        if self._error is not None:
            future.set_exception(self._error)
        else:
            future.set_result(self._results)

    def is_completed(self) -> bool:
        """Whether it is done."""
        progress()
        return self._done

    def is_success(self) -> bool:
        """Whether it is done, without an error."""
        return self.is_completed() and self._error is None

    def exception(self) -> Exception | None:
        """The error that it ended with, None without one."""
        return self._error

    def wait(self, timeout: timedelta | None = None) -> bool:
        """Waits until it is done: True. RuntimeError after the time-out, or when a rank has ended."""
        if not self._done:
            self._await(self._group.seconds if timeout is None else timeout.total_seconds())
        if self._error is not None:
            raise self._error
        return True

    def _await(self, seconds: float) -> None:
        start, times = time.monotonic(), 0
        look = start + 0.05
        while not self._done:
            progress()
            if self._done:
                return
            times += 1
            pause(times)
            now = time.monotonic() if times % 16 == 0 or times > _SPINS else start
            if now > look or (self._group.ended and times % 16 == 0):
                look = now + 0.05
                words = self._group.trouble(now - start > seconds, seconds, self._what, self._peer)
                if words is not None and not self._ask():
                    self._fail(words)

    def _fail(self, words: str) -> None:
        from pullback.distributed.errors import DistBackendError

        self._group.broken = True
        with _lock:
            self._end(DistBackendError(words))

    def synchronize(self) -> None:
        """Waits."""
        self.wait()

    def result(self) -> list[Any]:
        """The tensors that it gives, waited for."""
        self.wait()
        return self._results

    def source_rank(self) -> int:
        """The rank that has sent what was received."""
        return self._group.ranks[self._source] if self._source is not None else -1

    def get_future(self) -> futures.Future[Any]:
        """A Future of the tensors that it gives, as a list."""
        if self._future is None:
            self._future = futures.Future()
            with _lock:
                if self._done:
                    self._complete(self._future)
        return self._future

    def get_future_result(self) -> futures.Future[Any]:
        """The same."""
        return self.get_future()

    def block_current_stream(self) -> None:
        """Waits: there are no streams."""
        self.wait()

    def boxed(self) -> Any:
        """Itself."""
        return self
