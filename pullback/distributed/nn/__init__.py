"""`torch.distributed.nn`: collectives that are differentiable."""

from pullback.distributed.nn import functional
from pullback.distributed.nn.functional import *  # noqa: F403
from pullback.face.placeholders import placeholders

__all__ = ["functional"]
__all__ += functional.__all__

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
