"""`torch.cuda.nccl`: sums and copies between CUDA devices, of which there are none."""

from pullback.cuda import NO_CUDA
from pullback.face.absent import getter
from pullback.face.accelerators import refusals

_REFUSED = refusals(
    "all_gather all_reduce broadcast reduce reduce_scatter",
    AssertionError,
    NO_CUDA,
)
globals().update(_REFUSED)
__all__ = [*_REFUSED]

__getattr__ = getter(__name__)
