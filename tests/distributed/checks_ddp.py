"""Training by several ranks, each with its part of the data, is training by one process with all of it."""

import contextlib
import copy

import pytest
from library import torch

dist = torch.distributed
DDP = torch.nn.parallel.DistributedDataParallel
ROWS = 12  # of a batch: each number of ranks divides it


class Net(torch.nn.Module):
    """Layers of several sizes; one that is used only where `extra` is set."""

    def __init__(self, extra=False):
        super().__init__()
        self.first = torch.nn.Linear(6, 33)
        self.second = torch.nn.Linear(33, 17)
        self.last = torch.nn.Linear(17, 2)
        self.extra = torch.nn.Linear(17, 2) if extra else None

    def forward(self, x, use_extra=False):
        x = torch.tanh(self.second(torch.relu(self.first(x))))
        y = self.last(x)
        return y + self.extra(x) if use_extra else y


def data(step):
    g = torch.Generator().manual_seed(step)
    x = torch.randn(ROWS, 6, generator=g)
    return x, torch.sin(x[:, :2]) - x[:, 2:3]


def part(x, rank, size):
    return x.chunk(size)[rank]


def train(model, rank, size, steps=4, make=lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9), **more):
    """Steps of training on this rank's part; the losses."""
    optimizer = make(model.parameters())
    losses = []
    for step in range(steps):
        x, y = (part(t, rank, size) for t in data(step))
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x, **more), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def close(model, other, tolerance=1e-6):
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(
            p, q, rtol=tolerance * 10, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


def pair(extra=False):
    """The same module twice, on all ranks."""
    torch.manual_seed(1)
    one = Net(extra)
    return one, copy.deepcopy(one)


def check_it_equals_one_process(rank, size, folder):
    for options in (
        {},
        {"gradient_as_bucket_view": True},
        {"bucket_cap_mb": 0.0005},
        {"static_graph": True},
        {"find_unused_parameters": True},
        {"bucket_cap_mb": 0.001, "gradient_as_bucket_view": True, "static_graph": True},
    ):
        alone, together = pair()
        for make in (
            lambda ps: torch.optim.SGD(ps, lr=0.1, momentum=0.9),
            lambda ps: torch.optim.AdamW(ps, lr=0.01),
        ):
            train(alone, 0, 1, make=make)
            train(DDP(together, **options), rank, size, make=make)
            close(together, alone)


def check_state_is_rank_zeros(rank, size, folder):
    torch.manual_seed(rank)
    net = Net()
    model = DDP(net)
    torch.manual_seed(0)
    close(net, Net(), 0)
    assert all(name.startswith("module.") for name in model.state_dict())
    if size > 1:
        with pytest.raises(
            RuntimeError, match=r"DDP expects same model across all ranks|appears not to match|do not match"
        ):
            DDP(torch.nn.Linear(2 + rank, 2))
    with pytest.raises(RuntimeError, match="doesn't have any parameters that require a gradient"):
        DDP(torch.nn.ReLU())


def check_reduction_overlaps_the_pass(rank, size, folder):
    net = Net()
    model = DDP(net, bucket_cap_mb=0.0005)
    seen = []
    model.reducer.hook = lambda b: (seen.append((b.index(), net.first.weight.grad is None)), done(b))[1]

    def done(bucket):
        future = torch.futures.Future()
        future.set_result(bucket.buffer())
        return future

    model(data(0)[0]).sum().backward()
    assert [i for i, _ in seen] == list(range(len(model.reducer.buckets))) and len(seen) > 1
    assert seen[0][1], "the first bucket has waited for the last gradient"


def check_accumulation(rank, size, folder):
    for options in ({}, {"gradient_as_bucket_view": True}):
        alone, together = pair()
        model = DDP(together, **options)
        for step in range(3):
            x, y = data(step)
            torch.nn.functional.mse_loss(alone(x), y).backward()
            with model.no_sync() if step < 2 else contextlib.nullcontext():
                torch.nn.functional.mse_loss(model(part(x, rank, size)), part(y, rank, size)).backward()
        for p, q in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-5, atol=1e-6)


