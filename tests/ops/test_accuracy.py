"""How exact the numbers are where plain formulas lose digits: near zeros, poles and overflow.

Values and derivatives of functions of one number are held to mpmath's, in units of the last place.
"""

import math
from operator import attrgetter

import mpmath
import numpy as np
import pytest
from library import leaf, pullback_only, torch

mp = mpmath.mp.clone()
mp.dps = 60
TINY, HUGE = [1e-300, -1e-20, 1e-9, -1e-4], [1e9, -1e100]

# name: the function, its derivative, points, and the units of the last place that are allowed.
CURVES = {
    "log1p": (mp.log1p, lambda x: 1 / (1 + x), [*TINY, 0.5, -0.999, 1e300], 4),
    "expm1": (mp.expm1, mp.exp, [*TINY, 0.5, -3.0, 700.0], 4),
    "sinh": (mp.sinh, mp.cosh, [*TINY, 0.5, -30.0, 700.0], 4),
    "asinh": (mp.asinh, lambda x: 1 / mp.sqrt(x * x + 1), [*TINY, 0.5, *HUGE], 6),
    "acosh": (mp.acosh, lambda x: 1 / mp.sqrt(x * x - 1), [1.5, 40.0, 1e9, 1e100], 6),
    "atanh": (mp.atanh, lambda x: 1 / (1 - x * x), [*TINY, 0.5, -0.75], 6),
    "atan": (mp.atan, lambda x: 1 / (1 + x * x), [*TINY, 0.5, -40.0, 1e9], 4),
    "tanh": (mp.tanh, lambda x: mp.sech(x) ** 2, [*TINY, 0.5, -1.0], 8),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), None, [*TINY, 0.5, -700.0, 700.0], 6),
    "tan": (mp.tan, lambda x: mp.sec(x) ** 2, [*TINY, 0.5, 1.57], 6),
    "sinc": (mp.sincpi, None, [1e-300, 1e-9, 1e-3, 0.25, 1.5], 8),
    "rsqrt": (lambda x: 1 / mp.sqrt(x), lambda x: -mp.power(x, -1.5) / 2, [1e-50, 2.0, 1e80], 6),
    "log2": (lambda x: mp.log(x, 2), lambda x: 1 / (x * mp.ln(2)), [1e-300, 0.3, 8.0, 1e300], 6),
    "log10": (mp.log10, lambda x: 1 / (x * mp.ln(10)), [1e-300, 0.3, 1000.0, 1e300], 6),
    "exp2": (lambda x: mp.power(2, x), None, [1e-20, 0.5, -1000.0, 1000.0], 6),
    "square": (lambda x: x * x, lambda x: 2 * x, [1e-150, 3.0, 1e150], 2),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, [1e-150, 3.0, 1e150], 4),
}


def units(found, expected, dtype=np.float64):
    """The distance to the exact number, in units of the last place of `dtype`."""
    spacing = float(np.spacing(np.abs(dtype(expected))))
    return abs(float((mp.mpf(found) - expected) / spacing))


@pytest.mark.parametrize("name", CURVES)
def test_curve(name):
    function, derivative, points, allowed = CURVES[name]
    x = leaf(points, torch.float64)
    y = getattr(torch, name)(x)
    y.sum().backward()
    for point, value, slope in zip(points, y.tolist(), x.grad.tolist(), strict=True):
        assert units(value, function(mp.mpf(point))) <= allowed, f"value at {point}"
        if derivative is not None:
            assert units(slope, derivative(mp.mpf(point))) <= 2 * allowed, f"slope at {point}"


@pytest.mark.parametrize("name", ["log1p", "expm1", "sinh", "tanh", "atan", "sinc", "sigmoid", "tan"])
def test_curve_in_float32(name):
    function = CURVES[name][0]
    points = np.array([1e-30, 1e-7, 1e-3, 0.3, 0.9], np.float32)
    found = getattr(torch, name)(torch.from_numpy(points)).tolist()
    for point, value in zip(points.tolist(), found, strict=True):
        assert units(value, function(mp.mpf(point)), np.float32) <= 4, f"value at {point}"


