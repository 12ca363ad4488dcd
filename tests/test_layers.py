"""The modules of the package stand in one order, and imports go down only.

ORDER is the whole of it: a module imports those before it, and a package is one entry. Compiled
modules and the parts that they include are read as well. A new module needs a place in the list.
"""

import ast
import re
from pathlib import Path

import pytest
from library import NAME, torch

ORDER = [
    "blas",
    "dtypes",
    "strides",
    "meta",
    "return_types",
    "printing",
    "settings",
    "_bags",
    "_classes",
    "_distances",
    "_curves",
    "_ctc",
    "_norms",
    "_spatial",
    "_resample",
    "_pooling",
    "_grid",
    "_lapack",
    "_colouring",
    "_slopes",
    "_soft",
    "_loops",
    "_random",
    "_sampling",
    "draw",
    "sample",
    "_engine",
    "op",
    "ops",
    "interop",
    "legacy",
    "methods",
    "namespaces",
    "overrides",
    "batching",
    "autograd",
    "_C",
    "utils",
    "func",
    "optimize",
    "nn",
    "signal",
    "",  # pullback itself
    "launch",
    "__main__",
]

ROOT = Path(__file__).resolve().parents[1] / "pullback"
SOURCES = sorted(p for p in ROOT.rglob("*.*") if p.suffix in (".py", ".pyx", ".pxd", ".pxi"))
CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\S+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n]*)|c?import[ \t]+([\w.]+))", re.M
)


def unit(path):
    """The entry of ORDER that a source file belongs to."""
    first = path.relative_to(ROOT).parts[0]
    if path.suffix == ".pxi":
        return "_" + first  # the parts of _engine stand in engine/
    name = first.partition(".")[0]
    return "" if name == "__init__" else name


def imports(path):
    """The full names that a file imports, each with the names it takes from there."""
    text = path.read_text()
    if path.suffix != ".py":
        for module, names, plain in CIMPORT.findall(text):
            taken = re.findall(r"(\w+)(?:\s+as\s+\w+)?", names)
            yield (module or plain), taken
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            yield node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)


def used(path):
    """The entries of ORDER that a file imports."""
    for module, names in imports(path):
        if module == "pullback":
            known = [name for name in names if name in ORDER]
            yield from known if len(known) == len(names) and names else [*known, ""]
        elif module.startswith("pullback."):
            yield module.split(".")[1]


def test_every_module_has_its_place():
    units = {unit(path) for path in SOURCES}
    assert units == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_imports_go_down(path):
    place = ORDER.index(unit(path))
    for name in used(path):
        assert name in ORDER, f"{name} has no place in ORDER"
        allowed = ORDER.index(name) < place or name == unit(path)
        assert allowed, f"{unit(path) or 'pullback'} imports {name or 'pullback'}, which is above it"


def test_the_reader_of_imports_reads():
    assert {"_engine", "dtypes", "op", "ops"} <= set(used(ROOT / "ops" / "arithmetic.py"))
    assert {"dtypes", "_loops"} <= set(used(ROOT / "_engine.pyx"))


def test_no_logic_in_the_package_file():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    heavy = [n.name for n in tree.body if isinstance(n, kinds) and n.end_lineno - n.lineno > 12]
    assert heavy == [], f"{NAME} {torch.__version__}: __init__ holds public names only"
