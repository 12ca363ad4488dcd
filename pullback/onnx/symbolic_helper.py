"""`torch.onnx.symbolic_helper`: decorators of functions that an export would call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pullback.face.placeholders import placeholders

__all__ = ["parse_args", "quantized_args"]


def parse_args(*arg_descriptors: str) -> Callable[[Any], Any]:
    """A decorator that returns its function."""
    return lambda fn: fn


def quantized_args(
    *arg_q_descriptors: bool,
    scale: float | None = None,
    zero_point: int | None = None,
    quantize_output: bool = True,
) -> Callable[[Any], Any]:
    """A decorator that returns its function."""
    return lambda fn: fn


__getattr__ = placeholders(__name__, "exports no models to ONNX")
