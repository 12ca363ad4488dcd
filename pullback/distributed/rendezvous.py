"""How the ranks of a world find each other: by MPI's starter, the environment, an address, a file or a
store.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlparse

from pullback.distributed.errors import DistBackendError
from pullback.distributed.meeting import leave_environment, meet
from pullback.distributed.stores import FileStore, PrefixStore, Store, TCPStore
from pullback.distributed.transport import LocalTransport, MPITransport, Transport, mpi, placed
from pullback.face.absent import getter

__all__ = ["register_rendezvous_handler", "rendezvous"]


class Meeting(NamedTuple):
    """Where a rendezvous leads."""

    transport: Transport
    store: Store | None


_handlers: dict[str, Callable[..., Iterator[tuple[Store, int, int]]]] = {}
_rounds: list[int] = [0]
"""How many worlds this process has been a rank of: a store serves them one after the other."""


def register_rendezvous_handler(scheme: str, handler: Callable[..., Any]) -> None:
    """Has `handler(url, ...)` make the store, the rank and the size for addresses that begin with `scheme://`."""
    if scheme in _handlers:
        raise RuntimeError(f"Rendezvous handler for {scheme}:// already registered")
    _handlers[scheme] = handler


def rendezvous(
    url: str, rank: int = -1, world_size: int = -1, **kwargs: Any
) -> Iterator[tuple[Store, int, int]]:
    """Yields the store, the rank and the size of a world that meets at an address."""
    if not isinstance(url, str | bytes):
        raise RuntimeError(f"`url` must be a string. {type(url)}: {url}")
    scheme = urlparse(url).scheme
    if scheme not in _handlers:
        raise RuntimeError(f"No rendezvous handler for {scheme}://")
    return _handlers[scheme](url, rank=rank, world_size=world_size, **kwargs)


def _asked(url: str, rank: int, size: int) -> tuple[int, int]:
    """Rank and size, from the arguments or from the address's own, as `?rank=0&world_size=2`."""
    found = {name: values[-1] for name, values in parse_qs(urlparse(url).query).items()}
    return (rank if rank >= 0 else int(found.get("rank", -1))), (
        size if size >= 0 else int(found.get("world_size", -1))
    )


def _by_environment(
    url: str, rank: int = -1, world_size: int = -1, timeout: timedelta = timedelta(seconds=300), **kwargs: Any
) -> Iterator[tuple[Store, int, int]]:
    rank, size = _asked(url, rank, world_size)

    def need(name: str) -> str:
        if name not in os.environ:
            raise ValueError(
                f"Error initializing torch.distributed using env:// rendezvous: environment variable {name} "
                "expected, but not set"
            )
        return os.environ[name]

    rank = rank if rank >= 0 else int(need("RANK"))
    size = size if size >= 0 else int(need("WORLD_SIZE"))
    yield _tcp_store(need("MASTER_ADDR"), int(need("MASTER_PORT")), rank, size, timeout), rank, size


def _by_address(
    url: str, rank: int = -1, world_size: int = -1, timeout: timedelta = timedelta(seconds=300), **kwargs: Any
) -> Iterator[tuple[Store, int, int]]:
    rank, size = _asked(url, rank, world_size)
    parts = urlparse(url)
    if parts.port is None:
        raise ValueError("Error initializing torch.distributed using tcp:// rendezvous: port number missing")
    if rank < 0 or size < 0:
        missing = "rank parameter" if rank < 0 else "world size parameter"
        raise ValueError(f"Error initializing torch.distributed using tcp:// rendezvous: {missing} missing")
    yield _tcp_store(str(parts.hostname), parts.port, rank, size, timeout), rank, size


_stores: dict[tuple[str, int], TCPStore] = {}


def _tcp_store(host: str, port: int, rank: int, size: int, timeout: timedelta) -> Store:
    """The store at an address; rank 0 keeps it, and keeps it on for worlds that meet there later."""
    if (host, port) not in _stores:
        _stores[host, port] = TCPStore(host, port, size, rank == 0, timeout, wait_for_workers=False)
    return _stores[host, port]


def _by_file(
    url: str, rank: int = -1, world_size: int = -1, **kwargs: Any
) -> Iterator[tuple[Store, int, int]]:
    rank, size = _asked(url, rank, world_size)
    parts = urlparse(url)
    if not parts.path:
        raise ValueError("Error initializing torch.distributed using file:// rendezvous: path missing")
    if rank < 0 or size < 0:
        missing = "rank parameter" if rank < 0 else "world size parameter"
        raise ValueError(f"Error initializing torch.distributed using file:// rendezvous: {missing} missing")
    yield FileStore(parts.path, size), rank, size


for _scheme, _handler in (("env", _by_environment), ("tcp", _by_address), ("file", _by_file)):
    register_rendezvous_handler(_scheme, _handler)


def begin(
    url: str | None,
    rank: int,
    size: int,
    store: Store | None,
    seconds: float,
    told: Callable[[int], None],
    backend: str,
) -> Meeting:
    """The transport and the store of the world that an `init_process_group` asks for."""
    if store is None and url is None and (rank, size) == (0, 1):
        return Meeting(LocalTransport(), None)  # nobody to meet
    start = placed()
    if store is None:
        if (
            start is not None
            and url in (None, "env://")
            and (backend == "mpi" or _same_place(start, rank, size))
        ):
            return Meeting(_of_starter(*start[:2]), None)
        timeout = timedelta(seconds=min(seconds, 300.0))
        store, rank, size = next(iter(rendezvous(url or "env://", rank, size, timeout=timeout)))
    if not 0 <= rank < size:
        raise ValueError(f"rank must be in [0, world_size), got rank {rank} and world_size {size}")
    if size == 1:
        return Meeting(LocalTransport(), store)
    if start is not None or _started():
        found = _of_starter(rank, size)
    else:
        host = getattr(store, "host", None) or socket.gethostname()
        meet(PrefixStore(f"world{_rounds[0]}", store), rank, size, host, min(seconds, 300.0), told)
        found = MPITransport(mpi().COMM_WORLD).twin()
        leave_environment()
        if found.size != size:
            raise DistBackendError(
                f"{size} processes that were started by themselves became {found.size} of MPI: start them by "
                "the MPI library's mpiexec, or use MPICH"
            )
    _rounds[0] += 1
    return Meeting(found, store)


def _started() -> bool:
    import sys

    return "mpi4py.MPI" in sys.modules and bool(sys.modules["mpi4py.MPI"].Is_initialized())


def _same_place(start: tuple[int, ...], rank: int, size: int) -> bool:
    """Whether MPI's starter and what the program asks for, here or in the environment, agree on the size."""
    asked = size if size >= 0 else int(os.environ.get("WORLD_SIZE", start[1]))
    return asked == start[1]


def _of_starter(rank: int, size: int) -> Transport:
    """The world of MPI itself, its ranks in the order that is asked for."""
    if size == 1:
        return LocalTransport()
    whole = MPITransport(mpi().COMM_WORLD)
    if whole.size != size:
        raise DistBackendError(f"world_size is {size}, but MPI has {whole.size} processes")
    return MPITransport(whole.comm.Split(0, rank))


__getattr__ = getter(__name__)
