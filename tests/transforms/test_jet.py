"""Taylor mode against closed forms, against nested reverse mode, and its cost."""

import math
import time

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no Taylor mode")

DOUBLE = torch.float64
ORDER = 4


def nested(f, x, v):
    """The directional derivatives of f at x along v, by reverse mode in reverse mode."""
    t = torch.tensor(0.0, dtype=DOUBLE, requires_grad=True)
    rows = []
    for y in f(x + t * v).reshape(-1):
        row = []
        for _ in range(ORDER):
            if y.requires_grad:
                (y,) = torch.autograd.grad(y, t, create_graph=True, materialize_grads=True)
            else:
                y = torch.zeros(())
            row.append(y.item())
        rows.append(row)
    return np.array(rows).T


def jets(f, x, v):
    value, terms = torch.func.jet(f, x, [v] + [None] * (ORDER - 1))
    np.testing.assert_allclose(value.numpy(), f(x).numpy(), rtol=1e-14)
    assert len(terms) == ORDER and all(t.shape == value.shape for t in terms)
    return np.stack([t.reshape(-1).numpy() for t in terms])


NAMES = """exp expm1 exp2 log log1p log2 log10 sigmoid tanh tan sin cos sinh cosh atan atanh asin acos asinh
erf erfc abs relu sqrt rsqrt reciprocal neg square lgamma digamma sinc erfinv logit i0"""


def written(x):
    y = x.clone()
    y[0] = x[1] * x[0]
    y += x
    y.t()[1].add_(x[0] ** 2)
    z = torch.zeros(2, 2, dtype=DOUBLE)
    z[1] = y[0].clone().sin()
    return z + y


