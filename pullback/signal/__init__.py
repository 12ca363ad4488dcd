"""Signal processing, as `torch.signal`."""

from pullback.face.absent import getter
from pullback.signal import windows

__all__ = ["windows"]

__getattr__ = getter(__name__)
