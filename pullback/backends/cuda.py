"""`torch.backends.cuda`: not there; its switches are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pullback.cuda import NO_CUDA
from pullback.face.absent import getter

__all__ = [
    "SDPAParams",
    "allow_fp16_bf16_reduction_math_sdp",
    "can_use_cudnn_attention",
    "can_use_efficient_attention",
    "can_use_flash_attention",
    "cuFFTPlanCache",
    "cudnn_sdp_enabled",
    "cufft_plan_cache",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "fp16_bf16_reduction_math_sdp_allowed",
    "is_built",
    "is_ck_sdpa_available",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "preferred_blas_library",
    "preferred_linalg_library",
    "preferred_rocm_fa_library",
    "sdp_kernel",
]


class _Products:
    """Switches of matrix products."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True
    allow_fp16_accumulation = False
    fp32_precision = "none"


matmul = _Products()


class cuFFTPlanCache:
    """What would keep plans of Fourier transforms on a CUDA device: AssertionError, as there is none."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AssertionError(NO_CUDA)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AssertionError(NO_CUDA)

    def __getitem__(self, device: Any) -> Any:
        index = getattr(device, "index", device)
        raise RuntimeError(
            "cufft_plan_cache: expected 0 <= device index < 0, but got device with index "
            f"{0 if index is None else index}"
        )


cufft_plan_cache = cuFFTPlanCache()


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


def preferred_rocm_fa_library(backend: Any = None) -> Any:
    """The library of attention that ROCm prefers; any is accepted."""
    return backend or "default"


def is_ck_sdpa_available() -> bool:
    """Whether there is a kernel of that name: False."""
    return False


class SDPAParams:
    """The arguments of a call of attention, of which a kernel is asked whether it takes them."""

    def __init__(
        self,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any,
        dropout: float,
        is_causal: bool,
        enable_gqa: bool,
    ) -> None:
        self.query, self.key, self.value, self.attn_mask = query, key, value, attn_mask
        self.dropout, self.is_causal, self.enable_gqa = dropout, is_causal, enable_gqa


def can_use_flash_attention(params: SDPAParams, debug: bool = False) -> bool:
    """Whether there is a kernel of that name for a call: False."""
    return False


can_use_efficient_attention = can_use_cudnn_attention = can_use_flash_attention

_HALVES = {"math": False}


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """Whether attention may sum in half precision: what was set, False at first. It never does."""
    return _HALVES["math"]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Whether attention may sum in half precision: kept, and without effect."""
    _HALVES["math"] = bool(enabled)


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
