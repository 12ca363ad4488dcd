"""The slopes of elementwise functions over the whole range of a dtype, against mpmath.

A slope may not vanish, overflow or lose its digits before the numbers do. What PyTorch's rules lose by
the result that they save alone is lost here as well: `KEPT` says from where on.
"""

import numpy as np
import pytest
from library import ON_TORCH, torch

mp = pytest.importorskip("mpmath")
pytestmark = [
    pytest.mark.skipif(ON_TORCH, reason="PyTorch's vanish or are NaN sooner"),
    pytest.mark.filterwarnings("ignore"),
]

F, special = torch.nn.functional, torch.special
ROOT, PI = mp.sqrt(2), mp.pi


def logistic(x):
    return 1 / (1 + mp.exp(-x))


def soft(x):
    """log(1 + exp(x))"""
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def wave(x):
    return mp.sin(PI * x) / (PI * x) if x else mp.mpf(1)


def normal_below(x):
    return mp.erfc(-x / ROOT) / 2


def scaled_slope(n, x):
    """That of e**x K_n(x)."""
    return mp.exp(x) * (mp.besselk(n, x) - (mp.besselk(abs(n - 1), x) + mp.besselk(n + 1, x)) / 2)


def many(function):
    """A function of rows as one of numbers beside zeros."""
    return lambda x: function(torch.stack([x, torch.zeros_like(x)]))


def with_ones(function):
    return lambda x: function(x, torch.ones_like(x))


def with_zeros(function):
    return lambda x: function(x, torch.zeros_like(x))


def entropy(targets):
    return targets(lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"))


def known(slope):
    """A reference whose slope is known, where a difference would take long."""
    slope.known = True
    return slope


# The name, the function, that of mpmath, and from where to where it is asked.
ROWS = {
    "exp": (torch.exp, mp.exp, -700, 700),
    "exp2": (torch.exp2, lambda x: mp.mpf(2) ** x, -1000, 1000),
    "expm1": (torch.expm1, mp.expm1, -3, 700),
    "log": (torch.log, mp.log, 0, 1e300),
    "log2": (torch.log2, lambda x: mp.log(x, 2), 0, 1e300),
    "log10": (torch.log10, mp.log10, 0, 1e300),
    "log1p": (torch.log1p, mp.log1p, -1, 1e300),
    "sqrt": (torch.sqrt, mp.sqrt, 0, 1e300),
    "rsqrt": (torch.rsqrt, lambda x: 1 / mp.sqrt(x), 0, 1e300),
    "reciprocal": (torch.reciprocal, lambda x: 1 / x, -1e300, 1e300),
    "square": (torch.square, lambda x: x * x, -1e300, 1e300),
    "cube": (lambda x: x**3, lambda x: x**3, -1e100, 1e100),
    "sigmoid": (torch.sigmoid, logistic, -700, 5),
    "tanh": (torch.tanh, mp.tanh, -2, 2),
    "sin": (torch.sin, mp.sin, -100, 100),
    "cos": (torch.cos, mp.cos, -100, 100),
    "tan": (torch.tan, mp.tan, -1.5, 1.5),
    "sinh": (torch.sinh, mp.sinh, -700, 700),
    "cosh": (torch.cosh, mp.cosh, -700, 700),
    "asinh": (torch.asinh, mp.asinh, -1e300, 1e300),
    "acosh": (torch.acosh, mp.acosh, 1, 1e300),
    "atan": (torch.atan, mp.atan, -1e150, 1e150),
    "asin": (torch.asin, mp.asin, -1, 1),
    "acos": (torch.acos, mp.acos, -1, 1),
    "atanh": (torch.atanh, mp.atanh, -1, 1),
    "logit": (torch.logit, lambda x: mp.log(x) - mp.log1p(-x), 0, 1),
    "erf": (torch.erf, mp.erf, -10, 10),
    "erfc": (torch.erfc, mp.erfc, -10, 10),
    "erfcx": (special.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), -8, 10),
    "ndtr": (special.ndtr, normal_below, -14, 14),
    "log_ndtr": (special.log_ndtr, lambda x: mp.log(normal_below(x)), -1e3, 14),
    "lgamma": (torch.lgamma, known(lambda x: mp.digamma(x)), 0, 1e10),
    "sinc": (torch.sinc, wave, -100, 100),
    "logsigmoid": (F.logsigmoid, lambda x: -soft(-x), -1e300, 700),
    "softplus": (F.softplus, soft, -700, 15),
    "softsign": (F.softsign, lambda x: x / (1 + abs(x)), -1e150, 1e150),
    "tanhshrink": (F.tanhshrink, lambda x: x - mp.tanh(x), -1e300, 1e300),
    "silu": (F.silu, lambda x: x * logistic(x), -700, -2),
    "silu, above": (F.silu, lambda x: x * logistic(x), -1, 1e300),
    "elu": (F.elu, known(lambda x: mp.mpf(1) if x > 0 else mp.exp(x)), -700, 1e300),
    "gelu": (F.gelu, lambda x: x * normal_below(x), -1, 1e300),
    "i0": (torch.i0, known(lambda x: mp.besseli(1, x)), -700, 700),
    "i1": (special.i1, known(lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2), -700, 700),
    "i0e": (special.i0e, lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), -1e100, 1e100),
    "i1e": (special.i1e, lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), 2, 1e100),
    "k0": (special.modified_bessel_k0, known(lambda x: -mp.besselk(1, x)), 0, 600),
    "k1": (special.modified_bessel_k1, known(lambda x: -(mp.besselk(0, x) + mp.besselk(2, x)) / 2), 0, 600),
    "k0e": (special.scaled_modified_bessel_k0, known(lambda x: scaled_slope(0, x)), 0, 1e10),
    "k1e": (special.scaled_modified_bessel_k1, known(lambda x: scaled_slope(1, x)), 0, 1e10),
    "hypot": (with_ones(torch.hypot), lambda x: mp.hypot(x, 1), -1e300, 1e300),
    "atan2": (with_ones(torch.atan2), mp.atan, -1e150, 1e150),
    "logaddexp": (with_zeros(torch.logaddexp), soft, -700, 1e300),
    "logsumexp": (many(lambda x: torch.logsumexp(x, 0)), soft, -700, 1e300),
    "entropy of ones": (entropy(with_ones), lambda x: soft(-x), -1e300, 700),
    "entropy of zeros": (entropy(with_zeros), soft, -700, 1e300),
    "soft_margin": (
        with_ones(lambda x, y: F.soft_margin_loss(x, y, reduction="none")), lambda x: soft(-x), -1e300, 700,
    ),
}  # fmt: skip

