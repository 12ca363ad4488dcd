"""Makes the pages of the programs in examples/: the program, what it prints, and its picture.

The programs are run for that; nothing here is typed by hand. What they gave is kept in build/docs until
the program or the package changes. `pages` returns the Markdown, `pictures` the images.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
KEPT = ROOT / "build" / "docs"

INDEX = """# Programs

Each page shows a program of `examples/`, what it printed when this site was built, and the picture that it
drew. The first three are the tutorial: a slope, a gradient with a constant, two partial derivatives. The
others train, fit and solve; they need `pip install ".[examples,mpi]"`.

| program | what it does |
|---|---|
{rows}
"""


def title(program: Path) -> str:
    """The first line of a program's docstring."""
    return (ast.get_docstring(ast.parse(program.read_text())) or "").splitlines()[0]


def about(program: Path) -> str:
    """The docstring after its first line, without how to run it."""
    doc = ast.get_docstring(ast.parse(program.read_text())) or ""
    parts = doc.split("\n\n")[1:]
    return "\n\n".join(part for part in parts if not part.startswith("    "))


def draws(program: Path) -> bool:
    """Whether a program takes --plot."""
    return "--plot" in program.read_text()


def launcher(program: Path) -> list[str]:
    """What stands before a program that imports `torch`, for Python to run it on Pullback."""
    return ["-m", "pullback"] if re.search(r"^import torch$", program.read_text(), re.M) else []


def _stamp(program: Path) -> str:
    """What a run depends on: the program and the sources of the package."""
    found = hashlib.sha256(program.read_bytes())
    sources = [p for p in (ROOT / "pullback").rglob("*") if p.suffix in (".py", ".pyx", ".pxi", ".h")]
    for path in sorted(sources):
        found.update(path.read_bytes())
    return found.hexdigest()


def ran(program: Path) -> tuple[str, Path | None]:
    """What a program prints, and its picture; RuntimeError if it fails."""
    KEPT.mkdir(parents=True, exist_ok=True)
    record, picture = KEPT / f"{program.stem}.json", KEPT / f"{program.stem}.png"
    stamp = _stamp(program)
    if record.exists():
        told = json.loads(record.read_text())
        if told["stamp"] == stamp:
            return told["output"], picture if draws(program) else None
    command = [sys.executable, *launcher(program), str(program)]
    if draws(program):
        command += ["--plot", str(picture)]
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
    done = subprocess.run(command, cwd=KEPT, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{program.name} failed:\n{done.stderr}")
    record.write_text(json.dumps({"stamp": stamp, "output": done.stdout}))
    return done.stdout, picture if draws(program) else None


def page(program: Path) -> str:
    """The page of one program."""
    output, picture = ran(program)
    plot = " [--plot FILE]" if picture else ""
    parts = [f"# {program.stem}", title(program), about(program), "## What it prints"]
    words = " ".join(["python", *launcher(program), f"examples/{program.name}{plot}"])
    parts += [f"```text\n$ {words}\n{output.rstrip()}\n```"]
    if picture:
        parts += ["## What it draws", f"![{title(program)}]({program.stem}.png)"]
    parts += ["## The program", f"```python\n{program.read_text().rstrip()}\n```"]
    return "\n\n".join(part for part in parts if part) + "\n"


def pages() -> dict[str, str]:
    """All pages by their path below docs/."""
    rows = "\n".join(f"| [{p.stem}]({p.stem}.md) | {title(p)} |" for p in _ordered())
    return {
        "programs/index.md": INDEX.format(rows=rows),
        **{f"programs/{program.stem}.md": page(program) for program in _ordered()},
    }


def _ordered() -> list[Path]:
    """The programs, the tutorial first."""
    return sorted(PROGRAMS, key=lambda p: (not p.stem.startswith("tutorial"), p.stem))


def pictures() -> dict[str, Path]:
    """The images by their path below docs/."""
    found = {f"programs/{program.stem}.png": ran(program)[1] for program in PROGRAMS}
    return {name: path for name, path in found.items() if path is not None}
