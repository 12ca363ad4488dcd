"""Pullback and PyTorch in one program: where their tensors meet, one line says what to do."""

import pytest
from library import pullback_only, run_python

pytestmark = pullback_only("it is Pullback's tensors that PyTorch does not know")
pytest.importorskip("torch")

HEAD = """
import pullback
import torch
import torch.nn.functional as F
ours = pullback.tensor([1.0, -2.0], requires_grad=True)
theirs = torch.ones(2)
class Mine(pullback.Tensor): pass
mine = ours.as_subclass(Mine)
for line in LINES:
    try:
        eval(line)
    except RuntimeError as error:
        print(line, "#", error)
    else:
        print(line, "# nothing")
"""
LINES = """\
F.relu(ours)  relu
F.softmax(ours, 0)  softmax
F.cross_entropy(ours, theirs)  cross_entropy
F.relu(mine)  relu
torch.sin(ours)  sin
torch.stack([theirs, ours])  stack
torch.nn.Linear(2, 2)(ours)  linear
theirs + ours  add
ours + theirs  add
theirs.add_(ours)  add_
ours == theirs  eq
pullback.sin(theirs)  sin
pullback.stack([ours, theirs])  stack
pullback.matmul(ours, theirs)  matmul"""


def test_a_line_names_the_remedy(tmp_path):
    rows = [line.split("  ") for line in LINES.splitlines()]
    done = run_python("-W", "ignore", "-c", f"LINES = {[row[0] for row in rows]}\n{HEAD}", cwd=tmp_path)
    assert done.stderr == ""
    words = (
        "{}(): Pullback and PyTorch do not know each other's tensors: import pullback wherever this program "
        "imports torch, or run it by `python -m pullback`"
    )
    assert done.stdout.splitlines() == [f"{line} # {words.format(name)}" for line, name in rows]


def test_values_are_handed_over(tmp_path):
    source = (
        "import pullback, torch\n"
        "print(torch.from_dlpack(pullback.ones(2)), pullback.from_dlpack(torch.ones(2)))\n"
        "print(torch.as_tensor(pullback.ones(2)), pullback.tensor(torch.arange(2)))\n"
    )
    done = run_python("-W", "ignore", "-c", source, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "tensor([1., 1.]) tensor([1., 1.])",
        "tensor([1., 1.]) tensor([0, 1])",
    ], done.stderr