def slope_at(function, point, dtype=torch.float64):
    """The derivative of a function of one number at a point."""
    x = leaf(point, dtype)
    return torch.autograd.grad(function(x), x)[0].item()


@pullback_only("the slopes of asinh and acosh do not overflow on the way")
@pytest.mark.parametrize("name", ["asinh", "acosh"])
def test_slope_of_large_numbers(name):
    assert slope_at(getattr(torch, name), 1e20, torch.float32) == pytest.approx(1e-20, rel=1e-6)
    assert slope_at(getattr(torch, name), 1e200) == pytest.approx(1e-200, rel=1e-12)


def test_sinc_at_zero():
    x = leaf(0.0, torch.float64)
    y = torch.sinc(x)
    (first,) = torch.autograd.grad(y, x, create_graph=True)
    assert y.item() == 1.0
    assert first.item() == 0.0


@pullback_only("the second derivative of sinc at zero is the limit")
def test_curvature_of_sinc_at_zero():
    x = leaf(0.0, torch.float64)
    (first,) = torch.autograd.grad(torch.sinc(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x)
    assert second.item() == pytest.approx(-(math.pi**2) / 3, rel=1e-12)


def test_xlogy_at_zero():
    x, y = leaf(0.0, torch.float64), leaf(0.0, torch.float64)
    result = torch.xlogy(x, y)
    result.backward()
    assert result.item() == 0.0
    assert torch.xlogy(torch.tensor(0.0), torch.tensor(float("nan"))).isnan()
    assert slope_at(lambda t: torch.xlogy(t, torch.tensor(2.0).double()), 0.0) == math.log(2)


POWERS = [  # exponent, and the slope at zero
    (2, 0.0),
    (1, 1.0),
    (0, 0.0),
    (3.0, 0.0),
    (0.5, math.inf),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [2, 3, -1, -2, 0.5, -0.5, 4, 7, -3, -6, 0, 1, 2.5])
def test_power_of_a_number(exponent, dtype):
    kind = np.float32 if dtype is torch.float32 else np.float64
    points = np.linspace(-3.1, 2.9, 600).astype(kind)
    for x in (torch.from_numpy(points), torch.from_numpy(points).flip(0)[::3]):
        for point, value in zip(x.tolist(), (x**exponent).tolist(), strict=True):
            if point < 0 and exponent != int(exponent):
                assert math.isnan(value)
            else:
                assert units(value, mp.power(mp.mpf(point), exponent), kind) <= 2, point
    ends = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan], dtype=dtype)
    if exponent not in (0.5, -0.5):  # a root, as in PyTorch: -0 for -0 and NaN for -inf
        with np.errstate(all="ignore"):
            expected = np.power(ends.numpy(), kind(exponent))
        np.testing.assert_array_equal((ends**exponent).numpy(), expected)


@pullback_only("PyTorch reflects in single precision")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_digamma_on_both_sides_of_zero(dtype):
    kind = np.float32 if dtype is torch.float32 else np.float64
    points = np.array([-20.3, -3.5, -1.6, -0.7, -0.51, -0.4, -1e-3, 1e-3, 0.4, 1.3, 1.47, 30.0], kind)
    for point, value in zip(points, torch.digamma(torch.from_numpy(points)).tolist(), strict=True):
        assert units(value, mp.digamma(mp.mpf(float(point))), kind) <= 16, point


@pytest.mark.parametrize(("exponent", "slope"), POWERS)
def test_power_at_zero(exponent, slope):
    assert slope_at(lambda x: x**exponent, 0.0) == slope
    in_tensor = torch.tensor(float(exponent), dtype=torch.float64)
    assert slope_at(lambda x: x**in_tensor, 0.0) == slope


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_slope_in_the_exponent_of_zero(exponent):
    zero = torch.tensor(0.0, dtype=torch.float64)
    assert slope_at(lambda n: zero**n, exponent) == 0.0
    assert slope_at(lambda n: 0.0**n, exponent) == 0.0


