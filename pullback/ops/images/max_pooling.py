"""Largest elements of windows: max_pool, adaptive_max_pool, fractional_max_pool, and max_unpool.

All poolings are one op, `max_windows`, on a table of windows for each spatial dim. It gives the places
of the elements too, and its derivative is `put_places`: the gradients added at these places; the
derivative of that is `take_places`. Read windows.py, `max_windows`, then `max_pool2d`. The loops are in
`kernels/pooling.pyx`.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.meta import meta_array
from pullback.core.op import SURFACE, op
from pullback.core.types import Array, Ints
from pullback.kernels import pooling
from pullback.ops.images import refusals
from pullback.ops.images.windows import adaptive_windows, hashable, per_dim, pool_windows
from pullback.ops.shared.batches import folded, samples, unfolded
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

# --------------------------------------------------------------------------------------- three ops


class WindowTable:
    """The first place, the end and the step of each window, for each of three spatial dims."""

    def __init__(self, first: list[Array], end: list[Array], step: tuple[int, ...]) -> None:
        self.dims = len(first)
        self.out = tuple([len(f) for f in first])
        none = [np.zeros(1, np.int64)] * (3 - self.dims)  # what an image has no dim for is one window
        self.first = [*none, *(np.ascontiguousarray(f, np.int64) for f in first)]
        self.end = [*(one + 1 for one in none), *(np.ascontiguousarray(e, np.int64) for e in end)]
        self.step = (1,) * len(none) + tuple(step)


@op(places="", batch="leading")
def max_windows(self: Tensor, windows: WindowTable, grad_name: str) -> tuple[Array, Array]:
    """The largest element of each window of the last dims, and its place. Nodes are called `grad_name`.

    The first of equal ones; NaN if there is one. The gradient goes to that element.
    """
    x = np.ascontiguousarray(self)
    before = x.shape[: x.ndim - windows.dims]
    y = np.empty((*before, *windows.out), x.dtype)
    places = np.empty(y.shape, np.int64)
    size = (1,) * (3 - windows.dims) + x.shape[x.ndim - windows.dims :]
    pooling.largest_in_windows(
        x, y, places, math.prod(before), size, windows.first, windows.end, windows.step
    )
    return y, places


@max_windows.meta
def _max_windows_meta(self: Array, windows: WindowTable, grad_name: str) -> Any:
    shape = (*self.shape[: self.ndim - windows.dims], *windows.out)
    return meta_array(shape, self.dtype), meta_array(shape, np.dtype(np.int64))


def _flattened(a: Array, places: Array, dims: int) -> tuple[Array, Array, int]:
    """Both with one dim for the spatial ones, broadcast over the others, and how many these are."""
    if a.shape[: a.ndim - dims] != places.shape[: places.ndim - dims]:
        before = _common_before(a, places, dims)
        a = np.broadcast_to(a, (*before, *a.shape[a.ndim - dims :]))
        places = np.broadcast_to(places, (*before, *places.shape[places.ndim - dims :]))
    outer = math.prod(places.shape[: places.ndim - dims])
    return np.ascontiguousarray(a), np.ascontiguousarray(places, np.int64), outer


@op(places="", linear=True, batch="leading")
def put_places(self: Tensor, places: Tensor, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, to which elements are added at their places."""
    a, places, outer = _flattened(self, places, len(size))
    y = np.zeros((*a.shape[: a.ndim - len(size)], *size), a.dtype)
    count = math.prod(a.shape[a.ndim - len(size) :])
    pooling.scatter_places(a, y, places, outer, math.prod(size), count)
    return y


@op(places="", linear=True, batch="leading")
def take_places(self: Tensor, places: Tensor, dims: int, grad_name: str) -> Array:
    """The elements at some places of the last `dims` dims."""
    a, places, outer = _flattened(self, places, dims)
    y = np.empty(places.shape, a.dtype)
    before = a.ndim - dims
    pooling.gather_places(a, y, places, outer, math.prod(a.shape[before:]), math.prod(y.shape[before:]))
    return y


def _common_before(a: Array, places: Array, dims: int) -> tuple[int, ...]:
    """The dims before the spatial ones, broadcast."""
    return ops.common_shape(a.shape[: a.ndim - dims], places.shape[: places.ndim - dims])


@put_places.meta
def _put_places_meta(self: Array, places: Array, size: tuple[int, ...], grad_name: str) -> Array:
    return meta_array((*_common_before(self, places, len(size)), *size), self.dtype)


