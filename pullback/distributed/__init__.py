"""`torch.distributed`: programs run in one process, and are told so.

`is_available` and `is_initialized` are False. Other names can be imported and asked by; used, they refuse.
"""

from __future__ import annotations

from typing import Any

from pullback.face.placeholders import placeholders

__all__ = ["get_rank", "get_world_size", "is_available", "is_initialized"]


def is_available() -> bool:
    """Whether work can be spread over processes: False."""
    return False


def is_initialized() -> bool:
    """Whether a group of processes has been made: False."""
    return False


is_backend_available = is_gloo_available = is_mpi_available = is_nccl_available = is_initialized
is_torchelastic_launched = is_ucc_available = is_xccl_available = is_initialized


def _no_group() -> ValueError:
    return ValueError(
        "Default process group has not been initialized, please make sure to call init_process_group."
    )


def get_rank(group: Any = None) -> int:
    """ValueError: there is no group of processes."""
    raise _no_group()


def get_world_size(group: Any = None) -> int:
    """ValueError: there is no group of processes."""
    raise _no_group()


class group:
    """The groups of processes: none."""

    WORLD: Any = None


class GroupMember:
    """The groups of processes: none."""

    WORLD: Any = None
    NON_GROUP_MEMBER = -100


__getattr__ = placeholders(__name__, "runs in one process")
