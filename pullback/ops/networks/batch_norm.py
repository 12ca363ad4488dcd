"""batch_norm and instance_norm: statistics of each channel, kept as running averages.

In training the mean and variance are those of the batch, and `batch_norm_training` is a norm like those
of layer_norm.py, where to begin. Otherwise they are the running ones, and `batch_norm_running` is a
scaling of each channel. Several names of PyTorch stand for the same computation: the ops are told what
their nodes are called.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.op import function, op
from pullback.core.types import Array
from pullback.ops.networks.layer_norm import (
    Frame,
    check_count,
    check_mixed,
    norm_gradients,
    norm_plan,
    normalised,
    normalization_sums,
)
from pullback.ops.reductions.row_plans import row_plan, seen_as
from pullback.ops.shared.batches import channels, unchannelled


def channel_frame(shape: tuple[int, ...]) -> Frame:
    """Statistics of each channel, dim 1, over all other dims."""
    samples, channels = shape[:2]
    return (samples, channels, math.prod(shape[2:])), (0, 2), (1,), (channels,)


def _scaled_channels(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, shape: Any, eps: float) -> Any:
    """The kernel of the running statistics: one product and one sum with vectors."""
    wide = np.promote_types(np.float32, mean.dtype)
    scale = 1 / np.sqrt(variance.astype(wide, copy=False) + wide.type(eps))
    if weight is not None:
        scale = scale * weight
    shift = mean * -scale if bias is None else bias - mean * scale
    result = np.multiply(x, scale.reshape(shape), dtype=wide)
    result += shift.reshape(shape)
    return result.astype(x.dtype, copy=False)


def _running_vjp(
    g: Tensor,
    self: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    rstd = ops.rsqrt(variance + eps)
    dx = dw = db = None
    if needs[0]:
        scale = rstd if weight is None else rstd * weight
        dx = g * ops.reshape(scale, (-1, *(1,) * (self.ndim - 2)))
    if any(needs[1:]):
        dw, db = normalization_sums(g, self, mean, rstd, channel_frame(tuple(self.shape)))
    return dx, dw if weight is not None else None, db, None, None


@op(places="", takes_half=True, layout="F")
def batch_norm_training(
    self: Array, weight: Array | None, bias: Array | None, eps: float, grad_name: str
) -> Any:
    """The norm by the batch's statistics: the result, mean, 1 / deviation and variance."""
    return normalised(self, weight, bias, channel_frame(self.shape), eps)


@op(places="", takes_half=True, layout="F")
def batch_norm_running(
    self: Array,
    weight: Array | None,
    bias: Array | None,
    mean: Array,
    variance: Array,
    eps: float,
    grad_name: str,
) -> Any:
    """The norm by given statistics."""
    return _scaled_channels(self, weight, bias, mean, variance, (-1, *(1,) * (self.ndim - 2)), eps)


@batch_norm_running.prepare
def _plan_running(
    self: Spec, weight: Any, bias: Any, mean: Spec, variance: Spec, eps: float, grad_name: str
) -> Plan:
    _check_affine(self, weight, bias)
    check_mixed(self, mean, variance, weight, bias)
    y, shape = Spec(self.dtype, self.shape), channel_frame(self.shape)[0]
    vectors = [seen_as(t, (1, shape[1], 1)) for t in (weight, bias, mean, variance)]
    operands = [seen_as(self, shape), *vectors, seen_as(y, shape)]
    return row_plan("scaled", y, operands, 5, shape, (2,) if shape[2] > 1 else (1,), (eps,))


@batch_norm_training.prepare
def _plan_training(self: Spec, weight: Spec | None, bias: Spec | None, eps: float, grad_name: str) -> Plan:
    _check_affine(self, weight, bias)
    return norm_plan(self, weight, bias, channel_frame(self.shape), eps, True)


