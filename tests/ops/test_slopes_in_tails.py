"""The slopes of every elementwise op over the whole range of float32, held to those in float64.

Where the slope in float64 is a number that float32 has, the rule in float32 gives it to some digits: it may
not vanish, overflow, cancel or be NaN sooner. test_slopes_of_curves.py holds float64 to mpmath.
"""

import numpy as np
import pytest
from library import ON_TORCH, torch
from sample_rows import ROWS
from samples import In, resolve

pytestmark = [
    pytest.mark.skipif(ON_TORCH, reason="PyTorch's vanish or are NaN sooner"),
    pytest.mark.filterwarnings("ignore"),
]

SIZES = np.concatenate([np.logspace(-37.9, 38.4, 70), np.linspace(0.01, 120, 50)])
POINTS = np.concatenate([-SIZES[::-1], [0.0], SIZES]).astype(np.float32)
BESIDE = (0.3, 2.0, -1.5)
BY_RESULT = "the slope comes from the result alone, as in PyTorch"
ROUNDED = "x pi, or x - 1/2, is rounded before the function is taken"
OVERFLOWS = "terms overflow before their sum does"
LESS = {
    "nn.functional.sigmoid": BY_RESULT,
    "sigmoid": BY_RESULT,
    "nn.functional.tanh": BY_RESULT,
    "tanh": BY_RESULT,
    "expm1": BY_RESULT,
    "sinc": ROUNDED,
    "mvlgamma": ROUNDED,
    "special.bessel_j1": "float64 itself has no digit left from 1e16 on",
    "special.zeta": OVERFLOWS,
    "special.bessel_y1": OVERFLOWS,
    "rsqrt": OVERFLOWS,
    "nn.functional.gaussian_nll_loss": OVERFLOWS,
    **{
        f"special.{kind}chebyshev_polynomial_{letter}": OVERFLOWS
        for kind in ("", "shifted_")
        for letter in "tuvw"
    },
    "ldexp": "2**other overflows, in PyTorch's result as well",
}
"""Ops whose slopes lose digits, and why."""


def slopes(function, points, dtype):
    """The slopes at some points, one each; None if the function is not one of numbers."""
    x = torch.from_numpy(points.astype(dtype)).requires_grad_()
    y = function(x)
    y = y[0] if isinstance(y, (tuple, list)) else y
    if not y.requires_grad or y.shape != x.shape:
        return None
    return torch.autograd.grad(y, x, torch.ones_like(y))[0].numpy()


def functions(row):
    """The op as functions of one tensor, the others filled with a number."""
    for call in row.calls:
        inputs = [i for i, arg in enumerate(call.args) if isinstance(arg, In)]
        if not 0 < len(inputs) < 4 or any(isinstance(arg, (list, tuple)) for arg in call.args):
            continue
        for place in inputs:
            for number in BESIDE if len(inputs) > 1 else BESIDE[:1]:

                def function(x, call=call, place=place, number=number):
                    def filled(arg):
                        if arg.dtype is not None:
                            return torch.zeros(x.shape, dtype=getattr(torch, arg.dtype))
                        return torch.full(x.shape, number, dtype=x.dtype)

                    args = [filled(arg) if isinstance(arg, In) else arg for arg in call.args]
                    args[place] = x
                    return resolve(torch, row.name)(*args, **call.kwargs)

                yield function
        return


def wrong(function):
    """Where the slopes in float32 are wrong: points, what they are, what they should be."""
    try:
        found, part = slopes(function, POINTS, "float32"), slopes(function, POINTS[::7], "float32")
        wanted = slopes(function, POINTS, "float64")
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, AssertionError):
        return []  # these numbers are refused, or it is no function of numbers
    if found is None or not np.array_equal(found[::7], part, equal_nan=True):
        return []
    with np.errstate(all="ignore"):
        right = np.isclose(found, wanted.astype(np.float32), 2e-4, 3e-38, equal_nan=True) | np.isnan(wanted)
    return [(POINTS[i], found[i], wanted[i]) for i in np.flatnonzero(~right)]


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.derived and "f" in row.kinds], ids=lambda row: row.name
)
def test_slopes_hold_to_the_ends(row):
    found = [place for function in functions(row) for place in wrong(function)]
    assert row.name in LESS or not found, found[:5]
