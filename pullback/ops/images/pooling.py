"""Means of windows: avg_pool, adaptive_avg_pool, lp_pool; and how windows lie, for max_pool as well.

`placed` checks the arguments of a pooling in PyTorch's order and words, and gives the windows of each
dim. A mean is one sum a dim, so pooling is a `resample`. Read `placed`, then `avg_pool2d`.
"""

from __future__ import annotations

import functools
import math
from operator import index
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.ops.images.axis_maps import AxisMap, resample, window_map
from pullback.ops.shared.batches import samples
from pullback.ops.shared.forms import public, refuse

"""An int, or one for each spatial dim."""

# ---------------------------------------------------------------------------------------- windows

_COUNT = {1: "one", 2: "two", 3: "three"}
_AXES = {1: "W", 2: "HW", 3: "THW"}


def _listed(name: str, what: str, value: Ints, dims: int) -> tuple[int, ...]:
    """One int for each dim; RuntimeError if there are neither one nor as many."""
    values = value if isinstance(value, (tuple, list)) else (value,)
    if len(values) in (1, dims):
        return tuple([index(v) for v in values]) * (dims if len(values) == 1 else 1)
    if dims == 1:
        if name.startswith("max"):
            shown = f"an int, list of ints or tuple of ints of size 1 but got size {len(values)}"
            raise RuntimeError(f"{name}() {what} must be {shown}")
        raise RuntimeError(f"{name}() argument '{what}' should contain one int (got {len(values)})")
    either = "must be either" if what == "dilation" else "must either be"
    if name == "avg_pool3d":
        either = "must be"
    one = "omitted, a single int" if what == "stride" else "a single int"
    raise RuntimeError(f"{name}: {what} {either} {one}, or a tuple of {_COUNT[dims]} ints")


