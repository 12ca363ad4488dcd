"""Groups of ranks: which there are, how they are made and given back.

A `ProcessGroup` has its ranks, by their numbers in the world, and a transport. All ranks of a world make each
group, in the same order, so that they give it the same number.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from pullback.distributed import leaving, rendezvous
from pullback.distributed.errors import DistBackendError
from pullback.distributed.notes import Notes, named
from pullback.distributed.stores import PrefixStore, Store, seconds_of
from pullback.distributed.transport import Transport
from pullback.distributed.work import pause

default_pg_timeout = timedelta(minutes=30)

_NO_GROUP = "Default process group has not been initialized, please make sure to call init_process_group."


class Backend(str):
    """The name of what carries messages: `Backend("GLOO")` is "gloo"."""

    UNDEFINED = "undefined"
    GLOO = "gloo"
    NCCL = "nccl"
    UCC = "ucc"
    MPI = "mpi"
    XCCL = "xccl"
    FAKE = "fake"
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]  # noqa: RUF012

    def __new__(cls, name: str) -> Backend:
        if not isinstance(name, str):
            raise ValueError(f"Backend constructor parameter must be string-ish: {name=}")
        return super().__new__(cls, name.lower())


class ProcessGroup:
    """Ranks that do things together. `ranks` are their numbers in the world, in the group's order."""

    def __init__(
        self, transport: Transport, ranks: Sequence[int], number: int, world: World, backend: str
    ) -> None:
        self.transport = transport
        self.ranks = list(ranks)
        self.number = number
        self.world = world
        self.backend = backend
        self.seconds = world.seconds
        self.calls = 0  # of collectives, counted alike on all ranks
        self.barriers = 0
        self.broken = False
        self.group_desc = "default_pg" if number == 0 else "undefined"

    def rank(self) -> int:
        """This process's place in the group."""
        return self.transport.rank

    def size(self) -> int:
        """How many ranks it has."""
        return self.transport.size

    def name(self) -> str:
        """The name of what carries its messages."""
        return self.backend

    @property
    def group_name(self) -> str:
        """The group's name: its number."""
        return str(self.number)

    @property
    def bound_device_id(self) -> None:
        """None: ranks are not bound to devices."""

    @property
    def ended(self) -> bool:
        """Whether a rank of the world is known to have ended."""
        return bool(self.world.notes.ended)

    def side(self) -> Transport:
        """A transport for what is not the program's own traffic, made with the group."""
        assert self.transport.side is not None
        return self.transport.side

    def trouble(self, late: bool, seconds: float, what: str, peer: int | None) -> str | None:
        """Why waiting is in vain, in words that name the ranks; None while there is hope."""
        notes = self.world.notes
        members = self.ranks if peer is None else [self.ranks[peer]]
        dead = [rank for rank in members if rank in notes.ended]
        if dead:
            return f"[Rank {self.world.rank}]: {what} cannot be done: {named(dead)} has ended"
        notes.read()
        left = [rank for rank in members if rank in notes.left]
        if left:
            return f"[Rank {self.world.rank}]: {what} cannot be done: {named(left)} has left the program"
        if not late:
            return None
        missing = members if peer is not None else notes.silent(members, self.number, self.calls)
        words = f"{named(missing)} did not take part" if missing else "all ranks wait, for different things"
        waited = f"[Rank {self.world.rank}]: Timed out waiting {int(seconds * 1000)}ms for {what} to complete"
        return f"{waited}: {words}"

    def __getattr__(self, name: str) -> Any:
        """Collectives as methods, as `group.allreduce`, which packages call."""
        from pullback.distributed import methods

        if name in methods.METHODS:
            return methods.METHODS[name].__get__(self)
        raise AttributeError(f"'ProcessGroup' object has no attribute '{name}'")


class World:
    """All ranks, and the groups that they have made."""

    def __init__(self, transport: Transport, store: Store | None, seconds: float, backend: str) -> None:
        self.seconds = seconds
        self.store = store
        self.rank = transport.rank
        self.backend = backend
        self.notes = Notes(transport.twin())
        self.groups: dict[int, ProcessGroup] = {}
        self.count = 0
        self.default = self.add(transport, range(transport.size))

    def add(self, transport: Transport, ranks: Sequence[int], backend: str | None = None) -> ProcessGroup:
        """A new group of ranks."""
        group = ProcessGroup(transport, ranks, self.count, self, backend or self.backend)
        transport.side = transport.twin()
        self.groups[self.count] = group
        self.count += 1
        return group

    @property
    def broken(self) -> bool:
        """Whether ranks have failed to do something together: then nothing can be done with all any more."""
        return any(group.broken for group in self.groups.values())


