"""Linear algebra whose results are not unique or are drawn: tested by what they must fulfil."""

import numpy as np
import pytest
from library import NAME, pullback_only, run_python, torch


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def given(array):
    return torch.from_numpy(np.ascontiguousarray(array))


@pytest.mark.parametrize("shape", [(9, 6), (6, 9), (2, 8, 5)])
def test_low_rank_is_found(rng, shape):
    """A matrix of rank 2 is all of its first two singular triples."""
    thin = rng.standard_normal((*shape[:-1], 2)) @ rng.standard_normal((*shape[:-2], 2, shape[-1]))
    U, S, V = torch.svd_lowrank(given(thin), q=2)
    np.testing.assert_allclose((U * S.unsqueeze(-2) @ V.mT).numpy(), thin, atol=1e-10)
    np.testing.assert_allclose(S.numpy(), np.linalg.svd(thin, compute_uv=False)[..., :2], rtol=1e-10)
    shift = given(np.ones(shape))
    U, S, V = torch.svd_lowrank(given(thin) + 1, q=2, M=shift)
    np.testing.assert_allclose((U * S.unsqueeze(-2) @ V.mT).numpy(), thin, atol=1e-9)


def test_principal_components(rng):
    data = rng.standard_normal((30, 4)) * [4.0, 2.0, 1.0, 0.5] + 3
    _, S, V = torch.pca_lowrank(given(data), q=4, niter=6)
    values, vectors = np.linalg.eigh(np.cov(data.T))
    np.testing.assert_allclose(S.numpy() ** 2 / 29, values[::-1], rtol=1e-8)
    np.testing.assert_allclose(np.abs(V.numpy()), np.abs(vectors[:, ::-1]), rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match="non-negative integer"):
        torch.pca_lowrank(given(data), q=5)


def test_extreme_eigenpairs(rng):
    A = rng.standard_normal((12, 12))
    A = A @ A.T + np.diag(np.arange(12.0))
    exact = np.linalg.eigvalsh(A)
    for largest in (True, False):
        values, X = torch.lobpcg(given(A), k=2, largest=largest, niter=200, tol=1e-10)
        want = exact[::-1][:2] if largest else exact[:2]
        np.testing.assert_allclose(values.numpy(), want, rtol=1e-6)
        np.testing.assert_allclose(A @ X.numpy(), X.numpy() * values.numpy(), atol=1e-3)
    with pytest.raises(ValueError, match="not applicable"):
        torch.lobpcg(given(A), k=5)


@pytest.mark.filterwarnings("ignore")  # PyTorch: deprecated
def test_factors_solve(rng):
    A, B = rng.standard_normal((2, 4, 4)), rng.standard_normal((2, 4, 3))
    LU, pivots, info = torch._lu_with_info(given(A))
    assert info.tolist() == [0, 0]
    np.testing.assert_allclose(
        torch.linalg.lu_solve(LU, pivots, given(B)).numpy(), np.linalg.solve(A, B), rtol=1e-9
    )
    S = A + A.mT
    LD, pivots = torch.linalg.ldl_factor(given(S))
    np.testing.assert_allclose(
        torch.linalg.ldl_solve(LD, pivots, given(B)).numpy(), np.linalg.solve(S, B), rtol=1e-8
    )


@pullback_only("PyTorch divides by nearly nothing")
@pytest.mark.parametrize("complex_too", [False, True])
def test_slope_of_det_is_the_cofactors(rng, complex_too):
    stack = rng.standard_normal((5, 4, 4)) + (1j * rng.standard_normal((5, 4, 4)) if complex_too else 0)
    stack[1, 3] = stack[1, 2]  # singular
    stack[2, 3] = stack[2, 2] * (1 + 1e-14)  # nearly
    stack[3] = 0
    stack[4] *= 1e-100  # its determinant is below the least number, its cofactors are not
    a = given(stack).requires_grad_()
    det = torch.linalg.det(a)
    (slope,) = torch.autograd.grad(det, a, torch.ones_like(det))
    for matrix, found in zip(stack, slope.numpy(), strict=True):
        expected = np.zeros_like(matrix)
        for i in range(4):
            for j in range(4):
                minor = np.delete(np.delete(matrix, i, 0), j, 1)
                expected[i, j] = np.conj((-1) ** (i + j) * np.linalg.det(minor))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13 * np.abs(expected).max())


