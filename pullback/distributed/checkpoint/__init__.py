"""`torch.distributed.checkpoint`: states of many ranks in a folder, loaded by any number of ranks."""

from pullback.distributed.checkpoint.saving import (
    CheckpointException,
    async_save,
    load,
    load_state_dict,
    save,
    save_state_dict,
)
from pullback.distributed.checkpoint.storage import FileSystemReader, FileSystemWriter
from pullback.face.placeholders import placeholders

__all__ = [
    "CheckpointException",
    "FileSystemReader",
    "FileSystemWriter",
    "async_save",
    "load",
    "load_state_dict",
    "save",
    "save_state_dict",
]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
