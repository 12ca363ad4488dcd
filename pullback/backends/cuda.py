"""`torch.backends.cuda`: not there; its switches are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pullback.face.absent import getter

__all__ = ["is_built", "matmul", "preferred_blas_library", "preferred_linalg_library", "sdp_kernel"]


class _Products:
    """Switches of matrix products."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False
    fp32_precision = "none"


matmul = _Products()


def is_built() -> bool:
    """Whether this is a build for CUDA: False."""
    return False


def is_flash_attention_available() -> bool:
    """Whether there is a kernel of that name: False."""
    return False


def preferred_linalg_library(backend: Any = None) -> Any:
    """The library that decompositions prefer; any is accepted."""
    return backend or "default"


def preferred_blas_library(backend: Any = None) -> Any:
    """The library that products prefer; any is accepted."""
    return backend or "default"


# Which kernels attention may take: one here, whatever is asked for.
_KERNELS = {"flash": True, "math": True, "mem_efficient": True, "cudnn": True}


def _asks(name: str) -> Callable[[], bool]:
    def enabled() -> bool:
        return _KERNELS[name]

    enabled.__doc__ = f"Whether attention may take the kernel {name}."
    return enabled


def _sets(name: str) -> Callable[[bool], None]:
    def enable(enabled: bool) -> None:
        _KERNELS[name] = bool(enabled)

    enable.__doc__ = f"Whether attention may take the kernel {name}: kept, and without effect."
    return enable


flash_sdp_enabled, enable_flash_sdp = _asks("flash"), _sets("flash")
math_sdp_enabled, enable_math_sdp = _asks("math"), _sets("math")
mem_efficient_sdp_enabled, enable_mem_efficient_sdp = _asks("mem_efficient"), _sets("mem_efficient")
cudnn_sdp_enabled, enable_cudnn_sdp = _asks("cudnn"), _sets("cudnn")


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[None]:
    """Which kernels attention may take within a `with`."""
    before = dict(_KERNELS)
    _KERNELS.update(
        flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn
    )
    try:
        yield
    finally:
        _KERNELS.update(before)


__getattr__ = getter(__name__)
