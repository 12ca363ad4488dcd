"""By which names files refer to classes and functions: those of PyTorch, so that files go both ways."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from pullback import ops
from pullback.core._engine import Function, Op
from pullback.core.hooks import RemovableHandle
from pullback.core.op import SURFACE
from pullback.face.absent import shown, torch_names
from pullback.face.storage import TypedStorage, UntypedStorage

PLACES = {
    UntypedStorage: "torch.storage",
    TypedStorage: "torch.storage",
    RemovableHandle: "torch.utils.hooks",
}
"""Where PyTorch says that these are."""

ELSEWHERE = {
    ("torch.nested._internal.nested_tensor", "NestedTensor"): "pullback.ops.nested.tensors",
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): "pullback.ops.nested.tensors",
    ("torch._dynamo.decorators", "_DimRange"): "pullback.ops.nested.tensors",
}
"""What PyTorch has in a module of its own that is none here."""

COMPILED = {f"torch._C._{space.rpartition('.')[2]}": space for space in ("special", "linalg", "fft")}
COMPILED["torch._C._nn"] = "nn.functional"
"""Modules by which PyTorch's files name its compiled functions, and the namespaces where these are known."""


def place_of(thing: Any) -> tuple[str, str] | None:
    """The module and name by which PyTorch knows a class or function of Pullback; None for any other's."""
    if isinstance(thing, Op | Function):
        return _declared(thing)
    module: str = getattr(thing, "__module__", None) or ""
    name = str(getattr(thing, "__qualname__", None) or getattr(thing, "__name__", ""))
    if isinstance(thing, type) and thing in PLACES:
        return PLACES[thing], name
    top = vars(sys.modules["pullback"])
    if top.get(name) is thing:
        return "torch", name
    if module.partition(".")[0] != "pullback":
        return None
    for (place, known), ours in ELSEWHERE.items():
        if (module, name) == (ours, known):
            return place, name
    return _declared(thing) or (_home(shown(module), name), name)


def _home(module: str, name: str) -> str:
    """The module in which PyTorch has what is in a module of ours: that one, one beside it, or one above."""
    known = torch_names()
    if module in known or "._" in module:
        return module
    above = module.rpartition(".")[0]
    beside = (space for space in known if space.rpartition(".")[0] == above)
    found = next((space for space in beside if f" {name} " in known[space]), None)
    if found is not None:
        return found
    while above not in known and above:
        above = above.rpartition(".")[0]
    return above or module


def _declared(thing: Any) -> tuple[str, str] | None:
    """The namespace and name of an op, or of what is declared as ops are; None for a method alone."""
    for space, names in SURFACE.items():
        if space != "Tensor":
            for name, function in names.items():
                if function is thing:
                    return f"torch.{space}" if space != "torch" else space, name
    return None


def resolve(module: str, name: str) -> Any:
    """The class or function that a file calls `module.name`; Pullback's for PyTorch's.

    What Pullback has in another module of the same package is found there: `torch.nn.modules.linear.Linear`
    in `torch.nn`, too. AttributeError or ModuleNotFoundError if there is none.
    """
    if module.partition(".")[0] not in ("torch", "pullback"):
        return _attribute(importlib.import_module(module), name)
    if module in COMPILED:
        ops.load_later()
        space = COMPILED[module]
        found = SURFACE[space].get(name.removeprefix(f"{space}_"))
        if found is not None:
            return found
    own = ELSEWHERE.get((module, name)) or module.replace("torch", "pullback", 1)
    while True:
        try:
            return _attribute(importlib.import_module(own), name)
        except (ModuleNotFoundError, AttributeError):
            if own == "pullback":
                raise
            own = own.rpartition(".")[0]


def _attribute(where: Any, name: str) -> Any:
    for part in name.split("."):
        where = getattr(where, part)
    return where
