"""Arithmetic: what Python's operators do, powers and roots, and fused forms of them.

Each block is an op; read `mul` first, then `pow`. Rules multiply with `times` or divide with `over`
where the slope may be infinite: NOTE [Zero times infinity] in zero_times_infinity.py says why.
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import IN_PLACE, Tensor, conj, grad_enabled, quiet, result_type
from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import bool_, complex128, float16, float64
from pullback.core.op import elementwise, function
from pullback.core.types import Number
from pullback.ops.shared import series
from pullback.ops.shared.forms import HIDDEN, explained
from pullback.ops.shared.old_forms import takes_old_forms
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import example, over, times, zero_where_nan

TWO = ("self", "other")


# ------------------------------------------------------------------------------ sum and difference

add = elementwise(
    "add",
    np.add,
    inputs=TWO,
    places="",
    symbol="+",
    allowed="bifch",
    vjp={"self": "g", "other": "g"},
    doc="Sum of two tensors or numbers, broadcast.",
    series=series.signed_sum(1, 1),
)


def add_scaled(
    input: Tensor, other: Tensor | Number, *, alpha: Number = 1, out: Tensor | None = None
) -> Tensor:
    """`input + alpha * other`, broadcast. RuntimeError if `alpha` is of a higher kind.

    >>> import pullback as torch
    >>> torch.add(torch.tensor([1.0, 2.0]), 1, alpha=2)
    tensor([3., 4.])
    """
    if type(alpha) is int and alpha == 1:
        return add(input, other, out=out)
    if _are_halves(input, other, alpha):
        return _add_halves(input, other, alpha, out=out)
    return add(input, _times_alpha(input, other, alpha), out=out)


add_scaled = explained(add_scaled, HIDDEN, name="add", places="tmi")


def _times_alpha(input: Any, other: Any, alpha: Any) -> Any:
    """`alpha * other`, in the dtype that the sum with `input` has."""
    if type(alpha) is int and alpha == 1:
        return other
    common = result_type(input, other)
    if isinstance(alpha, bool) and common is not bool_:
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, complex) and not common.is_complex:
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    if isinstance(alpha, float) and not (common.is_floating_point or common.is_complex):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if common is bool_:
        alpha = bool(alpha)
    if isinstance(other, Tensor) and other.dtype is not common:
        other = other.to(common)
    return mul(other, alpha)


def _rounded_once(name: str, sign: int) -> Any:
    """The op of a sum or difference with `alpha` in the half precisions: the product is not rounded."""
    return elementwise(
        f"{name}_scaled",
        kernel=lambda self, other, alpha: self + (alpha if sign > 0 else -alpha) * other,
        inputs=("self", "other", "alpha"),
        places="",
        allowed="bifch",
        public_name=name,
        grad_name=f"{name.capitalize()}Backward0",
        vjp={"self": "g", "other": lambda g, alpha: g * (sign * alpha)},
        doc=f"The public `{name}` of half precisions with `alpha`.",
    )


_add_halves, _sub_halves = _rounded_once("add", 1), _rounded_once("sub", -1)


def _are_halves(input: Any, other: Any, alpha: Any) -> bool:
    """Whether the sum with `alpha * other` is one of half precision."""
    if isinstance(alpha, Tensor) and alpha.requires_grad:
        raise TypeError("add(): argument 'alpha' must be Number, not Tensor")
    if alpha == 1 or isinstance(alpha, (bool, complex)):
        return False
    common = result_type(input, other)
    if common.itemsize != 2 or not common.is_floating_point:
        return False
    if common is float16 and _HALF_END < abs(alpha) < math.inf:
        raise RuntimeError("value cannot be converted to type c10::Half without overflow")
    return True


_HALF_END = 65504
"""The largest number in half precision."""


NO_BOOLS = (
    "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
    "operator instead."
)
_NO_BOOL = (
    "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
    "use the `~` or `logical_not()` operator instead."
)


def _refuse_bool(*operands: Any) -> None:
    """One bool operand among others is an error of its own; two have the op's."""
    bools = [x for x in operands if isinstance(x, bool) or getattr(x, "dtype", None) is bool_]
    if len(bools) == 1:
        raise RuntimeError(_NO_BOOL)


sub = elementwise(
    "sub",
    np.subtract,
    inputs=TWO,
    places="",
    symbol="-",
    allowed="ifch",
    refuse=lambda dtype: NO_BOOLS,
    vjp={"self": "g", "other": lambda g: -g},
    doc="Difference of two tensors or numbers, broadcast.",
    series=series.signed_sum(1, -1),
)

