"""Numbers beside half precisions: which are rounded first, and that results are rounded once."""

import operator

import pytest
from library import torch

F = torch.nn.functional
HALVES = (torch.float16, torch.bfloat16)
NUMBERS = (0.1, 0.3, 1.7, 3.3, 0.7001)


def sample(dtype):
    """Numbers of both signs without zero, a few of PyTorch's vectors: it rounds otherwise in what is left."""
    return torch.linspace(-3, 3, 256, dtype=torch.float64).to(dtype)


def same(a, b):
    return a.dtype is b.dtype and torch.equal(torch.nan_to_num(a, 99.0), torch.nan_to_num(b, 99.0))


# The number stays float32: the op is that of float32, its result rounded.
WIDE = {
    "mul": lambda x, s: x * s,
    "rmul": lambda x, s: s * x,
    "div": lambda x, s: x / s,
    "mul_": lambda x, s: x.clone().mul_(s),
    "div_": lambda x, s: x.clone().div_(s),
    "imul": lambda x, s: operator.imul(x.clone(), s),
    "itruediv": lambda x, s: operator.itruediv(x.clone(), s),
    "true_divide": lambda x, s: torch.true_divide(x, s),
    "floor_divide": lambda x, s: torch.floor_divide(x, s),
    "div_floor": lambda x, s: torch.div(x, s, rounding_mode="floor"),
    "foreach_mul": lambda x, s: torch._foreach_mul([x], s)[0],
    "foreach_div": lambda x, s: torch._foreach_div([x], s)[0],
    "addcdiv": lambda x, s: torch.addcdiv(x, x.flip(0), x, value=s),
    "lerp": lambda x, s: torch.lerp(x, x.flip(0), s),
    "leaky_relu": lambda x, s: F.leaky_relu(x, s),
    "elu": lambda x, s: F.elu(x, s),
    "celu": lambda x, s: F.celu(x, s),
    "softplus": lambda x, s: F.softplus(x, s),
    "softshrink": lambda x, s: F.softshrink(x, s),
    "strided mul": lambda x, s: x.reshape(-1, 2)[:, 0] * s,
    "row of a matrix": lambda x, s: (x.reshape(-1, 2).t() * s).contiguous(),
    "zero dims": lambda x, s: x[5] * s,
    "mul into": lambda x, s: torch.mul(x, s, out=torch.empty_like(x)),
}
# The number is rounded to the half precision before anything is computed.
ROUNDED = {
    "add": lambda x, s: x + s,
    "sub": lambda x, s: x - s,
    "rsub": lambda x, s: s - x,
    "add_": lambda x, s: x.clone().add_(s),
    "number times tensor": lambda x, s: torch.mul(s, x),
    "number over tensor": lambda x, s: torch.div(s, x),
    "remainder": lambda x, s: x % s,
    "fmod": lambda x, s: torch.fmod(x, s),
    "pow": lambda x, s: x.abs() ** s,
    "rpow": lambda x, s: s**x,
    "alpha": lambda x, s: torch.add(x, x.flip(0), alpha=s),
    "alpha of a difference": lambda x, s: torch.sub(x, x.flip(0), alpha=s),
    "eq": lambda x, s: x == s,
    "lt": lambda x, s: x < s,
    "ge": lambda x, s: x >= s,
    "hardshrink": lambda x, s: F.hardshrink(x, s),
    "threshold": lambda x, s: F.threshold(x, s, s),
    "hardtanh": lambda x, s: F.hardtanh(x, -s, s),
    "clamp": lambda x, s: torch.clamp(x, max=s),
    "foreach_add": lambda x, s: torch._foreach_add([x], s)[0],
}


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", WIDE)
def test_a_factor_stays_float32(name, dtype):
    x = sample(dtype)
    for number in NUMBERS:
        found = WIDE[name](x, number)
        assert same(found, WIDE[name](x.float(), number).to(found.dtype)), number


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ROUNDED)
def test_other_numbers_are_rounded_first(name, dtype):
    x = sample(dtype)
    for number in NUMBERS:
        rounded = torch.tensor(number, dtype=dtype).item()
        found = ROUNDED[name](x, number)
        assert same(found, ROUNDED[name](x.float(), rounded).to(found.dtype)), number


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_a_tensor_without_dims_is_a_number(kind, dtype):
    x = sample(dtype)
    for number in NUMBERS:
        s = torch.tensor(number, dtype=kind)
        assert same(x * s, x * number)
        assert same(x / s, x / number)
        assert same(x + s, x + number)
        assert same(x % s, x % number)
        assert torch.equal(x < s, x < number)


def test_numbers_out_of_range():
    x = torch.tensor([1e-5], dtype=torch.float16)
    assert (x * 1e5).item() == pytest.approx(1.0, abs=2e-3)
    assert (torch.tensor([1000.0], dtype=torch.float16) * 1e-8).item() > 0
    y = torch.tensor([1e-4], dtype=torch.float16)
    y *= 1e5
    y /= 1e5
    assert y.item() == pytest.approx(1e-4, abs=1e-6)
    assert torch.true_divide(torch.tensor(100.0, dtype=torch.float16), 1e5).item() > 0


@pytest.mark.parametrize("dtype", HALVES)
def test_nextafter_steps_in_its_own_precision(dtype):
    one, two = torch.ones(1, dtype=dtype), torch.full((1,), 2.0, dtype=dtype)
    assert torch.nextafter(one, two).item() == 1 + torch.finfo(dtype).eps
    assert torch.nextafter(one, -two).item() == 1 - torch.finfo(dtype).eps / 2
    assert torch.nextafter(torch.zeros(1, dtype=dtype), one).item() == torch.finfo(dtype).smallest_normal * (
        torch.finfo(dtype).eps
    )
    assert torch.equal(torch.nextafter(one, one), one)


@pytest.mark.parametrize("dtype", HALVES)
def test_adam_steps_as_its_ops_do(dtype):
    """In one pass over lists as op by op: numbers are rounded alike."""
    results = []
    for foreach in (False, True):
        p = sample(dtype).requires_grad_()
        optimizer = torch.optim.Adamax([p], lr=0.01, foreach=foreach)
        for turn in range(3):
            p.grad = (sample(dtype) * (turn + 1)).flip(0)
            optimizer.step()
        results.append(p.detach())
    assert torch.equal(*results)


def test_celu_of_a_negative_alpha():
    x = torch.tensor([-1.5, 0.5], requires_grad=True)
    y = F.celu(x, -0.7)
    torch.testing.assert_close(y.detach(), torch.tensor([-5.266629, 0.5]))
    y.sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([8.523755, 1.0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_means_of_windows_of_expanded_images(dtype):
    x = torch.arange(1.0, 7.0).reshape(2, 3).to(dtype).expand(4, 2, 3)
    assert torch.nn.functional.avg_pool2d(x, 2).equal(torch.full((4, 1, 1), 3.0, dtype=dtype))
    assert torch.nn.functional.avg_pool1d(x, 3).equal(
        torch.tensor([[2.0], [5.0]], dtype=dtype).expand(4, 2, 1)
    )
