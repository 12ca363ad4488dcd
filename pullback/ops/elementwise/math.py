"""Exponentials, logarithms, trigonometry, and the special functions that PyTorch has at top level.

Every op is a loop, of NumPy, SciPy or our own where those are slow, and one rule, which is the formula in a
table of derivatives.
The rules avoid squares that overflow where the slope itself does not, and they divide or multiply
by slopes with `over` and `times` (NOTE [Zero times infinity] in zero_times_infinity.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, conj
from pullback.core.dtypes import bool_
from pullback.core.op import elementwise, function
from pullback.ops.elementwise.arithmetic import TWO, hypot, sqrt
from pullback.ops.elementwise.compare import where
from pullback.ops.shared import series
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import example, over, times


def _math(name: str, loop: Any, rule: Any, text: str, shown: str, at: str = "0.5", **more: Any) -> Any:
    """A function of one variable, integers as floats."""
    more.setdefault("doc", example(text, f"torch.{name}(torch.tensor({at}))", f"tensor({shown})"))
    return elementwise(name, loop, promote="float", vjp={"self": rule}, **more)


def _real(name: str, loop: Any, rule: Any, text: str, shown: str, at: str = "0.5", **more: Any) -> Any:
    """The same for real numbers only."""
    more.setdefault("refuse", unimplemented(f"{name}_vml_cpu"))
    return _math(name, loop, rule, text, shown, at, allowed="f", **more)


def _arc(name: str) -> tuple[str, ...]:
    long_name = name.replace("a", "arc", 1)
    return f"torch.{long_name}", f"Tensor.{long_name}"


# ------------------------------------------------------------------------ exponentials, logarithms

LN2, LN10 = math.log(2), math.log(10)


def _log1p_kernel(self: Any) -> Any:
    """NumPy's is not accurate for small complex numbers; the square of large ones overflows."""
    if self.dtype.kind != "c":
        return np.log1p(self)
    x, y = self.real, self.imag
    square = x * (2 + x) + y * y
    real = np.where(abs(square) < 0.5, np.log1p(square) / 2, np.log(self + 1).real)
    return (real + 1j * np.arctan2(y, 1 + x)).astype(self.dtype)


exp = _math(
    "exp",
    "pullback.kernels.curves:exp",
    lambda g, result: times(g, conj(result)),
    "e**x; the slope is e**x.",
    "1.6487",
    places="tmife",
    series=series.exponential(),
)
exp2 = _math(
    "exp2",
    "pullback.kernels.curves:exp2",
    lambda g, result: times(g, conj(result) * LN2),
    "2**x; the slope is 2**x * ln 2.",
    "1.4142",
    aliases=("special.exp2",),
    places="tmif",
    series=series.exponential(LN2),
)
expm1 = _math(
    "expm1",
    "pullback.kernels.curves:expm1",
    lambda g, result: times(g, conj(result) + 1),
    "e**x - 1, accurate for small x; the slope is e**x.",
    "0.6487",
    aliases=("special.expm1",),
    places="tmife",
    series=series.exponential(shift=1.0),
)
log = _math(
    "log",
    "pullback.kernels.curves:log",
    lambda g, self: over(g, conj(self)),
    "Natural logarithm; -inf at 0, NaN for negative real numbers. The slope is 1 / x.",
    "-0.6931",
    places="tmife",
    series=series.logarithm(),
)
log2 = _math(
    "log2",
    "pullback.kernels.curves:log2",
    lambda g, self: over(g, conj(self) * LN2),
    "Logarithm to base 2; the slope is 1 / (x ln 2).",
    "-1.",
    places="tmife",
    series=series.logarithm(LN2),
)
log10 = _math(
    "log10",
    "pullback.kernels.curves:log10",
    lambda g, self: over(g, conj(self) * LN10),
    "Logarithm to base 10; the slope is 1 / (x ln 10).",
    "-0.3010",
    places="tmife",
    series=series.logarithm(LN10),
)
log1p = _math(
    "log1p",
    "pullback.kernels.curves:log1p",
    lambda g, self: over(g, conj(self) + 1),
    "log(1 + x), accurate for small x; the slope is 1 / (1 + x).",
    "0.4055",
    kernel=_log1p_kernel,
    loops_for="f",
    grad_name="Log1PBackward0",
    aliases=("special.log1p",),
    places="tmife",
    series=series.logarithm(shift=1.0),
)


