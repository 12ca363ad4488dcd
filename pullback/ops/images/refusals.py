"""What the ops of images refuse: PyTorch's checks and words, away from the computations.

A function that checks raises or returns; one that refuses always raises. The checks of poolings stand in
two parts, since PyTorch makes some before it counts the windows and some after.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from pullback.core._engine import Tensor
from pullback.core._plans import Spec
from pullback.core.dtype_names import c_name
from pullback.core.dtypes import from_numpy_dtype, int64
from pullback.core.types import Array

Sizes = tuple[int, ...]

_COUNT = {1: "one", 2: "two", 3: "three"}
_AXES = {1: "W", 2: "HW", 3: "THW"}


def _x(sizes: Any) -> str:
    return "x".join(map(str, sizes))


def _by_axis(before: str, values: Sizes) -> str:
    """Values with the letters of their dims: `kH: 3 kW: 2`."""
    return " ".join(f"{before}{axis}: {v}" for axis, v in zip(_AXES[len(values)], values, strict=True))


# ------------------------------------------------------------------------------------- convolutions


def refuse_conv_list(name: str, values: Any, dims: int) -> NoReturn:
    """RuntimeError for an option with neither one int nor one for each spatial dim."""
    raise RuntimeError(
        f"expected {name} to be a single integer value or a list of {dims} values to match the "
        f"convolution dimensions, but got {name}={list(values)}"
    )


def check_conv_unbatched(name: str, input: Tensor, dims: int) -> None:
    """One image, where it is no batch of them."""
    if input.ndim != dims + 1:
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {name}, but got "
            f"input of size: {list(input.shape)}"
        )


def check_conv_numbers(
    stride: Sizes, padding: Sizes, dilation: Sizes, transposed: bool, extra: Sizes, groups: int
) -> None:
    if min(padding) < 0:
        raise RuntimeError("negative padding is not supported")
    if transposed and min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")


def check_conv_shapes(input: Sizes, weight: Sizes, bias: Sizes | None, transposed: bool, groups: int) -> None:
    """Dims and channels that fit together."""
    if len(input) != len(weight):
        space = " " if transposed else ""
        raise RuntimeError(
            f"Expected {len(weight)}-dimensional input for {len(weight)}-dimensional weight{space}"
            f"{list(weight)}, but got {len(input)}-dimensional input of size {list(input)} instead"
        )
    if weight[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got "
            f"weight of size {list(weight)} instead"
        )
    if weight[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but "
            f"got weight of size [{list(weight)}] instead"
        )
    taken = weight[0] if transposed else weight[1] * groups
    given = f"Given transposed={int(transposed)}" if transposed else f"Given groups={groups}"
    if input[1] != taken:
        raise RuntimeError(
            f"{given}, weight of size {list(weight)}, expected input{list(input)} to have {taken} "
            f"channels, but got {input[1]} channels instead"
        )
    made = weight[1] * groups if transposed else weight[0]
    if bias is not None and bias != (made,):
        given = "Given transposed=1," if transposed else "Given"
        raise RuntimeError(
            f"{given} weight of size {list(weight)}, expected bias to be 1-dimensional with {made} "
            f"elements, but got bias of size {list(bias)} instead"
        )


def _by(sizes: Any) -> str:
    return "(" + " x ".join(map(str, sizes)) + ")"


def check_conv_kernel(size: Sizes, kernel: Sizes, padding: Sizes, spans: list[int]) -> None:
    """A kernel that has a place in the padded image; `spans` are its sizes with the dilation."""
    if min(kernel) <= 0:
        names = ["depth", "height", "width"][3 - len(kernel) :] if len(kernel) > 1 else ["height"]
        listed = " ".join(f"kernel_{name}: {k}" for name, k in zip(names, kernel, strict=True))
        raise RuntimeError(f"kernel size should be greater than zero, but got {listed}")
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    if any(n < m for n, m in zip(padded, spans, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {_by(padded)}. Kernel size: {_by(spans)}. "
            "Kernel size can't be greater than actual input size"
        )


def check_conv_transposed(size: Sizes, out: Sizes, extra: Sizes, stride: Sizes, dilation: Sizes) -> None:
    """A little output padding, and a result with elements."""
    if any(e >= s and e >= d for e, s, d in zip(extra, stride, dilation, strict=True)):
        names = ["depth", "height", "width"][3 - max(len(extra), 2) :]
        lists = {"output_padding": extra, "stride": stride, "dilation": dilation}
        listed = " ".join(
            f"{what}_{name}: {v}"
            for what, values in lists.items()
            for name, v in zip(names, values if len(values) > 1 else (1, *values), strict=True)
        )
        raise RuntimeError(f"output padding must be smaller than either stride or dilation, but got {listed}")
    if min(out) < 1:
        raise RuntimeError(
            f"Given input size per channel: {_by(size)}. Calculated output size per channel: "
            f"{_by(out)}. Output size is too small"
        )


def check_conv_dtypes(input: Array, weight: Array, bias: Array | None, transposed: bool) -> None:
    """One dtype, which the kernels take."""
    kind, weight_kind = (from_numpy_dtype(a.dtype) for a in (input, weight))
    if bias is not None and bias.dtype != input.dtype:
        raise RuntimeError(f"Input type ({c_name(input)}) and bias type ({c_name(bias)}) should be the same")
    if kind.kind == "b" and weight_kind.kind == "f":
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")
    if kind is not weight_kind:
        raise RuntimeError(f"expected scalar type {kind.type_name} but found {weight_kind.type_name}")
    if transposed and kind.kind in "iu" and kind.name != "int64":
        name = f"slow_conv_transpose{max(input.ndim - 2, 2)}d_out_cpu"
        raise NotImplementedError(f"\"{name}\" not implemented for '{kind.type_name}'")
    if kind.kind == "b":
        raise NotImplementedError("\"slow_conv2d_cpu\" not implemented for 'Bool'")


def check_conv_tbc(x: Array, weight: Array, bias: Array) -> None:
    if x.ndim != 3:
        raise RuntimeError("Input must have 3 dims: time, batch, in_channel")
    if weight.ndim != 3:
        raise RuntimeError("Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.")
    if bias.ndim != 1:
        raise RuntimeError("Bias must be 1-D")
    if x.shape[2] != weight.shape[1]:
        raise RuntimeError("Input dim 2 (input channels) is not == dim 1 in the weight tensor")
    if weight.shape[2] != bias.shape[0]:
        raise RuntimeError("Bias size must equal dim 2 in the weight tensor (output channels).")


# ---------------------------------------------------------------------------------------- poolings


def refuse_list(name: str, dims: int, what: str, count: int) -> NoReturn:
    """RuntimeError for an argument with neither one int nor one for each dim."""
    if dims == 1 and name.startswith("max"):
        wanted = f"an int, list of ints or tuple of ints of size 1 but got size {count}"
        raise RuntimeError(f"{name}() {what} must be {wanted}")
    if dims == 1:
        raise RuntimeError(f"{name}() argument '{what}' should contain one int (got {count})")
    either = "must be either" if what == "dilation" else "must either be"
    if name == "avg_pool3d":
        either = "must be"
    one = "omitted, a single int" if what == "stride" else "a single int"
    raise RuntimeError(f"{name}: {what} {either} {one}, or a tuple of {_COUNT[dims]} ints")


def check_window(kernel: int, stride: int, padding: int, dilation: int) -> None:
    """A stride, and padding that each window reaches beyond."""
    if stride == 0:
        raise RuntimeError("stride should not be zero")
    if padding < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {padding}")
    if padding > ((kernel - 1) * dilation + 1) // 2:
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={padding}, "
            f"kernel_size={kernel} and dilation={dilation}"
        )


def check_pool_early(name: str, shape: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> None:
    """What is checked before the windows are counted: enough dims, of one dim all."""
    dims = len(kernel)
    if dims == 1:
        _check_one_dim(name, shape)
    if name == "max_pool1d":
        for what, (value,) in (("kernel_size", kernel), ("stride", stride), ("dilation", dilation)):
            if value <= 0:
                raise RuntimeError(f"{name}() {what} must be greater than zero, but got {value}")
    if len(shape) <= dims:
        _check_pool_shape(name, shape, dims)


def check_pool_late(
    name: str, shape: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, out: Sizes
) -> None:
    """What is checked after: the shape, numbers above zero, and a window in each dim."""
    _check_pool_shape(name, shape, len(kernel))
    for what, before, values in (
        ("kernel size", "k", kernel), ("stride", "d", stride), ("dilation", "dilation", dilation),
    ):  # fmt: skip
        if min(values) <= 0:
            raise RuntimeError(f"{what} should be greater than zero, but got {_by_axis(before, values)}")
    if name == "max_pool1d" and out[0] <= 0:
        raise RuntimeError(f"{name}() Invalid computed output size: {out[0]}")
    size = shape[-len(kernel) :]
    padded = [n + 2 * p for n, p in zip(size, padding, strict=True)]
    if name == "avg_pool3d" and any(n < k for n, k in zip(padded, kernel, strict=True)):
        raise RuntimeError(
            f"input image ({_by_axis('', size)}) smaller than kernel size ({_by_axis('k', kernel)})"
        )
    if min(out) < 1:
        flat = (1,) if len(out) == 1 else ()
        channels = shape[-len(out) - 1]
        raise RuntimeError(
            f"Given input size: ({_x((channels, *flat, *size))}). Calculated output size: "
            f"({_x((channels, *flat, *out))}). Output size is too small"
        )


def _check_pool_shape(name: str, shape: Sizes, dims: int) -> None:
    """The number of dims, of which only the batch may be empty."""
    wanted = f"{dims + 1}D or {dims + 2}D (batch mode) tensor"
    if len(shape) not in (dims + 1, dims + 2):
        if name == "avg_pool2d" and len(shape) < 3:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], "
                "but got -3)"
            )
        raise RuntimeError(f"non-empty {wanted} expected for input")
    empty = [d for d in range(len(shape) == dims + 2, len(shape)) if not shape[d]]
    if empty and dims == 3:
        place = max(empty[0] - 2 * (len(shape) == 5), 0)
        inner = "max_pool3d_with_indices_out_cpu_template" if name == "max_pool3d" else "avg_pool3d_out_cpu"
        raise RuntimeError(
            f"{inner}(): Expected input's non-batch dimensions to have positive length, but input has a "
            f"shape of {list(shape)} and non-batch dimension {place} has length zero!"
        )
    if empty:
        raise RuntimeError(
            f"Expected {wanted} with optional 0 dim batch size for input, but got:{list(shape)}"
        )


def _check_one_dim(name: str, shape: Sizes) -> None:
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


def check_adaptive(name: str, dims: int, shape: Sizes, count: int) -> None:
    """Dims, and `count` numbers in `output_size`, that go together."""
    if dims == 1 and count != 1:
        raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {count})")
    if dims == 1:
        _check_one_dim(name, shape)
    elif len(shape) <= dims:
        raise ValueError(f"Input dimension should be at least {dims + 1}")
    elif count != dims:
        inner = "(): internal error: output_size.size()" if "max" in name else ": output_size"
        raise RuntimeError(f"{name}{inner} must be {dims}")
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(shape)}")


def check_adaptive_size(name: str, shape: Sizes, out: Sizes) -> None:
    """A size of no negative numbers, of an image with elements."""
    dims, inner = len(out), name.replace("1d", "2d")
    if min(out) < 0 and "max" in name:
        made = [*shape[: -dims - 1], shape[-dims - 1], *(1,) * (dims == 1), *out]
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(out)}: {made}")
    if min(out) < 0:
        values = list(map(str, (1, *out) if dims == 1 else out))
        listed = ", ".join(values[:2]) + "".join(f",{v}" for v in values[2:])
        raise RuntimeError(
            f"{inner}: elements of output_size must be greater than or equal to 0 but received {{{listed}}}"
        )
    for d in range(len(shape) - dims, len(shape)):
        if not shape[d]:
            raise RuntimeError(
                f"{inner}(): Expected input to have non-zero size for non-batch dimensions, but input "
                f"has sizes {list(shape)} with dimension {d} being empty"
            )


# ------------------------------------------------------------------- fractional poolings, unpooling


def check_fractional(
    name: str, dims: int, shape: Sizes, output_size: Any, output_ratio: Any, sampled: bool
) -> None:
    """Something that gives the size of the result, and enough dims to draw samples for."""
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if len(shape) <= dims and not sampled:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but "
            f"got {-dims - 1})"
        )


def refuse_ratios(name: str) -> NoReturn:
    raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")


def refuse_fractional_list(name: str, what: str) -> NoReturn:
    raise RuntimeError(f"{name}: {what} must either be a single Int or tuple of Ints")


def check_fractional_room(name: str, shape: Sizes, kernel: Sizes, out: Sizes) -> None:
    """Elements, and room for all windows; PyTorch's two kernels differ by one."""
    dims = len(kernel)
    inner = f"{name}{'_out' if dims == 3 else ''}"
    if len(shape) not in (dims + 1, dims + 2):
        raise RuntimeError(f"{inner}(): Expected {dims + 1}D or {dims + 2}D tensor, but got: {[*shape]}")
    for d in range(len(shape) == dims + 2, len(shape)):
        if not shape[d]:
            raise RuntimeError(
                f"{inner}(): Expected input to have non-zero size for non-batch dimensions, but got"
                f"{[*shape]} with dimension {d} being empty."
            )
    axes = ("time", "height", "width")[3 - dims :]
    for axis, n, k, m in zip(axes, shape[-dims:], kernel, out, strict=True):
        if m + k - 1 > n - (dims == 3):
            raise RuntimeError(f"{inner}(): pool {axis} {k} too large relative to input {axis} {n}")


