"""What packages ask of `torch` before anything else, under the launcher."""

import textwrap

import pytest
from library import pullback_only, run_python

pytestmark = pullback_only("PyTorch is PyTorch")


def printed(source):
    """What a program prints under the launcher."""
    done = run_python("-m", "pullback", "-c", textwrap.dedent(source))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_name_and_version():
    assert printed("""
        import importlib.metadata, torch
        print(torch.__name__, torch.__version__, torch.version.__version__, torch.version.cuda)
        print(torch.__version__ >= (2, 1), torch.__version__ < "2.13.1", isinstance(torch.__version__, str))
        print(importlib.metadata.version("torch"))
    """) == ["torch 2.13.0 2.13.0 None", "True True True", "2.13.0"]


def test_functorch_is_a_name_of_its_own():
    assert printed("""
        import functorch, torch
        from functorch import vmap
        print(vmap is torch.vmap, functorch.__name__)
    """) == ["True pullback.functorch"]


@pytest.mark.parametrize("module", ["optim", "nn", "utils.data", "jit"])
def test_modules_are_filled_when_they_are_imported(module):
    lines = printed(f"""
        import torch, torch.{module}
        kinds = [k for k, v in vars(torch.{module}).items() if isinstance(v, type) and v.__doc__]
        print(len(kinds) > 3)
    """)
    assert lines == ["True"]
