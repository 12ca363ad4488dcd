"""`python benchmarks/compiled.py`: compiled functions beside the functions, PyTorch's and JAX's.

A row of a column runs in a process of its own; columns take turns, and a time is the least of all turns. The
columns of PyTorch, of its compiler and of JAX are there where these are installed and run the row. *First*
and *second* are the times of a compiled function's first calls over that of the function, *memory* is the
peak of a compiled call in bytes, all of its recording with it. `--save` keeps the figures, which the page of
speed shows.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE)]

from compiled_rows import ROWS, jax_rows  # noqa: E402
from run import machine  # noqa: E402

FIGURES = HERE / "results" / "compiled.json"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
COLUMNS = {
    "eager": "pullback",
    "compiled": "pullback",
    "llvm": "pullback",
    "torch": "torch",
    "torch.compile": "torch",
    "jax": "jax",
}
Call = Callable[[], Any]


def best(call: Call, seconds: float = 0.4) -> float:
    """The least time of a call, in microseconds."""
    for _ in range(4):
        call()
    least, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        least = min(least, took(call))
    return least


def took(call: Call) -> float:
    """The time of one call, in microseconds."""
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1e6


def peak(make: Callable[[], Call]) -> int:
    """The most bytes that a call, after those which record, has beside what it was given."""
    gc.collect()
    tracemalloc.start()
    call = make()
    for _ in range(4):
        call()
    gc.collect()
    tracemalloc.reset_peak()
    call()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def worker(column: str, name: str) -> dict[str, float]:
    """The figures of one row in one column."""
    if column == "jax":
        return {"time": best(jax_rows()[name]())}
    t = importlib.import_module(COLUMNS[column])
    call = ROWS[name](t)
    memory = {}
    if COLUMNS[column] == "pullback":
        call()  # imports what is imported when it is needed
        importlib.import_module("pullback.core._loops").forget_used()
        memory["memory"] = peak(lambda: t.compile(call) if column == "compiled" else call)
        call = ROWS[name](t)
    if column in ("eager", "torch"):
        found = {"time": best(call)}
    elif column == "llvm":
        found = {"time": best(as_machine_code(t.compile(call)))}
        memory = {}
    else:
        for _ in range(3):
            call()
        plain = min(took(call) for _ in range(3))
        compiled = t.compile(call)
        found = {"first": took(compiled) / plain, "second": took(compiled) / plain, "time": best(compiled)}
    return found | memory


def as_machine_code(compiled: Call) -> Call:
    """A compiled function that has run often, when the thread is done that compiles its chains."""
    for _ in range(40):
        compiled()
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(30)
    return compiled


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", help="only the rows whose names have one of these")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--columns", nargs="*", default=list(COLUMNS))
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(worker(*options.worker)))
        return
    columns = [
        c
        for c in options.columns
        if importlib.util.find_spec(COLUMNS[c]) and (c != "llvm" or importlib.util.find_spec("llvmlite"))
    ]
    wanted = [name for name in ROWS if not options.words or any(word in name for word in options.words)]
    rows = {name: measured(name, columns, options) for name in wanted}
    record = {
        "machine": machine(),
        "threads": options.threads,
        "versions": ", ".join(f"{m} {version_of(m)}" for m in dict.fromkeys(COLUMNS[c] for c in columns)),
        "command": f"python benchmarks/compiled.py --repeats {options.repeats} --save",
        "rows": rows,
    }
    print(json.dumps(record, indent=1))
    if options.save:
        FIGURES.write_text(json.dumps(record, indent=1) + "\n")


def measured(name: str, columns: list[str], options: Any) -> dict[str, dict[str, float]]:
    """The figures of a row, by column."""
    figures: dict[str, dict[str, float]] = {}
    settings = {**os.environ, **dict.fromkeys(THREADS, str(options.threads))}
    for turn in range(options.repeats):
        for column in columns if turn % 2 == 0 else columns[::-1]:
            command = [sys.executable, __file__, "--worker", column, name]
            done = subprocess.run(command, env=settings, capture_output=True, text=True)
            if done.returncode:
                if COLUMNS[column] == "pullback":
                    raise RuntimeError(done.stderr)
                continue
            for key, figure in json.loads(done.stdout.splitlines()[-1]).items():
                kept = figures.setdefault(column, {})
                kept[key] = min(figure, kept.get(key, math.inf))
    return figures


def version_of(module: str) -> str:
    return str(getattr(importlib.import_module(module), "__version__", ""))


if __name__ == "__main__":
    main()