FUNCTIONS = {name: getattr(torch, name) for name in NAMES.split()} | {
    "acosh": lambda x: torch.acosh(x + 1.5),
    "quotient": lambda x: x / (1 + x.sin()),
    "cube": lambda x: x**3,
    "cube at zero": lambda x: (x - x.detach()) ** 3 + x,
    "power 0": lambda x: x**0,
    "power 2.5": lambda x: x**2.5,
    "x to the x": lambda x: x**x,
    "2 to the x": lambda x: 2**x,
    "1 - x x": lambda x: 1 - x * x,
    "softmax": lambda x: torch.softmax(x, 1) * x,
    "logsumexp": lambda x: torch.logsumexp(x, 0),
    "matmul": lambda x: x @ x @ x,
    "addmm": lambda x: torch.addmm(x, x, x),
    "einsum": lambda x: torch.einsum("ij,jk->ik", x, x.sin()),
    "sum": lambda x: x.sum(0) * x,
    "prod": lambda x: x.prod(1),
    "cumsum": lambda x: x.cumsum(0) ** 2,
    "where": lambda x: torch.where(x > 0.4, x * x, x.exp()),
    "index": lambda x: x[[0, 1], [1, 0]] ** 2,
    "cat": lambda x: torch.cat([x, x * x]),
    "stack": lambda x: torch.stack([x, x.sin()]).sum(0),
    "norm": torch.linalg.vector_norm,
    "maximum": lambda x: torch.maximum(x * x, x / 3),
    "clamp": lambda x: (x * x).clamp(0.1, 0.3),
    "sort": lambda x: (x * x).sort(1)[0],
    "atan2": lambda x: torch.atan2(x, x + 1),
    "hypot": lambda x: torch.hypot(x, x.exp()),
    "logaddexp": lambda x: torch.logaddexp(x, x * x),
    "lerp": lambda x: torch.lerp(x, x * x, 0.3),
    "var": lambda x: x.var(),
    "amax": lambda x: x.amax(0) ** 2,
    "views": lambda x: x.t().reshape(-1)[1:] ** 2 + x.unbind()[1].sum(),
    "written in place": written,
    "layer_norm": lambda x: torch.tanh(torch.nn.functional.layer_norm(x, (2,))),
    "batch_norm": lambda x: torch.nn.functional.batch_norm(x, None, None, training=True) * x,
    "hardswish": lambda x: torch.nn.functional.hardswish(x - 3) * x,
    "norm of order 1": lambda x: x.norm(1) ** 2,
    "complex product": lambda x: (torch.complex(x, x * x) * torch.complex(x, x)).imag,
    "det": lambda x: torch.det(x) * x,
    "views of a triangle": lambda x: torch.linalg.solve_triangular(x.mT, x, upper=True),
    "pad with ones": lambda x: torch.nn.functional.pad(x, (1, 1), value=1.0) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_nested_reverse_mode(name):
    x = torch.tensor([[0.3, 0.6], [0.45, 0.2]], dtype=DOUBLE)
    v = torch.tensor([[1.0, -0.5], [0.7, 2.0]], dtype=DOUBLE)
    f = FUNCTIONS[name]
    expected = nested(f, x, v)
    np.testing.assert_allclose(jets(f, x, v), expected, rtol=1e-9, atol=1e-9 * (1 + abs(expected).max()))


def test_a_list_of_all_orders_even_where_the_rate_is_constant():
    x = torch.tensor([2.0, 3.0])
    for f in (
        lambda x: x.norm(1),
        lambda x: x.norm(float("inf")),
        lambda x: torch.linalg.cross(x[[0, 1, 0]], x[[1, 1, 1]]),
    ):
        value, terms = torch.func.jet(f, x, (torch.ones(2), None, None, None))
        assert len(terms) == 4 and all(term.shape == value.shape for term in terms)


def test_terms_are_derivatives_as_in_faa_di_bruno():
    torch.manual_seed(0)
    x, h1, h2, h3 = torch.randn(4, 5, dtype=DOUBLE)
    value, (f1, f2, f3) = torch.func.jet(torch.sin, x, (h1, h2, h3))
    s, c = x.sin(), x.cos()
    for found, expected in (
        (value, s),
        (f1, c * h1),
        (f2, c * h2 - s * h1**2),
        (f3, c * h3 - 3 * s * h1 * h2 - c * h1**3),
    ):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", [1, 5, 20])
def test_high_orders_in_closed_form(order):
    """exp(a x), 1 / (1 - x), log(1 + x), sin(x): all derivatives are known."""
    x = torch.tensor(0.25, dtype=DOUBLE)
    series = [torch.ones((), dtype=DOUBLE)] + [None] * (order - 1)
    closed = {
        "exp": (lambda x: (1.5 * x).exp(), lambda k: 1.5**k * math.exp(0.375)),
        "pole": (lambda x: 1 / (1 - x), lambda k: math.factorial(k) / 0.75 ** (k + 1)),
        "log": (torch.log1p, lambda k: (-1) ** (k - 1) * math.factorial(k - 1) / 1.25**k),
        "sine": (torch.sin, lambda k: math.sin(0.25 + k * math.pi / 2)),
    }
    for f, derivative in closed.values():
        _, terms = torch.func.jet(f, x, series)
        for k, term in enumerate(terms, 1):
            assert term.item() == pytest.approx(derivative(k), rel=1e-12, abs=1e-15)


def test_the_cost_grows_with_the_square_of_the_order():
    x = torch.tensor(0.3, dtype=DOUBLE)

    def took(order):
        series = [torch.ones((), dtype=DOUBLE)] + [None] * (order - 1)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            torch.func.jet(lambda x: torch.sin(torch.exp(x) * torch.tanh(x)), x, series)
            times.append(time.perf_counter() - start)
        return min(times)

    took(4)
    assert took(40) < 25 * took(10)


def test_several_arguments_and_results():
    x, y = torch.tensor(2.0), torch.tensor(3.0)
    one = torch.ones(())
    (p, s), (dp, ds) = torch.func.jet(lambda x, y: (x * y, x + y), (x, y), ((one, None), (None, one)))
    assert (p.item(), s.item()) == (6.0, 5.0)
    assert [t.item() for t in dp] == [3.0, 2.0]
    assert [t.item() for t in ds] == [1.0, 1.0]


def test_under_and_over_other_derivatives():
    x = torch.tensor([0.2, 0.7], dtype=DOUBLE)
    ones = torch.ones_like(x)
    a = torch.tensor(0.3, dtype=DOUBLE, requires_grad=True)
    _, (_, second) = torch.func.jet(lambda x: torch.sin(a * x), x, (ones, None))
    (slope,) = torch.autograd.grad(second.sum(), a)
    expected = (-2 * a * torch.sin(a * x) - a * a * x * torch.cos(a * x)).sum()
    assert slope.item() == pytest.approx(expected.item(), rel=1e-12)

    def slope_of_sine(x):
        return torch.func.grad(lambda x: torch.sin(x).sum())(x)

    _, (first, second) = torch.func.jet(slope_of_sine, x, (ones, None))
    np.testing.assert_allclose(first.numpy(), -x.sin().numpy(), rtol=1e-12)
    np.testing.assert_allclose(second.numpy(), -x.cos().numpy(), rtol=1e-12)
    rows = torch.func.vmap(
        lambda x: torch.func.jet(torch.sin, x, (torch.ones((), dtype=DOUBLE), None))[1][1]
    )(x)
    np.testing.assert_allclose(rows.numpy(), -x.sin().numpy(), rtol=1e-12)


def test_custom_functions():
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0] ** 2

    x = torch.tensor(2.0, dtype=DOUBLE)
    _, terms = torch.func.jet(lambda x: Cube.apply(x * x), x, (torch.ones_like(x), None, None))
    assert [t.item() for t in terms] == pytest.approx([6 * 32, 30 * 16, 120 * 8])


