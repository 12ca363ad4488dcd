"""`torch.distributed.fsdp`: modules whose parameters are parted over ranks."""

from pullback.distributed.fsdp import api
from pullback.distributed.fsdp.api import *  # noqa: F403
from pullback.distributed.fsdp.fully_sharded_data_parallel import FullyShardedDataParallel
from pullback.face.placeholders import placeholders

__all__ = ["FullyShardedDataParallel"]
__all__ += api.__all__

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
