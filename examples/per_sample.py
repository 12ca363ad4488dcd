"""Per-sample gradients on handwritten digits: find the wrong labels.

A perceptron is trained on scikit-learn's digits of which one in twenty has a wrong label. `vmap(grad)`
then gives the gradient of the loss for each image by itself, for the whole data set at once; the longest
gradients belong to the images that the network cannot agree with. The program prints how many of those
are the wrong labels, and how much faster this is than a loop; it fails below 70 %.

    pip install .[examples]
    python examples/per_sample.py [--plot per_sample.png]
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import pullback as torch

EPOCHS, BATCH, RATE = 12, 32, 0.5
HIDDEN, WRONG = 32, 0.05


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixels from 0 to 1, digits of which some are wrong, and which."""
    pixels, digits = load_digits(return_X_y=True)
    wrong = torch.rand(len(digits)) < WRONG
    shift = torch.randint(1, 10, (len(digits),))
    labels = torch.from_numpy(digits)
    return (
        torch.from_numpy((pixels / 16).astype(np.float32)),
        torch.where(wrong, (labels + shift) % 10, labels),
        wrong,
    )


def network() -> dict[str, torch.Tensor]:
    """Parameters of a perceptron 64-32-10."""
    return {
        "w1": torch.randn(64, HIDDEN) / 8,
        "b1": torch.zeros(HIDDEN),
        "w2": torch.randn(HIDDEN, 10) / HIDDEN**0.5,
        "b2": torch.zeros(10),
    }


def loss(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The cross entropy of one image."""
    scores = torch.tanh(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"]
    return torch.logsumexp(scores, -1) - (scores * (torch.arange(10) == y)).sum()


def mean_loss(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The same, averaged over a batch."""
    return torch.func.vmap(loss, (None, 0, 0))(p, x, y).mean()


def train(p: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
    """Plain stochastic gradient descent, by `func.grad_and_value`."""
    slope = torch.func.grad_and_value(mean_loss)
    with tqdm(range(EPOCHS), desc="training", unit="epoch") as bar:
        for _ in bar:
            for batch in torch.randperm(len(x)).split(BATCH):
                grads, value = slope(p, x[batch], y[batch])
                p = {name: p[name] - RATE * grads[name] for name in p}
            bar.set_postfix(loss=f"{value.item():.4f}")
    return p


def lengths(grads: dict[str, torch.Tensor]) -> torch.Tensor:
    """The length of each sample's gradient."""
    return torch.stack([g.flatten(1).square().sum(1) for g in grads.values()]).sum(0).sqrt()


def plot(path: str, x: torch.Tensor, y: torch.Tensor, size: torch.Tensor, wrong: torch.Tensor) -> None:
    """Save a picture: the lengths of right and wrong, and the images with the longest gradients."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    bins = np.geomspace(max(size.min().item(), 1e-4), size.max().item(), 40)
    for chosen, name in ((~wrong, "right label"), (wrong, "wrong label")):
        axes.hist(size[chosen].numpy(), bins, alpha=0.6, label=name)
    axes.set(xscale="log", yscale="log", xlabel="length of the gradient", ylabel="images")
    axes.legend()
    for i, spot in zip(size.argsort(descending=True).tolist(), right.subplots(4, 6).flat, strict=False):
        spot.imshow(x[i].reshape(8, 8).numpy(), cmap="gray_r")
        spot.set_title(str(y[i].item()), fontsize=9, color="C3" if wrong[i] else "k")
        spot.axis("off")
    figure.savefig(path)


def main() -> int:
    """Train, measure, tell."""
    parser = argparse.ArgumentParser(description="Find wrong labels by per-sample gradients.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of what was found")
    options = parser.parse_args()
    torch.manual_seed(0)
    x, y, wrong = data()
    p = train(network(), x, y)
    slope = torch.func.grad(loss)
    start = time.perf_counter()
    size = lengths(torch.func.vmap(slope, (None, 0, 0))(p, x, y))
    middle = time.perf_counter()
    for i in range(len(x)):
        slope(p, x[i], y[i])
    end = time.perf_counter()
    count = int(wrong.sum())
    found = wrong[size.argsort(descending=True)[:count]].float().mean().item()
    print(f"{len(x)} gradients in {middle - start:.3f} s; one by one {end - middle:.3f} s")
    print(f"of the {count} images with the longest gradients {100 * found:.0f} % have a wrong label")
    if options.plot:
        plot(options.plot, x, y, size, wrong)
    return 0 if found >= 0.7 else 1


if __name__ == "__main__":
    sys.exit(main())
