"""docs/ops.md is what the op table says now."""

import subprocess
import sys
from pathlib import Path

import pytest
from library import ON_TORCH

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(ON_TORCH, reason="the page is of Pullback's ops")
def test_the_page_of_ops_is_current():
    command = [sys.executable, "docs/make_ops.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
