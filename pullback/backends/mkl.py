"""`torch.backends.mkl`: not there. Matrix products are those of NumPy's BLAS."""

from __future__ import annotations

from pullback.face.absent import getter

__all__ = ["is_available"]


def is_available() -> bool:
    """Whether the library is there: False.

    >>> import pullback as torch
    >>> torch.backends.mkl.is_available(), torch.backends.mps.is_available()
    (False, False)
    """
    return False


__getattr__ = getter(__name__)