KEPT = {"expm1": "below", "sigmoid": "above", "tanh": "beyond"}


def points(low, high, kind):
    """Numbers of all sizes in a range, close to its finite ends, too."""
    sizes = [
        m * 10.0**k
        for k in (-300, -160, -100, -60, *range(-20, 12, 3), 20, 60, 100, 149, 200, 299)
        for m in (1, 2.7)
    ]
    found = [
        s * sign
        for s in (*sizes, 0.3, 0.5, 3.0, 5.0, 15.0, 25.0, 40.0, 88.0, 300.0, 690.0)
        for sign in (1, -1)
    ]
    found += [
        end + s * sign
        for end in (low, high)
        if abs(end) == 1
        for s in sizes
        if 1e-15 < s < 1
        for sign in (1, -1)
    ]
    x = np.array(found).astype(kind)
    return np.unique(x[(x > low) & (x < high) & (np.abs(x) > np.finfo(kind).tiny)])


def slope(function, x):
    """The derivative by a difference, of as many digits as it takes."""
    x = mp.mpf(float(x))
    if hasattr(function, "known"):
        with mp.workdps(60):
            return function(x)
    size = max(abs(mp.log10(abs(x))), 1)
    with mp.workdps(int(min(4 * size + 120, 1500))):
        h = abs(x) * mp.mpf(10) ** -40
        return mp.re(function(x + h) - function(x - h)) / (2 * h)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_slopes_over_the_whole_range(name, dtype):
    function, reference, low, high = ROWS[name]
    limits = np.finfo("float64" if dtype is torch.float64 else "float32")
    x = points(low, high, limits.dtype)
    leaf = torch.from_numpy(x.copy()).requires_grad_()
    (found,) = torch.autograd.grad(function(leaf).sum(), leaf)
    wrong = []
    for at, got in zip(x, found.numpy(), strict=True):
        true = slope(reference, at)
        if abs(true) > float(limits.max) / 4:
            continue
        # a rounding of x, which the slope amplifies, and some of its own
        off = abs(mp.mpf(float(got)) - true)
        if not off <= 300 * float(limits.eps) * abs(true) + 4 * float(limits.tiny):
            wrong.append(f"{name}'({at}) = {got}, not {mp.nstr(true, 8)}")
    assert not wrong, "\n".join(wrong)


def derivatives(function, at, order):
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    y, found = function(x), []
    for _ in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
        found.append(y.item())
    return found


def test_higher_derivatives_where_terms_cancel():
    close = {"rtol": 1e-7, "atol": 1e-300}
    np.testing.assert_allclose(derivatives(torch.i0, 0.0, 4), [0, 0.5, 0, 0.375], **close)
    np.testing.assert_allclose(derivatives(special.i1, 1e-20, 3), [0.5, 3.75e-21, 0.375], **close)
    np.testing.assert_allclose(derivatives(torch.sinc, 1e-9, 2), [-3.2898681e-9, -3.2898681], rtol=1e-7)
    np.testing.assert_allclose(
        derivatives(special.i0e, 1e10, 2), [-1.99471140e-16, 2.99206710e-26], rtol=1e-7
    )
    f, x = special.scaled_modified_bessel_k1, mp.mpf(50)
    true = [mp.diff(lambda x: mp.besselk(1, x) * mp.exp(x), x, k) for k in (1, 2, 3)]
    np.testing.assert_allclose(derivatives(f, 50.0, 3), [float(t) for t in true], rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
def test_entropy_of_infinite_logits(dtype):
    inf = float("inf")
    for logit, target, value, grad in [(inf, 0, inf, 1), (inf, 1, 0, 0), (-inf, 0, 0, 0), (-inf, 1, inf, -1)]:
        x = torch.tensor([logit], dtype=dtype, requires_grad=True)
        y = F.binary_cross_entropy_with_logits(x, torch.tensor([target], dtype=dtype))
        y.backward()
        assert (y.item(), x.grad.item()) == (value, grad)


def test_logsumexp_of_large_numbers_has_the_slopes_of_the_softmax():
    x = torch.full((2, 3), 1e4, requires_grad=True)
    for dim in (0, 1, (0, 1)):
        (g,) = torch.autograd.grad(torch.logsumexp(x, dim).sum(), x)
        count = {0: 2, 1: 3}.get(dim, 6)
        np.testing.assert_allclose(g.numpy(), 1 / count, rtol=1e-6)