rsub = elementwise(
    "rsub",
    np.subtract,
    swapped=True,
    inputs=TWO,
    places="",
    symbol="-",
    allowed="ifch",
    refuse=lambda dtype: NO_BOOLS,
    grad_name="RsubBackward0",
    number_names={"other": "RsubBackward1"},
    vjp={"self": lambda g: -g, "other": "g"},
    doc="`other - self`, broadcast; `self` is a tensor.",
    series=series.signed_sum(-1, 1),
)

sub.check_bools = rsub.check_bools = _refuse_bool


def sub_scaled(
    input: Tensor, other: Tensor | Number, *, alpha: Number = 1, out: Tensor | None = None
) -> Tensor:
    """`input - alpha * other`, broadcast. RuntimeError for bool tensors.

    >>> import pullback as torch
    >>> torch.sub(torch.tensor([1.0, 2.0]), 1, alpha=2)
    tensor([-1.,  0.])
    """
    if type(alpha) is int and alpha == 1:
        return sub(input, other, out=out)
    if _are_halves(input, other, alpha):
        return _sub_halves(input, other, alpha, out=out)
    return sub(input, _times_alpha(input, other, alpha), out=out)


sub_scaled = explained(
    sub_scaled, HIDDEN, name="sub", places="tmi", aliases=("torch.subtract", "Tensor.subtract")
)


def _from_tensor_form(input: Tensor, other: Tensor, *, alpha: Number = 1) -> Tensor:
    """A form of `rsub`."""


def _from_number_form(input: Tensor, other: Number, alpha: Number = 1) -> Tensor:
    """A form of `rsub`."""


