"""Dropout: a product with random noise, drawn as PyTorch draws it, so a seed gives the same zeros.

The noise is one random op, `_noise`, without a derivative; the rest is made of `mul` and `add`. Read
`_dropped`, which is behind all of them. With feature noise whole channels are dropped.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.meta import meta_array, meta_like
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.strides import preserved_strides, strided_array
from pullback.core.types import Array
from pullback.kernels.random import fills
from pullback.ops.arrays.random import default_generator

ALPHA = 1.7580993408473766  # minus selu's value at -infinity


@op(name="dropout_noise", places="", random=True, overwrites=True, moves=True, nondiff=True)
def _noise(self: Array, p: float, feature: bool, scale: float) -> Any:
    """`scale` with probability 1 - p, else 0, for each element or channel."""
    if feature:
        noise = np.empty(self.shape[:2] + (1,) * (self.ndim - 2), self.dtype)
    elif self.flags.c_contiguous:
        noise = np.empty(self.shape, self.dtype)
    else:
        noise = strided_array(self.shape, preserved_strides(self), self.dtype)
    fills.bernoulli(noise, 1 - p, default_generator)
    if scale != 1:
        np.multiply(noise, noise.dtype.type(scale), noise)
    return noise


@_noise.meta
def _noise_meta(self: Array, p: float, feature: bool, scale: float) -> Array:
    if feature:
        return meta_array(self.shape[:2] + (1,) * (self.ndim - 2), self.dtype)
    return meta_like(self)


def _dropped(input: Tensor, p: float, train: bool, inplace: bool, feature: bool, alpha: bool) -> Tensor:
    """Any kind of dropout; the input itself where nothing is to be dropped."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0 or not train or not input.numel():
        return input
    if p == 1:
        return input.mul_(0.0) if inplace else input * ops.zeros((), dtype=input.dtype)
    if feature and input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    if input.dtype.kind in "biu":
        name = "Long" if alpha else input.dtype.type_name
        raise RuntimeError(f"result type Float can't be cast to the desired output type {name}")
    if not alpha:
        noise = _noise(input, p, feature, 1 / (1 - p))
        return input.mul_(noise) if inplace else input * noise
    noise = _noise(input, p, feature, 1)
    a = 1 / math.sqrt((ALPHA * ALPHA * p + 1) * (1 - p))
    shift = (noise - 1) * (ALPHA * a) + ALPHA * a * p
    noise = noise * a
    return input.mul_(noise).add_(shift) if inplace else input * noise + shift


def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


# ------------------------------------------------------------------------- nn.functional's forms


@function(places="", aliases=("nn.functional.dropout",))
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element zero with probability p, else divided by 1 - p; the input itself if not training.

    ValueError for p outside [0, 1]. The gradient has the same zeros and factor.

    >>> import pullback as torch
    >>> _ = torch.manual_seed(0)
    >>> torch.nn.functional.dropout(torch.ones(5))
    tensor([0., 0., 2., 0., 0.])
    """
    _check_probability(p)
    return _dropped(input, p, training, inplace, False, False)


@function(places="", aliases=("nn.functional.alpha_dropout",))
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout to `selu`'s lowest value, scaled and shifted so that mean 0 and variance 1 stay.

    >>> import pullback as torch
    >>> torch.nn.functional.alpha_dropout(torch.ones(2))
    tensor([1., 1.])
    """
    _check_probability(p)
    return _dropped(input, p, training, inplace, False, True)


@function(places="", aliases=("nn.functional.feature_alpha_dropout",))
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels, dim 1. RuntimeError for fewer than two dims.

    >>> import pullback as torch
    >>> torch.nn.functional.feature_alpha_dropout(torch.ones(1, 2))
    tensor([[1., 1.]])
    """
    _check_probability(p)
    return _dropped(input, p, training, inplace, True, True)


def _channels(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Dropout of whole channels; without a batch dim they are dim 0."""
    if batched:
        return _dropped(input, p, training, inplace, True, False)
    result = _dropped(ops.unsqueeze(input, 0), p, training, inplace, True, False)
    return input if inplace else ops.squeeze(result, 0)


@function(places="", aliases=("nn.functional.dropout1d",))
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of an input (N, C, L) or (C, L); RuntimeError for other dims.

    >>> import pullback as torch
    >>> torch.nn.functional.dropout1d(torch.ones(1, 2), p=1.0)
    tensor([[0., 0.]])
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _channels(input, p, training, inplace, input.ndim == 3)


