"""`torch.autograd.functional`: products and matrices in all their forms, options and refusals."""

import pytest
from library import ON_TORCH, check, leaf, torch

pytestmark = pytest.mark.filterwarnings("ignore" if ON_TORCH else "error")
F = torch.autograd.functional
X, Y = torch.tensor([0.0, 1.0, 2.0]), torch.ones(2)
EYE = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def cube(a):
    return (a**3).sum()


def mixed(a, b):
    return (a**3).sum() * b.sum()


def diag(*values):
    return torch.diag(torch.tensor(values)).tolist()


# ------------------------------------------------------------------------------- products


def test_vjp():
    value, found = F.vjp(lambda a: a**2, X, torch.ones(3))
    check(value, [0, 1, 4])
    check(found, [0, 2, 4])
    assert not value.requires_grad
    assert not found.requires_grad
    check(F.vjp(cube, X)[1], [0, 3, 12])
    _, found = F.vjp(lambda a, b: (a.sum() * b, b), (X, Y), (Y, Y))
    check(found[0], [2, 2, 2])
    check(found[1], [4, 4])
    check(F.vjp(lambda a: torch.ones(3), X, X)[1], [0, 0, 0])


def test_jvp():
    value, found = F.jvp(lambda a: a**2, X, torch.ones(3))
    check(value, [0, 1, 4])
    check(found, [0, 2, 4])
    check(F.jvp(lambda a: a**2, X[1:2])[1], [2])
    _, found = F.jvp(lambda a, b: (a.sum() * b, b), (X, Y), (X, Y))
    check(found[0], [6, 6])
    x = leaf([1.0, 2.0])
    value, found = F.jvp(lambda a: a**3, x, torch.ones(2), create_graph=True)
    found.sum().backward()
    check(x.grad, [6, 12])


@pytest.mark.parametrize("product", [F.vhp, F.hvp])
def test_hessian_products(product):
    value, found = product(cube, X, torch.ones(3))
    assert float(value) == 9
    check(found, [0, 6, 12])
    value, found = product(mixed, (X, Y), (X, Y))
    check(found[0], [0, 18, 72])
    check(found[1], [27, 27])
    check(product(lambda a: a.sum(), X, X)[1], [0, 0, 0])
    x = leaf([1.0, 2.0])
    product(cube, x, torch.ones(2), create_graph=True)[1].sum().backward()
    check(x.grad, [6, 6])


# ------------------------------------------------------------------------------- matrices

WAYS = [
    {},
    {"vectorize": True},
    {"vectorize": True, "strategy": "forward-mode"},
]


@pytest.mark.parametrize("options", WAYS)
def test_jacobian(options):
    check(F.jacobian(lambda a: a**2, X, **options), diag(0.0, 2.0, 4.0))
    blocks = F.jacobian(lambda a, b: (a.sum() * b, b.sum()), (X, Y), **options)
    check(blocks[0][0], [[1, 1, 1], [1, 1, 1]])
    check(blocks[0][1], [[3, 0], [0, 3]])
    check(blocks[1][0], [0, 0, 0])
    check(blocks[1][1], [1, 1])
    check(F.jacobian(lambda a: torch.ones(2), X, **options), [[0, 0, 0], [0, 0, 0]])
    check(F.jacobian(lambda a: a.sum(), X, **options), [1, 1, 1])
    assert F.jacobian(lambda a: a[None, :2], X.reshape(3), **options).shape == (1, 2, 3)


@pytest.mark.parametrize("vectorize", [False, True])
def test_jacobian_with_a_graph(vectorize):
    x = leaf([1.0, 2.0])
    found = F.jacobian(lambda a: a**2, x, create_graph=True, vectorize=vectorize)
    found.sum().backward()
    check(x.grad, [2, 2])
    assert F.jacobian(lambda a: a**2, X, create_graph=True, vectorize=vectorize).requires_grad
    assert not F.jacobian(lambda a: a**2, x, vectorize=vectorize).requires_grad


HESSIAN_WAYS = [
    {},
    {"vectorize": True},
    {"vectorize": True, "outer_jacobian_strategy": "forward-mode"},
]


