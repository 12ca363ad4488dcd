"""Builds the compiled core. What is compiled, and why, is in docs/architecture.md.

PULLBACK_BUILD="_engine ops.arithmetic" builds only these modules, for work on them.
PULLBACK_DEBUG=1 builds with every check on: bounds and None in Cython, C array bounds (a trap),
assertions; no optimisation.
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

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "binding": True,
    "embedsignature": False,
}
CHECKS = ("boundscheck", "wraparound", "initializedcheck", "nonecheck", "overflowcheck")
if DEBUG:
    DIRECTIVES |= dict.fromkeys(CHECKS, True)

CHECKED = ["-O0", "-g", "-UNDEBUG", "-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"]
MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]


def extension(source: Path) -> Extension:
    """One module: the core at -O3; the op table, whose time goes to the core, at -O2."""
    fast = ["-O3" if source.suffix == ".pyx" else "-O2", "-g0"]
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        include_dirs=[np.get_include(), "pullback"],
        define_macros=MACROS,
        # No fused multiply-add: the numbers must not depend on the machine.
        extra_compile_args=["-ffp-contract=off", "-Wno-unused-function"]
        + (CHECKED if DEBUG else fast),
        depends=[str(p) for p in (*Path("pullback").glob("*.h"), *Path("pullback").glob("*/*.pxi"))],
    )


core = sorted(Path("pullback").glob("*.pyx"))  # _engine, by far the longest, comes first
table = sorted(p for p in Path("pullback/ops").glob("*.py") if p.stem != "__init__")
modules = [extension(source) for source in (*core, *table)]
if CHOSEN:
    modules = [m for m in modules if m.name.removeprefix("pullback.") in CHOSEN]

setup(
    ext_modules=cythonize(
        modules, nthreads=JOBS, compiler_directives=DIRECTIVES, build_dir=f"{BUILD}/c"
    ),
    options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
)
