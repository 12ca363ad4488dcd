"""Special functions of `torch.special` that are neither Bessel functions nor polynomials.

Each is a loop of SciPy's and its slope. `declared` is how all of `torch.special` is declared;
bessel.py, polynomials.py and incomplete.py (gamma functions, zeta) use it too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core.op import elementwise, function
from pullback.ops.elementwise.arithmetic import TWO
from pullback.ops.shared.refusals import unimplemented
from pullback.ops.shared.zero_times_infinity import example, over, times


def _without_half(record: Any, refuse: Callable[[Any], None]) -> Callable[..., Any]:
    """The op for the public: it refuses what has half precision only, as PyTorch does."""

    def call(*args: Any, **kwargs: Any) -> Any:
        kinds = [x.dtype for x in args if isinstance(x, Tensor)]
        if kinds and all(kind.kind == "f" and kind.itemsize == 2 for kind in kinds):
            refuse(kinds[0])
        return record(*args, **kwargs)

    call.__name__ = call.__qualname__ = record.__name__
    call.__doc__, vars(call)["__wrapped__"] = record.__doc__, record
    return call


def declared(
    name: str,
    loop: Any,
    vjp: dict[str, Any],
    text: str,
    shown: str,
    at: str = "torch.tensor(0.5)",
    half: bool = False,
    **more: Any,
) -> Any:
    """Declares the op `special_<name>` on real numbers, integers as floats, as `special.<name>`."""
    refuse = unimplemented(f"{name}_cpu")
    more.setdefault("refuse", refuse)
    more.setdefault("public_name", f"special_{name}")
    record = elementwise(
        f"special_{name}",
        loop,
        vjp=vjp,
        promote="float",
        allowed="f",
        places="",
        aliases=(f"special.{name}",) if half else (),
        doc=example(text, f"torch.special.{name}({at})", f"tensor({shown})"),
        **more,
    )
    if not half:
        function(places="", aliases=(f"special.{name}",))(_without_half(record, refuse))
    return record


# ------------------------------------------------------------------------------ error functions

ROOT_2, ROOT_PI, ROOT_2PI = math.sqrt(2), math.sqrt(math.pi), math.sqrt(2 * math.pi)


def _erfcx_slope_kernel(self: Any) -> Any:
    """`2 x erfcx(x) - 2 / sqrt(pi)`, whose terms cancel for large x: there the asymptotic series."""
    from scipy.special import erfcx

    x = self.astype(np.float64)
    large = x > 50
    z = 1 / np.where(large, 2 * x * x, np.inf)
    series = -2 * z / ROOT_PI * (1 - 3 * z * (1 - 5 * z * (1 - 7 * z * (1 - 9 * z))))
    plain = 2 * x * erfcx(np.where(large, 0, x)) - 2 / ROOT_PI
    return np.where(large, series, plain).astype(self.dtype)


_erfcx_slope = elementwise(
    "special_erfcx_slope",
    "pullback.kernels.fitted:erfcx_slope",
    kernel=_erfcx_slope_kernel,
    vjp={"self": lambda g, self, result: times(g, 2 * erfcx(self) + 2 * times(self, result))},
    places="",
    allowed="f",
    doc="The slope of `erfcx`.",
)
erfcx: Op = declared(
    "erfcx",
    "pullback.kernels.fitted:erfcx",
    {"self": lambda g, self: times(g, _erfcx_slope(self))},
    "e**(x**2) * erfc(x), which does not underflow; the slope is 2 x erfcx(x) - 2 / sqrt(pi).",
    "0.6157",
)


def _normal_density(x: Tensor) -> Tensor:
    return ops.exp(times(x, x) * -0.5) / ROOT_2PI


ndtr = declared(
    "ndtr",
    "pullback.kernels.special:ndtr",
    {"self": lambda g, self: times(g, _normal_density(self))},
    "The normal distribution's probability below x; the slope is its density.",
    "0.6915",
    half=True,
    refuse=unimplemented("erf_vml_cpu"),
)
log_ndtr = declared(
    "log_ndtr",
    "scipy.special:log_ndtr",
    {"self": lambda g, self: over(g * (2 / ROOT_2PI), erfcx(self * (-1 / ROOT_2)))},
    "Logarithm of `ndtr`, accurate far below zero; the slope is sqrt(2 / pi) / erfcx(-x / sqrt(2)).",
    "-0.3689",
)
ndtri = declared(
    "ndtri",
    "pullback.kernels.fitted:ndtri",
    {"self": lambda g, result: times(g, ops.exp(times(result, result) * 0.5) * ROOT_2PI)},
    "Inverse of `ndtr`, NaN outside [0, 1]; the slope is sqrt(2 pi) * e**(ndtri(x)**2 / 2).",
    "0.",
)

# ----------------------------------------------------------------------------------- logarithms

entr = declared(
    "entr",
    "pullback.kernels.special:entr",
    {"self": lambda g, self: times(g, -1 - ops.log(self))},
    "-x log(x): 0 at 0 and -inf below. The slope is -1 - log(x).",
    "0.3466",
    half=True,
)


def _xlog1py_slope(g: Tensor, self: Any, other: Any) -> Tensor:
    """log(1 + y), but zero where x = 0 and y <= -1, as the function is."""
    if isinstance(other, Tensor):
        wide = other if other.dtype is g.dtype else other.to(g.dtype)
        return times(g, ops.where((self == 0) & (wide <= -1), 0.0, ops.log1p(wide)))
    if other > -1:
        return g * math.log1p(other)
    return times(g, ops.where(self == 0, 0.0, -math.inf if other == -1 else math.nan))


special_xlog1py = elementwise(
    "special_xlog1py",
    "scipy.special:xlog1py",
    inputs=TWO,
    places="",
    aliases=("special.xlog1py",),
    forms=(),
    promote="float",
    allowed="f",
    refuse=unimplemented("xlog1py_cpu"),
    grad_name="SpecialXlog1PyBackward0",
    number_names={"self": "SpecialXlog1PyBackward1", "other": "SpecialXlog1PyBackward2"},
    vjp={"self": _xlog1py_slope, "other": lambda g, self, other: times(g, self / (other + 1))},
    doc=example(
        "`self * log1p(other)`, broadcast, zero where `self` is zero; slopes log1p(y) and x / (1 + y).",
        "torch.special.xlog1py(torch.tensor([0.0, 2.0]), torch.tensor([-1.0, 0.0]))",
        "tensor([0., 0.])",
    ),
)
