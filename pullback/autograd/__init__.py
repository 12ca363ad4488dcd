"""`torch.autograd`: gradients, grad mode, custom functions, and checks of derivatives.

Public names and no logic. The backward pass itself is the engine's; `passes.py` is its two
entrances.
"""

from __future__ import annotations

from pullback.autograd import anomaly, function, grad_mode, graph
from pullback.autograd.anomaly import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from pullback.autograd.function import Function
from pullback.autograd.gradcheck import gradcheck, gradgradcheck
from pullback.autograd.passes import backward, grad, tensor_backward
from pullback.core import _engine
from pullback.core.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from pullback.face.absent import getter
from pullback.face.homes import has_those_below

__all__ = [
    "Function",
    "Variable",
    "anomaly",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "per_sample_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

_engine.install_backward(tensor_backward)
_engine.install_anomaly(anomaly)

LATER = {"Variable": "pullback.autograd.variable", "per_sample_grad": "pullback.autograd.per_sample"}
"""Which module has the names that are imported when they are first used."""

has_those_below(__name__)
__getattr__ = getter(__name__, LATER)
