"""`torch.backends.kleidiai`: not there."""

from pullback.backends.mkl import is_available
from pullback.face.absent import getter

__all__ = ["is_available"]

__getattr__ = getter(__name__)