def check_unused_parameters(rank, size, folder):
    alone, together = pair(extra=True)
    model = DDP(together, find_unused_parameters=True)
    x, _ = data(0)
    model(part(x, rank, size)).sum().backward()
    assert together.extra.weight.grad is None
    assert together.last.weight.grad is not None
    model.zero_grad()
    model(part(x, rank, size), use_extra=rank == 0).sum().backward()  # one rank alone uses it
    alone(part(x, 0, size), use_extra=True).sum().backward()
    torch.testing.assert_close(together.extra.weight.grad, alone.extra.weight.grad / size)
    strict = DDP(pair(extra=True)[1])
    strict(x).sum().backward()
    with pytest.raises(RuntimeError, match="Expected to have finished reduction in the prior iteration"):
        strict(x)
    static = DDP(pair(extra=True)[1], static_graph=True)
    for _ in range(3):
        static(x).sum().backward()
    assert static.module.extra.weight.grad is None


def check_hooks(rank, size, folder):
    from importlib import import_module

    hooks = import_module(f"{torch.__name__}.distributed.algorithms.ddp_comm_hooks.default_hooks")
    power = import_module(f"{torch.__name__}.distributed.algorithms.ddp_comm_hooks.powerSGD_hook")
    for hook, tolerance in (
        (hooks.allreduce_hook, 1e-6),
        (hooks.fp16_compress_hook, 2e-3),
        (hooks.bf16_compress_hook, 2e-2),
        (hooks.fp16_compress_wrapper(hooks.allreduce_hook), 2e-3),
    ):
        alone, together = pair()
        model = DDP(together, bucket_cap_mb=0.001)
        model.register_comm_hook(None, hook)
        with pytest.raises(RuntimeError, match="can only be called once"):
            model.register_comm_hook(None, hook)
        train(alone, 0, 1)
        train(model, rank, size)
        close(together, alone, tolerance)
    for hook in (power.powerSGD_hook, power.batched_powerSGD_hook):
        # of full rank it is exact; of rank one, with what it leaves out fed back, it learns nearly as well
        alone, together = pair()
        model = DDP(together)
        state = power.PowerSGDState(None, 33, start_powerSGD_iter=2, min_compression_rate=0.01)
        model.register_comm_hook(state, power.powerSGD_hook)
        train(alone, 0, 1, steps=4)
        train(model, rank, size, steps=4)
        close(together, alone, 1e-4)
        _, together = pair()
        model = DDP(together)
        model.register_comm_hook(power.PowerSGDState(None, 1, start_powerSGD_iter=2), hook)
        losses = train(model, rank, size, steps=60, make=lambda ps: torch.optim.SGD(ps, lr=0.1))
        assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
        flat = torch.cat([p.detach().flatten() for p in together.parameters()])
        most = flat.clone()
        dist.all_reduce(most, dist.ReduceOp.MAX)
        assert torch.equal(most, flat), "ranks have drifted apart"


def check_buffers(rank, size, folder):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    model = DDP(net)
    for _ in range(3):
        model(torch.randn(5, 3) + rank).sum().backward()
    model(torch.zeros(2, 3))
    means = [torch.empty(4) for _ in range(size)]
    model.eval()
    model(torch.zeros(2, 3))
    dist.all_gather(means, net[1].running_mean)
    assert all(torch.equal(m, means[0]) for m in means)


