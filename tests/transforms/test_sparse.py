"""Sparse Jacobians and Hessians: patterns, colourings, and values against the dense ones."""

import time

import numpy as np
import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch has no sparse derivatives")

scipy_sparse = pytest.importorskip("scipy.sparse")
DOUBLE = torch.float64


def normal(*shape):
    return torch.randn(*shape, dtype=DOUBLE)


def dense_jacobian(f, x):
    """A row for each element of f(x), one backward pass each."""
    x = x.detach().clone().requires_grad_()
    rows = [
        torch.autograd.grad(y, x, retain_graph=True, materialize_grads=True)[0].reshape(-1)
        for y in (f(x) + 0 * x.sum()).reshape(-1)
    ]
    return torch.stack(rows).numpy()


def written(x):
    y = x.clone()
    y[1:3] = x[4] * x[5]
    y[0] *= 2
    y.reshape(2, 3).t()[1] += x[0]
    return y


WEIGHTS = normal(3, 4)
BANDS = torch.tensor([[1.0, -1, 0], [0, 1, -1], [0, 0, 1]], dtype=DOUBLE)
JACOBIANS = {
    "products of neighbours": lambda x: x[1:] * x[:-1].sin(),
    "sum of rows": lambda x: x.reshape(2, 3).sum(1),
    "mean of rows": lambda x: x.reshape(2, 3).mean(1).exp(),
    "cat and flip": lambda x: torch.cat([x, x.flip(0)]) * 2,
    "softmax": lambda x: torch.softmax(x.reshape(2, 3), 1),
    "matrix with zeros, right": lambda x: x.reshape(2, 3) @ BANDS,
    "matrix with zeros, left": lambda x: BANDS @ x.reshape(3, 2),
    "matrix times vector": lambda x: BANDS @ x[:3],
    "full matrix": lambda x: x.reshape(2, 3) @ WEIGHTS,
    "index": lambda x: x[torch.tensor([0, 3, 3])] ** 2,
    "where": lambda x: torch.where(x > 0, x, x[0]),
    "index_add": lambda x: torch.zeros(4, dtype=DOUBLE).index_add(0, torch.tensor([0, 1, 1, 3, 0, 0]), x),
    "written in place": written,
    "windows": lambda x: x.unfold(0, 3, 1).sum(1),
    "norms": lambda x: torch.linalg.vector_norm(x.reshape(2, 3), dim=1),
    "diff": lambda x: torch.diff(x),
    "batched products": lambda x: torch.bmm(x.reshape(2, 1, 3), x.reshape(2, 3, 1)),
    "product of both": lambda x: x.reshape(2, 3) @ x[:3],
    "roll and pad": lambda x: torch.roll(x, 1) * torch.cat([torch.ones(2, dtype=DOUBLE), x[:4]]),
    "stack": lambda x: torch.stack([x[:3], x[3:]], 1).exp(),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobian_is_the_dense_one_on_an_exact_pattern(name):
    torch.manual_seed(1)
    f, x = JACOBIANS[name], normal(6)
    expected = dense_jacobian(f, x)
    found = torch.sparse_jacobian(f, x)
    assert isinstance(found, scipy_sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-14)
    pattern = torch.func.jacobian_sparsity(f, x).toarray()
    np.testing.assert_array_equal(pattern, expected != 0)


def test_a_pattern_may_be_too_large_but_not_too_small():
    torch.manual_seed(2)
    x = normal(6)
    for f in (
        lambda x: x.cumsum(0),
        lambda x: x.sort()[0],
        lambda x: x.reshape(2, 3).amax(1),
        lambda x: x.reshape(2, 3).renorm(2, 0, 0.5),
        torch.cumsum,
    ):
        f = f if f is not torch.cumsum else lambda x: torch.linspace(0, 1, 6, dtype=DOUBLE).cumsum(0) * x
        expected = dense_jacobian(f, x)
        np.testing.assert_allclose(torch.sparse_jacobian(f, x).toarray(), expected, rtol=1e-12)
        assert torch.func.jacobian_sparsity(f, x).toarray()[expected != 0].all()


HESSIANS = {
    "differences": lambda x: ((x[1:] - x[:-1]) ** 2).sum(),
    "Rosenbrock": lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(),
    "arrow": lambda x: x.sin().sum() + (x[0] * x[1:]).sum(),
    "blocks": lambda x: torch.logsumexp(x.reshape(4, 4), 1).sum(),
    "products": lambda x: (x.reshape(4, 4).prod(1) ** 2).sum(),
    "running products": lambda x: (x.reshape(4, 4).cumprod(0) ** 2).sum(),
    "running logarithms": lambda x: (x.reshape(4, 4).logcumsumexp(1) ** 2).sum(),
    "softmax": lambda x: (torch.softmax(x.reshape(2, 2, 4), 1) ** 3).sum(),
    "written in place": lambda x: (x * 2).sin_().mul_(x + 1).tanh_().sum(),
    "saved results": lambda x: (x[::2].exp() * torch.sigmoid(x[1::2])).sum(),
    "grid": lambda x: sum(
        (x.reshape(4, 4).diff(dim=d) ** 2).sum()
        + (x.reshape(4, 4)[1:, 1:] * x.reshape(4, 4)[:-1, :-1]).tanh().sum()
        for d in (0, 1)
    ),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_hessian_is_the_dense_one_on_an_exact_pattern(name):
    torch.manual_seed(3)
    f, x = HESSIANS[name], normal(16)

    def slope(x):
        return torch.autograd.grad(f(x), x, create_graph=True)[0]

    expected = dense_jacobian(slope, x)
    found = torch.sparse_hessian(f, x)
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(torch.func.hessian_sparsity(f, x).toarray(), expected != 0)
    assert abs(found - found.T).max() < 1e-12


def colours_of_star(pattern):
    from pullback.func.sparse import _hessian_colours

    return _hessian_colours(scipy_sparse.csr_array(pattern))


@pytest.mark.parametrize("seed", range(20))
def test_star_colouring_of_random_graphs(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 25))
    a = rng.random((n, n)) < rng.choice([0.05, 0.2, 0.5])
    a = a | a.T | np.eye(n, dtype=bool)
    colour = colours_of_star(a)
    edges = [(i, j) for i in range(n) for j in range(n) if i != j and a[i, j]]
    assert all(colour[i] != colour[j] for i, j in edges)
    for w, x in edges:  # no path v - w - x - y of two colours
        ends = [v for v in range(n) if a[v, w] and v not in (w, x) and colour[v] == colour[x]]
        others = [y for y in range(n) if a[y, x] and y not in (w, x) and colour[y] == colour[w]]
        assert not any(v != y for v in ends for y in others)


@pytest.mark.parametrize("seed", range(10))
def test_random_symmetric_matrices_are_recovered(seed):
    rng = np.random.default_rng(100 + seed)
    n = 30
    a = np.triu(rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.1))
    a = torch.from_numpy(a + a.T)
    index, x = a.nonzero(as_tuple=True), normal(n)
    values = a[index]
    found = torch.sparse_hessian(lambda x: (values * x[index[0]] * x[index[1]]).sum() / 2, x)
    np.testing.assert_allclose(found.toarray(), a.numpy(), atol=1e-12)