def _logaddexp_kernel(self: Any, other: Any) -> Any:
    if self.dtype.kind != "c":
        return np.logaddexp(self, other)
    ahead = self.real >= other.real
    high, low = np.where(ahead, self, other), np.where(ahead, other, self)
    return np.where(self == other, self + LN2, high + _log1p_kernel(np.exp(low - high)))


logaddexp = elementwise(
    "logaddexp",
    "pullback.kernels.curves:logaddexp",
    kernel=_logaddexp_kernel,
    inputs=TWO,
    kinds="TT",
    places="tm",
    loops_for="f",
    allowed="fc",
    vjp={
        "self": lambda g, self, other: times(g, conj(sigmoid(self - other))),
        "other": lambda g, self, other: times(g, conj(sigmoid(other - self))),
    },
    doc=example(
        "log(e**x + e**y) without overflow, broadcast; the slopes are the shares of the sum.",
        "torch.logaddexp(torch.tensor([0.0]), torch.tensor([0.0]))",
        "tensor([0.6931])",
    ),
)

logaddexp2 = elementwise(
    "logaddexp2",
    "pullback.kernels.curves:logaddexp2",
    inputs=TWO,
    kinds="TT",
    places="tm",
    allowed="f",
    vjp={
        "self": lambda g, self, other: times(g, sigmoid((self - other) * LN2)),
        "other": lambda g, self, other: times(g, sigmoid((other - self) * LN2)),
    },
    doc=example(
        "log2(2**x + 2**y) without overflow, broadcast; the slopes are the shares of the sum.",
        "torch.logaddexp2(torch.tensor([0.0]), torch.tensor([0.0]))",
        "tensor([1.])",
    ),
)


def _xlogy_slope(g: Any, self: Any, other: Any) -> Any:
    """log(y), but zero where x = 0 and y <= 0, as the function is."""
    if isinstance(other, Tensor):
        wide = other if other.dtype is g.dtype else other.to(g.dtype)
        flat = (self == 0) & (other <= 0)
        return where(flat, 0, times(g, where(flat, 0, log(wide))))
    if other > 0:
        return g * math.log(other)
    return where(self == 0, 0, times(g, where(self == 0, 0, -math.inf if other == 0 else math.nan)))


xlogy = elementwise(
    "xlogy",
    "pullback.kernels.curves:xlogy",
    inputs=TWO,
    places="tmif",
    aliases=("special.xlogy",),
    forms=(),
    promote="float",
    allowed="f",
    refuse=unimplemented("xlogy_cpu"),
    grad_name="XlogyBackward0",
    number_names={"self": "XlogyBackward1", "other": "XlogyBackward2"},
    vjp={
        "self": _xlogy_slope,
        "other": lambda g, self, other: times(g, self / other),
    },
    doc=example(
        "`self * log(other)`, broadcast, zero where `self` is zero; the slopes are log(y) and x / y.",
        "torch.xlogy(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0]))",
        "tensor([0., 0.])",
    ),
)


# ----------------------------------------------------------------------------------- trigonometry

sin = _math(
    "sin",
    "pullback.kernels.curves:sin",
    lambda g, self: times(g, conj(cos(self))),
    "Sine; the slope is cos x.",
    "0.4794",
    places="tmife",
    series=series.wave(-1, True, "cos"),
)
cos: Op = _math(
    "cos",
    "pullback.kernels.curves:cos",
    lambda g, self: times(-g, conj(sin(self))),
    "Cosine; the slope is -sin x.",
    "0.8776",
    places="tmife",
    series=series.wave(-1, False, "sin"),
)
tan = _math(
    "tan",
    "pullback.kernels.curves:tan",
    lambda g, result: times(g, conj(result * result + 1)),
    "Tangent; the slope is 1 + tan(x)**2.",
    "0.5463",
    places="tmife",
    series=series.tangent(1),
)
asin = _math(
    "asin",
    "pullback.kernels.curves:arcsin",
    lambda g, self: over(g, conj(sqrt((1 - self) * (1 + self)))),
    "Inverse sine, NaN outside [-1, 1]; the slope is 1 / sqrt(1 - x**2).",
    "0.5236",
    aliases=_arc("asin"),
    places="tmife",
    series=series.arc(1.0, -1),
)
acos = _math(
    "acos",
    "pullback.kernels.curves:arccos",
    lambda g, self: over(-g, conj(sqrt((1 - self) * (1 + self)))),
    "Inverse cosine, NaN outside [-1, 1]; the slope is -1 / sqrt(1 - x**2).",
    "1.0472",
    aliases=_arc("acos"),
    places="tmife",
    series=series.arc(1.0, -1, -1),
)
atan = _math(
    "atan",
    "pullback.kernels.curves:arctan",
    lambda g, self: over(g, conj(self * self + 1)),
    "Inverse tangent; the slope is 1 / (1 + x**2).",
    "0.4636",
    aliases=_arc("atan"),
    places="tmife",
    series=series.arc_tangent(1),
)