@function(name="rsub", places="t", forms=(_from_tensor_form, _from_number_form))
def rsub_scaled(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """`other - alpha * input`, broadcast. RuntimeError for bool tensors.

    >>> import pullback as torch
    >>> torch.rsub(torch.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    if _are_halves(input, other, alpha):
        return _sub_halves(other, input, alpha)
    return rsub(_times_alpha(other, input, alpha), other)


@function(name="__rdiv__", places="m")
def _quotient_of(self: Tensor, other: Tensor | Number) -> Tensor:
    """`other / self`, by the name it had in Python 2."""
    return self.reciprocal() * other


neg = elementwise(
    "neg",
    "pullback.kernels.curves:negative",
    casts_out=False,
    aliases=("torch.negative", "Tensor.negative"),
    allowed="ifch",
    refuse=lambda dtype: (
        "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, "
        "use the `~` or `logical_not()` operator instead."
    ),
    vjp={"self": lambda g: -g},
    doc=example("The negative of each element.", "torch.neg(torch.tensor([1, -2]))", "tensor([-1,  2])"),
    places="tmife",
    series=series.signed_sum(-1),
)


@function()
def positive(input: Tensor) -> Tensor:
    """The tensor itself: what `+x` gives. RuntimeError for bool tensors.

    >>> import pullback as torch
    >>> torch.positive(torch.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    if input.dtype is bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


# ---------------------------------------------------------------------------- product and quotient

mul = elementwise(
    "mul",
    np.multiply,
    inputs=TWO,
    allowed="bifche",
    symbol="*",
    wide_numbers=True,
    aliases=("torch.multiply", "Tensor.multiply"),
    vjp={"self": "g * conj(other)", "other": "g * conj(self)"},
    doc=example(
        "Product of two tensors or numbers, broadcast.",
        "torch.mul(torch.tensor([1.0, 2.0]), 3)",
        "tensor([3., 6.])",
    ),
    series=series.bilinear(),
)

div = elementwise(
    "div",
    np.divide,
    inputs=TWO,
    places="",
    symbol="/",
    wide_numbers=True,
    promote="float",
    vjp={
        "self": lambda g, other: over(g, conj(other)),
        "other": lambda g, self, other: times(-g, conj((self / other) / other)),
    },
    doc="Quotient of two tensors or numbers, broadcast; integers are divided as floats.",
    series=series.quotient,
)

reciprocal = elementwise(
    "reciprocal",
    np.reciprocal,
    promote="float",
    vjp={"self": lambda g, result: times(times(-g, conj(result)), conj(result))},
    doc=example(
        "`1 / x` of each element, integers as floats; the slope is -1 / x**2.",
        "torch.reciprocal(torch.tensor([2.0, 4.0]))",
        "tensor([0.5000, 0.2500])",
    ),
    places="tmife",
    series=series.one_over,
)


def rdiv(self: Any, other: Any) -> Any:
    """`other / self` for a number `other`: what Python's `/` calls."""
    return mul(reciprocal(self), other)


# ---------------------------------------------------------------------------------------- powers


def _int_power(self: Any, other: Any) -> Any:
    """Integers to integer powers: a negative one gives 0, save for the bases 1 and -1."""
    if not (other < 0).any():
        return np.power(self, other)
    result = np.power(self, np.maximum(other, 0))
    inverse = np.where(self == 1, 1, np.where(self == -1, 1 - 2 * (other % 2), 0))
    return np.where(other < 0, inverse, result).astype(result.dtype)


def _power_kernel(self: Any, other: Any) -> Any:
    if self.dtype.kind == "b":
        return self | ~other
    return _int_power(self, other) if self.dtype.kind in "iu" else np.power(self, other)


def _power_of_number(self: Any, other: Any) -> Any:
    if self.dtype.kind in "iu" and (other < 0).any():
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return self | ~other if self.dtype.kind == "b" else np.power(self, other)


def power_slope(g: Any, self: Any, other: Any) -> Any:
    """`g * conj(n * x**(n - 1))` for a number n; zero for n = 0 even where x is zero."""
    if other == 2 and not grad_enabled():
        return g * conj(self * 2)  # the common case, short of a power that only a graph needs
    if other == 0:
        return ops.zeros_like(g)
    return times(g, conj(self ** (other - 1) * other))


def _log_of_number(x: Any) -> Any:
    if isinstance(x, complex):
        return cmath.log(x) if x != 0 else -math.inf
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


def _log_or_zero(self: Any, other: Any, dtype: Any) -> Any:
    """`log(x)`, zero for x = 0 and y >= 0."""
    allowed = (other.real >= 0) & (other.imag == 0) if other.dtype.is_complex else other >= 0
    return ops.where((self == 0) & allowed, 0, ops.log(_as_dtype(self, dtype)))


def _log_slope_kernel(g: Any, self: Any, other: Any, result: Any) -> Any:
    allowed = (other.real >= 0) & (other.imag == 0)
    slope = np.where((self == 0) & allowed, self.dtype.type(0), np.log(self)) * result
    return zero_where_nan(g == 0, g * np.conj(slope))


log_slope = elementwise(
    "log_slope",
    "pullback.kernels.slopes:log_slope",
    kernel=_log_slope_kernel,
    inputs=("grad", "self", "other", "result"),
    places="",
    loops_for="f",
    nondiff=True,
    doc="`grad * conj(result * log(self))`, zero for self = 0 and other >= 0: a power's slope, not recorded.",
)


def _exponent_slope(g: Any, self: Any, other: Any, result: Any) -> Any:
    """`g * conj(x**y * log(x))`, zero for x = 0 and y >= 0."""
    if isinstance(self, Tensor):
        if quiet():
            return log_slope(g, self, other, result)
        return times(g, conj(times(_log_or_zero(self, other, result.dtype), result)))
    allowed = (other.real >= 0) & (other.imag == 0) if other.dtype.is_complex else other >= 0
    slope = result * _log_of_number(complex(self) if result.dtype.is_complex else self)
    return times(g, conj(ops.where(allowed, 0, slope) if self == 0 else slope))


pow_number = elementwise(
    "pow_number",
    "pullback.kernels.curves:power",
    kernel=_power_of_number,
    inputs=TWO,
    places="",
    public_name="pow",
    symbol="** or pow()",
    shown_as={"other": "exponent"},
    loops_for="fc",
    allowed="bifc",
    refuse=unimplemented("pow"),
    grad_name="PowBackward0",
    vjp={"self": power_slope},
    doc="A tensor to the power of a number.",
    series=series.power,
)

pow = elementwise(
    "pow",
    np.power,
    kernel=_power_kernel,
    inputs=TWO,
    places="",
    shown_as={"other": "exponent"},
    loops_for="fc",
    allowed="ifc",
    refuse=unimplemented("pow"),
    grad_name="PowBackward1",
    vjp={
        "self": lambda g, self, other: times(g, conj(times(other, self ** (other - 1)))),
        "other": _exponent_slope,
    },
    doc="A tensor to the power of a tensor, broadcast.",
    series=series.power,
)

rpow = elementwise(
    "rpow",
    np.power,
    kernel=_power_kernel,
    inputs=TWO,
    places="",
    public_name="pow",
    loops_for="fc",
    allowed="ifc",
    refuse=unimplemented("pow"),
    grad_name="PowBackward2",
    vjp={"other": _exponent_slope},
    doc="A number to the power of a tensor.",
)


def _power_op(base: Any, exponent: Any) -> Any:
    if not isinstance(exponent, Tensor):
        if (
            isinstance(exponent, int)
            and exponent < 0
            and isinstance(base, Tensor)
            and base.dtype.kind in "ui"
        ):
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return pow_number
    return pow if isinstance(base, Tensor) else rpow


@function(name="pow", places="tmi", forms=(), keywords={"self": "input"})
def power(input: Tensor | Number, exponent: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`input ** exponent`, broadcast; either may be a number.

    RuntimeError for integers to a negative number; the slope is n * x**(n - 1).

    >>> import pullback as torch
    >>> torch.pow(torch.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return _power_op(input, exponent)(input, exponent, out=out)


@function(places="tmi", forms=())
def float_power(input: Tensor | Number, exponent: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`input ** exponent` in double precision, complex if an operand is.

    >>> import pullback as torch
    >>> torch.float_power(torch.tensor([1, 2]), -1)
    tensor([1.0000, 0.5000], dtype=torch.float64)
    """
    dtype = complex128 if result_type(input, exponent).is_complex else float64
    if out is IN_PLACE and isinstance(input, Tensor) and input.dtype is not dtype:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {input.dtype.type_name} but the operation's "
            f"result requires dtype {dtype.type_name}"
        )
    if out is not None and out is not IN_PLACE and out.dtype is not dtype:
        raise RuntimeError(
            f"the output given to float_power has dtype {out.dtype.type_name} but the operation's "
            f"result requires dtype {dtype.type_name}"
        )
    base, exponent = _as_dtype(input, dtype), _as_dtype(exponent, dtype)
    return _power_op(base, exponent)(base, exponent, out=out)


def _as_dtype(x: Any, dtype: Any) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.dtype is not dtype else x


@function(places="tmif")
def square(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """`x * x` of each element; the slope is 2 * x.

    >>> import pullback as torch
    >>> torch.square(torch.tensor([1.0, -2.0]))
    tensor([1., 4.])
    """
    return pow_number(input, 2, out=out)


sqrt = elementwise(
    "sqrt",
    np.sqrt,
    promote="float",
    vjp={"self": lambda g, result: over(g, conj(result * 2))},
    doc=example(
        "Square root; NaN for negative real numbers. The slope is 1 / (2 * sqrt(x)).",
        "torch.sqrt(torch.tensor([4.0, 9.0]))",
        "tensor([2., 3.])",
    ),
    places="tmife",
    series=series.square_root,
)

rsqrt = elementwise(
    "rsqrt",
    "pullback.kernels.curves:rsqrt",
    kernel=lambda self: 1 / np.sqrt(self),
    loops_for="f",
    promote="float",
    vjp={"self": lambda g, result: times(g * -0.5, conj(result**3))},
    doc=example(
        "`1 / sqrt(x)` of each element; the slope is -x**(-3/2) / 2.",
        "torch.rsqrt(torch.tensor([4.0, 16.0]))",
        "tensor([0.5000, 0.2500])",
    ),
    places="tmife",
    series=series.fixed_power(-0.5),
)

hypot = elementwise(
    "hypot",
    "pullback.kernels.curves:hypot",
    inputs=TWO,
    kinds="TT",
    allowed="f",
    vjp={
        "self": lambda g, self, result: times(g, self / result),
        "other": lambda g, other, result: times(g, other / result),
    },
    doc=example(
        "`sqrt(self**2 + other**2)` without overflow; the slopes are x / hypot and y / hypot.",
        "torch.hypot(torch.tensor([3.0]), torch.tensor([4.0]))",
        "tensor([5.])",
    ),
)


# ----------------------------------------------------------------------------------- fused forms

THREE_AND_VALUE = ("self", "tensor1", "tensor2", "value")

_addcmul = elementwise(
    "addcmul",
    "pullback.kernels.curves:addcmul",
    loops_for="f",
    kernel=lambda self, tensor1, tensor2, value: self + value * tensor1 * tensor2,
    wide_numbers=True,
    inputs=THREE_AND_VALUE,
    kinds="TTTN",
    places="",
    allowed="ifch",
    refuse=unimplemented("addcmul_cpu_out"),
    vjp={
        "self": "g",
        "tensor1": lambda g, tensor2, value: g * conj(tensor2 * value),
        "tensor2": lambda g, tensor1, value: g * conj(tensor1 * value),
    },
    doc="`self + value * tensor1 * tensor2`, broadcast.",
)


@function(places="tmi")
def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1, out: Tensor | None = None
) -> Tensor:
    """`input + value * tensor1 * tensor2`, broadcast.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0])
    >>> torch.addcmul(x, x, x, value=10)
    tensor([11., 42.])
    """
    value = _as_kind(value, result_type(input, tensor1, tensor2))
    return _addcmul(input, tensor1, tensor2, value, out=out)


def _as_kind(value: Any, dtype: Any) -> Any:
    """A factor as the tensors' kind of number, so that it does not promote them."""
    if isinstance(value, complex) and not dtype.is_complex:
        raise RuntimeError(f"value cannot be converted to type {C_NAMES[dtype.name]} without overflow")
    if dtype is bool_:
        return bool(value)
    return value if dtype.is_floating_point or dtype.is_complex else int(value)


_addcdiv = elementwise(
    "addcdiv",
    "pullback.kernels.curves:addcdiv",
    loops_for="f",
    kernel=lambda self, tensor1, tensor2, value: self + value * tensor1 / tensor2,
    wide_numbers=True,
    inputs=THREE_AND_VALUE,
    kinds="TTTN",
    places="",
    vjp={
        "self": "g",
        "tensor1": lambda g, tensor2, value: over(g * conj(value), conj(tensor2)),
        "tensor2": lambda g, tensor1, tensor2, value: times(
            g * -conj(value), conj(tensor1 / tensor2 / tensor2)
        ),
    },
    doc="`self + value * tensor1 / tensor2`, broadcast.",
)


@function(places="tmi")
def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1, out: Tensor | None = None
) -> Tensor:
    """`input + value * tensor1 / tensor2`, broadcast. RuntimeError for a quotient of integers.

    >>> import pullback as torch
    >>> torch.addcdiv(torch.tensor([1.0]), torch.tensor([3.0]), torch.tensor([2.0]))
    tensor([2.5000])
    """
    quotient = result_type(tensor1, tensor2)
    if not (quotient.is_floating_point or quotient.is_complex):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future  release "
            "addcdiv will perform a true division of tensor1 and tensor2. The historic addcdiv "
            "behavior can be implemented as (input + value * torch.trunc(tensor1 / tensor2))"
            ".to(input.dtype) for integer inputs and as (input + value * tensor1 / tensor2) for "
            "float inputs. The future addcdiv behavior is just the latter implementation: "
            "(input + value * tensor1 / tensor2), for all dtypes."
        )
    value = _as_kind(value, result_type(input, tensor1, tensor2))
    return _addcdiv(input, tensor1, tensor2, value, out=out)


def _lerp_kernel(self: Any, end: Any, weight: Any) -> Any:
    """From the nearer end, so that both weights 0 and 1 are exact."""
    gap = end - self
    return np.where(abs(weight) < 0.5, self + weight * gap, end - gap * (1 - weight))


_lerp = elementwise(
    "lerp",
    "pullback.kernels.curves:lerp",
    casts_out=False,
    loops_for="f",
    kernel=_lerp_kernel,
    wide_numbers=True,
    inputs=("self", "end", "weight"),
    kinds="TTN",
    places="",
    allowed="fc",
    refuse=unimplemented("lerp_kernel_tensor"),
    grad_name="LerpBackward1",
    number_names={"weight": "LerpBackward0"},
    vjp={
        "self": lambda g, weight: g * conj(1 - weight),
        "end": lambda g, weight: g * conj(weight),
        "weight": lambda g, self, end: g * conj(end - self),
    },
    doc="`self + weight * (end - self)`, broadcast.",
)


@function(places="tmi")
def lerp(input: Tensor, end: Tensor, weight: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`input + weight * (end - input)`, broadcast; RuntimeError if the dtypes differ.

    >>> import pullback as torch
    >>> torch.lerp(torch.tensor([0.0, 1.0]), torch.tensor([10.0, 11.0]), 0.5)
    tensor([5., 6.])
    """
    for name, x in (("end", end), ("weight", weight)):
        if name == "weight" and isinstance(x, Tensor) and not x.ndim:
            continue  # promoted, as a number is
        if isinstance(x, Tensor) and isinstance(input, Tensor) and x.dtype is not input.dtype:
            expected, got = C_NAMES[input.dtype.name], C_NAMES[x.dtype.name]
            raise RuntimeError(f"expected dtype {expected} for `{name}` but got dtype {got}")
    if isinstance(weight, Tensor):
        return _lerp(input, end, weight, out=out)
    dtype = input.dtype
    if not (dtype.is_floating_point or dtype.is_complex):
        unimplemented("lerp_kernel_scalar")(dtype)
    return _lerp(input, end, _as_kind(weight, dtype), out=out)


takes_old_forms("add", TNT="alpha", TNN="alpha")
takes_old_forms("sub", TNT="alpha", TNN="alpha")
takes_old_forms("addcmul", TNTT="value")
takes_old_forms("addcdiv", TNTT="value")
