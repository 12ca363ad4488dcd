"""Every optimizer beside PyTorch's: parameters and states after each of 20 steps, states taken over."""

import pytest
from library import torch
from optimizer_table import IDS, TABLE, assert_alike, numbers, start, steps

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
@pytest.mark.parametrize(("name", "options"), TABLE, ids=IDS)
def test_twenty_steps(name, options, dtype):
    if dtype.startswith("complex") and name in ("Adafactor", "Muon"):
        pytest.skip("refuses complex parameters")
    sides = [(lib, *start(lib, name, options, dtype)) for lib in (torch, oracle)]
    for seed in range(20):
        for lib, optimizer, params in sides:
            steps(lib, optimizer, params, [seed], dtype)
        (mine, p), (theirs, q) = [(numbers(a.state_dict()), numbers(b)) for _, a, b in sides]
        assert_alike(p, q, *tolerance(name, dtype))
        assert_alike(mine, theirs, *tolerance(name, dtype))


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
