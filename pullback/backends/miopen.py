"""`torch.backends.miopen`: not there."""

from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["is_available"]

immediate = False

__getattr__ = getter(__name__)
