"""Builds the compiled core. What is compiled, and why, is in docs/architecture.md.

PULLBACK_BUILD="core._engine ops.arrays.join" builds only these modules, for work on them.
PULLBACK_DEV=1 builds the .pyx files alone, quickly: an edit of any other file takes effect at once.
PULLBACK_DEBUG=1 builds with every check on and no optimisation: bounds and None in Cython, the
bounds of C arrays (a trap), assertions. The op table then runs as plain Python.
"""

import os
import runpy
import sys
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CHOSEN = os.environ.get("PULLBACK_BUILD", "").split()
DEV = os.environ.get("PULLBACK_DEV", "") not in ("", "0")
DEBUG = os.environ.get("PULLBACK_DEBUG", "") not in ("", "0")
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BUILD = "build/debug" if DEBUG else "build"

PYTHON: dict[str, object] = {"language_level": 3, "annotation_typing": False, "binding": True}
CORE = {**PYTHON, **dict.fromkeys(("boundscheck", "initializedcheck", "nonecheck"), DEBUG)}

BUILDS = runpy.run_path(str(Path(__file__).parent / "pullback/core/builds.py"))  # what a module is made of
HEADER = BUILDS["HEADER"]  # comes first in each module
CHECKED = ["-O0", "-g", "-UNDEBUG", "-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"]
MSVC = {"-O0": "/Od", "-O1": "/O1", "-O2": "/O2", "-O3": "/O2"}
MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]


def extension(source: Path, level: str) -> Extension:
    """One module, at a level of optimisation."""
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        include_dirs=[np.get_include(), "."],
        define_macros=[*MACROS, ("PB_SOURCES", f"s{BUILDS['digest'](str(source))}")],
        depends=list(BUILDS["sources_of"](str(source))),
        extra_compile_args=[level],
    )


class Build(build_ext):
    """Translates the modules, and gives the compiler flags that it knows; each brings its optimisation."""

    def build_extensions(self) -> None:
        for directives, suffix in ((CORE, ".pyx"), (PYTHON, ".py")):
            modules = [module for module in self.extensions if module.sources[0].endswith(suffix)]
            made = cythonize(modules, nthreads=JOBS, compiler_directives=directives, build_dir=f"{BUILD}/c")
            sources = {module.name: module.sources for module in made}
            for module in modules:
                module.sources = sources[module.name]
                module.extra_compile_args = self.flags(*module.extra_compile_args)
        super().build_extensions()

    def flags(self, level: str) -> list[str]:
        # No fused multiply-add: the numbers must not depend on the machine.
        if self.compiler.compiler_type == "msvc":
            return [f"/FI{HEADER}", "/fp:precise", MSVC[level]]
        found = ["-include", HEADER, "-ffp-contract=off", "-Wno-unused-function"]
        found += ["-fno-math-errno", "-fno-trapping-math"]  # nobody asks for them: roots become vectors
        if sys.platform == "linux":
            found.append("-fno-plt")
        return found + (CHECKED if DEBUG else [level, "-g0"])


native = sorted(Path("pullback").rglob("*.pyx"))  # core/_engine, by far the longest, comes first
# Plain Python that runs at each call is compiled as it is: of these folders all but what runs seldom.
FOLDERS = ["core", "ops/shared", "ops/elementwise", "ops/arrays", "ops/reductions", "ops/products"]
FOLDERS += ["ops/indexing", "ops/networks", "ops/images", "transforms", "transforms/batching"]
FOLDERS += ["autograd", "func"]
SELDOM = """
    anomaly attention batches bits blas builds complex convert ctc distances dtype_names forward_ad
    fractional_pooling grad_mode gradcheck graph grid hashing histograms im2col implicit
    interpolation loops margins max_unpooling meta modes modules multihead norms ode ode_steps op
    order_statistics padding patterns per_sample printing products ranges recurrent refusals rows
    search segments series sets settings shuffle signatures sparse taylor types
"""
plain = [path for folder in FOLDERS for path in sorted(Path("pullback", folder).glob("*.py"))]
plain = [path for path in plain if path.stem not in (*SELDOM.split(), "__init__")]
plain.append(Path("pullback/utils/_pytree.py"))

modules = [extension(path, "-O1" if DEV else "-O3") for path in native]
modules += [extension(path, "-O1") for path in ([] if DEBUG or DEV else plain)]
if CHOSEN:
    modules = [module for module in modules if module.name.removeprefix("pullback.") in CHOSEN]

if __name__ == "__main__":  # a process that translates beside others may read this file again
    setup(
        ext_modules=modules,
        cmdclass={"build_ext": Build},
        options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
    )
