"""The pool of threads: any number of them gives the same bits, wherever work is cut; it outlives forks.

`.ci/run` runs this file under the address and the thread sanitizer too.
"""

import os
import threading
from functools import partial

import numpy as np
import pytest
from library import pullback_only, run_python, torch
from sample_rows import ROWS
from samples import Bound, flat

pytestmark = pullback_only("the pool is its own")

MOST = 7
LONG = 300_007  # elements: a prime number, so that no cut fits


@pytest.fixture
def pool():
    """The module, where any work is long enough to be cut; afterwards all is as before."""
    from pullback.core import _plans, _pool
    from pullback.core._engine import forget_tapes

    threads, least, long_work = _pool.threads(), _pool.set_least_work(0), _plans.set_long_work(0)
    forget_tapes()
    yield _pool
    _pool.set_threads(threads)
    _pool.set_least_work(least)
    _plans.set_long_work(long_work)
    forget_tapes()


def bits(results):
    """The bytes of all tensors among some results, NaN as any other."""
    return [x.detach()._array.tobytes() if isinstance(x, torch.Tensor) else x for x in flat(results)]


def by_threads(pool, work, counts=(1, 2, 3, MOST)):
    """Asserts that some work gives the same bits on these numbers of threads."""
    found = []
    for count in counts:
        pool.set_threads(count)
        found.append(bits(work()))
    for count, other in zip(counts, found, strict=True):
        assert other == found[0], f"{count} threads"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", [row for row in ROWS if row.values], ids=lambda row: row.name)
def test_rows(pool, row):
    """Every op, with its work cut as finely as it may be."""
    for layout in ("", "transposed"):
        for call in row.calls:

            def run(call=call, layout=layout):
                try:
                    return Bound(torch, row, call, row.first_dtype(), layout=layout).run()
                except (RuntimeError, TypeError, IndexError, ValueError, AssertionError) as error:
                    return [type(error).__name__, str(error)]

            by_threads(pool, run)


def numbers_of(*shape, dtype=torch.float32, seed=0):
    """Numbers of both signs, some of them NaN and infinite."""
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    x.reshape(-1)[::9973] = [np.inf, np.nan, -np.inf, 0][seed % 4]
    return torch.from_numpy(x).to(dtype)


def square(x):
    """As large a part as has as many rows as columns."""
    return x[: x.size(1), : x.size(0)]


