"""The parts of a number: magnitude and sign, mantissa and exponent, conjugate and angle."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from pullback import ops, return_types
from pullback.core._engine import IN_PLACE, Op, Tensor, conjugate_view, turned
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import bool_, finfo, float32, float64, from_numpy_dtype, int32
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_like
from pullback.core.op import elementwise, function, op
from pullback.core.types import Array
from pullback.kernels.steps import LINE_BLOCK, POINTWISE, matrix_loop
from pullback.ops.elementwise.arithmetic import TWO
from pullback.ops.shared import series
from pullback.ops.shared.chains import Chain, Place, Step, operand
from pullback.ops.shared.refusals import no_complex, unimplemented, without_derivative
from pullback.ops.shared.zero_times_infinity import example, flat, times

# ---------------------------------------------------------------------------- magnitude and sign

abs = elementwise(
    "abs",
    np.absolute,
    casts_out=False,
    places="tme",
    aliases=("torch.absolute", "Tensor.absolute"),
    allowed="ifche",
    vjp={"self": lambda g, self: g * sgn(self)},
    doc=example(
        "The absolute value, real for complex tensors; the slope is the sign, 0 at 0.",
        "torch.abs(torch.tensor([1.0, -2.0]))",
        "tensor([1., 2.])",
    ),
    series=series.at_value(lambda x: sign(x)),
)


@function(name="abs_", places="tm", aliases=("Tensor.absolute_",))
def abs_in_place(self: Tensor) -> Tensor:
    """`abs` with the result written into this tensor; RuntimeError for a complex one."""
    if self.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs(self, out=IN_PLACE)


def _sgn_kernel(self: Any) -> Any:
    """Of bools and complex numbers; the loop is for the others."""
    if self.dtype.kind == "b":
        return self.copy()
    return np.where(self == 0, self.dtype.type(0), self / np.absolute(self))


sign: Op = elementwise(
    "sign",
    "pullback.kernels.curves:sign",
    casts_out=False,
    kernel=lambda self: self.copy(),  # of bools
    loops_for="iuf",
    allowed="bif",
    refuse=unimplemented(
        "sign_cpu",
        "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead.",
    ),
    vjp={"self": flat},
    doc=example(
        "-1, 0 or 1 by the sign of each element, 0 for NaN. The gradient is zero.",
        "torch.sign(torch.tensor([2.0, 0.0, -3.0]))",
        "tensor([ 1.,  0., -1.])",
    ),
    places="tmie",
)


def _sgn_slope(g: Any, self: Any, result: Any) -> Any:
    """Of z / |z|: what of `g` is across z, over |z|; zero at zero."""
    if not self.dtype.is_complex:
        return flat(g)
    along = (g * ops.conj_physical(result)).real * result
    return ops.where(self == 0, 0, (g - along) / abs(self))


sgn: Op = elementwise(
    "sgn",
    "pullback.kernels.curves:sign",
    casts_out=False,
    kernel=_sgn_kernel,
    loops_for="iuf",
    allowed="bifch",
    vjp={"self": _sgn_slope},
    doc=example(
        "`z / |z|` of each element, 0 at 0: the sign of a complex number.",
        "torch.sgn(torch.tensor([3 + 4j, 0j]))",
        "tensor([0.6000+0.8000j, 0.0000+0.0000j])",
    ),
)

signbit = elementwise(
    "signbit",
    "pullback.kernels.curves:signbit",
    casts_out=False,
    kernel=lambda self: np.signbit(self) if self.dtype.kind == "f" else self < 0,
    places="tm",
    loops_for="f",
    allowed="bif",
    refuse=unimplemented("signbit_cpu", "signbit is not implemented for complex tensors."),
    nondiff=True,
    doc=example(
        "Whether the sign bit of each element is set: true for -0.0.",
        "torch.signbit(torch.tensor([-0.0, 0.0]))",
        "tensor([ True, False])",
    ),
)


copysign = elementwise(
    "copysign",
    "pullback.kernels.curves:copysign",
    inputs=TWO,
    kinds="TN",
    forms=(),
    promote="float",
    allowed="f",
    refuse=unimplemented("copysign_cpu"),
    grad_name="CopysignBackward0",
    number_names={"other": "CopysignBackward1"},
    vjp={
        "self": lambda g, self, result: times(g, ops.where(self == 0, 0, result / self)),
        "other": flat,
    },
    doc=example(
        "The magnitude of `self` with the sign of `other`, broadcast; the slope is 1 or -1, 0 at 0.",
        "torch.copysign(torch.tensor([1.0, -2.0]), -1)",
        "tensor([-1., -2.])",
    ),
)


nextafter = elementwise(
    "nextafter",
    "pullback.kernels.curves:nextafter",
    kernel=np.nextafter,
    inputs=TWO,
    kinds="TT",
    allowed="f",
    takes_half=True,
    vjp={"self": lambda g, self, other: ops.where(self == other, 0, g), "other": flat},
    doc=example(
        "The next representable number after `self` towards `other`; the slope is 1, 0 for equals.",
        "torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0])) > 1",
        "tensor([True])",
    ),
)

_heaviside = elementwise(
    "heaviside",
    "pullback.kernels.curves:heaviside",
    casts_out=False,
    loops_for="f",
    kernel=lambda self, values: np.where(self == 0, values, (self > 0).astype(values.dtype)),
    inputs=("self", "values"),
    kinds="TT",
    places="",
    allowed="bif",
    refuse=no_complex("heaviside is not yet implemented for complex tensors."),
    grad_name="NotImplemented",
    vjp={"self": without_derivative("heaviside"), "values": without_derivative("heaviside")},
    doc="The unit step.",
)


@function(places="tmi")
def heaviside(input: Tensor, values: Tensor, *, out: Tensor | None = None) -> Tensor:
    """0 for negative elements, 1 for positive ones, `values` at zero. It has no derivative.

    RuntimeError for complex tensors and for different dtypes.

    >>> import pullback as torch
    >>> torch.heaviside(torch.tensor([-1.0, 0.0, 2.0]), torch.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    both = isinstance(input, Tensor) and isinstance(values, Tensor)
    if both and (input.dtype.is_complex or values.dtype.is_complex):
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if both and input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    return _heaviside(input, values, out=out)


# -------------------------------------------------------------------------- mantissa and exponent


ldexp: Op = elementwise(
    "ldexp",
    "pullback.kernels.mixed:ldexp",
    casts_out=False,
    kernel=lambda self, other: self * np.exp2(other),  # of complex numbers
    inputs=TWO,
    kinds="TT",
    promote="float",
    vjp={
        "self": lambda g, other: ldexp(g, ops.conj(other)),
        "other": lambda g, result: times(g, ops.conj(result) * math.log(2)),
    },
    doc=example(
        "`self * 2**other`, broadcast; integers as floats. Whole exponents move the point, so that 2**other "
        "itself may overflow.",
        "torch.ldexp(torch.tensor([1.0, 3.0]), torch.tensor([2]))",
        "tensor([ 4., 12.])",
    ),
    places="tmif",
)


@op(name="frexp", places="", layout="K", batch="leading")
def _frexp(self: Array) -> Any:
    """Mantissa and exponent."""
    _check_float(self)
    mantissa, exponent = np.frexp(self)
    return mantissa, np.where(np.isfinite(self), exponent, 0).astype(np.int32)


def _check_float(self: Array) -> None:
    if from_numpy_dtype(self.dtype).kind != "f":
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")


@_frexp.meta
def _frexp_shapes(self: Array) -> tuple[Array, Array]:
    _check_float(self)
    return meta_like(self), meta_like(self, np.int32)


@_frexp.prepare
def _plan_frexp(self: Spec) -> Plan:
    if self.dtype not in (float32, float64) or not self.contiguous:
        return Plan(())
    results = Spec(self.dtype, self.shape), Spec(int32, self.shape)
    chain, size = Chain(1, results), self.size
    places = chain.result(0), chain.result(1)
    chain.zero(operand(places[1], results[1], range(self.ndim)))  # that of infinity and NaN is left as it is
    loop = matrix_loop(np.frexp, np.dtype(self.dtype.numpy).num)
    dims = (size, self.itemsize, self.itemsize, int32.itemsize)
    chain.add(Step(POINTWISE, (*loop, 3, 1, *dims), -(-size // LINE_BLOCK), 0, size), Place(0), *places)
    return chain.plan()


_frexp.vjp(self=lambda g0, result1: ldexp(g0, -result1))


@function()
def frexp(input: Tensor, *, out: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
    """Mantissa and exponent: `x = mantissa * 2**exponent` with 0.5 <= |mantissa| < 1.

    RuntimeError for other than floats; the mantissa's slope is 2**-exponent.

    >>> import pullback as torch
    >>> torch.frexp(torch.tensor([3.0, 8.0])).mantissa
    tensor([0.7500, 0.5000])
    """
    return return_types.frexp(_frexp(input, out=out))


# -------------------------------------------------------------------------- conjugate and angle


def _declare_conj(name: str) -> Any:
    return elementwise(
        name,
        np.conjugate,
        places="",
        allowed="bifch",
        vjp={"self": lambda g: conj_physical(g)},
        doc="The complex conjugate of each element.",
    )


_conj = _declare_conj("conj")
_conj_physical = _declare_conj("conj_physical")


@function()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate as a view: writes to either are seen by both; a real tensor is returned as it is.

    Under a transform, and of a small window on large memory, it is a copy. Writes by NumPy are not seen.

    >>> import pullback as torch
    >>> x = torch.tensor([1 + 2j]); y = x.conj(); x *= 2; y
    tensor([2.-4.j])
    """
    if not input.dtype.is_complex:
        return input
    seen = conjugate_view(_conj, input)
    return _conj(input) if seen is None else seen


@function(places="tmif")
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugate in new memory; a real tensor is returned as it is.

    >>> import pullback as torch
    >>> torch.conj_physical(torch.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    if not input.dtype.is_complex and (out is None or out is IN_PLACE):
        return input
    if input.dtype is bool_:  # NumPy's conjugate of a bool is an int8
        return ops.logical_or(input, input, out=out)
    return _conj_physical(input, out=out)


@function()
def resolve_conj(input: Tensor) -> Tensor:
    """A copy of a conjugate view in memory of its own; any other tensor itself.

    >>> import pullback as torch
    >>> torch.resolve_conj(torch.tensor([1 + 2j]).conj())
    tensor([1.-2.j])
    """
    return ops.clone(input) if turned(input) == "conj" else input


@function()
def resolve_neg(input: Tensor) -> Tensor:
    """A copy of the imaginary parts of a conjugate view; any other tensor itself.

    >>> import pullback as torch
    >>> torch.resolve_neg(torch.tensor([1 + 2j]).conj().imag)
    tensor([-2.])
    """
    return ops.clone(input) if turned(input) == "neg" else input


def _angle_slope(g: Any, self: Any) -> Any:
    """Across z, over |z|; zero at zero, and for real numbers."""
    if not self.dtype.is_complex:
        return flat(g)
    return ops.where(self == 0, 0, g * sgn(self) * 1j / abs(self))


angle = elementwise(
    "angle",
    "pullback.kernels.curves:angle",
    kernel=np.angle,
    loops_for="f",
    places="tm",
    promote="float",
    vjp={"self": _angle_slope},
    doc=example(
        "The angle of complex numbers in radians; of real ones 0, or pi if negative.",
        "torch.angle(torch.tensor([1j, -1 + 0j]))",
        "tensor([1.5708, 3.1416])",
    ),
)


def _scaling(name: str, factor: float, text: str, call: str, shown: str, grad_name: str) -> Any:
    return elementwise(
        name,
        f"pullback.kernels.curves:{name}",
        places="tmif",
        promote="float",
        allowed="f",
        refuse=no_complex(f"{name} is not supported for complex tensors."),
        grad_name=grad_name,
        vjp={"self": lambda g: g * factor},
        doc=example(text, call, shown),
    )


deg2rad = _scaling(
    "deg2rad",
    math.pi / 180,
    "Degrees as radians.",
    "torch.deg2rad(torch.tensor([180.0]))",
    "tensor([3.1416])",
    "Deg2RadBackward0",
)
rad2deg = _scaling(
    "rad2deg",
    180 / math.pi,
    "Radians as degrees.",
    "torch.rad2deg(torch.tensor([3.1416]))",
    "tensor([180.0004])",
    "Rad2DegBackward0",
)


# ------------------------------------------------------------------------------- what is not finite


_nan_to_num = elementwise(
    "nan_to_num",
    "pullback.kernels.curves:nan_to_num",
    casts_out=False,
    loops_for="f",
    kernel=lambda self, *others: np.nan_to_num(
        np.broadcast_arrays(self, *others)[0],
        **{name: other.real for name, other in zip(("nan", "posinf", "neginf"), others, strict=True)},
    ),
    inputs=("self", "nan", "posinf", "neginf"),
    kinds="TNNN",
    places="",
    vjp={"self": lambda g, self: g * ops.isfinite(self)},
    doc="Numbers in the place of what is not finite.",
)


@functools.cache
def _limits(kind: Dtype) -> tuple[float, float]:
    """The least and the largest finite number of a dtype."""
    limits = finfo(kind)
    return limits.min, limits.max


@function(places="tmif")
def nan_to_num(
    input: Tensor,
    nan: float | None = None,
    posinf: float | None = None,
    neginf: float | None = None,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """NaN as 0 and infinities as the largest numbers, or as given. The slope is 1, there 0.

    >>> import pullback as torch
    >>> torch.nan_to_num(torch.tensor([float("nan"), 1.0]), nan=7.0)
    tensor([7., 1.])
    """
    if not (input.dtype.is_floating_point or input.dtype.is_complex):
        return _nan_to_num(input, False, False, False, out=out)
    low, high = _limits(input.dtype)
    posinf = high if posinf is None else posinf
    neginf = low if neginf is None else neginf
    return _nan_to_num(input, nan or 0, posinf, neginf, out=out)
