"""Names of PyTorch for what Pullback does not do: work of several processes, quantisation, exports.

Programs import them, derive from them and ask `isinstance`, often without a use: a placeholder takes part in
that. Called, it says what Pullback does not do. `placeholders` makes the `__getattr__` of a package whose
names are such, by the list that `face.absent` reads; modules below it that have no file come from `_Finder`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pullback.face.absent import absent_name, shown, submodule, torch_has, torch_names

_reasons: dict[str, str] = {}
"""By package, what Pullback does not do."""


class Placeholder(type):
    """The class of placeholders. Classes that derive from one are plain classes."""

    reason: str
    place: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "place" in vars(cls):
            raise RuntimeError(f"{cls.place}: Pullback {cls.reason}")
        return super().__call__(*args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        """What stands in a placeholder is one too, as `ReduceOp.SUM`."""
        if name.startswith("_") or "place" not in vars(cls):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        made = _placeholder(cls.__module__, f"{cls.__qualname__}.{name}", cls.reason)
        setattr(cls, name, made)
        return made


def _placeholder(module: str, name: str, reason: str) -> Any:
    place = f"{shown(module)}.{name}"
    body = {"__module__": module, "__qualname__": name, "__doc__": f"A name: Pullback {reason}."}
    made: Any = Placeholder(name.rpartition(".")[2], (), body)
    made.reason, made.place = reason, place
    return made


def _known(module: str) -> bool:
    """Whether PyTorch has a module: by the list, which leaves out private ones."""
    parts = module.split(".")
    private = any(part.startswith("_") for part in parts) and not parts[-1].startswith("__")
    return private or shown(module) in torch_names()


def placeholders(package: str, reason: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose other names are placeholders; `reason` follows "Pullback"."""
    stand_in(package, reason)
    return _getter(package, reason)


def stand_in(package: str, reason: str) -> None:
    """Lets a package of placeholders be found that has no file."""
    _reasons[package] = reason
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)


def _getter(module: str, reason: str) -> Callable[[str], Any]:
    def resolve(name: str) -> Any:
        space = shown(module)
        below = submodule(module, name) if f"{space}.{name}" in torch_names() else None
        if below is not None:
            return below
        unlisted = not torch_names().get(space, "").strip()  # any name may be PyTorch's
        if name.startswith("_") or not (unlisted or torch_has(f"{space}.{name}")):
            raise absent_name(sys.modules[module], name)
        made = _placeholder(module, name, reason)
        vars(sys.modules[module])[name] = made
        return made

    return resolve


class _Finder:
    """Finds modules of placeholders. It comes last: files win."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of placeholders, None for any other."""
        if _reason(name) is None or not _known(name):
            return None
        return ModuleSpec(name, cls, is_package=True)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """A plain module."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Its names are made when they are first asked for."""
        reason = _reason(module.__name__)
        assert reason is not None
        vars(module)["__getattr__"] = _getter(module.__name__, reason)


def _reason(name: str) -> str | None:
    parts = name.split(".")
    for count in range(len(parts), 1, -1):
        package = ".".join(parts[:count])
        if package in _reasons:
            return _reasons[package]
    return None
