"""`torch._dynamo.eval_frame`: a name to ask by."""

from pullback.face.absent import getter
from pullback.nn.modules._compiled import OptimizedModule

__all__ = ["OptimizedModule"]

__getattr__ = getter(__name__)
