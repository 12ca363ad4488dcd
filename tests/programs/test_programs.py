"""Whole programs, run as a user runs them: in a process of their own, their output compared.

First the tutorial's three programs with one changed import, then the same programs unmodified
under `python -m pullback`, then what that launcher owes any program: its arguments, its exit
status and its traceback.
"""

from pathlib import Path

import pytest
from library import NAME, pullback_only, run_python, torch

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OUTPUTS = {
    "tutorial_1.py": """\
x: tensor(2., requires_grad=True)
y: tensor(5., grad_fn=<AddBackward0>)
x.grad : tensor(4.)
""",
    "tutorial_2.py": """\
x: tensor(3)
w: tensor(2., requires_grad=True)
b: tensor(5., requires_grad=True)
y: tensor(11., grad_fn=<AddBackward0>)
x.grad : None
w.grad : tensor(3.)
b.grad : tensor(1.)
""",
    "tutorial_3.py": """\
x: tensor(3., requires_grad=True)
y: tensor(4., requires_grad=True)
z: tensor(81., grad_fn=<PowBackward1>)
x.grad : tensor(108.)
y.grad : tensor(88.9876)
""",
}
TUTORIAL = pytest.mark.parametrize("name", OUTPUTS)
launcher = pullback_only("python -m pullback runs programs written for torch")


def launch(folder, source, *arguments):
    """Write `source` to a file and run it, unmodified, under `python -m pullback`."""
    program = folder / "program.py"
    program.write_text(source)
    return run_python("-m", "pullback", program, *arguments, cwd=folder)


def tutorial(name, library):
    """A program of the tutorial, for a library."""
    source = (EXAMPLES / name).read_text()
    assert "import pullback as torch\n" in source
    return source.replace("import pullback as torch", f"import {library}")


@TUTORIAL
def test_tutorial_with_one_changed_import(name, tmp_path):
    done = run_python("-c", tutorial(name, f"{NAME} as torch"), cwd=tmp_path)
    assert (done.stdout, done.returncode) == (OUTPUTS[name], 0), done.stderr


@launcher
@TUTORIAL
def test_tutorial_unmodified(name, tmp_path):
    done = launch(tmp_path, tutorial(name, "torch"))
    assert (done.stdout, done.stderr, done.returncode) == (OUTPUTS[name], "", 0)


@launcher
def test_launcher_gives_the_program_its_own_world(tmp_path):
    (tmp_path / "neighbour.py").write_text("import torch\nhalf = torch.tensor(0.5)\n")
    source = (
        "import os, sys, torch\n"
        "import torch.autograd as autograd\n"
        "from torch.autograd import Function\n"
        "from neighbour import half\n"
        "import pullback\n"
        "print(__name__, os.path.basename(__file__), sys.argv[1:], half)\n"
        "print(torch is pullback, autograd is pullback.autograd)\n"
        "print(Function is pullback.autograd.Function, isinstance(half, torch.Tensor))\n"
        "print(os.path.basename(sys.argv[0]))\n"
    )
    done = launch(tmp_path, source, "-v", "--epochs", "3")
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "__main__ program.py ['-v', '--epochs', '3'] tensor(0.5000)",
        "True True",
        "True True",
        "program.py",
    ]


@launcher
def test_launcher_passes_the_exit_status(tmp_path):
    done = launch(tmp_path, "import torch, sys\nprint('before')\nsys.exit(7)\n")
    assert (done.stdout, done.returncode) == ("before\n", 7)


@launcher
def test_launcher_shows_the_program_traceback(tmp_path):
    done = launch(tmp_path, "import torch\n\ntorch.ones(2).backward()\n")
    assert done.returncode == 1
    assert 'program.py", line 3, in <module>' in done.stderr
    message = "element 0 of tensors does not require grad and does not have a grad_fn"
    assert done.stderr.rstrip().endswith(f"RuntimeError: {message}")


@launcher
def test_launcher_without_a_program(tmp_path):
    missing = run_python("-m", "pullback", tmp_path / "absent.py", cwd=tmp_path)
    assert missing.returncode != 0
    assert "absent.py" in missing.stderr
    nothing = run_python("-m", "pullback", cwd=tmp_path)
    assert nothing.returncode != 0
    assert "usage" in (nothing.stderr + nothing.stdout).lower()


def test_missing_name_of_the_imported_module():
    with pytest.raises(AttributeError, match="module 'torch' has no attribute 'no_such_name'"):
        _ = torch.no_such_name
    with pytest.raises(ImportError, match=rf"no_such_part|{NAME}"):
        __import__(f"{NAME}.no_such_part")
    assert not hasattr(torch, "no_such_name")
    assert getattr(torch, "no_such_name", 5) == 5


def test_public_names_are_listed():
    assert {"tensor", "Tensor", "autograd", "no_grad", "float32"} <= set(dir(torch))
    assert isinstance(torch.__version__, str)


@launcher
def test_late_methods_are_found_on_the_class(tmp_path):
    """Methods that are declared at first use: on Tensor itself, on subclasses, and by `hasattr`."""
    program = tmp_path / "program.py"
    program.write_text(
        "import torch\n"
        "class Mine(torch.Tensor): pass\n"
        "print(hasattr(Mine, 'nothing'), Mine.det is torch.Tensor.det, callable(torch.Tensor.logdet))\n"
    )
    assert run_python("-m", "pullback", program, cwd=tmp_path).stdout.split() == ["False", "True", "True"]
