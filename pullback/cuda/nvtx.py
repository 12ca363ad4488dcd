"""`torch.cuda.nvtx`: marks for a profiler of CUDA devices, of which there are none."""

from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_REFUSED = refusals(
    "mark range range_end range_pop range_push range_start",
    RuntimeError,
    "NVTX functions not installed. Are you sure you have a CUDA build?",
)
globals().update(_REFUSED)
__all__ = [*_REFUSED]

__getattr__ = getter(__name__)
