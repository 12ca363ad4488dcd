"""Messages from one rank to another: `send`, `recv`, and those that go on while the program does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.distributed.buffers import Received, check_tensor, moved
from pullback.distributed.collectives import outside, root_of
from pullback.distributed.groups import members
from pullback.distributed.work import Work

__all__ = ["P2POp", "batch_isend_irecv", "irecv", "isend", "recv", "send"]


def _keep(data: Any) -> Callable[[], None]:
    """What a Work calls at its end, and holds until then."""

    def end(data: Any = data) -> None:
        pass

    return end


def isend(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> Work | None:
    """Begins to send a tensor, which must stay as it is until the Work is done."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("isend")
    to = root_of(found, dst, group_dst, "dst")
    if to == found.rank():
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the "
            "current process."
        )
    sent = moved(tensor)
    return Work([found.transport.send(sent, to, tag)], found, "send", _keep(sent), [tensor], to)  # type: ignore[union-attr]


def irecv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> Work | None:
    """Begins to receive a tensor of this shape and dtype, from any rank if none is said."""
    check_tensor(tensor, "tensor")
    found = members(group)
    if found is None:
        return outside("irecv")
    source = None if src is None and group_src is None else root_of(found, src, group_src, "src")
    if source == found.rank():
        raise ValueError(
            "Invalid source rank: source rank should not be the same as the rank of the current process."
        )
    memory = Received(tensor)
    request = found.transport.receive(memory.bytes, source, tag)  # type: ignore[union-attr]
    work = Work([request], found, "recv", memory.finish, [tensor], source)
    work._source = source if work._source is None else work._source
    return work


def send(
    tensor: Tensor, dst: int | None = None, group: Any = None, tag: int = 0, group_dst: int | None = None
) -> None:
    """Sends a tensor to a rank. Messages of one pair and one tag come in the order that they are sent in."""
    work = isend(tensor, dst, group, tag, group_dst)
    if work is not None:
        work.wait()


def recv(
    tensor: Tensor, src: int | None = None, group: Any = None, tag: int = 0, group_src: int | None = None
) -> int:
    """Receives into a tensor; the rank that has sent, -1 outside the group."""
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    return work.source_rank()


class P2POp:
    """An `isend` or `irecv` to be begun by `batch_isend_irecv`."""

    def __init__(
        self,
        op: Callable[..., Any],
        tensor: Tensor,
        peer: int | None = None,
        group: Any = None,
        tag: int = 0,
        group_peer: int | None = None,
    ) -> None:
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        check_tensor(tensor, "tensor")
        self.op, self.tensor, self.group, self.tag = op, tensor, group, tag
        found = members(group)
        self.peer = (
            peer if peer is not None or found is None or group_peer is None else found.ranks[group_peer]
        )
        self.group_peer = group_peer

    def __repr__(self) -> str:
        kind = f"shape={tuple(self.tensor.shape)}, dtype={self.tensor.dtype}"
        return f"P2POp({self.op.__name__}, peer={self.peer}, {kind})"


def batch_isend_irecv(p2p_op_list: list[P2POp]) -> list[Work]:
    """Begins several messages, in any order; their Works."""
    if not isinstance(p2p_op_list, list) or not all(isinstance(p, P2POp) for p in p2p_op_list):
        raise ValueError(
            "Invalid ``p2p_op_list``. Each op is expected to to be of type ``torch.distributed.P2POp``."
        )
    works = [p.op(p.tensor, p.peer, p.group, p.tag) for p in p2p_op_list]
    return [work for work in works if work is not None]


def bytes_to(group: Any, data: np.ndarray[Any, Any], to: int, tag: int) -> None:
    """Sends plain bytes to a rank of a group, on its side."""
    Work([group.side().send(data, to, tag)], group, "send", _keep(data), (), to).wait()


def bytes_from(group: Any, count: int, source: int | None, tag: int) -> tuple[np.ndarray[Any, Any], int]:
    """Receives plain bytes on a group's side, and from whom."""
    data = np.empty(count, np.uint8)
    work = Work([group.side().receive(data, source, tag)], group, "recv", None, (), source)
    work.wait()
    return data, source if source is not None else int(work._source or 0)
