"""Means of windows: avg_pool, adaptive_avg_pool, lp_pool.

A mean is one sum a dim, so a pooling is a `resample`. Read windows.py, then `_mean_maps` and
`avg_pool2d`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.meta import meta_array
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.ops.images.axis_maps import AxisMap, mapped_shape, resample, window_map
from pullback.ops.images.windows import adaptive_windows, hashable, per_dim, pool_windows
from pullback.ops.shared.batches import samples
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

# ------------------------------------------------------------------------------------------- means


@functools.lru_cache(1024)
def _mean_maps(
    name: str,
    dims: int,
    shape: tuple[int, ...],
    kernel: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[AxisMap, ...]:
    """The maps of a mean over windows, one for each dim."""
    windows = pool_windows(name, dims, shape, kernel, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    maps = []
    for d, n in enumerate(windows.size):
        first, end, pad = windows.first[d], windows.end[d], windows.padding[d]
        low, high = np.maximum(first, 0), np.minimum(end, n)
        if divisor_override is not None:
            count = np.full(len(first), divisor_override if d == 0 else 1)
        else:
            count = np.minimum(end, n + pad) - first if count_include_pad else high - low
        maps.append(window_map(n, low, high, count))
    return tuple(maps)


def _without_divisors(maps: tuple[AxisMap, ...]) -> tuple[tuple[AxisMap, ...], Array]:
    """The maps without their divisors, and these, multiplied over the dims."""
    each: list[Any] = [m.divisor for m in maps]
    divisors = functools.reduce(np.multiply.outer, each)
    sums = tuple([AxisMap(m.size, m.start, m.index, m.weight) for m in maps])
    return sums, np.asarray(divisors).astype(np.int64)


def _avg_pool(
    dims: int, grad_name: str, input: Tensor, kernel: Ints, stride: Ints | None, padding: Ints,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """What avg_pool1d, avg_pool2d and avg_pool3d do."""
    shape, (kernel, stride, padding) = input.shape, hashable(kernel, stride, padding)
    options = ceil_mode, count_include_pad, divisor_override
    maps = _mean_maps(f"avg_pool{dims}d", dims, shape, kernel, stride, padding, *options)
    # PyTorch's kernel for volumes takes no half precisions
    refuse("avg_pool3d_out_frame" if dims == 3 else "avg_pool2d", input, also=("int64",), half=dims < 3)
    if input.dtype.kind == "f":
        return resample(input, maps, grad_name)
    return mean_of_integers(input, maps)


@op(places="", nondiff=True, layout="F")
def mean_of_integers(self: Array, maps: Any) -> Array:
    """Means of windows of integers, rounded toward zero."""
    sums, divisors = _without_divisors(maps)
    total = resample.kernel(self.astype(np.float64), sums, "").astype(np.int64)
    return np.sign(total) * np.sign(divisors) * (np.abs(total) // np.abs(divisors))


mean_of_integers.meta(lambda self, maps: meta_array(mapped_shape(self, maps), np.dtype(np.int64)))
mean_of_integers.batch(samples)


@public(places="t")
def avg_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    ceil_mode: bool = False, count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The means of the windows of a sequence (batch, channels, n) or (channels, n).

    As `avg_pool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.avg_pool1d(torch.tensor([[1.0, 3.0, 5.0, 7.0]]), 2)
    tensor([[2., 6.]])
    """
    return _avg_pool(1, "SqueezeBackward1", input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@public()
def avg_pool2d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The means of the windows of images (batch, channels, height, width) or (channels, height, width).

    Windows lie `stride` apart (by default side by side), in an image with `padding` zeros around it, up
    to half a window. With `ceil_mode` the last may reach over the end. A mean counts the padding, unless
    `count_include_pad` is off; `divisor_override` is divided by instead. RuntimeError for sizes that
    leave no window. The gradient is spread over each window evenly.

    >>> import pullback as torch
    >>> torch.nn.functional.avg_pool2d(torch.arange(4.0).view(1, 2, 2), 2)
    tensor([[[1.5000]]])
    """
    result = _avg_pool(
        2, "AvgPool2DBackward0", input, kernel_size, stride, padding, ceil_mode,
        count_include_pad, divisor_override,
    )  # fmt: skip
    return result if out is None else _write(out, result)


@public()
def avg_pool3d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None, *, out: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The means of the windows of volumes (batch, channels, depth, height, width), or of one.

    As `avg_pool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.avg_pool3d(torch.ones(1, 2, 2, 2), 2)
    tensor([[[[1.]]]])
    """
    result = _avg_pool(
        3, "AvgPool3DBackward0", input, kernel_size, stride, padding, ceil_mode,
        count_include_pad, divisor_override,
    )  # fmt: skip
    return result if out is None else _write(out, result)


def _write(out: Tensor, result: Tensor) -> Tensor:
    """`out` with the result in it, resized if need be."""
    if tuple(out.shape) != tuple(result.shape):
        out.resize_(result.shape)
    return out.copy_(result)


# -------------------------------------------------------------------------------- windows to a size


@functools.lru_cache(1024)
def _adaptive_maps(name: str, dims: int, shape: tuple[int, ...], output_size: Any) -> tuple[AxisMap, ...]:
    """The maps of a mean over as many windows as the result has places."""
    windows = adaptive_windows(name, dims, shape, output_size)
    each_dim = zip(windows.size, windows.first, windows.end, strict=True)
    return tuple([window_map(n, first, end, end - first) for n, first, end in each_dim])


def _adaptive_avg_pool(dims: int, grad_name: str, input: Tensor, output_size: Any) -> Tensor:
    """What adaptive_avg_pool1d, adaptive_avg_pool2d and adaptive_avg_pool3d do."""
    name = f"adaptive_avg_pool{dims}d"
    maps = _adaptive_maps(name, dims, input.shape, *hashable(output_size))
    if dims > 1 and all(m.places == 1 for m in maps):
        return ops.mean(input, list(range(-dims, 0)), True)
    refuse("adaptive_avg_pool3d_cpu" if dims == 3 else "adaptive_avg_pool2d", input)
    return resample(input, maps, grad_name)


@public(places="t")
def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of `output_size` windows that cover a sequence (..., n) evenly.

    Window i goes from `i * n // size` to the end of `(i + 1) * n / size`, rounded up. RuntimeError for a
    negative size. The gradient is spread over each window evenly.

    >>> import pullback as torch
    >>> torch.adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[1.5000, 2.5000]])
    """
    return _adaptive_avg_pool(1, "SqueezeBackward1", input, output_size)


@public()
def adaptive_avg_pool2d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of windows that cover images (..., height, width) evenly: `output_size` of them.

    None in `output_size` keeps a dim. As `adaptive_avg_pool1d` in both dims.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 5, 5), (2, None)).shape
    torch.Size([1, 2, 5])
    """
    return _adaptive_avg_pool(2, "AdaptiveAvgPool2DBackward0", input, output_size)


