"""Namespaces such as `pullback.linalg`, made of the functions that ops declare for them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from pullback.op import SURFACE

NAMESPACES = {
    "fft": "Fourier transforms, as `torch.fft`.",
    "linalg": "Matrix decompositions, norms and solvers, as `torch.linalg`.",
    "random": "The default generator's seed and state, as `torch.random`.",
    "special": "Special functions, as `torch.special`.",
}


def add_namespaces(package: str) -> None:
    """Makes a module for each namespace and hangs it on the package."""
    for name, doc in NAMESPACES.items():
        module = ModuleType(f"{package}.{name}", doc)
        vars(module).update(SURFACE.get(name, {}), __getattr__=_refusal(f"torch.{name}"))
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], name, module)


def _refusal(space: str) -> Any:
    """The `__getattr__` of a module, which says that a name is not there."""

    def refuse(name: str) -> Any:
        raise AttributeError(
            f"module 'pullback{space.removeprefix('torch')}' has no attribute '{name}': "
            f"Pullback has no {space}.{name} yet"
        )

    return refuse


missing = _refusal("torch")
