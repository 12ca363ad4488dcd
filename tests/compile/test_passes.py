"""Passes over recordings: what a graph is before and after, and that the numbers stay."""

import warnings

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("its own graphs")


def recorded(function, *args):
    """The compiled function, recorded, and the names of its steps."""
    compiled = torch.compile(function)
    for _ in range(4):
        expected, found = function(*args), compiled(*args)
        assert torch.equal(found, expected)
    return compiled, [step.name for step in compiled.graph.steps]


def test_dead_steps_go():
    def f(x):
        x.exp()
        return x.sin()

    assert recorded(f, torch.ones(3))[1] == ["sin"]


def test_long_loops_are_one_chain():
    def f(x):
        return ((x * 2 + 1).sin() * x).sum()

    assert recorded(f, torch.ones(3))[1] == ["mul", "add", "sin", "mul", "sum"]
    compiled, names = recorded(f, torch.linspace(0, 1, 10_000))
    assert names == ["mul+add+sin+mul", "sum"]
    (story,) = compiled.explain().parts
    assert story["planned"] < story["eager"] / 2


@pytest.mark.parametrize("n", [4096, 4097, 100_003])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64])
def test_chains_of_all_kinds(n, dtype):
    """Branches, writes in place, single elements, comparisons."""
    x = (torch.arange(n) % 7 - 3).to(dtype)
    one = torch.tensor(2, dtype=dtype)

    def f(x):
        a = x * x + one
        b = a - x
        b += a
        b.mul_(3)
        c = torch.where(x > 0, a, b)
        return c - a * b

    recorded(f, x)
    if dtype.is_floating_point:
        compiled = torch.compile(f)
        for _ in range(4):
            grads = []
            for run in (compiled, f):
                leaf = x.clone().requires_grad_()
                grads.append(torch.autograd.grad(run(leaf).sum(), leaf)[0])
            assert torch.equal(*grads)


def test_chains_write_to_inputs():
    def f(x, y):
        x.mul_(2)
        x.add_(y)
        return x * y

    compiled = torch.compile(f)
    x, other = torch.ones(5000), torch.ones(5000)
    y = torch.linspace(0, 1, 5000)
    for _ in range(5):
        assert torch.equal(compiled(x, y), f(other, y))
        assert torch.equal(x, other)


def test_shifted_memory_is_no_chain():
    def f(x):
        y = x * 2
        y[1:] += y[:-1].clone()
        return y + 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(f)
        for _ in range(4):
            assert torch.equal(compiled(torch.linspace(0, 1, 9000)), f(torch.linspace(0, 1, 9000)))
