"""Elementwise ops: values, slopes of first and second order, edges, integers, and dtypes.

The table SMOOTH has a row for each differentiable function of one variable: its values come from
Python's `math`, its slopes are compared with central differences. Read that first; what follows are
the places where such a table says nothing: ties, bounds, poles, zeros, overflow.
"""

import cmath
import math

import numpy as np
import pytest
from library import check, fn_name, leaf, pullback_only, torch, vec

nan, inf = math.nan, math.inf


def grads(result, *inputs, **more):
    """Gradients of the sum of a result."""
    return torch.autograd.grad(result.sum(), inputs, **more)


def double(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


# Values and slopes of smooth functions --------------------------------------------------------

UNIT = (-0.7, -0.2, 0.3, 0.8)
POSITIVE = (0.3, 0.9, 1.4, 3.0)
SMOOTH = {
    "exp": (math.exp, UNIT),
    "exp2": (lambda x: 2**x, UNIT),
    "expm1": (math.expm1, UNIT),
    "log": (math.log, POSITIVE),
    "log2": (math.log2, POSITIVE),
    "log10": (math.log10, POSITIVE),
    "log1p": (math.log1p, UNIT),
    "sqrt": (math.sqrt, POSITIVE),
    "rsqrt": (lambda x: x**-0.5, POSITIVE),
    "square": (lambda x: x * x, UNIT),
    "reciprocal": (lambda x: 1 / x, POSITIVE),
    "sin": (math.sin, UNIT),
    "cos": (math.cos, UNIT),
    "tan": (math.tan, UNIT),
    "asin": (math.asin, UNIT),
    "arccos": (math.acos, UNIT),
    "atan": (math.atan, UNIT),
    "sinh": (math.sinh, UNIT),
    "cosh": (math.cosh, UNIT),
    "tanh": (math.tanh, UNIT),
    "asinh": (math.asinh, UNIT),
    "arccosh": (math.acosh, (1.3, 1.9, 4.0)),
    "atanh": (math.atanh, UNIT),
    "sinc": (lambda x: math.sin(math.pi * x) / (math.pi * x), UNIT),
    "sigmoid": (lambda x: 1 / (1 + math.exp(-x)), UNIT),
    "logit": (lambda x: math.log(x / (1 - x)), (0.1, 0.5, 0.8)),
    "erf": (math.erf, UNIT),
    "erfc": (math.erfc, UNIT),
    "lgamma": (math.lgamma, POSITIVE),
    "abs": (abs, UNIT),
    "neg": (lambda x: -x, UNIT),
    "frac": (lambda x: math.fmod(x, 1), UNIT),
    "deg2rad": (math.radians, UNIT),
    "rad2deg": (math.degrees, UNIT),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_value(name):
    function, points = SMOOTH[name]
    check(getattr(torch, name)(double(*points)), [function(x) for x in points], rtol=1e-12)
    narrow = getattr(torch, name)(vec(*points))
    assert narrow.dtype == torch.float32
    check(narrow, [function(x) for x in points], rtol=2e-6)


COMPOSED = {
    "erfinv": lambda x: torch.erfinv(x),
    "digamma": lambda x: torch.digamma(x + 2),
    "polygamma": lambda x: torch.polygamma(2, x + 2),
    "mvlgamma": lambda x: torch.mvlgamma(x + 3, 3),
    "i0": lambda x: torch.i0(x),
    "logit eps": lambda x: torch.logit(x, eps=0.1),
    "pow number": lambda x: (x + 2) ** 2.5,
    "pow": lambda x: (x + 2) ** (x - 1),
    "rpow": lambda x: 3**x,
    "float_power": lambda x: torch.float_power(x + 2, 3),
    "div": lambda x: (x + 1) / (x - 2),
    "rdiv": lambda x: 2 / (x - 2),
    "addcmul": lambda x: torch.addcmul(x, x * 2, x - 1, value=3),
    "addcdiv": lambda x: torch.addcdiv(x, x * 2, x - 2, value=3),
    "lerp": lambda x: torch.lerp(x, x * x, x + 1),
    "hypot": lambda x: torch.hypot(x, x + 1),
    "atan2": lambda x: torch.atan2(x, x - 2),
    "xlogy": lambda x: torch.xlogy(x, x + 2),
    "logaddexp": lambda x: torch.logaddexp(x, 2 * x),
    "logaddexp2": lambda x: torch.logaddexp2(x, x * x),
    "remainder": lambda x: torch.remainder(x + 7, x - 2),
    "fmod": lambda x: torch.fmod(x + 7, x - 2),
    "clamp": lambda x: torch.clamp(x * x, x - 1, x + 0.5),
    "maximum": lambda x: torch.maximum(x, x * x),
    "fmin": lambda x: torch.fmin(x, x * x),
    "where": lambda x: torch.where(x > 0, x * x, x**3),
    "copysign": lambda x: torch.copysign(x * x, x),
    "frexp": lambda x: torch.frexp(x * x)[0],
    "ldexp": lambda x: torch.ldexp(x * x, torch.tensor([3])),
}
"""Functions that `math` has not, or of several variables: only their slopes are tested."""


def differences(function, points, step=1e-5):
    """Slopes by central differences, of a function of double tensors."""
    x = torch.tensor(points, dtype=torch.float64)
    return ((function(x + step) - function(x - step)) / (2 * step)).tolist()


@pytest.mark.parametrize("name", [*SMOOTH, *COMPOSED])
def test_slopes(name):
    if name in SMOOTH:
        function, points = getattr(torch, name), SMOOTH[name][1]
    else:
        function, points = COMPOSED[name], UNIT

    def slope(x):
        x = x.detach().requires_grad_()
        return grads(function(x), x)[0]

    x = double(*points)
    (first,) = grads(function(x), x, create_graph=True)
    check(first, differences(function, points), rtol=1e-6, atol=1e-8)
    if first.requires_grad:
        (second,) = grads(first, x)
        check(second + 0, differences(slope, points), rtol=1e-6, atol=1e-7)


HOLOMORPHIC = [
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "square"),
    *("reciprocal", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("asinh", "atanh", "sinc", "sigmoid"),
    pytest.param("acosh", marks=pullback_only("PyTorch takes the wrong branch left of zero")),
]


@pytest.mark.parametrize("name", HOLOMORPHIC)
def test_complex_slopes(name):
    points = [0.3 + 0.4j, -0.5 + 0.2j, 0.1 - 0.6j]
    z = torch.tensor(points, dtype=torch.complex128, requires_grad=True)
    function = getattr(torch, name)
    (g,) = torch.autograd.grad(function(z), z, torch.ones(3, dtype=torch.complex128))
    plain, step = z.detach(), 1e-6
    slope = (function(plain + step) - function(plain - step)) / (2 * step)
    np.testing.assert_allclose(np.conj(g.tolist()), slope.tolist(), rtol=1e-6)


def test_complex_values():
    z = 0.3 - 0.7j
    t = torch.tensor([z], dtype=torch.complex128)
    for name in ("exp", "log", "sin", "tanh", "acos", "sqrt", "atanh"):
        assert getattr(torch, name)(t).tolist()[0] == pytest.approx(getattr(cmath, name)(z), rel=1e-12)
    check(torch.angle(t), [cmath.phase(z)], rtol=1e-12)
    assert torch.conj(t).tolist() == [z.conjugate()]
    assert torch.sgn(t).tolist()[0] == pytest.approx(z / abs(z), rel=1e-12)


# Edges: ties, bounds, zeros, poles ------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [
        ("maximum", [0.0, 0.5, 1.0, 1.0, 1.0], [1.0, 0.5, 0.0, 1.0, 1.0]),
        ("minimum", [1.0, 0.5, 0.0, 1.0, 1.0], [0.0, 0.5, 1.0, 1.0, 1.0]),
        ("fmax", [0.0, 1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0, 0.0]),
        ("fmin", [1.0, 1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 0.0]),
    ],
)
def test_ties_and_nan_of_extrema(name, left, right):
    x, y = leaf([1.0, 2.0, 3.0, nan, 1.0]), leaf([2.0, 2.0, 1.0, 1.0, nan])
    gx, gy = grads(getattr(torch, name)(x, y), x, y)
    check(gx, left)
    check(gy, right)


