"""`torch.fx.experimental`: names by which packages ask what is being traced."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