@pullback_only("zero times an infinite slope in the branch not taken is zero")
@pytest.mark.parametrize("name", ["log", "sqrt", "rsqrt", "reciprocal"])
def test_branch_not_taken(name):
    x = leaf([0.0, 4.0], torch.float64)
    torch.where(x > 0, getattr(torch, name)(x), 0.0).sum().backward()
    assert x.grad[0].item() == 0.0
    assert x.grad[1].item() == slope_at(getattr(torch, name), 4.0)


# ------------------------------------------------------------------------------- sums
@pytest.mark.parametrize("layout", ["flat", "rows", "columns", "transposed"])
def test_sum_of_many_float32(layout):
    data = np.random.default_rng(0).random(1_200_000).astype(np.float32)
    shape, dim = {
        "flat": ((-1,), 0),
        "rows": ((4, -1), 1),
        "columns": ((-1, 4), 0),
        "transposed": ((-1, 4), 1),
    }[layout]
    data = data.reshape(shape)
    exact = data.astype(np.float64).sum(dim)
    x = torch.from_numpy(data)
    tensor = x.t().contiguous().t() if layout == "transposed" else x
    np.testing.assert_allclose(tensor.sum(dim).numpy(), exact, rtol=2e-6)
    np.testing.assert_allclose(tensor.mean(dim).numpy(), exact / data.shape[dim], rtol=2e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sum_of_half_precision_does_not_stall(dtype):
    ones = torch.ones(4096, dtype=getattr(torch, dtype))
    assert ones.sum().item() == 4096.0
    assert ones.mean().item() == 1.0
    assert ones.expand(8, 4096).sum(0).sum().item() == 32768.0


def test_cumsum_of_many_float32():
    data = np.full(1 << 18, 0.1, np.float32)
    exact = np.cumsum(data.astype(np.float64))
    np.testing.assert_allclose(torch.from_numpy(data).cumsum(0).numpy(), exact, rtol=2e-4)


@pytest.mark.parametrize(("dtype", "offset", "rtol"), [("float64", 1e8, 1e-7), ("float32", 1e3, 1e-4)])
def test_variance_of_large_numbers(dtype, offset, rtol):
    data = np.random.default_rng(0).standard_normal((3, 1000)) + offset
    data = data.astype(dtype)
    exact = np.var(data.astype(np.longdouble), axis=1, ddof=1).astype(np.float64)
    x = torch.from_numpy(data)
    np.testing.assert_allclose(x.var(1).numpy(), exact, rtol=rtol)
    np.testing.assert_allclose(x.std(1).numpy(), np.sqrt(exact), rtol=rtol)


def test_std_of_equal_numbers():
    x = leaf([3.0, 3.0, 3.0], torch.float64)
    x.std().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


# ------------------------------------------------------------------------------- norms
def test_norm_at_zero():
    for p in (1, 2, 3, math.inf):
        x = leaf([0.0, 0.0], torch.float64)
        x.norm(p).backward()
        assert x.grad.tolist() == [0.0, 0.0], p


@pullback_only("the 2-norm neither overflows nor vanishes on the way")
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_norm_of_extreme_numbers(size):
    x = leaf([3 * size, -4 * size], torch.float64)
    y = x.norm()
    y.backward()
    assert y.item() == pytest.approx(5 * size, rel=1e-14)
    assert x.grad.tolist() == pytest.approx([0.6, -0.8], rel=1e-14)


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_hypot_of_extreme_numbers(size):
    x, y = leaf(3 * size, torch.float64), leaf(4 * size, torch.float64)
    result = torch.hypot(x, y)
    result.backward()
    assert result.item() == pytest.approx(5 * size, rel=1e-14)
    assert (x.grad.item(), y.grad.item()) == pytest.approx((0.6, 0.8), rel=1e-14)


# ------------------------------------------------------------------------------- exponentials
@pytest.mark.parametrize("offset", [0.0, 1000.0, -1000.0])
def test_logsumexp_far_from_zero(offset):
    x = leaf([offset, offset + 1.0, offset - 2.0], torch.float64)
    y = torch.logsumexp(x, 0)
    y.backward()
    weights = [mp.exp(n) for n in (0, 1, -2)]
    assert y.item() == pytest.approx(offset + float(mp.log(mp.fsum(weights))), rel=1e-14)
    shares = [float(w / mp.fsum(weights)) for w in weights]
    assert x.grad.tolist() == pytest.approx(shares, rel=1e-12)
    assert torch.softmax(x, 0).tolist() == pytest.approx(shares, rel=1e-12)


def test_logsumexp_of_infinities():
    x = leaf([[-math.inf, -math.inf], [math.inf, 0.0]], torch.float64)
    assert torch.logsumexp(x, 1).tolist() == [-math.inf, math.inf]


@pytest.mark.parametrize("point", [-700.0, -40.0, -1.0, 1e-12, 0.7, 15.0, 19.9, 20.5, 800.0])
def test_softplus(point):
    """log(1 + e**x) below the threshold of 20 and x above it, where that is the nearest but for 2e-9."""
    function = torch.nn.functional.softplus
    value = function(torch.tensor(point, dtype=torch.float64)).item()
    slope = slope_at(function, point)
    exact = mp.log1p(mp.exp(mp.mpf(point))) if point <= 20 else mp.mpf(point)
    assert units(value, exact) <= 4
    assert slope == pytest.approx(float(1 / (1 + mp.exp(-point))) if point <= 20 else 1.0, rel=1e-15)


def test_log_softmax_keeps_small_shares():
    x = torch.tensor([0.0, -800.0], dtype=torch.float64)
    assert torch.log_softmax(x, 0).tolist() == [0.0, -800.0]


def test_logaddexp_and_scan_far_from_zero():
    a, b = torch.tensor(-1000.0).double(), torch.tensor(-1001.0).double()
    exact = -1000 + float(mp.log1p(mp.exp(-1)))
    assert torch.logaddexp(a, b).item() == pytest.approx(exact, rel=1e-15)
    scan = torch.logcumsumexp(torch.stack([a, b]), 0)
    assert scan.tolist() == pytest.approx([-1000.0, exact], rel=1e-15)


# ------------------------------------------------------------------------------- steps
def test_linspace_meets_its_ends():
    for steps in (2, 3, 10, 101):
        line = torch.linspace(0.1, 0.7, steps, dtype=torch.float64)
        assert line[0].item() == 0.1
        assert line[-1].item() == 0.7
    assert torch.arange(0, 1, 0.1).numel() == 10
    assert torch.arange(5, 0, -0.5, dtype=torch.float64).tolist() == [5 - k / 2 for k in range(10)]


def test_division_rounds_as_python_does():
    pairs = [(7.0, 2.0), (-7.0, 2.0), (7.0, -2.0), (1.0, 0.1), (-1e-20, 3.0)]
    for a, b in pairs:
        x, y = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
        assert (x // y).item() == a // b
        assert (x % y).item() == a % b
        assert torch.fmod(x, y).item() == math.fmod(a, b)


def test_round_goes_to_even():
    halves = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5])
    assert halves.round().tolist() == [0.0, 2.0, 2.0, -0.0, -2.0]


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


