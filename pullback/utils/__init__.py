"""`torch.utils`: what is useful beside tensors. Each module is imported when it is first named."""

from pullback.face.absent import getter

__getattr__ = getter(__name__)
