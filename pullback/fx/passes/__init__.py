"""`torch.fx.passes`: what is worked out for all nodes of a graph."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
