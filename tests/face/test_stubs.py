"""What type checkers and editors see: the stubs are current, and know every name, argument and result."""

import subprocess
import sys
from pathlib import Path

import pytest
from library import ON_TORCH, torch

pytestmark = pytest.mark.skipif(ON_TORCH, reason="the stubs are Pullback's")
ROOT = Path(__file__).resolve().parents[2]

RIGHT = """
import pullback as torch
import pullback.nn.functional as F

x = torch.zeros(3, 4, requires_grad=True)
y: torch.Tensor = (x * 2 + 1).sum(dim=0)
z: torch.Tensor = F.relu(x @ x.t()).view(9) / torch.linalg.norm(x)
shape: tuple[int, ...] = x.shape
same: bool = torch.equal(x, x.float())
grads: list[torch.Tensor] = [g for g in torch.autograd.grad(y.sum(), [x])]
u, s, v = torch.linalg.svd(x)
values, indices = torch.max(x, 1)


def cube(t: torch.Tensor) -> torch.Tensor:
    return t**3


torch.func.grad(cube)(x)
"""

WRONG = {
    "torch.no_such_name(1)": "has no attribute",
    "x.no_such()": "has no attribute",
    "torch.zeros(2, dtypo=3)": "Unexpected keyword argument",
    'torch.sum("oops")': "No overload variant",
    "x.transpose(0)": "Missing positional argument",
    "torch.nn.functional.no_such(x)": "has no attribute",
    "n: int = x.exp()": "Incompatible types in assignment",
}


def test_stubs_are_current():
    command = [sys.executable, "tools/stubs.py", "--check"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
def test_a_type_checker_knows_what_is_right_and_what_is_wrong(tmp_path, monkeypatch):
    api = pytest.importorskip("mypy.api", reason="the lint extra has the type checker")
    source = RIGHT + "\n".join(WRONG) + "\n"
    program = tmp_path / "program.py"
    program.write_text(source)
    first = source.count("\n") - len(WRONG) + 1
    home = str(Path(torch.__file__).parents[1])
    options = [f"--cache-dir={tmp_path}", "--follow-imports=silent", "--no-error-summary", "--strict"]
    if "site-packages" not in home:  # where mypy looks by itself
        monkeypatch.setenv("MYPYPATH", home)
    report, _, _ = api.run([*options, str(program)])
    told = {int(line.split(":")[1]): line for line in report.splitlines() if ": error:" in line}
    for number, (line, words) in enumerate(WRONG.items(), first):
        assert words in told.pop(number, "nothing"), line
    assert not told, report
