"""Transforms: values, inverses, Jacobians, shapes, caches, equality, what they print and refuse."""

import pickle

import numpy as np
import pytest
from library import ON_TORCH, pullback_only, torch

D = torch.distributions
pytestmark = pytest.mark.usefixtures("doubles")
C = D.constraints
t = torch.tensor

ALL = {
    "exp": lambda: (D.ExpTransform(), [0.3, -1.0, 2.0]),
    "power": lambda: (D.PowerTransform(2.5), [0.3, 1.0, 2.0]),
    "sigmoid": lambda: (D.SigmoidTransform(), [0.3, -1.0, 2.0]),
    "softplus": lambda: (D.SoftplusTransform(), [0.3, -1.0, 2.0]),
    "tanh": lambda: (D.TanhTransform(), [0.3, -1.0, 2.0]),
    "affine": lambda: (D.AffineTransform(1.0, -2.0), [0.3, -1.0, 2.0]),
    "affine tensors": lambda: (D.AffineTransform(t([1.0, 2.0, 3.0]), t([0.5, -2.0, 1.0])), [0.3, -1.0, 2.0]),
    "affine events": lambda: (D.AffineTransform(1.0, -2.0, event_dim=1), [0.3, -1.0, 2.0]),
    "affine scales": lambda: (D.AffineTransform(1.0, t([0.5, -2.0, 1.0]), event_dim=1), [0.3, -1.0, 2.0]),
    "compose": lambda: (
        D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)]),
        [0.3, -1.0, 2.0],
    ),
    "mixed": lambda: (
        D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.StickBreakingTransform()]),
        [0.3, -1.0, 2.0],
    ),
    "identity": lambda: (D.identity_transform, [0.3, -1.0, 2.0]),
    "independent": lambda: (D.IndependentTransform(D.ExpTransform(), 1), [0.3, -1.0, 2.0]),
    "reshape": lambda: (D.ReshapeTransform((4,), (2, 2)), [0.3, -1.0, 2.0, 1.0]),
    "stick breaking": lambda: (D.StickBreakingTransform(), [0.3, -1.0, 2.0]),
    "correlation": lambda: (D.CorrCholeskyTransform(), [0.3, -1.0, 2.0, 0.1, 0.2, -0.7]),
    "cat": lambda: (D.CatTransform([D.ExpTransform(), D.TanhTransform()], 0, [1, 2]), [0.3, -1.0, 2.0]),
    "stack": lambda: (D.StackTransform([D.ExpTransform(), D.TanhTransform()], 0), [0.3, -1.0]),
    "cdf": lambda: (D.CumulativeDistributionTransform(D.Normal(0.5, 2.0)), [0.3, -1.0, 2.0]),
    "inverse": lambda: (D.ExpTransform().inv, [0.3, 1.0, 2.0]),
    "inverse of many": lambda: (
        D.ComposeTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)]).inv,
        [1.3, 4.0],
    ),
}


def free(y, transform):
    """The numbers of an image that are free: as many as the value has."""
    if transform.codomain is C.simplex:
        return y[..., :-1]
    if transform.codomain is C.corr_cholesky:
        return y[tuple(torch.tril_indices(*y.shape, -1))]
    return y


@pytest.mark.parametrize("name", ALL)
def test_inverse_and_jacobian(name):
    transform, value = ALL[name]()
    x = t(value)
    y = transform(x)
    assert transform.domain.check(x).all() and transform.codomain.check(y).all()
    assert transform.bijective
    np.testing.assert_allclose(transform.inv(y).numpy(), x.numpy(), rtol=1e-9, atol=1e-12)
    assert transform.inv.inv is transform
    rows = torch.autograd.functional.jacobian(lambda v: free(transform(v), transform).reshape(-1), x)
    found = transform.log_abs_det_jacobian(x, y)
    assert found.shape == x.shape[: x.dim() - transform.domain.event_dim]
    wanted = torch.linalg.slogdet(rows)[1]
    np.testing.assert_allclose(found.sum().item(), wanted.item(), rtol=1e-9)
    back = transform.inv.log_abs_det_jacobian(y, x)
    np.testing.assert_allclose(back.numpy(), -found.numpy())


@pytest.mark.parametrize("name", ALL)
def test_shapes_and_batches(name):
    transform, value = ALL[name]()
    if name in ("cat", "stack"):
        pytest.skip("their dim is the first")
    x = torch.stack([t(value), t(value) + 0.1, t(value)])
    y = transform(x)
    assert tuple(transform.forward_shape(tuple(x.shape))) == tuple(y.shape)
    assert tuple(transform.inverse_shape(tuple(y.shape))) == tuple(x.shape)
    np.testing.assert_allclose(
        y[0].numpy(), transform(t(value)).numpy() if name != "affine tensors" else y[0]
    )
    domain, codomain = transform.domain.event_dim, transform.codomain.event_dim
    if domain != codomain:
        with pytest.raises(ValueError, match=r"use either .domain.event_dim or .codomain.event_dim"):
            _ = transform.event_dim
    else:
        assert transform.event_dim == domain


@pytest.mark.parametrize("name", ALL)
def test_copies(name):
    transform, value = ALL[name]()
    x = t(value)
    if ON_TORCH and "inverse" in name:
        pytest.skip("PyTorch's inverses cannot be pickled")
    again = pickle.loads(pickle.dumps(transform))
    assert again(x).tolist() == transform(x).tolist()
    cached = transform.with_cache()
    assert cached.with_cache() is cached and transform.with_cache(0) is transform
    y = cached(x)
    assert cached.inv(y) is x or name in ("identity", "reshape", "inverse")
    with pytest.raises(TypeError, match="unhashable"):
        hash(transform)


