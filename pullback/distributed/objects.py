"""Collectives on any objects, by pickle: slower than those on tensors, and only for ranks that trust each
other.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from pullback.distributed.collectives import outside, root_of
from pullback.distributed.groups import ProcessGroup, members
from pullback.distributed.messages import bytes_from, bytes_to
from pullback.distributed.work import Work

__all__ = [
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "recv_object_list",
    "scatter_object_list",
    "send_object_list",
]

_TAG = 1


def _packed(obj: Any) -> np.ndarray[Any, Any]:
    return np.frombuffer(pickle.dumps(obj), np.uint8).copy()


def _do(group: ProcessGroup, request: Any, what: str) -> None:
    group.calls += 1
    Work([request], group, what).wait()


def gathered(obj: Any, group: ProcessGroup) -> list[Any]:
    """The objects of all ranks."""
    here = _packed(obj)
    sizes = np.empty(group.size(), np.int64)
    _do(group, group.transport.all_gather(sizes, np.array([here.size], np.int64)), "all_gather_object")
    longest = int(sizes.max())
    padded = np.zeros(longest, np.uint8)
    padded[: here.size] = here
    whole = np.empty(longest * group.size(), np.uint8)
    _do(group, group.transport.all_gather(whole, padded), "all_gather_object")
    return [pickle.loads(whole[i * longest : i * longest + size].tobytes()) for i, size in enumerate(sizes)]


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """`object_list`, of the group's size, becomes the objects of all ranks."""
    found = members(group)
    if found is None:
        return outside("all_gather_object")
    object_list[: found.size()] = gathered(obj, found)


def gather_object(
    obj: Any,
    object_gather_list: list[Any] | None = None,
    dst: int | None = None,
    group: Any = None,
    group_dst: int | None = None,
) -> None:
    """The root's list becomes the objects of all ranks."""
    found = members(group)
    if found is None:
        return outside("gather_object")
    root = root_of(found, 0 if dst is None and group_dst is None else dst, group_dst, "dst")
    if found.rank() == root and object_gather_list is None:
        raise ValueError("Argument ``gather_list`` must be specified on destination rank.")
    if found.rank() != root and object_gather_list:
        raise ValueError("Argument ``gather_list`` must NOT be specified on non-destination ranks.")
    objects = gathered(obj, found)
    if object_gather_list is not None and found.rank() == root:
        object_gather_list[: found.size()] = objects


def broadcast_one(obj: Any, root: int, group: ProcessGroup) -> Any:
    """The root's object, on every rank."""
    here = _packed(obj) if group.rank() == root else np.empty(0, np.uint8)
    size = np.array([here.size], np.int64)
    _do(group, group.transport.broadcast(size, root), "broadcast_object_list")
    data = here if group.rank() == root else np.empty(int(size[0]), np.uint8)
    _do(group, group.transport.broadcast(data, root), "broadcast_object_list")
    return obj if group.rank() == root else pickle.loads(data.tobytes())


def broadcast_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
) -> None:
    """The objects of the list become those of one rank."""
    found = members(group)
    if found is None:
        return outside("broadcast_object_list")
    root = root_of(found, 0 if src is None and group_src is None else src, group_src, "src")
    object_list[:] = broadcast_one(list(object_list), root, found)


def scatter_object_list(
    scatter_object_output_list: list[Any],
    scatter_object_input_list: list[Any] | None = None,
    src: int | None = None,
    group: Any = None,
    group_src: int | None = None,
) -> None:
    """The first of the output list becomes this rank's of the root's input list."""
    found = members(group)
    if found is None:
        return outside("scatter_object_list")
    if not isinstance(scatter_object_output_list, list) or len(scatter_object_output_list) < 1:
        raise ValueError("Expected argument scatter_object_output_list to be a list of size at least 1.")
    root = root_of(found, 0 if src is None and group_src is None else src, group_src, "src")
    if found.rank() == root and scatter_object_input_list is None:
        raise ValueError("source rank must provide non-None scatter_object_input_list")
    if found.rank() == root and scatter_object_input_list is not None:
        for rank, obj in enumerate(scatter_object_input_list):
            if rank != root:
                _send(obj, found, rank)
        scatter_object_output_list[0] = scatter_object_input_list[root]
    else:
        scatter_object_output_list[0] = _receive(found, root)[0]


def _send(obj: Any, group: ProcessGroup, to: int) -> None:
    data = _packed(obj)
    bytes_to(group, np.array([data.size], np.int64).view(np.uint8), to, _TAG)
    bytes_to(group, data, to, _TAG)


def _receive(group: ProcessGroup, source: int | None) -> tuple[Any, int]:
    size, source = bytes_from(group, 8, source, _TAG)
    data, _ = bytes_from(group, int(size.view(np.int64)[0]), source, _TAG)
    return pickle.loads(data.tobytes()), source


def send_object_list(
    object_list: list[Any],
    dst: int | None = None,
    group: Any = None,
    device: Any = None,
    group_dst: int | None = None,
    use_batch: bool = False,
) -> None:
    """Sends the objects of a list to a rank."""
    found = members(group)
    if found is None:
        return outside("send_object_list")
    to = root_of(found, dst, group_dst, "dst")
    if to == found.rank():
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the "
            "current process."
        )
    _send(list(object_list), found, to)


def recv_object_list(
    object_list: list[Any],
    src: int | None = None,
    group: Any = None,
    device: Any = None,
    group_src: int | None = None,
    use_batch: bool = False,
) -> int:
    """The objects of the list become those that a rank, or any, has sent; which rank it was."""
    found = members(group)
    if found is None:
        outside("recv_object_list")
        return -1
    source = None if src is None and group_src is None else root_of(found, src, group_src, "src")
    objects, sender = _receive(found, source)
    object_list[:] = objects
    return found.ranks[sender]
