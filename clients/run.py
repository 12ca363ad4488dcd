"""Runs packages that were written for PyTorch on Pullback, and holds their figures against PyTorch's.

    python clients/run.py                 all clients
    python clients/run.py einops timm     some
    python clients/run.py --quick         those that are quick
    python clients/run.py --table         all, and writes their rows of docs/clients.md
    python clients/run.py --record PYTHON writes what they print on the PyTorch that PYTHON has

A client is a program here that does a small job with a package, and prints lines of a word and numbers. Its
docstring says what it does. `REQUIRES` names the packages, with versions, that it needs besides Pullback.
They come from PyPI into an environment of their own, without what they depend on: PyTorch is never installed.
`expected/` has what each prints on PyTorch. Numbers may differ from that by `TOLERANCE`, by default 1e-5.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "clients.md"
LIMIT = 600  # seconds that a client may take
BASE = ("numpy", "scipy", "ml_dtypes")  # what Pullback stands on, in the versions that are here

START = """\
import runpy, sys, torch
sys.path.append({packages!r})
# torchvision's ops are built for another build of PyTorch, and it asks for these when it is imported
for name in ("nms", "qnms"):
    schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
    torch.library.define(f"torchvision::{{name}}", schema)
runpy.run_path({path!r}, run_name="__main__")
"""

HEAD = """\
# Packages that run on Pullback

Each of these packages was written for PyTorch. It is installed from PyPI as it is, without PyTorch, and does
a small job. What it prints is held against what PyTorch 2.13 prints. `python clients/run.py --table` does
that, and writes this page.

| package | version | job | numbers | largest difference | seconds |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Client:
    """A program here, and what its head says."""

    name: str
    job: str
    requires: tuple[str, ...]
    quick: bool
    tolerance: float

    @property
    def path(self) -> Path:
        """The program."""
        return HERE / f"{self.name}.py"

    @property
    def expected(self) -> Path:
        """What it prints on PyTorch."""
        return HERE / "expected" / f"{self.name}.txt"


def read(path: Path) -> Client | None:
    """The client in a file; None where it requires nothing, as the tools here."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("REQUIRES", "QUICK", "TOLERANCE"):
                said[name] = ast.literal_eval(node.value)
    if "REQUIRES" not in said:
        return None
    job = (ast.get_docstring(tree) or "").partition("\n\n")[0].replace("\n", " ").rstrip(".")
    requires = tuple(said["REQUIRES"].split())
    return Client(path.stem, job, requires, said.get("QUICK", False), said.get("TOLERANCE", 1e-5))


def clients() -> list[Client]:
    """All of them, by name."""
    return [client for path in sorted(HERE.glob("*.py")) if (client := read(path))]


def requirements(chosen: list[Client]) -> list[str]:
    """The packages that clients need, each once; ValueError where they disagree on a version."""
    found: dict[str, str] = {}
    for client in chosen:
        for requirement in client.requires:
            name = requirement.partition("==")[0].lower().replace("_", "-")
            if found.setdefault(name, requirement) != requirement:
                raise ValueError(f"{client.name} requires {requirement}, another {found[name]}")
    return sorted(found.values())


def environment(folder: Path, chosen: list[Client]) -> Path:
    """The Python of an environment that has what clients need, made in a folder if it is not there."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        from importlib.metadata import version

        base = [f"{name}=={version(name)}" for name in BASE if _has(name)]
        subprocess.run([python, "-m", "pip", "install", "-q", *base], check=True)
    wanted = requirements(chosen)
    if wanted:
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", *wanted], check=True)
    return python


def _has(name: str) -> bool:
    from importlib.metadata import PackageNotFoundError, version

    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def library() -> Path:
    """The folder that the Pullback of this process stands in."""
    import pullback

    return Path(pullback.__file__).resolve().parents[1]


def printed(
    command: list[Any],
    *paths: Path,
    folder: Path = HERE / "expected",
    words: dict[str, str] | None = None,
    limit: int = LIMIT,
) -> tuple[str, str, int]:
    """What a command prints, its errors, and its status; `paths` are where it imports from."""
    words = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONWARNINGS": "ignore", **(words or {})}
    words |= {
        "MPLBACKEND": "Agg",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
    }
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, **words},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"took more than {limit} s", 1
    return done.stdout, done.stderr, done.returncode


