"""LBFGS beside PyTorch's: parameters, losses, counts and states of each step."""

import numpy as np
import pytest
from library import torch
from optimizer_table import assert_alike, numbers, values

SETTINGS = [
    {},
    {"lr": 0.1, "max_iter": 3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 3, "lr": 0.7},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2},
    {"max_eval": 3, "tolerance_change": 1e-3},
]


def rosenbrock(lib, p, q):
    x = lib.cat([p.reshape(-1), q.reshape(-1)])
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum() * 0.01


def run(lib, options, dtype="float64", steps=6, loss_of=rosenbrock):
    params = [lib.tensor(x).requires_grad_() for x in values([(2, 2), (3,)], 1, dtype)]
    optimizer = lib.optim.LBFGS(params, **options)
    losses = []

    def closure():
        optimizer.zero_grad()
        loss = loss_of(lib, *params)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(steps)]
    return losses, numbers(params), optimizer


@pytest.mark.parametrize("options", SETTINGS)
def test_the_same_way_as_in_pytorch(options):
    oracle = pytest.importorskip("torch", reason="PyTorch is what LBFGS is compared with")
    losses, params, mine = run(torch, options)
    wanted, others, theirs = run(oracle, options)
    np.testing.assert_allclose(losses, wanted, rtol=1e-6, atol=1e-10)
    assert_alike(params, others, 1e-5, 1e-8)
    (state,), (other,) = mine.state.values(), theirs.state.values()
    assert set(state) == set(other)
    for name in ("n_iter", "func_evals"):
        assert state[name] == other[name]
    assert len(state["old_dirs"]) == len(other["old_dirs"])
    assert repr(mine) == repr(theirs)


def test_complex_parameters_count_as_pairs():
    def loss_of(lib, p, q):
        return (abs(p - 1j) ** 2).sum() + (abs(q * 3 - 2) ** 2).sum()

    _, (p, q), _ = run(torch, {"line_search_fn": "strong_wolfe"}, "complex128", 8, loss_of)
    np.testing.assert_allclose(p, np.full((2, 2), 1j), atol=1e-5)
    np.testing.assert_allclose(q, np.full(3, 2 / 3), atol=1e-5)


def test_one_group_of_parameters():
    groups = [{"params": [torch.ones(1, requires_grad=True)]} for _ in range(2)]
    with pytest.raises(ValueError, match="LBFGS doesn't support per-parameter options"):
        torch.optim.LBFGS(groups)


def test_an_unknown_line_search():
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        run(torch, {"line_search_fn": "backtracking"}, steps=1)


def test_a_state_is_taken_over():
    _, params, begun = run(torch, {"line_search_fn": "strong_wolfe", "max_iter": 3}, steps=2)
    again = [torch.tensor(x).requires_grad_() for x in params]
    other = torch.optim.LBFGS(again, line_search_fn="strong_wolfe", max_iter=3)
    other.load_state_dict(begun.state_dict())
    (state,), (copy,) = begun.state.values(), other.state.values()
    assert list(state) == list(copy)
    assert state["n_iter"] == copy["n_iter"]
    torch.testing.assert_close(state["old_dirs"], copy["old_dirs"])
