"""`scan` against the loop it stands for, and its bound on memory."""

import contextlib
import tracemalloc

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch's scan is a prototype of torch.compile")

DOUBLE = torch.float64


def network():
    torch.manual_seed(0)
    weight = (torch.randn(8, 8, dtype=DOUBLE) * 0.3).requires_grad_()
    return weight, torch.randn(40, 8, dtype=DOUBLE, requires_grad=True), torch.zeros(8, dtype=DOUBLE)


def results(memory=None, reverse=False, calls=None):
    weight, xs, start = network()

    def step(h, x):
        if calls is not None:
            calls.append(1)
        h = torch.tanh(weight @ h + x)
        return h, h.sum()

    h, ys = torch.func.scan(step, start, xs, reverse=reverse, memory=memory)
    loss = (ys * torch.arange(40, dtype=DOUBLE)).sum() + h.sum()
    return h, ys, *torch.autograd.grad(loss, [weight, xs])


def looped(reverse=False):
    weight, xs, h = network()
    ys = []
    for x in xs.flip(0) if reverse else xs:
        h = torch.tanh(weight @ h + x)
        ys.append(h.sum())
    ys = torch.stack(ys[::-1] if reverse else ys)
    loss = (ys * torch.arange(40, dtype=DOUBLE)).sum() + h.sum()
    return h, ys, *torch.autograd.grad(loss, [weight, xs])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("memory", [None, 10**8, 1500, 900])
def test_equals_the_loop(memory, reverse):
    for found, expected in zip(results(memory, reverse), looped(reverse), strict=True):
        assert torch.equal(found, expected)


def test_less_memory_more_steps():
    counts = []
    for memory in (None, 1500, 100):
        calls = []
        with pytest.warns(UserWarning, match="leanest plan") if memory == 100 else contextlib.nullcontext():
            results(memory, calls=calls)
        counts.append(len(calls))
    assert counts[0] == 40
    assert 80 <= counts[1] <= 40 * 2 + 3
    assert counts[1] < counts[2] <= 40 * 8


def test_memory_stays_near_the_bound():
    """What is allocated at the peak, by Python's own account."""
    xs = torch.ones(300, 1000, dtype=DOUBLE)
    start = torch.zeros(1000, dtype=DOUBLE, requires_grad=True)

    def peak(memory):
        tracemalloc.start()
        h, _ = torch.func.scan(lambda h, x: (torch.sin(h + x), x[0]), start, xs, memory=memory)
        torch.autograd.grad(h.sum(), start)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(None) > 300 * 8000
    assert peak(600_000) < 1_000_000


def test_nested_containers_and_no_inputs():
    def step(carry, x):
        total, count = carry["total"], carry["count"]
        return {"total": total * 2, "count": count + 1}, (total, {"n": count})

    init = {"total": torch.tensor(1.0), "count": torch.tensor(0)}
    end, (totals, counts) = torch.func.scan(step, init, length=4)
    assert (end["total"].item(), end["count"].item()) == (16.0, 4)
    assert totals.tolist() == [1, 2, 4, 8] and counts["n"].tolist() == [0, 1, 2, 3]


def test_random_numbers_are_the_same_again():
    x = torch.ones(20, dtype=DOUBLE, requires_grad=True)

    def run(memory):
        torch.manual_seed(5)
        noise = []

        def step(c, x):
            r = torch.rand((), dtype=DOUBLE)
            return c + torch.sin(c) * r * x, r

        c, noise = torch.func.scan(step, torch.tensor(0.3, dtype=DOUBLE), x, memory=memory)
        return noise, torch.autograd.grad(c, x)[0]

    for a, b in zip(run(None), run(200), strict=True):
        assert torch.equal(a, b)


def test_what_is_refused():
    xs = torch.ones(3)
    with pytest.raises(ValueError, match="lengths"):
        torch.func.scan(lambda c, x: (c, x), xs, (xs, torch.ones(4)))
    with pytest.raises(ValueError, match="not 0"):
        torch.func.scan(lambda c, x: (c, x), xs, torch.ones(0))
    with pytest.raises(TypeError, match="carry changed"):
        torch.func.scan(lambda c, x: (c.double(), x), torch.zeros(()), xs)
