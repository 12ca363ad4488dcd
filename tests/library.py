"""The library under test, and the few helpers that every test file shares.

All tests are written against one module object called `torch`. It is Pullback, unless the
environment variable PULLBACK_TESTED names another library: `PULLBACK_TESTED=torch pytest tests`
runs the same tests on PyTorch itself, which proves that what they expect is what PyTorch does.
Where Pullback is better on purpose, a test is marked `pullback_only("why")`.
"""

import importlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

NAME = os.environ.get("PULLBACK_TESTED", "pullback")
ON_TORCH = NAME == "torch"
GOLDEN = Path(__file__).parent / "golden"

torch = importlib.import_module(NAME)


def pullback_only(reason):
    """Mark a test of what Pullback does and PyTorch does not; the reason says what that is."""
    return pytest.mark.skipif(ON_TORCH, reason=f"only Pullback: {reason}")


def run_python(*arguments, cwd=None, **options):
    """Run Python with these arguments in a process of its own, with the library under test importable.

    It runs outside the checkout, whose sources Python would find before the library.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(torch.__file__).resolve().parents[1])}
    command = [sys.executable, *map(str, arguments)]
    settings = {"capture_output": True, "text": True, "timeout": 120, **options}
    return subprocess.run(command, env=environment, cwd=cwd or tempfile.gettempdir(), check=False, **settings)


def leaf(values, dtype=None):
    """A leaf that requires grad, holding `values`; float32 unless a dtype is given."""
    return torch.tensor(values, dtype=dtype or torch.float32, requires_grad=True)


def vec(*values):
    """A float32 vector without grad."""
    return torch.tensor(values, dtype=torch.float32)


def check(tensor, expected, rtol=1e-6, atol=0.0):
    """Assert that `tensor` has the shape and, within the tolerance, the values of `expected`."""
    assert isinstance(tensor, torch.Tensor), f"expected a tensor, got {tensor!r}"
    wanted = np.asarray(expected)
    if wanted.size:
        assert tuple(tensor.shape) == wanted.shape
    found = np.asarray(tensor.tolist()).reshape(wanted.shape)
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


def fn_name(tensor):
    """The name of the tensor's `grad_fn` as it is printed, None where it has none."""
    return None if tensor.grad_fn is None else type(tensor.grad_fn).__name__


def without_links(text):
    """`text` with links to documentation made equal, and C++ source positions dropped."""
    text = re.sub(r"\s*\(Triggered internally at [^)]*\)", "", text)
    return re.sub(r"(https?://|github\.com/)[^\s)]+", "<url>", text).strip()


class Square(torch.autograd.Function):
    """x * x, which saves x: for tests that give it a backward of their own."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x


class Broken(torch.autograd.Function):
    """2 x with a backward that raises KeyError."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        raise KeyError("broken")
