"""The programs of `benchmarks/compiled.py`: for PyTorch's interface, and what of them is written for JAX."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rows_programs import integrated

Call = Callable[[], Any]


def chain(t: Any) -> Callable[..., Any]:
    """100 multiplications of a scalar, and the gradient."""
    x = t.tensor(1.0, requires_grad=True)

    def call() -> Any:
        y = x
        for _ in range(100):
            y = y * 1.01
        return t.autograd.grad(y, x)[0]

    return call


def trained(steps: Any, loss: Callable[[], Any]) -> Call:
    """A step of an optimizer."""

    def call() -> Any:
        steps.zero_grad()
        found = loss()
        found.backward()
        steps.step()
        return found.detach()

    return call


def mlp(t: Any, optimizer: str) -> Call:
    """A step of a small network."""
    t.manual_seed(0)
    model = t.nn.Sequential(t.nn.Linear(4, 16), t.nn.Tanh(), t.nn.Linear(16, 1))
    steps = getattr(t.optim, optimizer)(model.parameters(), lr=1e-2)
    x, y = t.randn(32, 4), t.randn(32, 1)

    return trained(steps, lambda: ((model(x) - y) ** 2).mean())


def rk4(t: Any) -> Call:
    """A neural ODE by 20 steps of RK4, and the gradient."""
    t.manual_seed(0)
    w, v = t.randn(8, 8, requires_grad=True), t.randn(8, 8, requires_grad=True)
    start = t.randn(4, 8)

    def f(x: Any) -> Any:
        return t.tanh(x @ w) @ v

    def call() -> Any:
        x = integrated(f, start, 20, 0.05)
        return t.autograd.grad((x * x).sum(), (w, v))

    return call


def kalman(t: Any) -> Call:
    """50 steps of a Kalman filter of four states."""
    t.manual_seed(0)
    a, h = t.eye(4) + 0.01 * t.randn(4, 4), t.randn(2, 4)
    q, r = 0.01 * t.eye(4), 0.1 * t.eye(2)
    seen = t.randn(50, 2, 1)

    def call() -> Any:
        x, p = t.zeros(4, 1), t.eye(4)
        for i in range(50):
            x, p = a @ x, a @ p @ a.T + q
            s = h @ p @ h.T + r
            k = t.linalg.solve(s, h @ p).T
            x, p = x + k @ (seen[i] - h @ x), p - k @ h @ p
        return x, p

    return call


def newton(t: Any) -> Call:
    """A step of Newton's method in five unknowns."""
    x = t.linspace(0.5, 1.5, 5)

    def f(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    def call() -> Any:
        return x - t.linalg.solve(t.func.hessian(f)(x), t.func.grad(f)(x))

    return call


def gelu(t: Any) -> Call:
    """The tanh form of gelu of four million numbers, and its gradient."""
    t.manual_seed(0)
    x = t.randn(1 << 22, requires_grad=True)

    def call() -> Any:
        y = 0.5 * x * (1 + t.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
        return t.autograd.grad(y.sum(), x)[0]

    return call


def black_scholes(t: Any) -> Call:
    """A million options, and their greeks."""
    t.manual_seed(0)
    n = 1 << 20
    s, k = (90 + 20 * t.rand(n)).requires_grad_(), 90 + 20 * t.rand(n)
    years, vol, rate = (0.5 + t.rand(n)).requires_grad_(), (0.1 + 0.2 * t.rand(n)).requires_grad_(), 0.02

    def call() -> Any:
        root = vol * years.sqrt()
        d = (t.log(s / k) + (rate + 0.5 * vol * vol) * years) / root
        first, second = 0.5 * (1 + t.erf(d / math.sqrt(2))), 0.5 * (1 + t.erf((d - root) / math.sqrt(2)))
        price = s * first - k * t.exp(-rate * years) * second
        return (price.detach(), *t.autograd.grad(price.sum(), (s, years, vol)))

    return call


def bodies(t: Any) -> Call:
    """The energy of 256 bodies, and its gradient."""
    t.manual_seed(0)
    x, m = t.randn(256, 3, requires_grad=True), t.rand(256)

    def call() -> Any:
        d = x[:, None] - x[None]
        r = (d * d).sum(-1).add(1e-3).sqrt()
        return t.autograd.grad((m[:, None] * m[None] / r).sum(), x)[0]

    return call


def gpt(t: Any) -> Call:
    """A step of a small language model."""
    t.manual_seed(0)
    nn, n, heads = t.nn, 64, 4

    class Block(nn.Module):  # type: ignore[name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.other = nn.LayerNorm(n), nn.LayerNorm(n)
            self.joint, self.back = nn.Linear(n, 3 * n), nn.Linear(n, n)
            self.mlp = nn.Sequential(nn.Linear(n, 4 * n), nn.GELU(), nn.Linear(4 * n, n))

        def forward(self, x: Any) -> Any:
            b, s, _ = x.shape
            q, k, v = (
                self.joint(self.norm(x)).reshape(b, s, 3, heads, n // heads).permute(2, 0, 3, 1, 4).unbind(0)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.back(y.transpose(1, 2).reshape(b, s, n))
            return x + self.mlp(self.other(x))

    model = nn.Sequential(nn.Embedding(65, n), Block(), Block(), nn.LayerNorm(n), nn.Linear(n, 65))
    steps = t.optim.AdamW(model.parameters(), lr=1e-3)
    words = t.randint(0, 65, (8, 33))

    return trained(
        steps,
        lambda: nn.functional.cross_entropy(model(words[:, :-1]).reshape(-1, 65), words[:, 1:].reshape(-1)),
    )


def cnn(t: Any) -> Call:
    """A step of a small convolutional network."""
    t.manual_seed(0)
    nn = t.nn
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 10),
    )  # fmt: skip
    steps = t.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    x, y = t.randn(32, 1, 28, 28), t.randint(0, 10, (32,))

    return trained(steps, lambda: nn.functional.cross_entropy(model(x), y))


ROWS: dict[str, Callable[[Any], Call]] = {
    "chain of 100 scalars": chain,
    "MLP step, SGD": lambda t: mlp(t, "SGD"),
    "MLP step, Adam": lambda t: mlp(t, "Adam"),
    "RK4 neural ODE": rk4,
    "Kalman filter": kalman,
    "Newton step": newton,
    "gelu of 4M": gelu,
    "Black-Scholes of 1M": black_scholes,
    "n-body gradient": bodies,
    "GPT step": gpt,
    "CNN step": cnn,
}


def jax_rows() -> dict[str, Callable[[], Call]]:
    """Those that are written for JAX."""
    import jax  # type: ignore[import-not-found]
    import jax.numpy as np  # type: ignore[import-not-found]

    normal, key = jax.random.normal, jax.random.key(0)

    def ready(function: Any, *args: Any) -> Call:
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(*args))

    def chain() -> Call:
        def f(x: Any) -> Any:
            for _ in range(100):
                x = x * 1.01
            return x

        return ready(jax.grad(f), np.array(1.0))

    def mlp(adam: bool) -> Call:
        p = [normal(key, s) for s in ((4, 16), (16,), (16, 1), (1,))]
        x, y = normal(key, (32, 4)), normal(key, (32, 1))
        state: list[Any] = [[np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p], np.array(0.0)]

        def loss(p: Any, x: Any, y: Any) -> Any:
            return np.mean((np.tanh(x @ p[0] + p[1]) @ p[2] + p[3] - y) ** 2)

        def sgd(p: Any, x: Any, y: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, x, y)
            return value, [a - 1e-2 * b for a, b in zip(p, g, strict=True)]

        def adaptive(p: Any, state: Any, x: Any, y: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, x, y)
            first = [0.9 * m + 0.1 * b for m, b in zip(state[0], g, strict=True)]
            second = [0.999 * v + 0.001 * b * b for v, b in zip(state[1], g, strict=True)]
            n = state[2] + 1
            one, two = 1 - 0.9**n, np.sqrt(1 - 0.999**n)
            triples = zip(p, first, second, strict=True)
            p = [a - 1e-2 / one * m / (np.sqrt(v) / two + 1e-8) for a, m, v in triples]
            return value, p, [first, second, n]

        return ready(adaptive, p, state, x, y) if adam else ready(sgd, p, x, y)

    def rk4() -> Call:
        w, v, start = normal(key, (8, 8)), normal(key, (8, 8)), normal(key, (4, 8))

        def loss(w: Any, v: Any) -> Any:
            def f(x: Any) -> Any:
                return np.tanh(x @ w) @ v

            x = integrated(f, start, 20, 0.05)
            return (x * x).sum()

        return ready(jax.grad(loss, (0, 1)), w, v)

    def kalman() -> Call:
        a, h = np.eye(4) + 0.01 * normal(key, (4, 4)), normal(key, (2, 4))
        q, r, seen = 0.01 * np.eye(4), 0.1 * np.eye(2), normal(key, (50, 2, 1))

        def run(seen: Any) -> Any:
            x, p = np.zeros((4, 1)), np.eye(4)
            for i in range(50):
                x, p = a @ x, a @ p @ a.T + q
                k = np.linalg.solve(h @ p @ h.T + r, h @ p).T
                x, p = x + k @ (seen[i] - h @ x), p - k @ h @ p
            return x, p

        return ready(run, seen)

    def newton() -> Call:
        def f(x: Any) -> Any:
            return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

        return ready(
            lambda x: x - np.linalg.solve(jax.hessian(f)(x), jax.grad(f)(x)), np.linspace(0.5, 1.5, 5)
        )

    def gelu() -> Call:
        def f(x: Any) -> Any:
            return (0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))).sum()

        return ready(jax.grad(f), normal(key, (1 << 22,)))

    def black_scholes() -> Call:
        s, k, years, vol = (
            low + width * jax.random.uniform(key, (1 << 20,))
            for low, width in ((90, 20), (90, 20), (0.5, 1), (0.1, 0.2))
        )

        def price(s: Any, years: Any, vol: Any) -> Any:
            root = vol * np.sqrt(years)
            d = (np.log(s / k) + (0.02 + 0.5 * vol * vol) * years) / root
            first, second = (0.5 * (1 + jax.lax.erf(x / math.sqrt(2))) for x in (d, d - root))
            found = s * first - k * np.exp(-0.02 * years) * second
            return found.sum(), found

        return ready(jax.grad(price, (0, 1, 2), has_aux=True), s, years, vol)

    def bodies() -> Call:
        def energy(x: Any, m: Any) -> Any:
            d = x[:, None] - x[None]
            return (m[:, None] * m[None] / np.sqrt((d * d).sum(-1) + 1e-3)).sum()

        return ready(jax.grad(energy), normal(key, (256, 3)), jax.random.uniform(key, (256,)))

    return {
        "chain of 100 scalars": chain,
        "MLP step, SGD": lambda: mlp(False),
        "MLP step, Adam": lambda: mlp(True),
        "RK4 neural ODE": rk4,
        "Kalman filter": kalman,
        "Newton step": newton,
        "gelu of 4M": gelu,
        "Black-Scholes of 1M": black_scholes,
        "n-body gradient": bodies,
    }
