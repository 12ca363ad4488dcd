"""The gradients of `solve_ivp` against finite differences: every method, way and argument."""

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no ODE solver")

pytest.importorskip("scipy.integrate")
DOUBLE = torch.float64
TIGHT = {"rtol": 1e-9, "atol": 1e-11}
WAYS = [
    (gradient, method)
    for gradient, methods in {
        "adjoint": ["RK45", "RK23", "DOP853", "Radau", "BDF", "LSODA"],
        "backsolve": ["RK45", "DOP853", "LSODA"],
        "discrete": ["RK45", "RK23", "DOP853"],
    }.items()
    for method in methods
]


def number(x, grad=True):
    return torch.tensor(x, dtype=DOUBLE, requires_grad=grad)


def swing(t, y, a):
    """A pendulum that is pushed."""
    return torch.stack([y[1], a[0] * torch.sin(t) - a[1] * y[0]])


def close(f, inputs, **options):
    return torch.autograd.gradcheck(f, inputs, eps=1e-5, atol=2e-5, rtol=1e-4, **options)


@pytest.mark.parametrize(("gradient", "method"), WAYS)
def test_every_argument(gradient, method):
    """The states at two times, the first at the start, with respect to all that they depend on."""
    options = {"rtol": 1e-6, "atol": 1e-8} if method in ("RK23", "BDF", "Radau") else TIGHT
    slack = number(0.3)

    def states(a, y0, start, times, push):
        pushed = push * 2

        def f(t, y, a):
            return swing(t, y, a) * pushed + slack * 0

        return torch.func.solve_ivp(
            f, (start, 2.0), y0, method, torch.cat([start[None], times]), (a,), gradient=gradient, **options
        ).y

    inputs = number([0.7, 1.3]), number([1.0, -0.5]), number(0.1), number([0.4]), number(0.9)
    assert close(states, inputs, check_forward_ad=method != "BDF")


@pytest.mark.parametrize("gradient", ["adjoint", "backsolve", "discrete"])
def test_spans_of_no_length(gradient):
    """The state is that of the start, and moves with both ends as the rate says."""
    y0, start, end = number([1.0, 2.0]), number(0.5), number(0.5)
    found = torch.func.solve_ivp(lambda t, y: t * y, (start, end), y0, gradient=gradient)
    assert found.y.tolist() == [[1.0, 2.0], [1.0, 2.0]]
    slopes = torch.autograd.grad(found.y[-1].sum(), (y0, start, end))
    np.testing.assert_allclose(slopes[0].numpy(), 1)
    assert [s.item() for s in slopes[1:]] == [-1.5, 1.5]
    none = torch.func.solve_ivp(lambda t, y: t * y, (0.0, 1.0), y0, t_eval=[], gradient=gradient)
    assert none.y.shape == (0, 2) and none.t.shape == (0,)


@pytest.mark.parametrize("gradient", ["adjoint", "backsolve", "discrete"])
def test_captured_tensors_are_found(gradient):
    """A leaf, what was made of it, and a module's parameters: each has its own share."""
    leaf = number(0.5)

    class Rate(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor([0.2], dtype=DOUBLE))

        def forward(self, t, y):
            return -(leaf + double + self.weight) * y

    double = leaf * 2
    module, y0 = Rate(), number([1.0])
    end = torch.func.solve_ivp(module, (0.0, 2.0), y0, gradient=gradient, **TIGHT).y[-1]
    end.sum().backward()
    expected = np.exp(-2 * 1.7)
    assert end.item() == pytest.approx(expected, rel=1e-7)
    assert y0.grad.item() == pytest.approx(expected, rel=1e-6)
    assert leaf.grad.item() == pytest.approx(-2 * 3 * expected, rel=1e-6)
    assert module.weight.grad.item() == pytest.approx(-2 * expected, rel=1e-6)


def test_captured_tensors_in_every_mode():
    """exp(-2 a), with `a` captured: all transforms see it."""

    def end(a):
        return torch.func.solve_ivp(lambda t, y: -a * y, (0.0, 2.0), torch.ones(1, dtype=DOUBLE), **TIGHT).y[
            -1, 0
        ]

    a = torch.tensor(0.5, dtype=DOUBLE)
    slope = -2 * np.exp(-1.0)
    func = torch.func
    assert func.grad(end)(a).item() == pytest.approx(slope, rel=1e-6)
    assert func.jvp(end, (a,), (torch.ones_like(a),))[1].item() == pytest.approx(slope, rel=1e-6)
    assert func.jacfwd(end)(a).item() == pytest.approx(slope, rel=1e-6)
    assert func.jacrev(end)(a).item() == pytest.approx(slope, rel=1e-6)
    assert func.hessian(end)(a).item() == pytest.approx(-2 * slope, rel=1e-5)
    many = func.vmap(func.grad(end))(torch.stack([a, 2 * a]))
    np.testing.assert_allclose(many.numpy(), [slope, -2 * np.exp(-2.0)], rtol=1e-6)


def test_jacobians_of_whole_solutions():
    y0 = torch.tensor([1.0, 2.0], dtype=DOUBLE)

    def end(y):
        return torch.func.solve_ivp(lambda t, y: -y * y, (0.0, 1.0), y, **TIGHT).y[-1]

    expected = torch.diag(1 / (1 + y0) ** 2).numpy()
    for way in (torch.func.jacrev, torch.func.jacfwd):
        np.testing.assert_allclose(way(end)(y0).numpy(), expected, rtol=1e-6, atol=1e-12)
    every = torch.func.vmap(end)(torch.stack([y0, 2 * y0]))
    np.testing.assert_allclose(every[1].numpy(), (2 * y0 / (1 + 2 * y0)).numpy(), rtol=1e-7)


def test_what_is_refused_in_words():
    y0 = torch.ones(2, dtype=DOUBLE)
    with pytest.raises(TypeError, match="f must return a tensor, but returned list"):
        torch.func.solve_ivp(lambda t, y: [y[0], y[1]], (0.0, 1.0), y0)
    with pytest.raises(RuntimeError, match="solve_ivp: gradient='discrete' chooses its steps for one sample"):
        torch.func.vmap(lambda y: torch.func.solve_ivp(lambda t, y: y, (0.0, 1.0), y, gradient="discrete").y)(
            y0[:, None]
        )
