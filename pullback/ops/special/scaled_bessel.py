"""Derivatives of the exponentially scaled modified Bessel functions, e**-|x| I_n(x) and e**x K_n(x).

Their order m is a parameter, so that derivatives of derivatives lose nothing. With s the sign of x,

    d^m/dx^m e**-|x| I_n = e**-|x| (D - s)^m I_n,    D I_n = (I_(n-1) + I_(n+1)) / 2
    d^m/dx^m e**x K_n = e**x (D + 1)^m K_n,          D K_n = -(K_(n-1) + K_(n+1)) / 2

whose terms cancel for large x: there the series of Hankel, differentiated term by term, which goes like
x**(-1/2 - m) (Abramowitz and Stegun, 9.7.1 and 9.7.2).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pullback.core._engine import Op
from pullback.core.op import elementwise
from pullback.core.types import Array
from pullback.ops.shared.zero_times_infinity import times


def _hankel(x: Array, n: int, m: int, sign: int) -> Array:
    """Derivative m of x**(-1/2) (1 + sign (4 n^2 - 1) / (8 x) + ...), for large positive x."""
    total, coefficient = np.zeros_like(x), 1.0
    with np.errstate(all="ignore"):
        for k in range(40):
            rising = math.prod(k + 0.5 + j for j in range(m))
            total = total + coefficient * rising * x ** (-0.5 - m - k)
            coefficient *= sign * (4 * n * n - (2 * k + 1) ** 2) / (8 * (k + 1))
    return (-1) ** m * total


def _by_neighbours(function: Any, x: Array, n: int, j: int, sign: int) -> Array:
    """D^j of the function of order n, from the orders around it."""
    terms = (math.comb(j, i) * function(abs(n - j + 2 * i), x) for i in range(j + 1))
    return (sign / 2) ** j * sum(terms, np.zeros_like(x))


def _split(self: Any, n: Any, m: Any, close: Any, distant: Any) -> Any:
    """Near zero by one way, far from it by another."""
    x, order, derivative = self.astype(np.float64), int(n), int(m)
    with np.errstate(all="ignore"):
        far = np.abs(x) >= 20 + order * order
        found = np.empty_like(x)
        found[~far] = close(x[~far], order, derivative)
        found[far] = distant(x[far], order, derivative)
    return found.astype(self.dtype)


def _i_kernel(self: Any, n: Any, m: Any) -> Any:
    """The first derivatives of the lowest orders in single precision by tables."""
    if self.dtype != np.float32 or m != 1 or n > 1:
        return _split(self, n, m, _i_near, _i_far)
    from pullback.kernels.fitted import i0e_slope, i1e_slope

    return i1e_slope(self) if n == 1 else i0e_slope(self) * np.sign(self)


def _k_kernel(self: Any, n: Any, m: Any) -> Any:
    return _split(self, n, m, _k_near, _k_far)


def _i_near(x: Array, n: int, m: int) -> Array:
    from scipy.special import ive

    s = np.sign(x)
    terms = (math.comb(m, j) * (-s) ** (m - j) * _by_neighbours(ive, x, n, j, 1) for j in range(m + 1))
    return sum(terms, np.zeros_like(x))


def _i_far(x: Array, n: int, m: int) -> Array:
    mirrored = np.where(x < 0, (-1.0) ** (n + m), 1.0)
    return mirrored * _hankel(np.abs(x), n, m, -1) / math.sqrt(2 * math.pi)


def _k_near(x: Array, n: int, m: int) -> Array:
    from scipy.special import kve

    terms = (math.comb(m, j) * _by_neighbours(kve, x, n, j, -1) for j in range(m + 1))
    return np.where(x == 0, (-1) ** m * np.inf, sum(terms, np.zeros_like(x)))


def _k_far(x: Array, n: int, m: int) -> Array:
    return np.where(x < 0, np.nan, _hankel(np.abs(x), n, m, 1) * math.sqrt(math.pi / 2))


def _declared(name: str, kernel: Any) -> Op:
    def slope(g: Any, self: Any, n: int, m: int) -> Any:
        return times(g, found(self, n, m + 1))

    found: Op = elementwise(
        name,
        kernel=kernel,
        inputs=("self", "n", "m"),
        kinds="TNN",
        places="",
        promote="float",
        allowed="f",
        vjp={"self": slope},
        doc="Derivative `m` of the function of order `n`.",
    )
    return found


scaled_i_derivative = _declared("scaled_i_derivative", _i_kernel)
scaled_k_derivative = _declared("scaled_k_derivative", _k_kernel)
