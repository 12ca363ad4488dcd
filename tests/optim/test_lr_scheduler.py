"""Schedules of learning rates: their tables beside PyTorch's, saving, warnings, refusals."""

import copy
import math
import pickle
import warnings

import pytest
from library import torch

SCHEDULES = {
    "LambdaLR": lambda L, o, **k: L.LambdaLR(o, lambda e: 0.95**e, **k),
    "LambdaLR of two": lambda L, o, **k: L.LambdaLR(o, [lambda e: 1 / (e + 1), lambda e: 0.5 + e], **k),
    "MultiplicativeLR": lambda L, o, **k: L.MultiplicativeLR(o, lambda e: 0.9 + e / 500, **k),
    "StepLR": lambda L, o, **k: L.StepLR(o, 30, 0.5, **k),
    "MultiStepLR": lambda L, o, **k: L.MultiStepLR(o, [3, 3, 50, 80], 0.5, **k),
    "ConstantLR": lambda L, o, **k: L.ConstantLR(o, 0.25, 7, **k),
    "LinearLR": lambda L, o, **k: L.LinearLR(o, 0.25, 0.75, 40, **k),
    "ExponentialLR": lambda L, o, **k: L.ExponentialLR(o, 0.97, **k),
    "CosineAnnealingLR": lambda L, o, **k: L.CosineAnnealingLR(o, 30, 0.01, **k),
    "PolynomialLR": lambda L, o, **k: L.PolynomialLR(o, 60, 2.5, **k),
    "CosineAnnealingWarmRestarts": lambda L, o, **k: L.CosineAnnealingWarmRestarts(o, 7, 2, 0.01, **k),
    "CyclicLR": lambda L, o, **k: L.CyclicLR(o, 0.1, 1.0, 7, 11, **k),
    "CyclicLR triangular2": lambda L, o, **k: L.CyclicLR(
        o, [0.1, 0.2], [1.0, 2.0], 7, mode="triangular2", **k
    ),
    "CyclicLR exp_range": lambda L, o, **k: L.CyclicLR(o, 0.1, 1.0, 7, mode="exp_range", gamma=0.99, **k),
    "CyclicLR scale_fn": lambda L, o, **k: L.CyclicLR(
        o, 0.1, 1.0, 7, scale_fn=lambda x: 0.9**x, scale_mode="iterations", cycle_momentum=False, **k
    ),
    "OneCycleLR": lambda L, o, **k: L.OneCycleLR(o, [0.5, 1.5], 110, **k),
    "OneCycleLR linear": lambda L, o, **k: L.OneCycleLR(
        o, 1.0, epochs=11, steps_per_epoch=10, anneal_strategy="linear", three_phase=True, pct_start=0.25, **k
    ),
}
CLOSED = [
    "StepLR",
    "MultiStepLR",
    "ConstantLR",
    "LinearLR",
    "ExponentialLR",
    "CosineAnnealingLR",
    "PolynomialLR",
]


def optimizer_of(lib, kind="SGD", **options):
    """An optimizer with two groups."""
    params = [lib.ones(2, requires_grad=True) for _ in range(2)]
    settings = {"momentum": 0.9} if kind == "SGD" else {}
    groups = [{"params": [params[0]]}, {"params": [params[1]], "lr": 0.7}]
    return getattr(lib.optim, kind)(groups, lr=0.3, **{**settings, **options})


def rates(lib, make, count=100, kind="SGD"):
    """The rates and momenta of each epoch, and the state at the end."""
    optimizer = optimizer_of(lib, kind)
    scheduler = make(lib.optim.lr_scheduler, optimizer)
    table = []
    for _ in range(count):
        momenta = [g["momentum"] if "momentum" in g else g["betas"][0] for g in optimizer.param_groups]
        table += [scheduler.get_last_lr(), momenta]
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
        optimizer.step()
        scheduler.step()
    return table, scheduler.state_dict()


def plain(state):
    """A state without what differs from run to run."""
    return {k: v for k, v in state.items() if not callable(v)}


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_hundred_epochs_beside_pytorch(name, kind):
    oracle = pytest.importorskip("torch", reason="PyTorch is what the schedules are compared with")
    found, wanted = rates(torch, SCHEDULES[name], kind=kind), rates(oracle, SCHEDULES[name], kind=kind)
    for row, other in zip(found[0], wanted[0], strict=True):
        assert row == pytest.approx(other, rel=1e-9)
    assert list(found[1]) == list(wanted[1])
    for key, value in found[1].items():
        if not isinstance(value, (list, float)):
            assert value == wanted[1][key]


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_form_is_where_the_steps_lead(name):
    optimizer, other = optimizer_of(torch), optimizer_of(torch)
    stepped = SCHEDULES[name](torch.optim.lr_scheduler, optimizer)
    jumped = SCHEDULES[name](torch.optim.lr_scheduler, other)
    for epoch in range(1, 60):
        optimizer.step()
        other.step()
        stepped.step()
        with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step"):
            jumped.step(epoch)
        assert stepped.get_last_lr() == pytest.approx(jumped.get_last_lr(), rel=1e-9)


