"""`torch.cuda.profiler`: what measures CUDA devices, of which there are none."""

from pullback.cuda import NO_CUDA
from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_REFUSED = refusals(
    "profile start stop",
    AssertionError,
    NO_CUDA,
)
globals().update(_REFUSED)
__all__ = [*_REFUSED]

__getattr__ = getter(__name__)
