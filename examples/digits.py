"""Learn to read handwritten digits, from tensors and autograd alone.

A perceptron 64-64-10 with tanh is trained on scikit-learn's 1,797 digits of 8x8 pixels, by gradient
descent with momentum on mini-batches of the softmax's cross entropy. A quarter is held out; at the
end the program prints how many of those it reads rightly, and fails below 95 %.

    pip install .[examples]
    python examples/digits.py [--plot digits.png]
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import pullback as torch

EPOCHS, BATCH, RATE, MOMENTUM = 30, 32, 0.05, 0.9
HIDDEN = 64


def data() -> list[torch.Tensor]:
    """Pixels from 0 to 1 and digits, for training and held out."""
    pixels, digits = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    parts = train_test_split(pixels, digits, test_size=0.25, random_state=0, stratify=digits)
    train_x, test_x, train_y, test_y = (torch.from_numpy(part) for part in parts)
    return [train_x, train_y, test_x, test_y]


def layer(inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights that keep the scale of what passes through them, and biases of zero."""
    weight = torch.randn(inputs, outputs) / inputs**0.5
    return weight.requires_grad_(), torch.zeros(outputs, requires_grad=True)


def scores(parameters: list[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """A number for each image and digit; the greatest one is the network's answer."""
    w1, b1, w2, b2 = parameters
    return torch.tanh(x @ w1 + b1) @ w2 + b2


def cross_entropy(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean of -log of the probability that the softmax gives the right digit."""
    right = scores.gather(1, y.unsqueeze(1)).squeeze(1)
    return (torch.logsumexp(scores, 1) - right).mean()


def accuracy(parameters: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> float:
    """The part of the images that are read rightly."""
    with torch.no_grad():
        return (scores(parameters, x).argmax(1) == y).float().mean().item()


def train(parameters: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> list[float]:
    """Descend; the mean loss of each epoch."""
    velocities = [torch.zeros_like(p) for p in parameters]
    losses = []
    with tqdm(range(EPOCHS), desc="training", unit="epoch") as bar:
        for _ in bar:
            total = 0.0
            for batch in torch.randperm(len(x)).split(BATCH):
                loss = cross_entropy(scores(parameters, x[batch]), y[batch])
                loss.backward()
                total += loss.item() * len(batch)
                descend(parameters, velocities)
            losses.append(total / len(x))
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


@torch.no_grad()
def descend(parameters: list[torch.Tensor], velocities: list[torch.Tensor]) -> None:
    """One step of gradient descent with momentum; the gradients are used up."""
    for p, v in zip(parameters, velocities, strict=True):
        assert p.grad is not None
        v.mul_(MOMENTUM).add_(p.grad)
        p -= RATE * v
        p.grad = None


def plot(path: str, losses: list[float], x: torch.Tensor, answers: torch.Tensor) -> None:
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
        spot.imshow(x[i].reshape(8, 8).numpy(), cmap="gray_r")
        spot.set_title(str(answers[i].item()), fontsize=9)
        spot.axis("off")
    figure.savefig(path)


def main() -> int:
    """Train, test, tell."""
    parser = argparse.ArgumentParser(description="Train a perceptron on handwritten digits.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the loss and the answers")
    options = parser.parse_args()
    torch.manual_seed(0)
    train_x, train_y, test_x, test_y = data()
    parameters = [*layer(64, HIDDEN), *layer(HIDDEN, 10)]
    losses = train(parameters, train_x, train_y)
    reached = accuracy(parameters, test_x, test_y)
    print(f"held out: {100 * reached:.1f} % of {len(test_y)} digits read rightly")
    if options.plot:
        with torch.no_grad():
            plot(options.plot, losses, test_x, scores(parameters, test_x).argmax(1))
    return 0 if reached >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
