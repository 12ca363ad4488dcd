"""`torch._foreach_*`: every function against its op on each tensor, out of place and in place."""

import numpy as np
import pytest
from library import torch

UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg "
    "reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc"
)
BINARY = "add sub mul div clamp_max clamp_min maximum minimum pow"
TERNARY = ("addcmul", "addcdiv")


def tensors(seed=0, low=0.1):
    """Three float64 tensors of different shapes, between `low` and 0.9."""
    rng = np.random.default_rng(seed)
    return [torch.from_numpy(rng.uniform(low, 0.9, shape)) for shape in ((2, 3), (4,), ())]


def same(got, want):
    """The tensors of two lists are equal."""
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-12)


def op(name):
    """The op that a function applies to each tensor; numbers become tensors where it takes none."""
    function = getattr(torch, name)
    if name in ("maximum", "minimum"):
        return lambda a, b: function(a, b if isinstance(b, torch.Tensor) else torch.full_like(a, b))
    return function


@pytest.mark.parametrize("name", UNARY.split())
def test_unary(name):
    given = tensors()
    got = getattr(torch, f"_foreach_{name}")(given)
    assert type(got) is tuple
    want = [getattr(torch, name)(t) for t in given]
    same(got, want)
    assert getattr(torch, f"_foreach_{name}_")(given) is given
    same(given, want)


@pytest.mark.parametrize("name", BINARY.split())
@pytest.mark.parametrize("form", ["number", "numbers", "tensors"])
def test_binary(name, form):
    given = tensors()
    other = {"number": 0.5, "numbers": [0.25, 0.5, 2.0], "tensors": tensors(1)}[form]
    each = [other] * 3 if form == "number" else other
    want = [op(name)(t, o) for t, o in zip(given, each, strict=True)]
    same(getattr(torch, f"_foreach_{name}")(given, other), want)
    getattr(torch, f"_foreach_{name}_")(given, other)
    same(given, want)


@pytest.mark.parametrize("name", ["add", "mul", "div"])
def test_one_tensor_for_all(name):
    given, other = tensors(), torch.tensor(0.5, dtype=torch.float64)
    same(getattr(torch, f"_foreach_{name}")(given, other), [getattr(torch, name)(t, other) for t in given])
    with pytest.raises(RuntimeError, match="scalar tensor expected to be 0 dim but it has 1 dimensions"):
        getattr(torch, f"_foreach_{name}")(given, torch.ones(2))


def test_alpha():
    a, b = tensors(), tensors(1)
    same(torch._foreach_add(a, b, alpha=2), [torch.add(x, y, alpha=2) for x, y in zip(a, b, strict=True)])
    same(torch._foreach_sub(a, b, alpha=2), [torch.sub(x, y, alpha=2) for x, y in zip(a, b, strict=True)])


@pytest.mark.parametrize("name", TERNARY)
@pytest.mark.parametrize("value", [2.0, [1.0, 2.0, 3.0], "vector", None])
def test_ternary(name, value):
    a, b, c = tensors(), tensors(1), tensors(2)
    each = [1.0] * 3 if value is None else [2.0] * 3 if value == 2.0 else [1.0, 2.0, 3.0]
    if value == "vector":
        value = torch.tensor([1.0, 2.0, 3.0])
    args = (a, b, c) if value is None else (a, b, c, value)
    want = [getattr(torch, name)(x, y, z, value=v) for x, y, z, v in zip(a, b, c, each, strict=True)]
    same(getattr(torch, f"_foreach_{name}")(*args), want)
    getattr(torch, f"_foreach_{name}_")(*args)
    same(a, want)


@pytest.mark.parametrize("weight", [0.25, [0.1, 0.2, 0.3], "tensors"])
def test_lerp(weight):
    a, b = tensors(), tensors(1)
    weight = tensors(2) if weight == "tensors" else weight
    each = weight if isinstance(weight, list) else [weight] * 3
    want = [torch.lerp(x, y, w) for x, y, w in zip(a, b, each, strict=True)]
    same(torch._foreach_lerp(a, b, weight), want)
    torch._foreach_lerp_(a, b, weight)
    same(a, want)


def test_powers_of_a_number():
    given = tensors()
    same(torch._foreach_pow(2.0, given), [2.0**t for t in given])


def test_norm_and_max():
    given = tensors(low=-0.9)
    for order in (1, 2, float("inf")):
        same(torch._foreach_norm(given, order), [torch.linalg.vector_norm(t, order) for t in given])
    same(torch._foreach_max(given), [t.max() for t in given])
    assert torch._foreach_norm([torch.ones(2)], dtype=torch.float64)[0].dtype is torch.float64
    with pytest.raises(RuntimeError, match="cannot compute the maximum of an empty tensor"):
        torch._foreach_max([torch.empty(0)])


def test_copy_zero_clone_mm():
    a, b = tensors(), tensors(1)
    copies = torch._foreach_clone(a)
    same(copies, a)
    torch._foreach_copy_(a, b)
    same(a, b)
    torch._foreach_zero_(a)
    same(a, [torch.zeros_like(t) for t in b])
    assert float(copies[1][0]) != 0
    m = torch.ones(2, 2)
    same(torch._foreach_mm([m, m], [m, 2 * m]), [m @ m, 2 * m @ m])


def test_gradients_go_through():
    given = [t.requires_grad_() for t in tensors()]
    sum(t.sum() for t in torch._foreach_mul(torch._foreach_exp(given), 2.0)).backward()
    same([t.grad for t in given], [2 * torch.exp(t.detach()) for t in given])


def test_refusals():
    a = tensors()
    with pytest.raises(RuntimeError, match="Tensor list must have at least one tensor"):
        torch._foreach_add([], 1)
    with pytest.raises(RuntimeError, match="same number of tensors, got 3 and 2"):
        torch._foreach_add(a, a[:2])
    with pytest.raises(RuntimeError, match="same number of elements as scalar list"):
        torch._foreach_add(a, [1.0])
    with pytest.raises(TypeError):
        torch._foreach_add(a, "1")
    with pytest.raises(TypeError):
        torch._foreach_add(torch.ones(2), 1)
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type Long"):
        torch._foreach_sqrt_([torch.ones(2, dtype=torch.int64)])
    with pytest.raises(RuntimeError, match="Expected length of scalars to match input of length 3"):
        torch._foreach_addcmul(a, a, a, torch.ones(2))
