"""Learn a vector field from noisy observations of one trajectory: a neural ODE.

A perceptron 2-32-2 stands for the right-hand side of y' = f(y). It is trained so that the solution of the
ODE, by SciPy's Runge-Kutta method, passes by noisy points of a spiral; gradients come from the adjoint
equation, without storing the solver's steps. The program fails unless the learned trajectory, from its
start to its end, stays near the true one.

    pip install .[examples]
    python examples/neural_ode.py [--plot neural_ode.png]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tqdm import tqdm

import pullback as torch

POINTS, NOISE, SPAN, ALLOWED = 60, 0.03, 6.0, 0.15
STEPS, RATE, LEG = 400, 0.03, 10
HIDDEN = 32


def spiral(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The true field: a damped turn, stronger far from the centre."""
    turn = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]], dtype=torch.float64)
    return turn @ y**3 / 2


class Field:
    """A perceptron on the cubes of the coordinates, with its parameters."""

    def __init__(self) -> None:
        def normal(*shape: int) -> torch.Tensor:
            return (torch.randn(*shape, dtype=torch.float64) / shape[-1] ** 0.5).requires_grad_()

        zeros = [torch.zeros(n, dtype=torch.float64, requires_grad=True) for n in (HIDDEN, 2)]
        self.weights = [normal(HIDDEN, 2), zeros[0], normal(2, HIDDEN), zeros[1]]

    def parameters(self) -> list[torch.Tensor]:
        """What is learned."""
        return self.weights

    def __call__(self, t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The field at one point, or at each column of several."""
        w1, b1, w2, b2 = self.weights
        y = y.reshape(2, -1)
        rates = w2 @ torch.tanh(w1 @ y**3 + b1.unsqueeze(1)) + b2.unsqueeze(1)
        return rates


def solution(field: Field, starts: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Trajectories of the field from each column of `starts`."""
    return torch.func.solve_ivp(field, (0.0, times[-1]), starts, t_eval=times, rtol=1e-4, atol=1e-6).y


def train(field: Field, seen: torch.Tensor, times: torch.Tensor) -> list[float]:
    """Fit short legs from each observation, all at once: they are easier than the whole; the losses."""
    starts = seen[:-LEG].t()
    targets = torch.stack([seen[i : len(seen) - LEG + i].t() for i in range(1, LEG + 1)])
    legs = times[1 : LEG + 1]
    return descend(field, lambda: solution(field, starts, legs) - targets)


def descend(field: Field, misses: Callable[[], torch.Tensor]) -> list[float]:
    """Adam on the mean square of what `misses` gives, at a rate that falls to zero."""
    first = [torch.zeros_like(p) for p in field.parameters()]
    second = [torch.zeros_like(p) for p in field.parameters()]
    losses = []
    with tqdm(range(1, STEPS + 1), desc="training") as bar:
        for step in bar:
            loss = misses().square().mean()
            grads = torch.autograd.grad(loss, field.parameters())
            rate = RATE * min(1, 2 * (1 - step / (STEPS + 1)))
            with torch.no_grad():
                for p, g, m, v in zip(field.parameters(), grads, first, second, strict=True):
                    m.lerp_(g, 0.1)
                    v.lerp_(g * g, 0.01)
                    p -= rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8)
            losses.append(loss.item())
            bar.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def plot(
    path: str, truth: torch.Tensor, seen: torch.Tensor, learned: torch.Tensor, losses: list[float]
) -> None:
    """Save a picture: the spiral, what was seen of it, what was learned; and the loss."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    left.plot(*truth.t().numpy(), "k", lw=1, label="true")
    left.plot(*seen.t().numpy(), ".", color="C1", label="seen")
    left.plot(*learned.t().numpy(), "C0", label="learned")
    left.legend()
    right.semilogy(losses)
    right.set(xlabel="step", ylabel="loss")
    figure.savefig(path)


def main() -> int:
    """Observe, learn, compare."""
    parser = argparse.ArgumentParser(description="Train a neural ODE on a noisy spiral.")
    parser.add_argument("--plot", metavar="FILE", help="save a picture of the trajectories")
    options = parser.parse_args()
    torch.manual_seed(0)
    times = torch.linspace(0, SPAN, POINTS, dtype=torch.float64)
    start = torch.tensor([2.0, 0.0], dtype=torch.float64)
    truth = torch.func.solve_ivp(spiral, (0.0, SPAN), start, t_eval=times).y
    seen = truth + NOISE * torch.randn(POINTS, 2, dtype=torch.float64)
    field = Field()
    losses = train(field, seen, times)
    with torch.no_grad():
        learned = solution(field, start.reshape(2, 1), times).reshape(-1, 2)
    error = (learned - truth).square().mean().sqrt().item()
    print(f"learned trajectory: {error:.3f} from the true one on average; noise {NOISE}")
    if options.plot:
        plot(options.plot, truth, seen, learned, losses)
    return 0 if error < ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
