"""`torch.cuda.comm`: tensors sent between CUDA devices, of which there are none."""

from pullback.cuda import NO_CUDA
from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_REFUSED = refusals(
    "broadcast broadcast_coalesced gather reduce_add reduce_add_coalesced scatter",
    AssertionError,
    NO_CUDA,
)
globals().update(_REFUSED)
__all__ = [*_REFUSED]

__getattr__ = getter(__name__)
