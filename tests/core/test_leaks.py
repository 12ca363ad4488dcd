"""Memory: nothing is kept that nobody can reach, and no graph is too deep.

Reference counting alone frees a graph: most tests here run with the garbage collector off, so that
a cycle of references would show as growth. Where a user makes a cycle, the collector finds it.
"""

import gc
import threading
import tracemalloc
import weakref
from contextlib import contextmanager
from itertools import pairwise

import pytest
from library import leaf, pullback_only, torch

STEPS = 200
ALLOWED = 60  # bytes a step: less than the smallest object


@contextmanager
def no_collector():
    """Reference counting alone."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def growth(step):
    """Bytes that a step leaves behind: the least of a few averages, for a leak is in each."""
    for _ in range(200):  # what is kept for use again is kept by now
        step()
    sizes = []
    tracemalloc.start()
    try:
        for _ in range(5):
            sizes.append(tracemalloc.get_traced_memory()[0])
            for _ in range(STEPS):
                step()
        sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return min(after - before for before, after in pairwise(sizes)) / STEPS


def scalar_chain():
    x = leaf(1.5)
    y = x
    for _ in range(10):
        y = y * x + 1
    y.backward()


def training_step():
    w, b = torch.ones(4, 3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss = ((torch.ones(5, 4) @ w + b).tanh() ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    w.grad = None


def graph_without_backward():
    x = leaf([1.0, 2.0])
    return (x.exp() * x.sin()).sum()


def second_gradient():
    x = leaf([1.0, 2.0, 3.0])
    (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (h,) = torch.autograd.grad((g * g).sum(), x, create_graph=True)
    h.sum().backward()


def gradient_with_a_graph():
    x = leaf([1.0, 2.0])
    (x.exp() * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad


def views_and_writes():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 2
    row = y[0]
    row.mul_(3)
    y.t()[1].add_(1)
    row.sum().backward()


def kept_graph():
    x = leaf(2.0)
    y = x.exp() * x
    for _ in range(3):
        y.backward(retain_graph=True)


class Cube(torch.autograd.Function):
    """A custom function that saves an input and an output."""

    @staticmethod
    def forward(ctx, x):
        y = x**3
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, g):
        x, _ = ctx.saved_tensors
        return 3 * x * x * g


def custom_function():
    x = leaf(2.0)
    Cube.apply(x).backward()


def hooks():
    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 2)
    y.retain_grad()
    y.grad_fn.register_hook(lambda inputs, outputs: None)
    y.backward()


def failing_hook():
    x = leaf(2.0)
    y = x * x

    def fail(g):
        raise ValueError("on purpose")

    y.register_hook(fail)
    with pytest.raises(ValueError, match="on purpose"):
        (y * 2).backward()


def misuse():
    x = leaf([1.0, 2.0])
    for wrong in (lambda: x.backward(), lambda: x + torch.ones(3), lambda: x.add_(1)):
        with pytest.raises(RuntimeError):
            wrong()


def attributes_and_printing():
    x = torch.ones(2)
    x.note = [1]
    repr(x)
    x[0].item()


@pytest.mark.slow
@pytest.mark.parametrize(
    "step",
    [
        scalar_chain,
        training_step,
        graph_without_backward,
        views_and_writes,
        kept_graph,
        custom_function,
        hooks,
        attributes_and_printing,
    ],
)
def test_counting_frees_everything(step):
    with no_collector():
        assert growth(step) < ALLOWED


@pytest.mark.parametrize("step", [failing_hook, misuse])
def test_errors_leave_nothing_behind(step):
    def step_and_collect():
        step()  # pytest's record of the exception is a cycle of its own
        gc.collect(0)

    assert growth(step_and_collect) < ALLOWED


@pytest.mark.slow
@pullback_only("a gradient with a graph makes no cycle with its leaf")
@pytest.mark.filterwarnings("ignore:Using backward")
@pytest.mark.parametrize("step", [gradient_with_a_graph, second_gradient])
def test_create_graph_makes_no_cycle(step):
    with no_collector():
        assert growth(step) < ALLOWED


def test_growth_is_seen():
    kept = []
    assert growth(lambda: kept.append(torch.ones(3))) > ALLOWED


class Mark:
    """Something to watch: it lives as long as who refers to it."""


def test_what_is_saved_dies_with_the_graph():
    with no_collector():
        x = leaf([1.0, 2.0])
        y = x.exp()
        z = (y * y).sum()
        y.mark = mark = Mark()
        watch = weakref.ref(mark)
        del y, mark
        assert watch() is not None, "y is saved by the product"
        z.backward()
        assert watch() is None, "the backward pass frees what it used"


def test_dropped_graph_dies_at_once():
    with no_collector():
        x = leaf([1.0, 2.0])
        y = x * 2
        z = y * y
        watch = weakref.ref(y)
        del y
        assert watch() is not None
        del z
        assert watch() is None


@pytest.mark.slow
@pullback_only("PyTorch's nodes are unknown to the garbage collector")
@pytest.mark.parametrize("where", ["tensor", "node", "prehook", "leaf"])
def test_collector_finds_cycles_through_hooks(where):
    def make():
        x = leaf(2.0)
        y = x * 3
        z = y * y
        kept = (z, Mark())
        register = {
            "tensor": y.register_hook,
            "node": z.grad_fn.register_hook,
            "prehook": z.grad_fn.register_prehook,
            "leaf": x.register_hook,
        }[where]
        register(lambda *_: kept and None)
        return weakref.ref(kept[1])

    with no_collector():
        watch = make()
        assert watch() is not None, "the hook is part of a cycle"
        gc.collect()
        assert watch() is None


@pullback_only("PyTorch's nodes are unknown to the garbage collector")
def test_collector_finds_a_tensor_that_refers_to_itself():
    x = torch.ones(2)
    x.me = x
    x.mark = Mark()
    watch = weakref.ref(x.mark)
    del x
    gc.collect()
    assert watch() is None


def test_collector_spares_what_is_in_use():
    x = leaf(2.0)
    y = x
    for _ in range(50):
        y = y * x
    gc.collect()
    y.backward()
    assert x.grad.item() == 51 * 2.0**50


def in_a_small_stack(work):
    """Run `work` in a thread whose stack would not hold a frame for each of a million ops."""
    failed = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failed.append(error)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=guarded)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    if failed:
        raise failed[0]


def long_chain(length):
    x = leaf(1.0)
    y = x
    for _ in range(length):
        y = y * x
    return x, y


@pytest.mark.slow
@pullback_only("these depths take PyTorch long")
@pytest.mark.parametrize("length", [1_000_000])
def test_deep_graph_is_differentiated_and_freed(length):
    def work():
        x, y = long_chain(length)
        y.backward()
        assert x.grad.item() == length + 1

    in_a_small_stack(work)


@pytest.mark.slow
@pullback_only("these depths take PyTorch long")
def test_deep_graph_is_freed_unused():
    def work():
        _, y = long_chain(1_000_000)
        del y

    in_a_small_stack(work)


@pytest.mark.slow
@pullback_only("these depths take PyTorch long")
def test_deep_graph_is_kept_and_collected():
    def work():
        x, y = long_chain(200_000)
        y.backward(retain_graph=True)
        gc.collect()
        y.backward()
        assert x.grad.item() == 2 * 200_001
        (g,) = torch.autograd.grad(long_chain(100_000)[1] * x, x)
        assert g.item() == 1

    in_a_small_stack(work)


@pullback_only("these depths take PyTorch long")
def test_deep_graph_of_a_gradient():
    def work():
        x, y = long_chain(20_000)
        (g,) = torch.autograd.grad(y, x, create_graph=True)
        (h,) = torch.autograd.grad(g, x)
        assert h.item() == pytest.approx(20_001 * 20_000, rel=1e-3)

    in_a_small_stack(work)


@pytest.mark.slow
@pullback_only("these depths take PyTorch long")
def test_deep_graph_of_writes():
    def work():
        x = leaf([1.0, 2.0])
        y = x * 1
        for _ in range(50_000):
            y[0].add_(1)
        y.sum().backward()
        assert x.grad.tolist() == [1, 1]

    in_a_small_stack(work)