def test_clamp_on_and_beyond_its_bounds():
    points = [0.0, 1.0, 1.5, 2.0, 3.0, nan]
    low, high = leaf([1.0] * 6), leaf([2.0] * 6)
    x = leaf(points)
    check(grads(torch.clamp(x, 1, 2), x)[0], [0, 1, 1, 1, 0, 0])
    check(grads(torch.clamp(x, min=1), x)[0], [0, 1, 1, 1, 1, 0])
    check(grads(torch.clamp_max(x, 1), x)[0], [1, 1, 0, 0, 0, 0])
    inside, below, above = grads(torch.clamp(x, low, high), x, low, high)
    check(inside, [0, 1, 1, 1, 0, 0])
    check(below, [1, 0, 0, 0, 0, 0])
    check(above, [0, 0, 0, 0, 1, 0])
    check(torch.clamp(vec(1.0), 2, 1), [1])  # crossed bounds: the upper one wins


def test_power_at_zero():
    x = leaf([0.0, 0.0, 0.0, 0.0])
    y = leaf([0.0, 1.0, 2.0, 0.5])
    gx, gy = grads(x**y, x, y)
    check(gx, [0, 1, 0, inf])
    check(gy, [0, 0, 0, 0])
    check(grads(x**0, x)[0], [0, 0, 0, 0])
    t = leaf([0.0, 1.0, -1.0])
    check(grads(0**t, t)[0], [0, 0, -inf])


