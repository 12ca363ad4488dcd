"""`unfold` and `fold`: the windows of images as columns, and columns added up to images.

They are the two halves of a convolution (im2col, col2im), and the transpose of each other. Read
`_checked_pairs`, then `im2col`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.kernels import columns as columns_kernels
from pullback.ops.images.convolution import geometry_of
from pullback.ops.images.windows import hashable
from pullback.ops.shared.chains import Chain, Step, operand
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

"""An int, or two."""
Pair = tuple[int, int]


def _two(what: str, value: Ints) -> Pair:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2:
        raise RuntimeError(f"It is expected {what} equals to 2, but got size {len(values)}")
    return values


def _checked_pairs(kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints) -> tuple[Pair, ...]:
    """Pairs of ints; RuntimeError for those that are too small."""
    given = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding, "stride": stride}
    pairs = tuple([_two(what, value) for what, value in given.items()])
    checks = (("kernel size", "kernel", 0, 1), ("stride", "stride", 3, 1), ("dilation", "dilation", 1, 1))
    for what, short, place, least in (*checks, ("padding", "pad", 2, 0)):
        h, w = pairs[place]
        if min(h, w) < least:
            rule = "greater than zero" if least else "non-negative"
            raise RuntimeError(f"{what} should be {rule}, but got {short}_height: {h} {short}_width: {w}")
    return pairs


def _window_counts(size: Any, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Pair:
    """The number of windows in each dim."""
    every = zip(size, kernel, dilation, padding, stride, strict=True)
    return tuple([(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in every])


@op(places="", grad_name="Im2ColBackward0", linear=True, batch="leading")
def im2col(self: Array, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Array:
    """The windows of images (..., channels, h, w) as columns (..., channels * kernel, places)."""
    *batch, channels, height, width = self.shape
    size = (height, width)
    out = _window_counts(size, kernel, dilation, padding, stride)
    geometry = geometry_of(size, kernel, stride, padding, dilation, out)
    columns = np.empty((*batch, channels * geometry.taps, geometry.places), self.dtype)
    rows, places = columns.shape[-2:]
    count = int(np.prod(batch))
    x = np.ascontiguousarray(self)
    columns_kernels.im2col(x, columns, geometry, count, channels, rows * places, places, 0, geometry.rows)
    return columns


@op(places="", grad_name="Col2ImBackward0", linear=True, batch="leading")
def col2im(self: Array, size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Array:
    """Columns (..., channels * kernel, places) added up to images (..., channels, h, w)."""
    *batch, rows, places = self.shape
    out = _window_counts(size, kernel, dilation, padding, stride)
    geometry = geometry_of(tuple(size), kernel, stride, padding, dilation, out)
    columns = np.ascontiguousarray(self)
    if self.dtype.kind == "b":
        columns = columns.astype(np.int32)
    channels = rows // geometry.taps
    images = np.zeros((*batch, channels, *size), columns.dtype)
    count = int(np.prod(batch))
    columns_kernels.col2im(
        images, columns, geometry, count, channels, rows * places, places, 0, geometry.rows
    )
    return images.astype(self.dtype, copy=False)


im2col.vjp(
    self=lambda g, self_shape, kernel, dilation, padding, stride: col2im(
        g, tuple(self_shape[-2:]), kernel, dilation, padding, stride
    )
)
col2im.vjp(self=lambda g, kernel, dilation, padding, stride: im2col(g, kernel, dilation, padding, stride))


@im2col.prepare
def _plan_im2col(self: Spec, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Plan:
    *batch, channels, height, width = self.shape
    out = _window_counts((height, width), kernel, dilation, padding, stride)
    geometry = geometry_of((height, width), kernel, stride, padding, dilation, out)
    rows = channels * geometry.taps
    chain = Chain(1, Spec(self.dtype, (*batch, rows, geometry.places)))
    numbers = (self.dtype.itemsize, channels, rows * geometry.places, geometry.places, *geometry.numbers)
    step = Step(columns_kernels.IM2COL, numbers, math.prod(batch))
    chain.add(step, chain.contiguous(0, self), chain.result())
    return chain.plan()


@col2im.prepare
def _plan_col2im(self: Spec, size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Plan:
    *batch, rows, places = self.shape
    channels = rows // (kernel[0] * kernel[1])
    result = Spec(self.dtype, (*batch, channels, *size))
    if self.dtype.kind not in "fc":
        return Plan(result)
    out = _window_counts(size, kernel, dilation, padding, stride)
    geometry = geometry_of(tuple(size), kernel, stride, padding, dilation, out)
    chain = Chain(1, result)
    x = chain.widened(chain.room(self.dtype, dict(enumerate(self.shape)), chain.contiguous(0, self)))
    y = operand(chain.result(), result, range(len(result.shape)))
    to = y if x.dtype is self.dtype else chain.room(x.dtype, y.sizes)
    numbers = (ord(x.dtype.numpy.char), channels, rows * places, places, *geometry.numbers)
    chain.add(Step(columns_kernels.COL2IM, numbers, math.prod(batch)), x.place, to.place)
    if to is not y:
        chain.convert(to, y)
    return chain.plan()


@public()
def unfold(
    input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Tensor:
    """The windows of images (batch, channels, h, w) as columns (batch, channels * kernel, places).

    One image without a batch is taken as well. RuntimeError for sizes that leave no window. The
    gradient is `fold`.

    >>> import pullback as torch
    >>> torch.nn.functional.unfold(torch.arange(6.0).view(1, 1, 2, 3), 2)
    tensor([[[0., 1.],
             [1., 2.],
             [3., 4.],
             [4., 5.]]])
    """
    pairs = _pairs_to_unfold(tuple(input.shape), *hashable(kernel_size, dilation, padding, stride))
    _check_dtype_of_windows("im2col_out_cpu", input)
    return im2col(input, *pairs)


@functools.lru_cache(1024)
def _pairs_to_unfold(
    shape: tuple[int, ...], kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> tuple[Pair, ...]:
    """The arguments of `im2col`, after all checks."""
    kernel, dilation, padding, stride = _checked_pairs(kernel_size, dilation, padding, stride)
    if len(shape) < 3:
        bound = max(len(shape), 1)
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], but got 2)"
        )
    if len(shape) > 4 or 0 in shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    out = _window_counts(shape[-2:], kernel, dilation, padding, stride)
    if min(out) < 1:
        raise RuntimeError(
            f"Given input with spatial size {shape[-2:]}, kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, calculated shape of the array of sliding blocks as "
            f"({max(out[0], 0)}, {max(out[1], 0)}), but its components must be at least one."
        )
    return kernel, dilation, padding, stride


@public()
def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """Columns (batch, channels * kernel, places) added up to images (batch, channels, *output_size).

    The columns of one image without a batch are taken as well. RuntimeError for sizes that do not fit.
    The gradient is `unfold`.

    >>> import pullback as torch
    >>> torch.nn.functional.fold(torch.ones(1, 4, 2), (2, 3), 2)
    tensor([[[[1., 2., 1.],
              [1., 2., 1.]]]])
    """
    given = hashable(output_size, kernel_size, dilation, padding, stride)
    pairs = _pairs_to_fold(tuple(input.shape), *given)
    _check_dtype_of_windows("col2im_out_cpu", input)
    return col2im(input, *pairs)


@functools.lru_cache(1024)
def _pairs_to_fold(
    shape: tuple[int, ...], output_size: Ints, kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> tuple[Pair, ...]:
    """The arguments of `col2im`, after all checks."""
    size = _two("output_size", output_size)
    kernel, dilation, padding, stride = _checked_pairs(kernel_size, dilation, padding, stride)
    if len(shape) not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    if shape[-2] % (kernel[0] * kernel[1]):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={kernel}."
        )
    h, w = _window_counts(size, kernel, dilation, padding, stride)
    if shape[-1] != h * w:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, padding={padding}, "
            f"stride={stride}, expected size of input's dimension 2 to match the calculated number of "
            f"sliding blocks {h} * {w} = {h * w}, but got input.size(2)={shape[-1]}."
        )
    return size, kernel, dilation, padding, stride


# ---------------------------------------------------------------------------------- what is refused


def _check_dtype_of_windows(name: str, x: Tensor) -> None:
    refuse(name, x, kinds="fcb")
