"""Builds the compiled core. What is compiled, and why, is in docs/architecture.md."""

import os
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = ["_loops", "_engine", "_random"]
RULES = sorted(f"ops/{p.stem}" for p in Path("pullback/ops").glob("*.py") if p.stem != "__init__")
CHOSEN = os.environ.get("PULLBACK_BUILD", "").split()  # for work on one module: build only these

DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "binding": True,
    "embedsignature": False,
}


def extension(name: str, suffix: str) -> Extension:
    return Extension(
        "pullback." + name.replace("/", "."),
        [f"pullback/{name}{suffix}"],
        include_dirs=[np.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"), ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
        extra_compile_args=["-O2" if suffix == ".py" else "-O3", "-ffp-contract=off", "-Wno-unused-function"],
    )


modules = [extension(name, ".pyx") for name in CORE] + [extension(name, ".py") for name in RULES]
if CHOSEN:
    modules = [m for m in modules if m.name.removeprefix("pullback.") in CHOSEN]

setup(ext_modules=cythonize(modules, compiler_directives=DIRECTIVES, build_dir="build/c"))
