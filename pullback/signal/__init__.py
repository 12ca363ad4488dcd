"""Signal processing, as `torch.signal`."""

from pullback.signal import windows

__all__ = ["windows"]
