"""What is measured of small scientific programs: an ODE with a network in it, a filter, a Gaussian process.

Written as rows.py, which includes these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[[], Any]


def integrated(rate: Callable[[Any], Any], y: Any, steps: int, h: float) -> Any:
    """So many steps of Runge and Kutta's fourth order, with the arrays of any library."""
    for _ in range(steps):
        k1 = rate(y)
        k2 = rate(y + h / 2 * k1)
        k3 = rate(y + h / 2 * k2)
        k4 = rate(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def neural_ode(torch: Any) -> Step:
    """Fifty steps of Runge and Kutta's fourth order through a network of width 16, and the gradient."""
    w1, w2 = torch.linspace(-1, 1, 32).reshape(2, 16), torch.linspace(1, -1, 32).reshape(16, 2)
    weights = [w1.requires_grad_(), torch.zeros(16, requires_grad=True), w2.requires_grad_()]
    start = torch.tensor([1.0, 0.5])

    def rate(y: Any) -> Any:
        return torch.tanh(y @ weights[0] + weights[1]) @ weights[2]

    def step() -> Any:
        y = integrated(rate, start, 50, 0.02)
        return torch.autograd.grad((y**2).sum(), weights)

    return step


def kalman(torch: Any) -> Step:
    """A hundred steps of a Kalman filter for place and speed, of which places are seen."""
    move, seen = torch.tensor([[1.0, 0.1], [0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    drift, noise, places = (
        0.01 * torch.eye(2),
        torch.tensor([[0.1]]),
        torch.linspace(0, 1, 100).reshape(100, 1),
    )
    one = torch.eye(2)

    def step() -> Any:
        x, p = torch.zeros(2), torch.eye(2)
        for place in places:
            x, p = move @ x, move @ p @ move.T + drift
            gain = p @ seen.T @ torch.linalg.inv(seen @ p @ seen.T + noise)
            x, p = x + gain @ (place - seen @ x), (one - gain @ seen) @ p
        return x, p

    return step


def gaussian_process(torch: Any) -> Step:
    """The marginal likelihood of 100 points under a Gaussian process, with the gradient of its parameters."""
    x = torch.linspace(0, 1, 100, dtype=torch.float64)
    y, one = torch.sin(6 * x), torch.eye(100, dtype=torch.float64)
    logs = torch.tensor([-1.0, 0.0, -2.0], dtype=torch.float64, requires_grad=True)

    def step() -> Any:
        length, scale, noise = logs.exp()
        k = scale * torch.exp(-0.5 * ((x[:, None] - x[None, :]) / length) ** 2) + noise * one
        factor = torch.linalg.cholesky(k)
        weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
        loss = 0.5 * (y @ weights) + torch.diagonal(factor).log().sum()
        return torch.autograd.grad(loss, logs)

    return step


ROWS = [
    ("neural ODE, 50 steps of RK4, width 16", neural_ode, 8),
    ("Kalman filter, 100 steps", kalman, 6),
    ("Gaussian process, 100 points", gaussian_process, 1.5),
]
"""Name, maker, and the ratio to reach."""
