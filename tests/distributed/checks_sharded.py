"""Optimizers, modules and checkpoints in pieces: the same as one process with the whole."""

import contextlib
import copy
import os
from importlib import import_module

import pytest
from checks_ddp import Net, close, data, pair, part, train
from library import torch

dist = torch.distributed
optim = import_module(f"{torch.__name__}.distributed.optim")
fsdp = import_module(f"{torch.__name__}.distributed.fsdp")
wrap = import_module(f"{torch.__name__}.distributed.fsdp.wrap")
checkpoint = import_module(f"{torch.__name__}.distributed.checkpoint")
states = import_module(f"{torch.__name__}.distributed.checkpoint.state_dict")
functional = import_module(f"{torch.__name__}.distributed.nn.functional")
DDP = torch.nn.parallel.DistributedDataParallel
FSDP = fsdp.FullyShardedDataParallel
ZeRO = optim.ZeroRedundancyOptimizer
KINDS = [
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (torch.optim.AdamW, {"lr": 0.01}),
]


def check_zero(rank, size, folder):
    for kind, settings in KINDS:
        for views in (False, True):
            alone, together = pair()
            train(alone, 0, 1, make=lambda ps, kind=kind, settings=settings: kind(ps, **settings))
            model = DDP(together)
            optimizer = ZeRO(model.parameters(), kind, parameters_as_bucket_view=views, **settings)
            train(model, rank, size, make=lambda ps, optimizer=optimizer: optimizer)
            close(model, alone)
            kept = sum(x.numel() for s in optimizer.optim.state.values() for x in s.values() if x is not None)
            whole = sum(p.numel() for p in alone.parameters()) * (2 if kind is torch.optim.AdamW else 1)
            assert size == 1 or kept < whole
            if size > 1 and rank == 0:
                with pytest.raises(RuntimeError, match="has not been consolidated on this rank"):
                    optimizer.state_dict()
            optimizer.consolidate_state_dict(to=0)
            objects = [optimizer.state_dict() if rank == 0 else None]
            dist.broadcast_object_list(objects, src=0)
            plain = kind(alone.parameters(), **settings)
            plain.load_state_dict(objects[0])
            again = ZeRO(model.parameters(), kind, **settings)
            again.load_state_dict(objects[0])
            train(alone, 0, 1, make=lambda ps, plain=plain: plain)
            train(model, rank, size, make=lambda ps, again=again: again)
            close(model, alone)


def check_zero_groups(rank, size, folder):
    alone, together = pair()
    named = [[m.first.weight, m.last.weight] for m in (alone, together)]
    plain = torch.optim.SGD([{"params": named[0], "lr": 0.2}], lr=0.1)
    plain.add_param_group({"params": [alone.second.weight], "lr": 0.3})
    parted = ZeRO([{"params": named[1], "lr": 0.2}], torch.optim.SGD, lr=0.1)
    parted.add_param_group({"params": [together.second.weight], "lr": 0.3})
    model = DDP(together)
    schedules = [torch.optim.lr_scheduler.StepLR(one, 1) for one in (plain, parted)]
    for _ in range(2):
        train(alone, 0, 1, make=lambda ps: plain)
        train(model, rank, size, make=lambda ps: parted)
        for schedule in schedules:
            schedule.step()
    close(together, alone)


def inner(module):
    """FSDP with every layer of its own."""
    return FSDP(module, auto_wrap_policy=wrap.ModuleWrapPolicy({torch.nn.Linear}))


def check_fsdp(rank, size, folder):
    makers = [
        FSDP,
        inner,
        lambda m: FSDP(m, sharding_strategy=fsdp.ShardingStrategy.SHARD_GRAD_OP),
        lambda m: FSDP(m, sharding_strategy=fsdp.ShardingStrategy.NO_SHARD),
    ]
    for make in makers:
        for kind, settings in KINDS:
            alone, together = pair()
            optimizer = lambda ps, kind=kind, settings=settings: kind(ps, **settings)  # noqa: E731
            train(alone, 0, 1, make=optimizer)
            model = make(together)
            train(model, rank, size, make=optimizer)
            state = model.state_dict()
            assert list(state) == list(alone.state_dict())
            for name, x in alone.state_dict().items():
                torch.testing.assert_close(state[name], x, rtol=1e-5, atol=1e-6)
            mine = sum(p.numel() for p in model.parameters())
            whole = sum(p.numel() for p in alone.parameters())
            assert make is makers[3] or mine <= whole / size + 8
            assert all(flat.whole is None for m in FSDP.fsdp_modules(model) for flat in m._flats)
            with FSDP.summon_full_params(model):
                torch.testing.assert_close(model.first.weight, alone.first.weight, rtol=1e-5, atol=1e-6)
            fresh = make(pair()[0])
            fresh.load_state_dict(state)
            for name, x in fresh.state_dict().items():
                assert torch.equal(x, state[name])


