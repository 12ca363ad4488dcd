"""docs/coverage.md says what PyTorch's op database finds now; needs the PyTorch that it was made with."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from library import ON_TORCH

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "coverage.md"


@pytest.mark.slow
def test_coverage_is_current():
    if ON_TORCH:
        pytest.skip("compares Pullback with PyTorch; the library under test is PyTorch")
    torch = pytest.importorskip("torch", reason="the op database comes with PyTorch")
    made_with = re.search(r"with PyTorch (\S+),", PAGE.read_text())[1]
    if torch.__version__ != made_with:
        pytest.skip(f"docs/coverage.md was made with PyTorch {made_with}; this is {torch.__version__}")
    command = [sys.executable, "-m", "tests.conformance", "--check", "--failures", "0"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    told = [line for line in run.stdout.splitlines() if not re.match(r"\S+ +.*\d/\d", line)]
    assert run.returncode == 0, "\n".join(told[-60:]) + run.stderr[-2000:]
