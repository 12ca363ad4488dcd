"""`torch.distributed.algorithms.ddp_comm_hooks`: ways to reduce a bucket of gradients."""

from pullback.face.placeholders import placeholders

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
