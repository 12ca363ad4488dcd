"""The examples in docstrings run: those of all modules, of what users call, and of its members."""

import importlib
import pkgutil
import sys
import warnings
from doctest import DocTestFinder, DocTestParser, DocTestRunner

import pytest
from library import NAME, ON_TORCH, torch

if ON_TORCH:
    pytest.skip("the docstrings are Pullback's", allow_module_level=True)

from pullback.core.op import SURFACE
from pullback.face.namespaces import name_classes


def modules():
    """All modules of the package but the command line's."""
    names = [info.name for info in pkgutil.walk_packages(torch.__path__, "pullback.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def docstrings():
    """The name and the docstring of all that has an example, each docstring once."""
    dir(torch)  # declares the ops that wait for their first use
    for space, functions in SURFACE.items():
        yield from ((f"{space}.{name}", function.__doc__) for name, function in functions.items())
    yield from ((f"Tensor.{name}", getattr(torch.Tensor, name).__doc__) for name in dir(torch.Tensor))
    for module in modules():
        for test in DocTestFinder(exclude_empty=True).find(module, module.__name__):
            yield test.name, test.docstring


EXAMPLES = {doc: name for name, doc in docstrings() if doc and ">>> " in doc}


@pytest.mark.parametrize(("name", "doc"), [(n, d) for d, n in EXAMPLES.items()], ids=EXAMPLES.values())
def test_example(name, doc, monkeypatch):
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])  # one example makes `torch` Pullback's name
    monkeypatch.setattr(torch, "__version__", torch.__version__)
    monkeypatch.setattr(torch, "__name__", torch.__name__)
    before = set(sys.modules)
    told = []
    test = DocTestParser().get_doctest(doc, {}, name, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what PyTorch deprecates warns
        done = DocTestRunner(verbose=False).run(test, out=told.append)
    for module in set(sys.modules) - before:
        if module.partition(".")[0] == "torch":
            del sys.modules[module]
    name_classes(NAME)
    assert not done.failed, "".join(told)
