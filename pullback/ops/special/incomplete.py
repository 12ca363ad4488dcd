"""The incomplete gamma functions and Hurwitz's zeta function, with derivatives in all their arguments.

In `a` the regularised lower incomplete gamma function P(a, x) has no closed derivative. Let W(n) be
the part below x of the n-th moment of log(t) - digamma(a), t drawn from the gamma distribution: W(0)
is P, and `dW(n)/da = W(n + 1) - n polygamma(1, a) W(n - 1)`, so one op, `log_gamma_moment`, has all
derivatives. Its kernel integrates over that side of x where the integrand keeps its sign.
`zeta` is treated likewise: `zeta_derivative` is its n-th derivative in the first argument.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.op import elementwise
from pullback.core.types import Array
from pullback.ops.elementwise.arithmetic import TWO
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import example, times
from pullback.ops.special.error_and_gamma import declared

# ---------------------------------------------------------------------------- incomplete gamma

NODES = 64  # of Gauss and Legendre, on each panel
DROP = 45.0  # the integral ends where the integrand has fallen by e**-DROP


def _log_density(w: Array, a: Array) -> Array:
    """Logarithm of the density of log(t) at log(a) + w, where t is gamma distributed."""
    from scipy.special import gammaln

    small = np.minimum(a, 100)
    z = 1 / np.maximum(a, 100)
    plain = small * np.log(small) - small - gammaln(small)
    stirling = -0.5 * np.log(2 * np.pi * z) - z / 12 + z**3 / 360
    return np.where(a < 100, plain, stirling) - a * (np.expm1(w) - w)


def _far_end(a: Array, start: Array, side: int) -> Array:
    """Where the density has fallen by e**-DROP from its largest value beyond `start`, by bisection."""
    from_top = np.minimum(start, 0) if side < 0 else np.maximum(start, 0)
    level = a * (np.expm1(from_top) - from_top) + DROP
    near, far = from_top, from_top + side * (DROP / a + 10 if side < 0 else DROP)
    for _ in range(40):
        middle = (near + far) / 2
        inside = a * (np.expm1(middle) - middle) < level
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return far


def _panel(n: int, a: Array, low: Array, high: Array, shift: Array) -> Array:
    """The integral of `(w - shift)**n` under the density over [low, high] in w = log(t / a)."""
    points, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.maximum(high - low, 0)[..., None] / 2
    w = low[..., None] + half * (1 + points)
    inner = (w - shift[..., None]) ** n * np.exp(_log_density(w, a[..., None]))
    return (inner * weights * half).sum(-1)


def _total_moment(n: int, a: Array) -> Array:
    """The whole n-th central moment, from the cumulants: polygamma of orders 1, 2, ..."""
    from scipy.special import polygamma

    moments = [np.ones_like(a), np.zeros_like(a)]
    for m in range(2, n + 1):
        terms = (math.comb(m - 1, k) * polygamma(k, a) * moments[m - 1 - k] for k in range(1, m))
        moments.append(sum(terms, np.zeros_like(a)))
    return moments[n]


def _moment_kernel(self: Any, other: Any, n: Any) -> Any:
    from scipy.special import psi

    order = int(n)
    kind = self.dtype
    a, x = np.broadcast_arrays(np.asarray(self, np.float64), np.asarray(other, np.float64))
    usual = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    a, t = np.where(usual, a, 1.0), np.where(usual, x, 1.0)
    start = np.log(t) - np.log(a)
    shift = psi(a) - np.log(a)
    above = t >= np.maximum(a, 1)
    low = np.where(above, start, np.minimum(_far_end(a, start, -1), start))
    high = np.where(above, np.maximum(_far_end(a, start, 1), start), start)
    # Far down the density is a pure exponential; its bend near w = -log(a) has panels of its own.
    cuts = [low, *(np.clip(edge - np.log(a), low, high) for edge in (-40.0, -4.0)), high]
    part = sum(_panel(order, a, cuts[i], cuts[i + 1], shift) for i in range(3))
    part = np.where(above, _total_moment(order, a) - part, part)
    ends = np.where((x == 0) & (self >= 0), 0.0, np.where((x == np.inf) & (order == 1), 0.0, np.nan))
    return np.where(usual, part, ends).astype(kind)


def _density(a: Tensor, x: Tensor) -> Tensor:
    """`x**(a - 1) e**-x / gamma(a)`, the slope of P in x."""
    return ops.exp(ops.xlogy(a - 1, x) - x - ops.lgamma(a))


def _moment_in_a(g: Tensor, self: Tensor, other: Tensor, n: int) -> Tensor:
    slope = log_gamma_moment(self, other, n + 1)
    if n:
        slope = slope - ops.polygamma(1, self) * n * log_gamma_moment(self, other, n - 1)
    return times(g, slope)


def _moment_in_x(g: Tensor, self: Tensor, other: Tensor, n: int) -> Tensor:
    return times(g, times(_density(self, other), (ops.log(other) - ops.digamma(self)) ** n))


log_gamma_moment = elementwise(
    "log_gamma_moment",
    kernel=_moment_kernel,
    inputs=("self", "other", "n"),
    kinds="TTN",
    places="",
    allowed="f",
    vjp={"self": _moment_in_a, "other": _moment_in_x},
    doc="The part below `other` of a central moment of the logarithm of a gamma variable.",
)


def _gamma(name: str, side: int, text: str, shown: str) -> Any:
    """`igamma` or `igammac`, under their names in `torch` and in `torch.special`."""
    alias = "gammainc" if side > 0 else "gammaincc"
    return elementwise(
        name,
        "scipy.special:gammainc" if side > 0 else "pullback.kernels.special:igammac",
        inputs=TWO,
        kinds="TT",
        places="tmi",
        aliases=(f"special.{alias}",),
        allowed="f",
        refuse=unimplemented(f"{name}_cpu"),
        vjp={
            "self": lambda g, self, other: times(g, log_gamma_moment(self, other, 1) * side),
            "other": lambda g, self, other: times(g, _density(self, other) * side),
        },
        doc=example(text, f"torch.{name}(torch.tensor([1.0]), torch.tensor([2.0]))", f"tensor({shown})"),
    )


igamma = _gamma(
    "igamma",
    1,
    "The regularised lower incomplete gamma function P(a, x), broadcast: the share of "
    "t**(a - 1) e**-t below x.\n\nThe slope in x is x**(a - 1) e**-x / gamma(a), that in a an integral.",
    "[0.8647]",
)
igammac = _gamma(
    "igammac",
    -1,
    "The regularised upper incomplete gamma function 1 - P(a, x), broadcast, accurate for large x.",
    "[0.1353]",
)

# ---------------------------------------------------------------------------------------- zeta

TERMS = 16  # summed one by one before the asymptotic series
_BERNOULLI = (
    1 / 6,
    -1 / 30,
    1 / 42,
    -1 / 30,
    5 / 66,
    -691 / 2730,
    7 / 6,
    -3617 / 510,
    43867 / 798,
    -174611 / 330,
)


def _times_linear(series: list[Array], constant: Array) -> list[Array]:
    """A power series in h, times `constant + h`, to the same order."""
    return [c * constant + (series[i - 1] if i else 0) for i, c in enumerate(series)]


def _over_linear(series: list[Array], constant: Array) -> list[Array]:
    """A power series in h, divided by `constant + h`."""
    coefficients: list[Array] = []
    for c in series:
        coefficients.append((c - (coefficients[-1] if coefficients else 0)) / constant)
    return coefficients


def _zeta_derivative_kernel(self: Any, other: Any, n: Any) -> Any:
    """By Euler's and Maclaurin's formula, as a power series in the first argument.

    Beyond the terms summed one by one, with b = q + TERMS: b**(1 - s) / (s - 1) + b**-s / 2 and the
    Bernoulli numbers' terms s (s + 1) ... (s + 2j - 2) b**(1 - s - 2j) B(2j) / (2j)!.
    """
    order = int(n)
    s, q = np.broadcast_arrays(np.asarray(self, np.float64), np.asarray(other, np.float64))
    usual = (s > 1) & (q > 0) & np.isfinite(q)
    s, q = np.where(usual, s, 2.0), np.where(usual, q, 1.0)
    total = np.zeros_like(q)
    for k in range(TERMS):
        total = total + (-np.log(q + k)) ** order * (q + k) ** -s
    b = q + TERMS
    log_b = np.log(b)
    power = [b**-s * (-log_b) ** i / math.factorial(i) for i in range(order + 1)]
    total = total + math.factorial(order) * (_over_linear([b * c for c in power], s - 1)[-1] + power[-1] / 2)
    rising = _times_linear(power, s)
    for j, bernoulli in enumerate(_BERNOULLI, 1):
        scale = bernoulli / math.factorial(2 * j) * math.factorial(order)
        total = total + scale * rising[-1] * b ** (1.0 - 2 * j)
        rising = _times_linear(_times_linear(rising, s + 2 * j - 1), s + 2 * j)
    return np.where(usual, total, np.nan).astype(self.dtype)


def _zeta_in_q(g: Tensor, self: Tensor, other: Tensor, n: int) -> Tensor:
    slope = times(self, zeta_derivative(self + 1, other, n))
    if n:
        below = zeta(self + 1, other) if n == 1 else zeta_derivative(self + 1, other, n - 1)
        slope = slope + below * n
    return times(-g, slope)


zeta_derivative: Op = elementwise(
    "zeta_derivative",
    kernel=_zeta_derivative_kernel,
    inputs=("self", "other", "n"),
    kinds="NNN",
    places="",
    promote="float",
    allowed="f",
    vjp={
        "self": lambda g, self, other, n: times(g, zeta_derivative(self, other, n + 1)),
        "other": _zeta_in_q,
    },
    doc="The n-th derivative of `zeta` in its first argument.",
)


def _zeta_kernel(self: Any, other: Any) -> Any:
    if self.dtype == np.float32 and other.dtype == np.float32:
        from pullback.kernels import special

        return np.asarray(special.zeta(self, other))
    from scipy.special import zeta

    return np.asarray(zeta(self, other))


zeta: Op = declared(
    "zeta",
    None,
    {
        "self": lambda g, self, other: times(g, zeta_derivative(self, other, 1)),
        "other": lambda g, self, other: times(-g, times(self, zeta(self + 1, other))),
    },
    "Hurwitz's zeta function, the sum of (k + q)**-x over k = 0, 1, ..., broadcast.\n\n"
    "The slope in q is -x zeta(x + 1, q), that in x the sum of -log(k + q) (k + q)**-x.",
    "[1.6449]",
    at="torch.tensor([2.0]), 1.0",
    kernel=_zeta_kernel,
    inputs=TWO,
    forms=(),
)
