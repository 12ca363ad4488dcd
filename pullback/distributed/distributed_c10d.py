"""`torch.distributed.distributed_c10d`: process groups and collectives, by the name of PyTorch's file."""

from __future__ import annotations

from typing import Any

from pullback.distributed.collectives import (
    all_gather,
    all_gather_coalesced,
    all_gather_into_tensor,
    all_gather_single,
    all_reduce,
    all_reduce_coalesced,
    all_to_all,
    all_to_all_single,
    barrier,
    broadcast,
    gather,
    reduce,
    reduce_scatter,
    reduce_scatter_single,
    reduce_scatter_tensor,
    scatter,
)
from pullback.distributed.groups import (
    Backend,
    GroupMember,
    ProcessGroup,
    default_pg_timeout,
    destroy_process_group,
    get_backend,
    get_backend_config,
    get_default_backend_for_device,
    get_global_rank,
    get_group_rank,
    get_node_local_rank,
    get_pg_count,
    get_process_group_ranks,
    get_rank,
    get_world_size,
    group,
    init_process_group,
    is_available,
    is_backend_available,
    is_gloo_available,
    is_initialized,
    is_mpi_available,
    is_nccl_available,
    is_torchelastic_launched,
    is_ucc_available,
    is_xccl_available,
    monitored_barrier,
    new_group,
    new_subgroups,
    new_subgroups_by_enumeration,
    prefix_store,
    world,
)
from pullback.distributed.messages import P2POp, batch_isend_irecv, irecv, isend, recv, send
from pullback.distributed.objects import (
    all_gather_object,
    broadcast_object_list,
    gather_object,
    recv_object_list,
    scatter_object_list,
    send_object_list,
)
from pullback.distributed.reduce_ops import ReduceOp, reduce_op, supports_complex
from pullback.distributed.rendezvous import register_rendezvous_handler, rendezvous
from pullback.distributed.stores import PrefixStore, Store
from pullback.distributed.work import Work
from pullback.face.placeholders import placeholders

ProcessGroupGloo = ProcessGroup


def _get_default_group() -> ProcessGroup:
    """The group of all ranks; ValueError before `init_process_group`."""
    return world().default


def _get_default_store() -> Store:
    """The store that the ranks have met by."""
    return prefix_store("default")


def _rank_not_in_group(group: Any) -> bool:
    """Whether this rank is not in a group."""
    return group == GroupMember.NON_GROUP_MEMBER


__all__ = [
    "Backend",
    "GroupMember",
    "P2POp",
    "PrefixStore",
    "ProcessGroup",
    "ProcessGroupGloo",
    "ReduceOp",
    "Store",
    "Work",
    "all_gather",
    "all_gather_coalesced",
    "all_gather_into_tensor",
    "all_gather_object",
    "all_gather_single",
    "all_reduce",
    "all_reduce_coalesced",
    "all_to_all",
    "all_to_all_single",
    "barrier",
    "batch_isend_irecv",
    "broadcast",
    "broadcast_object_list",
    "default_pg_timeout",
    "destroy_process_group",
    "gather",
    "gather_object",
    "get_backend",
    "get_backend_config",
    "get_default_backend_for_device",
    "get_global_rank",
    "get_group_rank",
    "get_node_local_rank",
    "get_pg_count",
    "get_process_group_ranks",
    "get_rank",
    "get_world_size",
    "group",
    "init_process_group",
    "irecv",
    "is_available",
    "is_backend_available",
    "is_gloo_available",
    "is_initialized",
    "is_mpi_available",
    "is_nccl_available",
    "is_torchelastic_launched",
    "is_ucc_available",
    "is_xccl_available",
    "isend",
    "monitored_barrier",
    "new_group",
    "new_subgroups",
    "new_subgroups_by_enumeration",
    "recv",
    "recv_object_list",
    "reduce",
    "reduce_op",
    "reduce_scatter",
    "reduce_scatter_single",
    "reduce_scatter_tensor",
    "register_rendezvous_handler",
    "rendezvous",
    "scatter",
    "scatter_object_list",
    "send",
    "send_object_list",
    "supports_complex",
]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
