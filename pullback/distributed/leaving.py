"""How a process leaves its world: together with the others, or, when it fails, so that they do not wait.

A program that ends well waits for the others, who may still need it, and tells them that it has left. One
that ends by an exception says so with its rank and ends all.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from pullback.distributed.notes import LEFT
from pullback.distributed.work import pause, progress

_watched: dict[str, Any] = {"world": None, "hook": None, "failed": False, "at": None}


def watch(world: Callable[[], Any]) -> None:
    """From now on the end of the program is one of the world's ranks'."""
    if _watched["hook"] is None:
        _watched["hook"] = sys.excepthook
        sys.excepthook = _failed
        atexit.register(_leave)
    _watched["world"] = world
    _watched["rank"] = world().rank


def part(world: Any) -> None:
    """Ends the work of a world: waits until it is done, and all ranks have come."""
    if world.broken or world.default.size() == 1:
        return
    request, times = world.notes.transport.barrier(), 0
    while not request.Test():
        progress()
        times += 1
        pause(times)
        if times % 500 == 0 and world.default.trouble(False, 0.0, "destroy_process_group", None) is not None:
            world.default.broken = True
            _watched["abort"] = True
            return


def _failed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Shows an exception that ends the program, each line with the rank."""
    _watched["failed"] = True
    if kind is KeyboardInterrupt or _watched["rank"] is None:
        _watched["hook"](kind, error, trace)
        return
    text = "".join(traceback.format_exception(kind, error, trace))
    lines = "".join(f"[rank{_watched['rank']}]: {line}\n" for line in text.splitlines())
    sys.stderr.write(lines)


def _leave() -> None:
    """At the end of the program."""
    MPI = sys.modules.get("mpi4py.MPI")
    if MPI is None or not MPI.Is_initialized() or MPI.Is_finalized():
        return
    world = None
    if _watched["failed"]:
        _abort(MPI)
    with contextlib.suppress(ValueError):  # it was given back
        world = _watched["world"]()
    if _watched.get("abort") or (world is not None and world.broken):
        _abort(MPI)
    if world is not None:
        world.notes.send(LEFT, world.default.ranks)
        request, times = world.notes.transport.barrier() if world.default.size() > 1 else None, 0
        while request is not None and not request.Test():
            progress()
            times += 1
            pause(times)
            if times % 500 == 0 and world.default.ended:
                _abort(MPI)
    if not getattr(sys.modules["mpi4py"].rc, "finalize", True):
        MPI.Finalize()


def _abort(MPI: Any) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    MPI.COMM_WORLD.Abort(1)
    os._exit(1)
