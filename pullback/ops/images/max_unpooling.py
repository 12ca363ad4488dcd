"""Largest elements put back to their places: max_unpool, which undoes max_pool.

One op, `unpool_places`, and its derivative, which takes the gradient from the places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import op
from pullback.core.types import Array, Ints
from pullback.kernels import pooling
from pullback.kernels.steps import call
from pullback.ops.images import refusals
from pullback.ops.images.max_pooling import take_places
from pullback.ops.shared.batches import samples
from pullback.ops.shared.chains import Chain, Step
from pullback.ops.shared.forms import public
from pullback.ops.shared.refusals import refuse


@op(places="", takes_half=True, linear=True, layout="F")
def unpool_places(self: Array, indices: Array, size: tuple[int, ...], grad_name: str) -> Array:
    """Zeros of `size` in the last dims, with elements put at their places: the last of equal ones stays."""
    x, places = np.ascontiguousarray(self), np.ascontiguousarray(indices)
    first = x.ndim - len(size)
    y = np.empty((*x.shape[:first], *size), x.dtype)
    geometry = math.prod(size), math.prod(x.shape[first:])
    if call(pooling.RUNS["set_places"][x.dtype.name], geometry, (x, places, y), math.prod(x.shape[:first])):
        raise refusals.invalid_place(indices, size)
    return y


@unpool_places.prepare
def _plan_unpool_places(self: Spec, indices: Spec, size: tuple[int, ...], grad_name: str) -> Plan:
    refusals.check_unpool(self, indices, len(size))
    first = self.ndim - len(size)
    chain = Chain(2, Spec(self.dtype, (*self.shape[:first], *size)))
    geometry = math.prod(size), math.prod(self.shape[first:])
    step = Step(pooling.RUNS["set_places"][self.dtype.name], geometry, math.prod(self.shape[:first]))
    chain.add(step, chain.contiguous(0, self), chain.contiguous(1, indices), chain.result())
    return chain.plan(lambda status, x, places, *options: refusals.invalid_place(places, size))


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
        return tuple(value) if isinstance(value, Sequence) else (value,) * dims

    kernel = as_tuple(kernel_size)
    steps = kernel if stride is None else as_tuple(stride)
    size = _unpooled_size(tuple(input.shape), kernel, steps, as_tuple(padding), output_size)
    refuse(f"max_unpool{max(dims, 2)}d", input)
    return unpool_places(input, indices, size, grad_name)


@public()
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0,
    output_size: Sequence[int] | None = None,
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
    output_size: Sequence[int] | None = None,
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
    output_size: Sequence[int] | None = None,
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