def check_random_samples(x: Any, samples: Any, dims: int) -> None:
    """Samples (batch, channels, dims) for an input of the same dtype."""
    what, shape = "Expect _random_samples", samples.shape
    if samples.dtype is not x.dtype:
        raise RuntimeError(f"{what} to have the same dtype as input")
    if len(shape) != 3:
        raise RuntimeError(f"{what} to have 3 dimensions, got {len(shape)}")
    if shape[0] < (x.shape[0] if x.ndim == dims + 2 else 1):
        raise RuntimeError(f"{what}.size(0) no less then input batch size.")
    if shape[1] != x.shape[x.ndim - dims - 1]:
        raise RuntimeError(f"{what}.size(1) equals to input channel size.")
    if shape[2] != dims:
        raise RuntimeError(f"{what}.size(2) equals to {dims}; got {shape[2]}.")


def check_unpool(x: Spec, indices: Spec, dims: int) -> None:
    """An input of elements, and int64 indices of its shape."""
    name = f"max_unpooling{max(dims, 2)}d"
    flat = (1,) if dims == 1 else ()  # PyTorch sees one dim as two
    if indices.dtype is not int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype.type_name}")
    if x.ndim not in (dims + 1, dims + 2):
        least = max(dims, 2) + 1
        raise RuntimeError(
            f"Input to {name} should be a {least}d or {least + 1}d Tensor, but got a "
            f"tensor with {x.ndim + len(flat)} dimensions."
        )
    if x.shape != indices.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({[*x.shape, *flat]}) but "
            f"got indices tensor with shape: {[*indices.shape, *flat]}"
        )
    for d in range(x.ndim == dims + 2, x.ndim):
        if not x.shape[d]:
            raise RuntimeError(
                f"{name}_forward_out_cpu(): Expected input to have non-zero size for "
                f"non-batch dimensions, but got {[*x.shape, *flat]} with dimension {d} being empty."
            )


def invalid_place(places: Array, size: Sizes) -> Exception:
    """The error for places of which some lie outside of the result."""
    wrong = places[(places < 0) | (places >= np.prod(size, dtype=np.int64))]
    return RuntimeError(
        f"Found an invalid max index: {wrong[0]} (output volumes are of size "
        f"{_x(size if len(size) > 1 else (*size, 1))})"
    )


def check_unpool_size(given: Any, least: Sizes, stride: Sizes) -> Sizes:
    """The spatial dims of an `output_size` that can have been pooled: less than a stride from the least."""
    dims = len(least)
    sizes = tuple(given)[2:] if len(given) == dims + 2 else tuple(given)
    if len(sizes) != dims:
        raise ValueError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a "
            f"length of '{len(sizes)}'"
        )
    for d, (n, m, s) in enumerate(zip(sizes, least, stride, strict=True)):
        if not m - s < n < m + s:
            raise ValueError(f'invalid output_size "{given}" (dim {d} must be between {m - s} and {m + s})')
    return sizes
