"""`python -m pullback`: what its command line takes, and the tracebacks of programs on Pullback."""

import os
import re
import subprocess
import sys

import pytest
from library import pullback_only, run_python, torch

pytestmark = [pullback_only("python -m pullback runs programs written for torch"), pytest.mark.slow]


def launched(*arguments, **options):
    """The standard output, the standard error and the exit status of `python -m pullback ...`."""
    done = run_python("-m", "pullback", *arguments, **options)
    return done.stdout, done.stderr, done.returncode


# The command line --------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option, tmp_path):
    python = ".".join(map(str, sys.version_info[:3]))
    numpy = sys.modules["numpy"].__version__
    line = f"Pullback {torch.__version__}, Python {python}, NumPy {numpy}\n"
    assert launched(option, cwd=tmp_path) == (line, "", 0)


def test_help_names_every_option(tmp_path):
    out, err, status = launched("--help", cwd=tmp_path)
    assert (err, status) == ("", 0)
    for option in ("program.py", "-m module", "-c code", "-i", " - ", "--version", "--help"):
        assert option in out


@pytest.mark.parametrize("arguments", [[], ["-c"], ["-m"], ["-x"], ["-i", "--nothing"]])
def test_wrong_usage(arguments, tmp_path):
    out, err, status = launched(*arguments, cwd=tmp_path)
    assert (out, status) == ("", 2)
    assert "usage: python -m pullback" in err


SHOW = "import sys, torch; print(__name__, sys.argv, repr(sys.path[0]), torch.ones(2))"


def test_code(tmp_path):
    shown = "__main__ ['-c', '-i', 'x'] '' tensor([1., 1.])\n"
    assert launched("-c", SHOW, "-i", "x", cwd=tmp_path) == (shown, "", 0)


def test_standard_input(tmp_path):
    shown = "__main__ ['-', 'x'] '' tensor([1., 1.])\n"
    assert launched("-", "x", input=SHOW, cwd=tmp_path) == (shown, "", 0)


def test_code_that_fails(tmp_path):
    out, err, status = launched("-c", "import torch\ntorch.ones(2).backward()", cwd=tmp_path)
    assert (out, status) == ("", 1)
    assert err.splitlines()[:2] == [
        "Traceback (most recent call last):",
        '  File "<string>", line 2, in <module>',
    ]
    assert "SyntaxError" in launched("-c", "1 +", cwd=tmp_path)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="a signal that Python handles")
def test_an_interrupted_program_shows_its_own_frames(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, signal, torch\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def wait():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "try:\n"
        "    1 / 0\n"
        "except ZeroDivisionError:\n"
        "    wait()\n"
    )
    out, err, status = launched(str(program), cwd=tmp_path)
    assert (out, status) == ("", -2)
    assert re.findall(r'File "(.+)", line (\d+)', err) == [(str(program), place) for place in "684"]
    assert err.endswith("KeyboardInterrupt\n")


@pytest.mark.skipif(sys.platform == "win32", reason="processes that are forked by a server")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_new_processes_know_torch(method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from torch.utils.data import DataLoader\n"
        "class Squares:\n"
        "    def __len__(self):\n"
        "        return 4\n"
        "    def __getitem__(self, i):\n"
        "        import torch\n"
        "        return torch.tensor(i * i)\n"
        "if __name__ == '__main__':\n"
        f"    loader = DataLoader(Squares(), 2, num_workers=1, multiprocessing_context={method!r})\n"
        "    print([batch.tolist() for batch in loader])\n"
    )
    assert launched(str(program), cwd=tmp_path) == ("[[0, 1], [4, 9]]\n", "", 0)


def test_exit_status_of_code(tmp_path):
    assert launched("-c", "raise SystemExit(3)", cwd=tmp_path) == ("", "", 3)


# The prompt --------------------------------------------------------------------------------


def test_prompt_after_a_program(tmp_path):
    """It sees the program's names, also after an exception or an exit."""
    for ending in ("", "1 / 0", "raise SystemExit(3)"):
        out, err, status = launched(
            "-i", "-c", f"import torch\nx = torch.ones(2)\n{ending}", input="print(x + 1)\n", cwd=tmp_path
        )
        assert "tensor([2., 2.])" in out
        assert status == 0
        assert ending == "" or ("ZeroDivisionError" in err or "SystemExit: 3" in err)


def test_prompt_alone(tmp_path):
    out, err, status = launched(
        "-i", input="import torch, pullback\nprint(torch is pullback)\n", cwd=tmp_path
    )
    assert "True" in out
    assert err.startswith("Pullback ")
    assert status == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of its own")
def test_prompt_at_a_terminal(tmp_path):
    """There it is Python's own, which exits as it does."""
    ours, theirs = os.openpty()
    os.write(ours, b"print(x * 5)\nimport torch\nprint(torch.ones(1))\nexit(4)\n")
    settings = {"stdin": theirs, "stdout": subprocess.PIPE, "capture_output": False}
    done = run_python("-m", "pullback", "-i", "-c", "x = 9", cwd=tmp_path, stderr=subprocess.PIPE, **settings)
    os.close(ours), os.close(theirs)
    assert "45" in done.stdout
    assert "tensor([1.])" in done.stdout
    assert done.returncode == 4


# Tracebacks --------------------------------------------------------------------------------

FAILS = """import {} as torch

def model(x):
    return x @ torch.ones(3)

try:
    model(torch.ones(2, 2))
except RuntimeError:
    torch.func.vmap(model)(torch.ones(2, 2, 2))
"""
FILE = re.compile(r'^  File "(.*)", line (\d+), in .*\n(    .*\n)?', re.M)


@pytest.mark.parametrize("imported", ["pullback", "torch"])
def test_traceback_shows_lines_of_the_files_it_names(imported, tmp_path):
    """Although the program stands beside files that are called like those of the library."""
    for name in ("dispatch.pxi", "_engine.pyx", "matmul.py", "core/engine/dispatch.pxi"):
        for below in ("", "pullback/core/engine/", "engine/"):
            decoy = tmp_path / "aside" / below / name
            decoy.parent.mkdir(parents=True, exist_ok=True)
            decoy.write_text("a line of another file\n" * 1000)
    folder = tmp_path / "aside"
    (folder / "program.py").write_text(FAILS.format(imported))
    start = ["-m", "pullback"] if imported == "torch" else []
    done = run_python(*start, folder / "program.py", cwd=folder if not start else tmp_path)
    assert done.returncode == 1
    assert "another file" not in done.stderr
    shown = FILE.findall(done.stderr)
    assert any(name.endswith("program.py") for name, _, _ in shown)
    for name, number, line in shown:
        assert os.path.isabs(name)
        with open(name, encoding="utf-8") as file:
            assert file.read().splitlines()[int(number) - 1].strip() == line.strip()
        assert not (start and name.endswith((".pyx", ".pxi"))), "the launcher leaves the core out"