@take_places.meta
def _take_places_meta(self: Array, places: Array, dims: int, grad_name: str) -> Array:
    shape = (*_common_before(self, places, dims), *places.shape[places.ndim - dims :])
    return meta_array(shape, self.dtype)


max_windows.vjp(
    self=lambda g0, self_shape, windows, grad_name, result1: put_places(
        g0, result1, tuple(self_shape[len(self_shape) - windows.dims :]), grad_name
    )
)
put_places.vjp(self=lambda g, places, size, grad_name: take_places(g, places, len(size), grad_name))
take_places.vjp(
    self=lambda g, self_shape, places, dims, grad_name: put_places(
        g, places, tuple(self_shape[len(self_shape) - dims :]), grad_name
    )
)


@max_windows.jvp
def _max_windows_tangent(self: Any, windows: Any, grad_name: Any, result: Any) -> Any:
    return take_places(self, result[1], windows.dims, grad_name), None


for _record in (max_windows, put_places, take_places):
    _record.variant = "grad_name"


# ------------------------------------------------------------------------------------------ max_pool

_GRAD_NAMES = {1: "SqueezeBackward1", 2: "MaxPool2DWithIndicesBackward0", 3: "MaxPool3DWithIndicesBackward0"}
_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


@functools.lru_cache(1024)
def _max_pool_table(name: str, *args: Any) -> WindowTable:
    """The windows of a pooling without the places that lie in the padding."""
    windows = pool_windows(name, *args)
    first = [f + -(np.minimum(f, 0) // d) * d for f, d in zip(windows.first, windows.dilation, strict=True)]
    end = [np.minimum(e, n) for e, n in zip(windows.end, windows.size, strict=True)]
    return WindowTable(first, end, windows.dilation)


def _max_pool(
    dims: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints,
    ceil_mode: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """What max_pool1d, max_pool2d and max_pool3d do: the largest elements and their places."""
    args = hashable(kernel_size, stride, padding, dilation)
    windows = _max_pool_table(f"max_pool{dims}d", dims, tuple(input.shape), *args, ceil_mode)
    refuse(f"max_pool{max(dims, 2)}d", input, also=_INTEGERS)
    return max_windows(input, windows, _GRAD_NAMES[dims])


@public(places="t")
def max_pool1d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of sequences (..., n), behind a channel dim.

    As `max_pool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.max_pool1d(torch.ones(1, 4), 2).shape
    torch.Size([1, 2])
    """
    if not return_indices:
        pool_windows(
            "max_pool1d", 1, tuple(input.shape), *hashable(kernel_size, stride, padding, dilation), ceil_mode
        )
        refuse("max_pool1d_impl", input)
    both = _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


@public(places="t")
def max_pool1d_with_indices(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool1d` and the places of the largest elements."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode)


@public(places="t")
def max_pool2d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of images (..., height, width), behind a channel dim.

    Windows lie `stride` apart (by default side by side), their elements `dilation`, in an image with up to
    half a window of `padding`, which is never the largest. With `ceil_mode` the last may reach over the
    end. `return_indices` gives the places too, counted in the order of memory. RuntimeError for sizes that
    leave no window. The gradient goes to the first of the largest elements.

    >>> import pullback as torch
    >>> torch.nn.functional.max_pool2d(torch.ones(1, 4, 4), 2).shape
    torch.Size([1, 2, 2])
    """
    both = _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


@public()
def max_pool2d_with_indices(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool2d` and the places of the largest elements."""
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode)


@public(places="t")
def max_pool3d(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest element of each window of volumes (..., depth, height, width), behind a channel dim.

    As `max_pool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> torch.nn.functional.max_pool3d(torch.ones(1, 4, 4, 4), 2).shape
    torch.Size([1, 2, 2, 2])
    """
    both = _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)
    return both if return_indices else both[0]


@public()
def max_pool3d_with_indices(
    input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
    ceil_mode: bool = False, return_indices: bool = True,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`max_pool3d` and the places of the largest elements."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode)


# --------------------------------------------------------------------------------- adaptive_max_pool


@functools.lru_cache(1024)
def _adaptive_table(name: str, dims: int, shape: tuple[int, ...], output_size: Any) -> WindowTable:
    windows = adaptive_windows(name, dims, shape, output_size)
    return WindowTable(windows.first, windows.end, windows.dilation)


def _adaptive_max_pool(dims: int, input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """What adaptive_max_pool1d, adaptive_max_pool2d and adaptive_max_pool3d do."""
    name = f"adaptive_max_pool{dims}d"
    windows = _adaptive_table(name, dims, tuple(input.shape), *hashable(output_size))
    refuse("adaptive_max_pool3d_cpu" if dims == 3 else "adaptive_max_pool2d", input)
    grad_name = "SqueezeBackward1" if dims == 1 else f"AdaptiveMaxPool{dims}DBackward0"
    return max_windows(input, windows, grad_name)


@public()
def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` windows that cover each dim evenly.

    Windows lie as those of `adaptive_avg_pool1d`; the rest is as in `max_pool1d`.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_max_pool1d(torch.ones(1, 5), 2).shape
    torch.Size([1, 2])
    """
    both = _adaptive_max_pool(1, input, output_size)
    return both if return_indices else both[0]


@public()
def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool1d` and the places of the largest elements."""
    return _adaptive_max_pool(1, input, output_size)


SURFACE["torch"]["adaptive_max_pool1d"] = adaptive_max_pool1d_with_indices  # gives the places, too


@public()
def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` windows that cover each dim evenly.

    Windows lie as those of `adaptive_avg_pool2d`; the rest is as in `max_pool2d`.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_max_pool2d(torch.ones(1, 5, 5), 2).shape
    torch.Size([1, 2, 2])
    """
    both = _adaptive_max_pool(2, input, output_size)
    return both if return_indices else both[0]


@public()
def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool2d` and the places of the largest elements."""
    return _adaptive_max_pool(2, input, output_size)


@public()
def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` windows that cover each dim evenly.

    Windows lie as those of `adaptive_avg_pool3d`; the rest is as in `max_pool3d`.

    >>> import pullback as torch
    >>> torch.nn.functional.adaptive_max_pool3d(torch.ones(1, 5, 5, 5), 2).shape
    torch.Size([1, 2, 2, 2])
    """
    both = _adaptive_max_pool(3, input, output_size)
    return both if return_indices else both[0]


@public()
def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool3d` and the places of the largest elements."""
    return _adaptive_max_pool(3, input, output_size)


# -------------------------------------------------------------------------------- fractional windows


def _fractional_starts(samples: Array, n: int, out: int, kernel: int) -> Array:
    """Where the windows of one dim begin, for each sample: at steps that vary by one, pseudo-randomly."""
    if out == 1:
        return np.full((len(samples), 1), n - kernel)
    alpha = samples.dtype.type(n - kernel) / samples.dtype.type(out - 1)
    place = np.arange(out - 1, dtype=samples.dtype)
    begin = ((place + samples[:, None]) * alpha).astype(np.int64) - (samples[:, None] * alpha).astype(
        np.int64
    )
    return np.concatenate([begin, np.full((len(samples), 1), n - kernel)], axis=1)


@op(places="")
def fractional_max_windows(
    self: Tensor, samples: Tensor, kernel: tuple[int, ...], out: tuple[int, ...], grad_name: str
) -> tuple[Array, Array]:
    """The largest elements of windows that begin where random samples say, one set for each channel."""
    dims, x = len(kernel), np.ascontiguousarray(self)
    size, before = x.shape[x.ndim - dims :], x.shape[: x.ndim - dims]
    count, pixels = math.prod(before), math.prod(size)
    samples = samples[: before[0] if len(before) > 1 else 1]
    picked = np.broadcast_to(samples, (*before, dims) if len(before) > 1 else (1, *before, dims))
    picked = picked.reshape(count, dims).astype(x.dtype)
    at: Any = 0
    for d in range(dims):  # of images, the sample of the width comes first
        starts = _fractional_starts(picked[:, 1 - d if dims == 2 else d], size[d], out[d], kernel[d])
        taken = starts[:, :, None] + np.arange(kernel[d])
        shape = [count, *(1,) * (2 * dims)]
        shape[1 + d], shape[1 + dims + d] = out[d], kernel[d]
        at = at * size[d] + taken.reshape(shape)
    at = at.reshape(count, math.prod(out), math.prod(kernel))
    values = np.take_along_axis(x.reshape(count, 1, pixels), at, axis=2)
    best = np.argmax(values, axis=2)[..., None]
    y = np.take_along_axis(values, best, 2).reshape(*before, *out)
    return y, np.take_along_axis(at, best, 2).reshape(*before, *out)


@fractional_max_windows.meta
def _fractional_meta(self: Array, samples: Array, kernel: Any, out: tuple[int, ...], grad_name: str) -> Any:
    shape = (*self.shape[: self.ndim - len(out)], *out)
    return meta_array(shape, self.dtype), meta_array(shape, np.dtype(np.int64))


fractional_max_windows.variant = "grad_name"
fractional_max_windows.vjp(
    self=lambda g0, self_shape, kernel, grad_name, result1: put_places(
        g0, result1, tuple(self_shape[len(self_shape) - len(kernel) :]), grad_name
    )
)


@fractional_max_windows.batch
def _fractional_batch(level: Any, op: Op, self: Any, samples: Any, kernel: Any, *options: Any) -> Any:
    """Samples of the places are (N, C, dims), of which a single image takes the first."""
    places = level.front(samples)
    if self.ndim == len(kernel) + 1:
        return level.wrap(op(level.front(self), places[:, 0], kernel, *options))
    places = ops.reshape(places[:, : self.shape[0]], (-1, *samples.shape[1:]))
    return tuple([unfolded(level, r) for r in op(folded(level, self), places, kernel, *options)])


def _fractional_size(name: str, size: tuple[int, ...], output_size: Any, output_ratio: Any) -> Any:
    """The size of the result: as given, or the ratio of the input's."""
    if output_size is not None:
        return output_size
    alone = len(size) == 3 and not isinstance(output_ratio, (tuple, list))
    ratios = (output_ratio,) * 3 if alone else output_ratio
    if len(ratios) > len(size):
        refusals.refuse_ratios(name)
    return tuple([int(n * ratio) for n, ratio in zip(size, ratios, strict=True)])


def _per_dim_or_refused(name: str, what: str, value: Any, dims: int) -> tuple[int, ...]:
    if isinstance(value, (tuple, list)) and len(value) not in (1, dims):
        refusals.refuse_fractional_list(name, what)
    return per_dim(name, dims, what, value)


def _fractional_max_pool(
    dims: int, input: Tensor, kernel_size: Ints, output_size: Any, output_ratio: Any, samples: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What fractional_max_pool2d and fractional_max_pool3d do: the largest elements and their places."""
    name, shape = f"fractional_max_pool{dims}d", tuple(input.shape)
    refusals.check_fractional(name, dims, shape, output_size, output_ratio)
    size = shape[-dims:]
    made = _fractional_size(name, size, output_size, output_ratio)
    kernel = _per_dim_or_refused(name, "kernel_size", kernel_size, dims)
    out = _per_dim_or_refused(name, "output_size", made, dims)
    refusals.check_fractional_room(name, size, kernel, out)
    if samples is None:
        batch = shape[0] if len(shape) == dims + 2 else 1
        samples = ops.rand(batch, shape[-dims - 1], dims, dtype=input.dtype, device=input.device)
    refusals.check_random_samples(samples, dims)
    refuse(f"{name}_out_frame", input)
    return fractional_max_windows(input, samples, kernel, out, f"FractionalMaxPool{dims}DBackward0")


@public()
def fractional_max_pool2d(
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest elements of windows that lie at pseudo-random steps.

    There are `output_size` of them, or `output_ratio` times the input's size; `_random_samples` (batch,
    channels, 2) in [0, 1) says where, drawn if None. ValueError without either. The gradient goes to the
    first of the largest elements.

    >>> import pullback as torch
    >>> torch.nn.functional.fractional_max_pool2d(torch.ones(1, 5, 5), 2, output_size=3).shape
    torch.Size([1, 3, 3])
    """
    both = _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return both if return_indices else both[0]


@public()
def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
    return_indices: bool = True, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`fractional_max_pool2d` and the places of the largest elements."""
    return _fractional_max_pool(2, input, kernel_size, output_size, output_ratio, _random_samples)


@public()
def fractional_max_pool3d(
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest elements of windows that lie at pseudo-random steps.

    There are `output_size` of them, or `output_ratio` times the input's size; `_random_samples` (batch,
    channels, 3) in [0, 1) says where, drawn if None. ValueError without either. The gradient goes to the
    first of the largest elements.

    >>> import pullback as torch
    >>> torch.nn.functional.fractional_max_pool3d(torch.ones(1, 5, 5, 5), 2, output_size=3).shape
    torch.Size([1, 3, 3, 3])
    """
    both = _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return both if return_indices else both[0]


@public()
def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
    return_indices: bool = True, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`fractional_max_pool3d` and the places of the largest elements."""
    return _fractional_max_pool(3, input, kernel_size, output_size, output_ratio, _random_samples)


# ---------------------------------------------------------------------------------------- max_unpool


@op(places="")
def unpool_places(self: Tensor, indices: Tensor, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, with elements put at their places: the last of equal ones stays."""
    refusals.check_unpool(self, indices, len(size))
    before = self.shape[: self.ndim - len(size)]
    y = np.zeros((math.prod(before), math.prod(size)), self.dtype)
    places = indices.reshape(len(y), -1)
    refusals.check_unpool_places(places, size)
    np.put_along_axis(y, places, self.reshape(places.shape), 1)
    return y.reshape(*before, *size)


@unpool_places.meta
def _unpool_meta(self: Array, indices: Array, size: tuple[int, ...], grad_name: str) -> Array:
    refusals.check_unpool(self, indices, len(size))
    return meta_array((*self.shape[: self.ndim - len(size)], *size), self.dtype)


unpool_places.variant = "grad_name"
unpool_places.vjp(self=lambda g, indices, size, grad_name: take_places(g, indices, len(size), grad_name))


@unpool_places.batch
def _unpool_batch(level: Any, op: Op, self: Any, indices: Any, size: tuple[int, ...], grad_name: str) -> Any:
    if self.ndim == len(size) + 2:
        return samples(level, op, self, indices, size, grad_name)
    return level.wrap(op(level.front(self), level.front(indices), size, grad_name))


def _unpooled_size(
    shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, output_size: Any
) -> tuple[int, ...]:
    """The size that was pooled: as given, if that can be, or the least."""
    each_dim = zip(shape[-len(kernel) :], kernel, stride, padding, strict=False)
    least = tuple((n - 1) * s + k - 2 * p for n, k, s, p in each_dim)
    return least if output_size is None else refusals.check_unpool_size(output_size, least, stride)


def _max_unpool(
    dims: int, grad_name: str, input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None,
    padding: Ints, output_size: Any,
) -> Tensor:  # fmt: skip
    """What max_unpool1d, max_unpool2d and max_unpool3d do."""

    def as_tuple(value: Ints) -> tuple[int, ...]:
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims

    kernel = as_tuple(kernel_size)
    steps = kernel if stride is None else as_tuple(stride)
    size = _unpooled_size(tuple(input.shape), kernel, steps, as_tuple(padding), output_size)
    refuse(f"max_unpool{max(dims, 2)}d", input)
    return unpool_places(input, indices, size, grad_name)


@public()
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Puts the elements that `max_pool1d` found back to their places, among zeros.

    As `max_unpool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> F = torch.nn.functional
    >>> y, places = F.max_pool1d(torch.ones(1, 4), 2, return_indices=True)
    >>> F.max_unpool1d(y, places, 2).shape
    torch.Size([1, 4])
    """
    return _max_unpool(1, "SqueezeBackward1", input, indices, kernel_size, stride, padding, output_size)


@public()
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Puts the elements that `max_pool2d` found back to their places, among zeros.

    `indices` are the places that the pooling gave, the other arguments its own; `output_size` chooses among
    the sizes that it may have pooled. ValueError for one that it cannot have, RuntimeError for places outside
    of it. The gradient is taken from the places.

    >>> import pullback as torch
    >>> F = torch.nn.functional
    >>> y, places = F.max_pool2d(torch.ones(1, 4, 4), 2, return_indices=True)
    >>> F.max_unpool2d(y, places, 2).shape
    torch.Size([1, 4, 4])
    """
    return _max_unpool(2, "MaxUnpool2DBackward0", input, indices, kernel_size, stride, padding, output_size)


@public()
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Puts the elements that `max_pool3d` found back to their places, among zeros.

    As `max_unpool2d`, which says what the arguments mean.

    >>> import pullback as torch
    >>> F = torch.nn.functional
    >>> y, places = F.max_pool3d(torch.ones(1, 4, 4, 4), 2, return_indices=True)
    >>> F.max_unpool3d(y, places, 2).shape
    torch.Size([1, 4, 4, 4])
    """
    return _max_unpool(3, "MaxUnpool3DBackward0", input, indices, kernel_size, stride, padding, output_size)
