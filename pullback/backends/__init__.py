"""`torch.backends`: the libraries that PyTorch computes with. Pullback has none of them, and says so.

Switches such as `cudnn.benchmark` may be set, and keep what they are set to; they change nothing.
"""

from __future__ import annotations

from pullback.backends import (
    cpu,
    cuda,
    cudnn,
    cusparselt,
    kleidiai,
    mha,
    miopen,
    mkl,
    mkldnn,
    mps,
    nnpack,
    openmp,
    opt_einsum,
    quantized,
    xnnpack,
)
from pullback.face.absent import getter

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "cusparselt",
    "kleidiai",
    "mha",
    "miopen",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "quantized",
    "xnnpack",
]

fp32_precision = "none"


def disable_global_flags() -> None:
    """From here on PyTorch refuses a change of the switches; here they change nothing."""


def flags_frozen() -> bool:
    """False: the switches may be set."""
    return False


__getattr__ = getter(__name__)