LARGE = {
    "exp": lambda x, y: x.exp(),
    "add": lambda x, y: x + y,
    "bias": lambda x, y: x + y[0],
    "column": lambda x, y: x * y[:, :1],
    "transposed": lambda x, y: x.t() + y.t(),
    "turned": lambda x, y: square(x) + square(y).t(),
    "sliced": lambda x, y: x[::2, ::2] * y[::2, ::2],
    "mask": lambda x, y: torch.where(x > y, x, y),
    "in place": lambda x, y: x.clone().mul_(y).add_(1),
    "sum": lambda x, y: x.sum(),
    "sum 0": lambda x, y: x.sum(0),
    "sum 1": lambda x, y: x.sum(1),
    "mean": lambda x, y: x.nan_to_num().mean(),
    "var": lambda x, y: x.nan_to_num(0, 0, 0).var(),
    "norm": lambda x, y: x.nan_to_num(0, 0, 0).norm(),
    "logsumexp": lambda x, y: x.nan_to_num(0, 0, 0).logsumexp((0, 1)),
    "max": lambda x, y: x.nan_to_num().max(),
    "argmax": lambda x, y: [x.argmax(), x.argmax(0), x.max(1)],
    "prod": lambda x, y: (1 + x.nan_to_num(0, 0, 0) / 1000).prod(),
    "softmax": lambda x, y: [x.softmax(0), x.log_softmax(1)],
    "norms": lambda x, y: torch.nn.functional.layer_norm(x, (x.size(1),), y[0], y[1]),
    "batches": lambda x, y: torch.nn.functional.batch_norm(x, None, None, y[0], y[1], True),
    "losses": lambda x, y: [torch.nn.functional.mse_loss(x, y), torch.nn.functional.smooth_l1_loss(x, y)],
    "scans": lambda x, y: [x.cumsum(0), x.cumsum(1), x.cumprod(1), x.logcumsumexp(0)],
    "moves": lambda x, y: [torch.cat([x, y]), x.roll(7, 0), x.flip(1), x.t().contiguous(), x.repeat(2, 1)],
    "casts": lambda x, y: [x.half(), x.bfloat16(), x.double(), x > 0, x.nan_to_num(0, 0, 0).int()],
    "orders": lambda x, y: [*x.sort(0), *x.topk(3, 0), *x.kthvalue(2, 0)],
    "indices": lambda x, y: [x.index_select(0, INDEX[: x.size(0)] % x.size(0)),
                             x.gather(0, (y.nan_to_num(0, 0, 0).abs() * 10).long() % x.size(0)),
                             x.index_add(0, INDEX[: x.size(0)] % x.size(0), y)],
    "products": lambda x, y: torch.einsum("bi,bj->bij", x[:300, :20], y[:300, :20]),
}  # fmt: skip
INDEX = torch.from_numpy(np.random.default_rng(1).permutation(LONG))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize("name", LARGE)
def test_large(pool, name, dtype):
    """Long work of odd sizes, forwards and backwards, on one to seven threads."""
    counts = range(1, MOST + 1) if dtype == "float32" else (1, 2, 5)
    for shape in ((LONG, 1), (1999, 151), (3, 100_003), (320, 768)):
        if name == "indices" and shape[0] == 3:
            continue
        x, y = (numbers_of(*shape, dtype=getattr(torch, dtype), seed=seed) for seed in range(2))
        by_threads(pool, partial(LARGE[name], x, y), counts)
        if dtype == "float32" and name in BACKWARD:
            by_threads(pool, partial(gradient, LARGE[name], x, y))


BACKWARD = ("exp", "bias", "sum", "softmax", "norms", "batches", "losses", "scans", "moves", "indices")


def gradient(function, x, y):
    """The gradient of the sum of all that a function gives."""
    leaf = x.clone().requires_grad_()
    results = function(leaf, y)
    sum(r.sum() for r in (results if isinstance(results, list) else [results])).backward()
    return [leaf.grad]


F = torch.nn.functional
NETWORKS = {
    "conv2d": ([(2, 5, 41, 37), (40, 5, 3, 3), (40,)], lambda *a: F.conv2d(*a, padding=1)),
    "one image": ([(1, 40, 29, 31), (100, 40, 1, 1)], F.conv2d),
    "conv1d": ([(3, 12, 1501), (16, 6, 5)], lambda *a: F.conv1d(*a, stride=2, groups=2)),
    "conv3d": ([(2, 3, 9, 14, 17), (7, 3, 3, 2, 3)], lambda *a: F.conv3d(*a, padding=1, dilation=2)),
    "depthwise": ([(4, 9, 23, 25), (9, 1, 3, 3)], lambda *a: F.conv2d(*a, padding=1, groups=9)),
    "conv_transpose2d": ([(2, 10, 15, 13), (10, 25, 4, 4)], lambda *a: F.conv_transpose2d(*a, stride=2)),
    "attention": ([(5, 3, 130, 20), (5, 3, 150, 20), (5, 3, 150, 9)], F.scaled_dot_product_attention),
    "causal": ([(1, 2, 700, 8)] * 3, lambda *a: F.scaled_dot_product_attention(*a, is_causal=True)),
}
"""Shapes of the tensors, and what is done with them."""


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(pool, name):
    """What networks are made of, forwards and backwards."""
    shapes, function = NETWORKS[name]
    leaves = [numbers_of(*shape, seed=3).requires_grad_() for shape in shapes]

    def work():
        y = function(*leaves)
        return [y, *torch.autograd.grad(y, leaves, y.detach().cos())]

    by_threads(pool, work, range(1, MOST + 1))


