"""`python tools/fits.py`: writes kernels/fits.h, the polynomials that functions of float are made of.

A row of FITS is a function, between which numbers it is to be met, the degree, what the powers are of, and
the weight of an error: 1 / function where nothing is said, so that the relative error is the least. The
polynomial of least largest error is found by Lawson's way: squares, weighted again and again by the errors
that are left. Its coefficients are rounded one after another, from the constant on, and the later ones
are fitted anew to what is left by the rounded ones. Functions are mpmath's. Above each polynomial stands how
large its error is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

mp = mpmath.mp.clone()
mp.dps = 40
TARGET = Path(__file__).resolve().parent.parent / "pullback/kernels/fits.h"
POINTS, ROUNDS = 600, 60
ROOT_HALF, ROOT_TWO = float(mp.sqrt(0.5)), float(mp.sqrt(2))
Function = Callable[[Any], Any]


def itself(x: Any) -> Any:
    return x


def square(x: Any) -> Any:
    return x * x


def mills(x: Any) -> Any:
    """erfc(x) without its exponential, and made nearly constant."""
    return mp.exp(x * x) * mp.erfc(x) * (x + 3)


def normal_mills(x: Any) -> Any:
    return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2 * (x + 4)


def inverse(w: Any) -> Any:
    """erfinv(x) / x of w = -log(1 - x^2)"""
    x = mp.sqrt(-mp.expm1(-w))
    return mp.erfinv(x) / x


# name: what it is, in C's comment; the function, from, to, degree, what is raised to powers, weight
FITS: dict[str, tuple[str, Function, float, float, int, Function, Function | None]] = {
    "exp": (
        "(exp(r) - 1 - r) / r^2, |r| <= ln 2 / 2",
        lambda r: (mp.expm1(r) - r) / r**2, -0.3468, 0.3468, 4, itself, lambda r: r * r / mp.exp(r),
    ),
    "exp2": (
        "(2^r - 1) / r, |r| <= 1 / 2",
        lambda r: mp.expm1(r * mp.log(2)) / r, -0.5001, 0.5001, 5, itself, lambda r: abs(r) / 2**r,
    ),
    "log": (
        "(log(1 + f) - f + f^2 / 2) / f^3, sqrt 1/2 <= 1 + f <= sqrt 2",
        lambda f: (mp.log1p(f) - f + f * f / 2) / f**3, ROOT_HALF - 1.0001, ROOT_TWO - 0.9999, 7, itself,
        lambda f: abs(f**3 / mp.log1p(f)),
    ),
    "artanh": (
        "(2 artanh(s) - 2 s) / s^3 in s^2, |s| <= 0.21",
        lambda s: (2 * mp.atanh(s) - 2 * s) / s**3, 1e-5, 0.21, 3, square, lambda s: s**3 / mp.atanh(s),
    ),
    "sin": (
        "(sin(r) - r) / r^3 in r^2, |r| <= 0.79, which is a little more than pi / 4",
        lambda r: (mp.sin(r) - r) / r**3, 1e-4, 0.79, 2, square, lambda r: r**3 / mp.sin(r),
    ),
    "cos": (
        "(cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= 0.79, which is a little more than pi / 4",
        lambda r: (mp.cos(r) - 1 + r * r / 2) / r**4, 1e-3, 0.79, 2, square, lambda r: r**4,
    ),
    "tan": (
        "(tan(r) - r) / r^3 in r^2, |r| <= 0.79, which is a little more than pi / 4",
        lambda r: (mp.tan(r) - r) / r**3, 1e-4, 0.79, 6, square, lambda r: r**3 / mp.tan(r),
    ),
    "asin": (
        "(asin(s) - s) / s^3 in s^2, |s| <= 1 / 2",
        lambda s: (mp.asin(s) - s) / s**3, 1e-4, 0.5, 5, square, lambda s: s**3 / mp.asin(s),
    ),
    "atan": (
        "(atan(s) - s) / s^3 in s^2, |s| <= 1",
        lambda s: (mp.atan(s) - s) / s**3, 1e-4, 1.0, 8, square, lambda s: s**3 / mp.atan(s),
    ),
    "sinh": (
        "(sinh(x) - x) / x^3 in x^2, |x| <= 1",
        lambda x: (mp.sinh(x) - x) / x**3, 1e-4, 1.0, 3, square, lambda x: x**3 / mp.sinh(x),
    ),
    "erf": (
        "erf(x) / x - 1 in x^2, |x| <= 0.71",
        lambda x: mp.erf(x) / x - 1, 1e-6, 0.71, 6, square, lambda x: x / mp.erf(x),
    ),
    "log_erfc": (
        "log(erfc(x)) in x - 0.75, 0.7 <= x <= 4, but for the constant",
        lambda x: mp.log(mp.erfc(x)), 0.7, 4.0, 8, lambda x: x - 0.75, lambda x: mp.erfc(x) / mp.erf(x),
    ),
    "erfc": (
        "(x + 3) exp(x^2) erfc(x) in t = (x - 3) / (x + 3), 0 <= x <= 10.2, but for the constant",
        mills, 0.0, 10.2, 9, lambda x: (x - 3) / (x + 3), None,
    ),
    "ndtr": (
        "(x + 4) exp(x^2 / 2) ndtr(-x) in t = (x - 4) / (x + 4), 0 <= x <= 14.4, likewise",
        normal_mills, 0.0, 14.4, 9, lambda x: (x - 4) / (x + 4), None,
    ),
    "erfinv": (
        "erfinv(x) / x in w - 1, w = -log(1 - x^2) <= 5, but for the first two terms",
        inverse, 1e-9, 5.0, 9, lambda w: w - 1, None,
    ),
    "erfinv_far": (
        "the same in sqrt(w) - 3, 5 <= w <= 16.7",
        lambda s: inverse(s * s), 5**0.5, 4.09, 10, lambda s: s - 3, None,
    ),
}  # fmt: skip
APART = {"log_erfc": 1, "erfc": 1, "ndtr": 1, "erfinv": 2, "erfinv_far": 2}
# so many of their first coefficients are constants of their own, in two parts


def least(basis: Any, values: Any) -> Any:
    """The coefficients of least largest error."""
    weights, found, smallest = np.full(len(values), 1 / len(values)), None, np.inf
    for _ in range(ROUNDS):
        roots = np.sqrt(weights)
        trial = np.linalg.lstsq(basis * roots[:, None], values * roots, rcond=None)[0]
        errors = np.abs(basis @ trial - values)
        if errors.max() < smallest:
            smallest, found = errors.max(), trial
        weights = weights * (errors / errors.max() + 1e-3)
        weights /= weights.sum()
    return found


def fitted(
    function: Function,
    low: float,
    high: float,
    degree: int,
    power: Function,
    weight: Function | None,
    whole: int = 0,
) -> tuple[list[float], float]:
    """The coefficients, from the constant on, and the largest error that is left; the first `whole` of them
    are not rounded.
    """
    angles = np.pi * (np.arange(POINTS) + 0.5) / POINTS
    points = [mp.mpf(x) for x in (low + high) / 2 - (high - low) / 2 * np.cos(angles)]
    values = [function(x) for x in points]
    weights = np.array(
        [float(1 / abs(y) if weight is None else weight(x)) for x, y in zip(points, values, strict=True)]
    )
    powers = [power(x) for x in points]
    scale = max(abs(float(t)) for t in powers)
    scaled = np.array([float(t) for t in powers]) / scale
    found: list[float] = []

    def left() -> Any:
        met = [sum(mp.mpf(c) * t**i for i, c in enumerate(found)) for t in powers]
        return np.array([float(y - part) for y, part in zip(values, met, strict=True)]) * weights

    while len(found) <= degree:
        exponents = range(len(found), degree + 1)
        basis = np.array([scaled**i for i in exponents]).T * weights[:, None]
        exact = float(least(basis, left())[0] / scale ** len(found))
        found.append(exact if len(found) < whole else float(np.float32(exact)))
    return found, float(np.abs(left()).max())


def written(name: str, text: str, found: list[float], error: float) -> str:
    """The C of one polynomial."""
    apart, first = APART.get(name, 0), ""
    for i, exact in enumerate(found[:apart]):
        high = float(np.float32(exact))
        low = float(np.float32(exact - high))
        first += f"#define PB_{name.upper()}_{i} {high!r}f\n#define PB_{name.upper()}_{i}_LOW {low!r}f\n"
    terms = found[apart:]
    lines = [f"/* {text}; error 2^{np.log2(error):.1f} */", f"PB_INLINE float pb_fit_{name}(float t) {{"]
    lines.append(f"    float p = {terms[-1]!r}f;")
    lines += [f"    p = PB_FMA(p, t, {c!r}f);" for c in terms[-2::-1]]
    return first + "\n".join([*lines, "    return p;", "}"]) + "\n"


def main() -> None:
    """Writes the file."""
    parts = [
        "/* Written by tools/fits.py: polynomials of least relative error in single precision. */\n",
        '#ifndef PB_FITS_H\n#define PB_FITS_H\n\n#include "pullback/core/vectors.h"\n',
    ]
    for name, (text, function, low, high, degree, power, weight) in FITS.items():
        parts.append(
            written(name, text, *fitted(function, low, high, degree, power, weight, APART.get(name, 0)))
        )
    TARGET.write_text("\n".join([*parts, "#endif\n"]))


if __name__ == "__main__":
    main()
