"""An all-reduce of a large array in a ring: no rank sends more than 2 (n - 1) / n of it, the least that is
possible.

The array is cut into n parts. In n - 1 steps each rank sends a part to the next one and adds what comes from
the one before, so that part i is reduced on one rank; in n - 1 more steps the reduced parts go round. All
ranks have the same bits at the end. Libraries of MPI send more, or do less between two looks at a request
that does not block.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGE = 1 << 20
"""Bytes from which on an array goes in a ring."""
FIRST_TAG, TAGS = 20010, 10000
"""The tags of rings on their communicator, which several may use at once."""
UFUNCS = {"SUM": np.add, "PROD": np.multiply, "MIN": np.minimum, "MAX": np.maximum}


class Ring:
    """A request, like MPI's: `Test` moves it on."""

    def __init__(self, MPI: Any, comm: Any, array: np.ndarray[Any, Any], op: str, number: int) -> None:
        self.MPI, self.comm, self.array = MPI, comm, array
        self.ufunc = UFUNCS[op]
        self.tag = FIRST_TAG + number % TAGS
        count = comm.size
        self.steps = 2 * (count - 1)
        self.bounds = [array.size * i // count for i in range(count + 1)]
        self.received = np.empty(-(-array.size // count), array.dtype)
        self.step = 0
        self.begin()

    def part(self, number: int) -> np.ndarray[Any, Any]:
        """A part of the array, counted round."""
        i = number % self.comm.size
        return self.array[self.bounds[i] : self.bounds[i + 1]]

    def begin(self) -> None:
        """Begins a step: a part goes on, another comes."""
        rank, count, half = self.comm.rank, self.comm.size, self.comm.size - 1
        if self.step < half:
            sent = self.part(rank - self.step)
            got = self.received[: self.part(rank - self.step - 1).size]
        else:
            sent = self.part(rank + 1 - (self.step - half))
            got = self.part(rank - (self.step - half))
        self.requests = [
            self.comm.Irecv(got, (rank - 1) % count, self.tag),
            self.comm.Isend(sent, (rank + 1) % count, self.tag),
        ]

    def Test(self, status: Any = None) -> bool:
        """Whether it is done; does what can be done."""
        while self.step < self.steps:
            if not self.MPI.Request.Testall(self.requests):
                return False
            if self.step < self.comm.size - 1:
                part = self.part(self.comm.rank - self.step - 1)
                self.ufunc(part, self.received[: part.size], out=part)
            self.step += 1
            if self.step < self.steps:
                self.begin()
        return True
