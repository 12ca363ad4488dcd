"""Builds the compiled modules, which are the `.pyx` files: no Python file is compiled.

PULLBACK_BUILD="core._engine kernels.rows" builds only these modules, for work on them.
PULLBACK_DEV=1 builds quickly what runs less quickly.
PULLBACK_DEBUG=1 builds with every check on and no optimisation: bounds and None in Cython, the
bounds of C arrays (a trap), assertions.
PULLBACK_SANITIZE=address (or thread) builds with that sanitizer, whose library Python must be started with.
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
SANITIZE = os.environ.get("PULLBACK_SANITIZE", "")
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BUILD = "build/debug" if DEBUG else f"build/{SANITIZE}".rstrip("/")

DIRECTIVES: dict[str, object] = {"language_level": 3, "annotation_typing": False, "binding": True}
DIRECTIVES |= dict.fromkeys(("boundscheck", "initializedcheck", "nonecheck"), DEBUG)

BUILDS = runpy.run_path(str(Path(__file__).parent / "pullback/core/builds.py"))  # what a module is made of
HEADER = BUILDS["HEADER"]  # comes first in each module
CHECKED = ["-O0", "-g", "-UNDEBUG", "-fsanitize=bounds", "-fsanitize-undefined-trap-on-error"]
SMALL = sys.platform == "linux" and not (DEV or DEBUG or SANITIZE)  # nothing that only debuggers read
MACROS = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
    ("CYTHON_CLINE_IN_TRACEBACK", "0"),  # tracebacks show lines of .pyx files
]


def extension(source: Path) -> Extension:
    """One module."""
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        include_dirs=[np.get_include(), "."],
        define_macros=[*MACROS, ("PB_SOURCES", f"s{BUILDS['digest'](str(source))}")],
        depends=list(BUILDS["sources_of"](str(source))),
    )


class Build(build_ext):
    """Translates the modules, and gives the compiler flags that it knows."""

    def build_extensions(self) -> None:
        made = cythonize(
            self.extensions, nthreads=JOBS, compiler_directives=DIRECTIVES, build_dir=f"{BUILD}/c"
        )
        translated = {module.name: module for module in made}
        for module in self.extensions:
            own = [] if DEV or DEBUG or SANITIZE else translated[module.name].extra_compile_args
            module.sources = translated[module.name].sources
            module.extra_compile_args = self.flags(module.name) + own
            module.extra_link_args = ["-Wl,--strip-all", "-Wl,-z,noseparate-code"] if SMALL else []
        super().build_extensions()

    def flags(self, name: str) -> list[str]:
        """What a module is compiled with."""
        # No multiply-add is fused that does not say so: the numbers must not depend on the machine.
        if self.compiler.compiler_type == "msvc":
            return [f"/FI{HEADER}", "/fp:precise", "/Od" if DEBUG else "/O2"]
        found = ["-include", HEADER, "-ffp-contract=off", "-Wno-unused-function"]
        found += ["-fno-math-errno", "-fno-trapping-math"]  # nobody asks for them: roots become vectors
        if sys.platform == "linux":
            found.append("-fno-plt")
        if SMALL:
            found += ["-fno-asynchronous-unwind-tables", "-fvisibility=hidden"]
        if SANITIZE:
            return [*found, f"-fsanitize={SANITIZE}", "-fno-omit-frame-pointer", "-O1", "-g1"]
        if DEBUG or DEV:
            return found + (CHECKED if DEBUG else ["-O1", "-g0"])
        # What -O3 does besides makes loops long, and few of them quicker: the modules of those ask for it.
        if "kernels" in name or "loops" in name:
            found += ["-ftree-vectorize"] + (["-fvect-cost-model=dynamic"] if sys.platform == "linux" else [])
        return [*found, "-O2", "-g0"]


SOURCES = sorted(Path("pullback").rglob("*.pyx"))  # core/_engine, the longest, comes first
modules = [extension(path) for path in SOURCES]
if CHOSEN:
    modules = [module for module in modules if module.name.removeprefix("pullback.") in CHOSEN]

if __name__ == "__main__":  # a process that translates beside others may read this file again
    setup(
        ext_modules=modules,
        cmdclass={"build_ext": Build},
        options={"build": {"build_base": BUILD}, "build_ext": {"parallel": JOBS}},
    )
