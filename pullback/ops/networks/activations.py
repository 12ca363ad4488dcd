"""Smooth activations: elu and its kin, gelu, silu, mish, softplus, logsigmoid, glu, and soft choices.

A curve is two elementwise ops, the function and its slope, each a loop of `kernels/curves.pyx`: so a backward
pass costs two calls. The derivative of the slope is written in ops. The loops stay clear of overflow
and of differences that lose digits; read `curve` and `gelu` first. Activations made of straight
pieces are in piecewise_linear.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, conj
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import elementwise, function, op
from pullback.core.settings import warn_each_time
from pullback.core.signatures import signature_of, without
from pullback.core.strides import contiguous_strides
from pullback.core.types import Array
from pullback.ops.reductions.row_plans import Lying, elementwise_plan, placed, strides_of
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import over, times


def curve(name: str, bend: Any, kernel_name: str = "", **options: Any) -> Any:
    """An op of one tensor, of loops in `kernels/curves.pyx`; `bend` is the slope's rule, in ops."""
    refuse = unimplemented(kernel_name or f"{name}_cpu")
    slope = elementwise(
        f"{name}_slope", f"pullback.kernels.curves:{name}_slope", places="", vjp={"self": bend}, loops_for="f"
    )
    return elementwise(
        name,
        f"pullback.kernels.curves:{name}",
        places="",
        allowed="f",
        refuse=refuse,
        vjp={"self": lambda g, self: times(g, slope(self))},
        **options,
    )


def require_float(input: Tensor, kernel: str) -> None:
    """Refuses integers, which a number among the parameters would otherwise make floats."""
    if isinstance(input, Tensor) and input.dtype.kind != "f":
        unimplemented(kernel)(input.dtype)


def applied(record: Any, inplace: bool, *args: Any) -> Tensor:
    """An op, or the op written into its first argument."""
    return record.inplace(*args) if inplace else record(*args)


