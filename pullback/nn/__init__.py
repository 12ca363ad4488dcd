"""Neural networks, as `torch.nn`: the functions, so far."""

from pullback.face.absent import getter
from pullback.nn import functional

__all__ = ["functional"]

__getattr__ = getter(__name__)
