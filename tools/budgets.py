"""Measures what must not grow unnoticed, and fails where a figure is past its budget.

    python tools/budgets.py [dist]          dist: what tools/check_wheel.py built
    python tools/budgets.py --set dist      writes budgets.toml anew, from what is measured now

A budget is the figure as it was measured and the most that it may be: lines of source by folder, records of
ops, the processors' time of an import and of a build, the sizes of the wheel and of what it installs. Who
passes one on purpose sets it, in the same commit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUDGETS = Path(__file__).with_name("budgets.toml")
SOURCES = {".py", ".pyi", ".pyx", ".pxi", ".pxd", ".h"}
MARGINS = {"lines": 1.05, "records": 1.03, "MB": 1.05, "seconds": 4.0}  # slow machines build and import, too
ROOM = 25  # lines that even a small folder may grow by
RUNS = 15

RECORDS = """
from pullback.core._engine import REGISTRY
from pullback.face.namespaces import complete
complete()
print(len(REGISTRY))
"""
IMPORT = """
import time
start = time.process_time()
import pullback
print(time.process_time() - start)
"""


def told(program: str) -> float:
    """The number that a program prints in a process of its own, with this checkout if it is built."""
    settings = dict(os.environ)
    if any(ROOT.glob("pullback/core/_engine.*.so")) or any(ROOT.glob("pullback/core/_engine.*.pyd")):
        settings["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=ROOT.parent, env=settings, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout)


def lines(folder: Path) -> int:
    """The lines of the source files in a folder and below it."""
    files = (path for path in folder.rglob("*") if path.suffix in SOURCES)
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def measured(dist: Path | None) -> dict[str, float]:
    """Each figure by its name, whose first word is the unit."""
    package = ROOT / "pullback"
    folders = [package, *package.iterdir(), *(package / "ops").iterdir()]
    counts = {path.relative_to(ROOT).as_posix(): lines(path) for path in sorted(folders) if path.is_dir()}
    found: dict[str, float] = {f"lines of {name}": count for name, count in counts.items() if count}
    found["records of ops"] = told(RECORDS)
    found["seconds of an import"] = round(min(told(IMPORT) for _ in range(RUNS)), 3)
    if dist is not None:
        (wheel,) = dist.glob("*.whl")
        found["seconds of a build"] = float((dist / "build_seconds.txt").read_text())
        found["MB of the wheel"] = round(wheel.stat().st_size / 1e6, 2)
        with zipfile.ZipFile(wheel) as archive:
            found["MB installed"] = round(sum(entry.file_size for entry in archive.infolist()) / 1e6, 2)
    return found


def written(figures: dict[str, float]) -> str:
    """The text of budgets.toml for these figures."""
    head = (
        "# Written by `python tools/budgets.py --set dist`: what was measured, and the most that it may be.\n"
    )
    rows = []
    for name, figure in figures.items():
        unit = name.partition(" ")[0]
        most = figure * MARGINS[unit] + (ROOM if unit == "lines" else 0)
        whole = figure == int(figure) and not name.startswith("MB")
        shown, most_shown = (f"{figure:.0f}", f"{most:.0f}") if whole else (f"{figure}", f"{most:.2f}")
        rows.append(f'"{name}" = {{ measured = {shown}, most = {most_shown} }}\n')
    return head + "".join(rows)


def main(arguments: list[str]) -> int:
    """Compares or sets; the exit status."""
    places = [Path(argument) for argument in arguments if argument != "--set"]
    figures = measured(places[0] if places else None)
    if "--set" in arguments:
        BUDGETS.write_text(written(figures), encoding="utf-8")
        return 0
    budgets = tomllib.loads(BUDGETS.read_text(encoding="utf-8"))
    past = 0
    for name, figure in figures.items():
        most = budgets.get(name, {}).get("most", 0)
        past += figure > most
        print(f"{name:45} {figure:10g} of {most:10g}{'  too much' if figure > most else ''}")
    return 1 if past else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
