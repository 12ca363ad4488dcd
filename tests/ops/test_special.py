"""Special functions near their edges, against mpmath, and the derivatives that PyTorch lacks."""

import math

import pytest
from library import check, pullback_only, torch

mpmath = pytest.importorskip("mpmath")

lacking = pullback_only("it has derivatives of every special function, in every real argument")


def derivatives(function, at, order):
    """The values of a function and its derivatives at a point, in double precision."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    y = function(x)
    found = [y.item()]
    for _ in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        found.append(y.item())
    return found


def exact(function, at, order):
    """The same by mpmath."""
    with mpmath.workdps(40):
        point = mpmath.mpf(at)
        return [float(mpmath.diff(function, point, k) if k else function(point)) for k in range(order + 1)]


SERIES = {
    "bessel_j0": lambda x: mpmath.besselj(0, x),
    "bessel_j1": lambda x: mpmath.besselj(1, x),
    "modified_bessel_i0": lambda x: mpmath.besseli(0, x),
    "modified_bessel_i1": lambda x: mpmath.besseli(1, x),
    "spherical_bessel_j0": lambda x: mpmath.sinc(x),
    "airy_ai": lambda x: mpmath.airyai(x),
}
POSITIVE = {
    "bessel_y0": lambda x: mpmath.bessely(0, x),
    "bessel_y1": lambda x: mpmath.bessely(1, x),
    "modified_bessel_k0": lambda x: mpmath.besselk(0, x),
    "modified_bessel_k1": lambda x: mpmath.besselk(1, x),
    "scaled_modified_bessel_k0": lambda x: mpmath.besselk(0, x) * mpmath.exp(x),
    "scaled_modified_bessel_k1": lambda x: mpmath.besselk(1, x) * mpmath.exp(x),
    "i0e": lambda x: mpmath.besseli(0, x) * mpmath.exp(-x),
    "i1e": lambda x: mpmath.besseli(1, x) * mpmath.exp(-x),
}


@lacking
@pytest.mark.parametrize("at", [0.0, 0.3, -2.0, 7.7])
@pytest.mark.parametrize("name", SERIES)
def test_three_derivatives_also_at_zero(name, at):
    found = derivatives(getattr(torch.special, name), at, 3)
    check(torch.tensor(found, dtype=torch.float64), exact(SERIES[name], at, 3), rtol=1e-10, atol=1e-14)


@lacking
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_airy_function_far_out(dtype):
    """Where SciPy's has no numbers: zero, and waves that become low; their slopes become high."""
    x = torch.tensor([1e4, 1e8, 1e30, -(2.0**17), -(2.0**20)], dtype=dtype, requires_grad=True)
    y = torch.special.airy_ai(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    for found, order in ((y, 0), (slope, 1)):
        with mpmath.workdps(40):
            wanted = [
                float(mpmath.airyai(float(at), derivative=order)) if at < 1e5 else 0.0 for at in x.tolist()
            ]
        check(found.double(), torch.tensor(wanted, dtype=torch.float64), rtol=1e-6, atol=1e-12)
    ends = torch.special.airy_ai(torch.tensor([math.inf, -math.inf, -1e300], dtype=dtype))
    assert ends.abs().max() < 1e-9
    assert torch.special.spherical_bessel_j0(torch.tensor([math.inf, -math.inf], dtype=dtype)).equal(
        ends[:2] * 0
    )


@pytest.mark.slow
@lacking
@pytest.mark.parametrize("at", [0.05, 0.3, 2.5])
@pytest.mark.parametrize("name", POSITIVE)
def test_two_derivatives_of_what_has_a_pole(name, at):
    found = derivatives(getattr(torch.special, name), at, 2)
    check(torch.tensor(found, dtype=torch.float64), exact(POSITIVE[name], at, 2), rtol=1e-9)


@lacking
@pytest.mark.parametrize("at", [-3.0, 0.0, 5.0, 60.0, 1e4])
def test_the_slope_of_erfcx_does_not_cancel(at):
    wanted = exact(lambda x: mpmath.exp(x * x) * mpmath.erfc(x), at, 1)
    check(torch.tensor(derivatives(torch.special.erfcx, at, 1), dtype=torch.float64), wanted, rtol=1e-11)


@pytest.mark.parametrize("at", [-30.0, -3.0, 0.0, 5.0])
def test_log_ndtr_far_below_zero(at):
    wanted = exact(lambda x: mpmath.log(mpmath.ncdf(x)), at, 1)
    check(torch.tensor(derivatives(torch.special.log_ndtr, at, 1), dtype=torch.float64), wanted, rtol=1e-11)


@lacking
@pytest.mark.parametrize(
    ("a", "x"), [(0.01, 0.5), (0.5, 3.0), (3.0, 1.0), (3.0, 20.0), (50.0, 80.0), (1000.0, 900.0)]
)
@pytest.mark.parametrize("side", ["gammainc", "gammaincc"])
def test_incomplete_gamma_in_its_first_argument(side, a, x):
    ends = (0, x) if side == "gammainc" else (x, mpmath.inf)
    wanted = exact(lambda t: mpmath.gammainc(t, *ends, regularized=True), a, 1)
    second = torch.tensor(x, dtype=torch.float64)
    found = derivatives(lambda t: getattr(torch.special, side)(t, second), a, 1)
    check(torch.tensor(found, dtype=torch.float64), wanted, rtol=1e-10)


@lacking
@pytest.mark.parametrize(("s", "q"), [(1.01, 1.0), (2.0, 1.0), (3.0, 5.0), (10.0, 0.3), (2.5, 100.0)])
def test_zeta_in_its_first_argument(s, q):
    wanted = [float(mpmath.zeta(s, q, k)) for k in range(3)]
    found = derivatives(lambda t: torch.special.zeta(t, q), s, 2)
    check(torch.tensor(found, dtype=torch.float64), wanted, rtol=1e-11)


ENDS = {
    "chebyshev_polynomial_t": lambda x, n: mpmath.chebyt(n, x),
    "chebyshev_polynomial_u": lambda x, n: mpmath.chebyu(n, x),
    "chebyshev_polynomial_v": lambda x, n: mpmath.chebyu(n, x) - mpmath.chebyu(n - 1, x),
    "chebyshev_polynomial_w": lambda x, n: mpmath.chebyu(n, x) + mpmath.chebyu(n - 1, x),
    "shifted_chebyshev_polynomial_t": lambda x, n: mpmath.chebyt(n, 2 * x - 1),
    "legendre_polynomial_p": lambda x, n: mpmath.legendre(n, x),
    "laguerre_polynomial_l": lambda x, n: mpmath.laguerre(n, 0, x),
    "hermite_polynomial_h": lambda x, n: mpmath.hermite(n, x),
}


@lacking
@pytest.mark.parametrize("at", [1.0, -1.0, 0.0, 0.3])
@pytest.mark.parametrize("name", ENDS)
def test_polynomials_have_derivatives_at_the_ends(name, at):
    function = getattr(torch.special, name)
    found = derivatives(lambda x: function(x, 5), at, 3)
    with mpmath.workdps(60):
        point = mpmath.mpf(at)
        wanted = [
            ENDS[name](point, 5),
            *(mpmath.diff(lambda x: ENDS[name](x, 5), point, k) for k in (1, 2, 3)),
        ]
    check(torch.tensor(found, dtype=torch.float64), [float(w) for w in wanted], rtol=1e-11, atol=1e-11)


def test_edges():
    inf, nan = math.inf, math.nan
    check(torch.special.entr(torch.tensor([0.0, -1.0, inf])), [0.0, -inf, -inf])
    check(torch.special.ndtri(torch.tensor([0.0, 1.0, 0.5])), [-inf, inf, 0.0])
    check(torch.special.xlog1py(torch.tensor([0.0, 0.0]), torch.tensor([-1.0, -2.0])), [0.0, 0.0])
    check(torch.special.hermite_polynomial_h(torch.tensor([2.0]), -1), [0.0])
    assert torch.special.bessel_y0(torch.tensor(0.0)) == -inf
    assert torch.special.ndtri(torch.tensor(nan)).isnan()


@lacking
def test_counts_have_a_gradient_in_the_weights():
    weights = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    sums = torch.bincount(torch.tensor([0, 2, 0]), weights)
    (sums * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    check(weights.grad, [1.0, 100.0, 1.0])
    found = torch.histogram(torch.tensor([0.5, 5.0, 1.5]), 2, range=(0.0, 2.0), weight=weights)
    (slope,) = torch.autograd.grad(found.hist[0], weights)
    check(slope, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, math.inf])
def test_no_gradient_at_distance_zero(p):
    x = torch.zeros(2, 3, requires_grad=True)
    torch.cdist(x, torch.zeros(2, 3), p=p).sum().backward()
    check(x.grad, torch.zeros(2, 3).tolist())


@lacking
@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("order", [0, 1, 4])
def test_the_fraction_of_an_order_does_not_count(name, order):
    function = getattr(torch.special, name)
    whole = derivatives(lambda x: function(x, float(order)), 0.3, 2)
    found = derivatives(lambda x: function(x, order + 0.75), 0.3, 2)
    assert found == whole


def test_log1p_of_large_and_of_nearly_minus_one_complex_numbers():
    """No square overflows or underflows on the way."""
    for dtype, large, small in ((torch.complex64, 3e38, 1e-30), (torch.complex128, 1e300, 1e-200)):
        for z in (complex(large, 1), complex(1, large), complex(-large, large), complex(-1, small)):
            found = torch.log1p(torch.tensor([z], dtype=dtype)).item()
            expected = torch.log(torch.tensor([z if abs(z) > 2 else 1j * small], dtype=dtype)).item()
            assert found == pytest.approx(expected, rel=1e-5)
    z = torch.tensor([1e-9 + 1e-9j])
    assert torch.log1p(z).item() == pytest.approx(1e-9 + 1e-9j, rel=1e-6)