def test_slopes_where_the_formula_divides_by_zero():
    x = leaf([0.0, 3.0])
    check(grads(torch.sinc(x), x)[0], [0, -1 / 3], rtol=1e-5)
    check(grads(torch.abs(x), x)[0], [0, 1])
    check(grads(torch.xlogy(x, torch.tensor(0.0)), x)[0], [0, -inf])
    y, o = leaf([0.0]), leaf([0.0])
    assert [g.tolist() for g in grads(torch.atan2(y, o), y, o)] == [[0.0], [0.0]]
    z = torch.tensor([0j, 3 + 4j], requires_grad=True)
    check(torch.view_as_real(grads(z.abs(), z)[0]), [[0, 0], [0.6, 0.8]])


@pullback_only("PyTorch gives NaN: it differentiates the branch that is not taken")
def test_second_slope_of_sinc_at_zero():
    x = double(0.0)
    (first,) = grads(torch.sinc(x), x, create_graph=True)
    check(grads(first, x)[0], [-(math.pi**2) / 3])


@pullback_only("PyTorch squares first, and gives 0 where float32 overflows")
def test_slopes_are_as_wide_as_the_numbers():
    x = leaf([1e20, -1e25])
    check(grads(torch.asinh(x), x)[0], [1e-20, 1e-25])
    y = leaf([1e30])
    check(grads(torch.acosh(y), y)[0], [1e-30])
    a, b = leaf([3e25]), leaf([4e25])
    ga, gb = grads(torch.atan2(a, b), a, b)
    check(ga, [1.6e-26])
    check(gb, [-1.2e-26])


def test_hypot_does_not_overflow():
    a, b = leaf([3e25]), leaf([4e25])
    check(torch.hypot(a, b), [5e25])
    ga, gb = grads(torch.hypot(a, b), a, b)
    check(ga, [0.6])
    check(gb, [0.8])


# Zero times infinity --------------------------------------------------------------------------

SINGULAR = {
    "division": (lambda x: 1 / x, 0.0),
    "quotient": (lambda x: x.sin() / x, 0.0),
    "log": (lambda x: x.log(), 0.0),
    "log of negative": (lambda x: x.log(), -1.0),
    "log1p": (lambda x: x.log1p(), -1.0),
    "sqrt": (lambda x: x.sqrt(), 0.0),
    "rsqrt": (lambda x: x.rsqrt(), 0.0),
    "power": (lambda x: x**0.5, 0.0),
    "tensor power": (lambda x: x**x, -0.5),
    "asin": (lambda x: x.asin(), 1.0),
    "acosh": (lambda x: x.acosh(), 1.0),
    "atanh": (lambda x: x.atanh(), 1.0),
    "exp": (lambda x: x.exp(), 1e3),
    "lgamma": (lambda x: x.lgamma(), 0.0),
    "erfinv": (lambda x: x.erfinv(), 1.0),
    "logit": (lambda x: x.logit(), 1.0),
    "hypot": (lambda x: torch.hypot(x, x), 0.0),
    "xlogy": (lambda x: torch.xlogy(x + 1, x), 0.0),
}


