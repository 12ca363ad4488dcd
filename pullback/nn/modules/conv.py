"""Convolutions and their transposes over 1 to 3 dims, as `torch.nn.modules.conv`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn import init
from pullback.nn.modules.lazy import LazyModuleMixin
from pullback.nn.modules.module import Module
from pullback.nn.modules.utils import _ntuple, _reverse_repeat_tuple
from pullback.nn.parameter import Parameter, UninitializedParameter

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

Ints = int | Sequence[int]


class _ConvNd(Module):
    """What all convolutions hold: sizes as tuples, the weight, the bias."""

    _dims = 0
    _function = ""
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'valid', 'same'}}")
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                "padding_mode must be one of {'circular', 'replicate', 'reflect', 'zeros'}, but got "
                f"padding_mode='{padding_mode}'"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.transposed = stride, padding, dilation, transposed
        self.output_padding, self.groups, self.padding_mode = output_padding, groups, padding_mode
        if isinstance(padding, str):
            around = [
                d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel_size, strict=False)
            ]
            ends = [(total // 2, total - total // 2) for total in around]
            self._reversed_padding_repeated_twice = tuple(n for pair in reversed(ends) for n in pair)
        else:
            self._reversed_padding_repeated_twice = _reverse_repeat_tuple(padding, 2)
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = (first, second // groups, *kernel_size)
        self.weight = Parameter(ops.empty(shape, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(ops.empty(out_channels, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, uniformly within `1 / sqrt(n)` for the n inputs that an output sums."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        many = len(self.kernel_size)
        for name, plain in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != (plain,) * many:
                text += f", {name}={getattr(self, name)}"
        text += f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


class _Convolution(_ConvNd):
    """A convolution over as many dims as its class says."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: str | Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        several = _ntuple(self._dims)
        super().__init__(
            in_channels,
            out_channels,
            several(kernel_size),
            several(stride),
            padding if isinstance(padding, str) else several(padding),
            several(dilation),
            False,
            several(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        convolve: Any = getattr(F, self._function)
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self._dims
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        own: Any = self._parameters  # quicker than attributes; what is parametrized does not stand there
        if "weight" in own and "bias" in own:
            return self._conv_forward(input, own["weight"], own["bias"])
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Convolution):
    """Correlates signals (N, C_in, L) or (C_in, L) with `weight`, (C_out, C_in / groups, K).

    L becomes `floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1`. See Conv2d.

    >>> import pullback as torch
    >>> torch.nn.Conv1d(16, 33, 3, stride=2)(torch.randn(20, 16, 50)).shape
    torch.Size([20, 33, 24])
    """

    _dims = 1
    _function = "conv1d"


class Conv2d(_Convolution):
    """Correlates images (N, C_in, H, W) or (C_in, H, W) with `weight`, (C_out, C_in / groups, K_h, K_w).

    H becomes `floor((H + 2 padding - dilation (K_h - 1) - 1) / stride) + 1`, W likewise. `padding` is a size,
    "valid" or "same"; what is padded with, `padding_mode` says: "zeros", "reflect", "replicate" or
    "circular". With `groups` each group of outputs sees a group of inputs only.

    >>> import pullback as torch
    >>> torch.nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=(4, 2))(torch.randn(2, 16, 50, 100)).shape
    torch.Size([2, 33, 28, 100])
    """

    _dims = 2
    _function = "conv2d"


class Conv3d(_Convolution):
    """Correlates volumes (N, C_in, D, H, W) or (C_in, D, H, W) with `weight`. See Conv2d.

    >>> import pullback as torch
    >>> torch.nn.Conv3d(1, 2, 3)(torch.randn(1, 1, 5, 5, 5)).shape
    torch.Size([1, 2, 3, 3, 3])
    """

    _dims = 3
    _function = "conv3d"


class _ConvTransposeNd(_ConvNd):
    """A transposed convolution over as many dims as its class says."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {self.__class__.__name__}')
        several = _ntuple(self._dims)
        super().__init__(
            in_channels,
            out_channels,
            several(kernel_size),
            several(stride),
            several(padding),
            several(dilation),
            True,
            several(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """What must be added to the smallest output to get one of `output_size`."""
        if output_size is None:
            return self.output_padding
        dims = self._dims
        batched = input.ndim == dims + 2
        whole = dims + (2 if batched else 1)
        if len(output_size) == whole:
            output_size = output_size[-dims:]
        if len(output_size) != dims:
            raise ValueError(
                f"ConvTranspose{dims}D: for {input.ndim}D input, output_size must have {dims} or {whole} "
                f"elements (got {len(output_size)})"
            )
        sizes = input.shape[-dims:]
        given: Any = (self.stride, self.padding, self.kernel_size, self.dilation)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, k, d in zip(sizes, *given, strict=False)]
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=False)]
        if any(not low <= size <= high for low, size, high in zip(least, output_size, most, strict=False)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} "
                f"(for an input of {sizes})"
            )
        return tuple(size - low for size, low in zip(output_size, least, strict=False))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        transposed: Any = getattr(F, self._function)
        more = self._output_padding(input, output_size), self.groups, self.dilation
        return transposed(input, self.weight, self.bias, self.stride, self.padding, *more)


class ConvTranspose1d(_ConvTransposeNd):
    """The transpose of Conv1d as a linear map: (N, C_in, L) to (N, C_out, L'). See ConvTranspose2d."""

    _dims = 1
    _function = "conv_transpose1d"


class ConvTranspose2d(_ConvTransposeNd):
    """The transpose of Conv2d as a linear map, from (N, C_in, H, W) or (C_in, H, W).

    `weight` has shape (C_in, C_out / groups, K_h, K_w). H becomes `(H - 1) stride - 2 padding +
    dilation (K_h - 1) + output_padding + 1`; `forward` may be told the `output_size` instead.

    >>> import pullback as torch
    >>> torch.nn.ConvTranspose2d(16, 33, 3, stride=2)(torch.randn(2, 16, 5, 10)).shape
    torch.Size([2, 33, 11, 21])
    """

    _dims = 2
    _function = "conv_transpose2d"


class ConvTranspose3d(_ConvTransposeNd):
    """The transpose of Conv3d as a linear map. See ConvTranspose2d."""

    _dims = 3
    _function = "conv_transpose3d"


class _LazyConvNd(LazyModuleMixin):
    """A convolution that takes `in_channels` from the first input it sees."""

    def _begin(self, out_channels: int, bias: bool, where: dict[str, Any]) -> None:
        own: Any = self
        own.out_channels, own.weight = out_channels, UninitializedParameter(**where)
        if bias:
            own.bias = UninitializedParameter(**where)

    def reset_parameters(self) -> None:
        own: Any = self
        if not self.has_uninitialized_params() and own.in_channels != 0:
            super().reset_parameters()  # type: ignore[misc]

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Gives the parameters their shapes."""
        own: Any = self
        if not self.has_uninitialized_params():
            return
        plain = own._dims + 1
        if input.ndim not in (plain, plain + 1):
            raise RuntimeError(
                f"Expected {plain}D (unbatched) or {plain + 1}D (batched) input to {own.__class__.__name__}, "
                f"but got input of size: {input.shape}"
            )
        own.in_channels = input.shape[-plain]
        if own.in_channels % own.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        pair = (own.in_channels, own.out_channels) if own.transposed else (own.out_channels, own.in_channels)
        own.weight.materialize((pair[0], pair[1] // own.groups, *own.kernel_size))
        if own.bias is not None:
            own.bias.materialize((own.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvNd):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = stride, padding, dilation, groups, False, padding_mode, device, dtype
        super().__init__(0, 0, kernel_size, *options)
        self._begin(out_channels, bias, {"device": device, "dtype": dtype})


class _LazyConvTranspose(_LazyConvNd):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = stride, padding, output_padding, groups, False, dilation, padding_mode, device, dtype
        super().__init__(0, 0, kernel_size, *options)
        self._begin(out_channels, bias, {"device": device, "dtype": dtype})


class LazyConv1d(_LazyConv, Conv1d):
    """A Conv1d that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A Conv2d that takes `in_channels` from its first input.

    >>> import pullback as torch
    >>> torch.nn.LazyConv2d(8, 3)(torch.ones(1, 3, 9, 9)).shape
    torch.Size([1, 8, 7, 7])
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A Conv3d that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A ConvTranspose1d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A ConvTranspose2d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A ConvTranspose3d that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


__getattr__ = getter(__name__)