@pytest.mark.parametrize("name", ["acos", "acosh", "asin", "asinh", "atan", "atanh", "log", "sqrt"])
def test_complex_functions_in_all_quadrants_and_on_both_sides_of_their_cuts(name):
    """The first derivative is that of forward mode, the others those of differences of it."""
    sides = [complex(x, y) for x in (-2.5, -0.4, 0.4, 2.5) for y in (-0.0, 0.0, -0.7, 0.7)]
    sides += [complex(x, y) for x in (-0.0, 0.0) for y in (-2.5, -0.4, 0.4, 2.5)]
    z, f = torch.tensor(sides, dtype=torch.complex128), getattr(torch, name)
    one = torch.ones_like(z)
    _, (first, second) = torch.func.jet(f, z, (one, None))
    slope = torch.func.jvp(f, (z,), (one,))[1]
    torch.testing.assert_close(first, slope, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(
        second, torch.func.jvp(lambda z: torch.func.jvp(f, (z,), (one,))[1], (z,), (one,))[1]
    )
    step = 1e-6
    ahead, behind = f(z + step), f(z - step)
    inside = (z.imag != 0) & (z.real != 0)
    torch.testing.assert_close(first[inside], ((ahead - behind) / (2 * step))[inside], rtol=1e-8, atol=1e-9)


def test_acosh_on_its_cut():
    """-i times that of acos above, i times below."""
    z = torch.tensor([complex(x, y) for x in (-2.0, -0.5, 0.5) for y in (0.0, -0.0)], dtype=torch.complex128)
    _, (slope,) = torch.func.jet(torch.acosh, z, (torch.ones_like(z),))
    below = 0.75**-0.5 * 1j
    expected = [-(3**-0.5), -(3**-0.5), -below, below, -below, below]
    np.testing.assert_allclose(slope.resolve_conj().numpy(), expected, rtol=1e-14, atol=1e-14)


def test_what_is_refused():
    x = torch.ones(2)
    with pytest.raises(ValueError, match="one length"):
        torch.func.jet(lambda x, y: x, (x, x), ((x,), (x, x)))
    with pytest.raises(ValueError, match="2 primals, but 1 series"):
        torch.func.jet(lambda x, y: x, (x, x), ((x,),))
    with pytest.raises(ValueError, match=r"a term of shape \[3\]"):
        torch.func.jet(torch.sin, x, (torch.ones(3),))
    with pytest.raises(TypeError, match="tensors, not float"):
        torch.func.jet(torch.sin, (1.0,), ((x,),))
