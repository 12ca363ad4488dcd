"""Importing Pullback is quick: it loads NumPy, its own core and little else."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_import_takes_a_moment():
    program = f"import time; t = time.perf_counter()\nimport {NAME}\nprint(time.perf_counter() - t)"
    times = []
    for _ in range(12):  # the machine may have other work: one quiet moment is enough
        times.append(float(fresh(program)[0]))
        if times[-1] < LIMIT:
            return
    raise AssertionError(f"import {NAME} takes {min(times):.3f} s")


def test_large_libraries_wait_until_needed():
    loaded = set(fresh(f"import {NAME}\nprint(*sys.modules)"))
    assert "numpy" in loaded
    for late in ("scipy", "hypothesis", "pytest", "sympy", "torch", "asyncio", "unittest"):
        assert late not in loaded
