"""Random nests of transforms, up to depth four, against finite differences.

A nest is a list of transforms applied to a smooth function of a vector, innermost first. Each turns a
function of a vector into one of a vector again, by its formula; `reference` is the same formula with
central differences, in long double, in place of derivatives.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from library import ON_TORCH, torch

pytestmark = pytest.mark.filterwarnings("ignore")
func = torch.func
WEIGHTS = np.array([[0.3, -0.8], [0.5, 0.4]])
DIRECTION = np.array([0.6, -0.9])
POINT = np.array([0.7, -0.4])


# Smooth functions of a vector of two, to one of two: for tensors and for NumPy.
def with_library(name):
    w = torch.tensor(WEIGHTS)
    return {
        "sin": lambda x: torch.sin(x) * x.sum(),
        "tanh": lambda x: torch.tanh(w @ x) + x * x,
        "exp": lambda x: torch.exp(-x * x) * (x.flip(0) + 1),
        "power": lambda x: torch.stack([x[0] ** 3 * x[1], (x**2).sum()]),
        "ratio": lambda x: x / (1 + (x * x).sum()),
        "norm": lambda x: torch.softmax(x, 0) * torch.logsumexp(x, 0),
    }[name]


def with_numpy(name):
    def softmax(x):
        e = np.exp(x)
        return e / e.sum()

    return {
        "sin": lambda x: np.sin(x) * x.sum(),
        "tanh": lambda x: np.tanh(WEIGHTS @ x) + x * x,
        "exp": lambda x: np.exp(-x * x) * (x[::-1] + 1),
        "power": lambda x: np.stack([x[0] ** 3 * x[1], (x**2).sum()]),
        "ratio": lambda x: x / (1 + (x * x).sum()),
        "norm": lambda x: softmax(x) * np.log(np.exp(x).sum()),
    }[name]


# ------------------------------------------------------------------------------- the transforms
def direction():
    return torch.tensor(DIRECTION)


def batch(x):
    """Two vectors made of one."""
    return torch.stack([x, x * 0.5 + 0.1])


TRANSFORMS = {
    "grad": lambda f: func.grad(lambda x: f(x).sum()),
    "weighed grad": lambda f: lambda x: func.grad(lambda y: (f(y) * x).sum())(x),  # x is captured
    "vjp": lambda f: lambda x: func.vjp(f, x)[1](direction())[0],
    "jvp": lambda f: lambda x: func.jvp(f, (x,), (direction(),))[1],
    "jacrev": lambda f: lambda x: func.jacrev(f)(x) @ direction(),
    "jacfwd": lambda f: lambda x: func.jacfwd(f)(x) @ direction(),
    "vmap": lambda f: lambda x: func.vmap(f)(batch(x)).sum(0),
    "vmap of grad": lambda f: lambda x: func.vmap(func.grad(lambda y: f(y)[0]))(batch(x)).sum(0),
    "shared vmap": lambda f: lambda x: func.vmap(lambda s: f(x * s))(direction()).sum(0),
}


def matrix(f, x):
    """The Jacobian by central differences of the fourth order."""
    h = np.longdouble(2e-3)
    columns = []
    for i in range(2):
        e = np.zeros(2, np.longdouble)
        e[i] = h
        columns.append((8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h))
    return np.stack(columns, -1)


def both(x):
    return [x, x * np.longdouble(0.5) + np.longdouble(0.1)]


REFERENCE = {
    "grad": lambda f: lambda x: matrix(f, x).sum(0),
    "weighed grad": lambda f: lambda x: x @ matrix(f, x),
    "vjp": lambda f: lambda x: DIRECTION @ matrix(f, x),
    "jvp": lambda f: lambda x: matrix(f, x) @ DIRECTION,
    "jacrev": lambda f: lambda x: matrix(f, x) @ DIRECTION,
    "jacfwd": lambda f: lambda x: matrix(f, x) @ DIRECTION,
    "vmap": lambda f: lambda x: sum(f(y) for y in both(x)),
    "vmap of grad": lambda f: lambda x: sum(matrix(f, y)[0] for y in both(x)),
    "shared vmap": lambda f: lambda x: sum(f(x * s) for s in DIRECTION),
}


def check(name, nest):
    f, reference = with_library(name), with_numpy(name)
    for one in nest:
        f, reference = TRANSFORMS[one](f), REFERENCE[one](reference)
    found = f(torch.tensor(POINT))
    expected = np.asarray(reference(POINT.astype(np.longdouble)), np.float64)
    derivatives = sum("vmap" not in one or "grad" in one for one in nest)
    np.testing.assert_allclose(
        found.detach().numpy(), expected, rtol=10.0 ** (derivatives - 8), atol=10.0 ** (derivatives - 8)
    )
    assert not found.requires_grad


@pytest.mark.slow
@settings(max_examples=25 if ON_TORCH else 120, deadline=None)
@given(
    st.sampled_from(["sin", "tanh", "exp", "power", "ratio", "norm"]),
    st.lists(st.sampled_from(sorted(TRANSFORMS)), min_size=1, max_size=4),
)
def test_random_nests(name, nest):
    check(name, nest)


@pytest.mark.parametrize("outer", sorted(TRANSFORMS))
@pytest.mark.parametrize("inner", sorted(TRANSFORMS))
def test_all_pairs(inner, outer):
    check("tanh", [inner, outer])
    check("power", [inner, outer])


def test_backward_through_a_nest():
    x = torch.tensor(POINT, requires_grad=True)
    f = TRANSFORMS["vmap of grad"](TRANSFORMS["jvp"](with_library("sin")))
    f(x).sum().backward()
    expected = matrix(
        REFERENCE["vmap of grad"](REFERENCE["jvp"](with_numpy("sin"))), POINT.astype(np.longdouble)
    ).sum(0)
    np.testing.assert_allclose(x.grad.numpy(), expected.astype(np.float64), rtol=1e-6)


# ------------------------------------------------------------------------------ writes in place


def sine_of_a_slice(x):
    y = x.clone()
    y[2:].sin_()
    return (y * x).sum()


def columns_of_a_view(x):
    y = x * 1
    y.view(2, 2)[:, 0].mul_(y.view(2, 2)[:, 1].clone())
    y.t().exp_()
    return (y * y).sum()


def into_zeros(x):
    y = torch.zeros(4, dtype=x.dtype)
    y[0] = x[1]
    y[1:3] = x[:2] * x[2:]
    y.add_(x, alpha=2)
    return (y**3).sum()


def row_column_diagonal(x):
    y = x.expand(3, 4).clone()
    y[1].mul_(x.cos())
    y[:, 2] = x[:3]
    y.diagonal().sigmoid_()
    return (y * y).sum()


def scan_in_place(x):
    y = x.clone()
    y.cumsum_(0)
    y[::2].pow_(2)
    return y.prod()


def parts_of_complex(x):
    c = torch.complex(x, x.flip(0)).clone()
    torch.view_as_real(c)[0].mul_(3)
    c.real[1:] = x[1:] ** 2
    return (c * c.conj()).real.sum()


def views_made_before(x):
    y = torch.zeros(4, dtype=x.dtype)
    first, last = y[:2], y[1:]
    first.copy_(x[2:] ** 2)
    last.add_(x[1:])
    first.mul_(x[0])
    return (y * y.flip(0)).sum() + first.sum()


WRITERS = [
    sine_of_a_slice, columns_of_a_view, into_zeros, row_column_diagonal, scan_in_place, parts_of_complex,
    views_made_before,
]  # fmt: skip
SECOND = {
    "reverse over forward": lambda f: func.jacrev(func.jacfwd(f)),
    "forward over reverse": lambda f: func.jacfwd(func.jacrev(f)),
    "forward over forward": lambda f: func.jacfwd(func.jacfwd(f)),
    "forward over grad": lambda f: func.jacfwd(func.grad(f)),
    "vmap": lambda f: lambda x: torch.vmap(func.hessian(f))(x[None])[0],
}


def close(found, expected, rtol=1e-9, atol=1e-9):
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=rtol, atol=atol)


PLACE = torch.tensor([0.4, -0.7, 1.3, 0.9], dtype=torch.float64)


@pytest.mark.parametrize("mode", SECOND)
@pytest.mark.parametrize("f", WRITERS, ids=lambda f: f.__name__)
def test_second_derivatives_of_writers(f, mode):
    if mode == "vmap" and f in (into_zeros, views_made_before):
        return  # zeros that all samples share cannot be written to
    if ON_TORCH and f is columns_of_a_view and mode == "forward over forward":
        pytest.skip("PyTorch cannot write to zero tangents")
    if ON_TORCH and f is views_made_before:
        pytest.skip("PyTorch takes what writes to a view for a leaf")
    expected = func.jacrev(func.grad(f))(PLACE)
    close(SECOND[mode](f)(PLACE), expected)
    step = 1e-6 * torch.eye(4, dtype=PLACE.dtype)
    slopes = torch.stack([(func.grad(f)(PLACE + e) - func.grad(f)(PLACE - e)) / 2e-6 for e in step])
    close(expected, slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("f", WRITERS, ids=lambda f: f.__name__)
def test_third_derivatives_of_writers(f):
    if ON_TORCH and f in (columns_of_a_view, views_made_before):
        pytest.skip("PyTorch has no tangents to write to")
    expected = func.jacrev(func.jacrev(func.grad(f)))(PLACE)
    close(func.jacfwd(func.jacfwd(func.grad(f)))(PLACE), expected)
    close(func.jacfwd(func.jacrev(func.grad(f)))(PLACE), expected)
