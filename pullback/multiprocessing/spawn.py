"""`spawn`: a function run by several processes, whose errors are raised here."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from pullback.face.absent import getter

__all__ = [
    "ProcessContext",
    "ProcessException",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "spawn",
    "start_processes",
]


class ProcessException(Exception):
    """A process of `spawn` has failed: `error_index` says which, `error_pid` is its number."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg = msg
        self.error_index = error_index
        self.error_pid = self.pid = error_pid

    def __reduce__(self) -> Any:
        return type(self), (self.msg, self.error_index, self.pid)


class ProcessRaisedException(ProcessException):
    """The process has raised an exception, whose traceback is in the message."""


class ProcessExitedException(ProcessException):
    """The process has ended by itself or by a signal."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None
    ) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> Any:
        arguments = self.msg, self.error_index, self.error_pid, self.exit_code, self.signal_name
        return type(self), arguments


def _run(fn: Callable[..., Any], index: int, args: Any, errors: Any) -> None:
    """The program of a process."""
    try:
        fn(index, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.send(traceback.format_exc())
        os._exit(1)


class ProcessContext:
    """Processes that run; `join` waits for them."""

    def __init__(self, processes: list[Any], errors: list[Any]) -> None:
        self.processes = processes
        self.errors = errors
        self.sentinels = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self) -> list[int]:
        """The numbers of the processes."""
        return [int(process.pid) for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Waits until one has ended, and says whether all have.

        If one has failed the others are ended, those that do not within `grace_period` seconds by force, and
        ProcessRaisedException or ProcessExitedException is raised.
        """
        if not self.sentinels:
            return True
        ended = connection.wait(list(self.sentinels), timeout)
        failed = None
        for sentinel in ended:
            index = self.sentinels.pop(sentinel)
            self.processes[index].join()
            if self.processes[index].exitcode != 0:
                failed = index
                break
        if failed is None:
            return not self.sentinels
        self._end_others(grace_period)
        process = self.processes[failed]
        try:
            trace = self.errors[failed].recv()
        except EOFError:
            pass
        else:
            told = f"\n\n-- Process {failed} terminated with the following error:\n{trace}"
            raise ProcessRaisedException(told, failed, process.pid)
        code = process.exitcode
        if code < 0:
            name = signal.Signals(-code).name
            told = f"process {failed} terminated with signal {name}"
            raise ProcessExitedException(told, failed, process.pid, code, name)
        raise ProcessExitedException(
            f"process {failed} terminated with exit code {code}", failed, process.pid, code
        )

    def _end_others(self, grace_period: float | None) -> None:
        running = [process for process in self.processes if process.is_alive()]
        for process in running:
            process.terminate()
        end = time.monotonic() + (30.0 if grace_period is None else grace_period)
        for process in running:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Runs `fn(i, *args)` in processes 0 to `nprocs - 1`, and waits for them unless `join` is False."""
    context: Any = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for index in range(nprocs):
        told, tells = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(fn, index, args, tells), daemon=daemon)
        process.start()
        tells.close()
        processes.append(process)
        errors.append(told)
    made = ProcessContext(processes, errors)
    if not join:
        return made
    while not made.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Runs `fn(i, *args)` in `nprocs` new processes, and waits for them unless `join` is False.

    Tensors among the arguments are shared. If a process fails the others are ended, and
    ProcessRaisedException, with its traceback, or ProcessExitedException is raised. `fn` must be a function
    of a module.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


__getattr__ = getter(__name__)
