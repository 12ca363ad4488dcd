"""`python benchmarks/seeing.py`: what it costs to look at a program, for each op of it.

Each way of looking takes turns with the plain program in short bursts, on one thread; a figure is the median
of what a burst takes more than the plain one before it, divided by the ops in it. *After* is the plain
program once all of them have ended. `--save` keeps the figures, which the page of speed shows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from run import machine  # noqa: E402

import pullback as torch  # noqa: E402
from pullback.utils.flop_counter import FlopCounterMode  # noqa: E402

FIGURES = HERE / "results" / "seeing.json"
Step = Callable[[], Any]
BURST = 5e-4  # seconds of the plain program


@contextlib.contextmanager
def anomaly() -> Iterator[None]:
    """Anomaly mode without its warning."""
    torch.autograd.set_detect_anomaly(True)
    try:
        yield
    finally:
        torch.autograd.set_detect_anomaly(False)


WAYS: dict[str, Callable[[], Any]] = {
    "profile": lambda: torch.autograd.profiler.profile(),
    "profile, memory": lambda: torch.autograd.profiler.profile(profile_memory=True),
    "profile, shapes": lambda: torch.autograd.profiler.profile(record_shapes=True),
    "profile, stacks": lambda: torch.autograd.profiler.profile(with_stack=True),
    "flop counter": lambda: FlopCounterMode(display=False),
    "explaining": lambda: torch.explaining(),
    "anomaly mode": anomaly,
}


def chain() -> Step:
    """A hundred products of 8 x 8 matrices, element by element."""
    x = torch.ones(8, 8)

    def step() -> Any:
        y = x
        for _ in range(100):
            y = y * x
        return y

    return step


def recorded() -> Step:
    """The same, recorded, and their backward pass."""
    x = torch.ones(8, 8, requires_grad=True)

    def step() -> Any:
        y = x
        for _ in range(100):
            y = y * 1.0
        return torch.autograd.grad(y.sum(), x)

    return step


def training() -> Step:
    """A step of Adam for a network of 64 x 64, 32 rows, that learns too little to lose its gradients."""
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-9)
    x, y = torch.ones(32, 64), torch.zeros(32, 1)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


PROGRAMS = {"100 products": chain, "100 products and backward": recorded, "a step of training": training}


def burst(step: Step, count: int) -> float:
    """Seconds of a step, the mean of a few."""
    begin = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - begin) / count


def noted(step: Step) -> int:
    """How many ops and nodes a step has: what a profile notes."""
    step()
    with torch.autograd.profiler.profile() as seen:
        step()
    return sum(event.scope != 1 for event in seen.function_events)


def measure(make: Callable[[], Step], rounds: int) -> dict[str, float]:
    """Nanoseconds by way: of the plain step for each op, then what each way adds."""
    step = make()
    ops = noted(step)
    count = max(5, round(BURST / burst(step, 5)))
    plain: list[float] = []
    more: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            plain.append(burst(step, count))
            with way():
                more[name].append(burst(step, count) - plain[-1])
    before = median(plain)
    more["after"] = [burst(step, count) - before for _ in plain]
    return {"ops": ops, "plain": before / ops * 1e9} | {k: median(v) / ops * 1e9 for k, v in more.items()}


def main() -> None:
    """Measure, print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: measure(make, options.rounds) for name, make in PROGRAMS.items()}
    for name, figures in found.items():
        print(name)
        for way, figure in figures.items():
            print(f"  {way:18} {figure:10.0f}")
    if options.save:
        record = {"machine": machine(), "version": torch.__version__, "programs": found}
        FIGURES.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
