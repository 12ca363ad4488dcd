"""Bessel functions and the Airy function.

A family has one op for each kind and scale, whose second input is the order, a whole number: the
derivative of an order is made of its neighbours, so all derivatives of all orders follow from one
rule and none has a special case at zero. The public functions are their orders 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback.core._engine import Op, Tensor
from pullback.core.op import elementwise
from pullback.ops.shared.zero_times_infinity import times
from pullback.ops.special.error_and_gamma import declared
from pullback.ops.special.scaled_bessel import scaled_i_derivative, scaled_k_derivative

Slope = Callable[[Tensor, int], Tensor]


def _family(name: str, loops: tuple[str, ...], general: Callable[..., Any], slope: Slope) -> Any:
    """The op of a family, by the loops of the lowest orders and SciPy's general function."""

    def kernel(self: Any, n: Any) -> Any:
        import scipy.special

        from pullback.kernels import fitted

        order = int(n)
        if order < 2 + (self.dtype == np.float32) and order < len(loops):
            return getattr(fitted, loops[order])(self)
        return np.asarray(general(scipy.special, order, self.astype(np.float64))).astype(self.dtype)

    return elementwise(
        name,
        kernel=kernel,
        inputs=("self", "n"),
        kinds="TN",
        places="",
        promote="float",
        allowed="f",
        vjp={"self": lambda g, self, n: times(g, slope(self, n))},
        doc="The function of order `n`.",
    )


def _j_slope(x: Tensor, n: int) -> Tensor:
    return -bessel_j(x, 1) if n == 0 else (bessel_j(x, n - 1) - bessel_j(x, n + 1)) * 0.5


def _y_slope(x: Tensor, n: int) -> Tensor:
    return -bessel_y(x, 1) if n == 0 else (bessel_y(x, n - 1) - bessel_y(x, n + 1)) * 0.5


def _i_slope(x: Tensor, n: int) -> Tensor:
    return bessel_i(x, 1) if n == 0 else bessel_i(x, n - 1) * 0.5 + bessel_i(x, n + 1) * 0.5


def _k_slope(x: Tensor, n: int) -> Tensor:
    return -bessel_k(x, 1) if n == 0 else bessel_k(x, n - 1) * -0.5 - bessel_k(x, n + 1) * 0.5


def _scaled_i_slope(x: Tensor, n: int) -> Tensor:
    return scaled_i_derivative(x, n, 1)


def _scaled_k_slope(x: Tensor, n: int) -> Tensor:
    return scaled_k_derivative(x, n, 1)


def _spherical_slope(x: Tensor, n: int) -> Tensor:
    if n == 0:
        return -spherical_j(x, 1)
    return (spherical_j(x, n - 1) * n - spherical_j(x, n + 1) * (n + 1)) / (2 * n + 1)


bessel_j = _family("bessel_j", ("j0", "j1", "j2"), lambda special, n, x: special.jv(n, x), _j_slope)
bessel_y = _family("bessel_y", ("y0", "y1", "y2"), lambda special, n, x: special.yn(n, x), _y_slope)
bessel_i = _family("bessel_i", ("i0", "i1", "i2"), lambda special, n, x: special.iv(n, x), _i_slope)
bessel_k = _family("bessel_k", ("k0", "k1", "k2"), lambda special, n, x: special.kn(n, x), _k_slope)
scaled_i = _family(
    "scaled_i", ("i0e", "i1e", "i2e"), lambda special, n, x: special.ive(n, x), _scaled_i_slope
)
scaled_k = _family(
    "scaled_k", ("k0e", "k1e", "k2e"), lambda special, n, x: special.kve(n, x), _scaled_k_slope
)
spherical_j = _family("spherical_j", (), lambda special, n, x: special.spherical_jn(n, x), _spherical_slope)


def _bessel_order(name: str, family: Any, n: int, loop: str, text: str, shown: str, **more: Any) -> Any:
    """A public function: one order of a family, with a loop of its own."""
    rule = {"self": lambda g, self: times(g, _SLOPES[family.name](self, n))}
    return declared(name, f"pullback.kernels.fitted:{loop}", rule, text, shown, **more)


