"""The gradients of convolutions by themselves, as `torch.nn.grad`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.autograd import enable_grad, grad
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F

__all__ = [
    "conv1d_input",
    "conv1d_weight",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_input",
    "conv3d_weight",
]


def _gradient(
    dims: int, wanted: Tensor, input: Tensor, weight: Tensor, grad_output: Tensor, *rest: Any
) -> Tensor:
    """The gradient of a convolution for its input or weight."""
    convolve: Any = getattr(F, f"conv{dims}d")
    with enable_grad():
        result = convolve(input, weight, None, *rest)
    return grad([result], [wanted], [grad_output])[0]


def _of_input(dims: int) -> Callable[..., Tensor]:
    def conv_input(
        input_size: Sequence[int],
        weight: Tensor,
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        input = ops.zeros(tuple(input_size), dtype=weight.dtype).requires_grad_()
        rest = stride, padding, dilation, groups
        return _gradient(dims, input, input, weight.detach(), grad_output, *rest)

    conv_input.__name__ = conv_input.__qualname__ = f"conv{dims}d_input"
    conv_input.__doc__ = f"The gradient of `conv{dims}d` for an input of a size, which it does not depend on."
    return conv_input


def _of_weight(dims: int) -> Callable[..., Tensor]:
    def conv_weight(
        input: Tensor,
        weight_size: Sequence[int],
        grad_output: Tensor,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        weight = ops.zeros(tuple(weight_size), dtype=input.dtype).requires_grad_()
        rest = stride, padding, dilation, groups
        return _gradient(dims, weight, input.detach(), weight, grad_output, *rest)

    conv_weight.__name__ = conv_weight.__qualname__ = f"conv{dims}d_weight"
    conv_weight.__doc__ = (
        f"The gradient of `conv{dims}d` for a weight of a size, which it does not depend on."
    )
    return conv_weight


conv1d_input, conv2d_input, conv3d_input = (_of_input(dims) for dims in (1, 2, 3))
conv1d_weight, conv2d_weight, conv3d_weight = (_of_weight(dims) for dims in (1, 2, 3))

__getattr__ = getter(__name__)
