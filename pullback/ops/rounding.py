"""Division with remainder, rounding, signs and magnitudes.

What rounds is flat almost everywhere: its gradient is zero, as in PyTorch. The remainders are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback._engine import IN_PLACE, Tensor
from pullback.op import elementwise, function, op
from pullback.ops.arithmetic import TWO, div
from pullback.ops.pointwise import example, flat, times, unimplemented, without_derivative


# ------------------------------------------------------------------------ division with remainder


def _no_zero(divisor: Any) -> None:
    if divisor.dtype.kind in "iu" and not divisor.all():
        raise RuntimeError("ZeroDivisionError")


def _floor_quotient(self: Any, other: Any) -> Any:
    _no_zero(other)
    return np.floor_divide(self, other)


def _trunc_quotient(self: Any, other: Any) -> Any:
    if self.dtype.kind == "f":
        return np.trunc(self / other)
    down = _floor_quotient(self, other)
    up = (down * other != self) & ((self < 0) != (other < 0))
    return down + up.astype(down.dtype)


def _remainder_kernel(self: Any, other: Any) -> Any:
    """The remainder with the sign of the divisor, and a zero with that of the dividend."""
    _no_zero(other)
    if self.dtype.kind != "f":
        return np.remainder(self, other)
    rest = np.fmod(self, other)
    return np.where((rest != 0) & ((other < 0) != (rest < 0)), rest + other, rest)


def _fmod_kernel(self: Any, other: Any) -> Any:
    _no_zero(other)
    return np.fmod(self, other)


def _division(name: str, kernel: Any, public_name: str, what: str, loop: Any = None, **more: Any) -> Any:
    """An op of the division family: real numbers only, integer division by zero is an error."""
    return elementwise(
        name,
        loop,
        kernel=kernel,
        inputs=TWO,
        places="",
        public_name=public_name,
        allowed="if",
        refuse=unimplemented(f"{what}_cpu"),
        loops_for="f",
        doc=f"The public `{public_name}` for these operands.",
        **more,
    )


_div_floor = _division(
    "div_floor",
    _floor_quotient,
    "div",
    "div_floor",
    np.floor_divide,
    grad_name="DivBackward2",
    vjp={"self": flat, "other": flat},
)
_div_trunc = _division(
    "div_trunc",
    _trunc_quotient,
    "div",
    "div_trunc",
    grad_name="DivBackward2",
    vjp={"self": flat, "other": flat},
)
_floor_divide = _division(
    "floor_divide",
    _floor_quotient,
    "floor_divide",
    "div_floor",
    np.floor_divide,
    grad_name="NotImplemented",
    vjp={
        "self": without_derivative("floor_divide"),
        "other": without_derivative("floor_divide"),
    },
)
_remainder = _division(
    "remainder",
    _remainder_kernel,
    "remainder",
    "remainder",
    grad_name="RemainderBackward1",
    vjp={
        "self": "g",
        "other": lambda g, self, other: times(-g, _div_floor(self, other)),
    },
)
_remainder_number = _division(
    "remainder_number",
    _remainder_kernel,
    "remainder",
    "remainder",
    grad_name="RemainderBackward0",
    vjp={"self": "g"},
)
_remainder_of_number = _division(
    "remainder_of_number",
    _remainder_kernel,
    "remainder",
    "remainder",
    grad_name="NotImplemented",
    vjp={"other": without_derivative("remainder")},
)
_fmod = _division(
    "fmod",
    _fmod_kernel,
    "fmod",
    "fmod",
    np.fmod,
    grad_name="FmodBackward1",
    vjp={
        "self": "g",
        "other": lambda g, self, other: times(-g, _div_trunc(self, other)),
    },
)
_fmod_number = _division(
    "fmod_number",
    _fmod_kernel,
    "fmod",
    "fmod",
    np.fmod,
    grad_name="FmodBackward0",
    vjp={"self": "g"},
)

_QUOTIENTS = {None: div, "floor": _div_floor, "trunc": _div_trunc}


@function(
    name="div",
    places="tmi",
    aliases=("torch.divide", "Tensor.divide"),
)
def divide(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    """`input / other`, broadcast; `rounding_mode` "floor" or "trunc" rounds, and keeps integers.

    RuntimeError for another mode, and for a rounded division of integers by zero.

    >>> import pullback as torch
    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode not in _QUOTIENTS:
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    return _QUOTIENTS[rounding_mode](input, other, out=out)


