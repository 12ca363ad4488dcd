"""Normalisation of each sample, as `torch.nn.modules.normalization`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn import init
from pullback.nn.modules._declared import Layer
from pullback.nn.modules.module import Module
from pullback.nn.parameter import Parameter

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LocalResponseNorm(Layer, of="local_response_norm", shows="*size alpha beta k"):
    """`x / (k + alpha * m)**beta` for the mean m of the squares of `size` channels around each."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0


class CrossMapLRN2d(Layer, of="local_response_norm", shows="*size alpha beta k"):
    """LocalResponseNorm of images (N, C, H, W) with the sums that PyTorch takes here.

    They run over the channels: the first is of channels 0 to `size // 2`, each further one has a channel more
    at its end, and from the third on one less, from channel 1 on.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1

    def forward(self, input: Tensor) -> Tensor:
        count, ahead = input.shape[1], (self.size - 1) // 2 + 1
        now = [float(i < ahead) for i in range(count)]
        rows = []
        for channel in range(count):
            if 0 < channel <= count - ahead:
                now[channel + ahead - 1] = 1.0
            if channel > ahead:
                now[channel - ahead] = 0.0
            rows.append(list(now))
        taken = ops.tensor(rows, dtype=input.dtype, device=input.device)
        sums = ops.einsum("ij,njhw->nihw", taken, input * input)
        return input * (self.k + self.alpha / self.size * sums) ** -self.beta


class LayerNorm(Module):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over the last dims, those of `normalized_shape`.

    The variance is the biased one. `weight` and `bias` have that shape; there is none without
    `elementwise_affine`.

    >>> import pullback as torch
    >>> torch.nn.LayerNorm(2)(torch.tensor([[1.0, 3.0]])).detach()
    tensor([[-1.0000,  1.0000]])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        for name, there in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            made = Parameter(ops.empty(shape, device=device, dtype=dtype)) if there else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        own: Any = self._parameters  # quicker than attributes; what is parametrized does not stand there
        if "weight" in own and "bias" in own:
            return F.layer_norm(input, self.normalized_shape, own["weight"], own["bias"], self.eps)
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """`(x - mean) / sqrt(var + eps) * weight + bias` over each of `num_groups` groups of channels.

    Inputs are (N, C, ...). `weight` and `bias` have an element for each channel; none without `affine`.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        for name, there in (("weight", affine), ("bias", affine and bias)):
            made = Parameter(ops.empty(num_channels, device=device, dtype=dtype)) if there else None
            self.register_parameter(name, made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """`x / sqrt(mean(x**2) + eps) * weight` over the last dims; `eps` is by default that of the dtype.

    >>> import pullback as torch
    >>> torch.nn.RMSNorm(2)(torch.tensor([[1.0, 7.0]])).detach()
    tensor([[0.2000, 1.4000]])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        made = Parameter(ops.empty(shape, device=device, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", made)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


__getattr__ = getter(__name__)
