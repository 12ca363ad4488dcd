"""Initial value problems: solutions and gradients against closed forms and each other."""

import math

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no ODE solver")

pytest.importorskip("scipy.integrate")
DOUBLE = torch.float64
GRADIENTS = ["adjoint", "backsolve", "discrete"]
TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def decay(t, y, a):
    return -a * y


def predators(t, y, p):
    x, z = y.unbind()
    return torch.stack([p[0] * x - p[1] * x * z, -p[2] * z + p[3] * x * z])


def number(x, grad=True):
    return torch.tensor(x, dtype=DOUBLE, requires_grad=grad)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_decay_to_the_second_derivative(gradient):
    a, y0 = number(0.5), number([1.0, 2.0])
    end = torch.func.solve_ivp(decay, (0.0, 2.0), y0, args=(a,), gradient=gradient, **TIGHT).y[-1]
    np.testing.assert_allclose(end.tolist(), np.array([1, 2]) / math.e, rtol=1e-8)
    (first,) = torch.autograd.grad(end.sum(), a, create_graph=True)
    assert first.item() == pytest.approx(-6 / math.e, rel=1e-7)
    second, mixed = torch.autograd.grad(first, (a, y0))
    assert second.item() == pytest.approx(12 / math.e, rel=1e-6)
    np.testing.assert_allclose(mixed.numpy(), -2 / math.e, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_all_gradients_against_finite_differences(gradient):
    p, y0 = number([1.5, 1.0, 3.0, 1.0]), number([1.0, 1.0])
    start, times = number(0.0), number([0.5, 1.0, 1.7])

    def states(p, y0, start, times):
        return torch.func.solve_ivp(
            predators, (start, 2.0), y0, t_eval=times, args=(p,), gradient=gradient, **TIGHT
        ).y

    assert torch.autograd.gradcheck(states, (p, y0, start, times), eps=1e-5, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("method", ["RK23", "DOP853", "Radau", "BDF", "LSODA"])
def test_every_method(method):
    a, y0 = number(0.5), number([1.0])
    found = torch.func.solve_ivp(decay, (0, 2), y0, method, [1.0, 2.0], (a,), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.y.tolist(), np.exp([[-0.5], [-1.0]]), rtol=1e-6)
    (slope,) = torch.autograd.grad(found.y[1, 0], a)
    assert slope.item() == pytest.approx(-2 / math.e, rel=1e-5)


def test_the_ends_of_the_span():
    """y' = y^2: y(t1) = 1 / (1 / y0 - (t1 - t0))."""
    y0, t0, t1 = number(0.5), number(0.2), number(1.0)
    found = torch.func.solve_ivp(lambda t, y: y * y, (t0, t1), y0, **TIGHT)
    assert found.t[0] == t0 and found.t[-1] == t1 and len(found.t) == len(found.y) > 2
    y = 1 / (2 - 0.8)
    assert found.y[-1].item() == pytest.approx(y, rel=1e-9)
    slopes = torch.autograd.grad(found.y[-1], (y0, t0, t1))
    np.testing.assert_allclose([s.item() for s in slopes], [4 * y * y, -y * y, y * y], rtol=1e-7)


def test_backwards_in_time_and_without_the_start():
    a, y0 = number(0.5), number(1.0)
    found = torch.func.solve_ivp(decay, (2, 0), y0, t_eval=[1.0, 0.5], args=(a,), **TIGHT)
    np.testing.assert_allclose(found.y.tolist(), np.exp([0.5, 0.75]), rtol=1e-8)
    (slope,) = torch.autograd.grad(found.y[1], a)
    assert slope.item() == pytest.approx(1.5 * math.exp(0.75), rel=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_captured_tensors_and_time_dependence(gradient):
    """y' = W y + c cos t, its gradient by the adjoint and by differences."""
    w, c = number([[-0.5, 1.0], [-1.0, -0.5]]), number([1.0, 0.0])
    y0 = number([1.0, 1.0], grad=False)

    def end(w, c):
        return torch.func.solve_ivp(
            lambda t, y: w @ y + c * torch.cos(t), (0, 1), y0, params=[w, c], gradient=gradient, **TIGHT
        ).y[-1]

    assert torch.autograd.gradcheck(end, (w, c), eps=1e-5, atol=1e-6)


def test_parameters_of_a_callable():
    class Field:
        def __init__(self):
            self.rate = number(0.5)

        def parameters(self):
            return [self.rate]

        def __call__(self, t, y):
            return -self.rate * y

    field = Field()
    torch.func.solve_ivp(field, (0, 2), number([1.0], grad=False), **TIGHT).y[-1].sum().backward()
    assert field.rate.grad.item() == pytest.approx(-2 / math.e, rel=1e-7)


def test_forward_mode():
    y0 = number([1.0, 3.0], grad=False)

    def states(a):
        return torch.func.solve_ivp(decay, (0, 2), y0, t_eval=[1.0, 2.0], args=(a,), **TIGHT).y

    _, tangent = torch.func.jvp(states, (number(0.5, grad=False),), (torch.ones((), dtype=DOUBLE),))
    times = np.array([[1.0], [2.0]])
    np.testing.assert_allclose(tangent.numpy(), -times * np.exp(-0.5 * times) * [1, 3], rtol=1e-7)


@pytest.mark.slow
def test_a_stiff_system_by_its_adjoint():
    """y' = -1000 (y - cos t): the dense output leads back where the equation itself would explode."""
    k, y0 = number(1000.0), number(0.5)
    found = torch.func.solve_ivp(
        lambda t, y, k: -k * (y - torch.cos(t)), (0, 1), y0, "Radau", [1.0], (k,), rtol=1e-8, atol=1e-10
    )
    slope, start = torch.autograd.grad(found.y[0], (k, y0))

    def exact(k):
        return (k * k * math.cos(1.0) + k * math.sin(1.0)) / (k * k + 1)

    assert found.y[0].item() == pytest.approx(exact(1000), rel=1e-6)
    assert slope.item() == pytest.approx((exact(1001) - exact(999)) / 2, rel=1e-2)
    assert abs(start.item()) < 1e-6


def test_the_discrete_gradient_is_that_of_the_numbers():
    """At a loose tolerance it is the derivative of what was computed, step by step."""
    y0 = number([1.0, 0.5])

    def end(y0):
        return torch.func.solve_ivp(
            lambda t, y: torch.stack([y[1], -y[0] ** 3]), (0, 3), y0, "RK23", [3.0], gradient="discrete",
            rtol=1e-1, atol=1e-1, first_step=0.5, max_step=0.5,
        ).y[-1]  # fmt: skip

    assert torch.autograd.gradcheck(end, y0, eps=1e-6, atol=1e-6)


def test_what_is_refused():
    y0 = torch.ones(2)
    with pytest.raises(TypeError, match="real"):
        torch.func.solve_ivp(lambda t, y: y, (0, 1), torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match="gradient must be"):
        torch.func.solve_ivp(lambda t, y: y, (0, 1), y0, gradient="magic")
    with pytest.raises(ValueError, match="needs one of"):
        torch.func.solve_ivp(lambda t, y: y, (0, 1), y0, "BDF", gradient="discrete")
    with pytest.raises(ValueError, match=r"f returned the shape \[\], y has \[2\]"):
        torch.func.solve_ivp(lambda t, y: y.sum(), (0, 1), y0)
    with pytest.raises(RuntimeError, match="solve_ivp: Required step size"), np.errstate(all="ignore"):
        torch.func.solve_ivp(lambda t, y: y * y, (0, 3), torch.ones(2, dtype=DOUBLE))


def shrunk(rate, y0=None, gradient="adjoint"):
    """y at 1, where y' = -rate * y: closed form y0 * exp(-rate)."""
    y0 = torch.ones(2, dtype=DOUBLE) if y0 is None else y0
    how = {"t_eval": [0.0, 1.0], "rtol": 1e-9, "atol": 1e-9, "gradient": gradient}
    return torch.func.solve_ivp(lambda t, y, rate: -rate * y, (0.0, 1.0), y0, args=(rate,), **how).y[-1]


@pytest.mark.parametrize("gradient", ["adjoint", "backsolve"])
def test_whole_matrices_and_batches_agree_with_the_closed_form(gradient):
    func = torch.func
    rate = torch.tensor([1.0, 1.5], dtype=DOUBLE)
    value = np.exp(-rate.numpy())

    def end(rate):
        return shrunk(rate, gradient=gradient)

    near = {"rtol": 1e-6, "atol": 1e-8}
    np.testing.assert_allclose(func.jacrev(end)(rate).numpy(), -np.diag(value), **near)
    np.testing.assert_allclose(func.jacfwd(end)(rate).detach().numpy(), -np.diag(value), **near)
    np.testing.assert_allclose(func.hessian(lambda r: end(r).sum())(rate).numpy(), np.diag(value), **near)
    rates = torch.stack([rate, rate + 1])
    np.testing.assert_allclose(func.vmap(end)(rates).numpy(), np.exp(-rates.numpy()), **near)
    slopes = func.vmap(func.grad(lambda r: end(r).sum()))(rates)
    np.testing.assert_allclose(slopes.numpy(), -np.exp(-rates.numpy()), **near)


def test_second_derivatives_in_every_nest_of_modes():
    rate, v = torch.tensor([1.0, 1.5], dtype=DOUBLE), torch.tensor([1.0, 2.0], dtype=DOUBLE)
    expected = np.exp(-rate.numpy()) * v.numpy()

    def total(rate):
        return shrunk(rate).sum()

    def along(rate):
        return torch.func.jvp(total, (rate,), (v,))[1]

    forward_over_reverse = torch.func.jvp(torch.func.grad(total), (rate,), (v,))[1]
    np.testing.assert_allclose(forward_over_reverse.numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(torch.func.grad(along)(rate).numpy(), expected, rtol=1e-6)
    twice = torch.func.jvp(along, (rate,), (v,))[1]
    np.testing.assert_allclose(twice.item(), (expected * v.numpy()).sum(), rtol=1e-6)
