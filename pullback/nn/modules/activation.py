"""Activations, element by element unless said otherwise, as `torch.nn.modules.activation`."""

from __future__ import annotations

import warnings
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn import init
from pullback.nn.modules._declared import Layer
from pullback.nn.modules._multihead import MultiheadAttention
from pullback.nn.modules.module import Module
from pullback.nn.parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "MultiheadAttention",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class ReLU(Layer, of="relu"):
    """`max(x, 0)`; with `inplace` it is written into the input.

    >>> import pullback as torch
    >>> torch.nn.ReLU()(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    inplace: bool = False


class Sigmoid(Layer, of="sigmoid"):
    """`1 / (1 + exp(-x))`."""


class Hardsigmoid(Layer, of="hardsigmoid", shows=""):
    """`min(max(x / 6 + 1/2, 0), 1)`."""

    inplace: bool = False


class Tanh(Layer, of="tanh"):
    """`tanh(x)`."""


class SiLU(Layer, of="silu"):
    """`x * sigmoid(x)`, which is also called swish."""

    inplace: bool = False


class Mish(Layer, of="mish"):
    """`x * tanh(softplus(x))`."""

    inplace: bool = False


class Hardswish(Layer, of="hardswish", shows=""):
    """`x * min(max(x + 3, 0), 6) / 6`."""

    inplace: bool = False


class ELU(Layer, of="elu"):
    """x where it is positive, `alpha * (exp(x) - 1)` elsewhere.

    >>> import pullback as torch
    >>> torch.nn.ELU()
    ELU(alpha=1.0)
    """

    alpha: float = 1.0
    inplace: bool = False


class CELU(Layer, of="celu"):
    """`max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`."""

    alpha: float = 1.0
    inplace: bool = False


class SELU(Layer, of="selu"):
    """`scale * (max(0, x) + min(0, alpha * (exp(x) - 1)))`, whose constants keep mean 0 and variance 1."""

    inplace: bool = False


class GLU(Layer, of="glu"):
    """`a * sigmoid(b)` for the halves a and b of the input along `dim`, whose size is halved."""

    dim: int = -1


class GELU(Layer, of="gelu"):
    """`x * P(X <= x)` for a standard normal X; `approximate="tanh"` is a formula near it."""

    approximate: str = "none"


class Hardshrink(Layer, of="hardshrink", shows="*lambd"):
    """x where its size is above `lambd`, zero elsewhere."""

    lambd: float = 0.5


class Softshrink(Layer, of="softshrink", shows="*lambd"):
    """x made smaller by `lambd`, zero where its size is below it."""

    lambd: float = 0.5


class LeakyReLU(Layer, of="leaky_relu"):
    """x where it is positive, `negative_slope * x` elsewhere."""

    negative_slope: float = 1e-2
    inplace: bool = False


class LogSigmoid(Layer, of="logsigmoid"):
    """`log(sigmoid(x))`."""


class Softplus(Layer, of="softplus"):
    """`log(1 + exp(beta * x)) / beta`, and x itself where `beta * x` is above `threshold`."""

    beta: float = 1.0
    threshold: float = 20.0


class Softsign(Layer, of="softsign"):
    """`x / (1 + |x|)`."""


class Tanhshrink(Layer, of="tanhshrink"):
    """`x - tanh(x)`."""


class Threshold(Layer, of="threshold"):
    """x where it is above `threshold`, `value` elsewhere."""

    threshold: float
    value: float
    inplace: bool = False


class Softmax(Layer, of="softmax", passes="dim"):
    """`exp(x) / sum(exp(x))` along `dim`: numbers between 0 and 1 that sum to 1.

    >>> import pullback as torch
    >>> torch.nn.Softmax(dim=1)(torch.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    dim: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.dim, _stacklevel=5)


class Softmin(Layer, of="softmin"):
    """Softmax of `-x` along `dim`."""

    dim: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.dim, _stacklevel=5)


class LogSoftmax(Layer, of="log_softmax"):
    """`log(softmax(x))` along `dim`, exact where softmax is tiny."""

    dim: int | None = None

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.dim, _stacklevel=5)


class RReLU(Layer, of="rrelu"):
    """x where it is positive, elsewhere x times a slope.

    In training each slope is drawn uniformly from `lower` to `upper`, else it is the middle of them.
    """

    lower: float = 1.0 / 8
    upper: float = 1.0 / 3
    inplace: bool = False

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)


class Hardtanh(Layer, of="hardtanh"):
    """x cut off at `min_val` and `max_val`; the first must be the smaller."""

    min_val: float = -1.0
    max_val: float = 1.0
    inplace: bool = False

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for old, new, value in (("min_value", "min_val", min_value), ("max_value", "max_val", max_value)):
            if value is not None:
                words = f"keyword argument `{old}` is deprecated and renamed to `{new}`"
                warnings.warn(words, FutureWarning, stacklevel=2)
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        assert self.max_val > self.min_val, (
            f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})"
        )


class ReLU6(Hardtanh):
    """`min(max(x, 0), 6)`."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Softmax2d(Module):
    """Softmax over the channels of images (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3, _stacklevel=5)


class PReLU(Module):
    """x where it is positive, `weight * x` elsewhere: a slope for all, or one for each channel (dim 1).

    >>> import pullback as torch
    >>> torch.nn.PReLU()(torch.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000], grad_fn=<PreluKernelBackward0>)
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(ops.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets all slopes to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


__getattr__ = getter(__name__)