def _count(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The number of windows in a dim of size n."""
    if stride == 0:
        raise RuntimeError("stride should not be zero")
    if padding < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {padding}")
    if padding > ((kernel - 1) * dilation + 1) // 2:
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={padding}, "
            f"kernel_size={kernel} and dilation={dilation}"
        )
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    count = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= n + padding:
        count -= 1  # the last window would lie in the padding
    return count


def _check_positive(dims: int, kernel: Any, stride: Any, dilation: Any) -> None:
    for what, letter, values in (("kernel size", "k", kernel), ("stride", "d", stride)):
        if min(values) <= 0:
            shown = " ".join(f"{letter}{a}: {v}" for a, v in zip(_AXES[dims], values, strict=True))
            raise RuntimeError(f"{what} should be greater than zero, but got {shown}")
    if min(dilation) <= 0:
        shown = " ".join(f"dilation{a}: {v}" for a, v in zip(_AXES[dims], dilation, strict=True))
        raise RuntimeError(f"dilation should be greater than zero, but got {shown}")


def _check_batch(name: str, shape: tuple[int, ...], dims: int) -> None:
    """The number of dims, of which only the batch may be empty."""
    few = f"{dims + 1}D or {dims + 2}D (batch mode) tensor"
    if len(shape) not in (dims + 1, dims + 2):
        if name == "avg_pool2d" and len(shape) < 3:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], "
                "but got -3)"
            )
        raise RuntimeError(f"non-empty {few} expected for input")
    empty = [d for d in range(len(shape) == dims + 2, len(shape)) if not shape[d]]
    if empty and dims == 3:
        place = max(empty[0] - 2 * (len(shape) == 5), 0)
        inner = "max_pool3d_with_indices_out_cpu_template" if name == "max_pool3d" else "avg_pool3d_out_cpu"
        raise RuntimeError(
            f"{inner}(): Expected input's non-batch dimensions to have positive length, but input has a "
            f"shape of {list(shape)} and non-batch dimension {place} has length zero!"
        )
    if empty:
        raise RuntimeError(f"Expected {few} with optional 0 dim batch size for input, but got:{list(shape)}")


def _check_one_dim(name: str, shape: tuple[int, ...]) -> None:
    if name == "max_pool1d":
        if len(shape) not in (2, 3) or 0 in shape[-2:]:
            raise RuntimeError(
                f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for "
                f"input, but got:{list(shape)}"
            )
    elif len(shape) not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 "
            f"'self' (while checking arguments for {name})"
        )


def check_room(shape: tuple[int, ...], out: tuple[int, ...]) -> None:
    """At least one window in each dim."""
    dims = len(out)
    if min(out) < 1:
        size = shape[-dims - 1 :] if dims > 1 else (shape[-2], 1, shape[-1])
        made = (shape[-dims - 1], *out) if dims > 1 else (shape[-2], 1, *out)
        raise RuntimeError(
            f"Given input size: ({'x'.join(map(str, size))}). Calculated output size: "
            f"({'x'.join(map(str, made))}). Output size is too small"
        )


@functools.lru_cache(4096)
def placed(
    name: str,
    shape: tuple[int, ...],
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> tuple[tuple[int, ...], list[Array], list[Array], tuple[int, ...], tuple[int, ...]]:
    """The windows of a pooling of an input of this shape, after all checks.

    Kernel sizes; for each dim where windows begin and end, in the image and its padding; dilations and
    paddings.
    """
    dims = int(name[-2])
    kernel = _listed(name, "kernel_size", kernel, dims)
    stride = kernel if stride is None or stride in ((), []) else _listed(name, "stride", stride, dims)
    padding = _listed(name, "padding", padding, dims)
    dilation = _listed(name, "dilation", dilation, dims)
    if dims == 1:
        _check_one_dim(name, shape)
        if name == "max_pool1d":
            for what, v in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
                if v[0] <= 0:
                    raise RuntimeError(f"{name}() {what} must be greater than zero, but got {v[0]}")
    if len(shape) <= dims:
        _check_batch(name, shape, dims)
    every = list(zip(shape[-dims:], kernel, stride, padding, dilation, strict=True))
    out = tuple(_count(*each, ceil_mode) for each in every)
    _check_batch(name, shape, dims)
    _check_positive(dims, kernel, stride, dilation)
    if name == "max_pool1d" and out[0] <= 0:
        raise RuntimeError(f"{name}() Invalid computed output size: {out[0]}")
    if name == "avg_pool3d" and any(n + 2 * p < k for n, k, _, p, _ in every):
        sizes = " ".join(f"{a}: {n}" for a, n in zip("THW", shape[-3:], strict=True))
        kernels = " ".join(f"k{a}: {k}" for a, k in zip("THW", kernel, strict=True))
        raise RuntimeError(f"input image ({sizes}) smaller than kernel size ({kernels})")
    check_room(shape, out)
    firsts = [np.arange(m) * s - p for m, s, p in zip(out, stride, padding, strict=True)]
    ends = [f + d * (k - 1) + 1 for f, k, d in zip(firsts, kernel, dilation, strict=True)]
    return kernel, firsts, ends, dilation, padding


def hashable(*values: Any) -> tuple[Any, ...]:
    """Lists as tuples, which can be looked up."""
    return tuple([tuple(v) if isinstance(v, list) else v for v in values])


# ------------------------------------------------------------------------------------------- means


@functools.lru_cache(1024)
def _mean_maps(
    name: str,
    shape: tuple[int, ...],
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[AxisMap, ...]:
    """The maps of a mean over windows."""
    sizes, firsts, ends, _, pads = placed(name, shape, kernel, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    maps = []
    for d, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        n = shape[len(shape) - len(sizes) + d]
        low, high = np.maximum(first, 0), np.minimum(end, n)
        count = np.minimum(end, n + pads[d]) - first if count_include_pad else high - low
        if divisor_override is not None:
            count = np.full(len(first), divisor_override if d == 0 else 1)
        maps.append(window_map(n, low, high, count))
    return tuple(maps)


def _whole_numbers(maps: tuple[AxisMap, ...]) -> tuple[tuple[AxisMap, ...], Array]:
    """The maps without their divisors, and these, multiplied over the dims."""
    divisors = functools.reduce(np.multiply.outer, [m.divisor for m in maps])
    sums = tuple([AxisMap(m.size, m.start, m.index, m.weight) for m in maps])
    return sums, np.asarray(divisors).astype(np.int64)


def _avg_pool(
    name: str, shown: str, input: Tensor, kernel: Ints, stride: Ints, padding: Ints,
    ceil_mode: bool, count_include_pad: bool, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    args = hashable(kernel, stride, padding)
    maps = _mean_maps(name, tuple(input.shape), *args, ceil_mode, count_include_pad, divisor_override)
    whole = name == "avg_pool3d"  # whose PyTorch kernel takes no half precisions
    refuse("avg_pool3d_out_frame" if whole else "avg_pool2d", input, also=("int64",), half=not whole)
    if input.dtype.kind == "f":
        return resample(input, maps, shown)
    return _whole_means(input, maps)


@op(places="", nondiff=True)
def _whole_means(self: Tensor, maps: Any) -> Array:
    """Means of integers, rounded toward zero."""
    sums, divisors = _whole_numbers(maps)
    total = resample.kernel(self.astype(np.float64), sums, "").astype(np.int64)
    return np.sign(total) * np.sign(divisors) * (np.abs(total) // np.abs(divisors))


_whole_means.batch(samples)


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
    return _avg_pool(
        "avg_pool1d", "SqueezeBackward1", input, kernel_size, stride, padding, ceil_mode, count_include_pad
    )


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
        "avg_pool2d", "AvgPool2DBackward0", input, kernel_size, stride, padding, ceil_mode,
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
        "avg_pool3d", "AvgPool3DBackward0", input, kernel_size, stride, padding, ceil_mode,
        count_include_pad, divisor_override,
    )  # fmt: skip
    return result if out is None else _write(out, result)


def _write(out: Tensor, result: Tensor) -> Tensor:
    """`out` with the result in it, resized if need be."""
    if tuple(out.shape) != tuple(result.shape):
        out.resize_(result.shape)
    return out.copy_(result)


# -------------------------------------------------------------------------------- windows to a size


def _target(name: str, shape: tuple[int, ...], size: Ints) -> tuple[int, ...]:
    """The size to pool to, None filled in; refused in PyTorch's words if it does not fit."""
    dims = int(name[-2])
    values = size if isinstance(size, (tuple, list)) else (size,) * dims
    if dims == 1 and len(values) != 1:
        raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(values)})")
    if dims == 1:
        _check_one_dim(name, shape)
    elif len(shape) <= dims:
        raise ValueError(f"Input dimension should be at least {dims + 1}")
    elif len(values) != dims:
        inner = "(): internal error: output_size.size()" if "max" in name else ": output_size"
        raise RuntimeError(f"{name}{inner} must be {dims}")
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(shape)}")
    out = tuple([n if v is None else index(v) for v, n in zip(values, shape[-dims:], strict=True)])
    _check_target(name, shape, out)
    return out


