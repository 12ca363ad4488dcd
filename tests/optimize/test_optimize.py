"""SciPy's solvers with derivatives from the graph."""

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no torch.optimize")

optimize = pytest.importorskip("scipy.optimize")
DOUBLE = torch.float64


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


METHODS = ["Nelder-Mead", "Powell", "CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP"]
METHODS += ["Newton-CG", "trust-ncg", "trust-krylov", "trust-exact"]
METHODS += ["trust-constr", "COBYQA", "dogleg"]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_minimum(method):
    seen = []
    found = torch.optimize.minimize(
        rosenbrock, torch.zeros(4, dtype=DOUBLE), method=method, callback=lambda r: seen.append((r.x, r.fun))
    )
    assert found.success
    np.testing.assert_allclose(found.x.numpy(), 1, atol=1e-3)
    assert seen and all(isinstance(x, torch.Tensor) and x.shape == (4,) for x, _ in seen)
    assert seen[-1][1] < seen[0][1]


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "Newton-CG", "trust-exact", "trust-krylov"])
def test_derivatives_are_those_scipy_gets_by_hand(method):
    """With SciPy's own derivatives of the Rosenbrock function, step for step."""
    given = {"jac": optimize.rosen_der}
    if method.startswith(("Newton", "trust")):
        given |= {"hess": optimize.rosen_hess} if "exact" in method else {"hessp": optimize.rosen_hess_prod}
    expected = optimize.minimize(optimize.rosen, np.zeros(5), method=method, **given)
    found = torch.optimize.minimize(rosenbrock, torch.zeros(5, dtype=DOUBLE), method=method)
    assert (found.nit, found.nfev) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(found.x.numpy(), expected.x, rtol=1e-6)


def test_bounds():
    for bounds in ((None, 0.5), (torch.full((4,), -1.0), 0.5), [(None, 0.5)] * 4):
        found = torch.optimize.minimize(rosenbrock, torch.zeros(4, dtype=DOUBLE), bounds=bounds)
        expected = optimize.minimize(
            optimize.rosen, np.zeros(4), jac=optimize.rosen_der, method="L-BFGS-B", bounds=[(None, 0.5)] * 4
        )
        np.testing.assert_allclose(found.x.numpy(), expected.x, atol=1e-5)


@pytest.mark.parametrize("method", [None, "SLSQP", "trust-constr", "COBYLA", "COBYQA"])
def test_constraints(method):
    """The point of the unit disc that is nearest to (2, 2); the point of a line, in two dims."""
    found = torch.optimize.minimize(
        lambda x: ((x - 2) ** 2).sum(),
        torch.zeros(2, dtype=DOUBLE),
        method=method,
        constraints={"type": "ineq", "fun": lambda x: 1 - (x * x).sum()},
    )
    np.testing.assert_allclose(found.x.numpy(), 0.5**0.5, atol=2e-3)
    if method not in ("COBYLA",):
        line = [{"type": "eq", "fun": lambda x: x.sum(0) - 1}]
        start = torch.zeros(2, 2, dtype=DOUBLE)
        found = torch.optimize.minimize(lambda x: (x**2).sum(), start, method=method, constraints=line)
        assert found.x.shape == (2, 2)
        np.testing.assert_allclose(found.x.numpy(), 0.5, atol=2e-3)


def test_a_minimum_is_differentiable():
    a = torch.tensor([1.0, 2.0], dtype=DOUBLE, requires_grad=True)
    start = torch.zeros(2, dtype=DOUBLE)

    def solution(a):
        return torch.optimize.minimize(
            lambda x, a: ((x - a**2) ** 2).sum() + (x**4).sum(), start, (a,), tol=1e-12
        ).x

    (slope,) = torch.autograd.grad(solution(a).sum(), a)
    x = solution(a).detach()
    np.testing.assert_allclose(slope.numpy(), (4 * a / (2 + 12 * x**2)).tolist(), rtol=1e-6)


def test_dtypes_and_shapes():
    found = torch.optimize.minimize(lambda x: ((x - 3) ** 2).sum(), torch.zeros(2, 3))
    assert found.x.dtype == torch.float32 and found.x.shape == found.jac.shape == (2, 3)
    np.testing.assert_allclose(found.x.numpy(), 3, rtol=1e-4)


def test_progress_and_stop(capsys):
    pytest.importorskip("tqdm")
    torch.optimize.minimize(rosenbrock, torch.zeros(3, dtype=DOUBLE), progress=True)
    assert "BFGS" in capsys.readouterr().err

    def stop(result):
        raise StopIteration

    found = torch.optimize.minimize(rosenbrock, torch.zeros(3, dtype=DOUBLE), callback=stop)
    assert found.nit == 1


@pytest.mark.parametrize("method", ["hybr", "lm", "krylov", "broyden1", "df-sane"])
def test_root(method):
    a = torch.tensor([1.0, 8.0], dtype=DOUBLE, requires_grad=True)
    seen = []
    found = torch.optimize.root(
        lambda x, a: x**3 - a + 0.1 * x.flip(0),
        torch.tensor([0.9, 1.9], dtype=DOUBLE),
        (a,),
        method=method,
        tol=1e-10,
        callback=lambda x, f: seen.append(f),
    )
    assert found.success and seen
    residual = found.x**3 - a + 0.1 * found.x.flip(0)
    assert residual.abs().max() < 1e-6
    jacobian = np.diag(3 * found.x.detach().numpy() ** 2) + 0.1 * np.eye(2)[::-1]
    (slope,) = torch.autograd.grad(found.x.sum(), a)
    np.testing.assert_allclose(slope.numpy(), np.linalg.inv(jacobian).sum(0), rtol=1e-6)