def difference(found: str, wanted: str) -> float:
    """How far the numbers of a line are from others, by their size; infinite where words differ."""
    mine, theirs = found.split(), wanted.split()
    if len(mine) != len(theirs):
        return math.inf
    worst = 0.0
    for a, b in zip(mine, theirs, strict=True):
        if a == b:
            continue
        try:
            x, y = float(a), float(b)
        except ValueError:
            return math.inf
        worst = max(worst, abs(x - y) / max(abs(x), abs(y), 1.0))
    return worst


@dataclass
class Outcome:
    """What came of a client: numbers compared, the largest difference, and what is wrong, if anything."""

    numbers: int
    worst: float
    seconds: float
    wrong: str


def outcome(client: Client, python: Path, where: Path) -> Outcome:
    """Runs a client on Pullback."""
    begin = time.perf_counter()
    text, errors, status = printed([python, "-P", "-m", "pullback", client.path], where)
    seconds = time.perf_counter() - begin
    if status:
        return Outcome(
            0, math.inf, seconds, "\n".join(errors.rstrip().splitlines()[-6:]) or f"status {status}"
        )
    found = text.splitlines()
    wanted = client.expected.read_text(encoding="utf-8").splitlines() if client.expected.exists() else []
    if len(found) != len(wanted):
        return Outcome(0, math.inf, seconds, f"{len(found)} lines, PyTorch prints {len(wanted)}")
    numbers, worst, wrong = 0, 0.0, []
    for mine, theirs in zip(found, wanted, strict=True):
        apart = difference(mine, theirs)
        worst = max(worst, apart)
        numbers += len(theirs.split()) - 1
        if not apart <= client.tolerance:
            wrong.append(f"{mine}\n    on PyTorch: {theirs}")
    return Outcome(numbers, worst, seconds, "\n".join(wrong))


def versions(client: Client) -> tuple[str, str]:
    """The package that a client is for, the first that it requires, and its version."""
    name, _, version = client.requires[0].partition("==")
    return name, version


def row(client: Client, result: Outcome) -> str:
    """A row of the page."""
    name, version = versions(client)
    worst = "none" if result.worst == 0 else f"{result.worst:.0e}"
    return f"| {name} | {version} | {client.job} | {result.numbers} | {worst} | {result.seconds:.0f} |\n"


def write(page: Path, head: str, rows: list[str], names: set[str]) -> None:
    """Writes a page: new rows in place of those of the same packages, those of other names as they are."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = {line.split(" | ")[0][2:]: f"{line}\n" for line in text.splitlines() if line.startswith("| ")}
    found = {name: line for name, line in found.items() if name in names}
    found |= {line.split(" | ")[0][2:]: line for line in rows}
    page.write_text(head + "".join(found[name] for name in sorted(found, key=str.lower)), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Runs the clients that the command line names; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--quick", action="store_true", help="only those that are quick")
    parser.add_argument("--table", action="store_true", help="write rows of docs/clients.md")
    parser.add_argument("--record", metavar="PYTHON", help="write what they print on the PyTorch of PYTHON")
    parser.add_argument(
        "--venv", type=Path, default=HERE / ".venv", help="the environment, kept for the next time"
    )
    options = parser.parse_args(arguments)
    chosen = [c for c in clients() if not options.names or c.name in options.names]
    chosen = [c for c in chosen if c.quick or not options.quick]
    python = environment(options.venv.resolve(), chosen)
    if options.record:
        return record(chosen, options.record, python)
    failed, rows = 0, []
    for client in chosen:
        result = outcome(client, python, library())
        state = "FAILED" if result.wrong else "ok"
        figures = f"{result.numbers:4} numbers {result.worst:8.1e} {result.seconds:6.1f} s"
        print(f"{client.name:28} {state:7} {figures}", flush=True)
        if result.wrong:
            failed += 1
            print(f"    {result.wrong}", flush=True)
        else:
            rows.append(row(client, result))
    if options.table:
        write(PAGE, HEAD, rows, {versions(client)[0] for client in clients()})
    print(f"{len(chosen) - failed} of {len(chosen)} clients give PyTorch's figures")
    return int(failed > 0)


def packages_of(python: Path) -> str:
    """Where an environment has its packages."""
    command = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def record(chosen: list[Client], with_torch: str, python: Path) -> int:
    """Writes what clients print on PyTorch."""
    packages = packages_of(python)
    failed = 0
    for client in chosen:
        start = START.format(packages=packages, path=str(client.path))
        text, errors, status = printed([with_torch, "-c", start])
        if status:
            failed += 1
            print(f"{client.name} FAILED\n{errors[-2000:]}", flush=True)
        else:
            client.expected.parent.mkdir(exist_ok=True)
            client.expected.write_text(text, encoding="utf-8")
            print(f"{client.name}\n{text}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
