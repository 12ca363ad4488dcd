"""Largest elements of windows: max_pool, adaptive_max_pool, fractional_max_pool, and max_unpool.

All poolings are one op, `max_windows`, on a table of windows for each spatial dim. It gives the places
of the elements too, and its derivative is `put_places`: the gradients added at these places; the
derivative of that is `take_places`. Read `max_windows`, then `max_pool2d`. The loops are in
`pullback/pooling.pyx`.
"""

from __future__ import annotations

import functools
import math
from operator import index
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.meta import meta_array
from pullback.core.op import SURFACE, op
from pullback.core.types import Array, Ints
from pullback.kernels import pooling
from pullback.ops.images.pooling import adaptive_windows, hashable, placed
from pullback.ops.shared.batches import folded, samples, unfolded
from pullback.ops.shared.forms import public, refuse

"""An int, or one for each spatial dim."""

# --------------------------------------------------------------------------------------- three ops


class Windows:
    """The first place, the end and the step of each window, for each of three spatial dims."""

    def __init__(self, firsts: list[Array], ends: list[Array], steps: tuple[int, ...]) -> None:
        self.dims = len(firsts)
        self.out = tuple([len(first) for first in firsts])
        ones = [np.zeros(1, np.int64)] * (3 - self.dims)
        self.firsts = [*ones, *(np.ascontiguousarray(f, np.int64) for f in firsts)]
        self.ends = [*(one + 1 for one in ones), *(np.ascontiguousarray(e, np.int64) for e in ends)]
        self.steps = (1,) * len(ones) + tuple(steps)


@op(places="", batch="leading")
def max_windows(self: Tensor, windows: Windows, grad_name: str) -> tuple[Array, Array]:
    """The largest element of each window of the last dims, and its place. Nodes are called `grad_name`.

    The first of equal ones; NaN if there is one. The gradient goes to that element.
    """
    x = np.ascontiguousarray(self)
    before = x.shape[: x.ndim - windows.dims]
    y = np.empty((*before, *windows.out), x.dtype)
    places = np.empty(y.shape, np.int64)
    size = (1,) * (3 - windows.dims) + x.shape[x.ndim - windows.dims :]
    pooling.largest_in_windows(
        x, y, places, math.prod(before), size, windows.firsts, windows.ends, windows.steps
    )
    return y, places


@max_windows.meta
def _max_windows_meta(self: Array, windows: Windows, grad_name: str) -> Any:
    shape = (*self.shape[: self.ndim - windows.dims], *windows.out)
    return meta_array(shape, self.dtype), meta_array(shape, np.dtype(np.int64))


def _flat(a: Array, places: Array, dims: int) -> tuple[Array, Array, int]:
    """Both with one dim for the spatial ones, broadcast over the others, and how many these are."""
    if a.shape[: a.ndim - dims] != places.shape[: places.ndim - dims]:
        before = np.broadcast_shapes(a.shape[: a.ndim - dims], places.shape[: places.ndim - dims])
        a = np.broadcast_to(a, (*before, *a.shape[a.ndim - dims :]))
        places = np.broadcast_to(places, (*before, *places.shape[places.ndim - dims :]))
    outer = math.prod(places.shape[: places.ndim - dims])
    return np.ascontiguousarray(a), np.ascontiguousarray(places, np.int64), outer


