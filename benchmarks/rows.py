"""What is measured. Each row is written once, against a module called `torch`.

A row makes its inputs when it is called with the module, and returns the step that is timed. `per`
divides the time (a chain's is given per op), `reach` is the ratio that the project wants to reach,
`beside` names another row, and how much longer than that one's a step may take in Pullback, `once` marks a
step too long to be repeated within one process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rows_data import LOADERS
from rows_networks import MANY, NETWORKS, by_functions, by_modules, linear_function, linear_module, save
from rows_programs import ROWS as PROGRAMS
from rows_transforms import ROWS as TRANSFORMS

Step = Callable[[], Any]


@dataclass(frozen=True)
class Beside:
    """At most `times` as long as the row of this name, after `seconds` are taken off."""

    name: str
    times: float = 1.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Row:
    """A named step, and how its time is to be read."""

    name: str
    make: Callable[[Any], Step]
    per: int = 1
    reach: float | None = None
    beside: Beside | None = None
    once: bool = False


ROWS: list[Row] = []


def row(name: str, **options: Any) -> Callable[[Callable[[Any], Step]], Callable[[Any], Step]]:
    """Enter a function that makes a step. A decorator."""

    def enter(make: Callable[[Any], Step]) -> Callable[[Any], Step]:
        ROWS.append(Row(name, make, **options))
        return make

    return enter


# ---------------------------------------------------------------------- programs and whole passes


@row("tutorial: y = x**2 + 1", reach=12)
def square(torch: Any) -> Step:
    def step() -> Any:
        x = torch.tensor(2.0, requires_grad=True)
        y = x**2 + 1
        y.backward()
        return x.grad

    return step


@row("tutorial: y = w*x + b", reach=12)
def line(torch: Any) -> Step:
    def step() -> Any:
        x = torch.tensor(3)
        w = torch.tensor(2.0, requires_grad=True)
        b = torch.tensor(5.0, requires_grad=True)
        y = w * x + b
        y.backward()
        return x.grad, w.grad, b.grad

    return step


@row("tutorial: z = x**y", reach=12)
def power(torch: Any) -> Step:
    def step() -> Any:
        x = torch.tensor(3.0, requires_grad=True)
        y = torch.tensor(4.0, requires_grad=True)
        z = x**y
        z.backward()
        return x.grad, y.grad

    return step


def chain(torch: Any, length: int) -> Step:
    """Multiply by a leaf again and again, differentiate, let the graph go."""
    x = torch.tensor(1.0, requires_grad=True)
    w = torch.tensor(1.0000001, requires_grad=True)

    def step() -> Any:
        x.grad = w.grad = None
        y = x
        for _ in range(length):
            y = y * w
        y.backward()

    return step


@row("chain of 100 multiplications, per op", per=100, reach=12)
def chain_of_100(torch: Any) -> Step:
    return chain(torch, 100)


@row("chain of 100, 10,000 times on end, per op", per=1_000_000, once=True)
def chains_on_end(torch: Any) -> Step:
    """As many ops as the long chain has, in as long a time: the processor's moods are in both."""
    step = chain(torch, 100)

    def run() -> None:
        for _ in range(10_000):
            step()

    return run


@row(
    "chain of 1,000,000 multiplications, per op",
    per=1_000_000,
    once=True,
    beside=Beside("chain of 100, 10,000 times on end, per op", 1.5),
)
def chain_of_a_million(torch: Any) -> Step:
    return chain(torch, 1_000_000)


