"""Passes over recordings: what a graph is before and after, and that the numbers stay."""

import tracemalloc
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


def test_equal_steps_are_done_once():
    def f(x, y):
        return (x * y).sin() + (x * y).sin() * x[:2].sum() + x[:2].sum()

    names = recorded(f, torch.ones(3), torch.linspace(0, 1, 3))[1]
    assert names == ["mul", "sin", "sum", "mul", "add", "add"]


def test_equal_steps_with_a_write_between_are_not_equal():
    def f(x):
        a = x.clone()
        first = a * 2
        a.add_(1)
        return first + a * 2

    assert recorded(f, torch.ones(3))[1].count("mul") == 2


def test_numbers_of_other_types_are_other_arguments():
    def f(x):
        return (x + 1).double() + (x + 1.0).double() + (x + True).double() + (x * 0.0) + (x * -0.0)

    recorded(f, torch.arange(3))
    recorded(f, -torch.ones(3))


def test_draws_are_not_equal():
    compiled = torch.compile(lambda x: torch.rand(3) - torch.rand(3))
    for i in range(4):
        torch.manual_seed(i)
        assert compiled(torch.ones(3)).abs().sum() > 0


def test_constants_are_made_once():
    def f(x):
        scale = torch.eye(3) * 2 + torch.full_like(x, 3)
        return x @ scale.t()

    assert recorded(f, torch.ones(3, 3))[1] == ["mm"]


def test_constants_that_are_returned_or_written_are_new():
    def f(x):
        a, b = torch.ones(3) * 2, torch.zeros(3) + 1
        b += x
        return a, b

    compiled = torch.compile(f)
    for _ in range(5):
        a, b = compiled(torch.ones(3))
        assert a.tolist() == b.tolist() == [2, 2, 2]
        a.zero_()
        b.zero_()


def test_copies_and_ones_go():
    def f(x, y):
        a = (x + y).clone()
        b = (a * 1.0).contiguous().clone() / 1
        return b.view(-1) * 2

    assert recorded(f, torch.ones(2, 3), torch.ones(2, 3))[1] == ["add", "mul"]


def test_copies_that_can_be_told_apart_stay():
    def f(x):
        a = x.clone()
        b = a.clone()
        b += 1
        c = b.clone()
        return a + b, c, x * 1

    compiled = torch.compile(f)
    for _ in range(5):
        x = torch.ones(3)
        total, c, same = compiled(x)
        c.zero_()
        same.zero_()
        assert total.tolist() == [3, 3, 3] and x.tolist() == [1, 1, 1]


@pytest.mark.parametrize("number", [complex(float("inf"), 1.0), complex(0.0, float("nan"))])
def test_complex_ones_are_multiplied(number):
    compiled = torch.compile(lambda x: x * torch.ones((), dtype=torch.complex64))
    x = torch.full((2,), number)
    for _ in range(4):
        assert repr(compiled(x)) == repr(x * torch.ones((), dtype=torch.complex64))


def test_gradients_are_not_copied():
    model = torch.nn.Linear(3, 2)

    def step(x):
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss.detach()

    compiled = torch.compile(step)
    for _ in range(4):
        before = [p.grad for p in model.parameters()]
        compiled(torch.ones(4, 3))
        assert all(p.grad is not g for p, g in zip(model.parameters(), before, strict=True))
    assert "clone" not in [step.name for step in compiled.graph.steps]


def test_a_list_of_parameters_is_updated_in_one_step():
    model = torch.nn.Sequential(*(torch.nn.Linear(3, 3) for _ in range(4)))
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()

    compiled = torch.compile(step)
    for _ in range(3):
        compiled(torch.ones(2, 3))
    assert [s.name for s in compiled.graph.steps].count("step") == 1


def test_loops_move_to_those_before_them():
    def f(x, y):
        a = x * 2
        total = y.cumsum(0)
        return a + 1 + total

    assert recorded(f, torch.linspace(0, 1, 5000), torch.ones(5000))[1] == ["mul+add", "cumsum", "add"]


def test_what_sets_memory_free_comes_first():
    def f(x):
        turned, total = x.flip(0), x.cumsum(0)
        return turned.sum() + total.sum()

    x = torch.linspace(0, 1, 40_000)
    assert recorded(f, x)[1] == ["flip", "sum", "cumsum", "sum", "add"]
    assert recorded(f, x[:400])[1] == ["flip", "cumsum", "sum", "sum", "add"]


