"""The optimizers that step by gradients alone, with some of their settings, and a way to run them."""

import numpy as np

TABLE = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "betas": (0.5, 0.7)}),
    ("Adam", {"lr": 0.1, "maximize": True, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "amsgrad": True, "eps": 1e-3, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "betas": (0.8, 0.9)}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adagrad", {"lr": 0.1, "maximize": True, "eps": 0.1}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "centered": True, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "centered": True, "alpha": 0.5}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.7), "step_sizes": (0.05, 0.2), "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "t0": 5, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 0.1), "d": 1.5, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 0.1, "maximize": True}),
    ("Muon", {}),
    ("Muon", {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
    ("Muon", {"lr": 0.1, "momentum": 0.5, "adjust_lr_fn": "original", "ns_steps": 3}),
]
ELSEWISE = [
    ("SparseAdam", {}),
    ("SparseAdam", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 1e-3, "maximize": True}),
    ("LBFGS", {"lr": 0.1}),
    ("LBFGS", {"max_iter": 3, "history_size": 2, "line_search_fn": "strong_wolfe"}),
]
"""Those whose gradients are sparse, or that ask for them again."""


def ids(table):
    """The names of rows."""
    return [f"{name}-{','.join(options)}" for name, options in table]


IDS = ids(TABLE)
ELEMENTWISE = [row for row in TABLE if row[0] not in ("Adafactor", "Muon")]
MATRICES = ((3, 4), (5, 2))
SHAPES = ((3, 4), (5,), (), (2, 1, 3), (0,))


def shapes_of(name):
    """The shapes of parameters that an optimizer takes."""
    return MATRICES if name in ("Muon", "SparseAdam") else SHAPES if name != "Adafactor" else SHAPES[:4]


def values(shapes, seed, dtype="float64"):
    """Random numbers of these shapes."""
    draw = np.random.default_rng(seed)
    drawn = [draw.standard_normal(shape) for shape in shapes]
    if dtype.startswith("complex"):
        drawn = [x + 1j * draw.standard_normal(x.shape) for x in drawn]
    return [np.asarray(x).astype(dtype) for x in drawn]


def start(lib, name, options, dtype="float64", shapes=None):
    """An optimizer of a library with its parameters."""
    shapes = shapes or shapes_of(name)
    params = [lib.tensor(x).requires_grad_() for x in values(shapes, 0, dtype)]
    return getattr(lib.optim, name)(params, **options), params


def steps(lib, optimizer, params, seeds, dtype="float64"):
    """Steps with random gradients; LBFGS goes towards random places instead."""
    kind = type(optimizer).__name__
    for seed in seeds:
        drawn = [lib.tensor(g) for g in values([tuple(p.shape) for p in params], seed + 1, dtype)]

        def closure(drawn=drawn):
            for p, g in zip(params, drawn, strict=True):
                p.grad = p.detach() - g if kind == "LBFGS" else g.to_sparse() if kind == "SparseAdam" else g
            return sum(((p.detach() - g).abs() ** 2).sum() for p, g in zip(params, drawn, strict=True)) / 2

        if kind == "LBFGS":
            optimizer.step(closure)
        else:
            closure()
            optimizer.step()


def numbers(x):
    """What a state holds, with arrays for tensors."""
    if isinstance(x, dict):
        return {key: numbers(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [numbers(value) for value in x]
    return x.detach().numpy() if hasattr(x, "detach") else x


def assert_alike(found, wanted, rtol, atol=0.0):
    """The same structure, and numbers within a tolerance."""
    assert type(found) is type(wanted)
    if isinstance(wanted, dict):
        assert list(found) == list(wanted)
        found, wanted = list(found.values()), list(wanted.values())
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_alike(a, b, rtol, atol)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
    elif isinstance(wanted, float):
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)
    else:
        assert found == wanted
