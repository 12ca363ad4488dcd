"""Programs as their users write them, with data, a model, an optimizer and files, run as they are.

What they print was printed by PyTorch: the tests run on it, too.
"""

import pytest
from library import ON_TORCH, run_python

CHECKPOINT = '''
import argparse
import os
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Variable
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


class Spirals(Dataset):
    """Points of two classes, and a random shift of each."""

    def __init__(self, count):
        angle = torch.linspace(0, 3, count // 2)
        arm = torch.stack([angle * torch.cos(angle * 3), angle * torch.sin(angle * 3)], 1)
        self.x = torch.cat([arm, -arm])
        self.y = torch.cat([torch.zeros(count // 2), torch.ones(count // 2)]).long()

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.x[index] + 0.01 * torch.randn(2), self.y[index]


class Net(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.a = nn.Linear(2, width)
        self.b = nn.Linear(width, 2)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def train(model, optimizer, loader, device, epochs):
    losses = []
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        losses.append(total / len(loader.dataset))
    return losses


@torch.no_grad()
def accuracy(model, loader, device):
    model.eval()
    right = sum((model(x.to(device)).argmax(1) == y.to(device)).sum().item() for x, y in loader)
    return right / len(loader.dataset)


def main(workers):
    seed_all(3)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_set, test_set = random_split(Spirals(120), [0.8, 0.2], generator=torch.Generator().manual_seed(1))
    pin = torch.cuda.is_available()
    loader = DataLoader(train_set, 16, shuffle=True, num_workers=workers, pin_memory=pin)
    test = DataLoader(test_set, 24)
    model = torch.compile(Net(), disable=True).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    print(*[f"{loss:.4f}" for loss in train(model, optimizer, loader, device, 2)])
    path = os.path.join(tempfile.mkdtemp(), "checkpoint.pth")
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
    torch.save(state, path)
    straight = train(model, optimizer, loader, device, 2)
    print(*[f"{loss:.4f}" for loss in straight])

    again = Net().to(device)
    optimizer = torch.optim.Adam(again.parameters(), lr=0.05)
    checkpoint = torch.load(path, map_location=device)
    again.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    torch.set_rng_state(checkpoint["rng"])
    resumed = train(again, optimizer, loader, device, 2)
    print("resumed as if never stopped:", resumed == straight)
    for p, q in zip(model.parameters(), again.parameters()):
        torch.testing.assert_close(p, q, rtol=0, atol=0)
    print(sorted(checkpoint), f"{accuracy(again, test, device):.3f}", Variable(torch.ones(1)).item())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    main(parser.parse_args().workers)
'''

PRINTED = {
    0: """\
0.7514 0.6943
0.6776 0.6707
resumed as if never stopped: True
['model', 'optimizer', 'rng'] 0.375 1.0
""",
    2: """\
0.7489 0.7060
0.6734 0.6734
resumed as if never stopped: True
['model', 'optimizer', 'rng'] 0.458 1.0
""",
}


def run(folder, source, *arguments):
    """What a program prints, under the launcher or on PyTorch."""
    program = folder / "program.py"
    program.write_text(source)
    how = [] if ON_TORCH else ["-m", "pullback"]
    done = run_python(*how, program, *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("workers", PRINTED)
def test_a_program_that_stops_and_goes_on(tmp_path, workers):
    """Shuffles, splits and the random numbers of the workers are PyTorch's, so the losses are."""
    assert run(tmp_path, CHECKPOINT, "--workers", workers) == PRINTED[workers]
