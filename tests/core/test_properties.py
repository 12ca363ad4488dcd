"""Random programs: op graphs with views, broadcasting and in-place writes, drawn by Hypothesis.

A program is a list of steps over a growing pool of tensors. A step is an op's name and three
numbers, which pick the operands and what else the op takes, so that every list is a valid program
and shrinks well. Its gradient, and the gradient of that, is held against finite differences in
float64; and where PyTorch is installed everything is held against PyTorch.

PULLBACK_EXAMPLES=5000 draws more programs, and new ones each time.
"""

import importlib.util
import math
import os

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from library import ON_TORCH, torch

COUNT = int(os.environ.get("PULLBACK_EXAMPLES", "0"))
many = settings(max_examples=COUNT or 150, derandomize=not COUNT, deadline=None)
few = settings(max_examples=COUNT or 50, derandomize=not COUNT, deadline=None)


# ------------------------------------------------------------------------------- what a step may be


def fit(x, y):
    """`y` if it broadcasts into the shape of `x`, else a number made of it."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    fits = y.ndim <= x.ndim and all(b in (1, a) for a, b in pairs)
    return y if fits else y.mean()


def join(x, y):
    """`y` if the two broadcast against each other, else a number made of it."""
    pairs = zip(reversed(x.shape), reversed(y.shape), strict=False)
    return y if all(a == b or 1 in (a, b) for a, b in pairs) else y.mean()


def dim(x, k):
    return k % x.ndim if x.ndim else 0


def at_least_1d(x):
    return x.unsqueeze(0) if x.ndim == 0 else x


def choose(lib, x, y, k):
    """`x`, and from some place on another number."""
    return lib.where(lib.ones_like(x).cumsum(0) > k % 3, x, join(x, y).sin())


def part(x, k):
    """A part of `x` by basic indexing."""
    x = at_least_1d(x)
    n = x.shape[0]
    keys = [
        slice(0, n // 2 + 1),
        slice(None, None, 2),
        slice(1, None),
        k % n,
        (..., k % x.shape[-1]),
    ]
    key = keys[k % len(keys)]
    return x[key] if x[key].numel() else x


def writable(x):
    """`x`, or a copy where several of its elements are one place in memory."""
    shared = any(step == 0 and size > 1 for size, step in zip(x.shape, x.stride(), strict=True))
    return x.clone() if shared else x


def put(lib, x, y, k):
    x = writable(at_least_1d(x))
    n = x.shape[0]
    key = [slice(0, n // 2 + 1), slice(None, None, 2), k % n][k % 3]
    x[key] = fit(x[key], y).clone()
    return x


def write_part(lib, x, y, k):
    x = writable(x)
    piece = part(x, k)
    piece.mul_(fit(piece, y).clone())
    return piece


OPS = {
    "add": lambda lib, x, y, k: x + join(x, y),
    "sub": lambda lib, x, y, k: join(x, y) - x,
    "mul": lambda lib, x, y, k: x * join(x, y),
    "square": lambda lib, x, y, k: x * x,
    "div": lambda lib, x, y, k: x / (join(x, y).cos() + 2),
    "scale": lambda lib, x, y, k: (k - 4) * x + 0.5,
    "pow": lambda lib, x, y, k: x ** (k % 4),
    "tanh": lambda lib, x, y, k: lib.tanh(x),
    "sin": lambda lib, x, y, k: x.sin(),
    "exp": lambda lib, x, y, k: (-x * x).exp(),
    "log": lambda lib, x, y, k: (x * x + 1).log(),
    "where": choose,
    "sum": lambda lib, x, y, k: x.sum(dim(x, k), keepdim=k % 2 == 0),
    "mean": lambda lib, x, y, k: x.mean(),
    "prod": lambda lib, x, y, k: x.prod(dim(x, k)),
    "cumsum": lambda lib, x, y, k: x.cumsum(dim(x, k)),
    "logsumexp": lambda lib, x, y, k: x.logsumexp(dim(x, k)),
    "transpose": lambda lib, x, y, k: at_least_1d(x).transpose(0, -1),
    "flatten": lambda lib, x, y, k: x.reshape(-1),
    "column": lambda lib, x, y, k: x.reshape(-1, 1),
    "expand": lambda lib, x, y, k: x.expand(2, *x.shape) if x.numel() < 20 else x,
    "unsqueeze": lambda lib, x, y, k: x.unsqueeze(k % (x.ndim + 1)) if x.ndim < 4 else x,
    "part": lambda lib, x, y, k: part(x, k),
    "flip": lambda lib, x, y, k: at_least_1d(x).flip(0),
    "diagonal": lambda lib, x, y, k: x.diagonal() if x.ndim >= 2 else x.clone(),
    "take": lambda lib, x, y, k: at_least_1d(x)[[0, -1, 0]],
    "cat": lambda lib, x, y, k: lib.cat([x.reshape(-1), y.reshape(-1)[:4]]),
    "matmul": lambda lib, x, y, k: x.reshape(-1, 1)[:4] @ y.reshape(1, -1)[:, :4],
    "clone": lambda lib, x, y, k: x.clone(),
    "add_": lambda lib, x, y, k: writable(x).add_(fit(x, y).clone()),
    "mul_": lambda lib, x, y, k: writable(x).mul_(k - 3),
    "tanh_": lambda lib, x, y, k: writable(x).tanh_(),
    "copy_": lambda lib, x, y, k: writable(x).copy_(fit(x, y).clone()),
    "zero_": lambda lib, x, y, k: writable(part(x, k)).zero_(),
    "put": put,
    "write_part": write_part,
}

small = st.integers(0, 8)
programs = st.lists(st.tuples(st.sampled_from(sorted(OPS)), small, small, small), max_size=9)
shapes = st.lists(st.lists(st.integers(1, 3), max_size=3), min_size=1, max_size=3)


def leaf_values(shapes):
    """Numbers for the leaves, no two alike, none of them at a place that is special to an op."""
    numbers = np.random.default_rng(len(shapes))
    return [numbers.uniform(0.2, 1.3, shape) * numbers.choice([-1, 1], shape) for shape in shapes]


def run(lib, values, steps):
    """The leaves, the pool and the loss of a program; None where the loss would be useless."""
    leaves = [lib.tensor(v, dtype=lib.float64, requires_grad=True) for v in values]
    pool = [leaf * 1 for leaf in leaves]
    for name, i, j, k in steps:
        x, y = pool[i % len(pool)], pool[j % len(pool)]
        pool.append(OPS[name](lib, x, y, k))
    loss = lib.zeros((), dtype=lib.float64)
    for place, x in enumerate(pool):
        weights = lib.arange(x.numel(), dtype=lib.float64).reshape(x.shape) + place
        loss = loss + (x.sin() * weights.cos()).sum()
    return leaves, pool, loss


def gradients(lib, loss, leaves, create_graph=False):
    """The loss's gradients; None if a value that one of the rules needs was written over."""
    try:
        found = lib.autograd.grad(loss, leaves, create_graph=create_graph)
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        return None
    return list(found)


