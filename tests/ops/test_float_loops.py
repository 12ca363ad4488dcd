"""The loops of functions of float: how exact they are, at what ends they are what, and that an element's
result is that of the element alone.

Numbers are held to mpmath's, in units of the last place.
"""

import math

import mpmath
import numpy as np
import pytest
from library import leaf, pullback_only, torch

mp = mpmath.mp.clone()
mp.dps = 30
F = torch.nn.functional
INF, NAN = math.inf, math.nan


def logistic(x):
    return 1 / (1 + mp.exp(-x))


def below(x):
    """The probability of a normal number below x."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


# name: function, mpmath's, from where to where, the units allowed
FUNCTIONS = {
    "exp": (torch.exp, mp.exp, -103, 88.7, 1),
    "log": (torch.log, mp.log, 1e-45, 3e38, 1),
    "sin": (torch.sin, mp.sin, -3e38, 3e38, 1),
    "cos": (torch.cos, mp.cos, -3e38, 3e38, 1),
    "tan": (torch.tan, mp.tan, -3e38, 3e38, 1.5),
    "sigmoid": (torch.sigmoid, logistic, -103, 30, 2),
    "silu": (F.silu, lambda x: x * logistic(x), -87, 30, 3.5),
    "erf": (torch.erf, mp.erf, -4.2, 4.2, 0.75),
    "erfc": (torch.erfc, mp.erfc, -4.2, 10, 2),
    "erfinv": (torch.erfinv, mp.erfinv, -0.99999994, 0.99999994, 1.5),
    "logit": (torch.logit, lambda x: mp.log(x) - mp.log1p(-x), 1e-45, 0.99999994, 0.75),
    "ndtr": (torch.special.ndtr, below, -14, 6, 2),
    "gelu": (F.gelu, lambda x: x * below(x), -14, 6, 2),
    "xlogy": (lambda x: torch.xlogy(torch.full_like(x, 0.7), x),
              lambda x: mp.mpf(float(np.float32(0.7))) * mp.log(x), 1e-45, 3e38, 2.5),
}  # fmt: skip


def spread(low, high, count):
    """Floats between two numbers: evenly, near zero, of all magnitudes, and the two."""
    rng = np.random.default_rng(3)
    some = [
        rng.uniform(max(low, -1e4), min(high, 1e4), count),
        rng.uniform(max(low, -4), min(high, 4), count),
    ]
    sizes = np.exp(rng.uniform(-103, math.log(max(-low, high)), count))
    x = np.concatenate([*some, sizes * rng.choice([-1, 1], count), [low, high]]).astype(np.float32)
    return x[(x >= low) & (x <= high)]


def units(found, exact):
    """How far floats are from the exact numbers, in units of the last place."""
    spacing = np.spacing(np.abs(np.array([float(y) for y in exact])).astype(np.float32))
    return np.array([float(abs(mp.mpf(float(y)) - e)) for y, e in zip(found, exact, strict=True)]) / spacing


@pullback_only("PyTorch's differ by processor")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_units(name):
    function, exact, low, high, allowed = FUNCTIONS[name]
    from pullback.kernels import curves

    if getattr(curves, name, None) is getattr(np, name, allowed):  # where ours would be slow
        allowed = 4
    x = spread(low, high, 400)
    found = function(torch.from_numpy(x)).numpy()
    off = units(found, [exact(mp.mpf(float(v))) for v in x])
    assert off.max() <= allowed, x[off.argmax()]


AT = [0.0, -0.0, INF, -INF, NAN]
ENDS = {
    "exp": [1.0, 1.0, INF, 0.0, NAN],
    "log": [-INF, -INF, INF, NAN, NAN],
    "sin": [0.0, -0.0, NAN, NAN, NAN],
    "cos": [1.0, 1.0, NAN, NAN, NAN],
    "tan": [0.0, -0.0, NAN, NAN, NAN],
    "sigmoid": [0.5, 0.5, 1.0, 0.0, NAN],
    "erf": [0.0, -0.0, 1.0, -1.0, NAN],
    "erfc": [1.0, 1.0, 0.0, 2.0, NAN],
    "erfinv": [0.0, -0.0, NAN, NAN, NAN],
    "logit": [-INF, -INF, NAN, NAN, NAN],
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends(name, dtype):
    found = getattr(torch, name)(torch.tensor(AT * 9, dtype=dtype)).tolist()
    assert repr(found) == repr(ENDS[name] * 9)


def test_domains():
    assert torch.log(torch.tensor([-1.0, -1e-45, 1.0])).tolist()[2] == 0.0
    assert torch.log(torch.tensor([-1.0, -1e-45])).isnan().all()
    assert torch.erfinv(torch.tensor([1.0, -1.0])).tolist() == [INF, -INF]
    assert torch.erfinv(torch.tensor([1.1, -2.0])).isnan().all()
    assert torch.logit(torch.tensor([1.0])).tolist() == [INF]
    assert torch.logit(torch.tensor([-0.1, 1.1])).isnan().all()
    assert torch.exp(torch.tensor([89.0, -104.5, 1000.0, -1000.0])).tolist() == [INF, 0.0, INF, 0.0]
    assert torch.exp(torch.tensor([-100.0])).item() == pytest.approx(3.7835e-44, rel=0.02)


MORE = {
    "softplus": F.softplus,
    "mish": F.mish,
    "elu": F.elu,
    "logsigmoid": F.logsigmoid,
    "i0e": torch.special.i0e,
    "bessel_j0": torch.special.bessel_j0,
    "ndtri": torch.special.ndtri,
    "lgamma": torch.lgamma,
    "clamp_min": lambda x: torch.clamp_min(x, 0.5),
    "clamp_max": lambda x: torch.clamp_max(x, torch.full_like(x, 0.5)),
}


@pullback_only("PyTorch's last elements may differ from its first")
@pytest.mark.parametrize("name", [*FUNCTIONS, *MORE])
def test_each_element_alone(name):
    """Neither length, place, stride nor what lies beside an element changes its bits."""
    function = MORE.get(name) or FUNCTIONS[name][0]
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.uniform(0, 1, 700), rng.standard_normal(700) * 3]).astype(np.float32)
    x[[5, 600, 1200]] = 1e30, -1e30, 1e-42
    whole = function(torch.from_numpy(x)).numpy()

    def same(found, key):
        np.testing.assert_array_equal(found.numpy().view(np.int32), whole[key].view(np.int32))

    bits = torch.from_numpy(x)
    for start, stop in [(0, 1), (1, 4), (3, 20), (7, 40), (9, 530), (512, 1400), (1399, 1400)]:
        same(function(bits[start:stop]), slice(start, stop))
        same(function(bits[start:stop].clone()), slice(start, stop))
    same(function(bits[::3]), slice(None, None, 3))
    same(function(bits.flip(0)), slice(None, None, -1))
    same(function(bits.reshape(35, 40).t()).t().reshape(-1), slice(None))


SLOPES = {
    "erf": (torch.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "gelu": (F.gelu, lambda x: below(x) + x * mp.npdf(x)),
    "tan": (torch.tan, lambda x: mp.sec(x) ** 2),
    "i0e": (torch.special.i0e, lambda x: mp.diff(lambda v: mp.exp(-abs(v)) * mp.besseli(0, v), x)),
    "i1e": (torch.special.i1e, lambda x: mp.diff(lambda v: mp.exp(-abs(v)) * mp.besseli(1, v), x)),
    "xlogy": (lambda x: torch.xlogy(x, 0.7), lambda x: mp.log(mp.mpf(0.7))),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name):
    function, exact = SLOPES[name]
    points = [-2000.0, -30.5, -3.0, -0.6, -1e-3, 1e-3, 0.4, 1.4, 25.0, 900.0, 3000.0]
    if name == "tan":
        points = [x for x in points if abs(x) < 30]
    x = leaf(points, torch.float32)
    function(x).sum().backward()
    for point, slope in zip(x.tolist(), x.grad.tolist(), strict=True):
        expected = float(exact(mp.mpf(point)))
        assert slope == pytest.approx(expected, rel=3e-5, abs=1e-7), point


@pullback_only("PyTorch's slope at zero is that from the right")
def test_slope_of_i0e_at_zero():
    x = leaf([0.0, -0.0], torch.float32)
    torch.special.i0e(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


# ------------------------------------------------------------------------------- casts
KINDS = [
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("given", [k for k in KINDS if not k.startswith("complex")])
def test_casts_between_all_types(given, step):
    values = np.array([0, 1, 2, 100, 3, 64, 5, 17] * 75)[: 599 * step].astype(given)
    x = torch.from_numpy(np.repeat(values, step))[::step]
    for kind in KINDS:
        found = x.to(getattr(torch, kind))
        assert found.dtype is getattr(torch, kind)
        np.testing.assert_array_equal(found.numpy(), values.astype(kind))
    np.testing.assert_array_equal(x.to(torch.bool).numpy(), values != 0)
    np.testing.assert_array_equal(x.to(torch.bfloat16).float().numpy(), values.astype(np.float32))


@pytest.mark.parametrize("given", KINDS)
def test_casts_of_one_number(given):
    one = torch.tensor(3).to(getattr(torch, given))
    for kind in ("float64", "complex128", "int16"):
        if not (given.startswith("complex") and kind != "complex128"):
            assert one.to(getattr(torch, kind)).item() == 3
            assert one.expand(40).to(getattr(torch, kind)).tolist() == [3] * 40


def test_floats_as_halves():
    """Rounded to even, to infinity and to denormals as NumPy does it, at the ends and between."""
    halves = np.arange(0x7C01, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[:-1].astype(np.float64) + halves[1:]) / 2
    between[-1] = 65520
    near = np.concatenate(
        [np.nextafter(between, 0, dtype=np.float32), np.nextafter(between, 1e9, dtype=np.float32)]
    )
    x = np.concatenate([halves, between, near, [65519.9, 65536, 1e9, INF, 1e-8, 1e-45]]).astype(np.float32)
    for signed in (x, -x):
        with np.errstate(over="ignore"):
            expected = signed.astype(np.float16)
        for start in (0, 1):  # with a tail of its own
            found = torch.from_numpy(signed[start:]).half().numpy()
            np.testing.assert_array_equal(found.view(np.uint16), expected[start:].view(np.uint16))
    assert torch.tensor([NAN] * 9).half().isnan().all()


# ------------------------------------------------------------------------------- rows
@pytest.mark.parametrize("shape", [(3, 5), (128, 128), (129, 100), (1000, 17), (7, 256), (2000, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.float16])
def test_a_row_added_to_rows(shape, dtype):
    x = (torch.arange(shape[0] * shape[1]).reshape(shape) % 97).to(dtype)
    row = (torch.arange(shape[1]) % 13).to(dtype)
    expected = x.numpy() + row.numpy()
    np.testing.assert_array_equal((x + row).numpy(), expected)
    np.testing.assert_array_equal((row + x).numpy(), expected)
    np.testing.assert_array_equal((x == row).numpy(), x.numpy() == row.numpy())
    np.testing.assert_array_equal((x.t() + row[:, None]).t().numpy(), expected)


@pytest.mark.parametrize("shape", [(1, 3), (16, 128), (17, 40), (50, 1025), (3, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softmax_of_rows(shape, dtype):
    x = torch.from_numpy(np.random.default_rng(5).standard_normal(shape) * 10).to(dtype)
    wide = x.double().numpy()
    exact = np.exp(wide - wide.max(1, keepdims=True, initial=-1e9))
    exact /= exact.sum(1, keepdims=True)
    rtol = 1e-5 if dtype is torch.float32 else 1e-13
    np.testing.assert_allclose(torch.softmax(x, 1).numpy(), exact, rtol=rtol, atol=1e-36)
    np.testing.assert_allclose(torch.log_softmax(x, 1).numpy(), np.log(exact), rtol=rtol, atol=rtol)


def test_softmax_of_infinities():
    x = torch.tensor([[-INF, 0.0, -INF], [-INF, -INF, -INF], [INF, 0.0, 1.0]])
    assert torch.softmax(x, 1)[0].tolist() == [0.0, 1.0, 0.0]
    assert torch.softmax(x, 1)[1:].isnan().tolist() == [[True] * 3, [True, True, True]]