def test_equality():
    assert D.ExpTransform() == D.ExpTransform() and D.ExpTransform() != D.SigmoidTransform()
    assert D.ExpTransform().inv == D.ExpTransform().inv
    assert D.AffineTransform(0.0, 1.0) == D.AffineTransform(t(0.0), 1.0)
    assert D.AffineTransform(0.0, 1.0) != D.AffineTransform(0.0, 2.0)
    assert D.PowerTransform(2.0) == D.PowerTransform(t(2.0)) != D.PowerTransform(3.0)
    assert D.ComposeTransform([D.ExpTransform()]) == D.ComposeTransform([D.ExpTransform()])
    assert D.StickBreakingTransform() == D.StickBreakingTransform()


def test_signs():
    assert [D.AffineTransform(0.0, s).sign for s in (2.0, -2.0)] == [1, -1]
    assert D.AffineTransform(0.0, t([2.0, -2.0])).sign.tolist() == [1, -1]
    assert D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.0, -1.0)]).sign == -1
    assert D.PowerTransform(-2.0).sign.item() == -1
    for transform in (D.StickBreakingTransform(), D.AbsTransform(), D.Transform()):
        with pytest.raises(NotImplementedError):
            _ = transform.sign


def test_not_bijective():
    assert D.AbsTransform()(t([-1.0, 2.0])).tolist() == [1, 2]
    assert D.AbsTransform().inv(t([1.0])).tolist() == [1]
    np.testing.assert_allclose(D.SoftmaxTransform()(t([0.0, 0.0])).numpy(), 0.5)
    for transform in (D.SoftmaxTransform(), D.AbsTransform(), D.LowerCholeskyTransform()):
        assert not transform.bijective
        with pytest.raises(NotImplementedError):
            transform.log_abs_det_jacobian(t([1.0]), t([1.0]))


def test_printed():
    compose = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.0, 1.0)])
    assert repr(compose) == "ComposeTransform(\n    ExpTransform(),\n    AffineTransform()\n)"
    assert repr(D.ExpTransform().inv) == "_InverseTransform(ExpTransform())"
    assert repr(D.IndependentTransform(D.ExpTransform(), 1)) == "IndependentTransform(ExpTransform(), 1)"


@pytest.mark.parametrize(
    ("run", "kind", "message"),
    [
        (lambda: D.ExpTransform(cache_size=2), ValueError, "cache_size must be 0 or 1"),
        (
            lambda: D.ReshapeTransform((2,), (3,)),
            ValueError,
            "in_shape, out_shape have different numbers of elements",
        ),
        (
            lambda: D.ReshapeTransform((2,), (2, 1)).forward_shape(()),
            ValueError,
            "Too few dimensions on input",
        ),
        (
            lambda: D.ReshapeTransform((2,), (2, 1)).forward_shape((3,)),
            ValueError,
            "Shape mismatch: expected (3,) but got torch.Size([2])",
        ),
        (lambda: D.StickBreakingTransform().forward_shape(()), ValueError, "Too few dimensions on input"),
        (
            lambda: D.CorrCholeskyTransform().forward_shape((4,)),
            ValueError,
            "Input is not a flattened lower-diagonal number",
        ),
        (lambda: D.CorrCholeskyTransform().inverse_shape((3, 2)), ValueError, "Input is not square"),
        (lambda: D.CatTransform([3]), AssertionError, "All elements of tseq must be Transform instances"),
        (
            lambda: D.CatTransform([D.ExpTransform()], 0, [1, 2]),
            AssertionError,
            "lengths (2) must match transforms (1)",
        ),
        (
            lambda: D.CatTransform([D.ExpTransform()], 0, [2])(t([1.0])),
            AssertionError,
            "x.size(0) = 1 must equal length 2",
        ),
        (
            lambda: D.StackTransform([D.ExpTransform()], 0)(t([1.0, 2.0])),
            AssertionError,
            "x.size(0) = 2 must equal len(transforms) 1",
        ),
        (
            lambda: D.IndependentTransform(D.ExpTransform(), 2)(t([1.0])),
            ValueError,
            "Too few dimensions on input",
        ),
    ],
)
def test_refused(run, kind, message):
    with pytest.raises(kind) as caught:
        run()
    assert str(caught.value) == message


def test_a_class_with_parameters_says_how_it_is_cached():
    class Mine(D.Transform):
        domain = codomain = C.real
        bijective = True

        def __init__(self, by, cache_size=0):
            self.by = by
            super().__init__(cache_size)

    with pytest.raises(NotImplementedError, match="with_cache is not implemented"):
        Mine(1).with_cache()


@pullback_only("PyTorch counts a scale of one number once, whatever the event")
def test_a_scale_of_one_number_counts_for_each_element():
    transform = D.AffineTransform(0.0, t(2.0), event_dim=1)
    x = torch.ones(3, 2)
    np.testing.assert_allclose(transform.log_abs_det_jacobian(x, transform(x)).numpy(), 2 * np.log(2.0))


def test_extremes():
    assert D.SigmoidTransform()(t([800.0, -800.0])).tolist()[0] < 1
    assert np.isfinite(D.SigmoidTransform().inv(t([0.0, 1.0])).numpy()).all()
    np.testing.assert_allclose(
        D.TanhTransform().log_abs_det_jacobian(t(50.0), t(1.0)).item(), 2 * (np.log(2) - 50)
    )
    assert D.SoftplusTransform().log_abs_det_jacobian(t(-800.0), t(0.0)).item() == -800
