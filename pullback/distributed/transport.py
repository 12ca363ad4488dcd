"""What carries numbers between ranks: MPI, by mpi4py, or nothing where a group has one rank.

A transport knows NumPy arrays that are contiguous, no tensors. Its methods begin something and return a
request: an object whose `Test` says whether it is done. In all of them an array is written or read in place
until then.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pullback.distributed.ring import LARGE, UFUNCS, Ring

Array = np.ndarray[Any, Any]

_IN_MPI = [False]
"""Whether the main thread is in a call of MPI that cannot be left before all ranks have come to it."""


@contextlib.contextmanager
def blocking() -> Iterator[None]:
    """Around calls that wait for other ranks inside MPI: a rank's death ends the process there."""
    _IN_MPI[0] = True
    try:
        yield
    finally:
        _IN_MPI[0] = False


def inside_mpi() -> bool:
    """Whether the program waits inside MPI, where no exception can reach it."""
    return _IN_MPI[0]


def mpi() -> Any:
    """The module `mpi4py.MPI`, started if it was not; RuntimeError where mpi4py is not installed."""
    if "mpi4py.MPI" not in sys.modules:
        try:
            import mpi4py
        except ImportError:
            raise RuntimeError(
                "Several processes need MPI: pip install 'pullback[mpi]', or mpi4py and an MPI library"
            ) from None
        mpi4py.rc.finalize = False  # leaving.py does it, with an end if a rank does not come
        with blocking():
            from mpi4py import MPI
    from mpi4py import MPI

    if not MPI.Is_initialized():
        with blocking():
            MPI.Init_thread(MPI.THREAD_MULTIPLE)
    return MPI


def started_by_mpiexec() -> bool:
    """Whether this process was started with others, as by `mpiexec`."""
    return placed() is not None


