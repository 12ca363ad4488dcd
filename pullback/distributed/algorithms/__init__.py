"""`torch.distributed.algorithms`: uneven inputs, and hooks on how gradients are reduced."""

from pullback.distributed.algorithms.join import Join, Joinable, JoinHook
from pullback.face.placeholders import placeholders

__all__ = ["Join", "JoinHook", "Joinable"]

__getattr__ = placeholders(__name__, "has not this part of torch.distributed")