@function(places="tmi")
def true_divide(input: Any, other: Any, *, out: Any = None) -> Any:
    """`input / other`, broadcast; integers are divided as floats.

    >>> import pullback as torch
    >>> torch.true_divide(torch.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    """
    return div(input, other, out=out)


@function(places="tmi")
def floor_divide(input: Any, other: Any, *, out: Any = None) -> Any:
    """The largest whole number not above `input / other`: Python's `//`. It has no derivative.

    RuntimeError for a division of integers by zero.

    >>> import pullback as torch
    >>> torch.floor_divide(torch.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return _floor_divide(input, other, out=out)


@function(places="tmi")
def remainder(input: Any, other: Any, *, out: Any = None) -> Any:
    """`input - other * floor(input / other)`, with the divisor's sign: Python's `%`.

    RuntimeError for integers and a zero divisor; the slopes are 1 and -floor(input / other).

    >>> import pullback as torch
    >>> torch.remainder(torch.tensor([-3.0, 5.0]), 2)
    tensor([1., 1.])
    """
    if not isinstance(other, Tensor):
        return _remainder_number(input, other, out=out)
    return (_remainder if isinstance(input, Tensor) else _remainder_of_number)(input, other, out=out)


@function(places="tmi")
def fmod(input: Any, other: Any, *, out: Any = None) -> Any:
    """`input - other * trunc(input / other)`, with the dividend's sign: C's `fmod`.

    RuntimeError for integers and a zero divisor; the slopes are 1 and -trunc(input / other).

    >>> import pullback as torch
    >>> torch.fmod(torch.tensor([-3.0, 5.0]), 2)
    tensor([-1.,  1.])
    """
    return (_fmod if isinstance(other, Tensor) else _fmod_number)(input, other, out=out)


# -------------------------------------------------------------------------------------- rounding


def _rounding(name: str, ufunc: Any, text: str, call: str, shown: str, **more: Any) -> Any:
    """A rounding of floats; integers are whole already."""
    only_real = None if name == "round" else f"{name} is not supported for complex inputs"
    return elementwise(
        name,
        ufunc,
        kernel=lambda self: ufunc(self) if self.dtype.kind == "f" else self.copy(),
        loops_for="f",
        allowed="if",
        refuse=unimplemented(f"{name}_vml_cpu", only_real),
        vjp={"self": flat},
        doc=example(f"{text} The gradient is zero.", call, shown),
        **more,
    )


trunc = _rounding(
    "trunc",
    np.trunc,
    "Each element without its fraction.",
    "torch.trunc(torch.tensor([1.7, -1.7]))",
    "tensor([ 1., -1.])",
    aliases=("torch.fix", "Tensor.fix"),
)
floor = _rounding(
    "floor",
    np.floor,
    "The largest whole number not above each element.",
    "torch.floor(torch.tensor([1.7, -1.7]))",
    "tensor([ 1., -2.])",
)
ceil = _rounding(
    "ceil",
    np.ceil,
    "The smallest whole number not below each element.",
    "torch.ceil(torch.tensor([1.7, -1.7]))",
    "tensor([ 2., -1.])",
)
_round = _rounding(
    "round",
    np.rint,
    "The nearest whole number, an even one of two.",
    "torch.round(torch.tensor([0.5, 1.5]))",
    "tensor([0., 2.])",
    places="",
)


def _round_to(self: Any, decimals: Any) -> Any:
    scale = self.dtype.type(10.0 ** abs(int(decimals)))
    return np.rint(self * scale) / scale if decimals > 0 else np.rint(self / scale) * scale


_round_decimals = elementwise(
    "round_decimals",
    kernel=_round_to,
    inputs=("self", "decimals"),
    kinds="TN",
    places="",
    public_name="round",
    allowed="f",
    refuse=unimplemented("round_cpu"),
    grad_name="RoundBackward1",
    vjp={"self": flat},
    doc="Each element rounded to a number of decimals.",
)


@function(name="round", places="tmi", aliases=("special.round",))
def round_half_even(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """The nearest whole number, an even one of two; or so many decimals. The gradient is zero.

    >>> import pullback as torch
    >>> torch.round(torch.tensor([0.5, 1.5, 2.345])), torch.round(torch.tensor(2.345), decimals=2)
    (tensor([0., 2., 2.]), tensor(2.3500))
    """
    return _round(input, out=out) if decimals == 0 else _round_decimals(input, decimals, out=out)


frac = elementwise(
    "frac",
    kernel=lambda self: self - np.trunc(self),
    allowed="f",
    vjp={"self": "g"},
    doc=example(
        "The fraction of each element, with its sign; the slope is 1.",
        "torch.frac(torch.tensor([1.5, -1.5]))",
        "tensor([ 0.5000, -0.5000])",
    ),
)


# ---------------------------------------------------------------------------- signs and magnitudes

abs = elementwise(
    "abs",
    np.absolute,
    places="tm",
    aliases=("torch.absolute", "Tensor.absolute"),
    allowed="ifc",
    vjp={"self": lambda g, self: g * sgn(self)},
    doc=example(
        "The absolute value, real for complex tensors; the slope is the sign, 0 at 0.",
        "torch.abs(torch.tensor([1.0, -2.0]))",
        "tensor([1., 2.])",
    ),
)


@function(name="abs_", places="m", aliases=("Tensor.absolute_",))
def abs_in_place(self: Any) -> Any:
    """`abs` with the result written into this tensor; RuntimeError for a complex one."""
    if self.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs(self, out=IN_PLACE)


def _sign_kernel(self: Any) -> Any:
    """NumPy's, but zero for NaN."""
    if self.dtype.kind == "b":
        return self.copy()
    return ((self > 0).astype(np.int8) - (self < 0)).astype(self.dtype)