@pytest.mark.parametrize("last_epoch", [0, 2, 4, 5, 29])
@pytest.mark.parametrize("name", SCHEDULES)
def test_going_on_from_an_epoch(name, last_epoch):
    oracle = pytest.importorskip("torch", reason="PyTorch is what the schedules are compared with")
    tables = []
    for lib in (torch, oracle):
        optimizer = optimizer_of(lib)
        SCHEDULES[name](lib.optim.lr_scheduler, optimizer)
        scheduler = SCHEDULES[name](lib.optim.lr_scheduler, optimizer, last_epoch=last_epoch)
        table = []
        for _ in range(8):
            table += scheduler.get_last_lr()
            optimizer.step()
            scheduler.step()
        tables.append(table)
    assert tables[0] == pytest.approx(tables[1], rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_state_is_taken_over(name):
    make = SCHEDULES[name]
    first, second = optimizer_of(torch), optimizer_of(torch)
    begun, other = make(torch.optim.lr_scheduler, first), make(torch.optim.lr_scheduler, second)
    for _ in range(10):
        first.step()
        begun.step()
    other.load_state_dict(copy.deepcopy(plain(begun.state_dict())))
    second.load_state_dict(first.state_dict())
    for _ in range(10):
        for optimizer, scheduler in ((first, begun), (second, other)):
            optimizer.step()
            scheduler.step()
        assert begun.get_last_lr() == other.get_last_lr()


SEQUENCES = {
    "warm up, then fall": lambda L, o: L.SequentialLR(
        o, [L.LinearLR(o, 0.1, total_iters=5), L.CosineAnnealingLR(o, 40)], [5]
    ),
    "three": lambda L, o: L.SequentialLR(
        o, [L.ConstantLR(o, 0.1, 3), L.ExponentialLR(o, 0.9), L.MultiplicativeLR(o, lambda e: 0.8)], [2, 9]
    ),
    "one within another": lambda L, o: L.SequentialLR(
        o,
        [L.SequentialLR(o, [L.StepLR(o, 2), L.ExponentialLR(o, 0.5)], [3]), L.PolynomialLR(o, 20)],
        [7],
    ),
    "all at once": lambda L, o: L.ChainedScheduler([L.ConstantLR(o, 0.1, 3), L.ExponentialLR(o, 0.9)]),
    "restarts later": lambda L, o: L.SequentialLR(
        o, [L.ConstantLR(o, 0.1, 3), L.CosineAnnealingWarmRestarts(o, 4)], [5]
    ),
}


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # by a sequence in a sequence
@pytest.mark.parametrize("name", SEQUENCES)
def test_several_schedules_beside_pytorch(name):
    oracle = pytest.importorskip("torch", reason="PyTorch is what the schedules are compared with")
    found, wanted = rates(torch, SEQUENCES[name], 40), rates(oracle, SEQUENCES[name], 40)
    for row, other in zip(found[0], wanted[0], strict=True):
        assert row == pytest.approx(other, rel=1e-9)
    assert list(found[1]) == list(wanted[1])
    assert [list(state) for state in found[1]["_schedulers"]] == [list(s) for s in wanted[1]["_schedulers"]]


@pytest.mark.parametrize("options", [
    {},
    {"patience": 2, "factor": 0.5},
    {"mode": "max", "patience": 1, "cooldown": 3},
    {"threshold_mode": "abs", "threshold": 0.3, "patience": 1},
    {"patience": 0, "min_lr": [0.1, 0.2]},
    {"patience": 0, "factor": 0.9, "eps": 0.05, "mode": "max", "threshold_mode": "abs"},
])  # fmt: skip
def test_a_plateau_beside_pytorch(options):
    oracle = pytest.importorskip("torch", reason="PyTorch is what the schedules are compared with")
    tables = []
    for lib in (torch, oracle):
        optimizer = optimizer_of(lib)
        scheduler = lib.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        table = []
        for epoch in range(60):
            scheduler.step(lib.tensor(math.cos(epoch / 7) + 0.1 * math.sin(epoch)))
            table.append([scheduler.get_last_lr(), scheduler.best, scheduler.num_bad_epochs])
        tables.append((table, scheduler.state_dict()))
    for row, other in zip(tables[0][0], tables[1][0], strict=True):
        assert row[0] == pytest.approx(other[0], rel=1e-9)
        assert row[1:] == pytest.approx(other[1:], rel=1e-6)
    assert list(tables[0][1]) == list(tables[1][1])


def test_a_learning_rate_that_is_a_tensor_stays_the_one_it_is():
    rate = torch.tensor(0.5)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=rate)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
    assert scheduler.get_last_lr()[0] is not rate


