"""Fit the parameters of an ODE to measured data, through the adjoint.

From 1900 to 1920 the Hudson's Bay Company counted the pelts of hares and lynxes that it bought. Lotka and
Volterra's equations have four rates; with the state in 1900 that makes six parameters, fitted to the
logarithms of the counts by SciPy's L-BFGS with gradients from the adjoint of SciPy's ODE solver. The
program fails unless the model explains most of the variance.

    pip install .[examples]
    python examples/ode_fit.py [--plot ode_fit.png]
"""

from __future__ import annotations

import argparse
import sys

import pullback as torch

YEARS = range(1900, 1921)
HARES = [30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6, 52.3, 19.5, 11.2, 7.6]
HARES += [14.6, 16.2, 24.7]
LYNXES = [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7, 51.1, 29.7, 15.8, 9.7]
LYNXES += [10.1, 8.6]
START = [0.5, 0.03, 0.8, 0.03, 30.0, 5.0]


def rate(t: torch.Tensor, y: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    """How fast hares and lynxes multiply: births and deaths by encounter, and the other way round."""
    hares, lynxes = y.unbind()
    return torch.stack([(p[0] - p[1] * lynxes) * hares, (p[3] * hares - p[2]) * lynxes])


def populations(logs: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """The model's counts at these times, from the logarithms of the parameters."""
    p = logs.exp()
    return torch.func.solve_ivp(rate, (0.0, 20.0), p[4:], t_eval=times, args=(p[:4],)).y


def plot(path: str, data: torch.Tensor, logs: torch.Tensor, losses: list[float]) -> None:
    """Save a picture: the counts with the fitted curves, and the loss by iteration."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fine = torch.linspace(0, 20, 400, dtype=torch.float64)
    curves = populations(logs, fine).numpy()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(2, 1))
    for i, name in enumerate(("hares", "lynxes")):
        left.plot(YEARS, data[:, i].numpy(), "o", color=f"C{i}")
        left.plot(1900 + fine.numpy(), curves[:, i], color=f"C{i}", label=name)
    left.set(ylabel="thousands of pelts")
    left.legend()
    right.semilogy(losses)
    right.set(xlabel="iteration", ylabel="loss")
    figure.savefig(path)


def main() -> int:
    """Fit, tell."""
    parser = argparse.ArgumentParser(description="Fit Lotka and Volterra's equations to counts of pelts.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the fit")
    options = parser.parse_args()
    data = torch.tensor([HARES, LYNXES], dtype=torch.float64).t()
    times = torch.arange(21, dtype=torch.float64)
    losses = []

    def loss(logs: torch.Tensor) -> torch.Tensor:
        return ((populations(logs, times).log() - data.log()) ** 2).sum()

    found = torch.optimize.minimize(
        loss,
        torch.tensor(START, dtype=torch.float64).log(),
        method="L-BFGS-B",
        callback=lambda result: losses.append(result.fun),
        progress=True,
    )
    rates = found.x.exp()
    left = found.fun / ((data.log() - data.log().mean(0)) ** 2).sum().item()
    print("rates: " + ", ".join(f"{r:.4f}" for r in rates[:4].tolist()))
    print("1900:  " + ", ".join(f"{r:.1f}" for r in rates[4:].tolist()))
    print(f"variance explained: {100 * (1 - left):.1f} %")
    if options.plot:
        plot(options.plot, data, found.x, losses)
    return 0 if left < 0.15 else 1


if __name__ == "__main__":
    sys.exit(main())
