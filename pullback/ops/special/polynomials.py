"""The classical orthogonal polynomials, at real x and whole orders n, both broadcast.

Three ops carry all: Gegenbauer's polynomials (of which those of Chebyshev and Legendre are cases and
derivatives), generalised Laguerre's, and Hermite's. The derivative of each is a lower order of the
same kind, so there are derivatives of any order, at the ends of the interval too. The fraction of an
order does not count, orders below zero give zero; there is no derivative in the order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.op import elementwise
from pullback.core.types import Array, Number
from pullback.ops.shared.zero_times_infinity import times
from pullback.ops.special.error_and_gamma import declared

NAMES = ("self", "n")
POWERED = ("self", "n", "power")


def _evaluated(name: str, x: Array, n: Array, *powers: Array) -> Array:
    """SciPy's polynomial of that name by recurrence, in double precision; zero for negative orders."""
    import scipy.special

    order = np.where(n > 0, n, 0).astype(np.int64)
    wide = [np.asarray(power, np.float64) for power in powers]
    result = getattr(scipy.special, f"eval_{name}")(order, *wide, np.asarray(x, np.float64))
    return np.asarray(np.where(n <= -1, 0.0, result)).astype(x.dtype)


def _whole(n: Any) -> Any:
    """The order that is meant by `n`: its fraction does not count."""
    return ops.trunc(n) if isinstance(n, Tensor) else int(n)


def _private(name: str, kernel: Callable[..., Any], slope: Callable[..., Any]) -> Any:
    """An op with a parameter: numbers for `power`, tensors for the others."""
    return elementwise(
        name,
        kernel=kernel,
        inputs=POWERED,
        kinds="NNN",
        places="",
        promote="float",
        allowed="f",
        vjp={"self": lambda g, self, n, power: times(g, slope(self, n, power))},
        doc="A family of orthogonal polynomials.",
    )


gegenbauer: Op = _private(
    "gegenbauer",
    lambda self, n, power: _evaluated("gegenbauer", self, n, power),
    lambda x, n, power: gegenbauer(x, n - 1, power + 1) * (2 * power),
)
laguerre: Op = _private(
    "laguerre",
    lambda self, n, power: _evaluated("genlaguerre", self, n, power),
    lambda x, n, power: -laguerre(x, n - 1, power + 1),
)


def _second_kind(x: Any, n: Any) -> Any:
    """The derivative of Chebyshev's polynomials of the second kind."""
    return gegenbauer(x, n - 1, 2.0) * 2.0


def _of_x(x: Tensor | Number, n: Tensor | Number, *, out: Tensor | None = None) -> Tensor:
    """The form of all of them."""


def _polynomial(name: str, rule: Any, text: str, shown: str) -> Any:
    return declared(
        name,
        f"pullback.kernels.curves:{name}",
        {"self": rule},
        text,
        shown,
        at="torch.tensor([0.5]), 2",
        inputs=NAMES,
        forms=(_of_x,),
    )


def _first_kind(name: str, shift: Callable[[Any], Any], steep: float, text: str, shown: str) -> Any:
    """Chebyshev's polynomials T in `shift(x)`, whose own slope is `steep`: their slope is n U(n - 1)."""

    def slope(g: Tensor, self: Any, n: Any) -> Tensor:
        n = _whole(n)
        return times(g, gegenbauer(shift(self), n - 1, 1.0) * n * steep)

    return _polynomial(name, slope, text, shown)


def _other_kinds(
    name: str, sign: int, shift: Callable[[Any], Any], steep: float, text: str, shown: str
) -> Any:
    """Chebyshev's polynomials U(n) + sign U(n - 1): U for 0, V for -1, W for 1."""

    def slope(g: Tensor, self: Any, n: Any) -> Tensor:
        y, n = shift(self), _whole(n)
        result = _second_kind(y, n) + _second_kind(y, n - 1) * sign if sign else _second_kind(y, n)
        return times(g, result * steep)

    return _polynomial(name, slope, text, shown)


