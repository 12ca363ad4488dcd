"""Learn to read handwritten digits as PyTorch's users do: nn, optim, data, save and load.

A small convolutional network is trained on scikit-learn's 1,797 digits of 8x8 pixels with AdamW, a one-cycle
schedule and batches from a `DataLoader`. The best state is saved, loaded into a new network and tested on the
quarter that was held out; the program fails below 97 %.

    pip install .[examples]
    python examples/digits_nn.py [--plot digits.png]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import pullback as torch
import pullback.nn.functional as F
from pullback import nn
from pullback.utils.data import DataLoader, TensorDataset

EPOCHS, BATCH, RATE = 10, 64, 0.01


class Net(nn.Module):
    """Two convolutions, a maximum over squares of two pixels, and two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.dropout = nn.Dropout(0.2)
        self.fc1 = nn.Linear(16 * 4 * 4, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The scores of images (n, 1, 8, 8): (n, 10)."""
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(self.dropout(F.relu(self.fc1(x.flatten(1)))))


def data() -> tuple[TensorDataset, TensorDataset]:
    """Images from 0 to 1 with their digits, for training and held out."""
    pixels, digits = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    parts = train_test_split(images, digits, test_size=0.25, random_state=0, stratify=digits)
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    return TensorDataset(train_x, train_y), TensorDataset(test_x, test_y)


def train(model: nn.Module, loader: DataLoader, path: Path) -> list[float]:
    """Train; the mean loss of each epoch. The state of the best one is saved."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * len(loader))
    losses: list[float] = []
    with tqdm(range(EPOCHS), desc="training", unit="epoch") as bar:
        for _ in bar:
            model.train()
            total = 0.0
            for x, y in loader:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item()
            losses.append(total / len(loader))
            if losses[-1] == min(losses):
                torch.save(model.state_dict(), path)
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def answers(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The digits that the network reads."""
    model.eval()
    with torch.no_grad():
        return model(images).argmax(1)


def plot(path: str, losses: list[float], images: torch.Tensor, read: torch.Tensor) -> None:
    """Save a picture: the loss by epoch, and the first held-out digits with the answers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.semilogy(losses)
    axes.set(xlabel="epoch", ylabel="training loss")
    for i, spot in enumerate(right.subplots(4, 6).flat):
        spot.imshow(images[i, 0].numpy(), cmap="gray_r")
        spot.set_title(str(read[i].item()), fontsize=9)
        spot.axis("off")
    figure.savefig(path)


def main() -> int:
    """Train, save, load, test, tell."""
    parser = argparse.ArgumentParser(description="Train a convolutional network on handwritten digits.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the loss and the answers")
    options = parser.parse_args()
    torch.manual_seed(0)
    train_set, test_set = data()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.pt"
        losses = train(Net(), DataLoader(train_set, batch_size=BATCH, shuffle=True), path)
        model = Net()
        model.load_state_dict(torch.load(path))
    images, digits = test_set.tensors
    read = answers(model, images)
    reached = (read == digits).float().mean().item()
    print(f"held out: {100 * reached:.1f} % of {len(test_set)} digits read rightly")
    if options.plot:
        plot(options.plot, losses, images, read)
    return 0 if reached >= 0.97 else 1


if __name__ == "__main__":
    sys.exit(main())
