"""`torch.distributed`: programs of several processes, which are ranks of MPI.

`init_process_group` makes a process a rank; the collectives are in collectives.py, messages in messages.py,
on any objects in objects.py. Below: `fsdp`, `optim`, `checkpoint`, `nn.functional`, `run`. What PyTorch has
besides can be imported and asked by; used, it refuses.
"""

from __future__ import annotations

from typing import Any

from pullback.distributed import distributed_c10d
from pullback.distributed.distributed_c10d import *  # noqa: F403
from pullback.distributed.errors import (
    DistBackendError,
    DistError,
    DistNetworkError,
    DistStoreError,
    QueueEmptyError,
)
from pullback.distributed.stores import FileStore, HashStore, TCPStore
from pullback.face.placeholders import placeholders

__all__ = [
    "DistBackendError",
    "DistError",
    "DistNetworkError",
    "DistStoreError",
    "FileStore",
    "HashStore",
    "QueueEmptyError",
    "TCPStore",
]
__all__ += distributed_c10d.__all__

_LATER = {
    "GradBucket": "pullback.distributed.reducer",
}

_other = placeholders(__name__, "has not this part of torch.distributed")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(_LATER[name]), name)
    return _other(name)