def written(activation: Any, *names: str) -> None:
    """Publishes the in-place form of a function that has the parameter `inplace`."""

    def method(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return activation(input, *args, **kwargs, inplace=True)

    name = activation.__name__
    method.__qualname__ = f"{name}_"
    method.__doc__ = f"`{name}` with the result written into `input`, which is returned."
    vars(method)["__signature__"] = without(signature_of(activation), "inplace")
    function(name=f"{name}_", places="", aliases=names)(method)


# ------------------------------------------------------------------------------------- gelu


_NORMAL = 1 / math.sqrt(2 * math.pi)

_gelu = curve(
    "gelu",
    lambda g, self: g * (ops.exp(self * self * -0.5) * _NORMAL * (2 - self * self)),
    "GeluKernelImpl",
)

_A, _B = 2 * math.sqrt(2 / math.pi), 0.044715


def _gelu_tanh_bend(g: Tensor, self: Tensor) -> Tensor:
    x = ops.clamp(self, -32.0, 32.0)  # beyond there is no bend, but squares that are infinite
    square = x * x
    s = ops.sigmoid(x * (square * (_A * _B) + _A))
    rise = square * (3 * _A * _B) + _A
    bend = 2 * rise + x * ((1 - 2 * s) * rise * rise + x * (6 * _A * _B))
    return g * (s * (1 - s) * bend)


_gelu_tanh = curve(
    "gelu_tanh",
    _gelu_tanh_bend,
    "GeluKernelImpl",
    grad_name="GeluBackward0",
    public_name="gelu",
)


@function(places="", aliases=("nn.functional.gelu",))
def gelu(input: Tensor, *, approximate: str = "none", out: Tensor | None = None) -> Tensor:
    """`x * P(X <= x)` for a standard normal X, element by element; its slope is P(x) + x p(x).

    `approximate="tanh"` gives `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x**3)))`.
    RuntimeError for another `approximate`; floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.gelu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])
    """
    if approximate == "none":
        return _gelu(input, out=out)
    if approximate != "tanh":
        raise RuntimeError("approximate argument must be either none or tanh.")
    return _gelu_tanh(input, out=out)


# ------------------------------------------------------------------------- silu, mish, log-sigmoid


def _silu_bend(g: Tensor, self: Tensor) -> Tensor:
    s = ops.sigmoid(self)
    return g * (s * (1 - s) * (2 + self * (1 - 2 * s)))


_silu = curve("silu", _silu_bend)


@function(places="", aliases=("nn.functional.silu",))
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * sigmoid(x)`, element by element; the slope is `s * (1 + x * (1 - s))` for s = sigmoid(x).

    >>> import pullback as torch
    >>> torch.nn.functional.silu(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.0000,  0.7311])
    """
    if input.dtype.is_complex:
        product = input * ops.sigmoid(input)
        return input.copy_(product) if inplace else product
    return applied(_silu, inplace, input)


def _mish_bend(g: Tensor, self: Tensor) -> Tensor:
    t, s = ops.tanh(softplus(self)), ops.sigmoid(self)
    return g * ((1 - t * t) * s * (2 + self * (1 - s - 2 * t * s)))


_mish = curve("mish", _mish_bend)


@function(places="", aliases=("nn.functional.mish",))
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """`x * tanh(softplus(x))`, element by element.

    The slope is `t + x * (1 - t**2) * sigmoid(x)`, t the tanh.

    >>> import pullback as torch
    >>> torch.nn.functional.mish(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.3034,  0.0000,  0.8651])
    """
    return applied(_mish, inplace, input)


_logsigmoid = elementwise(
    "logsigmoid",
    "pullback.kernels.curves:logsigmoid",
    places="",
    allowed="f",
    refuse=unimplemented("log_sigmoid_cpu"),
    grad_name="LogSigmoidBackward0",
    vjp={"self": lambda g, self: g * ops.sigmoid(-self)},
)


@function(places="", aliases=("nn.functional.logsigmoid",))
def logsigmoid(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """log(sigmoid(x)) of each element, without overflow; the slope is sigmoid(-x).

    >>> import pullback as torch
    >>> torch.nn.functional.logsigmoid(torch.tensor([-1000.0, 0.0]))
    tensor([-1.0000e+03, -6.9315e-01])
    """
    return _logsigmoid(input.contiguous(), out=out)


# -------------------------------------------------------------------------------------- softplus


_softplus_slope = elementwise(
    "softplus_slope",
    "pullback.kernels.curves:softplus_slope",
    wide_numbers=True,
    inputs=("self", "beta", "threshold"),
    kinds="TNN",
    places="",
    vjp={"self": lambda g, self, beta, threshold: g * _softplus_bend(self, beta, threshold)},
)


def _softplus_bend(self: Tensor, beta: float, threshold: float) -> Tensor:
    z = self * beta
    s = ops.sigmoid(z)
    return ops.where(z > threshold, 0, s * (1 - s) * beta)


_softplus = elementwise(
    "softplus",
    "pullback.kernels.curves:softplus",
    wide_numbers=True,
    inputs=("self", "beta", "threshold"),
    kinds="TNN",
    places="",
    allowed="f",
    refuse=unimplemented("softplus_cpu"),
    vjp={"self": lambda g, self, beta, threshold: g * _softplus_slope(self, beta, threshold)},
)


@function(places="", aliases=("nn.functional.softplus",))
def softplus(input: Tensor, beta: float = 1, threshold: float = 20, *, out: Tensor | None = None) -> Tensor:
    """`log(1 + exp(beta * x)) / beta`, and x itself where `beta * x > threshold`.

    The slope is `sigmoid(beta * x)`, and 1 above the threshold. Floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.softplus(torch.tensor([-1.0, 0.0, 100.0]))
    tensor([  0.3133,   0.6931, 100.0000])
    """
    require_float(input, "softplus_cpu")
    return _softplus(input, beta, threshold, out=out)


# ------------------------------------------------------------------------------- elu, selu, celu

_ELU_INPUTS = ("self", "alpha", "scale", "input_scale")

_elu_slope = elementwise(
    "elu_slope",
    "pullback.kernels.curves:elu_slope",
    wide_numbers=True,
    inputs=_ELU_INPUTS,
    kinds="TNNN",
    places="",
    vjp={
        "self": lambda g, self, alpha, scale, input_scale: (
            g
            * ops.where(
                self > 0, 0, ops.exp(self * input_scale) * (alpha * scale * input_scale * input_scale)
            )
        )
    },
)


def _elu_vjp(g: Tensor, self: Tensor, alpha: Any, scale: Any, input_scale: Any) -> Tensor:
    return times(g, _elu_slope(self, alpha, scale, input_scale))


_ELU: dict[str, Any] = {
    "inputs": _ELU_INPUTS,
    "wide_numbers": True,
    "kinds": "TNNN",
    "places": "",
    "allowed": "f",
    "refuse": unimplemented("elu_cpu"),
    "vjp": {"self": _elu_vjp},
}
_elu = elementwise("elu", "pullback.kernels.curves:elu", written_name="EluBackward1", **_ELU)
_celu = elementwise("celu", "pullback.kernels.curves:elu", written_name="CeluBackward1", **_ELU)


@function(places="", aliases=("nn.functional.elu",))
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, `alpha * (exp(x) - 1)` elsewhere. Floats only.

    >>> import pullback as torch
    >>> torch.nn.functional.elu(torch.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    require_float(input, "elu_cpu")
    return applied(_elu, inplace, input, alpha, 1, 1)


@function(places="t", aliases=("nn.functional.selu",))
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """`elu` with the alpha and the scale that keep mean 0 and variance 1 through deep networks.

    >>> import pullback as torch
    >>> torch.nn.functional.selu(torch.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    require_float(input, "elu_cpu")
    return applied(_elu, inplace, input, 1.6732632423543772, 1.0507009873554805, 1)


@function(places="t", aliases=("nn.functional.celu",))
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where it is positive, `alpha * (exp(x / alpha) - 1)` elsewhere. RuntimeError for alpha 0.

    >>> import pullback as torch
    >>> torch.nn.functional.celu(torch.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    require_float(input, "elu_cpu")
    if alpha < 0:  # the loop is for exponents below zero
        result = ops.where(input > 0, input, ops.expm1(input / alpha) * alpha)
        return input.copy_(result) if inplace else result
    return applied(_celu, inplace, input, alpha, 1, 1 / alpha)


written(elu, "nn.functional.elu_")
written(selu, "torch.selu_", "nn.functional.selu_")
written(celu, "torch.celu_", "nn.functional.celu_")


# ------------------------------------------------------------------------------------ gated


def _glu_axis(self: Spec, dim: int) -> int:
    """The dim that is halved, checked."""
    if not self.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = wrap_dim(dim, self.ndim)
    if self.shape[axis] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {axis} is size {self.shape[axis]}")
    if self.dtype.kind != "f":
        raise NotImplementedError(f"\"glu_cpu\" not implemented for '{self.dtype.type_name}'")
    return axis


@op(places="", aliases=("nn.functional.glu",), layout="K")
def glu(self: Array, dim: int = -1) -> Array:
    """`a * sigmoid(b)`, a and b being the halves of the input along `dim`.

    RuntimeError for an odd size; floats only. The gradients are `g * s` and `g * a * s * (1 - s)`.

    >>> import pullback as torch
    >>> torch.nn.functional.glu(torch.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    value, gate = np.split(self, 2, wrap_dim(dim, self.ndim))
    return value / (1 + np.exp(-gate))


def _halves(x: Spec, axis: int) -> tuple[Lying, Lying]:
    """The two halves of a tensor along a dim, as operands."""
    shape = (*x.shape[:axis], x.shape[axis] // 2, *x.shape[axis + 1 :])
    first = placed(Spec(x.dtype, shape, strides_of(x)), x.ndim)
    return first, first._replace(start=strides_of(x)[axis] * shape[axis], shares=True)


@glu.prepare
def _plan_glu(self: Spec, dim: int) -> Plan:
    axis, shape = _glu_axis(self, dim), list(self.shape)
    shape[axis] //= 2
    result = Spec(self.dtype, tuple(shape))
    if contiguous_strides(self.shape) != tuple(n // self.dtype.itemsize for n in strides_of(self)):
        return Plan(result)  # the result lies in memory as its input does, which the kernel sees to
    operands = [*_halves(self, axis), placed(result, self.ndim)]
    return elementwise_plan("glu", result, operands, 2, result.shape)


@op(name="glu_slope", places="", batch="together", grad_name="GluBackwardBackward0")
def _glu_slope(self: Array, input: Array, dim: int) -> Array:
    """The gradient of the input for that of the result, `self`; `dim` is negative."""
    value, gate = np.split(input, 2, dim)
    s = 1 / (1 + np.exp(-gate))
    return np.concatenate([self * s, self * value * s * (1 - s)], dim)


@_glu_slope.prepare
def _plan_glu_slope(self: Spec, input: Spec, dim: int) -> Plan:
    result, axis = Spec(input.dtype, input.shape), dim % input.ndim
    operands = [placed(self, input.ndim), *_halves(input, axis), *_halves(result, axis)]
    return elementwise_plan("glu_slope", result, operands, 3, self.shape)


@_glu_slope.joint_vjp
def _glu_slope_vjp(g: Tensor, self: Tensor, input: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    (va, vb), (value, gate) = ops.chunk(g, 2, dim), ops.chunk(input, 2, dim)
    s = ops.sigmoid(gate)
    rise = s * (1 - s)
    by_gate = self * rise * (va + vb * value * (1 - 2 * s))
    return va * s + vb * value * rise, ops.cat([vb * self * rise, by_gate], dim)


glu.vjp(self=lambda g, self, dim: _glu_slope(g, self, wrap_dim(dim, self.ndim) - self.ndim))


# -------------------------------------------------------------------------- made of other ops


# What follows has a second operand made of the first, whose part in the slope the rule of the first has: the
# sum of both would cancel.
_less_tanh = elementwise(
    "less_tanh",
    np.subtract,
    inputs=("self", "tanh"),
    grad_name="SubBackward0",
    places="",
    vjp={"self": lambda g, tanh: g * conj(tanh * tanh)},
    doc="x - tanh(x), of both.",
)
_over_grown = elementwise(
    "over_grown",
    np.true_divide,
    inputs=("self", "grown"),
    grad_name="DivBackward0",
    promote="float",
    places="",
    vjp={"self": lambda g, grown: over(over(g, grown), grown)},
    doc="x / (1 + |x|), of real x and 1 + |x|.",
)


@function(places="", aliases=("nn.functional.tanhshrink",))
def tanhshrink(input: Tensor) -> Tensor:
    """`x - tanh(x)`, element by element; the slope is `tanh(x)**2`.

    >>> import pullback as torch
    >>> torch.nn.functional.tanhshrink(torch.tensor([1.0]))
    tensor([0.2384])
    """
    shrink = _less_tanh if input.dtype.kind in "fc" else ops.sub
    return shrink(input, ops.tanh(input))


@function(places="", aliases=("nn.functional.softsign",))
def softsign(input: Tensor) -> Tensor:
    """`x / (1 + |x|)`, element by element; the slope is `1 / (1 + |x|)**2`.

    >>> import pullback as torch
    >>> torch.nn.functional.softsign(torch.tensor([1.0, -3.0]))
    tensor([ 0.5000, -0.7500])
    """
    grown = ops.abs(input) + 1
    return input / grown if input.dtype.is_complex else _over_grown(input, grown)


@function(name="sigmoid", places="", aliases=("nn.functional.sigmoid",))
def _functional_sigmoid(input: Tensor) -> Tensor:
    """`1 / (1 + exp(-x))`, element by element.

    >>> import pullback as torch
    >>> torch.nn.functional.sigmoid(torch.tensor([0.0]))
    tensor([0.5000])
    """
    return ops.sigmoid(input)


@function(name="tanh", places="", aliases=("nn.functional.tanh",))
def _functional_tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent, element by element.

    >>> import pullback as torch
    >>> torch.nn.functional.tanh(torch.tensor([0.0]))
    tensor([0.])
    """
    return ops.tanh(input)


def _chosen_dim(name: str, ndim: int, dim: int | None) -> int:
    """The dim of a softmax that was called without: the first of 0, 1 or 3 dims, else the second."""
    if dim is not None:
        return dim
    warn_each_time(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
    )
    return 0 if ndim in (0, 1, 3) else 1


@function(name="softmax", places="", aliases=("nn.functional.softmax",))
def _functional_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None
) -> Tensor:
    """`exp(x) / sum(exp(x))` along `dim`, as `torch.softmax`.

    >>> import pullback as torch
    >>> torch.nn.functional.softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return ops.softmax(input, _chosen_dim("softmax", input.ndim, dim), dtype)


@function(name="log_softmax", places="", aliases=("nn.functional.log_softmax",))
def _functional_log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None
) -> Tensor:
    """The logarithm of `softmax`, as `torch.log_softmax`.

    >>> import pullback as torch
    >>> torch.nn.functional.log_softmax(torch.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return ops.log_softmax(input, _chosen_dim("log_softmax", input.ndim, dim), dtype)


@function(places="", aliases=("nn.functional.softmin",))
def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Dtype | None = None
) -> Tensor:
    """`softmax(-x)` along `dim`.

    >>> import pullback as torch
    >>> torch.nn.functional.softmin(torch.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return ops.softmax(-input, _chosen_dim("softmin", input.ndim, dim), dtype)


@function(places="", aliases=("nn.functional.gumbel_softmax",))
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A sample of the Gumbel-softmax distribution: `softmax((logits + noise) / tau)` along `dim`.

    If `hard`, the sample is one-hot, with the gradient of the soft one.

    >>> import pullback as torch
    >>> torch.nn.functional.gumbel_softmax(torch.tensor([1.0, 2.0]), hard=True).sum()
    tensor(1.)
    """
    if eps != 1e-10:
        warn_each_time("`eps` parameter is deprecated and has no effect.")
    noise = -ops.log(ops.empty_like(logits).exponential_())
    soft = ops.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    largest = ops.argmax(soft, dim, True)
    chosen = ops.scatter(ops.zeros_like(soft), dim, largest, 1.0)
    return chosen - soft.detach() + soft