def _atan2_slope(g: Any, leg: Any, self: Any, other: Any) -> Any:
    """`g * leg / (x**2 + y**2)` without the squares; zero at the origin."""
    radius = hypot(self, other)
    return where(radius == 0, 0, times(g, leg / radius / radius))


atan2 = elementwise(
    "atan2",
    np.arctan2,
    inputs=TWO,
    kinds="TT",
    aliases=("torch.arctan2", "Tensor.arctan2"),
    promote="float",
    allowed="f",
    vjp={
        "self": lambda g, self, other: _atan2_slope(g, other, self, other),
        "other": lambda g, self, other: _atan2_slope(-g, self, self, other),
    },
    doc=example(
        "The angle of the point (x=other, y=self) in radians, broadcast.",
        "torch.atan2(torch.tensor([1.0]), torch.tensor([-1.0]))",
        "tensor([2.3562])",
    ),
)

sinh = _math(
    "sinh",
    "pullback.kernels.curves:sinh",
    lambda g, self: times(g, conj(cosh(self))),
    "(e**x - e**-x) / 2; the slope is cosh x.",
    "0.5211",
    places="tmife",
    series=series.wave(1, True, "cosh"),
)
cosh: Op = _math(
    "cosh",
    "pullback.kernels.curves:cosh",
    lambda g, self: times(g, conj(sinh(self))),
    "(e**x + e**-x) / 2; the slope is sinh x.",
    "1.1276",
    places="tmife",
    series=series.wave(1, False, "sinh"),
)
tanh = _math(
    "tanh",
    np.tanh,
    lambda g, result: times(g, conj(1 - result * result)),
    "Hyperbolic tangent; the slope is 1 - tanh(x)**2.",
    "0.4621",
    places="tmife",
    series=series.tangent(-1),
)


def _asinh_slope(g: Any, self: Any) -> Any:
    """1 / sqrt(x**2 + 1), by `hypot`: x**2 overflows long before the slope is 0."""
    if self.dtype.is_complex:
        return over(g, conj(sqrt(self * self + 1)))
    return over(g, hypot(self, ops.ones_like(self)))


asinh = _math(
    "asinh",
    np.arcsinh,
    _asinh_slope,
    "Inverse of sinh; the slope is 1 / sqrt(x**2 + 1).",
    "0.4812",
    aliases=_arc("asinh"),
    places="tmif",
    series=series.arc(1.0, 1),
)


def _acosh_root(x: Any) -> Any:
    """sqrt(x**2 - 1) on the side of the branch cut where x is; `x + 1` loses the sign of an imaginary -0."""
    return sqrt(x - 1) * sqrt(x - -1)


acosh = _math(
    "acosh",
    np.arccosh,
    lambda g, self: over(g, conj(_acosh_root(self))),
    "Inverse of cosh, NaN below 1; the slope is 1 / sqrt(x**2 - 1).",
    "0.9624",
    at="1.5",
    aliases=_arc("acosh"),
    places="tmif",
    series=series.arc(-1.0, 1, root=_acosh_root),
)
atanh = _math(
    "atanh",
    np.arctanh,
    lambda g, self: over(g, conj((1 - self) * (1 + self))),
    "Inverse of tanh, NaN outside [-1, 1]; the slope is 1 / (1 - x**2).",
    "0.5493",
    aliases=_arc("atanh"),
    places="tmif",
    series=series.arc_tangent(-1),
)


def _sinc_slope(x: Any) -> Any:
    """(cos(pi x) - sinc(x)) / x; near zero, where these cancel, its series."""
    square, near = x * x, 0.0
    for k in range(9, 0, -1):
        near = near * square + 2 * k * (-(math.pi**2)) ** k / math.factorial(2 * k + 1)
    far = over(cos(x * math.pi) - sinc(x), x)
    return where(ops.abs(x) < 0.3, near * x + 0.0, far)


sinc: Op = _math(
    "sinc",
    "pullback.kernels.curves:sinc",
    lambda g, self: times(g, conj(_sinc_slope(self))),
    "sin(pi x) / (pi x), 1 at 0; the slope is (cos(pi x) - sinc(x)) / x.",
    "0.6366",
    kernel=lambda self: np.sinc(self).astype(self.dtype, copy=False),
    loops_for="f",
    aliases=("special.sinc",),
    places="tmif",
)


