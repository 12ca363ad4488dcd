"""What is measured of the function transforms: Jacobians, Hessians, gradients of each sample.

Written as rows.py, which includes these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Step = Callable[[], Any]


def rosenbrock(x: Any) -> Any:
    """The valley in as many dimensions as `x` has."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def func_hessian(torch: Any) -> Step:
    x, hessian = torch.linspace(-1, 1, 10), torch.func.hessian
    return lambda: hessian(rosenbrock)(x)


def functional_hessian(torch: Any) -> Step:
    x, hessian = torch.linspace(-1, 1, 10), torch.autograd.functional.hessian
    return lambda: hessian(rosenbrock, x)


def network(torch: Any) -> tuple[Any, Any, Any]:
    """The parameters of a small network, and 64 samples for it."""
    w1, w2 = torch.linspace(-1, 1, 512).reshape(32, 16), torch.linspace(-1, 1, 128).reshape(4, 32)
    x, y = torch.linspace(-1, 1, 1024).reshape(64, 16), torch.linspace(-1, 1, 256).reshape(64, 4)
    return (w1, torch.zeros(32), w2, torch.zeros(4)), x, y


def per_sample(torch: Any) -> Step:
    params, x, y = network(torch)

    def loss(params: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2 = params
        return ((w2 @ torch.tanh(w1 @ x + b1) + b2 - y) ** 2).mean()

    slopes = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    return lambda: slopes(params, x, y)


def _jacobian(name: str) -> Callable[[Any], Step]:
    def make(torch: Any) -> Step:
        w, x = torch.linspace(-1, 1, 400).reshape(20, 20), torch.linspace(-1, 1, 20)
        jacobian = getattr(torch.func, name)
        return lambda: jacobian(lambda x: torch.tanh(w @ x) * torch.sin(x))(x)

    return make


def newton(torch: Any) -> Step:
    x, grad = torch.tensor(2.0), torch.func.grad

    def step() -> Any:
        slope = grad(lambda x: x**4 - 3 * x**3 + 2)
        return x - slope(x) / grad(slope)(x)

    return step


def mapped(torch: Any) -> Step:
    x, y = torch.rand(1000, 8), torch.rand(1000, 8)
    together = torch.func.vmap(lambda x, y: (x * y).sum().sin() + x.mean())
    return lambda: together(x, y)


ROWS = [
    ("func.hessian of a 10-variable Rosenbrock", func_hessian, 8),
    ("functional.hessian of a 10-variable Rosenbrock", functional_hessian, 8),
    ("per-sample gradients by vmap(grad), 64 samples", per_sample, 6),
    ("jacrev, 20 to 20", _jacobian("jacrev"), 8),
    ("jacfwd, 20 to 20", _jacobian("jacfwd"), 8),
    ("a Newton step with func.grad twice", newton, 12),
    ("vmap of six ops, 1000 samples", mapped, None),
]
"""Name, maker, and the ratio to reach."""