_SLOPES = {
    "bessel_j": _j_slope,
    "bessel_y": _y_slope,
    "bessel_i": _i_slope,
    "bessel_k": _k_slope,
    "scaled_i": _scaled_i_slope,
    "scaled_k": _scaled_k_slope,
    "spherical_j": _spherical_slope,
}
_FIRST, _SECOND = "Bessel function of the first kind", "Bessel function of the second kind"
_ZERO, _ONE = "order 0; the slope is", "order 1; the slope is"
bessel_j0 = _bessel_order("bessel_j0", bessel_j, 0, "j0", f"{_FIRST}, {_ZERO} -j1(x).", "0.9385")
bessel_j1 = _bessel_order("bessel_j1", bessel_j, 1, "j1", f"{_FIRST}, {_ONE} (j0(x) - j2(x)) / 2.", "0.2423")
bessel_y0 = _bessel_order("bessel_y0", bessel_y, 0, "y0", f"{_SECOND}, {_ZERO} -y1(x).", "-0.4445")
bessel_y1 = _bessel_order(
    "bessel_y1", bessel_y, 1, "y1", f"{_SECOND}, {_ONE} (y0(x) - y2(x)) / 2.", "-1.4715"
)
modified_bessel_i0 = _bessel_order(
    "modified_bessel_i0", bessel_i, 0, "i0", f"Modified {_FIRST}, {_ZERO} i1(x).", "1.0635"
)
modified_bessel_i1 = _bessel_order(
    "modified_bessel_i1", bessel_i, 1, "i1", f"Modified {_FIRST}, {_ONE} (i0(x) + i2(x)) / 2.", "0.2579"
)
modified_bessel_k0 = _bessel_order(
    "modified_bessel_k0", bessel_k, 0, "k0", f"Modified {_SECOND}, {_ZERO} -k1(x).", "0.9244"
)
modified_bessel_k1 = _bessel_order(
    "modified_bessel_k1", bessel_k, 1, "k1", f"Modified {_SECOND}, {_ONE} -(k0(x) + k2(x)) / 2.", "1.6564"
)
scaled_modified_bessel_k0 = _bessel_order(
    "scaled_modified_bessel_k0", scaled_k, 0, "k0e", f"e**x * k0(x), {_ZERO} f(x) - k1e(x).", "1.5241"
)
scaled_modified_bessel_k1 = _bessel_order(
    "scaled_modified_bessel_k1",
    scaled_k,
    1,
    "k1e",
    f"e**x * k1(x), {_ONE} f(x) - (k0e(x) + k2e(x)) / 2.",
    "2.7310",
)
i0e = _bessel_order(
    "i0e",
    scaled_i,
    0,
    "i0e",
    f"e**-|x| * i0(x), {_ZERO} i1e(x) - sign(x) f(x).",
    "0.6450",
    half=True,
    grad_name="SpecialI0EBackward0",
)
i1e = _bessel_order(
    "i1e",
    scaled_i,
    1,
    "i1e",
    f"e**-|x| * i1(x), {_ONE} (i0e(x) + i2e(x)) / 2 - sign(x) f(x).",
    "0.1564",
    half=True,
    grad_name="SpecialI1EBackward0",
)
spherical_bessel_j0 = _bessel_order(
    "spherical_bessel_j0",
    spherical_j,
    0,
    "spherical_j0",
    f"sin(x) / x, the spherical {_FIRST}, {_ZERO} -j1(x).",
    "0.9589",
)


# ---------------------------------------------------------------------------------- Airy function


airy_ai = declared(
    "airy_ai",
    "pullback.kernels.fitted:airy_ai",
    {"self": lambda g, self: times(g, _airy_slope(self))},
    "The Airy function Ai, which solves y'' = x y; the slope is Ai'(x), whose own is x Ai(x).",
    "0.2317",
)
_airy_slope: Op = elementwise(
    "special_airy_ai_slope",
    "pullback.kernels.fitted:airy_ai_slope",
    vjp={"self": lambda g, self: times(g, times(self, airy_ai(self)))},
    places="",
    promote="float",
    allowed="f",
    doc="The slope of the Airy function Ai.",
)