TIMES = torch.linspace(0, 1, 50, dtype=DOUBLE)


def decay(p):
    return p[0] * torch.exp(-p[1] * TIMES)


@pytest.mark.parametrize("jac", ["auto", "dense", "sparse", "products"])
def test_least_squares(jac):
    data = decay(torch.tensor([2.0, 3.0], dtype=DOUBLE))
    found = torch.optimize.least_squares(lambda p: decay(p) - data, torch.ones(2, dtype=DOUBLE), jac=jac)
    np.testing.assert_allclose(found.x.numpy(), [2, 3], rtol=1e-6)
    assert found.fun.shape == (50,) and found.nfev < 10


def test_least_squares_is_differentiable_and_bounded():
    truth = torch.tensor([2.0, 3.0], dtype=DOUBLE)
    data = decay(truth).requires_grad_()
    start = torch.ones(2, dtype=DOUBLE)
    tight = dict.fromkeys(("xtol", "gtol", "ftol"), 1e-14)
    found = torch.optimize.least_squares(lambda p, d: decay(p) - d, start, (data,), **tight)
    (slope,) = torch.autograd.grad(found.x[0], data)
    jacobian = torch.autograd.functional.jacobian(decay, truth).numpy()
    np.testing.assert_allclose(slope.numpy(), np.linalg.pinv(jacobian)[0], atol=1e-8)
    found = torch.optimize.least_squares(lambda p: decay(p) - data.detach(), start, bounds=(0, 2.5))
    assert found.x[1].item() == pytest.approx(2.5, abs=1e-6)


def test_a_large_sparse_problem():
    n = 2000
    start = torch.full((n,), 0.5, dtype=DOUBLE)

    def residuals(x):
        return torch.cat([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])

    found = torch.optimize.least_squares(residuals, start, jac="sparse")
    np.testing.assert_allclose(found.x.numpy(), 1, atol=1e-6)


def test_what_is_refused():
    x = torch.zeros(2, dtype=DOUBLE)
    with pytest.raises(TypeError, match="not list"):
        torch.optimize.minimize(rosenbrock, [0.0, 0.0])
    with pytest.raises(ValueError, match=r"one number, but returned the shape \[2\]"):
        torch.optimize.minimize(lambda x: x, x)
    with pytest.raises(ValueError, match="3 equations for 2 unknowns"):
        torch.optimize.root(lambda x: torch.cat([x, x[:1]]), x)
    with pytest.raises(ValueError, match="jac must be"):
        torch.optimize.least_squares(lambda x: x, x, jac="3-point")
    with pytest.raises(ValueError, match="Unknown constraint type"):
        torch.optimize.minimize(rosenbrock, x, constraints={"type": "le", "fun": lambda x: x})


JACOBIANS = ["dense", "sparse", "products"]


@pytest.mark.parametrize("jac", JACOBIANS)
def test_residuals_of_every_shape_against_closed_forms(jac):
    """Scalar, empty, constant and complex residuals, and unknowns without dims or without elements."""
    two, none = torch.ones(2, dtype=DOUBLE), torch.ones(0, dtype=DOUBLE)

    def solved(f, x0):
        found = torch.optimize.least_squares(f, x0, jac=jac)
        assert found.success and found.fun.shape == f(x0).shape and found.x.shape == x0.shape
        return found

    found = solved(lambda p: (p - 2).sum(), two)
    assert found.x.sum().item() == pytest.approx(4, abs=1e-6) and found.cost < 1e-12
    found = solved(lambda p: p * p - 2, torch.tensor(1.5, dtype=DOUBLE))
    assert found.x.item() == pytest.approx(np.sqrt(2), rel=1e-6)
    assert solved(lambda p: p[:0], two).cost == 0
    assert solved(lambda p: p * 1, none).x.numel() == 0
    assert solved(lambda p: torch.ones(3, dtype=DOUBLE), two).cost == 1.5
    found = solved(lambda p: torch.complex(p, p) - 1j, two)  # |p + ip - i|^2 is least for p = 1/2
    np.testing.assert_allclose(found.x.numpy(), 0.5, rtol=1e-6)
    np.testing.assert_allclose(found.fun.numpy(), 0.5 - 0.5j, rtol=1e-6)
    assert found.cost == pytest.approx(0.5)


def test_complex_least_squares_is_differentiable():
    a = torch.tensor([1.0 + 2.0j, 3.0 - 1.0j], dtype=torch.complex128, requires_grad=True)
    found = torch.optimize.least_squares(lambda p, a: (1 + 1j) * p - a, torch.zeros(2, dtype=DOUBLE), (a,))
    np.testing.assert_allclose(found.x.detach().numpy(), [1.5, 1.0], rtol=1e-6)  # (re a + im a) / 2
    (slope,) = torch.autograd.grad(found.x.sum(), a)
    np.testing.assert_allclose(slope.numpy(), 0.5 + 0.5j, rtol=1e-6)


def test_complex_and_empty_problems_are_refused_in_words():
    two, none = torch.ones(2, dtype=DOUBLE), torch.ones(0, dtype=DOUBLE)
    for solve in (torch.optimize.root, torch.optimize.minimize):
        with pytest.raises(TypeError, match="must return real numbers"):
            solve(lambda p: p[0] * 1j, two[:1])
        with pytest.raises(ValueError, match="x0 has no elements"):
            solve(lambda p: p, none)