def _warn_of_dims(name: str, ndim: int, spatial: int) -> None:
    low, high = spatial + 1, spatial + 2
    if ndim not in (low, high):
        warn_each_time(
            f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an "
            "error in a future release. To retain the behavior and silence this warning, please use "
            f"dropout instead. Note that {name} exists to provide channel-wise dropout on inputs with "
            f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension "
            f"(i.e. {low}D or {high}D inputs).",
        )


@function(places="", aliases=("nn.functional.dropout2d",))
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels, dim 1, of an input (N, C, H, W); warns for other numbers of dims.

    >>> import pullback as torch
    >>> torch.nn.functional.dropout2d(torch.ones(1, 1, 1, 2), p=1.0)
    tensor([[[[0., 0.]]]])
    """
    _check_probability(p)
    _warn_of_dims("dropout2d", input.ndim, 2)
    if input.ndim == 3:
        warn_each_time(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
        )
    return _dropped(input, p, training, inplace, True, False)


@function(places="", aliases=("nn.functional.dropout3d",))
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Dropout of whole channels of an input (N, C, D, H, W) or (C, D, H, W); warns for other dims.

    >>> import pullback as torch
    >>> torch.nn.functional.dropout3d(torch.ones(1, 1, 1, 1), p=1.0)
    tensor([[[[0.]]]])
    """
    _check_probability(p)
    _warn_of_dims("dropout3d", input.ndim, 3)
    return _channels(input, p, training, inplace, input.ndim == 5)


# --------------------------------------------------------------------- the forms in torch itself


def _publish_in_torch(name: str, feature: bool, alpha: bool) -> None:
    """`torch.NAME` and `torch.NAME_`, whose parameters are all required."""
    for inplace in (False, True):

        def call(input: Tensor, p: float, train: bool, inplace: bool = inplace) -> Tensor:
            return _dropped(input, p, train, inplace, feature, alpha)

        written = " The result is written into the input." if inplace else ""
        call.__doc__ = f"`torch.nn.functional.{name}` with all parameters given.{written}"
        function(name=name + "_" * inplace, places="t")(call)


_publish_in_torch("dropout", False, False)
_publish_in_torch("feature_dropout", True, False)
_publish_in_torch("alpha_dropout", False, True)
_publish_in_torch("feature_alpha_dropout", True, True)


@op(places="t", random=True, takes_half=True)
def native_dropout(input: Array, p: float, train: bool | None) -> tuple[Array, Array]:
    """`dropout`, with the mask of what was kept. RuntimeError for p outside [0, 1].

    >>> import pullback as torch
    >>> torch.native_dropout(torch.ones(2), 0.0, True)
    (tensor([1., 1.]), tensor([True, True]))
    """
    mask = np.ones(input.shape, np.bool_)
    if train is False or not input.size:
        return input.copy(), mask
    fills.bernoulli(mask, 1 - p, default_generator)
    return np.multiply(input * mask, input.dtype.type(_factor(p, train)), dtype=input.dtype), mask


def _factor(p: float, train: bool | None) -> float:
    return 1.0 if train is False else 0.0 if p == 1 else 1 / (1 - p)


native_dropout.meta(
    lambda input, p, train: (
        meta_array(input.shape, input.dtype),
        meta_array(input.shape, np.dtype(np.bool_)),
    )
)
native_dropout.vjp(
    input=lambda g0, result1, p, train: ops.native_dropout_backward(g0, result1, _factor(p, train))
)


@op(places="", takes_half=True, grad_name="NativeDropoutBackwardBackward0", batch="elementwise")
def native_dropout_backward(grad_output: Array, mask: Array, scale: float) -> Any:
    """`grad_output * mask * scale`: the gradient of `native_dropout`."""
    dtype = np.dtype(np.float32) if grad_output.dtype.kind in "biu" else grad_output.dtype
    return np.multiply((grad_output * mask).astype(dtype, copy=False), dtype.type(scale))


@native_dropout_backward.meta
def _native_dropout_backward_meta(grad_output: Array, mask: Array, scale: float) -> Array:
    dtype = np.dtype(np.float32) if grad_output.dtype.kind in "biu" else grad_output.dtype
    return meta_array(ops.common_shape(grad_output.shape, mask.shape), dtype)


native_dropout_backward.vjp(grad_output=lambda g, mask, scale: native_dropout_backward(g, mask, scale))