def _itself(x: Any) -> Any:
    return x


def _twice_less_one(x: Any) -> Any:
    return 2 * x - 1


chebyshev_polynomial_t = _first_kind(
    "chebyshev_polynomial_t", _itself, 1.0,
    "Chebyshev's polynomial T of order `n`: cos(n a) where cos(a) = x; the slope is n U(n - 1).", "[-0.5000]",
)  # fmt: skip
chebyshev_polynomial_u = _other_kinds(
    "chebyshev_polynomial_u", 0, _itself, 1.0,
    "Chebyshev's polynomial U of order `n`: sin((n + 1) a) / sin(a) where cos(a) = x.", "[0.]",
)  # fmt: skip
chebyshev_polynomial_v = _other_kinds(
    "chebyshev_polynomial_v", -1, _itself, 1.0,
    "Chebyshev's polynomial V of order `n`: cos((n + 1/2) a) / cos(a / 2) where cos(a) = x.", "[-1.]",
)  # fmt: skip
chebyshev_polynomial_w = _other_kinds(
    "chebyshev_polynomial_w", 1, _itself, 1.0,
    "Chebyshev's polynomial W of order `n`: sin((n + 1/2) a) / sin(a / 2) where cos(a) = x.", "[1.]",
)  # fmt: skip
shifted_chebyshev_polynomial_t = _first_kind(
    "shifted_chebyshev_polynomial_t", _twice_less_one, 2.0,
    "Chebyshev's polynomial T of order `n`: cos(n a) where cos(a) = 2 x - 1; the slope is n U(n - 1).",
    "[-1.]",
)  # fmt: skip
shifted_chebyshev_polynomial_u = _other_kinds(
    "shifted_chebyshev_polynomial_u", 0, _twice_less_one, 2.0,
    "Chebyshev's polynomial U of order `n`: sin((n + 1) a) / sin(a) where cos(a) = 2 x - 1.", "[-1.]",
)  # fmt: skip
shifted_chebyshev_polynomial_v = _other_kinds(
    "shifted_chebyshev_polynomial_v", -1, _twice_less_one, 2.0,
    "Chebyshev's polynomial V of order `n`: cos((n + 1/2) a) / cos(a / 2) where cos(a) = 2 x - 1.", "[-1.]",
)  # fmt: skip
shifted_chebyshev_polynomial_w = _other_kinds(
    "shifted_chebyshev_polynomial_w", 1, _twice_less_one, 2.0,
    "Chebyshev's polynomial W of order `n`: sin((n + 1/2) a) / sin(a / 2) where cos(a) = 2 x - 1.", "[-1.]",
)  # fmt: skip

legendre_polynomial_p = _polynomial(
    "legendre_polynomial_p",
    lambda g, self, n: times(g, gegenbauer(self, _whole(n) - 1, 1.5)),
    "Legendre's polynomial P of order `n`; the slope is Gegenbauer's of order n - 1 and power 3/2.",
    "[-0.1250]",
)
laguerre_polynomial_l = _polynomial(
    "laguerre_polynomial_l",
    lambda g, self, n: times(g, -laguerre(self, _whole(n) - 1, 1.0)),
    "Laguerre's polynomial L of order `n`; the slope is the generalised one -L(n - 1) of power 1.",
    "[0.1250]",
)
hermite_polynomial_h: Op = _polynomial(
    "hermite_polynomial_h",
    lambda g, self, n: times(g, hermite_polynomial_h(self, _whole(n) - 1) * _whole(n) * 2.0),
    "Hermite's polynomial H of order `n` (for e**-x**2); the slope is 2 n H(n - 1).",
    "[-1.]",
)
hermite_polynomial_he: Op = _polynomial(
    "hermite_polynomial_he",
    lambda g, self, n: times(g, hermite_polynomial_he(self, _whole(n) - 1) * _whole(n)),
    "Hermite's polynomial He of order `n` (for e**(-x**2 / 2)); the slope is n He(n - 1).",
    "[-0.7500]",
)
