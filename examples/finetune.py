"""Fine-tuning from a safetensors file: who reads digits soon reads them in another place, too.

A network is trained on handwritten digits and its state saved. A second network takes that state, and is
trained for ten steps on forty digits that were moved by a pixel, its body more slowly than its head. A third
one starts from nothing; the program fails if the second is not the better.

    pip install .[examples]
    python examples/finetune.py [--plot finetune.png]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import pullback as torch
import pullback.nn.functional as F
from pullback import nn

EPOCHS, SHOWN = 10, 40


def network() -> nn.Sequential:
    """A body, and a head for ten digits."""
    body = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    return nn.Sequential(body, nn.Linear(32, 10))


def train(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, name: str, slow: float = 1.0) -> None:
    """Train on all images at once; the body's rate is `slow` times the head's."""
    body, head = model
    groups = [{"params": body.parameters(), "lr": 1e-2 * slow}, {"params": head.parameters(), "lr": 1e-2}]
    optimizer = torch.optim.AdamW(groups)
    with tqdm(range(EPOCHS), desc=name, unit="epoch") as bar:
        for _ in bar:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            bar.set_postfix(loss=f"{loss.item():.4f}")


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """The part of the images that are read rightly."""
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main() -> int:
    """Train, save, load, fine-tune, compare."""
    parser = argparse.ArgumentParser(description="Fine-tune a network from a safetensors file.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of both results")
    options = parser.parse_args()
    torch.manual_seed(0)
    pixels, digits = load_digits(return_X_y=True)
    x, y = torch.from_numpy((pixels / 16).astype(np.float32)), torch.from_numpy(digits)
    moved = x.reshape(-1, 8, 8).roll(1, dims=2).flatten(1)
    half = len(x) // 2
    first = network()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "first.safetensors"
        train(first, x[:half], y[:half], "first")
        torch.save_safetensors(first.state_dict(), path)
        state = torch.load_safetensors(path)
    reached = {}
    for name, loaded in (("fine-tuned", True), ("from nothing", False)):
        model = network()
        if loaded:
            model.load_state_dict(state)
        train(model, moved[:SHOWN], y[:SHOWN], name, slow=0.3 if loaded else 1.0)
        reached[name] = accuracy(model, moved[half:], y[half:])
        print(f"{name}: {100 * reached[name]:.1f} % of the moved digits read rightly")
    if options.plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
        axes.barh(list(reached), [100 * part for part in reached.values()])
        axes.set(xlabel="% of held-out digits read rightly", xlim=(0, 100))
        figure.savefig(options.plot)
    return 0 if reached["fine-tuned"] > reached["from nothing"] else 1


if __name__ == "__main__":
    sys.exit(main())
