"""The op table. Importing it declares every op and hands the engine those it needs itself.

All ops and composites stand here by their names (those of LATER from their first use on), so a rule
writes `ops.where(...)` whatever file `where` is in.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

FAMILIES = ("shared", "elementwise", "arrays", "reductions", "products", "indexing")
"""Folders whose ops are declared at import."""

LATER = ["special", "linalg", "signals", "images", "networks", "names", "sparse", "nested", "masked"]
"""Folders whose ops are declared when a name is first missing: `import pullback` is to stay quick."""


def _collect(families: Iterable[str]) -> None:
    for family in families:
        for file in pkgutil.iter_modules([f"{__path__[0]}/{family}"]):
            module = importlib.import_module(f"{__name__}.{family}.{file.name}")
            for name, value in vars(module).items():
                if not name.startswith("_") and callable(value) and not callable(globals().get(name)):
                    globals()[name] = value


_collect(FAMILIES)


def load_later() -> bool:
    """Declares the ops of LATER; False if that was done before."""
    if not LATER:
        return False
    families, LATER[:] = LATER[:], []
    _collect(families)
    return True


_namespaces: list[Callable[[str], Any]] = []
"""What makes the namespaces of `torch.ops`, handed down at start-up."""


def load_library(path: str) -> NoReturn:
    """OSError: libraries of ops are written against PyTorch's C++ library."""
    raise OSError(f"Could not load this library: {path}")


loaded_libraries: set[str] = set()


def __getattr__(name: str) -> Any:
    """An op that is declared late; else a namespace of `torch.ops`, as `torch.ops.aten`."""
    if not name.startswith("__"):
        if load_later() and name in globals():
            return globals()[name]
        if _namespaces:
            return _namespaces[0](name)
    raise AttributeError(f"Pullback has no op '{name}'")


OPERATORS = (
    "add sub mul div pow pow_number rpow rsub neg mm lt le gt ge eq ne bitwise_and bitwise_or bitwise_xor "
    "detach as_strided as_strided_scatter strided_take basic"
)
