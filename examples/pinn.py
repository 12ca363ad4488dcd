"""A physics-informed network: a damped oscillation, learnt from its equation alone.

The network u(t) is to obey u'' + 2 d u' + w**2 u = 0 with u(0) = 1 and u'(0) = 0. No solution is shown to it:
the loss is the square of the equation's left side at sixty times, whose derivatives come from autograd, and
L-BFGS makes it small. The
program compares with the closed form, and fails if the error is above 0.02.

    pip install .[examples]
    python examples/pinn.py [--plot pinn.png]
"""

from __future__ import annotations

import argparse
import math
import sys

from tqdm import tqdm

import pullback as torch
from pullback import nn

DAMPING, FREQUENCY, END = 0.4, 4.0, 3.0
STEPS, POINTS = 40, 60


class Oscillation(nn.Module):
    """A network of t whose first value and slope are right by its form."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        """1 + t**2 times the network: u(0) = 1 and u'(0) = 0."""
        return 1 + t**2 * self.net(2 * t / END - 1) * FREQUENCY


def residual(model: nn.Module, t: torch.Tensor) -> torch.Tensor:
    """What is left of the equation at the times t (n, 1)."""
    t = t.requires_grad_()
    u = model(t)
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    (ddu,) = torch.autograd.grad(du.sum(), t, create_graph=True)
    return ddu + 2 * DAMPING * du + FREQUENCY**2 * u


def exact(t: torch.Tensor) -> torch.Tensor:
    """The closed form."""
    w = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * t) * (torch.cos(w * t) + DAMPING / w * torch.sin(w * t))


def main() -> int:
    """Train, compare, draw."""
    parser = argparse.ArgumentParser(description="Solve a differential equation by a network.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of both solutions")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = Oscillation()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=20, line_search_fn="strong_wolfe")
    times = torch.linspace(0, END, POINTS)[:, None]

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = residual(model, times.clone()).square().mean()
        loss.backward()
        return loss

    with tqdm(range(STEPS), desc="training", unit="step") as bar:
        for _ in bar:
            bar.set_postfix(loss=f"{float(optimizer.step(closure)):.2e}")
    t = torch.linspace(0, END, 301)[:, None]
    with torch.no_grad():
        found = model(t)
    error = (found - exact(t)).abs().max().item()
    print(f"largest error {error:.4f} against the closed form")
    if options.plot:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots(layout="constrained")
        axes.plot(t.numpy(), exact(t).numpy(), color="gray", linewidth=4, label="closed form")
        axes.plot(t.numpy(), found.numpy(), linestyle="--", label="network")
        axes.set(xlabel="time", ylabel="u")
        axes.legend()
        figure.savefig(options.plot)
    return 0 if error < 0.02 else 1


if __name__ == "__main__":
    sys.exit(main())
