"""Implicit derivatives against closed forms, against finite differences, in all modes."""

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no implicit differentiation")

DOUBLE = torch.float64


def root_of(a, **how):
    """The square root of a, by its equation; the solver is not differentiable at all."""
    return torch.func.implicit_root(
        lambda x, a: x * x - a, lambda a: torch.from_numpy(np.asarray(np.sqrt(a.numpy()))), a, **how
    )


@pytest.mark.parametrize("method", ["auto", "dense", "gmres", "cg"])
def test_square_root_to_the_third_derivative(method):
    a = torch.tensor([2.0, 3.0, 5.0], dtype=DOUBLE, requires_grad=True)
    x = root_of(a, method=method)
    np.testing.assert_allclose(x.tolist(), np.sqrt([2, 3, 5]))
    value = a.detach().numpy()
    closed = (value**-0.5 / 2, -(value**-1.5) / 4, 3 * value**-2.5 / 8)
    for expected in closed:
        (x,) = torch.autograd.grad(x.sum(), a, create_graph=True)
        np.testing.assert_allclose(x.tolist(), expected, rtol=1e-8)


def test_all_modes_agree_with_finite_differences():
    a = torch.tensor([2.0, 3.0], dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(root_of, a, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(root_of, a)
    _, tangent = torch.func.jvp(root_of, (a.detach(),), (torch.ones(2, dtype=DOUBLE),))
    np.testing.assert_allclose(tangent.numpy(), 0.5 / np.sqrt([2, 3]))


def test_whole_matrices_and_batches_agree_with_closed_forms():
    a = torch.tensor([2.0, 3.0], dtype=DOUBLE)
    slope, bend = np.diag(a.numpy() ** -0.5 / 2), np.diag(-(a.numpy() ** -1.5) / 4)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        np.testing.assert_allclose(jacobian(root_of)(a).detach().numpy(), slope)
    np.testing.assert_allclose(torch.func.hessian(lambda a: root_of(a).sum())(a).numpy(), bend, atol=1e-12)
    np.testing.assert_allclose(torch.func.vmap(root_of)(a).numpy(), np.sqrt([2, 3]))
    np.testing.assert_allclose(torch.func.vmap(torch.func.grad(root_of))(a).numpy(), slope.diagonal())
    assert torch.autograd.gradcheck(root_of, a.requires_grad_(), check_batched_grad=True)


@pytest.mark.slow
def test_a_coupled_system():
    """A x + x^3 = b with a full matrix: dx/db = (A + 3 diag(x^2))^-1."""
    torch.manual_seed(0)
    n = 5
    a = (torch.randn(n, n, dtype=DOUBLE) * 0.3 + 2 * torch.eye(n, dtype=DOUBLE)).requires_grad_()
    b = torch.randn(n, dtype=DOUBLE, requires_grad=True)

    def newton(a, b):
        x = np.zeros(n)
        for _ in range(50):
            x -= np.linalg.solve(a.numpy() + 3 * np.diag(x**2), a.numpy() @ x + x**3 - b.numpy())
        return torch.from_numpy(x)

    def residual(x, a, b):
        return a @ x + x**3 - b

    def solution(a, b):
        return torch.func.implicit_root(residual, newton, a, b)

    x = solution(a, b)
    inverse = np.linalg.inv(a.detach().numpy() + 3 * np.diag(x.detach().numpy() ** 2))
    jacobian = torch.autograd.functional.jacobian(lambda b: solution(a.detach(), b), b)
    np.testing.assert_allclose(jacobian.numpy(), inverse, rtol=1e-10)
    assert torch.autograd.gradcheck(solution, (a, b), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(solution, (a, b))


def test_dense_and_matrix_free_agree_on_a_large_system():
    n = 300
    a = torch.rand(n, dtype=DOUBLE, requires_grad=True)

    def residual(x, a):
        return 3 * x + torch.sin(x) - 0.5 * torch.roll(x, 1) - 0.3 * torch.roll(x, -1) - a

    def gradient(method):
        x = torch.func.fixed_point(
            lambda x, a: x - residual(x, a) / 3.5, torch.zeros(n, dtype=DOUBLE), a, method=method
        )
        assert residual(x, a).abs().max() < 1e-10
        return torch.autograd.grad(x.sin().sum(), a)[0].numpy()

    np.testing.assert_allclose(gradient("gmres"), gradient("dense"), rtol=1e-8)


@pytest.mark.parametrize("memory", [0, 3])
def test_fixed_point_of_the_cosine(memory):
    b = torch.tensor(1.0, dtype=DOUBLE, requires_grad=True)
    start = torch.tensor([0.5, 0.1], dtype=DOUBLE)

    def solution(b):
        return torch.func.fixed_point(lambda x, b: torch.cos(b * x), start, b, memory=memory)

    x = 0.7390851332151607
    np.testing.assert_allclose(solution(b).tolist(), [x, x], rtol=1e-10)
    (slope,) = torch.autograd.grad(solution(b)[0], b)
    assert slope.item() == pytest.approx(-x * np.sin(x) / (1 + np.sin(x)), rel=1e-9)
    assert torch.autograd.gradgradcheck(solution, b)
    with pytest.raises(RuntimeError, match="3 steps were not enough"):
        torch.func.fixed_point(lambda x: torch.cos(x), start, maxiter=3)
    with pytest.raises(RuntimeError, match="finite"):
        torch.func.fixed_point(lambda x: 10 * x * x, start + 5, memory=0)


def test_argmin_of_ridge_regression():
    """w = (X'X + l)^-1 X'y, dw/dl = -(X'X + l)^-1 w."""
    torch.manual_seed(0)
    x, y = torch.randn(30, 5, dtype=DOUBLE), torch.randn(30, dtype=DOUBLE)
    strength = torch.tensor(0.7, dtype=DOUBLE, requires_grad=True)

    def loss(w, strength):
        return ((x @ w - y) ** 2).sum() + strength * (w * w).sum()

    w = torch.func.argmin(loss, torch.zeros(5, dtype=DOUBLE), strength, method="cg")
    matrix = x.numpy().T @ x.numpy() + 0.7 * np.eye(5)
    expected = np.linalg.solve(matrix, x.numpy().T @ y.numpy())
    np.testing.assert_allclose(w.tolist(), expected, rtol=1e-6)
    (first,) = torch.autograd.grad(w.sum(), strength, create_graph=True)
    assert first.item() == pytest.approx(-np.linalg.solve(matrix, expected).sum(), rel=1e-6)
    (second,) = torch.autograd.grad(first, strength)
    twice = np.linalg.solve(matrix, np.linalg.solve(matrix, expected))
    assert second.item() == pytest.approx(2 * twice.sum(), rel=1e-6)


def test_single_precision():
    a = torch.tensor(2.0, requires_grad=True)
    x = root_of(a)
    x.backward()
    assert x.dtype == a.grad.dtype == torch.float32
    assert a.grad.item() == pytest.approx(0.5 / 2**0.5, rel=1e-5)


def test_what_is_refused():
    a = torch.tensor([2.0, 3.0], dtype=DOUBLE, requires_grad=True)
    with pytest.raises(ValueError, match="method must be"):
        root_of(a, method="lu")
    with pytest.raises(ValueError, match=r"a residual of shape \[\] for x of shape \[2\]"):
        torch.func.implicit_root(lambda x, a: (x - a).sum(), a.detach(), a)
    flat = torch.func.implicit_root(lambda x, a: 0 * x + a - a, torch.ones(2, dtype=DOUBLE), a)
    with pytest.raises(np.linalg.LinAlgError):
        flat.sum().backward()


def solved(name, a):
    """The square root of `a` in three ways, `a` captured or given."""
    func = torch.func
    start = torch.ones_like(a.detach())
    return {
        "root": lambda: func.implicit_root(lambda y, a: y * y - a, lambda a: a.sqrt(), a),
        "root, captured": lambda: func.implicit_root(lambda y: y * y - a, a.detach().sqrt()),
        "fixed point": lambda: func.fixed_point(lambda y, a: (y + a / y) / 2, start, a),
        "fixed point, captured": lambda: func.fixed_point(lambda y: (y + a / y) / 2, start),
        "least": lambda: func.argmin(lambda y, a: (y**3 / 3 - a * y).sum(), start, a),
        "least, captured": lambda: func.argmin(lambda y: (y**3 / 3 - a * y).sum(), start),
    }[name]()


WAYS = ["root", "root, captured", "fixed point", "fixed point, captured", "least", "least, captured"]


@pytest.mark.parametrize("name", WAYS)
def test_every_mode_with_given_and_captured_tensors(name):
    func, a = torch.func, torch.tensor([2.0, 4.0], dtype=DOUBLE)
    slope, bend = 0.5 * a**-0.5, -0.25 * a**-1.5

    def f(a):
        return solved(name, a)

    def close(found, expected):
        np.testing.assert_allclose(found.detach().numpy(), expected.numpy(), rtol=1e-5, atol=1e-9)

    b = a.clone().requires_grad_()
    close(torch.autograd.grad(f(b).sum(), b)[0], slope)
    close(func.jacrev(f)(a), torch.diag(slope))
    close(func.jacfwd(f)(a), torch.diag(slope))
    close(func.jvp(f, (a,), (torch.ones_like(a),))[1], slope)
    close(func.hessian(lambda a: f(a).sum())(a), torch.diag(bend))
    close(func.vmap(f)(a[:, None])[:, 0], a.sqrt())
    close(func.vmap(func.grad(lambda a: f(a).sum()))(a[:, None])[:, 0], slope)
    _, (first, second) = func.jet(f, a, (torch.ones_like(a), None))
    close(first, slope)
    close(second, bend)


def test_tangents_have_no_history_of_their_own():
    a = torch.tensor([2.0, 4.0], dtype=DOUBLE)
    for name in WAYS:
        _, tangent = torch.func.jvp(lambda a, name=name: solved(name, a), (a,), (torch.ones_like(a),))
        assert not tangent.requires_grad and tangent.grad_fn is None
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(a, torch.ones_like(a))
            tangent = torch.autograd.forward_ad.unpack_dual(solved(name, dual)).tangent
        assert tangent.grad_fn is None


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_what_has_not_converged_says_so(dtype):
    a, one = torch.tensor(2.0, dtype=dtype), torch.tensor(1.0, dtype=dtype)
    with pytest.raises(RuntimeError, match="fixed_point"):
        torch.func.fixed_point(lambda x, a: a * x + 1, one, a, memory=0)
    with pytest.raises(RuntimeError, match="left the finite numbers"):
        torch.func.fixed_point(lambda x, a: a * x * x + 1, one, a, memory=0)
    with pytest.warns(UserWarning, match="no root: the residual there is up to 1"):
        torch.func.implicit_root(lambda x, a: x * x - a, lambda a: one, a)
    with pytest.warns(UserWarning, match="no root"):
        torch.func.argmin(lambda x: torch.exp(-x), one, solver="L-BFGS-B", tol=1e-3)