_PLACES = (
    (
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def placed() -> tuple[int, int, int, int] | None:
    """Rank, size, and both on this machine, as MPI's starter says in the environment; None without one."""
    for rank, size, local_rank, local_size in _PLACES:
        if rank in os.environ and size in os.environ:
            found = os.environ
            return (
                int(found[rank]),
                int(found[size]),
                int(found.get(local_rank, found[rank])),
                int(found.get(local_size, found[size])),
            )
    return None


def export_place() -> None:
    """Says in torchrun's variables, as far as they are not set, which rank MPI's starter has made of this
    process.
    """
    start = placed()
    if start is None:
        return
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name, number in zip(names, start, strict=True):
        os.environ.setdefault(name, str(number))
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29500")


class MPITransport:
    """A communicator of MPI, with another on the side for what is not part of the program's own traffic."""

    def __init__(self, comm: Any) -> None:
        self.comm = comm
        self.rank, self.size = comm.rank, comm.size
        self.MPI = mpi()
        self.side: MPITransport | None = None  # for rings and what is not the program's own traffic
        self.rings = 0

    def part(self, ranks: Sequence[int]) -> MPITransport | None:
        """The transport of some ranks, asked for by all of this one; None to a rank not among them."""
        place = ranks.index(self.rank) if self.rank in ranks else 0
        with blocking():
            made = self.comm.Split(0 if self.rank in ranks else self.MPI.UNDEFINED, place)
        return None if made == self.MPI.COMM_NULL else MPITransport(made)

    def part_of_members(self, ranks: Sequence[int], tag: int) -> MPITransport:
        """The transport of some ranks, asked for by these alone."""
        whole = self.comm.Get_group()
        with blocking():
            return MPITransport(self.comm.Create_group(whole.Incl(ranks), tag))

    def twin(self) -> MPITransport:
        """Another transport of the same ranks, whose messages do not meet with those of this one."""
        with blocking():
            return MPITransport(self.comm.Dup())

    def free(self) -> None:
        """Gives the communicator back."""
        with blocking():
            self.comm.Free()

    def op(self, name: str) -> Any:
        """MPI's op of that name."""
        return getattr(self.MPI, name)

    def all_reduce(self, array: Array, op: str) -> Any:
        """Every rank's `array` becomes what they reduce to."""
        if array.nbytes >= LARGE and op in UFUNCS and self.side is not None:
            self.rings += 1
            return Ring(self.MPI, self.side.comm, array, op, self.rings)
        return self.comm.Iallreduce(self.MPI.IN_PLACE, array, self.op(op))

    def reduce(self, array: Array, op: str, root: int) -> Any:
        """The root's `array` becomes what all reduce to."""
        if self.rank == root:
            return self.comm.Ireduce(self.MPI.IN_PLACE, array, self.op(op), root)
        return self.comm.Ireduce(array, None, self.op(op), root)

    def reduce_scatter(self, result: Array, parts: Array, op: str) -> Any:
        """`result` becomes this rank's part of what all ranks' `parts` reduce to."""
        return self.comm.Ireduce_scatter_block(parts, result, self.op(op))

    def broadcast(self, array: Array, root: int) -> Any:
        """Every rank's `array` becomes the root's."""
        return self.comm.Ibcast(array, root)

    def all_gather(self, results: Array, array: Array) -> Any:
        """`results` become all ranks' arrays, one after the other."""
        return self.comm.Iallgather(array, results)

    def gather(self, results: Array | None, array: Array, root: int) -> Any:
        """The root's `results` become all ranks' arrays, one after the other."""
        return self.comm.Igather(array, results, root)

    def scatter(self, array: Array, parts: Array | None, root: int) -> Any:
        """`array` becomes this rank's of the root's parts."""
        return self.comm.Iscatter(parts, array, root)

    def all_to_all(self, results: Array, counts: Sequence[int], parts: Array, sent: Sequence[int]) -> Any:
        """Rank j's i-th part goes to rank i's j-th place: so many elements are received, and sent, each."""
        return self.comm.Ialltoallv([parts, sent], [results, counts])

    def barrier(self) -> Any:
        """Done when all ranks have come."""
        return self.comm.Ibarrier()

    def send(self, array: Array, to: int, tag: int) -> Any:
        """Done when the receiver has begun to take it."""
        return self.comm.Isend(array, to, tag)

    def receive(self, array: Array, source: int | None, tag: int) -> Any:
        """`array` becomes what a rank, or any, sends."""
        return self.comm.Irecv(array, self.MPI.ANY_SOURCE if source is None else source, tag)

    def waiting(self) -> tuple[int, int] | None:
        """Source and tag of a message that is there to be received, None if none is."""
        status = self.MPI.Status()
        if self.comm.Iprobe(self.MPI.ANY_SOURCE, self.MPI.ANY_TAG, status):
            return status.Get_source(), status.Get_tag()
        return None

    def source_of(self, status: Any) -> int:
        """Who sent what a request has received."""
        return int(status.Get_source())


class _Done:
    """A request of something that is done at once."""

    def Test(self, status: Any = None) -> bool:
        """True."""
        return True


class LocalTransport:
    """The transport of a group of one rank: what is sent is here already."""

    rank, size = 0, 1
    side: LocalTransport | None = None

    def part(self, ranks: Sequence[int]) -> LocalTransport | None:
        """The transport of some ranks: of this one, or of none."""
        return self if ranks else None

    def part_of_members(self, ranks: Sequence[int], tag: int) -> LocalTransport:
        """The same."""
        return self

    def twin(self) -> LocalTransport:
        """The same: there are no messages."""
        return self

    def free(self) -> None:
        """Nothing is held."""

    def all_reduce(self, array: Array, op: str) -> Any:
        """One rank's numbers are their own reduction."""
        return _Done()

    def reduce(self, array: Array, op: str, root: int) -> Any:
        """The same."""
        return _Done()

    def broadcast(self, array: Array, root: int) -> Any:
        """The same."""
        return _Done()

    def reduce_scatter(self, result: Array, parts: Array, op: str) -> Any:
        """The one part."""
        result[...] = parts
        return _Done()

    def all_gather(self, results: Array, array: Array) -> Any:
        """The one array."""
        results[...] = array
        return _Done()

    def gather(self, results: Array | None, array: Array, root: int) -> Any:
        """The one array."""
        return self.all_gather(results, array) if results is not None else _Done()

    def scatter(self, array: Array, parts: Array | None, root: int) -> Any:
        """The one part."""
        return self.all_gather(array, parts) if parts is not None else _Done()

    def all_to_all(self, results: Array, counts: Sequence[int], parts: Array, sent: Sequence[int]) -> Any:
        """The one part."""
        return self.all_gather(results, parts)

    def barrier(self) -> Any:
        """All have come."""
        return _Done()

    def waiting(self) -> tuple[int, int] | None:
        """Nobody sends anything."""
        return None


Transport = MPITransport | LocalTransport