# -------------------------------------------------------------------------- the logistic function

sigmoid: Op = _math(
    "sigmoid",
    "pullback.kernels.curves:logistic",
    lambda g, result: times(g, conj((1 - result) * result)),
    "1 / (1 + e**-x); the slope is s * (1 - s).",
    "0.6225",
    kernel=lambda self: 1 / (1 + np.exp(-self)),
    loops_for="f",
    aliases=("special.expit",),
    places="tmife",
    series=series.logistic,
)


def _logit_slope(g: Tensor, variance: Tensor) -> Tensor:
    """The gradient; x (1 - x) is not negative if and only if x is in [0, 1]."""
    return where(variance >= 0, over(g, variance), math.nan)


_logit = _real(
    "logit",
    "pullback.kernels.special:logit",
    lambda g, self: _logit_slope(g, self * (1 - self)),
    "",
    "",
    places="",
    refuse=unimplemented("logit_cpu"),
    doc="log(x / (1 - x)).",
)


def _logit_within(self: Any, eps: Any) -> Any:
    inside = np.clip(self, eps, 1 - eps) if eps <= 0.5 else np.where(self < eps, eps, 1 - eps)
    return np.log(inside / (1 - inside))


_logit_eps = elementwise(
    "logit_eps",
    kernel=_logit_within,
    inputs=("self", "eps"),
    kinds="TN",
    places="",
    public_name="logit",
    grad_name="LogitBackward0",
    promote="float",
    allowed="f",
    refuse=unimplemented("logit_cpu"),
    vjp={
        "self": lambda g, self, eps: where((self >= eps) & (self <= 1 - eps), over(g, self * (1 - self)), 0)
    },
    doc="log(x / (1 - x)) of x moved into [eps, 1 - eps].",
)


@function(places="tmif", aliases=("special.logit",))
def logit(input: Tensor, eps: float | None = None, *, out: Tensor | None = None) -> Tensor:
    """log(x / (1 - x)), NaN outside [0, 1], or of x moved into [eps, 1 - eps].

    The slope is 1 / (x - x**2), 0 where x was moved.

    >>> import pullback as torch
    >>> torch.logit(torch.tensor([0.5, 1.0]), eps=0.1)
    tensor([0.0000, 2.1972])
    """
    return _logit(input, out=out) if eps is None else _logit_eps(input, float(eps), out=out)


# ------------------------------------------------------------------------------- special functions

erf = _real(
    "erf",
    "pullback.kernels.special:erf",
    lambda g, self: times(g, exp(-(self * self)) * (2 / math.sqrt(math.pi))),
    "The error function; the slope is 2 / sqrt(pi) * e**(-x**2).",
    "0.5205",
    aliases=("special.erf",),
    places="tmife",
    series=series.bell(2 / math.sqrt(math.pi)),
)
erfc = _real(
    "erfc",
    "pullback.kernels.special:erfc",
    lambda g, self: times(g, exp(-(self * self)) * (-2 / math.sqrt(math.pi))),
    "1 - erf(x), accurate for large x; the slope is -2 / sqrt(pi) * e**(-x**2).",
    "0.4795",
    aliases=("special.erfc",),
    places="tmife",
    series=series.bell(-2 / math.sqrt(math.pi)),
)
erfinv = _real(
    "erfinv",
    "pullback.kernels.special:erfinv",
    lambda g, result: times(g, exp(times(result, result)) * (math.sqrt(math.pi) / 2)),
    "Inverse of erf, NaN outside [-1, 1]; the slope is sqrt(pi) / 2 * e**(erfinv(x)**2).",
    "0.4769",
    aliases=("special.erfinv",),
)


lgamma = _real(
    "lgamma",
    "pullback.kernels.fitted:lgamma",
    lambda g, self: times(g, digamma(self)),
    "Logarithm of |gamma(x)|; the slope is digamma(x).",
    "0.5724",
    aliases=("special.gammaln",),
    places="tmie",
)


digamma: Op = _real(
    "digamma",
    "pullback.kernels.special:digamma",
    lambda g, self: times(g, ops.polygamma(1, self)),
    "The slope of lgamma; its own slope is polygamma(1, x).",
    "-1.9635",
    refuse=unimplemented("digamma"),
    aliases=("special.digamma", "special.psi"),
)