@op(places="", linear=True, batch="leading")
def put_places(self: Tensor, places: Tensor, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, to which elements are added at their places."""
    a, places, outer = _flat(self, places, len(size))
    y = np.zeros((*a.shape[: a.ndim - len(size)], *size), a.dtype)
    count = math.prod(a.shape[a.ndim - len(size) :])
    pooling.scatter_places(a, y, places, outer, math.prod(size), count)
    return y


@op(places="", linear=True, batch="leading")
def take_places(self: Tensor, places: Tensor, dims: int, grad_name: str) -> Array:
    """The elements at some places of the last `dims` dims."""
    a, places, outer = _flat(self, places, dims)
    y = np.empty(places.shape, a.dtype)
    before = a.ndim - dims
    pooling.gather_places(a, y, places, outer, math.prod(a.shape[before:]), math.prod(y.shape[before:]))
    return y


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


@functools.lru_cache(1024)
def _pool_windows(name: str, shape: tuple[int, ...], *args: Any) -> Windows:
    """Windows without the places that lie in the padding."""
    _, firsts, ends, dilation, _ = placed(name, shape, *args)
    dims = len(firsts)
    low = [f + -(np.minimum(f, 0) // d) * d for f, d in zip(firsts, dilation, strict=True)]
    high = [np.minimum(e, n) for e, n in zip(ends, shape[-dims:], strict=True)]
    return Windows(low, high, dilation)


_SHOWN = {1: "SqueezeBackward1", 2: "MaxPool2DWithIndicesBackward0", 3: "MaxPool3DWithIndicesBackward0"}
_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


def _declare(dims: int) -> tuple[Any, Any]:
    """max_pool1d, max_pool2d, max_pool3d, and the same that always give the places."""
    name = f"max_pool{dims}d"

    def with_indices(
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
        ceil_mode: bool = False, return_indices: bool = True,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        args = hashable(kernel_size, stride, padding, dilation)
        windows = _pool_windows(name, tuple(input.shape), *args, ceil_mode)
        refuse(name.replace("1d", "2d"), input, also=_INTEGERS)
        return max_windows(input, windows, _SHOWN[dims])

    def max_pool(
        input: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, dilation: Ints = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        if dims == 1 and not return_indices:
            placed(name, tuple(input.shape), *hashable(kernel_size, stride, padding, dilation), ceil_mode)
            refuse("max_pool1d_impl", input)
        both = with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)
        return both if return_indices else both[0]

    space = {1: "sequences (..., n)", 2: "images (..., height, width)", 3: "volumes (..., d, h, w)"}[dims]
    size = ", ".join(["4"] * dims)
    made = ", ".join(["2"] * dims)
    max_pool.__name__ = name
    with_indices.__name__ = with_indices.__qualname__ = f"{name}_with_indices"
    with_indices.__doc__ = f"`{name}` and the places of the largest elements."
    max_pool.__doc__ = f"""The largest element of each window of {space}, behind a channel dim.

    Windows lie `stride` apart (by default side by side), their elements `dilation`, in an image with up to
    half a window of `padding`, which is never the largest. With `ceil_mode` the last may reach over the
    end. `return_indices` gives the places too, counted in the order of memory. RuntimeError for sizes that
    leave no window. The gradient goes to the first of the largest elements.

    >>> import pullback as torch
    >>> torch.nn.functional.{name}(torch.ones(1, {size}), 2).shape
    torch.Size([1, {made}])
    """
    places = "t" if dims == 1 else ""
    return public(places="t")(max_pool), public(places=places)(with_indices)


max_pool1d, max_pool1d_with_indices = _declare(1)
max_pool2d, max_pool2d_with_indices = _declare(2)
max_pool3d, max_pool3d_with_indices = _declare(3)


# --------------------------------------------------------------------------------- adaptive_max_pool


@functools.lru_cache(1024)
def _adaptive(name: str, shape: tuple[int, ...], size: Ints) -> Windows:
    firsts, ends = adaptive_windows(name, shape, size)
    return Windows(firsts, ends, (1,) * len(firsts))


def _declare_adaptive(dims: int) -> Any:
    """adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d."""
    name = f"adaptive_max_pool{dims}d"
    shown = "SqueezeBackward1" if dims == 1 else f"AdaptiveMaxPool{dims}DBackward0"

    def with_indices(input: Tensor, output_size: Ints, return_indices: bool = True) -> tuple[Tensor, Tensor]:
        windows = _adaptive(name, tuple(input.shape), *hashable(output_size))
        refuse(f"{name}_cpu" if dims == 3 else "adaptive_max_pool2d", input)
        return max_windows(input, windows, shown)

    def adaptive_max_pool(input: Tensor, output_size: Ints, return_indices: bool = False) -> Any:
        both = with_indices(input, output_size)
        return both if return_indices else both[0]

    size = ", ".join(["5"] * dims)
    made = ", ".join(["2"] * dims)
    adaptive_max_pool.__name__ = name
    with_indices.__name__ = with_indices.__qualname__ = f"{name}_with_indices"
    with_indices.__doc__ = f"`{name}` and the places of the largest elements."
    adaptive_max_pool.__doc__ = f"""The largest elements of `output_size` windows that cover each dim evenly.

    Windows lie as those of `adaptive_avg_pool{dims}d`; the rest is as in `max_pool{dims}d`.

    >>> import pullback as torch
    >>> torch.nn.functional.{name}(torch.ones(1, {size}), 2).shape
    torch.Size([1, {made}])
    """
    both = public()(with_indices)
    if dims == 1:  # torch.adaptive_max_pool1d gives the places, too
        SURFACE["torch"][name] = both
    return public()(adaptive_max_pool)


adaptive_max_pool1d = _declare_adaptive(1)
adaptive_max_pool2d = _declare_adaptive(2)
adaptive_max_pool3d = _declare_adaptive(3)


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


def _fractional(
    dims: int, input: Tensor, kernel_size: Ints, output_size: Ints, output_ratio: Any, samples: Tensor | None
) -> tuple[Tensor, Tensor]:
    name = f"fractional_max_pool{dims}d"
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    shape = tuple(input.shape)
    if len(shape) <= dims:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but "
            f"got {-dims - 1})"
        )
    kernel = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size,) * dims
    if output_size is None:
        ratios = output_ratio if dims == 2 or isinstance(output_ratio, (tuple, list)) else (output_ratio,) * 3
        if len(ratios) > dims:
            raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
        output_size = tuple([int(n * r) for n, r in zip(shape[-dims:], ratios, strict=True)])
    out = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * dims
    for what, values in (("kernel_size", kernel), ("output_size", out)):
        if len(values) not in (1, dims):
            raise RuntimeError(f"{name}: {what} must either be a single Int or tuple of Ints")
    kernel = tuple(index(k) for k in kernel) * (dims if len(kernel) == 1 else 1)
    out = tuple(index(n) for n in out) * (dims if len(out) == 1 else 1)
    labels = ("height", "width") if dims == 2 else ("time", "height", "width")
    for label, n, k, m in zip(labels, shape[-dims:], kernel, out, strict=True):
        if m + k - 1 > n - (dims == 3):  # PyTorch's two kernels differ by one
            shown = "_out" if dims == 3 else ""
            raise RuntimeError(f"{name}{shown}(): pool {label} {k} too large relative to input {label} {n}")
    if samples is None:
        batch = shape[0] if len(shape) == dims + 2 else 1
        samples = ops.rand(batch, shape[-dims - 1], dims, dtype=input.dtype)
    elif samples.ndim == 3 and samples.shape[2] != dims:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {dims}; got {samples.shape[2]}.")
    refuse(f"{name}_out_frame", input)
    return fractional_max_windows(input, samples, kernel, out, f"FractionalMaxPool{dims}DBackward0")


def _declare_fractional(dims: int) -> Any:
    """fractional_max_pool2d, fractional_max_pool3d."""
    name = f"fractional_max_pool{dims}d"

    def with_indices(
        input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
        return_indices: bool = True, _random_samples: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        return _fractional(dims, input, kernel_size, output_size, output_ratio, _random_samples)

    def fractional_max_pool(
        input: Tensor, kernel_size: Ints, output_size: Ints | None = None, output_ratio: Any = None,
        return_indices: bool = False, _random_samples: Tensor | None = None,
    ) -> Any:  # fmt: skip
        both = with_indices(input, kernel_size, output_size, output_ratio, True, _random_samples)
        return both if return_indices else both[0]

    size = ", ".join(["5"] * dims)
    made = ", ".join(["3"] * dims)
    fractional_max_pool.__name__, with_indices.__name__ = name, f"{name}_with_indices"
    with_indices.__doc__ = f"`{name}` and the places of the largest elements."
    fractional_max_pool.__doc__ = f"""The largest elements of windows that lie at pseudo-random steps.

    There are `output_size` of them, or `output_ratio` times the input's size; `_random_samples` (batch,
    channels, {dims}) in [0, 1) says where, drawn if None. ValueError without either. The gradient goes to the
    first of the largest elements.

    >>> import pullback as torch
    >>> torch.nn.functional.{name}(torch.ones(1, {size}), 2, output_size=3).shape
    torch.Size([1, {made}])
    """
    public()(with_indices)
    return public()(fractional_max_pool)


fractional_max_pool2d = _declare_fractional(2)
fractional_max_pool3d = _declare_fractional(3)


# ---------------------------------------------------------------------------------------- max_unpool


@op(places="")
def unpool_places(self: Tensor, indices: Tensor, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, with elements put at their places: the last of equal ones stays."""
    _check_unpool(self, indices, size)
    count = math.prod(size)
    before = self.shape[: self.ndim - len(size)]
    y = np.zeros((math.prod(before), count), self.dtype)
    places = indices.reshape(len(y), -1)
    wrong = places[(places < 0) | (places >= count)]
    if wrong.size:
        made = "x".join(map(str, size if len(size) > 1 else (*size, 1)))
        raise RuntimeError(f"Found an invalid max index: {wrong[0]} (output volumes are of size {made})")
    np.put_along_axis(y, places, self.reshape(places.shape), 1)
    return y.reshape(*before, *size)


