"""The folders of the package stand in one order, and imports go down only.

LAYERS is the whole of it, from the bottom up: what stands in a folder imports from that folder and from
those before it. Names in one string are of one layer. Compiled modules and the parts that they include
are read as well. A new file needs no entry, a new folder does.
"""

import ast
import re
from pathlib import Path

import pytest
from library import NAME, torch

LAYERS = [
    "return_types",
    "core",
    "kernels",
    "kernels.random",
    "ops",  # the index alone, by which a rule finds any op
    "ops.shared",
    "ops.elementwise",
    "ops.arrays",
    "ops.reductions",
    "ops.products",
    "ops.indexing",
    "ops.special",
    "ops.linalg",
    "ops.signals",
    "ops.images",
    "ops.networks",
    "ops.names",
    "ops.sparse",
    "ops.nested",
    "ops.masked",
    "face",
    "transforms transforms.batching",
    "overrides",
    "autograd",
    "_C",
    "_jit_internal",
    "futures",
    "multiprocessing",
    "utils __future__",
    "version types _guards torch_version",
    "amp",
    "cuda",
    "accelerator cpu mps mtia xpu",
    "backends",
    "compiler",
    "__config__",
    "profiler",
    "testing",
    "_functorch",
    "func",
    "optimize",
    "nn",
    "_dynamo",
    "_C._nn",
    "_ops _library library _custom_ops utils._python_dispatch",
    "functional functorch _vmap_internals quasirandom",
    "jit fx",
    "_subclasses",
    "optim",
    "distributions distributions.transforms distributions.kl",
    "_utils _tensor _tensor_str",
    "serialization",
    "hub",
    "utils.model_zoo",
    "distributed onnx ao export",
    "nn.parallel.distributed utils.data.distributed",  # they need both what they belong to and `distributed`
    "storage",
    "signal",
    "see plots",
    "pullback _engine",  # the package's own file, and the engine by its short name
    "launch",
    "__main__",
]

ORDER = {name: place for place, names in enumerate(LAYERS) for name in names.split()}
ROOT = Path(__file__).resolve().parents[2] / "pullback"
SOURCES = sorted(p for p in ROOT.rglob("*.*") if p.suffix in (".py", ".pyx", ".pxd", ".pxi"))
CIMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(\S+)[ \t]+c?import[ \t]+(\([^)]*\)|[^\n]*)|c?import[ \t]+([\w.]+))", re.M
)


def unit(parts):
    """The entry of ORDER that a module belongs to: its folder, at the top the file itself."""
    for count in range(len(parts), 0, -1):
        if ".".join(parts[:count]) in ORDER:
            return ".".join(parts[:count])
    return ".".join(parts) or "pullback"


def home(path):
    """The entry that a source file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return unit(parts[:-1] if parts[-1] == "__init__" else parts)


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
        package, *parts = module.split(".")
        if package == "pullback":
            below = [unit((*parts, name)) for name in names if ".".join((*parts, name)) in ORDER]
            yield from below if names and len(below) == len(names) else [*below, unit(parts)]


def test_every_folder_has_its_place():
    assert {home(path) for path in SOURCES} == set(ORDER)


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_imports_go_down(path):
    place = ORDER[home(path)]
    for name in used(path):
        assert name in ORDER, f"{name} has no place in LAYERS"
        assert ORDER[name] <= place, f"{home(path)} imports {name}, which is above it"


def test_the_reader_of_imports_reads():
    assert {"core", "ops", "ops.shared"} <= set(used(ROOT / "ops" / "elementwise" / "arithmetic.py"))
    assert {"core"} <= set(used(ROOT / "core" / "_engine.pyx"))
    assert home(ROOT / "core" / "engine" / "op.pxi") == "core"
    assert home(ROOT / "kernels" / "random" / "fills.py") == "kernels.random"


def test_no_logic_in_the_package_file():
    tree = ast.parse((ROOT / "__init__.py").read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    heavy = [n.name for n in tree.body if isinstance(n, kinds) and n.end_lineno - n.lineno > 12]
    assert heavy == [], f"{NAME} {torch.__version__}: __init__ holds public names only"
