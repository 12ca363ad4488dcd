"""Division with remainder, and rounding.

What rounds is flat almost everywhere: its gradient is zero, as in PyTorch. The remainders are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core.op import elementwise, function
from pullback.core.types import Number
from pullback.ops.elementwise.arithmetic import TWO, div
from pullback.ops.shared.forms import number_first, number_second, two_tensors
from pullback.ops.shared.refusals import unimplemented, without_derivative
from pullback.ops.shared.zero_times_infinity import example, flat, times

# ------------------------------------------------------------------------ division with remainder


def _no_zero(self: Any, divisor: Any) -> None:
    if divisor.dtype.kind in "iu" and not divisor.all() and np.size(self):
        raise RuntimeError("ZeroDivisionError")


def _floor_quotient(self: Any, other: Any) -> Any:
    _no_zero(self, other)
    return np.floor_divide(self, other)


def _trunc_quotient(self: Any, other: Any) -> Any:
    if self.dtype.kind == "f":
        return np.trunc(self / other)
    down = _floor_quotient(self, other)
    up = (down * other != self) & ((self < 0) != (other < 0))
    return down + up.astype(down.dtype)


def _remainder_kernel(self: Any, other: Any) -> Any:
    _no_zero(self, other)
    return np.remainder(self, other)


def _fmod_kernel(self: Any, other: Any) -> Any:
    _no_zero(self, other)
    return np.fmod(self, other)


def _division(name: str, kernel: Any, public_name: str, what: str, loop: Any = None, **more: Any) -> Any:
    """An op of the division family: real numbers only, integer division by zero is an error."""
    return elementwise(
        name,
        loop,
        kernel=kernel,
        inputs=TWO,
        public_name=public_name,
        allowed="if",
        refuse=unimplemented(f"{what}_cpu"),
        loops_for="f",
        **{"places": "", "doc": f"The public `{public_name}` for these operands.", **more},
    )


_div_floor = _division(
    "div_floor",
    _floor_quotient,
    "div",
    "div_floor",
    "pullback.kernels.curves:floor_divide",
    wide_numbers=True,
    grad_name="DivBackward2",
    vjp={"self": flat, "other": flat},
)
_div_trunc = _division(
    "div_trunc",
    _trunc_quotient,
    "div",
    "div_trunc",
    wide_numbers=True,
    grad_name="DivBackward2",
    vjp={"self": flat, "other": flat},
)
_floor_divide = _division(
    "floor_divide",
    _floor_quotient,
    "floor_divide",
    "div_floor",
    "pullback.kernels.curves:floor_divide",
    wide_numbers=True,
    grad_name="NotImplemented",
    vjp={
        "self": without_derivative("floor_divide"),
        "other": without_derivative("floor_divide"),
    },
)


def _remainder_slope(g: Any, self: Any, other: Any) -> Any:
    """-floor(x / y), which PyTorch does not have for a number x."""
    if not isinstance(self, Tensor):
        raise RuntimeError("derivative for aten::remainder is not implemented")
    return times(-g, _div_floor(self, other))


remainder = _division(
    "remainder",
    _remainder_kernel,
    "remainder",
    "remainder",
    "pullback.kernels.curves:remainder",
    places="tmi",
    forms=(two_tensors, number_first, number_second),
    grad_name="RemainderBackward1",
    number_names={"self": "NotImplemented", "other": "RemainderBackward0"},
    vjp={"self": "g", "other": _remainder_slope},
    piecewise=True,
    doc=example(
        "`self - other * floor(self / other)`, broadcast, with the divisor's sign: Python's `%`.\n\n"
        "RuntimeError for integers and a zero divisor; the slopes are 1 and -floor(self / other).",
        "torch.remainder(torch.tensor([-3.0, 5.0]), 2)",
        "tensor([1., 1.])",
    ),
)
fmod = _division(
    "fmod",
    _fmod_kernel,
    "fmod",
    "fmod",
    "pullback.kernels.curves:fmod",
    places="tmi",
    kinds="TN",
    forms=(),
    grad_name="FmodBackward1",
    number_names={"other": "FmodBackward0"},
    vjp={
        "self": "g",
        "other": lambda g, self, other: times(-g, _div_trunc(self, other)),
    },
    piecewise=True,
    doc=example(
        "`self - other * trunc(self / other)`, broadcast, with the dividend's sign: C's `fmod`.\n\n"
        "RuntimeError for integers and a zero divisor; the slopes are 1 and -trunc(self / other).",
        "torch.fmod(torch.tensor([-3.0, 5.0]), 2)",
        "tensor([-1.,  1.])",
    ),
)

_QUOTIENTS = {None: div, "floor": _div_floor, "trunc": _div_trunc}


@function(
    name="div",
    places="tmi",
    aliases=("torch.divide", "Tensor.divide"),
)
def divide(
    input: Tensor | Number,
    other: Tensor | Number,
    *,
    rounding_mode: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`input / other`, broadcast; `rounding_mode` "floor" or "trunc" rounds, and keeps integers.

    RuntimeError for another mode, and for a rounded division of integers by zero.

    >>> import pullback as torch
    >>> torch.div(torch.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode not in _QUOTIENTS:
        raise RuntimeError(
            f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
        )
    return _QUOTIENTS[rounding_mode](input, other, out=out)


@function(places="tmi")
def true_divide(input: Tensor | Number, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """`input / other`, broadcast; integers are divided as floats.

    >>> import pullback as torch
    >>> torch.true_divide(torch.tensor([7, -7]), 2)
    tensor([ 3.5000, -3.5000])
    """
    return div(input, other, out=out)


@function(places="tmi")
def floor_divide(input: Tensor | Number, other: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """The largest whole number not above `input / other`: Python's `//`. It has no derivative.

    RuntimeError for a division of integers by zero.

    >>> import pullback as torch
    >>> torch.floor_divide(torch.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return _floor_divide(input, other, out=out)


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
    casts_out=False,
    aliases=("torch.fix", "Tensor.fix"),
    places="tmife",
)
floor = _rounding(
    "floor",
    np.floor,
    "The largest whole number not above each element.",
    "torch.floor(torch.tensor([1.7, -1.7]))",
    "tensor([ 1., -2.])",
    casts_out=False,
    places="tmife",
)
ceil = _rounding(
    "ceil",
    np.ceil,
    "The smallest whole number not below each element.",
    "torch.ceil(torch.tensor([1.7, -1.7]))",
    "tensor([ 2., -1.])",
    casts_out=False,
    places="tmife",
)
_round = _rounding(
    "round",
    np.rint,
    "The nearest whole number, an even one of two.",
    "torch.round(torch.tensor([0.5, 1.5]))",
    "tensor([0., 2.])",
    casts_out=False,
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


@function(name="round", places="tmife", aliases=("special.round",))
def round_half_even(input: Tensor, *, decimals: int = 0, out: Tensor | None = None) -> Tensor:
    """The nearest whole number, an even one of two; or so many decimals. The gradient is zero.

    >>> import pullback as torch
    >>> torch.round(torch.tensor([0.5, 1.5, 2.5])), torch.round(torch.tensor(2.34), decimals=1)
    (tensor([0., 2., 2.]), tensor(2.3000))
    """
    return _round(input, out=out) if decimals == 0 else _round_decimals(input, decimals, out=out)


frac = elementwise(
    "frac",
    "pullback.kernels.curves:frac",
    casts_out=False,
    allowed="f",
    vjp={"self": "g"},
    doc=example(
        "The fraction of each element, with its sign; the slope is 1.",
        "torch.frac(torch.tensor([1.5, -1.5]))",
        "tensor([ 0.5000, -0.5000])",
    ),
    places="tmife",
)
