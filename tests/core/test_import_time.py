"""Importing Pullback is quick: it loads NumPy, its own core and little else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from library import NAME, pullback_only, torch

pytestmark = pullback_only("PyTorch's import takes its time")

HOME = str(Path(torch.__file__).resolve().parents[1])
LIMIT = 0.15  # seconds


def fresh(program):
    """What a program prints in a new process, where the library can be imported."""
    source = f"import sys; sys.path.insert(0, {HOME!r})\n{program}"
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


@pytest.mark.slow
def test_import_takes_a_moment():
    """Under the limit, or on a busy machine little over what NumPy takes in the same minute."""
    program = "import time; t = time.perf_counter()\nimport {}\nprint(time.perf_counter() - t)"
    times = []
    for _ in range(12):  # one quiet moment is enough
        numpy, ours = [float(fresh(program.format(name))[0]) for name in ("numpy", NAME)]
        times.append(ours)
        if ours < LIMIT or ours < 1.8 * numpy:
            return
    raise AssertionError(f"import {NAME} takes {min(times):.3f} s")


def test_large_libraries_wait_until_needed():
    loaded = set(fresh(f"import {NAME}\nprint(*sys.modules)"))
    assert "numpy" in loaded
    for late in (f"{NAME}.nn", "scipy", "hypothesis", "pytest", "sympy", "torch", "asyncio", "unittest"):
        assert late not in loaded
