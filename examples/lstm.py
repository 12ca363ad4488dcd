"""An LSTM reads handwritten digits line by line, as a sequence of eight lines of eight pixels.

After the last line the state says which digit it was. The program shows how sure the network is after each
line, and fails if it reads fewer than 93 % of the held-out digits.

    pip install .[examples]
    python examples/lstm.py [--plot lines.png]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import pullback as torch
import pullback.nn.functional as F
from pullback import nn
from pullback.nn.utils import clip_grad_norm_
from pullback.utils.data import DataLoader, TensorDataset

EPOCHS, BATCH, WIDTH, HELD_OUT = 20, 64, 48, 400


class Reader(nn.Module):
    """An LSTM over the lines, and a layer that tells the digit from its state."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Scores (n, 8, 10) after each line of images (n, 8, 8)."""
        states, _ = self.lstm(images)
        return self.head(states)


def train(model: Reader, loader: DataLoader) -> None:
    """Train on the scores after the last line."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, EPOCHS // 2, gamma=0.3)
    with tqdm(range(EPOCHS), desc="training", unit="epoch") as bar:
        for _ in bar:
            for images, digits in loader:
                loss = F.cross_entropy(model(images)[:, -1], digits)
                optimizer.zero_grad()
                loss.backward()
                clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            schedule.step()
            bar.set_postfix(loss=f"{loss.item():.4f}")


def main() -> int:
    """Train, test, tell."""
    parser = argparse.ArgumentParser(description="Train an LSTM to read digits line by line.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of what is read after each line")
    options = parser.parse_args()
    torch.manual_seed(0)
    data = load_digits()
    images = torch.from_numpy((data.images / 16).astype(np.float32))
    digits = torch.from_numpy(data.target)
    order = torch.randperm(len(images))
    images, digits = images[order], digits[order]
    train_set = TensorDataset(images[HELD_OUT:], digits[HELD_OUT:])
    model = Reader()
    train(model, DataLoader(train_set, batch_size=BATCH, shuffle=True))
    with torch.no_grad():
        shares = model(images[:HELD_OUT]).softmax(-1)
    right = (shares.argmax(-1) == digits[:HELD_OUT, None]).float().mean(0)
    print("read rightly after each line: " + " ".join(f"{100 * share:.0f} %" for share in right.tolist()))
    if options.plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, spots = plt.subplots(2, 5, figsize=(10, 4.5), layout="constrained")
        for i in range(5):
            spots[0, i].imshow(images[i].numpy(), cmap="gray_r")
            spots[0, i].axis("off")
            spots[1, i].imshow(shares[i].numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
            spots[1, i].set(xlabel="digit", ylabel="lines read", xticks=range(10))
        figure.savefig(options.plot)
    return 0 if right[-1].item() >= 0.93 else 1


if __name__ == "__main__":
    sys.exit(main())
