"""Makes the page of speed from the figures that `benchmarks/{ops,compiled,memory,seeing}.py --save` kept."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "benchmarks/results"

HEAD = """# Speed

Every public op beside PyTorch, on matrices of n by n and what goes with them. A figure is PyTorch's time
divided by Pullback's: above 1, Pullback is faster. *Backward* is a call with its backward pass. The libraries
take turns in processes of their own; the time is the least of all.

{machine}; {threads} threads; {versions}. The command is `{command}`.

| matrices | rows | at PyTorch's speed or faster | least | lower quartile | median | upper quartile |
|---|---:|---:|---:|---:|---:|---:|
{sizes}

The calls are in `benchmarks/ops_rows.py`; `x` and `y` are matrices, `v` and `w` vectors, `i` and `j` indices.

| call | {columns} |
|---|{rules}|
{rows}
"""


def pages() -> dict[str, str]:
    """The page, by its path."""
    tables = {"ops": page, "compiled": replaying, "memory": peaks, "seeing": looking}
    found = {name: RESULTS / f"{name}.json" for name in tables}
    parts = [tables[name](json.loads(path.read_text())) for name, path in found.items() if path.exists()]
    return {"speed.md": "".join(parts)}


REPLAYING = """
## Compiled functions

Microseconds of a call: of the function, [compiled](howto/compile.md), in PyTorch, compiled by PyTorch, and
written in JAX with `jit`. *First* and *second* are the times of a compiled function's first calls over that
of the function: the first records, all further ones replay. *Memory* is
the peak of a replay over that of the function, the recording with it; *llvm* is a call after its chains were
made machine code (the extra `llvm`). {machine}; {threads} threads;
{versions}. The command is `{command}`.

| program | {columns} | function / compiled | first | second | memory |
|---|{rules}|
{rows}
"""


LARGE = 1 << 20
"""Bytes: of what takes less, the recording itself is the most."""


def replaying(record: dict[str, Any]) -> str:
    """The table of compiled functions."""
    rows = record["rows"]
    columns = list(dict.fromkeys(column for figures in rows.values() for column in figures))
    lines = []
    for name, figures in rows.items():
        times = [f"{figures[c]['time']:,.1f}" if c in figures else "" for c in columns]
        eager, compiled = figures["eager"], figures["compiled"]
        ratios = [eager["time"] / compiled["time"], compiled["first"], compiled["second"]]
        more = [f"{x:.2f}" for x in ratios]
        large = eager["memory"] >= LARGE
        more.append(f"{compiled['memory'] / eager['memory']:.2f}" if large else "")
        lines.append(f"| {name} | {' | '.join([*times, *more])} |")
    return REPLAYING.format(
        **{name: record[name] for name in ("machine", "threads", "versions", "command")},
        columns=" | ".join(columns),
        rules="|".join(["---:"] * (len(columns) + 4)),
        rows="\n".join(lines),
    )


PEAKS = """
## Memory

Megabytes by which a step, a call and its backward pass or a network's step of training, lifts what the
process holds, at most. {machine}; {threads} threads; {versions}. The command is `{command}`.

| step | Pullback | PyTorch | Pullback / PyTorch |
|---|---:|---:|---:|
{rows}
"""


def peaks(record: dict[str, Any]) -> str:
    """The table of the peaks of memory."""
    rows = [
        f"| {name} | {found['pullback'] / 1e6:.1f} | {found['torch'] / 1e6:.1f} "
        f"| {found['pullback'] / found['torch']:.2f} |"
        for name, found in record["rows"].items()
    ]
    about = {name: record[name] for name in ("machine", "threads", "versions", "command")}
    return PEAKS.format(**about, rows="\n".join(rows))


SEEING = """
## What it costs to look

Nanoseconds for each op: of the program alone, and what each way of looking adds to it. *After* is the program
alone again, once all have ended. {machine}. The command is `python benchmarks/seeing.py --save`.

| program | {columns} |
|---|{rules}|
{rows}
"""


def looking(record: dict[str, Any]) -> str:
    """The table of what profiles, recordings and their kin cost."""
    programs = record["programs"]
    columns = [name for name in next(iter(programs.values())) if name != "ops"]
    rows = [
        f"| {name} | " + " | ".join(f"{figures[column]:,.0f}" for column in columns) + " |"
        for name, figures in programs.items()
    ]
    return SEEING.format(
        machine=record["machine"],
        columns=" | ".join(columns),
        rules="|".join(["---:"] * len(columns)),
        rows="\n".join(rows),
    )


def page(record: dict[str, Any]) -> str:
    """The page of a record of figures."""
    ratios = {size: ratios_of(times) for size, times in record["sizes"].items()}
    columns = [(size, way) for size in ratios for way in ("forward", "with backward")]
    calls = dict.fromkeys(_call(label) for size in ratios for label in ratios[size])
    rows = [
        f"| `{call}` | "
        + " | ".join(_shown(ratios[size].get(f"{call} {way}")) for size, way in columns)
        + " |"
        for call in calls
    ]
    return HEAD.format(
        **{name: record[name] for name in ("machine", "threads", "versions", "command")},
        sizes="\n".join(_size(size, list(found.values())) for size, found in ratios.items()),
        columns=" | ".join(f"{size}{', backward' if 'back' in way else ''}" for size, way in columns),
        rules="|".join(["---:"] * len(columns)),
        rows="\n".join(rows),
    )


def ratios_of(times: dict[str, dict[str, float]]) -> dict[str, float]:
    """PyTorch's time over Pullback's, of the rows that both have."""
    ours, theirs = times["pullback"], times["torch"]
    return {label: theirs[label] / took for label, took in ours.items() if label in theirs}


def _call(label: str) -> str:
    return label.removesuffix(" forward").removesuffix(" with backward")


def _size(size: str, ratios: list[float]) -> str:
    lower, middle, upper = statistics.quantiles(ratios, n=4)
    good = sum(ratio >= 1 for ratio in ratios)
    figures = " | ".join(f"{one:.2f}" for one in (min(ratios), lower, middle, upper))
    return f"| {size} x {size} | {len(ratios)} | {good} | {figures} |"


def _shown(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


if __name__ == "__main__":
    print("\n".join(pages().values()))
