"""Programs of 1, 2, 3 and 4 ranks: the checks of `checks_*.py`, each world started once."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import ranks
from library import ON_TORCH, torch

pytestmark = [
    pytest.mark.skipif(find_spec("mpi4py") is None, reason="mpi4py is not installed"),
    pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no mpiexec"),
    pytest.mark.skipif(ON_TORCH, reason="PyTorch's wheels are built without MPI"),
]


@functools.cache
def outcome(count):
    """What became of each check on each rank of a world, and what the ranks have printed."""
    folder = tempfile.mkdtemp()
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(torch.__file__).resolve().parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    command = ["mpiexec", "-n", str(count), sys.executable, ranks.__file__, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    files = [Path(folder, f"{rank}.json") for rank in range(count)]
    found = [json.loads(file.read_text()) if file.exists() else {} for file in files]
    shutil.rmtree(folder)
    return found, done.stdout + done.stderr, done.returncode


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ranks.names())
def test_ranks(name, count):
    found, output, _ = outcome(count)
    for rank, results in enumerate(found):
        assert name in results, f"rank {rank} has not come to it\n{output[-3000:]}"
        assert results[name] is None, f"rank {rank}\n{results[name]}"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_worlds_end_well(count):
    _, output, status = outcome(count)
    assert status == 0, output[-3000:]