def tame(pool):
    """Whether the numbers are small enough for differences to tell something."""
    return all(x.abs().max().item() < 50 for x in pool)


def directions(values):
    numbers = np.random.default_rng(7)
    return [numbers.standard_normal(v.shape) for v in values]


def difference(function, values, along, step=1e-5):
    """The derivative of a function of the leaves along a direction, to fourth order."""
    at = [function([v + s * step * d for v, d in zip(values, along, strict=True)]) for s in (-2, -1, 1, 2)]
    return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)


def along(tensors, ways):
    return sum((t * torch.tensor(d)).sum() for t, d in zip(tensors, ways, strict=True))


# ----------------------------------------------------------------------------------- the properties


@pytest.mark.slow
@many
@given(shapes, programs)
def test_gradient_is_the_limit_of_differences(shapes, steps):
    values = leaf_values(shapes)
    leaves, pool, loss = run(torch, values, steps)
    assume(tame(pool))
    found = gradients(torch, loss, leaves)
    assume(found is not None)
    ways = directions(values)
    expected = difference(lambda v: run(torch, v, steps)[2].item(), values, ways)
    got = along(found, ways).item()
    assert math.isclose(got, expected, rel_tol=1e-5, abs_tol=1e-5)


@pytest.mark.slow
@few
@given(shapes, programs)
def test_second_gradient_is_the_limit_of_differences(shapes, steps):
    values = leaf_values(shapes)
    ways = directions(values)

    def slope(at):
        leaves, pool, loss = run(torch, at, steps)
        assume(tame(pool))
        first = gradients(torch, loss, leaves, create_graph=True)
        assume(first is not None)
        return leaves, along(first, ways)

    leaves, first = slope(values)
    assume(first.requires_grad)
    second = torch.autograd.grad(first, leaves, materialize_grads=True)
    got = along(second, ways).item()
    expected = difference(lambda v: slope(v)[1].item(), values, ways)
    assert math.isclose(got, expected, rel_tol=1e-4, abs_tol=1e-3)


@pytest.mark.slow
@many
@given(shapes, programs)
def test_backward_adds_what_grad_returns(shapes, steps):
    leaves, pool, loss = run(torch, leaf_values(shapes), steps)
    assume(tame(pool))
    try:
        loss.backward(retain_graph=True)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
        assert gradients(torch, loss, leaves) is None
        return
    for leaf, g in zip(leaves, torch.autograd.grad(loss, leaves), strict=True):
        assert leaf.grad.shape == leaf.shape
        assert torch.equal(leaf.grad, g)


def same_layout(ours, theirs):
    """Two tensors with the same shape, strides, place in memory and history of writes."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    assert ours.stride() == theirs.stride()
    assert ours.storage_offset() == theirs.storage_offset()
    assert ours._version == theirs._version
    assert ours.requires_grad == theirs.requires_grad
    assert (ours._base is None) == (theirs._base is None)


@pytest.mark.skipif(ON_TORCH, reason="PyTorch compared with itself")
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@many
@given(shapes, programs)
def test_pytorch_does_the_same(shapes, steps):
    import torch as reference

    values = leaf_values(shapes)
    leaves, pool, loss = run(torch, values, steps)
    their_leaves, their_pool, their_loss = run(reference, values, steps)
    assume(tame(pool))
    for ours, theirs in zip(pool, their_pool, strict=True):
        same_layout(ours, theirs)
        np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=1e-10, atol=1e-12)
    found = gradients(torch, loss, leaves)
    expected = gradients(reference, their_loss, their_leaves)
    if expected is None:
        return  # PyTorch refuses more: it counts writes to parts of memory that no rule needs
    assert found is not None
    for g, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(g.tolist(), wanted.tolist(), rtol=1e-8, atol=1e-10)
