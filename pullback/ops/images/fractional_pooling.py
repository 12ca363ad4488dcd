"""Largest elements of windows that lie at pseudo-random steps: fractional_max_pool.

`fractional_max_windows` finds them and their places; its derivative is that of max_pooling.py, and the loops
are in `kernels/pooling.h`, which says where windows begin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int64
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.kernels import pooling
from pullback.kernels.steps import call
from pullback.ops.images import refusals
from pullback.ops.images.max_pooling import put_places
from pullback.ops.images.windows import per_dim
from pullback.ops.shared.at import steps_of
from pullback.ops.shared.batches import folded, unfolded
from pullback.ops.shared.chains import Chain, Place, Step
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse


@op(places="", takes_half=True, flat_slope=True)
def fractional_max_windows(
    self: Array, samples: Array, kernel: tuple[int, ...], out: tuple[int, ...], grad_name: str
) -> tuple[Array, Array]:
    """The largest elements of windows that begin where random samples say, one set for each channel.

    The first of equal ones; NaN if there is one. Windows stay inside whatever the samples are.
    """
    x = np.ascontiguousarray(self)
    y = np.empty((*x.shape[: x.ndim - len(kernel)], *out), x.dtype)
    places = np.empty(y.shape, np.int64)
    geometry, parts, scratch = _windows_of(x.shape, samples.strides, kernel, out)
    call(pooling.RUNS["fractional_windows"][x.dtype.name], geometry, (x, samples, y, places), parts, scratch)
    return y, places


def _windows_of(
    shape: tuple[int, ...], strides: tuple[int, ...], kernel: tuple[int, ...], out: tuple[int, ...]
) -> tuple[tuple[int, ...], int, int]:
    """The geometry, parts and scratch memory of the run, as pooling.h says."""
    dims = len(kernel)
    before, size = shape[: len(shape) - dims], shape[len(shape) - dims :]
    none = (1,) * (3 - dims)
    order = (1, 0) if dims == 2 else (0, 1, 2)  # of images, the sample of the width comes first
    samples = [0] * (3 - dims) + [d * strides[2] for d in order]
    geometry = (*none, *size, *none, *out, *none, *kernel, *samples, before[-1], strides[0], strides[1])
    return geometry, math.prod(before), 16 * (3 - dims + sum(out))


@fractional_max_windows.prepare
def _plan_fractional_max_windows(
    self: Spec, samples: Spec, kernel: tuple[int, ...], out: tuple[int, ...], grad_name: str
) -> Plan:
    shape = (*self.shape[: self.ndim - len(out)], *out)
    chain = Chain(2, (Spec(self.dtype, shape), Spec(int64, shape)))
    run = pooling.RUNS["fractional_windows"][self.dtype.name]
    step = Step(run, *_windows_of(self.shape, steps_of(samples), kernel, out))
    chain.add(step, chain.contiguous(0, self), Place(1), chain.result(0), chain.result(1))
    return chain.plan()


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
    if isinstance(value, (tuple, list)) and len(value) != dims:
        refusals.refuse_fractional_list(name, what)
    return per_dim(name, dims, what, value)


def _fractional_max_pool(
    dims: int, input: Tensor, kernel_size: Ints, output_size: Any, output_ratio: Any, samples: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What fractional_max_pool2d and fractional_max_pool3d do: the largest elements and their places."""
    name, shape = f"fractional_max_pool{dims}d", tuple(input.shape)
    refusals.check_fractional(name, dims, shape, output_size, output_ratio, samples is not None)
    size = shape[-dims:]
    made = _fractional_size(name, size, output_size, output_ratio)
    kernel = _per_dim_or_refused(name, "kernel_size", kernel_size, dims)
    out = _per_dim_or_refused(name, "output_size", made, dims)
    refusals.check_fractional_room(name, shape, kernel, out)
    if samples is None:
        batch = shape[0] if len(shape) == dims + 2 else 1
        samples = ops.rand(batch, shape[-dims - 1], dims, dtype=input.dtype, device=input.device)
    refusals.check_random_samples(input, samples, dims)
    refuse(f"{name}_out_frame", input)
    return fractional_max_windows(input, samples, kernel, out, f"FractionalMaxPool{dims}DBackward0")


@public()
def fractional_max_pool2d(
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
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
    input: Tensor, kernel_size: Ints, output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
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
