"""Pooling over 1 to 3 dims, as `torch.nn.modules.pooling`.

Inputs are (N, C, L), (N, C, H, W) or (N, C, D, H, W), or the same without N. Windows have `kernel_size` and
lie `stride` apart, by default side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn.modules._declared import Layer
from pullback.nn.modules.module import Module
from pullback.nn.modules.utils import _ntuple

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

Ints = int | Sequence[int]
_WINDOWS = "kernel_size stride padding dilation ceil_mode"


class _MaxPoolNd(Layer):
    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    dilation: Ints = 1
    return_indices: bool = False
    ceil_mode: bool = False

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode


class MaxPool1d(_MaxPoolNd, of="max_pool1d", shows=_WINDOWS):
    """The largest element of each window of signals. See MaxPool2d."""


class MaxPool2d(_MaxPoolNd, of="max_pool2d", shows=_WINDOWS):
    """The largest element of each window of images; with `return_indices` its place in the image, too.

    H becomes `floor((H + 2 padding - dilation (K - 1) - 1) / stride) + 1`, with `ceil_mode` the ceiling. The
    padding is never the largest.

    >>> import pullback as torch
    >>> torch.nn.MaxPool2d(3, stride=2)(torch.randn(20, 16, 50, 32)).shape
    torch.Size([20, 16, 24, 15])
    """


class MaxPool3d(_MaxPoolNd, of="max_pool3d", shows=_WINDOWS):
    """The largest element of each window of volumes. See MaxPool2d."""


class _AvgPoolNd(Layer):
    pass


class AvgPool1d(_AvgPoolNd, of="avg_pool1d", shows="kernel_size stride padding"):
    """The mean of each window of signals. See AvgPool2d."""

    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        single = _ntuple(1)
        self.kernel_size = single(kernel_size)
        self.stride = single(stride if stride is not None else kernel_size)
        self.padding, self.ceil_mode, self.count_include_pad = single(padding), ceil_mode, count_include_pad


class _AvgPool(_AvgPoolNd):
    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride if stride is not None else kernel_size
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override


class AvgPool2d(_AvgPool, of="avg_pool2d", shows="kernel_size stride padding"):
    """The mean of each window of images; the zeros of the padding count if `count_include_pad`.

    `divisor_override` is divided by instead of the size of the window.

    >>> import pullback as torch
    >>> torch.nn.AvgPool2d(2)(torch.tensor([[[1.0, 2.0], [3.0, 6.0]]]))
    tensor([[[3.]]])
    """


class AvgPool3d(_AvgPool, of="avg_pool3d", shows="kernel_size stride padding"):
    """The mean of each window of volumes. See AvgPool2d."""


class _LPPoolNd(Layer):
    norm_type: float
    kernel_size: Ints
    stride: Ints | None = None
    ceil_mode: bool = False


class LPPool1d(_LPPoolNd, of="lp_pool1d"):
    """`(sum x**p)**(1 / p)` of each window of signals, p being `norm_type`."""


class LPPool2d(_LPPoolNd, of="lp_pool2d"):
    """`(sum x**p)**(1 / p)` of each window of images, p being `norm_type`."""


class LPPool3d(_LPPoolNd, of="lp_pool3d"):
    """`(sum x**p)**(1 / p)` of each window of volumes, p being `norm_type`."""


class _AdaptiveAvgPoolNd(Layer):
    output_size: Any


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd, of="adaptive_avg_pool1d"):
    """Means of `output_size` windows of signals, as equal as they can be."""


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd, of="adaptive_avg_pool2d"):
    """Means of windows of images, so many that the result has the `output_size`; None keeps a size.

    >>> import pullback as torch
    >>> torch.nn.AdaptiveAvgPool2d((5, None))(torch.randn(1, 64, 8, 9)).shape
    torch.Size([1, 64, 5, 9])
    """


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd, of="adaptive_avg_pool3d"):
    """Means of windows of volumes, so many that the result has the `output_size`; None keeps a size."""


class _AdaptiveMaxPoolNd(Layer):
    output_size: Any
    return_indices: bool = False


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd, of="adaptive_max_pool1d", shows="output_size"):
    """Maxima of `output_size` windows of signals; with `return_indices` their places, too."""


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd, of="adaptive_max_pool2d", shows="output_size"):
    """Maxima of windows of images, so many that the result has the `output_size`; None keeps a size."""


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd, of="adaptive_max_pool3d", shows="output_size"):
    """Maxima of windows of volumes, so many that the result has the `output_size`; None keeps a size."""


class _FractionalMaxPoolNd(Module):
    _dims = 0

    def __init__(
        self,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        several, name = _ntuple(self._dims), self.__class__.__name__
        self.kernel_size, self.return_indices = several(kernel_size), return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = several(output_size) if output_size is not None else None
        self.output_ratio = several(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def forward(self, input: Tensor) -> Any:
        pool: Any = getattr(F, f"fractional_max_pool{self._dims}d")
        sizes = self.output_size, self.output_ratio
        return pool(input, self.kernel_size, *sizes, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima of windows of images whose places are drawn (Graham 2014).

    The result has the `output_size`, or `output_ratio` times the size of the input.

    >>> import pullback as torch
    >>> torch.nn.FractionalMaxPool2d(3, output_size=(13, 12))(torch.randn(20, 16, 50, 32)).shape
    torch.Size([20, 16, 13, 12])
    """

    _dims = 2


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima of windows of volumes whose places are drawn. See FractionalMaxPool2d."""

    _dims = 3


class _MaxUnpoolNd(Module):
    _dims = 0

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        super().__init__()
        several = _ntuple(self._dims)
        self.kernel_size = several(kernel_size)
        self.stride = several(stride if stride is not None else kernel_size)
        self.padding = several(padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        unpool: Any = getattr(F, f"max_unpool{self._dims}d")
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts the maxima of a MaxPool1d back to their `indices`, with zeros elsewhere."""

    _dims = 1


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts the maxima of a MaxPool2d back to their `indices`, with zeros elsewhere.

    >>> import pullback as torch
    >>> pool = torch.nn.MaxPool2d(2, return_indices=True)
    >>> torch.nn.MaxUnpool2d(2)(*pool(torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])))
    tensor([[[0., 0.],
             [0., 4.]]])
    """

    _dims = 2


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts the maxima of a MaxPool3d back to their `indices`, with zeros elsewhere."""

    _dims = 3


__getattr__ = getter(__name__)
