"""A variational autoencoder of handwritten digits, with two hidden numbers that can be drawn as a map.

The encoder gives a mean and a spread for each image, a sample of which the decoder turns into an image again.
The loss is the error of the pixels plus the distance of the hidden numbers' distribution from the normal one.
The program fails if the loss on held-out images is not 5 % below that after the first epoch.

    pip install .[examples]
    python examples/vae.py [--plot vae.png]
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
from pullback.utils.data import DataLoader, TensorDataset, random_split

EPOCHS, BATCH, HIDDEN, CODE = 25, 64, 64, 2


class VAE(nn.Module):
    """Images of 64 pixels to CODE numbers and back."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * CODE))
        self.decoder = nn.Sequential(nn.Linear(CODE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 64))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The scores of the pixels, and the mean and log variance of the hidden numbers."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        sample = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(sample), mean, log_variance


def loss_of(model: VAE, x: torch.Tensor) -> torch.Tensor:
    """The bound on -log of the probability of the images, a mean over them."""
    scores, mean, log_variance = model(x)
    pixels = F.binary_cross_entropy_with_logits(scores, x, reduction="sum")
    distance = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
    return (pixels + distance) / len(x)


def main() -> int:
    """Train, test, draw."""
    parser = argparse.ArgumentParser(description="Train a variational autoencoder on handwritten digits.")
    parser.add_argument("--plot", metavar="FILE", help="save the map of the hidden numbers")
    options = parser.parse_args()
    torch.manual_seed(0)
    pixels = torch.from_numpy((load_digits().data / 16).astype(np.float32))
    train_set, test_set = random_split(TensorDataset(pixels), [0.8, 0.2])
    test = torch.stack([test_set[i][0] for i in range(len(test_set))])
    loader = DataLoader(train_set, batch_size=BATCH, shuffle=True)
    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    with tqdm(range(EPOCHS), desc="training", unit="epoch") as bar:
        for _ in bar:
            for (x,) in loader:
                optimizer.zero_grad()
                loss_of(model, x).backward()
                optimizer.step()
            with torch.no_grad():
                losses.append(loss_of(model, test).item())
            bar.set_postfix(held_out=f"{losses[-1]:.2f}")
    print(f"held out: {losses[0]:.1f} nats an image after one epoch, {losses[-1]:.1f} after {EPOCHS}")
    if options.plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        steps = torch.linspace(-2, 2, 12)
        codes = torch.cartesian_prod(steps, steps)
        with torch.no_grad():
            images = model.decoder(codes).sigmoid().reshape(12, 12, 8, 8)
        sheet = images.permute(0, 2, 1, 3).reshape(96, 96).numpy()
        figure, axes = plt.subplots(figsize=(6, 6), layout="constrained")
        axes.imshow(sheet, cmap="gray_r", extent=(-2, 2, 2, -2))
        axes.set(xlabel="second hidden number", ylabel="first hidden number")
        figure.savefig(options.plot)
    return 0 if losses[-1] < 0.95 * losses[0] else 1


if __name__ == "__main__":
    sys.exit(main())
