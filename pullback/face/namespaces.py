"""Namespaces such as `pullback.linalg`, made of the functions that ops declare for them.

Most ops are declared at import; those of `ops.LATER` when a name is first missing, here or on Tensor.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

from pullback import ops, return_types
from pullback.core import _engine
from pullback.core.op import SURFACE
from pullback.face.absent import absent_member, absent_name, getter, submodule

NAMESPACES = {
    "fft": "Fourier transforms, as `torch.fft`.",
    "linalg": "Matrix decompositions, norms and solvers, as `torch.linalg`.",
    "masked": "Reductions of the elements whose mask is True, as `torch.masked`.",
    "nested": "Batches of tensors that differ in size, as `torch.nested`.",
    "random": "The default generator's seed and state, as `torch.random`.",
    "sparse": "Sparse tensors: products, sums and softmax, as `torch.sparse`.",
    "special": "Special functions, as `torch.special`.",
}

ELSEWHERE = {
    **dict.fromkeys(
        ["Drawing", "Explanation", "draw", "explain", "explaining", "memory_report", "summary"], "see"
    ),
    "sparse_hessian": "func",
    "sparse_jacobian": "func",
    "vmap": "func",
    "compile": "compiler",
    "get_device_module": "accelerator",
    "load": "serialization",
    "load_safetensors": "serialization.safetensors",
    "PyTorchFileReader": "serialization.reader",
    "save": "serialization",
    "save_safetensors": "serialization.safetensors",
    "AcceleratorError": "cuda",
    **dict.fromkeys(
        [
            "autocast",
            "is_autocast_enabled",
            "get_autocast_dtype",
            "is_autocast_cpu_enabled",
            "get_autocast_cpu_dtype",
            "get_autocast_gpu_dtype",
            "is_autocast_cache_enabled",
            "clear_autocast_cache",
        ],
        "amp.autocast_mode",
    ),
    "OutOfMemoryError": "cuda",
    "Event": "cuda.streams",
    "Stream": "cuda.streams",
    **dict.fromkeys(["SymBool", "SymFloat", "SymInt"], "types"),
    **dict.fromkeys(["DispatchKey", "DispatchKeySet", "Graph"], "_C"),
    **dict.fromkeys(["ScriptFunction", "ScriptModule", "CompilationUnit"], "jit"),
    "Future": "futures",
}
"""Names of `torch` that are a module's, which is imported when one is first used."""

METHODS_ELSEWHERE = {"explain": "see"}
"""Functions of modules that are methods of Tensor too, looked up at each call."""

_modules: dict[str, ModuleType] = {}
_attached: set[str] = set()
"""The methods that Tensor has got."""


def add_namespaces(package: str) -> None:
    """Makes a module for each namespace and hangs it on the package."""
    top = sys.modules[package]
    _attached.update(SURFACE["Tensor"])
    _modules["torch"] = top
    for name, doc in NAMESPACES.items():
        module = sys.modules[f"{package}.{name}"] = ModuleType(f"{package}.{name}", doc)
        setattr(top, name, module)
        fill_namespace(module, name)
    vars(return_types)["__getattr__"] = getter(return_types.__name__)  # it stands below this folder
    ops._namespaces.append(lambda name: importlib.import_module(f"{package}._ops").namespace(name))


def name_classes(module: str) -> None:
    """Has the classes of the package's top shown as those of a module: `pullback`, or `torch`."""
    _engine.name_tensor(module)
    for value in vars(_modules["torch"]).values():
        if isinstance(value, type) and value.__module__.partition(".")[0] in ("pullback", "torch"):
            with suppress(TypeError):  # a compiled class keeps its module
                value.__module__ = module


def fill_namespace(module: ModuleType, space: str) -> Any:
    """Gives a module the functions that are declared for a namespace, now and later.

    Returns the module's `__getattr__`; assigned under that name, type checkers see it too.
    """
    _modules[space] = module
    resolve = _resolver(space, module.__name__)
    vars(module).update(SURFACE.get(space, {}), __getattr__=resolve, __dir__=_listing(space))
    return resolve


def complete() -> bool:
    """Declares the ops of `ops.LATER` and gives every namespace its new names; False if there are none."""
    ops.load_later()  # an op may have asked for it before
    if len(_attached) == len(SURFACE["Tensor"]):  # it only grows
        return False
    late = {name: f for name, f in SURFACE["Tensor"].items() if name not in _attached}
    _attached.update(late)
    _engine.attach(
        {name: f for name, f in late.items() if name not in vars(_engine.Tensor)}
    )  # a program's stay
    for space, module in list(_modules.items()):
        for name, function in SURFACE.get(space, {}).items():
            vars(module).setdefault(name, function)
    return True


def _resolver(space: str, package: str) -> Any:
    """The `__getattr__` of a module: what is declared late, or a refusal that says what is missing."""

    def resolve(name: str) -> Any:
        module = _modules[space]
        below = submodule(package, name)
        if below is not None:
            return below
        if not name.startswith("__"):
            if space == "torch" and name in ELSEWHERE:
                found = getattr(importlib.import_module(f"{package}.{ELSEWHERE[name]}"), name)
                vars(module)[name] = found
                return found
            if complete() and name in vars(module):
                return vars(module)[name]
        raise absent_name(module, name)

    return resolve


def _listing(space: str) -> Any:
    """The `__dir__` of a module: tab completion shows what is declared late, too."""

    def names() -> list[str]:
        complete()
        return sorted(vars(_modules[space]))

    return names


def late_member(tensor: Any, name: str) -> Any:
    """A member that Tensor lacks: one that is declared late or elsewhere, or an AttributeError."""
    if name in METHODS_ELSEWHERE:
        module = importlib.import_module(f"{_modules['torch'].__name__}.{METHODS_ELSEWHERE[name]}")
        return getattr(module, name).__get__(tensor)
    if not name.startswith("__") and complete() and hasattr(type(tensor), name):
        return getattr(tensor, name)
    raise absent_member(tensor, name)
