"""`torch.onnx`: nothing is exported; names can be imported and asked by."""

from __future__ import annotations

from typing import Any

from pullback.face.placeholders import placeholders

__all__ = ["is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic"]


def is_in_onnx_export() -> bool:
    """Whether a model is being exported: False."""
    return False


def register_custom_op_symbolic(symbolic_name: str, symbolic_fn: Any, opset_version: int) -> None:
    """Accepted: it would be used by an export."""


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Accepted."""


__getattr__ = placeholders(__name__, "exports no models to ONNX")
