"""Writes the list of PyTorch's public names, by which Pullback tells what it lacks from what is misspelt.

    python tools/torch_names.py

Run it where the PyTorch that Pullback follows is installed. A line of the list is the name of a module,
of Tensor or of `torch.ops.aten`, and the public names in it. Modules more than two levels down stand without
names: programs seldom name what is in them.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, TypeVar

OUT = Path(__file__).resolve().parents[1] / "pullback" / "face" / "torch_names.txt"
DEPTH = 2  # levels below `torch` whose names are listed


def public(name: str) -> bool:
    """Whether no part of a dotted name begins with an underscore."""
    return not any(part.startswith("_") for part in name.split("."))


def of_torch(value: Any) -> bool:
    """Whether a module's member is PyTorch's own, not one that it imported from elsewhere."""
    if isinstance(value, ModuleType):
        return value.__name__.startswith("torch.")
    if isinstance(value, TypeVar):
        return False
    if isinstance(value, type | FunctionType | BuiltinFunctionType) or not hasattr(value, "__dict__"):
        return str(getattr(value, "__module__", None) or "torch").split(".")[0] in ("torch", "_thread")
    return type(value).__module__.split(".")[0] not in ("typing", "logging", "__future__")


def members(module: ModuleType) -> list[str]:
    """The public names of a module: those in its `__all__`, and near the top all that are its own."""
    table = dict(vars(module))
    if type(module) is not ModuleType:  # a class of settings in a module's place
        table.update(vars(type(module)))
    listed = {name for name in table.get("__all__") or () if isinstance(name, str)}
    depth = module.__name__.count(".")
    if depth < DEPTH or (depth == DEPTH and not listed):
        listed.update(name for name, value in table.items() if of_torch(value) and not name.isupper())
    return [name for name in listed if public(name) and depth <= DEPTH]


def modules(root: Path) -> set[str]:
    """The public modules of an installed package, by its files: most are never imported here."""
    found = set()
    for path in root.rglob("*.py"):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if public(name):
            found.add(name)
    return found


def text() -> str:
    """The list."""
    import torch

    found: dict[str, list[str]] = {name: [] for name in modules(Path(torch.__file__).parent)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] == "torch" and public(name) and isinstance(module, ModuleType):
                found[name] = members(module)
        schemas = torch._C._jit_get_all_schemas()
        found["torch.ops.aten"] = list({s.name[6:] for s in schemas if s.name.startswith("aten::")})
        found["torch.Tensor"] = [name for name in dir(torch.Tensor) if public(name)]
    head = f"# The public names of PyTorch {torch.__version__.split('+')[0]}: python tools/torch_names.py\n"
    return head + "".join(f"{' '.join([name, *sorted(found[name])])}\n" for name in sorted(found))


if __name__ == "__main__":
    OUT.write_text(text(), encoding="utf-8")
