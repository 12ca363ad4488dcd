"""Builds the compiled core. What is compiled, and why, is in docs/architecture.md.

PULLBACK_BUILD="_engine ops.arithmetic" builds only these modules, for work on them.
PULLBACK_DEBUG=1 builds with every check on and no optimisation: bounds and None in Cython, the
bounds of C arrays (a trap), assertions. The op table then runs as plain Python.
"""

import ast
import os
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

CHOSEN = os.environ.get("PULLBACK_BUILD", "").split()
DEBUG = os.environ.get("PULLBACK_DEBUG", "") not in ("", "0")
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BUILD = "build/debug" if DEBUG else "build"

PYTHON: dict[str, object] = {"language_level": 3, "annotation_typing": False, "binding": True}
CORE = {**PYTHON, **dict.fromkeys(("boundscheck", "initializedcheck", "nonecheck"), DEBUG)}

CHECKED = ["-O0", "-g", "-UNDEBUG", "-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"]
MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]


def extension(source: Path, level: str) -> Extension:
    """One module, at a level of optimisation."""
    flags = CHECKED if DEBUG else [level, "-g0"]
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        include_dirs=[np.get_include(), "pullback"],
        define_macros=MACROS,
        # No fused multiply-add: the numbers must not depend on the machine.
        extra_compile_args=["-ffp-contract=off", "-fno-plt", "-Wno-unused-function", *flags],
    )


def compiled(sources: list[Path], level: str, directives: dict[str, object]) -> list[Extension]:
    """The modules among these that are to be built."""
    modules = [extension(source, level) for source in sources]
    if CHOSEN:
        modules = [m for m in modules if m.name.removeprefix("pullback.") in CHOSEN]
    return cythonize(modules, nthreads=JOBS, compiler_directives=directives, build_dir=f"{BUILD}/c")


core = sorted(Path("pullback").glob("*.pyx"))  # _engine, by far the longest, comes first
# Plain Python files that run at each call are compiled as they are: the families of ops that are declared at
# import, of the others those of networks, and what transforms run for each op.
HOT = ["activations", "batch_norm", "classes", "convolution", "dropout", "embedding", "linear", "losses"]
HOT += ["normalisation", "rectifiers", "arguments", "dims", "places"]
PER_OP = [*Path("pullback/batching").glob("*.py"), Path("pullback/utils/_pytree.py")]
PER_OP += [Path(f"pullback/{name}.py") for name in ("dtypes", "strides")]
PER_OP += [Path(f"pullback/autograd/{name}.py") for name in ("forward_ad", "leaves", "passes")]
PER_OP += [
    Path(f"pullback/func/{name}.py") for name in ("arguments", "forward", "jacobians", "reverse", "vmap")
]


def at_import() -> list[str]:
    """FAMILIES in pullback/ops/__init__.py."""
    tree = ast.parse(Path("pullback/ops/__init__.py").read_text())
    found = next(n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "FAMILIES")  # type: ignore[attr-defined]
    return [str(name) for name in ast.literal_eval(found.value)]


table = [Path(f"pullback/ops/{name}.py") for name in [*at_import(), *HOT]]
table += [path for path in PER_OP if path.stem != "__init__"]

setup(
    ext_modules=compiled(core, "-O3", CORE) + compiled([] if DEBUG else table, "-O1", PYTHON),
    options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
)