class _Holder(type):
    """The class of `group` and `GroupMember`, whose WORLD is the default group."""

    @property
    def WORLD(cls) -> ProcessGroup | None:
        """The group of all ranks, None before `init_process_group`."""
        return None if _state["world"] is None else _state["world"].default

    @WORLD.setter
    def WORLD(cls, group: ProcessGroup | None) -> None:
        if group is None:
            _state["world"] = None


class group(metaclass=_Holder):
    """`group.WORLD`: the group of all ranks."""


class GroupMember(metaclass=_Holder):
    """`GroupMember.NON_GROUP_MEMBER`: what stands for a group that this rank is not in."""

    NON_GROUP_MEMBER = -100


_state: dict[str, Any] = {"world": None}


def world() -> World:
    """The world; ValueError before `init_process_group`."""
    if _state["world"] is None:
        raise ValueError(_NO_GROUP)
    found: World = _state["world"]
    return found


def members(group: Any) -> ProcessGroup | None:
    """The group meant by an argument, the default one for None; None if this rank is not in it."""
    if group is None:
        return world().default
    if group is GroupMember.NON_GROUP_MEMBER:
        return None
    if not isinstance(group, ProcessGroup):
        raise TypeError(
            f"Invalid function argument. Expected parameter `group` of type ProcessGroup\n"
            f"             but got {type(group)} instead."
        )
    return group


# ---------------------------------------------------------------------------------- what there is


def is_available() -> bool:
    """Whether work can be spread over processes: True. Several processes need mpi4py."""
    return True


def is_initialized() -> bool:
    """Whether the default group has been made."""
    return _state["world"] is not None


def is_mpi_available() -> bool:
    """Whether mpi4py is installed."""
    from importlib.util import find_spec

    return find_spec("mpi4py") is not None


def is_gloo_available() -> bool:
    """Whether "gloo" can be asked for: True. It means MPI, too."""
    return True


def is_nccl_available() -> bool:
    """Whether there are NVIDIA's collectives: False."""
    return False


is_ucc_available = is_xccl_available = is_nccl_available


def is_backend_available(backend: str) -> bool:
    """Whether a backend can be asked for, by its name."""
    return {"gloo": is_gloo_available, "mpi": is_mpi_available}.get(backend.lower(), is_nccl_available)()


def is_torchelastic_launched() -> bool:
    """Whether `python -m pullback.distributed.run` has started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID") is not None


def get_rank(group: Any = None) -> int:
    """This process's place in a group, -1 if it is not in it."""
    found = members(group)
    return -1 if found is None else found.rank()


def get_world_size(group: Any = None) -> int:
    """How many ranks a group has, -1 if this one is not among them."""
    found = members(group)
    return -1 if found is None else found.size()


def get_backend(group: Any = None) -> Backend:
    """What carries a group's messages: "gloo" or "mpi", as it was asked for. Both are MPI."""
    found = members(group)
    if found is None:
        raise AssertionError("Invalid process group specified")
    return Backend(found.backend)


def get_backend_config(group: Any = None) -> str:
    """The backend for each kind of device."""
    return f"cpu:{get_backend(group)}"


def get_default_backend_for_device(device: Any) -> str:
    """The backend for a kind of device."""
    return "gloo"


def get_process_group_ranks(group: Any) -> list[int]:
    """A group's ranks, by their numbers in the world."""
    found = members(group)
    return [] if found is None else list(found.ranks)


def get_global_rank(group: ProcessGroup, group_rank: int) -> int:
    """The number in the world of a rank of a group."""
    if group_rank not in range(group.size()):
        raise ValueError(f"Group rank {group_rank} is not part of group {group}")
    return group.ranks[group_rank]


def get_group_rank(group: ProcessGroup, global_rank: int) -> int:
    """The place in a group of a rank of the world."""
    if global_rank not in group.ranks:
        raise ValueError(f"Global rank {global_rank} is not part of group {group}")
    return group.ranks.index(global_rank)


