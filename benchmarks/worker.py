"""One side of the comparison, in a process of its own: `worker.py LIBRARY [word ...]`.

Imports the library, times every row whose name has one of the words, and writes one line of JSON:
the times in seconds, and what the table says of the library.
"""

import time

started = time.perf_counter()
import sys  # noqa: E402
from importlib import import_module  # noqa: E402

torch = import_module(sys.argv[1])
imported = time.perf_counter() - started

import json  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import Any  # noqa: E402

import numpy  # noqa: E402
from rows import ROWS  # noqa: E402

LEAST = 0.01  # seconds that one measurement takes
ROUNDS = 7


def seconds(step: Callable[[], Any], once: bool) -> float:
    """The least time of a step over a few rounds, each long enough for the clock."""

    def run(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            step()
        return time.perf_counter() - begin

    if once:
        return run(1)
    count, took = 1, run(1)
    while took < LEAST:
        count = max(2 * count, int(1.2 * count * LEAST / max(took, 1e-7)))
        took = run(count)
    return min(run(count) for _ in range(ROUNDS)) / count


def main() -> None:
    """Time the chosen rows and write the result."""
    words = sys.argv[2:]
    times = {}
    for row in ROWS:
        if not words or any(word in row.name for word in words):
            times[row.name] = seconds(row.make(torch), row.once) / row.per
    if not words or any(word in "import" for word in words):
        times["import"] = imported
    about = {"version": torch.__version__, "numpy": numpy.__version__}
    sys.stdout.write(json.dumps({"about": about, "times": times}) + "\n")


main()
