"""`torch._subclasses`: names of tensors that PyTorch's compiler makes; there are none here."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
