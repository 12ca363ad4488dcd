"""`torch.distributed.optim`: optimizers whose states are parted over ranks."""

from pullback.distributed.optim.zero_redundancy_optimizer import ZeroRedundancyOptimizer
from pullback.face.placeholders import placeholders

__all__ = ["ZeroRedundancyOptimizer"]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