def check_fsdp_frees_what_it_gathers(rank, size, folder):
    model = inner(pair()[0])
    x, _ = data(0)
    loss = model(part(x, rank, size)).sum()
    flats = [flat for m in FSDP.fsdp_modules(model) for flat in m._flats]
    assert len(flats) == 3 and all(flat.whole is None for flat in flats)
    gathered = []
    for flat in flats:
        flat.gather = lambda flat=flat, gather=flat.gather: (gathered.append(flat), gather())[1]
    loss.backward()
    assert all(flat.whole is None for flat in flats)
    assert gathered  # the backward pass has gathered them again


def check_fsdp_accumulation_and_clipping(rank, size, folder):
    alone, together = pair()
    model = inner(together)
    for step in range(3):
        x, y = data(step)
        torch.nn.functional.mse_loss(alone(x), y).backward()
        with model.no_sync() if step < 2 else contextlib.nullcontext():
            torch.nn.functional.mse_loss(model(part(x, rank, size)), part(y, rank, size)).backward()
    norm = torch.nn.utils.clip_grad_norm_(alone.parameters(), 0.1)
    torch.testing.assert_close(model.clip_grad_norm_(0.1), norm, rtol=1e-5, atol=1e-6)
    with FSDP.summon_full_params(model, with_grads=True):
        for p, q in zip(together.parameters(), alone.parameters(), strict=False):
            if p.shape == q.shape:
                torch.testing.assert_close(p.grad, q.grad, rtol=1e-4, atol=1e-6)