@pullback_only("PyTorch gives NaN: zero times the infinite slope of the branch not taken")
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("order", [1, 2])
def test_an_exact_zero_stays_zero(name, order):
    function, point = SINGULAR[name]
    x = double(point)
    result = torch.where(x != x, function(x), 2 * x**3)
    expected = [6 * point**2, 12 * point]
    for _ in range(order - 1):
        (result,) = grads(result, x, create_graph=True)
    check(grads(result, x)[0], [expected[order - 1]])


def test_infinite_slopes_pass_where_they_matter():
    x = leaf([0.0])
    check(grads(x.sqrt(), x)[0], [inf])
    check(grads(x.log(), x)[0], [inf])
    check(grads(1 / x, x)[0], [-inf])
    check(grads((x - 1).sqrt(), x)[0], [nan])


# Integers, bits, rounding ---------------------------------------------------------------------


def test_division_by_zero_of_integers():
    one, zero = torch.tensor([1]), torch.tensor([0])
    for divide in (
        lambda: one // zero,
        lambda: one % zero,
        lambda: torch.fmod(one, 0),
        lambda: torch.div(one, zero, rounding_mode="trunc"),
        lambda: torch.div(one, zero, rounding_mode="floor"),
    ):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            divide()


def test_quotients_and_remainders_agree_with_python():
    a = torch.tensor([7, -7, 7, -7, 6, -6])
    b = torch.tensor([2, 2, -2, -2, 3, 3])
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    for wide in (torch.int64, torch.float64):
        x, y = a.to(wide), b.to(wide)
        assert (x // y).tolist() == [p // q for p, q in pairs]
        assert (x % y).tolist() == [p % q for p, q in pairs]
        assert torch.fmod(x, y).tolist() == [math.fmod(p, q) for p, q in pairs]
        truncated = torch.div(x, y, rounding_mode="trunc")
        assert truncated.tolist() == [math.trunc(p / q) for p, q in pairs]
        assert truncated.dtype == wide


def test_integer_powers():
    base = torch.tensor([2, 1, -1, -1, 0])
    exponent = torch.tensor([-1, -3, -3, -2, 2])
    assert (base**exponent).tolist() == [0, 1, -1, 1, 0]
    assert (2 ** torch.tensor([0, 3])).tolist() == [1, 8]
    with pytest.raises(RuntimeError, match="Integers to negative integer powers are not allowed"):
        base**-1
    assert (base**0.5).dtype == torch.float32


def test_shifts_beyond_the_width():
    x = torch.tensor([1, -8])
    assert (x << 64).tolist() == [0, 0]
    assert (x >> 64).tolist() == [0, -1]
    assert (x >> 2).tolist() == [0, -2]
    assert (1 << torch.tensor([3])).tolist() == [8]


def test_bits_and_divisors():
    a, b = torch.tensor([12, -4]), torch.tensor([10, 6])
    assert (a & b).tolist() == [8, 4]
    assert (a | b).tolist() == [14, -2]
    assert (a ^ b).tolist() == [6, -6]
    assert (~a).tolist() == [-13, 3]
    assert (~torch.tensor([True])).tolist() == [False]
    assert torch.gcd(a, b).tolist() == [2, 2]
    assert torch.lcm(a, b).tolist() == [60, 12]


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "round", "sign"])
def test_rounding_is_flat_and_keeps_integers(name):
    function = {"round": round, "sign": lambda x: (x > 0) - (x < 0)}.get(name) or getattr(math, name)
    points = [-1.5, -0.5, 0.5, 2.5, 2.7]
    x = leaf(points)
    result = getattr(torch, name)(x)
    check(result, [function(p) for p in points])
    check(grads(result, x)[0], [0] * 5)
    whole = getattr(torch, name)(torch.tensor([3]))
    assert whole.dtype == torch.int64


def test_round_to_decimals():
    assert torch.round(torch.tensor(12.345), decimals=1).item() == pytest.approx(12.3)
    assert torch.round(torch.tensor(125.0), decimals=-1).item() == 120.0