# float32's own loops: against SciPy or NumPy in float64, over all magnitudes of the dtype; the units allowed
WHOLE_RANGE = {
    "exp": (np.exp, 0.9),
    "exp2": (np.exp2, 0.85),
    "expm1": (np.expm1, 0.95),
    "log": (np.log, 0.85),
    "log2": (np.log2, 1),
    "log10": (np.log10, 1),
    "log1p": (np.log1p, 1),
    "sin": (np.sin, 0.85),
    "cos": (np.cos, 0.85),
    "tan": (np.tan, 1.3),
    "asin": (np.arcsin, 0.7),
    "acos": (np.arccos, 0.8),
    "atan": (np.arctan, 1),
    "sinh": (np.sinh, 1),
    "cosh": (np.cosh, 1),
    "erf": ("erf", 0.75),
    "erfc": ("erfc", 1.7),
    "erfinv": ("erfinv", 1.35),
    "special.ndtr": ("ndtr", 1.95),
    "logit": ("logit", 0.75),
    "lgamma": ("gammaln", 0.75),
    "digamma": ("psi", 0.75),
    "sigmoid": (_sigmoid, 1.75),
    "nn.functional.silu": (lambda x: x * _sigmoid(x), 1.75),
    "nn.functional.mish": (lambda x: x * np.tanh(np.log1p(np.exp(x))), 1.1),
    "nn.functional.logsigmoid": (lambda x: -np.logaddexp(0, -x), 1.85),
    "nn.functional.softplus": (lambda x: np.where(x > 20, x, np.logaddexp(0, x)), 1.85),
}