def test_the_order_of_calls_is_watched():
    optimizer = optimizer_of(torch)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.warns(UserWarning, match="Detected call of `lr_scheduler.step\\(\\)` before `optimizer.step"):
        scheduler.step()
    optimizer = optimizer_of(torch)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="Seems like `optimizer.step\\(\\)` has been overridden"):
        scheduler.step()
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


def test_right_use_warns_of_nothing():
    optimizer = optimizer_of(torch)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        scheduler.step()


def test_functions_are_not_saved_but_objects_are():
    class Fading:
        def __init__(self):
            self.rate = 0.5

        def __call__(self, epoch):
            return self.rate**epoch

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer_of(torch), [Fading(), lambda e: 1.0])
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"rate": 0.5}, None]
    state["lr_lambdas"][0]["rate"] = 0.25
    scheduler.load_state_dict(state)
    assert scheduler.lr_lambdas[0].rate == 0.25
    assert state["lr_lambdas"] == [{"rate": 0.25}, None]


def test_a_schedule_and_its_optimizer_can_be_pickled():
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer_of(torch), 2)
    again = pickle.loads(pickle.dumps(scheduler))
    assert again.get_last_lr() == scheduler.get_last_lr()
    assert again.optimizer.param_groups[1]["lr"] == 0.7


REFUSED = {
    "3 is no optimizer": (lambda L, o: L.StepLR(3, 1), TypeError, "int is not an Optimizer"),
    "going on without a beginning": (
        lambda L, o: L.StepLR(o, 1, last_epoch=3),
        KeyError,
        "'initial_lr' is not",
    ),
    "too few functions": (lambda L, o: L.LambdaLR(o, [abs]), ValueError, "Expected 2 lr_lambdas, but got 1"),
    "constant": (
        lambda L, o: L.ConstantLR(o, 2),
        ValueError,
        "Constant multiplicative factor expected to be",
    ),
    "start": (lambda L, o: L.LinearLR(o, 0), ValueError, "Starting multiplicative factor expected to be"),
    "end": (lambda L, o: L.LinearLR(o, 0.5, 2), ValueError, "Ending multiplicative factor expected to be"),
    "T_0": (
        lambda L, o: L.CosineAnnealingWarmRestarts(o, 0),
        ValueError,
        "Expected positive integer T_0, but got 0",
    ),
    "T_mult": (
        lambda L, o: L.CosineAnnealingWarmRestarts(o, 1, 0),
        ValueError,
        "Expected integer T_mult >= 1, but got 0",
    ),
    "mode": (
        lambda L, o: L.CyclicLR(o, 0.1, 1, mode="x"),
        ValueError,
        "mode is invalid and scale_fn is None",
    ),
    "lengths": (
        lambda L, o: L.CyclicLR(o, [0.1], 1),
        ValueError,
        "base_lr must have the same length as optim",
    ),
    "steps": (lambda L, o: L.OneCycleLR(o, 1.0), ValueError, "You must define either total_steps OR"),
    "epochs": (
        lambda L, o: L.OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=1),
        ValueError,
        "positive integer epochs",
    ),
    "pct_start": (
        lambda L, o: L.OneCycleLR(o, 1.0, 9, pct_start=2),
        ValueError,
        "Expected float between 0 and 1",
    ),
    "strategy": (
        lambda L, o: L.OneCycleLR(o, 1.0, 9, anneal_strategy="x"),
        ValueError,
        "anneal_strategy must be one of 'cos' or 'linear', instead got x",
    ),
    "factor": (lambda L, o: L.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0."),
    "plateau": (lambda L, o: L.ReduceLROnPlateau(o, mode="x"), ValueError, "mode x is unknown!"),
    "min_lrs": (lambda L, o: L.ReduceLROnPlateau(o, min_lr=[1]), ValueError, "expected 2 min_lrs, got 1"),
    "none": (
        lambda L, o: L.SequentialLR(o, [], []),
        ValueError,
        "SequentialLR expects at least one scheduler",
    ),
    "milestones": (
        lambda L, o: L.SequentialLR(o, [L.StepLR(o, 1)], [1]),
        ValueError,
        "Sequential Schedulers expects number of schedulers",
    ),
    "not a schedule": (
        lambda L, o: L.SequentialLR(o, [3], []),
        TypeError,
        "SequentialLR at index 0 should have",
    ),
    "plateaus": (
        lambda L, o: L.ChainedScheduler([L.ReduceLROnPlateau(o)]),
        ValueError,
        "ChainedScheduler does not support `ReduceLROnPlateau`",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    make, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words):
        make(torch.optim.lr_scheduler, optimizer_of(torch))


def test_what_has_no_momentum_cannot_cycle_it():
    optimizer = torch.optim.Adagrad([torch.ones(1, requires_grad=True)])
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1 with `cycle_momentum`"):
        torch.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 1)


def test_a_cycle_has_an_end():
    optimizer = optimizer_of(torch)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, 3)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    with pytest.raises(ValueError, match="Tried to step 4 times"):
        scheduler.step()