def test_signs():
    x = vec(-2.0, -0.0, 0.0, 3.0)
    assert torch.signbit(x).tolist() == [True, True, False, False]
    check(torch.copysign(vec(1.0, -2.0, 3.0, 4.0), x), [-1, -2, 3, 4])
    check(torch.sign(vec(nan)), [0])
    check(torch.heaviside(x, vec(0.5)), [0, 0.5, 0.5, 1])


def test_frexp_and_ldexp_are_inverse():
    x = vec(3.0, -0.1, 0.0, 1e30)
    mantissa, exponent = torch.frexp(x)
    assert exponent.dtype == torch.int32
    check(torch.ldexp(mantissa, exponent), x.tolist())
    check(torch.ldexp(vec(1e-30), torch.tensor([140])), [1e-30 * 2.0**140])


def test_nan_to_num():
    x = leaf([1.0, inf, -inf, nan])
    largest = torch.finfo(torch.float32).max
    result = torch.nan_to_num(x)
    check(result, [1, largest, -largest, 0])
    check(grads(result, x)[0], [1, 0, 0, 0])
    check(torch.nan_to_num(x, nan=7.0, posinf=8.0, neginf=9.0), [1, 8, 9, 7])


# Comparing and choosing -----------------------------------------------------------------------


def test_comparisons_give_bools():
    x = torch.tensor([1, 2, 3])
    for name, expected in {
        "eq": [False, True, False],
        "not_equal": [True, False, True],
        "less": [True, False, False],
        "le": [True, True, False],
        "gt": [False, False, True],
        "greater_equal": [False, True, True],
    }.items():
        result = getattr(torch, name)(x, 2)
        assert result.dtype == torch.bool
        assert result.tolist() == expected


def test_in_place_comparison_cuts_the_graph():
    x = leaf([1.0, 2.0])
    y = x * 1
    y.eq_(2)
    check(y, [0, 1])
    check(grads(y, x)[0], [0, 0])


def test_close_and_equal():
    x = vec(1.0, inf, nan)
    assert torch.isclose(x, x).tolist() == [True, True, False]
    assert torch.isclose(x, x, equal_nan=True).tolist() == [True, True, True]
    assert torch.allclose(vec(1.0), vec(1.0 + 1e-7))
    assert not torch.allclose(vec(1.0), vec(1.1))
    assert torch.equal(vec(1.0), vec(1.0))
    assert not torch.equal(vec(1.0), vec(1.0, 1.0))
    with pytest.raises(RuntimeError, match="rtol must be greater than or equal to zero"):
        torch.isclose(x, x, rtol=-1)


def test_what_is_not_finite():
    x = vec(1.0, inf, -inf, nan)
    assert torch.isnan(x).tolist() == [False, False, False, True]
    assert torch.isinf(x).tolist() == [False, True, True, False]
    assert torch.isfinite(x).tolist() == [True, False, False, False]
    assert torch.isposinf(x).tolist() == [False, True, False, False]
    assert torch.isneginf(x).tolist() == [False, False, True, False]
    assert torch.isfinite(torch.tensor([1])).tolist() == [True]


def test_where():
    condition = torch.tensor([True, False])
    x, y = leaf([1.0, 2.0]), leaf([[3.0], [4.0]])
    result = torch.where(condition, x, y)
    check(result, [[1, 3], [1, 4]])
    gx, gy = grads(result, x, y)
    check(gx, [2, 0])
    check(gy, [[1], [1]])
    assert torch.where(condition, torch.tensor([1]), 2.5).dtype == torch.float32
    assert [index.tolist() for index in torch.where(condition)] == [[0]]
    check(x.where(condition, 0), [1, 0])
    with pytest.raises(RuntimeError, match="to be a boolean tensor"):
        torch.where(x, x, x)


# Dtypes, forms of call, errors ----------------------------------------------------------------