unpool_places.variant = "grad_name"
unpool_places.vjp(self=lambda g, indices, size, grad_name: take_places(g, indices, len(size), grad_name))


@unpool_places.batch
def _unpool_batch(level: Any, op: Op, self: Any, indices: Any, size: tuple[int, ...], grad_name: str) -> Any:
    if self.ndim == len(size) + 2:
        return samples(level, op, self, indices, size, grad_name)
    return level.wrap(op(level.front(self), level.front(indices), size, grad_name))


def _check_unpool(x: Array, indices: Array, size: tuple[int, ...]) -> None:
    dims = len(size)
    shown = max(dims, 2)
    if indices.dtype != np.int64:
        name = {"f": "Float", "d": "Double", "i": "Int"}.get(indices.dtype.char, indices.dtype.name)
        raise RuntimeError(f"elements in indices should be type int64 but got: {name}")
    extra = (1,) if dims == 1 else ()
    if x.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(
            f"Input to max_unpooling{shown}d should be a {shown + 1}d or {shown + 2}d Tensor, but got a "
            f"tensor with {x.ndim + len(extra)} dimensions."
        )
    if x.shape != indices.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({[*x.shape, *extra]}) but "
            f"got indices tensor with shape: {[*indices.shape, *extra]}"
        )
    for d in range(x.ndim == dims + 2, x.ndim):
        if not x.shape[d]:
            raise RuntimeError(
                f"max_unpooling{shown}d_forward_out_cpu(): Expected input to have non-zero size for "
                f"non-batch dimensions, but got {[*x.shape, *extra]} with dimension {d} being empty."
            )


