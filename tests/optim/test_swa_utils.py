"""Averages of models: beside PyTorch's, with batch norms; the schedule towards a constant rate."""

import pytest
from library import torch
from optimizer_table import assert_alike, numbers, values

SHAPES = ((4, 3), (4,), (2, 4), (2,))


def model_of(lib):
    nn = lib.nn
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    set_to(lib, model, 0)
    return model


def set_to(lib, model, seed):
    """Gives the layers random parameters, and the batch norm other statistics."""
    draws = [lib.tensor(x) for x in values(SHAPES, seed)]
    with lib.no_grad():
        for p, x in zip([*model[0].parameters(), *model[3].parameters()], draws, strict=True):
            p.copy_(x)
        model(lib.tensor(values([(5, 3)], seed)[0]))


def averaged(lib, make, count=5):
    """The state of an average after so many updates."""
    model = model_of(lib)
    average = make(lib.optim.swa_utils, model)
    for seed in range(count):
        set_to(lib, model, seed)
        average.update_parameters(model)
    return numbers(dict(average.state_dict())), numbers(average(lib.tensor(values([(2, 3)], 9)[0])))


WAYS = {
    "equal": lambda swa, model: swa.AveragedModel(model),
    "equal, buffers": lambda swa, model: swa.AveragedModel(model, use_buffers=True),
    "ema": lambda swa, model: swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.7)),
    "ema, buffers": lambda swa, model: swa.AveragedModel(
        model, multi_avg_fn=swa.get_ema_multi_avg_fn(0.7), use_buffers=True
    ),
    "ema one by one": lambda swa, model: swa.AveragedModel(model, avg_fn=swa.get_ema_avg_fn(0.9)),
    "equal one by one": lambda swa, model: swa.AveragedModel(model, avg_fn=swa.get_swa_avg_fn()),
    "own": lambda swa, model: swa.AveragedModel(model, avg_fn=lambda mean, new, count: mean + new * count),
}


@pytest.mark.parametrize("way", WAYS)
def test_averages_beside_pytorch(way):
    oracle = pytest.importorskip("torch", reason="PyTorch is what averages are compared with")
    found, wanted = averaged(torch, WAYS[way]), averaged(oracle, WAYS[way])
    assert_alike(found[0], wanted[0], 1e-12, 1e-14)
    assert_alike(found[1], wanted[1], 1e-9, 1e-12)


def test_the_model_itself_stays():
    model = torch.nn.Linear(2, 2)
    average = torch.optim.swa_utils.AveragedModel(model)
    before = model.weight.tolist()
    average.update_parameters(model)
    with torch.no_grad():
        model.weight.add_(2)
    average.update_parameters(model)
    assert average.n_averaged.item() == 2
    torch.testing.assert_close(average.module.weight, torch.tensor(before) + 1)
    assert average.module.weight is not model.weight


def test_one_way_at_a_time():
    swa = torch.optim.swa_utils
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn should be provided"):
        swa.AveragedModel(torch.nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max)
    for make in (swa.get_ema_avg_fn, swa.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 2.0 provided"):
            make(2.0)


def test_update_bn_beside_pytorch():
    oracle = pytest.importorskip("torch", reason="PyTorch is what averages are compared with")
    states = []
    for lib in (torch, oracle):
        model = model_of(lib)
        model.eval()
        batches = [lib.tensor(x) for x in values([(6, 3)] * 4, 3)]
        lib.optim.swa_utils.update_bn([[batches[0], 1], *batches[1:]], model)
        assert not model.training
        assert model[1].momentum == 0.1
        states.append(numbers(dict(model.state_dict())))
    assert_alike(states[0], states[1], 1e-12, 1e-14)


@pytest.mark.parametrize(
    "options", [{}, {"anneal_epochs": 5, "anneal_strategy": "linear"}, {"anneal_epochs": 0}]
)
def test_swalr_beside_pytorch(options):
    oracle = pytest.importorskip("torch", reason="PyTorch is what schedules are compared with")
    tables = []
    for lib in (torch, oracle):
        groups = [{"params": [lib.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 1.0)]
        optimizer = lib.optim.SGD(groups)
        scheduler = lib.optim.swa_utils.SWALR(optimizer, [0.5, 0.25], **options)
        table = []
        for _ in range(20):
            table += scheduler.get_last_lr()
            optimizer.step()
            scheduler.step()
        tables.append((table, list(scheduler.state_dict())))
    assert tables[0][0] == pytest.approx(tables[1][0], rel=1e-9)
    assert tables[0][1] == tables[1][1]


def test_swalr_refuses():
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError, match="anneal_strategy must be one of 'cos' or 'linear', instead got x"):
        torch.optim.swa_utils.SWALR(optimizer, 0.5, anneal_strategy="x")
    with pytest.raises(ValueError, match="anneal_epochs must be equal or greater than 0, got -1"):
        torch.optim.swa_utils.SWALR(optimizer, 0.5, anneal_epochs=-1)