def test_quick_steps_are_done_again():
    """Where what they gave would lie around while the most memory is in use."""

    def f(x):
        total = x.cumsum(0)
        double = total * 2
        turned = double.flip(0)
        large = torch.stack([turned] * 4).cumsum(0).sum()
        return (double.cumsum(0) + total.flip(0)).sum() + large

    compiled, names = recorded(f, torch.linspace(0, 1, 40_000))
    assert names.count("mul") == 2
    (story,) = compiled.explain().parts
    assert recorded(f, torch.linspace(0, 1, 400))[1].count("mul") == 1
    assert story["planned"] < 10 * 4 * 40_000


def test_a_step_is_not_done_again_with_what_has_changed():
    def f(x):
        total = x.cumsum(0)
        double = total * 2
        turned = double.flip(0)
        total.add_(1)
        large = torch.stack([turned] * 4).cumsum(0).sum()
        return (double.cumsum(0) + total.flip(0)).sum() + large

    names = recorded(f, torch.linspace(0, 1, 40_000))[1]
    assert sum("mul" in name for name in names) == 1


def test_large_memory_is_there_for_others_between_calls():
    compiled, _ = recorded(lambda x: (x.cumsum(0).flip(0) * x).sum(), torch.ones(100_000))
    (story,) = compiled.explain().parts
    assert 400_000 <= story["planned"] <= 1_300_000
    tracemalloc.start()
    try:
        compiled(torch.ones(100_000))
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


def test_copies_are_no_calls():
    compiled, names = recorded(lambda x: x.t().reshape(-1) * 2, torch.ones(3, 4))
    assert [step.act[0] for step in compiled.graph.steps] == ["copy", "loop"] and len(names) == 2


def test_what_is_read_by_those_that_were_passed_is_there():
    """A copy stands before the last loop that reads what both of them ask for."""

    def f(x):
        b = x * 2 + 1
        turned = b.t().reshape(90, 100)
        return turned * (b - x)

    recorded(f, torch.linspace(0, 1, 9000).reshape(90, 100))


def test_operands_are_laid_out_in_chains():
    """Rows and columns that are repeated, transposed and strided operands, expanded single ones."""
    x = torch.arange(7000.0).reshape(70, 100)

    def f(x):
        a = x * x[0] + x[:, :1]
        b = (a - x.reshape(100, 70).t()) * x[3, 4].expand(70, 100)
        return b / (x[:, 1:2] + x) + x.flatten()[::70].expand(70, 100)

    names = recorded(f, x)[1]
    assert len(names) == 1
    three = torch.linspace(0, 1, 3 * 40 * 50).reshape(40, 50, 3)
    recorded(lambda t: (t - t[:, :1]) * t[:1] + t[..., :1], three)
    for n in (1, 2, 3, 4999):  # lines that come again, and are cut by the end of a block
        rows = torch.arange(3.0 * n).reshape(n, 1, 3)
        recorded(
            lambda t, many: t.expand(-1, 15_000 // len(t), -1) * 2 + many, rows, torch.ones(15_000 // n, 3)
        )


@pytest.mark.parametrize("size", [4096, 5001])
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.complex64])
def test_changes_of_dtype_are_part_of_chains(size, kind):
    x = torch.arange(size, dtype=torch.float32) / 7

    def f(x):
        y = x.to(kind) * 3 + 1
        return y if kind.is_complex else y.to(torch.float32)

    _, names = recorded(f, x)
    assert len(names) == 1 or kind in (torch.float16, torch.bfloat16)


def test_slots_of_chains_are_used_again():
    def f(x):
        for _ in range(40):
            x = (x * 1.5).sin()
        return x

    compiled, names = recorded(f, torch.linspace(0, 1, 9000))
    assert len(names) == 1
    assert compiled.graph.steps[0].act[2] <= 2


def test_results_are_written_over_what_nobody_reads():
    def f(x, w):
        for _ in range(4):
            x = torch.tanh(x @ w) * 2
        return x.sum()

    compiled, _ = recorded(f, torch.ones(64, 64), torch.eye(64))
    (story,) = compiled.explain().parts
    assert story["planned"] <= 2 * 64 * 64 * 4 + 128
    large = torch.linspace(0, 1, 9000)

    def g(x):
        a = x.cumsum(0)
        b = a.flip(0) + a[0]
        c = (a * 2 + b).sin()
        return c - c.flip(0) + a.cumsum(0)

    recorded(g, large)
    recorded(lambda x: (x.cumsum(0).double().sin() * x.cumsum(0)).cumsum(0), large)
