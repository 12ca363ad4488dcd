"""Activations made of straight pieces: relu and its kin, hardtanh, shrinkage, thresholds, prelu.

Each is a loop of `kernels/curves.pyx` and a slope that is constant by pieces: `_within`, mostly, or a
choice. At a corner the slope is that of the flat piece. Read `_piecewise` and `hardtanh` first. The smooth
activations are in activations.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import from_numpy_dtype
from pullback.core.meta import meta_array
from pullback.core.op import elementwise, function, op
from pullback.core.types import Array
from pullback.kernels.random import fills
from pullback.ops.arrays.random import default_generator
from pullback.ops.networks.activations import applied, require_float, written
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import times


def _piecewise(name: str, rule: Any, numbers: tuple[str, ...] = (), **options: Any) -> Any:
    """An elementwise op of a tensor and numbers, whose loop for floats is in `kernels/curves.pyx`."""
    public = options.get("public_name", name)
    options = {"allowed": "f", "refuse": unimplemented(f"{public}_cpu"), **options}
    inputs = ("self", *numbers)
    kinds = "T" + "N" * len(numbers)
    loop = f"pullback.kernels.curves:{public}"
    return elementwise(
        name, loop, inputs=inputs, kinds=kinds, places="", vjp={"self": rule}, loops_for="f", **options
    )


_within = _piecewise("within", lambda g: ops.zeros_like(g), ("low", "high"))
_within.doc = "1 inside the open interval, else 0: the slope of what is cut off at its ends."


@function(name="relu", places="", aliases=("nn.functional.relu",))
def _relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(x, 0)`, element by element; the slope at zero is zero.

    >>> import pullback as torch
    >>> torch.nn.functional.relu(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return applied(ops.relu, inplace, input)


written(_relu, "torch.relu_", "nn.functional.relu_")


# ----------------------------------------------------------------------------- hardtanh and kin


def _refuse_hardtanh(dtype: Any) -> str:
    if dtype.is_complex:
        raise NotImplementedError("clamp is not supported for complex types")
    return "Bool inputs not supported for hardtanh"


_hardtanh = _piecewise(
    "hardtanh",
    lambda g, self, min_val, max_val: times(g, _within(self, min_val, max_val)),
    ("min_val", "max_val"),
    kernel=lambda self, min_val, max_val: np.minimum(np.maximum(self, min_val), max_val),
    allowed="if",
    refuse=_refuse_hardtanh,
)


def _limited(input: Tensor, low: float, high: float, inplace: bool) -> Tensor:
    """`hardtanh` with limits in the kind of number that the input has."""
    if input.dtype.kind == "b":
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype.kind in "iu":
        if input.dtype.kind == "u" and low < 0:
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
        low, high = int(low), int(high)
    return applied(_hardtanh, inplace, input, low, high)


@function(places="", aliases=("nn.functional.hardtanh",))
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x moved into [min_val, max_val]; the slope is 1 inside, 0 from the limits on.

    ValueError if the limits are in the wrong order; RuntimeError for bool tensors.

    >>> import pullback as torch
    >>> torch.nn.functional.hardtanh(torch.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return _limited(input, min_val, max_val, inplace)


@function(places="", aliases=("nn.functional.relu6",))
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """`min(max(x, 0), 6)`, element by element.

    >>> import pullback as torch
    >>> torch.nn.functional.relu6(torch.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])
    """
    return _limited(input, 0, 6, inplace)


_hardsigmoid = _piecewise("hardsigmoid", lambda g, self: times(g, _within(self, -3, 3)) / 6)
_hardswish_slope = _piecewise("hardswish_slope", lambda g, self: times(g, _within(self, -3, 3)) / 3)
_hardswish = _piecewise("hardswish", lambda g, self: times(g, _hardswish_slope(self)))


@function(places="", aliases=("nn.functional.hardsigmoid",))
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """`relu6(x + 3) / 6`, element by element; the slope is 1/6 between -3 and 3.

    >>> import pullback as torch
    >>> torch.nn.functional.hardsigmoid(torch.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return applied(_hardsigmoid, inplace, input)


@function(places="", aliases=("nn.functional.hardswish",))
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * relu6(x + 3) / 6`, element by element; the slope between -3 and 3 is `x / 3 + 1 / 2`.

    >>> import pullback as torch
    >>> torch.nn.functional.hardswish(torch.tensor([1.0, 4.0]))
    tensor([0.6667, 4.0000])
    """
    return applied(_hardswish, inplace, input)


# --------------------------------------------------------------------------- leaky_relu, threshold


_leaky_slope = _piecewise(
    "leaky_relu_slope", lambda g: ops.zeros_like(g), ("negative_slope",), wide_numbers=True
)


_leaky_relu = _piecewise(
    "leaky_relu",
    lambda g, self, negative_slope: times(g, _leaky_slope(self, negative_slope)),
    ("negative_slope",),
    wide_numbers=True,
    written_name="LeakyReluBackward1",
)


@function(places="", aliases=("nn.functional.leaky_relu",))
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where it is positive, `negative_slope * x` elsewhere. Floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.leaky_relu(torch.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """
    require_float(input, "leaky_relu_cpu")
    return applied(_leaky_relu, inplace, input, negative_slope)


_threshold = _piecewise(
    "threshold",
    lambda g, self, threshold: ops.where(self <= threshold, 0, g),
    ("threshold", "value"),
    flat_slope="ThresholdBackwardBackward0",
    expanded="",
    kernel=lambda self, threshold, value: np.where(self <= threshold, value, self),
    allowed="if",
)


@function(places="t", aliases=("nn.functional.threshold", "nn.functional._threshold"))
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where it is above the threshold, `value` elsewhere; there the gradient is zero.

    >>> import pullback as torch
    >>> torch.nn.functional.threshold(torch.tensor([0.5, 2.0]), 1.0, 20.0)
    tensor([20.,  2.])
    """
    if input.dtype.kind == "b":
        unimplemented("threshold_cpu")(input.dtype)
    if input.dtype.kind in "iu":
        threshold, value = int(threshold), int(value)
    return applied(_threshold, inplace, input, threshold, value)


# ------------------------------------------------------------------------------------- shrinkage


_hardshrink = _piecewise(
    "hardshrink",
    lambda g, self, lambd: ops.where((self >= -lambd) & (self <= lambd), 0, g),
    ("lambd",),
    casts_out=False,
    flat_slope=True,
)
_softshrink = _piecewise(
    "softshrink",
    lambda g, self, lambd: ops.where((self >= -lambd) & (self <= lambd), 0, g),
    ("lambd",),
    wide_numbers=True,
    casts_out=False,
    flat_slope=True,
)


@function(places="tm", aliases=("nn.functional.hardshrink",))
def hardshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x, but zero where `|x| <= lambd`. Floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.hardshrink(torch.tensor([-1.0, 0.2, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    require_float(input, "hardshrink_cpu")
    return _hardshrink(input, lambd, out=out)


@function(places="", aliases=("nn.functional.softshrink",))
def softshrink(input: Tensor, lambd: float = 0.5, *, out: Tensor | None = None) -> Tensor:
    """x moved towards zero by `lambd`, and zero where `|x| <= lambd`.

    RuntimeError for a negative `lambd`; floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.softshrink(torch.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    dtype = input.dtype
    if dtype.kind != "f":
        unimplemented("softshrink_check")(dtype)
    largest = fills.LARGEST[dtype.name]
    if not 0 <= lambd <= largest:
        raise RuntimeError(
            f"lambda must be in range [0, {largest:g}] for input dtype {dtype.type_name}, but found {lambd:g}"
        )
    return _softshrink(input, lambd, out=out)


# ------------------------------------------------------------------------------- prelu, rrelu


_prelu = elementwise(
    "prelu",
    "pullback.kernels.curves:leaky_relu",
    inputs=("self", "weight"),
    kinds="TT",
    places="",
    allowed="f",
    refuse=unimplemented("prelu_cpu"),
    grad_name="PreluKernelBackward0",
    flat_slope=True,
    vjp={
        "self": lambda g, self, weight: ops.where(self > 0, g, g * weight),
        "weight": lambda g, self: ops.where(self > 0, 0, g * self),
    },
)


@function(places="tm", aliases=("nn.functional.prelu",))
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where it is positive, `weight * x` elsewhere, a weight for all or one for each channel.

    The channels are dim 1. RuntimeError if the weights are not one or as many as the channels.

    >>> import pullback as torch
    >>> torch.nn.functional.prelu(torch.tensor([-1.0, 2.0]), torch.tensor([0.1]))
    tensor([-0.1000,  2.0000])
    """
    if input.dtype is not weight.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {input.dtype.type_name} and {weight.dtype.type_name}"
        )
    count, ndim = weight.numel(), input.ndim
    if count != 1:
        if not ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = input.shape[1] if ndim > 1 else 1
        if channels != count and weight.ndim < 2:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. Found parameter numbers = "
                f"{count} and channel size = {channels}."
            )
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    shape = (1,) * ndim if count == 1 or ndim < 2 else (1, count, *((1,) * (ndim - 2)))
    return _prelu(input, weight if tuple(weight.shape) == shape else ops.reshape(weight, shape))


_rrelu = elementwise(
    "rrelu",
    "pullback.kernels.curves:leaky_relu",
    inputs=("self", "noise"),
    kinds="TN",
    places="",
    grad_name="RreluWithNoiseBackward0",
    written_name="RreluWithNoiseBackward1",
    flat_slope="RreluWithNoiseBackwardBackward0",
    allowed="f",
    refuse=unimplemented("leaky_relu_cpu"),
    vjp={"self": lambda g, self, noise: ops.where(self > 0, g, g * noise)},
)


@op(name="rrelu_noise", places="", random=True, moves=True, nondiff=True)
def _rrelu_noise(self: Array, lower: float, upper: float) -> Any:
    """The slopes: uniform where x is not positive, drawn one after the other in double precision."""
    if self.dtype.kind != "f" and from_numpy_dtype(self.dtype).kind != "f":
        unimplemented("rrelu_with_noise_out_cpu")(from_numpy_dtype(self.dtype))
    flat = np.ascontiguousarray(self).reshape(-1)
    low = flat <= 0
    drawn = np.empty(int(low.sum()), np.float64)
    fills.uniform(drawn, default_generator, lower, upper)
    noise = np.ones(flat.shape, self.dtype)
    noise[low] = drawn.astype(self.dtype)
    return noise.reshape(self.shape)


_rrelu_noise.meta(lambda self, lower, upper: meta_array(self.shape, self.dtype))


@function(places="t", aliases=("nn.functional.rrelu",))
def rrelu(
    input: Tensor,
    lower: float = 0.125,
    upper: float = 0.3333333333333333,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """x where it is positive, `a * x` elsewhere: in training a is uniform on [lower, upper).

    Otherwise a is the middle of the two. RuntimeError if `lower` is above `upper`.

    >>> import pullback as torch
    >>> torch.nn.functional.rrelu(torch.tensor([-1.0, 2.0]), 0.2, 0.4)
    tensor([-0.3000,  2.0000])
    """
    if lower > upper:
        raise RuntimeError("Lower bound should be less than or equal to the upper bound")
    require_float(input, "leaky_relu_cpu")
    if not inplace:
        input = input.contiguous()
    noise = _rrelu_noise(input, lower, upper) if training else (lower + upper) / 2
    return applied(_rrelu, inplace, input, noise)


written(hardtanh, "nn.functional.hardtanh_")
written(leaky_relu, "nn.functional.leaky_relu_")
written(threshold, "torch.threshold_", "nn.functional.threshold_")
written(rrelu, "torch.rrelu_", "nn.functional.rrelu_")