@pytest.mark.parametrize("options", HESSIAN_WAYS)
def test_hessian(options):
    check(F.hessian(cube, X, **options), diag(0.0, 6.0, 12.0))
    check(F.hessian(lambda a: cube(a).reshape(1), X, **options), diag(0.0, 6.0, 12.0))
    blocks = F.hessian(mixed, (X, Y), **options)
    check(blocks[0][0], diag(0.0, 12.0, 24.0))
    check(blocks[0][1], [[0, 0], [3, 3], [12, 12]])
    check(blocks[1][0], [[0, 3, 12], [0, 3, 12]])
    check(blocks[1][1], [[0, 0], [0, 0]])
    check(F.hessian(lambda a: a.sum(), X, **options), diag(0.0, 0.0, 0.0))


# ------------------------------------------------------------------------------- refusals

INDEPENDENT = "Output 0 of the user-provided function does not require gradients"
FORWARD = {"strategy": "forward-mode"}

REFUSALS = [
    (lambda: F.jacobian(lambda a: a, [X]), TypeError, "the given inputs has type <class 'list'>"),
    (lambda: F.jacobian(lambda a, b: a, (X, 3.0)), TypeError, "value at index 1 has type <class 'float'>"),
    (lambda: F.jacobian(lambda a: 3.0, X), TypeError, "outputs of the user-provided function given to"),
    (lambda: F.jacobian(lambda a: Y, X, strict=True), RuntimeError, INDEPENDENT),
    (lambda: F.jacobian(lambda a, b: a, (X, Y), strict=True), RuntimeError, "is independent of input 1"),
    (
        lambda: F.jacobian(lambda a: a * 2, X, strict=True, create_graph=True),
        RuntimeError,
        "The jacobian of the user-provided function is independent of input 0",
    ),
    (
        lambda: F.jacobian(lambda a: a, X, strict=True, vectorize=True),
        RuntimeError,
        "`strict=True` and `vectorized=True` are not supported together",
    ),
    (
        lambda: F.jacobian(lambda a: a, X, **FORWARD),
        NotImplementedError,
        "Computing Jacobian using forward-AD",
    ),
    (lambda: F.jacobian(lambda a: a, X, strategy="z"), AssertionError, "Expected strategy to be either"),
    (
        lambda: F.jacobian(lambda a: a, X, vectorize=True, strict=True, **FORWARD),
        RuntimeError,
        '`strict=True` and `strategy="forward-mode"`',
    ),
    (
        lambda: F.jacobian(lambda a: a, X, vectorize=True, create_graph=True, **FORWARD),
        NotImplementedError,
        '`create_graph=True` and `strategy="forward-mode"`',
    ),
    (lambda: F.hessian(lambda a: a, X), RuntimeError, "given to hessian should contain a single element"),
    (lambda: F.hessian(lambda a: (a, a), X), RuntimeError, "given to hessian should return a single Tensor"),
    (
        lambda: F.hessian(lambda a: a.sum(), X, strict=True),
        RuntimeError,
        "While computing the hessian, found",
    ),
    (lambda: F.hessian(lambda a: torch.ones(()), X, strict=True), RuntimeError, INDEPENDENT),
    (
        lambda: F.hessian(cube, X, outer_jacobian_strategy="z"),
        AssertionError,
        "Expected strategy to be either",
    ),
    (lambda: F.vjp(lambda a: a, X), RuntimeError, "can only be None if the user-provided function returns"),
    (lambda: F.vjp(lambda a: a, X, Y), RuntimeError, "v has invalid size: should be"),
    (lambda: F.vjp(lambda a: a, X, (X, X)), RuntimeError, "The given v should contain a single Tensor"),
    (lambda: F.vjp(lambda a: a, X, (3.0,)), TypeError, "v given to vjp must be either a Tensor or a tuple"),
    (lambda: F.vjp(lambda a: X, X, X, strict=True), RuntimeError, INDEPENDENT),
    (lambda: F.jvp(lambda a: a, X), RuntimeError, "can only be None if the input to the user-provided"),
    (lambda: F.jvp(lambda a: X, X, X, strict=True), RuntimeError, INDEPENDENT),
    (lambda: F.vhp(cube, X), RuntimeError, "can only be None if the input to the user-provided"),
    (lambda: F.vhp(lambda a: a, X, X), RuntimeError, "given to vhp should contain a single element"),
    (lambda: F.vhp(lambda a: a.sum(), X, X, strict=True), RuntimeError, "While computing the hessian, found"),
    (lambda: F.hvp(lambda a: a.sum(), X, X, strict=True), RuntimeError, "While computing the hessian, found"),
]


@pytest.mark.parametrize(("call", "kind", "message"), REFUSALS)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()