def _sgn_kernel(self: Any) -> Any:
    if self.dtype.kind != "c":
        return _sign_kernel(self)
    return np.where(self == 0, self.dtype.type(0), self / np.absolute(self))


sign = elementwise(
    "sign",
    np.sign,
    kernel=_sign_kernel,
    loops_for="iu",
    allowed="bif",
    refuse=unimplemented(
        "sign_cpu",
        "Unlike NumPy, torch.sign is not intended to support complex numbers. "
        "Please use torch.sgn instead.",
    ),
    vjp={"self": flat},
    doc=example(
        "-1, 0 or 1 by the sign of each element, 0 for NaN. The gradient is zero.",
        "torch.sign(torch.tensor([2.0, 0.0, -3.0]))",
        "tensor([ 1.,  0., -1.])",
    ),
)


def _sgn_slope(g: Any, self: Any, result: Any) -> Any:
    """Of z / |z|: what of `g` is across z, over |z|; zero at zero."""
    if not self.dtype.is_complex:
        return flat(g)
    along = (g * ops.conj_physical(result)).real * result
    return ops.where(self == 0, 0, (g - along) / abs(self))


sgn = elementwise(
    "sgn",
    np.sign,
    kernel=_sgn_kernel,
    loops_for="iu",
    vjp={"self": _sgn_slope},
    doc=example(
        "`z / |z|` of each element, 0 at 0: the sign of a complex number.",
        "torch.sgn(torch.tensor([3 + 4j, 0j]))",
        "tensor([0.6000+0.8000j, 0.0000+0.0000j])",
    ),
)

signbit = elementwise(
    "signbit",
    np.signbit,
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


def _declare_copysign(name: str, kinds: str, digit: int) -> Any:
    return elementwise(
        name,
        np.copysign,
        inputs=TWO,
        kinds=kinds,
        places="",
        public_name="copysign",
        promote="float",
        allowed="f",
        refuse=unimplemented("copysign_cpu"),
        grad_name=f"CopysignBackward{digit}",
        vjp={
            "self": lambda g, self, result: times(g, ops.where(self == 0, 0, result / self)),
            "other": flat,
        },
        doc="The magnitude of one, the sign of the other.",
    )


_copysign = _declare_copysign("copysign", "TT", 0)
_copysign_number = _declare_copysign("copysign_number", "TN", 1)


@function(places="tmi")
def copysign(input: Any, other: Any, *, out: Any = None) -> Any:
    """The magnitude of `input` with the sign of `other`, broadcast; the slope is 1 or -1, 0 at 0.

    >>> import pullback as torch
    >>> torch.copysign(torch.tensor([1.0, -2.0]), -1)
    tensor([-1., -2.])
    """
    return (_copysign if isinstance(other, Tensor) else _copysign_number)(input, other, out=out)


nextafter = elementwise(
    "nextafter",
    np.nextafter,
    inputs=TWO,
    kinds="TT",
    allowed="f",
    grad_name="NotImplemented",
    vjp={"self": without_derivative("nextafter"), "other": without_derivative("nextafter")},
    doc=example(
        "The next representable number after `self` towards `other`. It has no derivative.",
        "torch.nextafter(torch.tensor([1.0]), torch.tensor([2.0])) > 1",
        "tensor([True])",
    ),
)

heaviside = elementwise(
    "heaviside_",
    np.heaviside,
)
