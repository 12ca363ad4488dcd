"""What is said of a name that Pullback has not.

A name that PyTorch has is missing here: "Pullback has no torch.x yet". Any other is misspelt, and is
refused in Python's words, with the nearest name that there is. Which names PyTorch has stands in
`torch_names.txt`, written by `tools/torch_names.py` and read when a name is first missing. Modules are
called `torch.x`, as programs call them.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from opcode import opmap
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

TORCH_NAMES = Path(__file__).with_name("torch_names.txt")
CANDIDATES = 750  # Python itself suggests a name only where fewer are to be chosen from
OWN = ("__init__", "__main__", "__path__", "__wrapped__")  # asked of modules, and no modules of theirs
NOTHING: Mapping[str, str] = MappingProxyType({})


@functools.cache
def torch_names() -> dict[str, str]:
    """For each public module of PyTorch, and for Tensor, its public names, parted and enclosed by spaces."""
    lines = TORCH_NAMES.read_text(encoding="utf-8").splitlines()
    parted = (line.partition(" ") for line in lines if not line.startswith("#"))
    return {space: f" {names} " for space, _, names in parted}


def torch_has(name: str) -> bool:
    """Whether PyTorch has a public module, function, class or method of this name, as `torch.nn.Linear`."""
    space, _, last = name.rpartition(".")
    return name in torch_names() or f" {last} " in torch_names().get(space, "")


def shown(module: str) -> str:
    """A module's name as programs know it: `torch.nn` for `pullback.nn`."""
    top, dot, rest = module.partition(".")
    return ("torch" if top == "pullback" else top) + dot + rest


@functools.lru_cache(maxsize=256)
def nearest(name: str, names: frozenset[str]) -> str:
    """A question that suggests the most similar of some names; empty if none is similar."""
    close = difflib.get_close_matches(name, sorted(n for n in names if not n.startswith("_")), 1, 0.7)
    return f". Did you mean: '{close[0]}'?" if close else ""


def absent_attribute(name: str, space: str, words: str, where: object) -> AttributeError:
    """The error for an attribute that `where`, called `space` in PyTorch, has not; `words` say so."""
    if name.startswith("_"):
        return AttributeError(words, name=name, obj=where)
    if torch_has(f"{space}.{name}"):
        return AttributeError(f"{words}: Pullback has no {space}.{name} yet", name=name, obj=None)
    error = AttributeError(words, name=name, obj=where)
    error.__notes__ = _Suggestion(name, where)  # shown below the error's own words, which are PyTorch's
    return error


class _Suggestion(list[str]):
    """The notes of an error: the nearest name, which is looked for when the notes are shown."""

    def __init__(self, name: str, where: object) -> None:
        super().__init__()
        self.wanted: tuple[str, object] | None = (name, where)

    def found(self) -> list[str]:
        """The notes as a plain list."""
        if self.wanted is not None:
            (name, where), self.wanted = self.wanted, None
            names = dir(where)
            near = nearest(name, frozenset(names)) if len(names) >= CANDIDATES else ""
            self[:0] = [near.removeprefix(". ")] if near else []
        return list(super().__iter__())

    def __iter__(self) -> Iterator[str]:
        return iter(self.found())

    def __len__(self) -> int:
        return len(self.found())

    def __getitem__(self, place: Any) -> Any:
        return self.found()[place]

    def __repr__(self) -> str:
        return repr(self.found())


def absent_member(where: object, name: str) -> AttributeError:
    """The error for an attribute that Tensor, a subclass of it or one of their instances has not."""
    if isinstance(where, type):
        return absent_attribute(
            name, "torch.Tensor", f"type object '{where.__name__}' has no attribute '{name}'", where
        )
    kind = type(where).__name__
    return absent_attribute(name, "torch.Tensor", f"'{kind}' object has no attribute '{name}'", where)


def absent_name(module: ModuleType, name: str) -> Exception:
    """The error for a name that a module has not; call it from the module's `__getattr__`.

    An AttributeError, or where a program says `from module import name` an ImportError.
    """
    space = shown(module.__name__)
    if not _is_import(sys._getframe(2)):
        return absent_attribute(name, space, f"module '{space}' has no attribute '{name}'", module)
    file = getattr(module, "__file__", None)
    words = f"cannot import name '{name}' from '{space}' ({file or 'unknown location'})"
    details: dict[str, Any] = {"name": module.__name__, "path": file}
    if torch_has(f"{space}.{name}"):
        return ImportError(f"{words}: Pullback has no {space}.{name} yet", **details)
    names = dir(module)
    if sys.version_info < (3, 12) or len(names) >= CANDIDATES:
        words += nearest(name, frozenset(names))
    else:
        details["name_from"] = name
    return ImportError(words, **details)


def _is_import(frame: Any) -> bool:
    """Whether a frame is at `from module import name`."""
    return bool(frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"])


def absent_module(name: str) -> ModuleNotFoundError:
    """The error for a module `torch.x` that Pullback has not."""
    if torch_has(name):
        return ModuleNotFoundError(f"Pullback has no module '{name}' yet", name=name)
    above, _, last = name.rpartition(".")
    parent = "pullback" + above.removeprefix("torch")
    below = {found.name for found in pkgutil.iter_modules(getattr(sys.modules[parent], "__path__", []))}
    below |= {found.removeprefix(f"{parent}.") for found in sys.modules if found.startswith(f"{parent}.")}
    near = nearest(last, frozenset(below)).replace("'", f"'{above}.", 1)
    return ModuleNotFoundError(f"No module named '{name}'{near}", name=name)


def getter(module: str, later: Mapping[str, str] = NOTHING) -> Callable[[str], Any]:
    """The `__getattr__` of a public module: a name in `later`, a module below it, or a refusal.

    `later` says which module has the names that are imported when they are first used.
    `__getattr__ = getter(__name__)` stands at the end of each module that PyTorch has too.
    """

    def resolve(name: str) -> Any:
        if name in later:
            return getattr(importlib.import_module(later[name]), name)
        below = submodule(module, name)
        if below is not None:
            return below
        raise absent_name(sys.modules[module], name)

    return resolve


def submodule(package: str, name: str) -> ModuleType | None:
    """A public module of a package, imported now; None if there is none of this name."""
    full = f"{package}.{name}"
    if name in OWN or not hasattr(sys.modules[package], "__path__"):
        return None
    return importlib.import_module(full) if importlib.util.find_spec(full) is not None else None
