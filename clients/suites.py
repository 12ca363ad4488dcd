"""Runs packages' own tests on Pullback, and holds what passes against what passes on PyTorch.

    python clients/suites.py                          all suites whose tests are at hand
    python clients/suites.py einops                   some
    python clients/suites.py --checkouts FOLDER       with tests that no archive has: FOLDER/<package>
    python clients/suites.py --table                  all, and writes their rows of docs/suites.md
    python clients/suites.py --record PYTHON          writes what passes on the PyTorch that PYTHON has

A suite is that of a source archive on PyPI, or of a checkout where the archive has no tests. It runs as it
is, in the environment of the clients, where there is no PyTorch. `expected/suites/` has, for each, how many
tests there are on PyTorch and which do not pass there. A suite is well if all that pass there pass here.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from run import HERE, Client, environment, library, packages_of, printed, write

EXPECTED = HERE / "expected" / "suites"
PAGE = HERE.parent / "docs" / "suites.md"
LIMIT = 3600  # seconds that a suite may take
RUNNER = "pytest==9.2.0 iniconfig==2.3.1 pluggy==1.7.0 packaging==26.4 Pygments==2.21.0"

ON_PULLBACK = """\
import pullback.launch
pullback.launch.install()
"""
ON_PYTORCH = """\
import sys
sys.path.append({packages!r})
"""
# What every Python of a run does first, those too that tests start.

HEAD = """\
# Packages' own tests

The tests that these packages come with run on Pullback as they are, without PyTorch. Beside them stands how
many pass on PyTorch 2.13. `python clients/suites.py --table` runs them, and writes this page.

| package | version | tests | pass on PyTorch | pass on Pullback | pass on PyTorch alone | seconds |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Suite:
    """The tests of a package: what they need, where they stand in its sources, and pytest's arguments."""

    name: str
    requires: str
    tests: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    archived: bool = True

    @property
    def client(self) -> Client:
        """What must be installed, as that of a client."""
        return Client(self.name, "", (*self.requires.split(), *RUNNER.split()), False, 0.0)

    @property
    def expected(self) -> Path:
        """What PyTorch gives."""
        return EXPECTED / f"{self.name}.txt"


SUITES = (
    Suite("einops", "einops==0.8.2", "einops/tests", environment=(("EINOPS_TEST_BACKENDS", "numpy,torch"),)),
    Suite(
        "linear_operator",
        "linear_operator==0.6.1 jaxtyping==0.3.11 wadler_lindig==0.1.8 mpmath==1.3.0",
        "test",
    ),
    Suite("pytorch_minimize", "pytorch-minimize==0.1.0", "tests"),
    Suite("torchdiffeq", "torchdiffeq==0.2.5", "tests", ("-o", "python_files=*_tests.py"), archived=False),
)


def sources(suite: Suite, folder: Path, checkouts: Path | None, python: Path) -> Path | None:
    """The folder of a package's sources: a checkout, or its archive; None where neither has tests."""
    if checkouts is not None and (checkouts / suite.name / suite.tests).is_dir():
        return checkouts / suite.name
    if not suite.archived:
        return None
    wanted = suite.requires.split()[0]
    command = [
        python,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        ":all:",
        "-d",
        folder,
        wanted,
    ]
    subprocess.run(command, check=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


def outcomes(report: Path) -> dict[str, str]:
    """What became of each test, by its name: passed, skipped or failed."""
    found: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {part.tag for part in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        found[name] = state if found.get(name, "passed") == "passed" else found[name]
    return found


def tested(suite: Suite, python: Path, start: str, where: Path, *paths: Path) -> tuple[dict[str, str], str]:
    """What became of the tests of a suite, and what pytest said; each Python does `start` first."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sitecustomize.py").write_text(start, encoding="utf-8")
        report = Path(folder) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}"]
        command = [python, "-P", "-m", "pytest", *options, *suite.arguments, suite.tests]
        words = {"PYTHONWARNINGS": ""}  # which tests look at
        words |= {
            "PATH": os.pathsep.join((str(python.parent), os.environ["PATH"])),
            **dict(suite.environment),
        }
        text, errors, _ = printed(command, Path(folder), *paths, folder=where, words=words, limit=LIMIT)
        return (outcomes(report) if report.exists() else {}), text + errors


def recorded(suite: Suite) -> tuple[int, dict[str, str]]:
    """How many tests there are on PyTorch, and what became of those that do not pass there."""
    number, *others = suite.expected.read_text(encoding="utf-8").splitlines()
    return int(number), {name: state for state, name in (line.split(" ", 1) for line in others)}


def record(suite: Suite, with_torch: Path, python: Path, where: Path) -> bool:
    """Writes what passes on PyTorch; whether there was anything."""
    found, said = tested(suite, with_torch, ON_PYTORCH.format(packages=packages_of(python)), where)
    if not found:
        print(f"{suite.name} FAILED\n{said[-2000:]}", flush=True)
        return False
    lines = [
        str(len(found)),
        *(f"{state} {name}" for name, state in sorted(found.items()) if state != "passed"),
    ]
    EXPECTED.mkdir(exist_ok=True)
    suite.expected.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{suite.name:18} {len(found)} tests, {len(lines) - 1} do not pass", flush=True)
    return True


def check(suite: Suite, python: Path, where: Path) -> tuple[bool, str]:
    """Runs a suite on Pullback, and prints what came of it; whether it is well, and its row of the page."""
    begin = time.perf_counter()
    found, said = tested(suite, python, ON_PULLBACK, where, library())
    seconds = time.perf_counter() - begin
    number, others = recorded(suite)
    passed = sum(state == "passed" for state in found.values())
    lost = [name for name, state in found.items() if state != "passed" and name not in others]
    well = not lost and len(found) >= number
    figures = f"{len(found):5} tests {passed:5} pass, {number - len(others):5} on PyTorch {seconds:6.1f} s"
    print(f"{suite.name:18} {'ok' if well else 'FAILED':7} {figures}", flush=True)
    if not well:
        print("\n".join([*(f"    {name} {found[name]}" for name in lost), said[-2000:]]), flush=True)
    name, _, version = suite.requires.split()[0].partition("==")
    cells = name, version, number, number - len(others), passed, len(lost), f"{seconds:.0f}"
    return well, "".join(f"| {cell} " for cell in cells) + "|\n"


def main(arguments: list[str]) -> int:
    """Runs the suites that the command line names; 1 if a test fails that passes on PyTorch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--checkouts", type=Path, metavar="FOLDER", help="where checkouts of packages are")
    parser.add_argument("--table", action="store_true", help="write docs/suites.md")
    parser.add_argument(
        "--record", type=Path, metavar="PYTHON", help="write what passes on the PyTorch of PYTHON"
    )
    parser.add_argument("--venv", type=Path, default=HERE / ".venv", help="the environment of the clients")
    options = parser.parse_args(arguments)
    chosen = [suite for suite in SUITES if not options.names or suite.name in options.names]
    python = environment(options.venv.resolve(), [suite.client for suite in chosen])
    states, rows = [], []
    for suite in chosen:
        with tempfile.TemporaryDirectory() as folder:
            where = sources(suite, Path(folder), options.checkouts, python)
            if where is None:
                print(
                    f"{suite.name:18} is not run: no archive has its tests, and no checkout is given",
                    flush=True,
                )
            elif options.record:
                states.append(record(suite, options.record, python, where))
            else:
                well, line = check(suite, python, where)
                states.append(well)
                rows.append(line)
    if options.table:
        write(PAGE, HEAD, rows, {suite.requires.split()[0].partition("==")[0] for suite in SUITES})
    return int(not all(states))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
