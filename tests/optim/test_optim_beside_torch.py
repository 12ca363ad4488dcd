"""Every optimizer beside PyTorch's: parameters and states after each of 20 steps, states taken over."""

import numpy as np
import pytest
from library import torch
from optimizer_table import ELSEWISE, IDS, TABLE, assert_alike, ids, numbers, start, steps, values

oracle = pytest.importorskip("torch", reason="PyTorch is what the optimizers are compared with")

TOLERANCES = {
    "float64": (1e-10, 1e-12),
    "float32": (2e-4, 2e-5),
    "complex128": (1e-10, 1e-12),
}


def tolerance(name, dtype):
    """Muon's matrices are multiplied in bfloat16."""
    return (0.1, 0.02) if name == "Muon" else TOLERANCES[dtype]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("name", "options"), TABLE + ELSEWISE, ids=ids(TABLE + ELSEWISE))
def test_twenty_steps(name, options, dtype):
    if dtype.startswith("complex") and name in ("Adafactor", "Muon", "SparseAdam"):
        pytest.skip("refuses complex parameters")
    sides = [(lib, *start(lib, name, options, dtype)) for lib in (torch, oracle)]
    for seed in range(20):
        for lib, optimizer, params in sides:
            steps(lib, optimizer, params, [seed], dtype)
        (mine, p), (theirs, q) = [(numbers(a.state_dict()), numbers(b)) for _, a, b in sides]
        assert_alike(p, q, *tolerance(name, dtype))
        assert_alike(mine, theirs, *tolerance(name, dtype))


def test_every_class_has_a_row():
    """An optimizer that PyTorch has is here, and is taken through its steps above."""
    kinds = {name: kind for name, kind in vars(oracle.optim).items() if isinstance(kind, type)}
    names = {name for name, kind in kinds.items() if issubclass(kind, oracle.optim.Optimizer)}
    assert names - {"Optimizer"} == {name for name, _ in TABLE + ELSEWISE}
    assert set(torch.optim.__all__) == set(oracle.optim.__all__)


# PyTorch rounds twice where the elements of a tensor do not fill its vectors; where they do, once, as here.
FULL = ((64, 4), (64,), (2, 32, 3))
FULL_MATRICES = ((64, 4), (16, 64))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("name", "options"), TABLE, ids=IDS)
def test_twenty_steps_in_half_precision(name, options, dtype):
    """The same bits, save for one number in 200: PyTorch's vectors have fused multiply-adds where the
    processor has."""
    if name == "Muon" and dtype == "bfloat16" and options.get("nesterov") is False:
        pytest.skip("PyTorch scales its buffer, taken for a copy, to norm 1 in every step")
    made = []
    for lib in (torch, oracle):
        kind = getattr(lib, dtype)
        shapes = FULL_MATRICES if name == "Muon" else FULL
        params = [lib.tensor(x).to(kind).requires_grad_() for x in values(shapes, 0)]
        optimizer = getattr(lib.optim, name)(params, **options)
        seen = []
        for seed in range(20):
            for p, g in zip(params, values(shapes, seed + 1), strict=True):
                p.grad = lib.tensor(g).to(kind)
            optimizer.step()
            seen += [p.detach().float().numpy().ravel() for p in params]
        states = [x for p in params for x in optimizer.state[p].values()]
        made.append((np.concatenate(seen), [(str(x.dtype).split(".")[-1], tuple(x.shape)) for x in states]))
    (mine, states), (theirs, other) = made
    assert states == other
    apart = ~((mine == theirs) | (np.isnan(mine) & np.isnan(theirs)))
    if name == "Muon":  # sums of products in bfloat16 are in each library's order, and errors grow
        apart = np.abs(mine - theirs).reshape(20, -1).mean(1)
        assert apart[:4].max() < 0.01 and apart.max() < 0.1
    else:
        assert apart.mean() < 0.005


@pytest.mark.parametrize(("name", "options"), TABLE, ids=IDS)
@pytest.mark.parametrize("way", ["to PyTorch", "from PyTorch"])
def test_a_state_goes_over(name, options, way):
    first = torch if way == "to PyTorch" else oracle
    begun, params = start(first, name, options)
    steps(first, begun, params, range(3))
    states = begun.state_dict()
    sides = []
    for lib in (torch, oracle):

        def translated(x, lib=lib):
            if isinstance(x, dict):
                return {key: translated(value) for key, value in x.items()}
            if isinstance(x, list):
                return [translated(value) for value in x]
            return lib.tensor(x.numpy().copy()) if isinstance(x, first.Tensor) else x

        optimizer, copies = start(lib, name, options)
        optimizer.load_state_dict(translated(states))
        with lib.no_grad():
            for p, q in zip(copies, params, strict=True):
                p.copy_(lib.tensor(q.detach().numpy()))
        steps(lib, optimizer, copies, range(3, 6))
        sides.append((optimizer, copies))
    (mine, p), (theirs, q) = sides
    assert_alike(numbers(p), numbers(q), *tolerance(name, "float64"))
    assert_alike(numbers(mine.state_dict()), numbers(theirs.state_dict()), *tolerance(name, "float64"))
    assert repr(mine) == repr(theirs)