def test_lists(pool):
    """Steps of optimizers, over tensors of all sizes."""

    def work():
        sizes = (1, 5000, LONG, 17)
        parameters = [torch.linspace(-1, 1, n).requires_grad_() for n in sizes]
        optimizer = torch.optim.AdamW(parameters, 0.1)
        for _ in range(3):
            for p in parameters:
                p.grad = p.detach() * 2
            optimizer.step()
        return list(parameters)

    by_threads(pool, work, range(1, MOST + 1))


def test_it_is_the_number_that_is_set(pool):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.get_num_threads() == pool.threads() == 3
        torch.ones(LONG).exp()
        assert pool.workers() >= 2
    finally:
        torch.set_num_threads(before)


def test_small_work_wakes_nobody():
    code = """
import pullback as torch
from pullback.core import _pool
torch.set_num_threads(4)
x = torch.randn(64, 64, requires_grad=True)
for _ in range(20):
    (torch.softmax(x @ x, 1) * x + x.sum(0)).sum().backward()
print(_pool.turns(), _pool.workers())
torch.ones(2_000_000).exp()
print(_pool.turns(), _pool.workers())
"""
    assert run_python("-c", code).stdout.split() == ["0", "0", "2", "3"]  # for the ones, and for exp


@pytest.mark.parametrize(("said", "count"), [("3", 3), ("2,4", 2)])
def test_the_environment_says_how_many(said, count, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    done = run_python("-c", "import pullback as torch; print(torch.get_num_threads())")
    assert int(done.stdout) == count


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork(pool):
    """A child has a pool of its own; one that is made while others compute as well."""
    pool.set_threads(4)
    x = torch.linspace(-1, 1, LONG)
    expected = x.exp().sum().item()
    stop = threading.Event()

    def others():
        while not stop.is_set():
            x.exp()

    threads = [threading.Thread(target=others) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                started = pool.workers()
                right = x.exp().sum().item() == expected and started == 0 and pool.workers() == 3
                os._exit(0 if right else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert x.exp().sum().item() == expected


def test_many_threads_of_python(pool):
    """All compute at once, while one sets the number of threads again and again."""
    x = torch.linspace(-1, 1, LONG)
    expected = bits([x.exp().sum(), x.cumsum(0)])
    wrong, stop = [], threading.Event()

    def compute():
        for _ in range(15):
            if bits([x.exp().sum(), x.cumsum(0)]) != expected:
                wrong.append(1)

    def change():
        count = 0
        while not stop.is_set():
            count = count % MOST + 1
            pool.set_threads(count)

    threads = [threading.Thread(target=compute) for _ in range(6)]
    changing = threading.Thread(target=change)
    for thread in [*threads, changing]:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    stop.set()
    changing.join()
    assert not wrong


def test_what_is_wrong_is_said(pool):
    """An error in any part is reported."""
    x, index = torch.zeros(LONG, 2), torch.arange(LONG)
    for place in (0, LONG // 2, LONG - 1):
        bad = index.clone()
        bad[place] = LONG
        for count in (1, 2, MOST):
            pool.set_threads(count)
            with pytest.raises(IndexError, match="out of bounds"):
                x[bad]
    target = torch.zeros(LONG)
    with pytest.raises((IndexError, RuntimeError)):
        target.index_add_(0, bad, torch.ones(LONG))
    assert target.sum().item() == 0  # nothing was written


def test_the_end_of_a_process_with_work_on_its_threads():
    code = """
import threading, pullback as torch
torch.set_num_threads(4)
x = torch.ones(3_000_000)
def forever():
    while True:
        x.exp()
for _ in range(3):
    threading.Thread(target=forever, daemon=True).start()
for _ in range(5):
    x.exp()
print("done")
"""
    done = run_python("-c", code)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
