"""`torch.distributed.algorithms.ddp_comm_hooks`: ways to reduce a bucket of gradients."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
