"""Newton's method with the exact Hessian: logistic regression on measured tumours.

The negative log-likelihood of a regularised logistic regression on scikit-learn's breast cancer data (569
tumours, 30 measured features) is minimised by damped Newton steps; gradient descent with a line search
does the same for comparison. Newton's gradient norm squares from step to step. The program fails unless
it falls below 1e-9 within 20 steps.

    pip install .[examples]
    python examples/newton.py [--plot newton.png]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

import numpy as np
from sklearn.datasets import load_breast_cancer
from tqdm import tqdm

import pullback as torch

STRENGTH = 1.0
STEPS, DESCENTS = 20, 300


def objective() -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """The function to be minimised, of the weights and a constant; and their number."""
    features, malignant = load_breast_cancer(return_X_y=True)
    features = (features - features.mean(0)) / features.std(0)
    x = torch.from_numpy(np.column_stack([features, np.ones(len(features))]))
    sign = torch.from_numpy(2.0 * malignant - 1)

    def loss(w: torch.Tensor) -> torch.Tensor:
        margins = sign * (x @ w)
        return torch.logaddexp(torch.zeros_like(margins), -margins).sum() + STRENGTH / 2 * (w * w).sum()

    return loss, x.shape[1]


def newton(loss: Callable[[torch.Tensor], torch.Tensor], w: torch.Tensor) -> tuple[torch.Tensor, list[float]]:
    """Newton steps, halved while they do not descend; the gradient norm before each."""
    slope, curvature = torch.func.grad(loss), torch.func.hessian(loss)
    norms = []
    with tqdm(range(STEPS), desc="Newton") as bar:
        for _ in bar:
            g = slope(w)
            norms.append(g.square().sum().sqrt().item())
            bar.set_postfix(gradient=f"{norms[-1]:.1e}")
            if norms[-1] < 1e-10:
                break
            step = torch.from_numpy(np.linalg.solve(curvature(w).numpy(), g.numpy()))
            w = descended(loss, w, step, (g * step).sum().item(), 1.0)
    return w, norms


def descent(loss: Callable[[torch.Tensor], torch.Tensor], w: torch.Tensor) -> list[float]:
    """Gradient descent with the same line search; the gradient norms."""
    slope = torch.func.grad(loss)
    norms = []
    for _ in tqdm(range(DESCENTS), desc="gradient descent"):
        g = slope(w)
        norms.append(g.square().sum().sqrt().item())
        w = descended(loss, w, g, norms[-1] ** 2, 0.1)
    return norms


def descended(
    loss: Callable[[torch.Tensor], torch.Tensor],
    w: torch.Tensor,
    step: torch.Tensor,
    drop: float,
    rate: float,
) -> torch.Tensor:
    """w - rate * step, with the rate halved until the function falls by a part of what the slope promises."""
    before = loss(w).item()
    while rate > 1e-6 and loss(w - rate * step).item() > before - 1e-4 * rate * drop + 1e-12 * abs(before):
        rate /= 2
    return w - rate * step


def plot(path: str, norms: list[float], slow: list[float]) -> None:
    """Save a picture: the gradient norms of both methods, step by step."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogy(slow, label="gradient descent")
    axes.semilogy(norms, "o-", label="Newton")
    axes.set(xlabel="step", ylabel="gradient norm", xscale="symlog")
    axes.legend()
    figure.savefig(path)


def main() -> int:
    """Minimise, tell."""
    parser = argparse.ArgumentParser(description="Newton's method for a logistic regression.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the convergence")
    options = parser.parse_args()
    loss, size = objective()
    start = torch.zeros(size, dtype=torch.float64)
    w, norms = newton(loss, start)
    slow = descent(loss, start)
    print(f"Newton: gradient norm {norms[-1]:.1e} after {len(norms) - 1} steps, loss {loss(w).item():.6f}")
    print(f"gradient descent: {slow[-1]:.1e} after {len(slow)} steps")
    if options.plot:
        plot(options.plot, norms, slow)
    return 0 if norms[-1] < 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