def check_checkpointing(rank, size, folder):
    from importlib import import_module

    checkpoint = import_module(f"{torch.__name__}.utils.checkpoint").checkpoint

    class Checked(Net):
        def forward(self, x, reentrant=False):
            x.requires_grad_()
            x = checkpoint(lambda t: torch.relu(self.first(t)), x, use_reentrant=reentrant)
            return self.last(torch.tanh(self.second(x)))

    for reentrant in (False, True):
        torch.manual_seed(1)
        together = Checked()
        alone, _ = pair()
        train(alone, 0, 1)
        train(DDP(together, static_graph=reentrant), rank, size, reentrant=reentrant)
        close(together, alone)


def check_compiled(rank, size, folder):
    alone, _ = pair()
    train(alone, 0, 1)
    for make in (
        lambda net: torch.compile(DDP(net)),
        lambda net: DDP(torch.compile(net)),
        lambda net: DDP(net, static_graph=True),
    ):
        _, together = pair()
        model = make(together)
        if isinstance(model, DDP):
            model.compile()
        train(model, rank, size)
        close(together, alone)
    _, together = pair()
    model = DDP(together)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @torch.compile
    def whole_step(x, y):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for step in range(4):
        whole_step(*(part(t, rank, size) for t in data(step)))
    close(together, alone)


def check_collectives_are_compiled(rank, size, folder):
    @torch.compile
    def scaled_sum(x):
        y = x * 2
        dist.all_reduce(y)
        return y + 1

    for scale in range(1, 5):
        found = scaled_sum(torch.full((3,), float(scale * (rank + 1))))
        assert torch.equal(found, torch.full((3,), scale * size * (size + 1) + 1.0))


def check_uneven_inputs(rank, size, folder):
    for initial in (True, False):
        torch.manual_seed(1)
        net = torch.nn.Linear(2, 1)
        model = DDP(net, bucket_cap_mb=1e-6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        steps = 0
        with model.join(divide_by_initial_world_size=initial):
            for _ in range(rank + 2):
                optimizer.zero_grad()
                model(torch.ones(1, 2)).sum().backward()
                active = sum(r + 2 > steps for r in range(size))
                expected = active / size if initial else 1.0
                torch.testing.assert_close(net.bias.grad, torch.tensor([expected]))
                optimizer.step()
                steps += 1
        flat = net.weight.detach().clone()
        dist.all_reduce(flat, dist.ReduceOp.MAX)
        assert torch.equal(flat, net.weight)  # all have the last one's
    if size > 1:
        model = DDP(torch.nn.Linear(2, 1))
        with (
            pytest.raises(RuntimeError, match="Detected at least one rank that exhausted inputs"),
            model.join(throw_on_early_termination=True),
        ):
            for _ in range(rank + 2):
                model(torch.ones(1, 2)).sum().backward()


def check_sparse_gradients(rank, size, folder):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Embedding(10, 3, sparse=True), torch.nn.Linear(3, 1))
    model = DDP(net)
    model(torch.tensor([rank, 9])).sum().backward()
    found = net[0].weight.grad.to_dense()
    expected = torch.zeros(10, 3)
    for r in range(size):
        expected[[r, 9]] += net[1].weight.detach() / size
    torch.testing.assert_close(found, expected)


def check_sampler(rank, size, folder):
    samples = torch.utils.data.DistributedSampler(range(13), shuffle=True, seed=3)
    samples.set_epoch(2)
    found = [None] * size
    dist.all_gather_object(found, list(samples))
    assert len({len(f) for f in found}) == 1 and {i for f in found for i in f} == set(range(13))


def check_parameters_of_both_precisions(rank, size, folder):
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Linear(4, 2).bfloat16(), torch.nn.Linear(2, 1).double()
    )
    model = DDP(net)

    class Casting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            for layer in self.net:
                x = layer(x.to(layer.weight.dtype))
            return x

    model = DDP(Casting())
    model(torch.ones(2, 3) * (rank + 1)).sum().backward()
    for p in net.parameters():
        most, least = p.grad.clone(), p.grad.clone()
        dist.all_reduce(most, dist.ReduceOp.MAX)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        assert torch.equal(most, least) and p.grad.dtype == p.dtype
