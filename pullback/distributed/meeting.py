"""How processes that were started by themselves become ranks of MPI, without its starter.

Rank 0 starts the program meeting_server.py and tells the others by a store where it is. Each rank has two
connections to it: one that MPI talks on, and a watch that tells who has ended.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from pullback.distributed.errors import DistStoreError
from pullback.distributed.stores import Store, connect
from pullback.distributed.transport import inside_mpi

GRACE = 10.0
"""Seconds that a process has for raising an error after another one has ended, if it waits inside MPI."""

_held: list[object] = []


def meet(store: Store, rank: int, size: int, host: str, seconds: float, told: Callable[[int], None]) -> None:
    """Sets the environment so that MPI, started next, has these ranks; `told` hears which rank has ended."""
    if rank == 0:
        word = secrets.token_hex(16)
        program = Path(__file__).with_name("meeting_server.py")
        command = [sys.executable, "-S", "-E", str(program), str(size)]
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert server.stdin is not None and server.stdout is not None
        server.stdin.write(f"{word}\n".encode())
        server.stdin.close()
        at = int(server.stdout.readline())
        _held.append(server)
        store.set("mpi/meeting", f"{host} {at} {word}")
    host, port, word = store.get("mpi/meeting").decode().split()
    talk, watch = (connect(host, int(port), seconds) for _ in range(2))
    talk.sendall(f"{word} talk {rank}\n".encode())
    watch.sendall(f"{word} watch {rank}\n".encode())
    _held.extend([talk, watch])
    os.environ.update(PMI_FD=str(talk.fileno()), PMI_RANK=str(rank), PMI_SIZE=str(size))
    lines = watch.makefile("r")
    watch.settimeout(seconds)
    try:
        lines.readline()  # all are there; only now may MPI start, which stops the store's thread meanwhile
    except TimeoutError:
        raise DistStoreError(
            f"Timed out after {int(seconds)} seconds waiting for {size} ranks to meet"
        ) from None
    watch.settimeout(None)
    threading.Thread(target=_listen, args=(lines, told), daemon=True).start()


def leave_environment() -> None:
    """Takes back what MPI has read, so that processes started from this one do not think they are ranks."""
    for name in ("PMI_FD", "PMI_RANK", "PMI_SIZE"):
        os.environ.pop(name, None)


def _listen(lines: TextIO, told: Callable[[int], None]) -> None:
    """Hears of ranks that have ended; where the program waits inside MPI, ends it."""
    while True:
        try:
            line = lines.readline()
        except OSError:
            return
        if not line:
            return
        told(int(line))
        if inside_mpi():
            until = time.monotonic() + GRACE
            while inside_mpi() and time.monotonic() < until:
                time.sleep(0.1)
            if inside_mpi():
                os.write(
                    2, f"rank {int(line)} has ended; so does this process, which waits for it\n".encode()
                )
                os._exit(1)
