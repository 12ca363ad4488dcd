"""`python benchmarks/run.py`: a table of ratios, PyTorch's time over Pullback's.

Each side runs in processes of its own, in turn, several times. The times shown are the least of
each side, `ratio` is their quotient; `median` is the middle one of the quotients of the pairs.
`--save` keeps the figures in benchmarks/results/. `--floor 0.5` fails if a ratio is below half of
what the row wants to reach. Without PyTorch there is one column.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from rows import ROWS, Beside  # noqa: E402

OURS, THEIRS = "pullback", "torch"
Figures = dict[str, list[float]]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def measure(library: str, words: list[str], threads: int) -> dict[str, Any]:
    """What one process of a library finds."""
    settings = {**os.environ, **dict.fromkeys(THREADS, str(threads))}
    command = [sys.executable, str(HERE / "worker.py"), library, *words]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def collect(libraries: list[str], options: argparse.Namespace) -> tuple[dict[str, Figures], str]:
    """The times of each row and library over all repeats, and the libraries' versions."""
    figures: dict[str, Figures] = {library: {} for library in libraries}
    about: dict[str, Any] = {}
    for turn in range(options.repeats):
        for library in libraries if turn % 2 == 0 else libraries[::-1]:
            found = measure(library, options.words, options.threads)
            about[library] = found["about"]
            for name, time in found["times"].items():
                figures[library].setdefault(name, []).append(time)
    versions = [f"{library} {about[library]['version']}" for library in libraries]
    return figures, ", ".join([*versions, f"numpy {about[OURS]['numpy']}"])


def machine() -> str:
    """The processor, its cores that we may use, the system and the Python."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(": ")[2] if lines else model
    return f"{model}, {cores()} cores, {platform.system()}, Python {platform.python_version()}"


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def shown(seconds: float) -> str:
    """A time with a unit that suits it."""
    units = [("s", 1.0), ("ms", 1e3), ("µs", 1e6), ("ns", 1e9)]
    unit, scale = next((one for one in units if seconds * one[1] >= 1), units[-1])
    return f"{seconds * scale:.3g} {unit}"


def table(figures: dict[str, Figures]) -> list[dict[str, Any]]:
    """A line a row: the least times, and the ratios where both sides ran."""
    wanted = {row.name: row.reach for row in ROWS}
    lines = []
    for name, ours in figures[OURS].items():
        line: dict[str, Any] = {"row": name, OURS: min(ours), "reach": wanted.get(name)}
        if THEIRS in figures:
            theirs = figures[THEIRS][name]
            line[THEIRS] = min(theirs)
            line["ratio"] = min(theirs) / min(ours)
            line["median"] = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
        lines.append(line)
    return lines


def write(lines: list[dict[str, Any]]) -> None:
    """Print the table, in Markdown."""
    print("| | Pullback | PyTorch | ratio | median | reach |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for line in lines:
        cells = [line["row"], shown(line[OURS])]
        if THEIRS in line:
            cells += [shown(line[THEIRS]), f"{line['ratio']:.3g}", f"{line['median']:.3g}"]
        else:
            cells += ["", "", ""]
        cells.append(f"{line['reach']:g}" if line["reach"] else "")
        print("| " + " | ".join(cells) + " |")


def beside(ours: Figures) -> list[tuple[str, Beside, float]]:
    """Rows that stand beside others: how many times as long they take, the middle one of the processes."""
    found = []
    for row in ROWS:
        other = row.beside
        if other and {row.name, other.name} <= set(ours):
            pairs = zip(ours[row.name], ours[other.name], strict=True)
            times = statistics.median((own - other.seconds) / theirs for own, theirs in pairs)
            found.append((row.name, other, times))
    return found


def failures(lines: list[dict[str, Any]], ours: Figures, floor: float) -> list[str]:
    """The rows that miss `floor` times what they should reach, in words."""
    found = [
        f"{line['row']}: ratio {line['ratio']:.3g}, at least {floor * line['reach']:.3g} expected"
        for line in lines
        if line["reach"] and "ratio" in line and line["ratio"] < floor * line["reach"]
    ]
    found += [
        f"{name}: {times:.3g} times {other.name}"
        for name, other, times in beside(ours)
        if times > other.times / floor
    ]
    times = {line["row"]: line[OURS] for line in lines}
    if times.get("import", 0.0) > 0.15 / floor:
        found.append(f"import takes {times['import']:.3g} s")
    return found


def main() -> int:
    """Measure, print, save, judge; the exit status."""
    parser = argparse.ArgumentParser(description="Compare Pullback with PyTorch.")
    parser.add_argument("words", nargs="*", help="only the rows whose names have one of these")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of processes (5)")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of each library")
    parser.add_argument("--floor", type=float, help="fail below this part of what is to be reached")
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    options = parser.parse_args()
    libraries = [OURS] + ([THEIRS] if importlib.util.find_spec(THEIRS) else [])
    figures, versions = collect(libraries, options)
    lines = table(figures)
    command = "python benchmarks/run.py " + " ".join(sys.argv[1:])
    print(f"{machine()}, {options.threads} threads; {versions}; {options.repeats} repeats")
    print(f"`{command.strip()}`\n")
    write(lines)
    print()
    for name, other, times in beside(figures[OURS]):
        less = f", less {shown(other.seconds)}," if other.seconds else ""
        print(f"{name}{less} takes {times:.3f} times {other.name}, in the median.")
    if options.save:
        save(lines, command, versions, options.threads)
    missed = failures(lines, figures[OURS], options.floor) if options.floor else []
    print("".join(f"\nmissed: {text}" for text in missed))
    return 1 if missed else 0


def save(lines: list[dict[str, Any]], command: str, versions: str, threads: int) -> None:
    """Write the figures as JSON, one file a day and version."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    version = versions.split(",")[0].removeprefix(f"{OURS} ")
    record = {
        "machine": machine(),
        "versions": versions,
        "threads": threads,
        "command": command,
        "rows": lines,
    }
    file = folder / f"{date.today().isoformat()}-{version}.json"
    file.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
