"""Short messages between ranks beside the program's own: who has left, and who waits in vain.

Each rank has a `Notes` on a communicator of its own. A note is sent at once and read when somebody waits for
long. With them an error can name the rank that is missing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.distributed.transport import Transport
from pullback.distributed.work import pause

LEFT, LATE = 1, 2
GRACE = 2.0
"""Seconds in which a rank that waits for the same is expected to say so."""


class Notes:
    """The notes of the ranks of a world, by their numbers there."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.left: set[int] = set()
        self.late: dict[tuple[int, int], int] = {}  # (rank, group) -> the number of the call it waits in
        self.ended: dict[int, str] = {}  # rank -> how; told by the watch of rendezvous.py
        self.sent: list[Any] = []

    def send(self, kind: int, ranks: Sequence[int], group: int = 0, call: int = 0) -> None:
        """Sends a note to ranks, this one left out."""
        words = np.array([group, call], np.int64)
        for rank in ranks:
            if rank != self.transport.rank:
                self.sent.append((self.transport.send(words, rank, kind), words))  # type: ignore[union-attr]

    def read(self) -> None:
        """Reads what has come."""
        while (found := self.transport.waiting()) is not None:
            rank, kind = found
            words = np.empty(2, np.int64)
            self.transport.comm.Recv(words, rank, kind)  # type: ignore[union-attr]
            if kind == LEFT:
                self.left.add(rank)
            else:
                self.late[rank, int(words[0])] = int(words[1])

    def silent(self, ranks: Sequence[int], group: int, call: int) -> list[int]:
        """Tells the ranks of a group that this one waits in vain; those that do not say the same."""
        self.send(LATE, ranks, group, call)
        until, times = time.monotonic() + GRACE, 0
        missing = [rank for rank in ranks if rank != self.transport.rank]
        while missing and time.monotonic() < until:
            self.read()
            missing = [rank for rank in missing if self.late.get((rank, group), -1) < call]
            times += 1
            pause(times)
        return missing


def named(ranks: Sequence[int]) -> str:
    """Ranks in words: "rank 1", "ranks 1, 2"."""
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, sorted(ranks)))}"
