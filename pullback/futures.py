"""`torch.futures`: results that may not be there yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pullback.face.absent import getter

__all__ = ["Future", "collect_all", "wait_all"]

progress: list[Callable[[], bool]] = []
"""What moves results on while they are waited for; each says whether anything is left to move."""

T = TypeVar("T")
S = TypeVar("S")


def _moved() -> bool:
    """Moves all results on; whether anything is left to move."""
    return sum(move() for move in progress) > 0


class Future(Generic[T]):
    """A result that `set_result` gives once, and `wait` returns when it is there.

    >>> import pullback as torch
    >>> future = torch.futures.Future()
    >>> doubled = future.then(lambda done: 2 * done.value())
    >>> future.set_result(21)
    >>> doubled.wait()
    42
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._there = threading.Event()
        self._lock = threading.Lock()
        self._result: Any = None
        self._error: Exception | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []

    def done(self) -> bool:
        """Whether the result, or an exception, is there."""
        _moved()
        return self._there.is_set()

    def wait(self) -> T:
        """The result, waited for; the exception that stands for it is raised."""
        while not self._there.is_set() and _moved():
            self._there.wait(1e-4)
        self._there.wait()
        return self.value()

    def value(self) -> T:
        """The result, which must be there."""
        if not self.done():
            raise RuntimeError("value() can only be called if the future is completed")
        if self._error is not None:
            raise self._error
        result: T = self._result
        return result

    def set_result(self, result: T) -> None:
        """Gives the result. RuntimeError if there is one."""
        self._complete(result, None)

    def set_exception(self, result: T) -> None:
        """Gives an exception in the result's place."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def _complete(self, result: Any, error: Exception | None) -> None:
        with self._lock:
            if self._there.is_set():
                raise RuntimeError("Future can only be marked completed once")
            self._result, self._error = result, error
            waiting, self._callbacks = self._callbacks, []
            self._there.set()
        for callback in waiting:
            callback(self)

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Has a function called with this Future when it is done, at once if it is."""
        with self._lock:
            if not self._there.is_set():
                self._callbacks.append(callback)
                return
        callback(self)

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """A Future of what a function returns for this one, when it is done."""
        made: Future[S] = Future()

        def call(done: Future[T]) -> None:
            try:
                made.set_result(callback(done))
            except Exception as error:
                made._complete(None, error)

        self.add_done_callback(call)
        return made


def collect_all(futures: list[Future[Any]]) -> Future[list[Future[Any]]]:
    """A Future of the list itself, done when all of them are."""
    made: Future[list[Future[Any]]] = Future()
    left = [len(futures)]
    lock = threading.Lock()

    def one(done: Future[Any]) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            made.set_result(futures)

    for future in futures:
        future.add_done_callback(one)
    if not futures:
        made.set_result(futures)
    return made


def wait_all(futures: list[Future[Any]]) -> list[Any]:
    """The results of several Futures, waited for."""
    return [future.wait() for future in collect_all(futures).wait()]


__getattr__ = getter(__name__)
