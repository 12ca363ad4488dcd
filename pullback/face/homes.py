"""Modules that PyTorch has and that here stand together: in files by kind, or in the module above."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pullback.face.absent import absent_name, shown, torch_names


def name_homes(package: str) -> None:
    """Lets each module that PyTorch has below a package, and that is no file here, be the one with its names.

    `torch.distributions.normal` has Normal, so it becomes another name of the module in which the package's
    Normal is defined. Call it at the end of the package's file.
    """
    top = sys.modules[package]
    for space, names in torch_names().items():
        above, _, last = space.rpartition(".")
        full = f"{package}.{last}"
        if above == shown(package) and full not in sys.modules:
            own = next((vars(top)[name] for name in names.split() if name in vars(top)), None)
            if own is not None:
                sys.modules[full] = vars(top)[last] = sys.modules[own.__module__]


_above: set[str] = set()
"""Modules that have the names of those that PyTorch has below them."""


def has_those_below(module: str) -> None:
    """Lets modules that PyTorch has below one be found, where this one has their names.

    `torch.xpu.streams` has Stream, which stands in `pullback.xpu`: so `pullback.xpu.streams` can be imported.
    Files win.
    """
    _above.add(module)
    vars(sys.modules[module]).setdefault("__path__", [])
    if _Below not in sys.meta_path:
        sys.meta_path.append(_Below)


class _Below:
    """Finds such modules, and makes them. It comes last."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module whose names, some at least, the one above has; None for any other."""
        above = name.rpartition(".")[0]
        if above not in _above or not cls._names(name):
            return None
        return ModuleSpec(name, cls)  # type: ignore[arg-type]

    @staticmethod
    def _names(name: str) -> list[str]:
        top = sys.modules[name.rpartition(".")[0]]
        return [known for known in torch_names().get(shown(name), "").split() if known in vars(top)]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """A plain module."""

    @classmethod
    def exec_module(cls, module: ModuleType) -> None:
        """Gives it its names; others are refused as everywhere."""
        top, names = vars(sys.modules[module.__name__.rpartition(".")[0]]), cls._names(module.__name__)

        def absent(name: str) -> Any:
            raise absent_name(module, name)

        vars(module).update({name: top[name] for name in names}, __all__=names, __getattr__=absent)
