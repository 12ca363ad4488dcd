"""`scan` against the loop it stands for, and its bound on memory."""

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
@pytest.mark.parametrize("memory", [None, 10**8, 3000, 1500])
def test_equals_the_loop(memory, reverse):
    for found, expected in zip(results(memory, reverse), looped(reverse), strict=True):
        assert torch.equal(found, expected)


def test_less_memory_more_steps():
    counts = []
    for memory in (None, 3000, 1000):
        calls = []
        with pytest.warns(UserWarning, match="leanest plan") if memory == 1000 else no_warning():
            results(memory, calls=calls)
        counts.append(len(calls))
    assert counts[0] == 40
    assert 80 <= counts[1] <= 40 * 2 + 3
    assert counts[1] < counts[2] <= 40 * 8


class no_warning:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


def test_memory_stays_below_the_bound():
    """What the graph holds at its peak, measured by what is saved and still alive."""
    import weakref

    alive, peak = [], [0]

    def pack(x):
        alive.append((weakref.ref(x), x.numel() * x.element_size()))
        peak[0] = max(peak[0], sum(size for ref, size in alive if ref() is not None))
        return x

    def run(memory):
        alive.clear()
        peak[0] = 0
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            results(memory)
        return peak[0]

    assert run(3000) < run(None)


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