def _polygamma_kernel(self: Any, n: Any) -> Any:
    """(-1)**(n + 1) * n! * zeta(n + 1, x), the sum over 1 / (x + k)**(n + 1)."""
    from scipy.special import gamma, zeta

    from pullback.kernels.special import digamma as numbers

    order = int(n)
    if order == 0:
        return numbers(self)
    sign = -1.0 if order % 2 == 0 else 1.0
    return (sign * gamma(order + 1) * zeta(order + 1, self)).astype(self.dtype)


_polygamma = elementwise(
    "polygamma",
    "pullback.kernels.fitted:polygamma",
    kernel=_polygamma_kernel,
    inputs=("self", "n"),
    kinds="TN",
    places="",
    promote="float",
    allowed="f",
    refuse=unimplemented("polygamma"),
    vjp={"self": lambda g, self, n: times(g, ops.polygamma(n + 1, self))},
    doc="The n-th derivative of digamma.",
)


@function(places="t", aliases=("special.polygamma",))
def polygamma(n: int, input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The n-th derivative of digamma; its own slope is polygamma(n + 1, x). RuntimeError for n < 0.

    >>> import pullback as torch
    >>> torch.polygamma(1, torch.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if not isinstance(n, int):
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return _polygamma(input, n, out=out)


@function(name="polygamma", places="mi")
def polygamma_method(self: Tensor, n: int, *, out: Tensor | None = None) -> Tensor:
    """`torch.polygamma(n, self)`.

    >>> import pullback as torch
    >>> torch.tensor([1.0]).polygamma(1)
    tensor([1.6449])
    """
    return polygamma(n, self, out=out)


def _mvlgamma_kernel(self: Any, p: Any) -> Any:
    from pullback.kernels.fitted import lgamma

    total = lgamma(self)
    for step in range(1, int(p)):
        total = total + lgamma(self - self.dtype.type(step / 2))
    return total + self.dtype.type(p * (p - 1) / 4 * math.log(math.pi)) if p > 1 else total


def _mvlgamma_slope(g: Any, self: Any, p: int) -> Any:
    total = digamma(self)
    for step in range(1, p):
        total = total + digamma(self - step / 2)
    return times(g, total)


_mvlgamma = elementwise(
    "mvlgamma",
    kernel=_mvlgamma_kernel,
    inputs=("self", "p"),
    kinds="TN",
    places="",
    promote="float",
    allowed="f",
    refuse=unimplemented("mvlgamma"),
    vjp={"self": _mvlgamma_slope},
    doc="Logarithm of the multivariate gamma function.",
)


@function(places="tmi", aliases=("special.multigammaln",))
def mvlgamma(input: Tensor, p: int, *, out: Tensor | None = None) -> Tensor:
    """Logarithm of the multivariate gamma function of `p` dimensions; RuntimeError for p < 1.

    It is p (p - 1) / 4 * log(pi) + the sum of lgamma(x - j / 2) for j < p.

    >>> import pullback as torch
    >>> torch.mvlgamma(torch.tensor([3.0]), 2)
    tensor([1.5502])
    """
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.dtype is bool_:
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    result = _mvlgamma(input, p, out=out)
    return ops.contiguous(result) if out is None else result


i0 = _real(
    "i0",
    "pullback.kernels.fitted:i0",
    lambda g, self: times(g, i1(self)),
    "Modified Bessel function of the first kind, order 0; the slope is i1(x).",
    "1.0635",
    aliases=("special.i0",),
    places="tmif",
)


def _i1_slope_kernel(self: Any) -> Any:
    """i0(x) - i1(x) / x, which is 1/2 at zero."""
    from pullback.kernels.fitted import i0, i1

    with np.errstate(all="ignore"):
        value, quotient = i0(self), np.where(self == 0, self.dtype.type(0.5), i1(self) / self)
        return np.where(np.isinf(value), value, value - quotient).astype(self.dtype)


_i1_slope = elementwise(
    "i1_slope",
    kernel=_i1_slope_kernel,
    places="",
    allowed="f",
    # By the neighbours of their orders: what cancels in the quotient above is not there.
    vjp={"self": lambda g, self: times(g, ops.bessel_i(self, 1) * 0.75 + ops.bessel_i(self, 3) * 0.25)},
    doc="The slope of i1.",
)


i1: Op = _real(
    "special_i1",
    "pullback.kernels.fitted:i1",
    lambda g, self: times(g, _i1_slope(self)),
    "",
    "",
    places="",
    public_name="special_i1",
    refuse=unimplemented("i1_cpu"),
    aliases=("special.i1",),
    doc=example(
        "Modified Bessel function of the first kind, order 1; the slope is i0(x) - i1(x) / x.",
        "torch.special.i1(torch.tensor(0.5))",
        "tensor(0.2579)",
    ),
)
