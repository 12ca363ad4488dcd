"""Programs drawn at random, compiled, give what they give by themselves, over many calls."""

import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from library import pullback_only, torch

pytestmark = pullback_only("PyTorch's compiler needs a compiler for C++")

STEPS = (
    "a = a * b",
    "b = a.sin() + b",
    "a = a - b.mean()",
    "a = a.t().contiguous() if a.shape[0] == a.shape[1] else a",
    "b = torch.where(a > 0, a, b)",
    "a = a @ b.t() @ b",
    "c = a[:1]; b = b + c",
    "a = a.clone(); a[0].mul_(2)",
    "b = b.clone(); b[:, :2] += a[:, :2]",
    "a = torch.cat([a, b])[::2][: a.shape[0]] if a.shape == b.shape else a",
    "if a.sum() > 0:\n        b = b * 2\n    else:\n        a = -a",
    "if a.max().item() > 2:\n        a = a / a.detach().abs().max()",
    "a = a.softmax(-1)",
    "b = b.cumsum(0)",
    "z = torch.zeros(a.shape); z += a; b = b + z",
    "buffer.add_(b.detach().mean()); a = a + buffer",
    "a = torch.vmap(lambda r: r * r.sum())(a)",
    "b = torch.func.grad(lambda t: (t * t).sum())(b)",
    "a = torch.nn.functional.dropout(a, 0.5)",
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(STEPS), min_size=1, max_size=7),
    st.lists(st.tuples(st.integers(1, 3), st.integers(2, 4), st.booleans()), min_size=3, max_size=8),
    st.integers(0, 1000),
)
def test_compiled_equals_eager(steps, calls, seed):
    source = "def f(a, b):\n    " + "\n    ".join(steps) + "\n    return a + b.sum(), b"
    functions = []
    for _ in range(2):
        table = {"torch": torch, "buffer": torch.zeros(())}
        exec(compile(source, "<drawn>", "exec"), table)
        functions.append((table["f"], table["buffer"]))
    (eager, theirs), (f, ours) = functions
    compiled = torch.compile(f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, (rows, columns, needs) in enumerate([*calls, *calls, *calls]):
            found = []
            for run in (compiled, eager):
                torch.manual_seed(seed + i)
                a, b = (torch.randn(rows, columns, requires_grad=needs) for _ in range(2))
                torch.manual_seed(seed)
                try:
                    first, second = run(a, b)
                    grads = (
                        torch.autograd.grad((first + second.sum()).sum(), (a, b), allow_unused=True)
                        if needs
                        else ()
                    )
                    found.append([first, second, *grads])
                except RuntimeError as error:
                    found.append([str(error)])
            assert len(found[0]) == len(found[1])
            for x, y in zip(*found, strict=True):
                assert x == y if isinstance(x, str) or x is None else torch.allclose(x, y, equal_nan=True), (
                    source
                )
            assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_a_hundred_thousand_calls():
    import tracemalloc

    w = torch.ones(3, requires_grad=True)

    @torch.compile
    def step(x):
        w.grad = None
        (w * x).sin().sum().backward()
        return w.grad.sum()

    x = torch.ones(3)
    for _ in range(100):
        step(x)
    tracemalloc.start()
    for _ in range(1000):
        step(x)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(100_000):
        step(x)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
