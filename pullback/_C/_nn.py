"""`torch._C._nn`: functions of networks, as `torch.nn.functional`, and how `to` reads its arguments."""

from __future__ import annotations

from typing import Any

from pullback.face.absent import getter
from pullback.nn.modules import _movable

_FUNCTIONS = (
    "avg_pool2d avg_pool3d elu gelu hardsigmoid hardswish hardtanh leaky_relu linear one_hot pad "
    "scaled_dot_product_attention silu softplus upsample"
)


def _parse_to(*args: Any, **kwargs: Any) -> tuple[Any, Any, bool, Any]:
    """The device, dtype, `non_blocking` and memory format that arguments of `to` ask for."""
    device, dtype, memory_format = _movable._parse_to(*args, **kwargs)
    given = [arg for arg in args if isinstance(arg, bool)]
    return device, dtype, bool(kwargs.get("non_blocking", given[0] if given else False)), memory_format


__getattr__ = getter(__name__, dict.fromkeys(_FUNCTIONS.split(), "pullback.nn.functional"))