def test_dtypes_of_results():
    whole, half = torch.tensor([1, 2]), torch.tensor([1.0, 2.0], dtype=torch.float16)
    assert torch.sqrt(whole).dtype == torch.float32
    assert torch.exp(half).dtype == torch.float16
    assert torch.exp(half.to(torch.bfloat16)).dtype == torch.bfloat16
    assert (whole / 2).dtype == torch.float32
    assert (whole // 2).dtype == torch.int64
    assert torch.square(torch.tensor([True])).dtype == torch.int64
    assert torch.abs(torch.tensor([3 + 4j])).tolist() == [5.0]
    assert torch.float_power(whole, 2).dtype == torch.float64
    assert torch.clamp(whole, 0.5).dtype == torch.float32


def test_in_place_and_out():
    x = vec(1.0, 4.0)
    assert x.sqrt_() is x
    check(x, [1, 2])
    check(x.clamp_(max=1.5).add_(1, alpha=2), [3, 3.5])
    check(x.div_(2, rounding_mode="floor"), [1, 1])
    out = torch.empty(2)
    assert torch.mul(x, 3, out=out) is out
    check(out, [3, 3])
    with pytest.raises(RuntimeError, match="result type Float can't be cast"):
        torch.tensor([1]).sqrt_()


def test_layout_of_results_follows_the_input():
    x = torch.ones(2, 3).t()
    assert torch.exp(x).stride() == (1, 3)
    assert torch.sigmoid(x).stride() == (1, 3)
    assert (x[:, :1] + torch.ones(2)).shape == (3, 2)


def test_empty_and_scalar():
    assert torch.exp(torch.ones(0, 3)).shape == (0, 3)
    assert torch.lgamma(torch.tensor(3.0)).shape == ()
    assert torch.where(torch.ones(0, dtype=torch.bool), 1.0, 2.0).shape == (0,)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: torch.floor(torch.tensor([1j])), NotImplementedError, "floor is not supported"),
        (lambda: torch.sign(torch.tensor([1j])), NotImplementedError, "Please use torch.sgn"),
        (
            lambda: torch.erf(torch.tensor([1j])),
            NotImplementedError,
            '"erf_vml_cpu" not implemented',
        ),
        (lambda: torch.maximum(torch.tensor([1j]), vec(1.0)), RuntimeError, "complex tensors"),
        (lambda: torch.clamp(vec(1.0)), RuntimeError, "At least one of 'min' or 'max'"),
        (lambda: torch.hypot(vec(1.0), 2), TypeError, "must be Tensor, not int"),
        (lambda: torch.polygamma(-1, vec(1.0)), RuntimeError, "does not support negative n"),
        (lambda: torch.mvlgamma(vec(1.0), 0), RuntimeError, "p has to be greater"),
        (lambda: torch.addcdiv(*[torch.tensor([1])] * 3), RuntimeError, "Integer division"),
        (
            lambda: torch.lerp(*[torch.tensor([1])] * 2, 0.5),
            NotImplementedError,
            "lerp_kernel_scalar",
        ),
        (lambda: torch.add(*[torch.tensor([1])] * 2, alpha=0.5), RuntimeError, "argument alpha"),
        (lambda: vec(1.0).float_power_(2), RuntimeError, "the base given to float_power_"),
        (lambda: torch.positive(torch.tensor([True])), RuntimeError, "on a bool tensor"),
        (lambda: torch.frexp(torch.tensor([1])), RuntimeError, "only supports floating-point"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_steps_without_a_derivative_say_so():
    x = leaf([1.0])
    for name, result in {"heaviside": torch.heaviside(x, vec(1.0)), "floor_divide": x // 2}.items():
        assert fn_name(result) == "NotImplemented"
        with pytest.raises(RuntimeError, match=f"derivative for aten::{name} is not implemented"):
            result.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "name", ["relu", "relu_", "elu", "selu", "celu", "leaky_relu", "hardtanh", "gelu", "silu"]
)
def test_negative_zero_stays(name, dtype):
    x = torch.full((37,), -0.0, dtype=dtype)
    assert getattr(torch.nn.functional, name)(x).signbit().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64])
def test_the_factor_of_addcmul_and_addcdiv_comes_first(dtype):
    """It brings a product into range that would leave it."""
    large = 1e30 if dtype.itemsize == 4 or dtype.is_complex else 1e300
    x, zero = torch.full((33,), large, dtype=dtype), torch.zeros(33, dtype=dtype)
    torch.testing.assert_close(torch.addcmul(zero, x, x, value=1 / large), x)
    torch.testing.assert_close(torch.addcdiv(zero, x, 1 / x, value=1 / large), x)
    if dtype.is_complex:
        quotient = torch.addcdiv(zero, x, zero)
        assert quotient.real.isinf().all() and quotient.imag.isnan().all()