def test_few_products_whatever_the_size():
    """Tridiagonal, n = 100,000: seconds, and three colours; a dense row and column: two."""
    n, calls = 100_000, []
    x = torch.linspace(-1, 1, n, dtype=DOUBLE)

    def f(x):
        calls.append(1)
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    start = time.perf_counter()
    found = torch.sparse_hessian(f, x)
    assert time.perf_counter() - start < 10
    assert found.shape == (n, n) and found.nnz == 3 * n - 2
    assert len(calls) == 2
    assert colours_of_star(found != 0).max() + 1 == 3
    p = np.cos(np.arange(n))
    leaf = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(leaf), leaf, create_graph=True)
    (product,) = torch.autograd.grad(slope, leaf, torch.from_numpy(p))
    np.testing.assert_allclose(found @ p, product.numpy(), rtol=1e-9, atol=1e-9)
    arrow = torch.sparse_hessian(lambda x: x.sin().sum() + (x[0] * x[1:]).sum(), x)
    assert colours_of_star(arrow != 0).max() + 1 == 2


def test_rows_are_coloured_where_that_is_cheaper():
    x = normal(500)
    found = torch.sparse_jacobian(lambda x: torch.cat([x.sum().reshape(1), x[:1] * x[1:2]]), x)
    assert found.shape == (2, 500) and found.nnz == 502
    np.testing.assert_array_equal(found.toarray()[0], 1)


def test_a_given_pattern_saves_the_tracing():
    x = normal(8)
    f = JACOBIANS["products of neighbours"]
    pattern = torch.func.jacobian_sparsity(f, x)
    calls = []

    def counted(x):
        calls.append(1)
        return f(x)

    found = torch.sparse_jacobian(counted, x, sparsity=pattern)
    assert len(calls) == 1
    np.testing.assert_allclose(found.toarray(), dense_jacobian(f, x))
    with pytest.raises(ValueError, match="shape"):
        torch.sparse_jacobian(f, x, sparsity=pattern[:3])
    with pytest.raises(ValueError, match="not symmetric"):
        torch.sparse_hessian(lambda x: (x**2).sum(), x, sparsity=np.triu(np.ones((8, 8))))


def test_what_depends_on_nothing():
    x = normal(3)
    assert torch.sparse_jacobian(lambda x: torch.ones(2), x).nnz == 0
    assert torch.sparse_jacobian(lambda x: x.detach() * 2, x).nnz == 0
    assert torch.sparse_hessian(lambda x: x.sum(), x).nnz == 0
    assert torch.sparse_jacobian(lambda x: x * 2, torch.zeros(0)).shape == (0, 0)


def test_what_is_refused():
    with pytest.raises(TypeError, match=r"real floating-point numbers, not a tensor of torch\.int64"):
        torch.sparse_jacobian(lambda x: x, torch.arange(3))
    with pytest.raises(TypeError, match="not list"):
        torch.sparse_hessian(lambda x: x, [1.0])
    with pytest.raises(RuntimeError, match="scalar"):
        torch.sparse_hessian(lambda x: x * 2, normal(2))
    with pytest.raises(TypeError, match="must return a tensor"):
        torch.sparse_jacobian(lambda x: [x], normal(2))
    with pytest.raises(RuntimeError, match="too large"):
        torch.func.jacobian_sparsity(lambda x: x * x.sum(), normal(100_000))


def test_no_level_is_left_behind():
    from pullback.core import _engine

    with pytest.raises(ZeroDivisionError):
        torch.func.jacobian_sparsity(lambda x: 1 // 0, normal(2))
    assert _engine.levels() == []