def _check_target(name: str, shape: tuple[int, ...], out: tuple[int, ...]) -> None:
    dims, inner = len(out), name.replace("1d", "2d")
    if min(out) < 0 and "max" in name:
        made = [*shape[: -dims - 1], shape[-dims - 1], *(1,) * (dims == 1), *out]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {made}")
    if min(out) < 0:
        values = list(map(str, (1, *out) if dims == 1 else out))
        shown = ", ".join(values[:2]) + "".join(f",{v}" for v in values[2:])
        raise RuntimeError(
            f"{inner}: elements of output_size must be greater than or equal to 0 but received {{{shown}}}"
        )
    for d in range(len(shape) - dims, len(shape)):
        if not shape[d]:
            raise RuntimeError(
                f"{inner}(): Expected input to have non-zero size for non-batch dimensions, but input "
                f"has sizes {list(shape)} with dimension {d} being empty"
            )


@functools.lru_cache(1024)
def adaptive_windows(name: str, shape: tuple[int, ...], size: Ints) -> tuple[list[Array], list[Array]]:
    """Where the windows of an adaptive pooling begin and end in each dim: they cover it evenly."""
    out = _target(name, shape, size)
    firsts, ends = [], []
    for n, m in zip(shape[-len(out) :], out, strict=True):
        place = np.arange(m)
        firsts.append(place * n // max(m, 1))
        ends.append(-(-(place + 1) * n // max(m, 1)))
    return firsts, ends


@functools.lru_cache(1024)
def _adaptive_maps(name: str, shape: tuple[int, ...], size: Ints) -> tuple[AxisMap, ...]:
    firsts, ends = adaptive_windows(name, shape, size)
    sizes = shape[-len(firsts) :]
    return tuple([window_map(n, f, e, e - f) for n, f, e in zip(sizes, firsts, ends, strict=True)])


def _adaptive_avg_pool(name: str, shown: str, input: Tensor, output_size: Ints) -> Tensor:
    maps = _adaptive_maps(name, tuple(input.shape), *hashable(output_size))
    dims = len(maps)
    if dims > 1 and all(m.places == 1 for m in maps):
        return ops.mean(input, list(range(-dims, 0)), True)
    refuse("adaptive_avg_pool3d_cpu" if dims == 3 else "adaptive_avg_pool2d", input)
    return resample(input, maps, shown)


@public(places="t")
def adaptive_avg_pool1d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of `output_size` windows that cover a sequence (..., n) evenly.

    Window i goes from `i * n // size` to the end of `(i + 1) * n / size`, rounded up. RuntimeError for a
    negative size. The gradient is spread over each window evenly.

    >>> import pullback as torch
    >>> torch.adaptive_avg_pool1d(torch.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[1.5000, 2.5000]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", "SqueezeBackward1", input, output_size)


@public()
def adaptive_avg_pool2d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of windows that cover images (..., height, width) evenly: `output_size` of them.

    None in `output_size` keeps a dim. As `adaptive_avg_pool1d` in both dims.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_avg_pool2d(torch.ones(1, 5, 5), (2, None)).shape
    torch.Size([1, 2, 5])
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", "AdaptiveAvgPool2DBackward0", input, output_size)


@public()
def adaptive_avg_pool3d(input: Tensor, output_size: Ints) -> Tensor:
    """The means of windows that cover volumes (..., depth, height, width) evenly: `output_size` of them.

    None in `output_size` keeps a dim. As `adaptive_avg_pool1d` in all three dims.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_avg_pool3d(torch.ones(1, 4, 4, 4), 2).shape
    torch.Size([1, 2, 2, 2])
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", "AdaptiveAvgPool3DBackward0", input, output_size)


# ------------------------------------------------------------------------------------------- norms


def _declare_lp(dims: int, mean: Any) -> Any:
    """lp_pool1d, lp_pool2d, lp_pool3d: powers of the means of powers."""
    name = f"lp_pool{dims}d"

    def lp_pool(
        input: Tensor,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
    ) -> Tensor:
        if norm_type == math.inf:
            return getattr(ops, f"max_pool{dims}d")(ops.abs(input), kernel_size, stride, 0, 1, ceil_mode)
        sizes = _listed(f"avg_pool{dims}d", "kernel_size", kernel_size, dims)
        means = mean(input**norm_type, kernel_size, stride, 0, ceil_mode)
        return (ops.sign(means) * ops.relu(ops.abs(means)) * math.prod(sizes)) ** (1.0 / norm_type)

    shape = ", ".join(["2"] * dims)
    value = 2 ** (dims / 2)
    shown = "[" * (dims + 1) + (f"{value:.4f}" if value % 1 else f"{value:.0f}.") + "]" * (dims + 1)
    lp_pool.__name__ = name
    lp_pool.__doc__ = f"""The norm of order `norm_type` of each window of a tensor (..., {dims} spatial dims).

    It is `sum(x**p)**(1/p)`, without magnitudes; the largest magnitude for an infinite order.

    >>> import pullback as torch
    >>> torch.nn.functional.{name}(torch.ones(1, {shape}), 2, 2)
    tensor({shown})
    """
    return public()(lp_pool)


lp_pool1d = _declare_lp(1, avg_pool1d)
lp_pool2d = _declare_lp(2, avg_pool2d)
lp_pool3d = _declare_lp(3, avg_pool3d)