@public()
def adaptive_avg_pool3d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of windows that cover volumes (..., depth, height, width) evenly: `output_size` of them.

    None in `output_size` keeps a dim. As `adaptive_avg_pool1d` in all three dims.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_avg_pool3d(torch.ones(1, 4, 4, 4), 2).shape
    torch.Size([1, 2, 2, 2])
    """
    return _adaptive_avg_pool(3, "AdaptiveAvgPool3DBackward0", input, output_size)


# ------------------------------------------------------------------------------------------- norms


def _norm_of_means(means: Tensor, p: float, kernel: tuple[int, ...]) -> Tensor:
    """The norms whose powers have these means."""
    return (ops.sign(means) * ops.relu(ops.abs(means)) * math.prod(kernel)) ** (1.0 / p)


@public()
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order `norm_type` of each window of sequences (..., n).

    It is `sum(x**p)**(1/p)`, without magnitudes; the largest magnitude for an infinite order.

    >>> import pullback as torch
    >>> torch.nn.functional.lp_pool1d(torch.ones(1, 2), 2, 2)
    tensor([[1.4142]])
    """
    if norm_type == math.inf:
        return ops.max_pool1d(ops.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    means = avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return _norm_of_means(means, norm_type, per_dim("avg_pool1d", 1, "kernel_size", kernel_size))


@public()
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order `norm_type` of each window of images (..., height, width).

    It is `sum(x**p)**(1/p)`, without magnitudes; the largest magnitude for an infinite order.

    >>> import pullback as torch
    >>> torch.nn.functional.lp_pool2d(torch.ones(1, 2, 2), 2, 2)
    tensor([[[2.]]])
    """
    if norm_type == math.inf:
        return ops.max_pool2d(ops.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    means = avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return _norm_of_means(means, norm_type, per_dim("avg_pool2d", 2, "kernel_size", kernel_size))


@public()
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The norm of order `norm_type` of each window of volumes (..., depth, height, width).

    It is `sum(x**p)**(1/p)`, without magnitudes; the largest magnitude for an infinite order.

    >>> import pullback as torch
    >>> torch.nn.functional.lp_pool3d(torch.ones(1, 2, 2, 2), 2, 2)
    tensor([[[[2.8284]]]])
    """
    if norm_type == math.inf:
        return ops.max_pool3d(ops.abs(input), kernel_size, stride, 0, 1, ceil_mode)
    means = avg_pool3d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return _norm_of_means(means, norm_type, per_dim("avg_pool3d", 3, "kernel_size", kernel_size))
