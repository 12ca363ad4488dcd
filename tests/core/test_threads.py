"""Ops on several threads at once: each gets what one thread alone gets.

`.ci/run` runs this file under the thread sanitizer too.
"""

import threading

import numpy as np
import pytest
from library import leaf, torch

THREADS, ROUNDS = 4, 12
LONG = 30_000  # elements: work of this length lets other threads run meanwhile


def by_all(work):
    """What `work(seed)` gives on one thread after the other, and on all at once, by seed."""
    alone = [work(seed) for seed in range(THREADS)]
    together, errors = [None] * THREADS, []
    ready = threading.Barrier(THREADS)

    def run(seed):
        try:
            ready.wait()
            for _ in range(ROUNDS):
                together[seed] = work(seed)
        except BaseException as error:  # told below, by the thread that tests
            errors.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    return alone, together


def same(work):
    alone, together = by_all(work)
    for a, b in zip(alone, together, strict=True):
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype and np.array_equal(x, y, equal_nan=True)


SHARED = torch.linspace(-1, 1, LONG).reshape(-1, 30)
INDEX = torch.arange(LONG // 30).flip(0)

WORKS = {
    "loops": lambda x: (x * SHARED).exp() + x.tanh() / (1 + SHARED**2),
    "reductions": lambda x: x.sum(0) + x.amax(0) + x.std(0) + x.logsumexp(0) + x.cumsum(0)[-1],
    "rows": lambda x: torch.softmax(x, 1) + torch.nn.functional.layer_norm(x, (30,)),
    "orders": lambda x: x.sort(0).values + x.argsort(1) + x.median(),
    "moves": lambda x: torch.cat([x.t(), SHARED.t()], 1).flip(0).roll(3, 1).contiguous(),
    "indices": lambda x: x[INDEX].index_add(0, INDEX, SHARED).gather(1, x.argsort(1)),
    "products": lambda x: x[:64] @ SHARED[:64].t() + torch.einsum("ij,kj->ik", x[:64], SHARED[:64]),
    "factors": lambda x: torch.linalg.solve(x[:30] @ x[:30].t() + 40 * torch.eye(30), SHARED[:30]),
    "half": lambda x: (x.bfloat16() * 2).sum(0) + torch.softmax(x.half(), 1).sum(0),
}


@pytest.mark.parametrize("name", WORKS)
def test_long_work(name):
    def work(seed):
        x = SHARED * (seed + 1) / 4
        return [WORKS[name](x).float().numpy()]

    same(work)


def test_signatures_of_all_sizes():
    """Plans and tapes are made and found on all threads at once, also for the same signatures."""

    def work(seed):
        found = []
        for n in range(1, 25):
            x = torch.linspace(0, 1, n * 3).reshape(n, 3) + seed
            found += [torch.softmax(x, 1).numpy(), x.sum(0).numpy(), torch.diff(x, dim=0).numpy()]
            found.append(torch.nn.functional.cross_entropy(x, torch.arange(n) % 3).numpy())
        return found

    same(work)


def test_backward_passes():
    """Passes run side by side, through a graph of their own or through parameters that all share."""
    weight = torch.linspace(-1, 1, 900).reshape(30, 30).requires_grad_()

    def work(seed):
        x = leaf((SHARED[:200] * (seed + 1)).tolist())
        loss = (torch.tanh(x @ weight).sum(1) ** 2).mean()
        return [g.numpy() for g in torch.autograd.grad(loss, (x, weight))]

    same(work)


def test_transforms():
    """The stack of levels is each thread's own."""

    def work(seed):
        x = SHARED[:40] + seed
        slopes = torch.func.vmap(torch.func.grad(lambda row: row.sin().sum() * row.sum()))(x)
        return [slopes.numpy(), torch.func.jacrev(torch.tanh)(x[0]).numpy()]

    same(work)


def test_random_numbers():
    """Generators of one's own give the same numbers whatever others draw."""

    def work(seed):
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(100, generator=generator).numpy(),
            torch.randperm(50, generator=generator).numpy(),
        ]

    same(work)


def test_one_sum_of_gradients():
    """Gradients that several threads add to one leaf are all in it."""
    w = leaf([1.0, 2.0])

    def run():
        for _ in range(200):
            (w * 2).sum().backward()

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert w.grad.tolist() == [2.0 * 200 * THREADS] * 2
