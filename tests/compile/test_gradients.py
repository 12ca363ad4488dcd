"""Derivatives of compiled functions, and compiled steps of training: those of the functions themselves."""

import copy

import pytest
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch's compiler needs a compiler for C++")

nn = torch.nn
F = nn.functional


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 3))


def data(i=0):
    torch.manual_seed(100 + i)
    return torch.randn(6, 4), torch.randint(0, 3, (6,))


OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01, amsgrad=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("to_none", [True, False])
def test_steps_of_training(name, to_none):
    """Forward, backward and the optimizer in one compiled function; the learning rate changes."""
    ours, theirs = network(), network()
    optimizers = [OPTIMIZERS[name](m.parameters()) for m in (ours, theirs)]

    def step_of(model, optimizer):
        def step(x, y):
            optimizer.zero_grad(set_to_none=to_none)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return step

    eager = step_of(theirs, optimizers[1])
    compiled = torch.compile(step_of(ours, optimizers[0]))
    for i in range(12):
        if i == 6:
            for optimizer in optimizers:
                optimizer.param_groups[0]["lr"] = 0.05
        assert torch.equal(compiled(*data(i)), eager(*data(i)))
    assert compiled.refused is None
    assert sum(r.runs for found in compiled.recordings.values() for r in found) >= 8
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=False):
        assert torch.equal(a, b) and torch.equal(a.grad, b.grad)
        assert a._version == b._version


def test_gradients_are_added_up():
    w, v = (torch.ones(3, requires_grad=True) for _ in range(2))

    def step(w, x):
        (w * x).sum().backward()

    compiled = torch.compile(step)
    for i in range(6):
        x = torch.full((3,), float(i))
        compiled(w, x)
        step(v, x)
        assert torch.equal(w.grad, v.grad)


def test_a_returned_loss_has_no_graph_any_more():
    w = torch.ones(3, requires_grad=True)

    @torch.compile
    def step(x):
        loss = (w * x).exp().sum()
        loss.backward()
        return loss

    for _ in range(4):
        w.grad = None
        loss = step(torch.ones(3))
        assert loss.requires_grad
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()


def test_gradients_outside():
    model, other = network(), network()
    compiled = torch.compile(model)
    for i in range(6):
        x, y = data(i)
        x.requires_grad_(i % 2 == 0)
        theirs = x.detach().clone().requires_grad_(i % 2 == 0)
        for m, run, t in ((model, compiled, x), (other, other, theirs)):
            m.zero_grad()
            F.cross_entropy(run(t), y).backward()
        for a, b in zip(model.parameters(), other.parameters(), strict=False):
            assert torch.allclose(a.grad, b.grad, rtol=1e-5, atol=1e-7)
        if i % 2 == 0:
            assert torch.allclose(x.grad, theirs.grad, rtol=1e-5, atol=1e-7)


def test_through_what_came_before():
    """An input with a history of its own, and results that go on."""
    compiled = torch.compile(lambda a, b: (a * b, a.exp()))
    for _i in range(5):
        found = []
        for run in (compiled, lambda a, b: (a * b, a.exp())):
            w = torch.linspace(0, 1, 4).requires_grad_()
            first, second = run(w * 2, w.sin())
            (first * second).sum().backward()
            found.append(w.grad)
        assert torch.allclose(*found)


def test_some_results_are_not_used():
    compiled = torch.compile(lambda a: (a * 2, a.exp(), a.detach() + 1))
    for _ in range(4):
        w = torch.ones(3, requires_grad=True)
        _first, second, third = compiled(w)
        assert not third.requires_grad
        second.sum().backward()
        assert torch.allclose(w.grad, torch.ones(3).exp())


def test_twice_and_kept():
    compiled = torch.compile(lambda a: (a.sin() * a).sum())
    for _ in range(4):
        w = torch.ones(3, requires_grad=True)
        out = compiled(w)
        out.backward(retain_graph=True)
        out.backward()
        assert torch.allclose(w.grad, 2 * (torch.ones(3).sin() + torch.ones(3).cos()))
        with pytest.raises(RuntimeError, match="second time"):
            out.backward()


def test_higher_orders():
    def f(a):
        return (a.sin() * a * a).sum()

    compiled = torch.compile(f)
    for _ in range(4):
        orders = []
        for run in (compiled, f):
            w = torch.linspace(0.1, 1, 3).requires_grad_()
            (g,) = torch.autograd.grad(run(w), w, create_graph=True)
            (h,) = torch.autograd.grad(g.sum(), w, create_graph=True)
            (k,) = torch.autograd.grad(h.sum(), w)
            orders.append((g, h, k))
        for ours, theirs in zip(*orders, strict=False):
            assert torch.allclose(ours, theirs)


def test_written_between_forward_and_backward():
    compiled = torch.compile(lambda a, b: a * b)
    for _ in range(4):
        w, b = torch.ones(3, requires_grad=True), torch.ones(3)
        out = compiled(w, b)
        b.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_checkpoint_hooks_and_functions():
    checkpoint = torch.utils.checkpoint.checkpoint

    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    def inner(a):
        return checkpoint(lambda t: t.sin() * t, a, use_reentrant=False, preserve_rng_state=False).sum()

    def step(a):
        return torch.autograd.grad(Double.apply(inner(a)), a)[0]

    outside, inside = torch.compile(inner), torch.compile(step)
    for _ in range(4):
        a = torch.linspace(0.1, 1, 3).requires_grad_()
        assert torch.allclose(torch.autograd.grad(outside(a), a)[0], torch.autograd.grad(inner(a), a)[0])
        assert torch.equal(inside(a), step(a))
    for compiled in (outside, inside):
        assert compiled.refused is None
        assert sum(r.runs for found in compiled.recordings.values() for r in found)
    with pytest.warns(UserWarning, match="a custom Function"):
        left = torch.compile(lambda a: Double.apply(a))
        for _ in range(3):
            left(a).sum().backward()
    assert torch.equal(a.grad, torch.full((3,), 6.0))


def test_random_numbers():
    def f(a):
        return F.dropout(a, 0.5) + torch.rand(3) + torch.randn_like(a)

    compiled = torch.compile(f)
    for i in range(5):
        found = []
        for run in (compiled, f):
            torch.manual_seed(i)
            w = torch.ones(3, requires_grad=True)
            out = run(w)
            out.sum().backward()
            found.append((out, w.grad, torch.rand(1)))
        for ours, theirs in zip(*found, strict=False):
            assert torch.equal(ours, theirs)
    assert compiled.refused is None


def test_clipped_steps():
    ours, theirs = network(), network()
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.01) for m in (ours, theirs)]

    def step_of(model, optimizer):
        def step(x, y):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            return loss.detach()

        return step

    eager, compiled = step_of(theirs, optimizers[1]), torch.compile(step_of(ours, optimizers[0]))
    for i in range(6):
        assert torch.allclose(compiled(*data(i)), eager(*data(i)))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=False):
        assert torch.allclose(a, b)


def test_copies_of_modules():
    compiled = torch.compile(network())
    x, _ = data()
    for _ in range(3):
        expected = compiled(x)
    again = copy.deepcopy(compiled._orig_mod)
    assert torch.equal(again(x), expected)
