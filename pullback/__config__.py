"""`torch.__config__`: what this was built with."""

from __future__ import annotations

import sys

import numpy
import scipy

from pullback.core.settings import get_num_threads
from pullback.face.absent import getter


def show() -> str:
    """The versions of what stands below, in lines."""
    python = ".".join(map(str, sys.version_info[:3]))
    parts = {"Python": python, "NumPy": numpy.__version__, "SciPy": scipy.__version__}
    return "Pullback built with:\n" + "".join(f"  - {name} {version}\n" for name, version in parts.items())


def parallel_info() -> str:
    """How many threads there are, in lines."""
    return f"at::get_num_threads() : {get_num_threads()}\n"


def _cxx_flags() -> str:
    return ""


__getattr__ = getter(__name__)