@row("train step, tanh net 2-16-16-1, batch 32", reach=8)
def train_step(torch: Any) -> Step:
    torch.manual_seed(0)
    x, t = torch.randn(32, 2), torch.randn(32, 1)
    sizes = [(2, 16), (16, 16), (16, 1)]
    weights = [(torch.randn(a, b) / a**0.5).requires_grad_() for a, b in sizes]
    biases = [torch.zeros(b, requires_grad=True) for _, b in sizes]

    def step() -> Any:
        h = torch.tanh(x @ weights[0] + biases[0])
        h = torch.tanh(h @ weights[1] + biases[1])
        loss = ((h @ weights[2] + biases[2] - t) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in (*weights, *biases):
                p -= 0.01 * p.grad
                p.grad = None
        return loss

    return step


@row("backward of a broadcast bias, 1000x64")
def bias(torch: Any) -> Step:
    x, b = torch.randn(1000, 64), torch.zeros(64, requires_grad=True)

    def step() -> Any:
        b.grad = None
        (x + b).sum().backward()

    return step


@row("second derivative of x**4, 1000 elements")
def second_derivative(torch: Any) -> Step:
    x = torch.randn(1000, requires_grad=True)

    def step() -> Any:
        (g,) = torch.autograd.grad((x**4).sum(), x, create_graph=True)
        return torch.autograd.grad(g.sum(), x)

    return step


# ----------------------------------------------------------------------------- single ops, no graph

SIZES = [(3, "3"), (1000, "1000"), (1_000_000, "1M"), (4_000_000, "4M")]


def _sizes(name: str, body: Callable[[Any, Any, Any], Any]) -> None:
    """A row for each size of a step on two float32 vectors."""
    for size, label in SIZES:

        def make(torch: Any, size: int = size) -> Step:
            a, b = torch.rand(size), torch.rand(size)
            return lambda: body(torch, a, b)

        ROWS.append(Row(f"{name}, {label}", make))


_sizes("add", lambda torch, a, b: a + b)
_sizes("mul", lambda torch, a, b: a * b)
_sizes("exp", lambda torch, a, b: torch.exp(a))
_sizes("sum", lambda torch, a, b: a.sum())


@row("add in place, 1M")
def add_in_place(torch: Any) -> Step:
    a, b = torch.zeros(1_000_000), torch.ones(1_000_000)
    return lambda: a.add_(b)


@row("sum of columns, 1000x1000")
def sum_of_columns(torch: Any) -> Step:
    a = torch.rand(1000, 1000)
    return lambda: a.sum(0)


@row("max along rows, 1000x1000")
def max_along_rows(torch: Any) -> Step:
    a = torch.rand(1000, 1000)
    return lambda: a.max(1)


def _matmul(size: int) -> Callable[[Any], Step]:
    def make(torch: Any) -> Step:
        a, b = torch.rand(size, size), torch.rand(size, size)
        return lambda: a @ b

    return make


row("matmul 16x16")(_matmul(16))
row("matmul 256x256")(_matmul(256))
row("matmul 1024x1024")(_matmul(1024))


@row("slice of a vector")
def slice_of_a_vector(torch: Any) -> Step:
    a = torch.rand(1000)
    return lambda: a[10:20]


@row("one element of a matrix, as a number")
def element(torch: Any) -> Step:
    a = torch.rand(32, 32)
    return lambda: a[3, 4].item()


@row("rows by an index tensor, 1000 of 10000x16")
def rows_by_index(torch: Any) -> Step:
    a, i = torch.rand(10000, 16), torch.randint(0, 10000, (1000,))
    return lambda: a[i]


@row("where, 1M")
def where(torch: Any) -> Step:
    a, b = torch.rand(1_000_000), torch.rand(1_000_000)
    mask = a > b
    return lambda: torch.where(mask, a, b)


@row("randn, 1000")
def randn(torch: Any) -> Step:
    return lambda: torch.randn(1000)


@row("print a 3x3 matrix")
def print_matrix(torch: Any) -> Step:
    a = torch.rand(3, 3)
    return lambda: repr(a)


ROWS.extend(Row(name, make, reach=reach) for name, make, reach in PROGRAMS + TRANSFORMS)

# ------------------------------------------------------------------------------ modules and optimizers

for _name, _network in NETWORKS.items():
    row(f"{_name}: a step by functions")(partial(by_functions, network=_network))
    _beside = Beside(f"{_name}: a step by functions", 1.05)
    row(f"{_name}: a step by modules", beside=_beside)(partial(by_modules, network=_network))
row("F.linear, 8x8")(linear_function)
row("Linear, 8x8", beside=Beside("F.linear, 8x8", seconds=0.7e-6))(linear_module)
ROWS.extend(Row(name, make, reach=5) for name, make in MANY.items())
row("save a state dict of 2000 tensors", reach=1)(save)
ROWS.extend(Row(name, make, per=per, reach=1) for name, (per, make) in LOADERS.items())
