"""`python benchmarks/threads.py`: how much sooner several threads are done than one, on long tensors.

One process, in which the numbers of threads take turns; a time is the least of all turns. `--floor 1.7` fails
if two threads win less on a row. On a machine that others use as well the figures say little.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from run import cores, machine, shown

import pullback as torch

TURNS = 15


def rows(size: int) -> dict[str, Callable[[], Any]]:
    """Calls on about `size` numbers."""
    n = size // 1024
    x, y = torch.rand(n, 1024), torch.rand(n, 1024)
    weight, bias = torch.rand(1024), torch.rand(1024)
    index = torch.randint(0, n, (n,))
    functional = torch.nn.functional
    return {
        "x + y": lambda: x + y,
        "x.exp()": x.exp,
        "x.sum()": x.sum,
        "x.sum(0)": lambda: x.sum(0),
        "x.softmax(1)": lambda: x.softmax(1),
        "x.softmax(0)": lambda: x.softmax(0),
        "layer_norm": lambda: functional.layer_norm(x, (1024,), weight, bias),
        "batch_norm": lambda: functional.batch_norm(x, None, None, weight, bias, True),
        "mse_loss": lambda: functional.mse_loss(x, y),
        "x.cumsum(1)": lambda: x.cumsum(1),
        "x.t().contiguous()": lambda: x.t().contiguous(),
        "torch.cat([x, y])": lambda: torch.cat([x, y]),
        "x[index]": lambda: x[index],
        "x.bfloat16()": x.bfloat16,
        "x.sort(1)": lambda: x.sort(1),
    }


def least(call: Callable[[], Any], counts: list[int]) -> list[float]:
    """The least time of a call for each number of threads."""
    times = [float("inf")] * len(counts)
    for _ in range(TURNS):
        for place, count in enumerate(counts):
            torch.set_num_threads(count)
            start = time.perf_counter()
            call()
            times[place] = min(times[place], time.perf_counter() - start)
    return times


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="Compare several threads with one.")
    parser.add_argument("--size", type=int, default=1 << 22, help="numbers of a tensor")
    parser.add_argument("--threads", type=int, default=min(cores(), 4), help="the most threads")
    parser.add_argument("--floor", type=float, default=0.0, help="fail if two threads win less")
    options = parser.parse_args()
    counts = [1 << k for k in range(options.threads.bit_length())]
    lost = []
    sys.stdout.write(f"{machine()}; {options.size} numbers\n")
    for name, call in rows(options.size).items():
        times = least(call, counts)
        wins = [times[0] / took for took in times]
        shares = "".join(f"{won:8.2f}" for won in wins[1:])
        sys.stdout.write(f"{name:20}{shown(times[0]):>10}{shares}\n")
        lost += [name] if len(wins) > 1 and wins[1] < options.floor else []
    if lost:
        sys.stdout.write(f"below {options.floor}: {', '.join(lost)}\n")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
