"""Train a small model in several processes with DistributedDataParallel, in PyTorch's words throughout.

Each process has a copy of the model and its own part of the data; gradients are averaged while the backward
pass runs, so the copies stay alike. The program saves the model from rank 0, loads it in all, and fails if
the loss has not fallen or the copies differ. It starts its processes itself, or is started as ranks:

    pip install .[mpi]
    python -m pullback examples/ddp.py
    python -m pullback.distributed.run --nproc-per-node 2 examples/ddp.py
    mpiexec -n 2 python -m pullback examples/ddp.py

It imports `torch` and nothing of Pullback, so PyTorch runs it as well.
"""

from __future__ import annotations

import os
import socket
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

WORLD, EPOCHS = 2, 5


class Toy(nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net1 = nn.Linear(10, 32)
        self.relu = nn.ReLU()
        self.net2 = nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of a batch (n, 10): (n, 5)."""
        return self.net2(self.relu(self.net1(x)))


def data() -> TensorDataset:
    """The same numbers on all ranks, of which each reads its own part."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(512, 10, generator=generator)
    return TensorDataset(x, torch.tanh(x[:, :5] - x[:, 5:]))


def train(model: nn.Module, loader: DataLoader, sampler: DistributedSampler) -> list[float]:
    """Train; the mean loss of each epoch over all ranks."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for epoch in range(EPOCHS):
        sampler.set_epoch(epoch)
        total = torch.zeros(1)
        for x, y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        dist.all_reduce(total)
        losses.append(total.item() / len(loader) / dist.get_world_size())
    return losses


def main(rank: int) -> None:
    """One rank's program."""
    torch.manual_seed(rank)  # the copies become alike by DDP
    model = DDP(Toy())
    sampler = DistributedSampler(data())
    losses = train(model, DataLoader(data(), batch_size=16, sampler=sampler), sampler)

    path = os.path.join(tempfile.gettempdir(), f"ddp_{os.environ.get('MASTER_PORT')}.pt")
    if rank == 0:
        torch.save(model.state_dict(), path)
    dist.barrier()  # so that the others do not load before it is there
    again = DDP(Toy())
    again.load_state_dict(torch.load(path, weights_only=True))
    dist.barrier()
    if rank == 0:
        os.remove(path)

    here = torch.cat([p.detach().flatten() for p in again.parameters()])
    copies = [torch.empty_like(here) for _ in range(dist.get_world_size())]
    dist.all_gather(copies, here)
    assert all(torch.equal(copy, copies[0]) for copy in copies), "the copies differ"
    assert losses[-1] < 0.3 * losses[0], losses
    if rank == 0:
        print(f"{dist.get_world_size()} ranks: loss {losses[0]:.4f} to {losses[-1]:.4f}")


def spawned(rank: int, world: int, port: int) -> None:
    """A process that this program has started."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    main(rank)
    dist.destroy_process_group()


if __name__ == "__main__":
    if "RANK" in os.environ:  # started as a rank
        dist.init_process_group("gloo")
        main(dist.get_rank())
        dist.destroy_process_group()
    else:
        with socket.socket() as free:
            free.bind(("", 0))
            number = free.getsockname()[1]
        mp.spawn(spawned, args=(WORLD, number), nprocs=WORLD)
