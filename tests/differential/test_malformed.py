"""Malformed calls are refused or answered: no process ends, and no error is one of ours.

`python tests/differential/crashes.py 1000000 --seed 1` makes others.
"""

from pathlib import Path

import pytest
from library import ON_TORCH, run_python


@pytest.mark.skipif(ON_TORCH, reason="the calls are of Pullback")
def test_no_call_ends_the_process():
    done = run_python(Path(__file__).with_name("crashes.py"), 3000, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
