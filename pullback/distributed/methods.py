"""Collectives as methods of a group, as packages call them: `group.allreduce([x]).wait()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.distributed import collectives, messages
from pullback.distributed.reduce_ops import ReduceOp


def _op(options: Any) -> Any:
    return ReduceOp.SUM if options is None else getattr(options, "reduceOp", options)


def _one(tensors: Any) -> Any:
    return tensors[0] if isinstance(tensors, list | tuple) else tensors


def _root(options: Any) -> int:
    return int(getattr(options, "rootRank", options if isinstance(options, int) else 0))


METHODS: dict[str, Callable[..., Any]] = {
    "allreduce": lambda g, t, o=None: collectives.all_reduce(_one(t), _op(o), g, True),
    "broadcast": lambda g, t, o=0: collectives.broadcast(_one(t), None, g, True, _root(o)),
    "reduce": lambda g, t, o=0: collectives.reduce(_one(t), None, _op(None), g, True, _root(o)),
    "allgather": lambda g, out, t, o=None: collectives.all_gather(_one(out), _one(t), g, True),
    "_allgather_base": lambda g, out, t, o=None: collectives.all_gather_single(out, t, g, True),
    "reduce_scatter": lambda g, out, t, o=None: collectives.reduce_scatter(
        _one(out), _one(t), _op(o), g, True
    ),
    "_reduce_scatter_base": lambda g, out, t, o=None: collectives.reduce_scatter_single(
        out, t, _op(o), g, True
    ),
    "alltoall_base": lambda g, out, t, to, ti, o=None: collectives.all_to_all_single(out, t, to, ti, g, True),
    "alltoall": lambda g, out, t, o=None: collectives.all_to_all(out, t, g, True),
    "barrier": lambda g, o=None: collectives.barrier(g, True),
    "send": lambda g, t, to, tag=0: messages.isend(_one(t), None, g, tag, to),
    "recv": lambda g, t, source, tag=0: messages.irecv(_one(t), None, g, tag, source),
}