def get_node_local_rank(fallback_rank: int | None = None) -> int:
    """This process's number on its machine: LOCAL_RANK in the environment."""
    if "LOCAL_RANK" in os.environ:
        return int(os.environ["LOCAL_RANK"])
    if fallback_rank is not None:
        return int(fallback_rank)
    raise RuntimeError(
        "LOCAL_RANK is not in the environment. Consider passing fallback_rank to allow `get_node_local_rank` "
        "to work, assuming you are not running in a multi-device context and want the code to run locally "
        "instead."
    )


def get_pg_count() -> int:
    """How many groups this rank is in."""
    return len(world().groups) if is_initialized() else 0


# ------------------------------------------------------------------------- making and giving back


def _backend(name: str | None) -> str:
    """What is asked for on the CPU, of a name or a list as "cpu:gloo,cuda:nccl"."""
    if name is None:
        return "gloo"
    parts = dict((p if ":" in p else f"cpu:{p}").split(":", 1) for p in str(name).lower().split(","))
    found = parts.get("cpu", next(iter(parts.values())))
    if found == "nccl":
        raise RuntimeError("Distributed package doesn't have NCCL built in")
    if found not in ("gloo", "mpi"):
        raise AssertionError(f"Unknown backend type {found}")
    return found


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: timedelta | None = None,
    world_size: int = -1,
    rank: int = -1,
    store: Store | None = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
    _ranks: Any = None,
) -> None:
    """Makes this process a rank of a world, with whom it meets by the environment, an address or a store.

    Started by `mpiexec` or `python -m pullback.distributed.run` it knows its rank already. Else `rank` and
    `world_size` say it, or RANK and WORLD_SIZE in the environment with the address MASTER_ADDR and
    MASTER_PORT of rank 0, or `init_method` as "tcp://host:port" or "file:///path". Processes that were
    started by themselves need an MPI library of MPICH's kind. A world of one rank needs no MPI. "gloo" and
    "mpi" mean the same; "nccl" is a RuntimeError. Waiting ends after `timeout`, 30 minutes.

    >>> import pullback as torch
    >>> torch.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> torch.distributed.get_rank(), torch.distributed.get_world_size()
    (0, 1)
    >>> torch.distributed.destroy_process_group()
    """
    if is_initialized():
        raise ValueError("trying to initialize the default process group twice!")
    if timeout is not None and not isinstance(timeout, timedelta):
        raise TypeError(f"Expected timeout argument to be of type datetime.timedelta, got {timeout}")
    if store is not None and init_method is not None:
        raise AssertionError("Cannot specify both init_method and store.")
    if store is not None and (world_size <= 0 or rank < 0):
        words = "world_size must be positive" if world_size <= 0 else "rank must be non-negative"
        raise AssertionError(f"{words} if using store")
    name = _backend(backend)
    seconds = seconds_of(default_pg_timeout if timeout is None else timeout)
    ended: dict[int, str] = {}
    found = rendezvous.begin(
        init_method, rank, world_size, store, seconds, lambda r: ended.update({r: "ended"}), name
    )
    _state["world"] = World(found.transport, found.store, seconds, name)
    world().notes.ended = ended
    leaving.watch(world)


def destroy_process_group(group: Any = None) -> None:
    """Gives a group back, or with None, all of them: every rank of it must come."""
    if not is_initialized():
        raise AssertionError("Process group cannot be None")
    found = members(group)
    if found is None:
        raise AssertionError("Invalid process group specified or has been destroyed.")
    if found is not world().default:
        del world().groups[found.number]
        return
    leaving.part(world())
    _state["world"] = None


def new_group(
    ranks: Sequence[int] | None = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    use_local_synchronization: bool = False,
    group_desc: str | None = None,
    device_id: Any = None,
    sort_ranks: bool = True,
) -> Any:
    """A group of some ranks of the world. All ranks call it, those too that will not be in it.

    With `use_local_synchronization` only its members do. A rank outside gets `GroupMember.NON_GROUP_MEMBER`.
    """
    here = world()
    size = here.default.size()
    chosen = list(range(size)) if ranks is None else [int(r) for r in ranks]
    if sort_ranks:
        chosen.sort()
    if len(chosen) > size:
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by init_process_group"
        )
    for one in chosen:
        if not 0 <= one < size:
            raise ValueError("The new group's rank should be within the world_size set by init_process_group")
    if len(set(chosen)) != len(chosen):
        raise ValueError("The new group's ranks should be unique")
    if use_local_synchronization:
        if here.rank not in chosen:
            return GroupMember.NON_GROUP_MEMBER
        found: Transport | None = here.default.transport.part_of_members(chosen, hash(tuple(chosen)) % 30000)
    else:
        found = here.default.transport.part(chosen)
    if found is None:
        here.count += 1
        return GroupMember.NON_GROUP_MEMBER
    made = here.add(found, chosen, None if backend is None else _backend(backend))
    made.group_desc = group_desc or "undefined"
    if timeout is not None:
        made.seconds = seconds_of(timeout)
    return made


