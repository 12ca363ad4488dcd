"""`torch._dynamo.eval_frame`: a name to ask by."""

from pullback import nn
from pullback.face.absent import getter

__all__ = ["OptimizedModule"]


class OptimizedModule(nn.Module):
    """A name to ask by: `torch.compile` returns modules as they are."""


__getattr__ = getter(__name__)
