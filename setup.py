"""Builds the compiled core. What is compiled, and why, is in docs/architecture.md.

PULLBACK_BUILD="_engine ops.arithmetic" builds only these modules, for work on them.
PULLBACK_DEBUG=1 builds with every check on and no optimisation: bounds and None in Cython, the
bounds of C arrays (a trap), assertions. The op table then runs as plain Python.
"""

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
PLAIN = ["ops/*.py", "batching/*.py", "autograd/leaves.py", "autograd/forward_ad.py", "utils/_pytree.py"]
PLAIN += [f"func/{name}.py" for name in ("arguments", "forward", "jacobians", "reverse", "vmap")]
files = {path for pattern in PLAIN for path in Path("pullback").glob(pattern)}
table = sorted(path for path in files if path.stem != "__init__")

setup(
    ext_modules=compiled(core, "-O3", CORE) + compiled([] if DEBUG else table, "-O1", PYTHON),
    options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
)
