"""Largest elements of windows: max_pool and adaptive_max_pool.

All poolings are one op, `max_windows`, on a table of windows for each spatial dim. It gives the places
of the elements too, and its derivative is `put_places`: the gradients added at these places; the
derivative of that is `take_places`. Read windows.py, `max_windows`, then `max_pool2d`. The loops are in
`kernels/pooling.pyx`. fractional_max_pool is in fractional_pooling.py, max_unpool in max_unpooling.py.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core._plans import Lasting, Plan, Spec
from pullback.core.dtypes import int64
from pullback.core.op import SURFACE, op
from pullback.core.types import Array, Ints
from pullback.kernels import pooling
from pullback.kernels.steps import call
from pullback.ops.images.windows import adaptive_windows, hashable, pool_windows
from pullback.ops.shared.chains import Chain, Step
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse

# --------------------------------------------------------------------------------------- three ops


class WindowTable(Lasting):
    """The first place, the end and the step of each window, for each of three spatial dims."""

    def __init__(self, first: list[Array], end: list[Array], step: tuple[int, ...]) -> None:
        self.dims = len(first)
        self.out = tuple([len(f) for f in first])
        none = [np.zeros(1, np.int64)] * (3 - self.dims)  # what an image has no dim for is one window
        self.first = [*none, *(np.ascontiguousarray(f, np.int64) for f in first)]
        self.end = [*(one + 1 for one in none), *(np.ascontiguousarray(e, np.int64) for e in end)]
        self.step = (1,) * len(none) + tuple(step)
        addresses = [pooling.address(a) for a in (*self.first, *self.end)]
        self.geometry = (*[len(f) for f in self.first], *self.step, *addresses)


@op(places="", batch="leading", layout="F", flat_slope=True)
def max_windows(self: Array, windows: WindowTable, grad_name: str) -> tuple[Array, Array]:
    """The largest element of each window of the last dims, and its place. Nodes are called `grad_name`.

    The first of equal ones; NaN if there is one. The gradient goes to that element.
    """
    x = np.ascontiguousarray(self)
    before = x.shape[: x.ndim - windows.dims]
    y = np.empty((*before, *windows.out), x.dtype)
    places = np.empty(y.shape, np.int64)
    size = (1,) * (3 - windows.dims) + x.shape[x.ndim - windows.dims :]
    call(
        pooling.RUNS["max_windows"][x.dtype.name],
        (*size, *windows.geometry),
        (x, y, places),
        math.prod(before),
    )
    return y, places


@max_windows.prepare
def _plan_max_windows(self: Spec, windows: WindowTable, grad_name: str) -> Plan:
    first = self.ndim - windows.dims
    before, size = self.shape[:first], (1,) * (3 - windows.dims) + self.shape[first:]
    shape = (*before, *windows.out)
    chain = Chain(1, (Spec(self.dtype, shape), Spec(int64, shape)))
    step = Step(pooling.RUNS["max_windows"][self.dtype.name], (*size, *windows.geometry), math.prod(before))
    chain.add(step, chain.contiguous(0, self), chain.result(0), chain.result(1))
    return chain.plan()


def _flattened(a: Array, places: Array, dims: int) -> tuple[Array, Array, int]:
    """Both with one dim for the spatial ones, broadcast over the others, and how many these are."""
    if a.shape[: a.ndim - dims] != places.shape[: places.ndim - dims]:
        before = _common_before(a, places, dims)
        a = np.broadcast_to(a, (*before, *a.shape[a.ndim - dims :]))
        places = np.broadcast_to(places, (*before, *places.shape[places.ndim - dims :]))
    outer = math.prod(places.shape[: places.ndim - dims])
    return np.ascontiguousarray(a), np.ascontiguousarray(places, np.int64), outer


@op(places="", linear=True, batch="leading", layout="F")
def put_places(self: Array, places: Array, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, to which elements are added at their places."""
    a, places, outer = _flattened(self, places, len(size))
    y = np.zeros((*a.shape[: a.ndim - len(size)], *size), a.dtype)
    count = math.prod(a.shape[a.ndim - len(size) :])
    call(pooling.RUNS["put_places"][a.dtype.name], (math.prod(size), count), (a, places, y), outer)
    return y


@put_places.prepare
def _plan_put_places(self: Spec, places: Spec, size: tuple[int, ...], grad_name: str) -> Plan:
    dims = len(size)
    result = Spec(self.dtype, (*_common_before(self, places, dims), *size))
    return _moved("put_places", self, places, dims, result, math.prod(size))


def _moved(name: str, self: Spec, places: Spec, dims: int, result: Spec, size: int) -> Plan:
    """The plan of what moves elements by places, of tensors whose other dims are the same."""
    before, run = places.shape[: places.ndim - dims], pooling.RUNS[name].get(self.dtype.name)
    if self.shape[: self.ndim - dims] != before or run is None or places.dtype is not int64:
        return Plan(result)
    count = math.prod(places.shape[places.ndim - dims :])
    chain = Chain(2, result)
    step = Step(run, (size, count), math.prod(before))
    chain.add(step, chain.contiguous(0, self), chain.contiguous(1, places), chain.result())
    return chain.plan()


@op(places="", linear=True, batch="leading", layout="F")
def take_places(self: Array, places: Array, dims: int, grad_name: str) -> Array:
    """The elements at some places of the last `dims` dims."""
    a, places, outer = _flattened(self, places, dims)
    y = np.empty(places.shape, a.dtype)
    before = a.ndim - dims
    sizes = math.prod(a.shape[before:]), math.prod(y.shape[before:])
    call(pooling.RUNS["take_places"][a.dtype.name], sizes, (a, places, y), outer)
    return y


@take_places.prepare
def _plan_take_places(self: Spec, places: Spec, dims: int, grad_name: str) -> Plan:
    shape = (*_common_before(self, places, dims), *places.shape[places.ndim - dims :])
    size = math.prod(self.shape[self.ndim - dims :])
    return _moved("take_places", self, places, dims, Spec(self.dtype, shape), size)


def _common_before(a: Any, places: Any, dims: int) -> tuple[int, ...]:
    """The dims before the spatial ones, broadcast."""
    return ops.common_shape(a.shape[: a.ndim - dims], places.shape[: places.ndim - dims])


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
    windows = _max_pool_table(f"max_pool{dims}d", dims, input.shape, *args, ceil_mode)
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
            "max_pool1d", 1, input.shape, *hashable(kernel_size, stride, padding, dilation), ceil_mode
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
    windows = _adaptive_table(name, dims, input.shape, *hashable(output_size))
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
    input: Tensor, output_size: Ints, return_indices: bool = True
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
