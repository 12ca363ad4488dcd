"""The programs of examples/, compiled, print what they print by themselves."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from library import pullback_only

pytestmark = pullback_only("PyTorch's compiler needs a compiler for C++")

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = [p for p in sorted((ROOT / "examples").glob("*.py")) if "def main()" in p.read_text()]


def ran(command, folder):
    """What a command prints and says, without the seconds that it took."""
    path = os.pathsep.join([str(ROOT), *(p for p in sys.path if p)])
    environment = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    return done.returncode, re.sub(r"[\d.]+ ?s\b", "", done.stdout), done.stderr


def parted(text):
    """The words and the numbers of a text. Derivatives of derivatives are added in another order where a
    function is compiled, and a training of many steps makes more of their last bits.
    """
    parts = re.split(r"(\d+\.\d+(?:e[-+]\d+)?)", text)
    return parts[::2], [float(number) for number in parts[1::2]]


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_compiled_programs_print_the_same(program, tmp_path):
    launcher = ["-m", "pullback"] if re.search(r"^import torch$", program.read_text(), re.M) else []
    status, expected, said = ran([*launcher, str(program)], tmp_path)
    if status:
        pytest.skip(f"{program.name} does not run here: {said.splitlines()[-1]}")
    helper = str(Path(__file__).with_name("run_compiled.py"))
    status, found, said = ran([*launcher, helper, str(program)], tmp_path)
    assert status == 0, said
    (words, numbers), (wanted_words, wanted_numbers) = parted(found), parted(expected)
    assert words == wanted_words
    assert numbers == pytest.approx(wanted_numbers, rel=0.15)