def _unpool_size(
    shape: tuple[int, ...], kernel: Any, stride: Any, padding: Any, output_size: Any
) -> tuple[int, ...]:
    """The size that was pooled: as given, if that can be, or the least."""
    dims = len(kernel)
    every = zip(shape[-dims:], kernel, stride, padding, strict=False)
    least = tuple((n - 1) * s + k - 2 * p for n, k, s, p in every)
    if output_size is None:
        return least
    given = list(output_size)
    if len(given) == dims + 2:
        given = given[2:]
    if len(given) != dims:
        raise ValueError(
            f"output_size should be a sequence containing {dims} or {dims + 2} elements, but it has a "
            f"length of '{len(given)}'"
        )
    for d, (n, m, s) in enumerate(zip(given, least, stride, strict=True)):
        if not m - s < n < m + s:
            raise ValueError(
                f'invalid output_size "{output_size}" (dim {d} must be between {m - s} and {m + s})'
            )
    return tuple(given)


def _declare_unpool(dims: int) -> Any:
    """max_unpool1d, max_unpool2d, max_unpool3d."""
    name = f"max_unpool{dims}d"
    shown = "SqueezeBackward1" if dims == 1 else f"MaxUnpool{dims}DBackward0"

    def max_unpool(
        input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
        output_size: Any = None,
    ) -> Tensor:  # fmt: skip
        def listed(value: Ints) -> tuple[int, ...]:
            return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims

        kernel = listed(kernel_size)
        steps = kernel if stride is None else listed(stride)
        size = _unpool_size(tuple(input.shape), kernel, steps, listed(padding), output_size)
        refuse(f"max_unpool{max(dims, 2)}d", input)
        return unpool_places(input, indices, size, shown)

    size = ", ".join(["4"] * dims)
    max_unpool.__name__ = name
    max_unpool.__doc__ = f"""Puts the elements that `max_pool{dims}d` found back to their places, among zeros.

    `indices` are the places that the pooling gave, the other arguments its own; `output_size` chooses among
    the sizes that it may have pooled. ValueError for one that it cannot have, RuntimeError for places outside
    of it. The gradient is taken from the places.

    >>> import pullback as torch
    >>> F = torch.nn.functional
    >>> y, places = F.max_pool{dims}d(torch.ones(1, {size}), 2, return_indices=True)
    >>> F.{name}(y, places, 2).shape
    torch.Size([1, {size}])
    """
    return public()(max_unpool)


max_unpool1d = _declare_unpool(1)
max_unpool2d = _declare_unpool(2)
max_unpool3d = _declare_unpool(3)
