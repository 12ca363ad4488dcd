"""Every family beside PyTorch's: draws for the same seed, densities, moments, gradients, shapes."""

import io
import re

import numpy as np
import pytest
from family_rows import FAMILIES, make, name_of
from library import pullback_only, torch

pytestmark = [
    pullback_only("compares Pullback with PyTorch"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("their_doubles"),
]
theirs = pytest.importorskip("torch")

ATTRIBUTES = ("mean", "mode", "variance", "stddev", "batch_shape", "event_shape")
FLAGS = ("has_rsample", "has_enumerate_support")
METHODS = ("entropy", "perplexity")
# Ours has what theirs lacks, or more digits.
MORE = {
    ("VonMises", "has_rsample"),
    ("VonMises", "variance"),
    ("VonMises", "stddev"),
}


GAMMA = re.compile("Gamma|Chi2")  # of whose cdf PyTorch has no derivative


@pytest.fixture
def their_doubles(doubles):
    theirs.set_default_dtype(theirs.float64)
    yield
    theirs.set_default_dtype(theirs.float32)


def tolerance_of(row, usual):
    """Their Bessel functions have seven digits."""
    return max(usual, 1e-6) if "VonMises" in row else usual


def gradients(lib, result, leaves, row):
    """The gradients of a weighted sum; of Cholesky factors the lower triangle, which alone counts."""
    weights = lib.tensor(np.cos(np.arange(result.numel())).reshape(result.shape))
    grads = lib.autograd.grad((result * weights).sum(), leaves, allow_unused=True, retain_graph=True)
    return [g if g is None or "tril(" not in row or g.dim() < 2 else g.tril() for g in grads]


def same_gradients(found, wanted, leaves, other_leaves, row, tolerance, what):
    grads = gradients(torch, found, leaves, row)
    for g, h in zip(grads, gradients(theirs, wanted, other_leaves, row), strict=True):
        assert (g is None) == (h is None)
        if g is not None:
            same(g, h, tolerance, f"gradient of {what}")


def numbers(value):
    return value.detach().numpy() if hasattr(value, "detach") else np.asarray(value)


def told(function, *arguments):
    """What a function returns, or the kind of its error."""
    try:
        return function(*arguments)
    except (NotImplementedError, ValueError, AttributeError, RuntimeError, TypeError) as error:
        return type(error).__name__


def same(ours, other, tolerance, what):
    if isinstance(other, str) or isinstance(ours, str):
        assert str(ours) == str(other), f"{what}: {ours} {other}"
        return
    a, b = numbers(ours), numbers(other)
    assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.shape} {a.dtype}, not {b.shape} {b.dtype}"
    if a.dtype.kind == "f":  # where theirs is nan, ours may know
        a = np.where(np.isnan(b), b, a)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=what)


@pytest.mark.parametrize("row", FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws(row, dtype):
    ours, other = (make(lib, row, dtype)[0] for lib in (torch, theirs))
    assert repr(ours) == repr(other)
    for shape in ((), (5,), (2, 3)):
        torch.manual_seed(1)
        theirs.manual_seed(1)
        found, wanted = (told(d.sample, lib.Size(shape)) for d, lib in ((ours, torch), (other, theirs)))
        same(found, wanted, 2e-5 if dtype == "float32" else 1e-12, f"sample {shape}")
        assert torch.get_rng_state().tolist() == theirs.get_rng_state().tolist()


@pytest.mark.parametrize("row", FAMILIES)
def test_values(row):
    (ours, leaves), (other, other_leaves) = make(torch, row), make(theirs, row)
    for name in (*ATTRIBUTES, *FLAGS):
        if (name_of(row), name) not in MORE:
            found, wanted = (told(getattr, d, name) for d in (ours, other))
            same(found, wanted, tolerance_of(row, 1e-9), name)
    for name in METHODS:
        found, wanted = (told(getattr(d, name)) for d in (ours, other))
        same(found, wanted, 1e-9, name)
    theirs.manual_seed(2)
    value = other.sample((3,))
    u = theirs.rand(value.shape)
    for name, y in (("log_prob", value), ("cdf", value), ("icdf", u)):
        x = torch.tensor(y.numpy())
        found, wanted = told(getattr(ours, name), x), told(getattr(other, name), y)
        same(found, wanted, tolerance_of(row, 1e-9), name)
        if not isinstance(wanted, str) and wanted.requires_grad and not (name == "cdf" and GAMMA.search(row)):
            same_gradients(found, wanted, leaves, other_leaves, row, tolerance_of(row, 1e-8), name)


@pytest.mark.parametrize("row", FAMILIES)
def test_gradients_of_samples(row):
    (ours, leaves), (other, other_leaves) = make(torch, row), make(theirs, row)
    if not other.has_rsample or "Wishart" in row:
        pytest.skip("PyTorch has no gradient")
    torch.manual_seed(3)
    theirs.manual_seed(3)
    x, y = ours.rsample((4,)), other.rsample((4,))
    same(x, y, 1e-11, "rsample")
    assert x.requires_grad == y.requires_grad
    implicit = re.search("Beta|Chi2|Dirichlet|Fisher|Gamma|StudentT", row)
    if y.requires_grad:  # theirs of gamma numbers are approximations
        same_gradients(x, y, leaves, other_leaves, row, 5e-3 if implicit else 1e-9, "samples")


@pytest.mark.parametrize("row", FAMILIES)
def test_expanded(row):
    ours, other = make(torch, row)[0], make(theirs, row)[0]
    shape = (2, *other.batch_shape)
    found, wanted = ours.expand(shape), other.expand(shape)
    assert repr(found) == repr(wanted)
    assert (*found.batch_shape, *found.event_shape) == (*wanted.batch_shape, *wanted.event_shape)
    torch.manual_seed(4)
    theirs.manual_seed(4)
    x, y = found.sample((3,)), wanted.sample((3,))
    same(x, y, 1e-11, "sample")
    same(found.log_prob(x), wanted.log_prob(y), tolerance_of(row, 1e-9), "log_prob")
    same(*(told(d.enumerate_support) for d in (found, wanted)), 1e-12, "enumerate_support")
    same(*(told(d.enumerate_support, False) for d in (found, wanted)), 1e-12, "support")


def test_every_family_has_a_row():
    kinds = {
        name
        for name in theirs.distributions.__all__
        if isinstance(getattr(theirs.distributions, name), type)
        and issubclass(getattr(theirs.distributions, name), theirs.distributions.Distribution)
    }
    assert kinds - {"Distribution", "ExponentialFamily"} == {name_of(row) for row in FAMILIES}


def test_public_names():
    assert set(torch.distributions.__all__) == set(theirs.distributions.__all__)
    for space in ("constraints", "transforms", "utils", "kl", "constraint_registry"):
        ours, other = (getattr(lib.distributions, space) for lib in (torch, theirs))
        assert set(other.__all__) <= set(dir(ours))


@pytest.mark.parametrize("row", FAMILIES)
def test_files_go_both_ways(row):
    for lib, reader in ((torch, theirs), (theirs, torch)):
        d = make(lib, row)[0]
        if "_Inverse" in repr(getattr(d, "transforms", "")) and lib is theirs:
            continue  # PyTorch cannot pickle an inverse
        file = io.BytesIO()
        lib.save(d.expand(d.batch_shape), file)
        file.seek(0)
        again = reader.load(file, weights_only=False)
        assert type(again).__name__ == name_of(row) and repr(again) == repr(d.expand(d.batch_shape))