def new_subgroups(
    group_size: int | None = None,
    group: Any = None,
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[Any, list[Any]]:
    """Groups of `group_size` ranks that follow each other: this rank's, and all of them."""
    size = get_world_size()
    if group_size is None:
        group_size = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    if size < group_size:
        raise ValueError(f"The arg 'group_size' ({group_size}) must not exceed the world size ({size})")
    if size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by 'group_size={group_size}'")
    parts = [list(range(start, start + group_size)) for start in range(0, size, group_size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)


def new_subgroups_by_enumeration(
    ranks_per_subgroup_list: Sequence[Sequence[int]],
    timeout: timedelta | None = None,
    backend: str | None = None,
    pg_options: Any = None,
    group_desc: str | None = None,
) -> tuple[Any, list[Any]]:
    """Groups of the ranks in each list: this rank's, and all of them."""
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    seen: set[int] = set()
    own, made = None, []
    for ranks in ranks_per_subgroup_list:
        if seen & set(ranks):
            raise ValueError(f"Rank {min(seen & set(ranks))} has appeared in both subgroup")
        seen |= set(ranks)
        made.append(new_group(ranks, timeout, backend, pg_options, group_desc=group_desc))
        if get_rank() in ranks:
            own = made[-1]
    return own, made


def monitored_barrier(group: Any = None, timeout: Any = None, wait_all_ranks: bool = False) -> None:
    """Waits until all ranks have come. RuntimeError after the time-out, on rank 0 with the missing ranks.

    Of several that are missing the first is named, with `wait_all_ranks` all of them.
    """
    found = members(group)
    if found is None:
        warnings.warn(
            "Running monitored_barrier on global rank that does not belong to the given group.", stacklevel=2
        )
        return
    if found.size() == 1:
        return
    seconds = found.seconds if timeout is None else seconds_of(timeout)
    side, tag = found.side(), 2 + 2 * (found.barriers % 10000)
    found.barriers += 1
    word = np.zeros(1, np.int64)
    if found.rank() == 0:
        waiting = {r: side.receive(np.empty(1, np.int64), r, tag) for r in range(1, found.size())}  # type: ignore[union-attr]
        _until(lambda: all(map(_done, waiting.values())), seconds)
        missing = [r for r, request in waiting.items() if not request.Test()]
        if missing:
            found.broken = True
            missing = missing if wait_all_ranks else missing[:1]
            names = ("Ranks " if len(missing) > 1 else "Rank ") + ", ".join(
                str(found.ranks[r]) for r in missing
            )
            raise DistBackendError(
                f"[Rank 0]: {names} failed to pass monitoredBarrier in {int(seconds * 1000)} ms"
            )
        for r in waiting:
            found.world.notes.sent.append((side.send(word, r, tag + 1), word))  # type: ignore[union-attr]
        return
    found.world.notes.sent.append((side.send(word, 0, tag), word))  # type: ignore[union-attr]
    answer = side.receive(np.empty(1, np.int64), 0, tag + 1)  # type: ignore[union-attr]
    if not _until(answer.Test, seconds + 1):
        found.broken = True
        raise DistBackendError(
            f"Rank {found.rank()} successfully reached monitoredBarrier, but received errors while waiting "
            "for send/recv from rank 0. Please check rank 0 logs for faulty rank."
        )


def _done(request: Any) -> bool:
    """Asks a request; one that is done may be asked again."""
    return bool(request.Test())


def _until(done: Any, seconds: float) -> bool:
    until, times = time.monotonic() + seconds, 0
    while not done():
        if time.monotonic() > until:
            return False
        times += 1
        pause(times)
    return True


def prefix_store(name: str) -> Store:
    """A part of the world's store."""
    store = world().store
    if store is None:
        raise DistBackendError("the world has met without a store")
    return PrefixStore(name, store)