@batch_norm_training.joint_vjp
def _training_vjp(
    g0: Tensor | None,
    g1: Tensor | None,
    g2: Tensor | None,
    self: Tensor,
    weight: Tensor | None,
    bias_shape: tuple[int, ...] | None,
    result1: Tensor,
    result2: Tensor,
    needs: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    frame = channel_frame(tuple(self.shape))
    return norm_gradients(g0, g1, g2, self, weight, bias_shape, frame, result1, result2, needs)


batch_norm_running.joint_vjp(_running_vjp)
batch_norm_training.variant = batch_norm_running.variant = "grad_name"


@batch_norm_training.batch
def _training_batch(level: Any, op: Op, self: Any, weight: Any, bias: Any, eps: float, grad_name: str) -> Any:
    """The channels of all samples are those of one tensor."""
    x = channels(level, self)
    w, b = [None if t is None else channels(level, t) for t in (weight, bias)]
    return tuple([unchannelled(level, y) for y in op(x, w, b, eps, grad_name)])


@batch_norm_running.batch
def _running_batch(level: Any, op: Op, *args: Any) -> Any:
    return unchannelled(level, op(*[channels(level, x) if isinstance(x, Tensor) else x for x in args]))


def _batch(
    grad_name: str,
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The result, and the batch's mean and `1 / sqrt(var + eps)`, empty if they were not computed."""
    for name, a in (("running_mean", running_mean), ("running_var", running_var)):
        if a is not None or not training:
            _check_running(input, name, a)
    if not training:
        none = ops.empty((0,), dtype=input.dtype)
        y = batch_norm_running(input, weight, bias, running_mean, running_var, eps, grad_name)
        return y, none, none.clone()
    y, mean, rstd, variance = batch_norm_training(input, weight, bias, eps, grad_name)
    mean, rstd = mean.detach(), rstd.detach()
    if running_mean is not None:
        running_mean.mul_(1 - momentum).add_(mean * momentum)
    if running_var is not None:
        count = input.numel() // input.shape[1] if input.shape[1] else 0
        unbiased = count / (count - 1) if count > 1 else math.nan
        running_var.mul_(1 - momentum).add_(variance.detach() * (unbiased * momentum))
    return y, mean, rstd


def _empty(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """The norm of nothing, which is recorded as a copy."""
    y = ops.clone(input)
    y = y if weight is None else y * weight[0]
    return y if bias is None else y + bias[0]


@function(places="", aliases=("nn.functional.batch_norm",))
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """`(x - mean) / sqrt(var + eps) * weight + bias`, mean and variance of each channel, dim 1.

    In training they are those of the batch, and the running ones, if there are some, move towards
    them by the share `momentum`, the variance with the correction n / (n - 1). Otherwise they are
    the running ones. ValueError for one number a channel in training.

    >>> import pullback as torch
    >>> x, mean, var = torch.tensor([[1.0], [3.0]]), torch.zeros(1), torch.ones(1)
    >>> torch.nn.functional.batch_norm(x, mean, var, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    >>> mean, var
    (tensor([0.2000]), tensor([1.1000]))
    """
    if training:
        check_count(input.shape)
    if not input.numel():
        return _empty(input, weight, bias)
    return _batch(
        "NativeBatchNormBackward0", input, weight, bias, running_mean, running_var, training, momentum, eps
    )[0]


@function(name="batch_norm", places="t")
def _torch_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`torch.nn.functional.batch_norm`, the parameters in another order."""
    return _batch(
        "NativeBatchNormBackward0", input, weight, bias, running_mean, running_var, training, momentum, eps
    )[0]


@function(places="t")
def native_batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    *,
    out: Any = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm`, with the mean and `1 / sqrt(var + eps)` of the batch, which have no gradient.

    >>> import pullback as torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)[1]
    tensor([2.])
    """
    results = _batch(
        "NativeBatchNormBackward0", input, weight, bias, running_mean, running_var, training, momentum, eps
    )
    return _into_out(results, out)


def _into_out(results: tuple[Tensor, ...], out: Any) -> Any:
    if out is None:
        return results
    for target, result in zip(out, results, strict=True):
        target.resize_(tuple(result.shape)).copy_(result)
    return tuple(out)


def _with_statistics(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    *,
    out: tuple[Tensor, Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The fuller form of `_native_batch_norm_legit`."""


@function(name="_native_batch_norm_legit", places="t", signatures=(_with_statistics,))
def _native_batch_norm_legit(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, *rest: Any, out: Any = None, **named: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """`native_batch_norm`; the running statistics may also be left out, in training.

    >>> import pullback as torch
    >>> x = torch.tensor([[1.0], [3.0]])
    >>> torch._native_batch_norm_legit(x, None, None, True, 0.1, 1e-5)[1]
    tensor([2.])
    """
    if (rest and isinstance(rest[0], Tensor)) or "running_mean" in named:
        results = _batch("NativeBatchNormLegitBackward0", input, weight, bias, *rest, **named)
    else:
        results = _batch("NativeBatchNormLegitBackward1", input, weight, bias, None, None, *rest, **named)
    return _into_out(results, out)


# ------------------------------------------------------------------------------- instance_norm


def _for_each_sample(a: Tensor | None, count: int) -> Tensor | None:
    return None if a is None else ops.repeat(a, (count,))


def _instance(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError(
            "Expected running_mean and running_var to be defined when use_input_stats is false"
        )
    samples, channels = input.shape[:2]
    for name, a in (
        ("running_mean", running_mean),
        ("running_var", running_var),
        ("weight", weight),
        ("bias", bias),
    ):
        if a is not None and a.numel() != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {a.numel()}")
    means, variances = _for_each_sample(running_mean, samples), _for_each_sample(running_var, samples)
    y = _batch(
        "NativeBatchNormBackward0",
        ops.reshape(input, (1, samples * channels, *input.shape[2:])),
        _for_each_sample(weight, samples),
        _for_each_sample(bias, samples),
        means,
        variances,
        use_input_stats,
        momentum,
        eps,
    )[0]
    if use_input_stats:
        for kept, each in ((running_mean, means), (running_var, variances)):
            if kept is not None:
                kept.copy_(ops.mean(ops.reshape(each, (samples, channels)), 0))
    return ops.reshape(y, tuple(input.shape))


@function(places="", aliases=("nn.functional.instance_norm",))
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """`batch_norm` of each sample by itself: statistics over the dims behind the channels.

    With `use_input_stats` false they are the running ones. ValueError for one number a channel.

    >>> import pullback as torch
    >>> torch.nn.functional.instance_norm(torch.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """
    if use_input_stats and math.prod(input.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
    return _instance(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


@function(name="instance_norm", places="t")
def _torch_instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`torch.nn.functional.instance_norm`, the parameters in another order."""
    return _instance(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


# ---------------------------------------------------------------------------------- what is refused


def _check_running(input: Tensor, name: str, a: Tensor | None) -> None:
    """Refuses other than a vector of a number for each channel, which has no gradient."""
    _check_vectors(input.shape, **{name: a})
    if a is None:
        raise RuntimeError(f"{name} must be defined in evaluation mode")
    if a.requires_grad:
        raise RuntimeError(
            f"The function 'native_batch_norm' is not differentiable with respect to argument "
            f"'{name}'. This input cannot have requires_grad True."
        )


def _check_vectors(shape: Any, **vectors: Any) -> None:
    """Refuses other than vectors of a number for each channel."""
    if len(shape) == 1:
        raise IndexError("Dimension out of range (expected to be in range of [-1, 0], but got 1)")
    channels = shape[1] if len(shape) > 1 else 0
    for name, a in vectors.items():
        count = channels if a is None else math.prod(a.shape)
        if count != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {count}")


def _check_affine(self: Spec, weight: Spec | None, bias: Spec | None) -> None:
    """Refuses weights that are no such vectors, and inputs that are no floats."""
    _check_vectors(self.shape, weight=weight, bias=bias)
    if self.dtype.kind != "f":
        raise NotImplementedError(f"\"batch_norm\" not implemented for '{self.dtype.type_name}'")