@pullback_only("most of these are within a unit of the last place")
@pytest.mark.parametrize("name", WHOLE_RANGE)
def test_float32_over_its_whole_range(name):
    from scipy import special

    theirs, allowed = WHOLE_RANGE[name]
    exact = getattr(special, theirs) if isinstance(theirs, str) else theirs
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2**32, 20000, dtype=np.uint32).view(np.float32)
    near = rng.uniform(-12, 12, 20000).astype(np.float32)
    ends = np.array([0.0, -0.0, 1, -1, 2, 0.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45], np.float32)
    x = np.concatenate([bits, near, near / 12, 1 - 10.0 ** -np.abs(near / 2), ends]).astype(np.float32)
    found = attrgetter(name)(torch)(torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        expected = exact(x.astype(np.float64))
        if name == "digamma":  # a pole has no value; zero has two by its sign
            expected = np.where((x < 0) & (x == np.trunc(x)), np.nan, expected)
            expected = np.where(x == 0, np.copysign(np.inf, -x), expected)
        if name == "lgamma":
            expected = np.where(x == -np.inf, np.inf, expected)
        rounded = expected.astype(np.float32)
        special_value = ~np.isfinite(rounded)
        assert np.array_equal(found[special_value], rounded[special_value], equal_nan=True)
        distance = np.abs(found[~special_value] - expected[~special_value])
        assert (distance / np.spacing(np.abs(rounded[~special_value]))).max() < allowed


@pullback_only("a few units of the last place where the exponent is rounded")
def test_gelu_by_tanh_in_its_tails():
    """Its exponent goes to 60 and more, where the last place of float32 is a tenth of a percent of it."""
    x = np.random.default_rng(5).uniform(-12, 12, 20000).astype(np.float32)
    found = torch.nn.functional.gelu(torch.from_numpy(x), approximate="tanh").numpy()
    z = x.astype(np.float64)
    expected = z * _sigmoid(math.sqrt(8 / math.pi) * (z + 0.044715 * z**3))
    assert (np.abs(found - expected) / np.spacing(np.abs(expected.astype(np.float32)))).max() < 1.1


@pullback_only("PyTorch's sum is rounded to float32 at each step")
def test_zeta_in_float32():
    """The sum of Euler and Maclaurin against SciPy's, and what is beyond it."""
    from scipy import special

    rng = np.random.default_rng(5)
    s = np.append(1 + 10.0 ** rng.uniform(-4, 4, 4000), [1.0, 2, 2, 3, 0.5, np.inf, 2, 1e4]).astype(
        np.float32
    )
    q = np.append(10.0 ** rng.uniform(-4, 8, 4000), [2.0, 0, -1.5, -2, 1, 2, np.inf, 3]).astype(np.float32)
    found = torch.special.zeta(torch.from_numpy(s), torch.from_numpy(q)).numpy()
    expected = special.zeta(s.astype(np.float64), q.astype(np.float64))
    with np.errstate(over="ignore"):
        assert np.allclose(found, expected.astype(np.float32), rtol=2e-7, atol=1e-44, equal_nan=True)
    assert torch.special.zeta(torch.tensor(1e30), torch.tensor(3.0)).item() == 0  # SciPy's is NaN


# float32's functions by tables of polynomials: SciPy's name, or a function; the numbers between which they
# are held to it
TABLES = {
    "i0": ("i0", -90, 90),
    "special.i1": ("i1", -90, 90),
    "special.i0e": ("i0e", -1e4, 1e4),
    "special.i1e": ("i1e", -1e4, 1e4),
    "special.bessel_j0": ("j0", -50, 50),
    "special.bessel_j1": ("j1", -50, 50),
    "special.bessel_y0": ("y0", 0, 50),
    "special.bessel_y1": ("y1", 0, 50),
    "special.modified_bessel_k0": ("k0", 0, 80),
    "special.modified_bessel_k1": ("k1", 0, 80),
    "special.scaled_modified_bessel_k0": ("k0e", 0, 1e4),
    "special.scaled_modified_bessel_k1": ("k1e", 0, 1e4),
    "special.spherical_bessel_j0": (lambda x: np.sinc(x / np.pi), -50, 50),
    "special.airy_ai": (lambda x: _special().airy(x)[0], -20, 20),
    "special.erfcx": ("erfcx", -9, 1e4),
    "special.ndtri": ("ndtri", 0, 1),
    "digamma": ("psi", 0, 1e4),
}
OSCILLATE = {"j0", "j1", "y0", "y1"}


def _special():
    from scipy import special

    return special


def spread_between(low, high):
    """Numbers of all magnitudes between two, and the two."""
    rng = np.random.default_rng(6)
    even = rng.uniform(low, high, 20000)
    small = np.exp(rng.uniform(-60, 0, 20000)) * rng.choice([low, high], 20000)
    x = np.concatenate([even, small, rng.uniform(max(low, -3), min(high, 3), 20000), [low, high]])
    return x.astype(np.float32)


@pullback_only("these are within a unit of the last place")
@pytest.mark.parametrize("name", TABLES)
def test_float32_by_tables(name):
    theirs, low, high = TABLES[name]
    x = spread_between(low, high)
    function = getattr(torch.special, name.removeprefix("special."), None) or getattr(torch, name)
    found = function(torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        exact = theirs if callable(theirs) else getattr(_special(), theirs)
        expected = exact(x.astype(np.float64))
        rounded = expected.astype(np.float32)
    usual = np.isfinite(rounded) & (np.abs(rounded) > 1e-37)
    assert np.array_equal(
        found[~usual & ~np.isfinite(rounded)], rounded[~np.isfinite(rounded)], equal_nan=True
    )
    size = np.abs(rounded[usual])
    if callable(theirs) or theirs in OSCILLATE:  # next to a zero the argument's own rounding counts
        size = np.maximum(size, 1e-2 / np.sqrt(1 + np.abs(x[usual])))
    assert (np.abs(found[usual] - expected[usual]) / np.spacing(size)).max() < 0.75


@pytest.mark.parametrize("order", [1, 2, 3])
def test_polygamma(order):
    x = spread_between(0, 100)
    x = x[x > 1e-8]
    found = torch.polygamma(order, torch.from_numpy(x)).numpy()
    with np.errstate(all="ignore"):
        expected = _special().polygamma(order, x.astype(np.float64))
    usual = expected < 3e38
    np.testing.assert_allclose(found[usual], expected[usual], rtol=3e-6)


def test_float64_at_the_poles_of_gamma():
    x = torch.tensor([-1.0, 0.0, -0.0, 0.5, float("-inf"), 3.0], dtype=torch.float64)
    inf, nan = math.inf, math.nan
    digamma = [nan, -inf, inf, -1.9635100260214235, nan, 0.9227843350984671]
    np.testing.assert_allclose(torch.digamma(x).numpy(), digamma, rtol=1e-14)
    lgamma = [inf, inf, inf, 0.5723649429247001, inf, 0.6931471805599453]
    np.testing.assert_allclose(torch.lgamma(x).numpy(), lgamma, rtol=1e-14)