def check_fsdp_of_mixed_precision(rank, size, folder):
    alone, together = pair()
    precision = fsdp.MixedPrecision(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    model = FSDP(together, mixed_precision=precision)
    assert model(data(0)[0]).dtype == torch.bfloat16
    x, y = data(0)
    loss = torch.nn.functional.mse_loss(model(part(x, rank, size)).float(), part(y, rank, size))
    loss.backward()
    torch.nn.functional.mse_loss(alone(x), y).backward()
    assert all(p.grad.dtype == torch.float32 for p in model.parameters())
    with FSDP.summon_full_params(model, with_grads=True):
        torch.testing.assert_close(together.last.weight.grad, alone.last.weight.grad, rtol=0.1, atol=0.05)


def check_fsdp_checkpointing(rank, size, folder):
    again = import_module(f"{torch.__name__}.utils.checkpoint").checkpoint

    class Checked(Net):
        def forward(self, x):
            x = again(lambda t: torch.tanh(self.second(torch.relu(self.first(t)))), x, use_reentrant=False)
            return self.last(x)

    torch.manual_seed(1)
    together = Checked()
    alone, _ = pair()
    train(alone, 0, 1)
    model = inner(together)
    train(model, rank, size)
    for name, x in model.state_dict().items():
        torch.testing.assert_close(x, alone.state_dict()[name], rtol=1e-5, atol=1e-6)


def check_compiled_parts(rank, size, folder):
    alone, together = pair()
    train(alone, 0, 1)
    model = inner(together)
    train(torch.compile(model), rank, size)
    with FSDP.summon_full_params(model):
        close(model, alone)
    _, together = pair()
    model = torch.compile(DDP(together))
    train(model, rank, size, make=lambda ps: ZeRO(list(ps), torch.optim.SGD, lr=0.1, momentum=0.9))
    close(together, alone)


def check_whole_parameters_are_the_modules_own(rank, size, folder):
    alone, together = pair()
    model = inner(together)
    with FSDP.summon_full_params(model):
        named = dict(model.named_parameters())
        assert list(named) == [name for name, _ in alone.named_parameters()]
        close(model, alone, 0)
        with torch.no_grad():
            named["last.bias"].fill_(2.0)
    assert all(p.ndim == 1 for p in model.parameters())
    assert torch.equal(model.state_dict()["last.bias"], torch.full((2,), 2.0))


def check_checkpoints(rank, size, folder):
    place = os.path.join(folder, "plain")
    alone, together = pair()
    model = DDP(together)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    train(model, rank, size, make=lambda ps: optimizer)
    state = {"model": together.state_dict(), "optim": optimizer, "step": 4, "half": torch.ones(3).bfloat16()}
    checkpoint.save(state, checkpoint_id=place)
    other = torch.optim.AdamW(alone.parameters(), lr=0.01)
    train(alone, 0, 1, steps=1, make=lambda ps: other)
    loaded = {"model": alone.state_dict(), "optim": other, "step": 0, "half": torch.zeros(3).bfloat16()}
    checkpoint.load(loaded, checkpoint_id=place)
    assert loaded["step"] == 4 and loaded["half"].tolist() == [1] * 3
    for name, x in together.state_dict().items():
        assert torch.equal(x, alone.state_dict()[name])
    for p, q in zip(together.parameters(), alone.parameters(), strict=True):
        assert torch.equal(optimizer.state[p]["exp_avg"], other.state[q]["exp_avg"])
    with pytest.raises(checkpoint.CheckpointException, match="Missing key in checkpoint state_dict: other"):
        checkpoint.load({"other": torch.ones(1)}, checkpoint_id=place)
    with pytest.raises(checkpoint.CheckpointException, match="Size mismatch"):
        checkpoint.load({"half": torch.ones(4).bfloat16()}, checkpoint_id=place)


def check_checkpoints_reshard(rank, size, folder):
    """Pieces of all ranks are loaded by groups of other sizes, by other modules, and by one process."""
    place = os.path.join(folder, "pieces")
    alone, together = pair()
    settings = {"lr": 0.01}
    plain = torch.optim.AdamW(alone.parameters(), **settings)
    train(alone, 0, 1, make=lambda ps: plain)
    model = inner(together)
    optimizer = torch.optim.AdamW(model.parameters(), **settings)
    train(model, rank, size, make=lambda ps: optimizer)
    names, kept = states.get_state_dict(model, optimizer)
    checkpoint.save({"model": names, "optim": kept}, checkpoint_id=place)
    fewer = dist.new_group(range(max(1, size - 1)))
    if rank < max(1, size - 1):
        torch.manual_seed(5)
        others = FSDP(Net(), process_group=fewer)
        new = torch.optim.AdamW(others.parameters(), **settings)
        names, kept = states.get_state_dict(others, new)
        loaded = {"model": names, "optim": kept}
        checkpoint.load(loaded, checkpoint_id=place, process_group=fewer)
        states.set_state_dict(others, new, model_state_dict=loaded["model"], optim_state_dict=loaded["optim"])
        for name, x in others.state_dict().items():
            torch.testing.assert_close(x, alone.state_dict()[name], rtol=1e-5, atol=1e-6)
        whole = states.get_optimizer_state_dict(
            others, new, options=states.StateDictOptions(full_state_dict=True)
        )
        for name, p in alone.named_parameters():
            found = whole["state"][name]["exp_avg"]
            torch.testing.assert_close(found, plain.state[p]["exp_avg"], rtol=1e-4, atol=1e-7)
    one = copy.deepcopy(alone)
    torch.nn.init.zeros_(one.first.weight)
    own = {"model": one.state_dict()}
    checkpoint.load(own, checkpoint_id=place, no_dist=True)
    close(one, alone)


def check_a_failed_save_leaves_what_was_there(rank, size, folder):
    place = os.path.join(folder, "kept")
    checkpoint.save({"x": torch.ones(3), "y": torch.zeros(2)}, checkpoint_id=place)

    class Bad:
        def __reduce__(self):
            raise RuntimeError("cannot be saved")

    with pytest.raises(checkpoint.CheckpointException, match="cannot be saved"):
        checkpoint.save({"x": torch.zeros(3), "bad": Bad()}, checkpoint_id=place)
    found = {"x": torch.zeros(3)}
    checkpoint.load(found, checkpoint_id=place)
    assert found["x"].tolist() == [1] * 3


def check_collectives_are_differentiable(rank, size, folder):
    """Each against the same function of all inputs in one process: sum over ranks of (result *
    weight).sum().
    """
    torch.manual_seed(3)
    inputs = torch.randn(size, size, 3)  # of each rank: a part for each rank
    weights = torch.randn(size, size, 3)
    x = inputs[rank].clone().requires_grad_()

    def grad(result):
        (result * weights[rank].reshape(-1)[: result.numel()].view(result.shape)).sum().backward()
        found, x.grad = x.grad, None
        return found

    def expected(function):
        xs = inputs.clone().requires_grad_()
        results = function(xs)
        total = sum(
            (r * weights[i].reshape(-1)[: r.numel()].view(r.shape)).sum() for i, r in enumerate(results)
        )
        total.backward()
        return xs.grad[rank]

    def check(found, function):
        torch.testing.assert_close(grad(found), expected(function))

    last = size - 1
    check(functional.all_reduce(x), lambda xs: [xs.sum(0)] * size)
    check(functional.all_reduce(x, dist.ReduceOp.AVG), lambda xs: [xs.mean(0)] * size)
    check(functional.broadcast(x, last), lambda xs: [xs[last]] * size)
    check(
        functional.reduce(x, 0), lambda xs: [xs.sum(0)] + [0 * xs[0]] * last
    ) if rank == 0 else functional.reduce(x, 0).mul(0).sum().backward()
    x.grad = None
    check(torch.stack(functional.all_gather(x[0])), lambda xs: [xs[:, 0]] * size)
    check(
        torch.stack(functional.all_to_all([torch.empty(3)] * size, list(x))),
        lambda xs: list(xs.transpose(0, 1)),
    )
    check(functional.all_to_all_single(torch.empty(size, 3), x), lambda xs: list(xs.transpose(0, 1)))
    check(functional.reduce_scatter(torch.empty(3), list(x)), lambda xs: list(xs.sum(0)))
    check(functional.scatter(list(x), last), lambda xs: list(xs[last]))
    y = functional.all_reduce(x * x)
    (g,) = torch.autograd.grad((y * y).sum(), x, create_graph=True)
    g.sum().backward()  # of the second order
    assert x.grad.isfinite().all()
    with pytest.raises(RuntimeError, match="is not implemented"):
        functional.all_reduce(x, dist.ReduceOp.MAX)