@pullback_only("PyTorch gives NaN or a message, by its LAPACK")
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("size", [3, 40])
def test_numbers_that_are_not_finite_end(value, size):
    """No algorithm that looks for singular values or eigenvalues runs for ever on them."""
    a = torch.eye(size)
    a[0, 1] = a[1, 0] = value
    for stack in (a, torch.stack([torch.eye(size), a])):
        for find in (torch.linalg.svd, torch.linalg.svdvals, torch.linalg.pinv, torch.linalg.matrix_rank):
            with pytest.raises(torch.linalg.LinAlgError, match="non-finite"):
                find(stack)
        assert torch.linalg.eigvalsh(stack).isnan().any()
        assert torch.linalg.eigh(stack).eigenvalues.isnan().any()


@pullback_only("PyTorch has NaN for second derivatives of singular matrices")
@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize("rank", range(5))
def test_all_derivatives_of_determinants_of_any_rank(rank, kind):
    """det(A + t B) is a polynomial in t; its coefficients are found by interpolation."""
    rng = np.random.default_rng(rank)
    dtype = getattr(torch, kind)
    left, right, b = (rng.integers(-2, 3, shape) for shape in ((4, rank), (rank, 4), (4, 4)))
    a = left @ right + (1j * left @ right[::-1].copy() if kind == "complex128" and rank < 2 else 0)
    at = np.arange(5)
    values = [np.linalg.det(a + t * b) for t in at]
    polynomial = np.polynomial.Polynomial(
        np.linalg.solve(np.vander(at, increasing=True).astype(complex), values)
    )
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    y = torch.det(torch.tensor(a, dtype=dtype) + t * torch.tensor(b, dtype=dtype))
    y = torch.view_as_real(y)[0] if dtype.is_complex else y
    for order in range(1, 5):
        (y,) = torch.autograd.grad(y, t, create_graph=True)
        assert y.item() == pytest.approx(polynomial.deriv(order)(0).real, rel=1e-9, abs=1e-9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["float64", "float32", "complex128"])
def test_matrices_with_infinities_end(kind):
    """LAPACK's singular values may never: an error, or NaN, in a process that is given some seconds."""
    program = f"""
import {NAME} as torch
inf, found = float("inf"), []
linalg = torch.linalg
for place in range(3):
    a = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.{kind}))
    a[place, 0] = -inf if place else inf
    ones = torch.ones(4, 1, dtype=a.dtype)
    calls = [linalg.svd, linalg.svdvals, linalg.pinv, linalg.cond, linalg.det, linalg.matrix_rank]
    calls += [linalg.slogdet, torch.svd_lowrank, lambda a: linalg.norm(a, "nuc")]
    calls.append(lambda a: linalg.pinv(a, hermitian=True))
    calls += [lambda a, d=d: linalg.lstsq(a, ones, driver=d) for d in ("gelsy", "gelsd", "gelss")]
    for call in calls:
        try:
            x = a.clone().requires_grad_()
            y = call(x)
            y = y if isinstance(y, torch.Tensor) else y[0]
            if y.requires_grad:
                y.abs().sum().backward()
        except RuntimeError as error:
            found.append(error)
print("ended")
"""
    assert run_python("-c", program, timeout=60).stdout.strip().endswith("ended")


def test_lobpcg_sees_both_triangles():
    torch.manual_seed(0)
    A = torch.rand(6, 6, dtype=torch.float64)
    A = ((A @ A.mT) / 10).requires_grad_()
    X = torch.eye(6, 1, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda A: torch.lobpcg(A, k=1, X=X)[0], A)


@pytest.mark.parametrize("upper", [False, True])
def test_gradients_of_cholesky_factors(upper):
    triangle = torch.triu if upper else torch.tril
    b = torch.tensor([[1.0], [2.0], [-1.0]], dtype=torch.float64, requires_grad=True)
    factor = torch.tensor([[2.0, 0.5, 1.0], [0.5, 1.5, -1.0], [1.0, -1.0, 3.0]], dtype=torch.float64)
    factor.requires_grad_()

    def solve(b, factor):
        return torch.cholesky_solve(b, triangle(factor), upper=upper)

    def inverse(factor):
        return torch.cholesky_inverse(triangle(factor), upper=upper)

    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(solve, (b, factor)) and check(inverse, (factor,))
    whole = triangle(factor.detach()).requires_grad_()
    product = whole.mH @ whole if upper else whole @ whole.mH
    by_product = torch.autograd.grad(torch.linalg.solve(product, b).sum(), whole)
    found = torch.autograd.grad(torch.cholesky_solve(b, whole, upper=upper).sum(), whole)
    torch.testing.assert_close(found, by_product)
