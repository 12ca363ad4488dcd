"""Reading: what a function may have read of Python, as guards.

Which code ran is watched (`Watch`); what it can have read is said by the code itself: its globals, the cells
of its closures, and all that is reached from these and from the arguments. A value is followed into modules,
instances, lists, dicts, tuples, functions; numbers and strings are compared by value, tensors are inputs.
What is not known to be only read and only changed where guards see it is refused: a file, a clock, a
generator, an array of NumPy.

Read `Reading.follow`.
"""

from __future__ import annotations

import dis
import enum
import functools
import os
import sys
import sysconfig
import types
import warnings
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np

from pullback.compiler.recording import Refused
from pullback.core import dtypes
from pullback.core._engine import Compiled, Function, Op, Tensor
from pullback.core._guards import Calls, Guards

__all__ = ["Reading", "Watch"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_NAME = __name__.partition(".")[0]
_OWN = (_NAME, "torch")  # the names by which its modules go
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep
_LIBRARY = sysconfig.get_path("stdlib") + os.sep
_PURE = frozenset(
    """
    abc builtins cmath collections contextlib copy dataclasses enum functools itertools keyword math numbers
    operator reprlib string types typing typing_extensions __future__ _operator _functools _collections
    _collections_abc collections.abc numpy
    """.split()  # noqa: SIM905
)
"""Modules that compute what they give of what they get. (Of NumPy that is not all: see `follow`.)"""
_CALLS = frozenset(
    """
    abs all any bin bool bytes callable chr complex delattr dict divmod enumerate filter float format
    frozenset getattr hasattr hex int isinstance issubclass iter len list map max min next object oct ord
    pow property range repr reversed round set setattr slice sorted str sum super tuple type zip
    __build_class__ classmethod staticmethod
    """.split()  # noqa: SIM905
)
"""Builtin functions that do nothing else."""
_OF_SYSTEM = frozenset(
    ("modules", "version_info", "platform", "maxsize", "byteorder", "float_info", "version")
)
"""What is guarded of `sys`, or stays what it is."""
_READERS = frozenset(
    """
    load loadtxt genfromtxt fromfile fromregex memmap save savez savetxt tofile empty
    """.split()  # noqa: SIM905
)
"""Functions of NumPy that read or write more than their arguments."""
_PLAIN_MEMBERS = frozenset(
    """
    __dict__ __weakref__ __doc__ __module__ __annotations__ _abc_impl __slots__ __parameters__
    __orig_bases__
    """.split()  # noqa: SIM905
)
_REPORTS = (print, warnings.warn)
_STEPS = frozenset(("step", "zero_grad"))
_CONSTANTS = (
    int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented), range, slice,
    enum.Enum, np.generic, dtypes.dtype, dtypes.device, Op, types.CodeType,
)  # fmt: skip
_BUILTINS = vars(sys.modules["builtins"])


class Watch(Calls):
    """Notes, while it is entered, the code that runs outside this package on this thread, and whether it
    prints or warns."""

    def __init__(self) -> None:
        self.codes: dict[types.CodeType, dict[str, Any]] = {}
        self.reports = _REPORTS

    def heard(self, frame: types.FrameType) -> bool:
        """A function begins: it counts if it is the program's, or a library's that the program called."""
        code, name = frame.f_code, frame.f_globals.get("__name__")
        file = code.co_filename
        if file.startswith((_PACKAGE, _NUMPY, "<frozen")) or _of_package(name):
            self.ignored[id(code)] = code
            return True
        if code in self.codes:
            return True
        if file.startswith(_LIBRARY):
            caller = frame.f_back
            if _pure(name):
                return True
            if caller is None or caller.f_code not in self.codes:
                return False
        if not _while_importing(frame) and not str(name).startswith("namedtuple_"):
            self.codes[code] = frame.f_globals
            return True
        return False


def _while_importing(frame: types.FrameType | None) -> bool:
    """Whether a frame runs since a module is imported, as the package's own are when they are first
    needed."""
    while frame is not None and not frame.f_code.co_filename.startswith(_HERE):
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _pure(name: Any) -> bool:
    return isinstance(name, str) and name in _PURE


class Reading:
    """Guards for what some code can have read, and the tensors among it, with their names."""

    def __init__(self, roots: list[tuple[str, Any]], codes: dict[types.CodeType, dict[str, Any]]) -> None:
        self.guards = Guards()
        self.tensors: list[Tensor] = []
        self.names: list[str] = []
        self.seen: dict[int, Any] = {}
        self.codes = codes
        self.met: dict[
            types.CodeType, dict[str, Any]
        ] = {}  # the code of functions among it, and their globals
        self.attributes = {name for code in codes for name in code.co_names}
        self.words = {word for code in codes for word in code.co_consts if type(word) is str}
        self.waiting = list(roots)
        for hooks in _global_hooks():
            self.guards.watch_dict(hooks, None, "the hooks of all modules")
        for code, table in codes.items():
            names = _globals_of(code)
            here = [name for name in names if name in table]
            if names:
                self.guards.watch_dict(
                    table, names, f"a global that {code.co_name} reads: {', '.join(names)}"
                )
            self.waiting += [(name, table[name]) for name in here]
            self.waiting += [
                (name, _BUILTINS[name]) for name in names if name not in table and name in _BUILTINS
            ]
            for module in imports_of(code):
                if module in sys.modules:
                    self.waiting.append((module, sys.modules[module]))
        while self.waiting:
            name, x = self.waiting.pop()
            if id(x) not in self.seen:
                self.seen[id(x)] = x
                self.follow(name, x)

    def follow(self, name: str, x: Any) -> None:
        """Guards a value, and goes on with what it holds."""
        kind = type(x)
        if isinstance(x, Tensor):
            if kind.__module__.partition(".")[0] not in _OWN:
                self.follow_class(name, kind)
            self.tensors.append(x)
            self.names.append(name)
        elif isinstance(x, _CONSTANTS):
            pass
        elif kind is list:
            self.guards.watch_list(x, name)
            self.waiting += [(f"{name}[{i}]", item) for i, item in enumerate(x)]
        elif isinstance(x, tuple):
            self.waiting += [(f"{name}[{i}]", item) for i, item in enumerate(x)]
        elif kind in (dict, OrderedDict, defaultdict):
            self.guards.watch_dict(x, None, name)
            self.waiting += [(f"{name}[{key!r}]", item) for key, item in x.items()]
            self.waiting += [(f"a key of {name}", key) for key in x]
        elif kind in (set, frozenset):
            self.guards.watch_set(x, name)
            self.waiting += [(f"a member of {name}", item) for item in x]
        elif isinstance(x, types.ModuleType):
            self.follow_module(name, x)
        elif kind is types.FunctionType:
            self.follow_function(name, x)
        elif kind is types.MethodType:
            self.waiting += [(name, x.__self__), (name, x.__func__)]
        elif isinstance(x, type):
            self.follow_class(name, x)
        elif kind in (types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType):
            self.follow_builtin(name, x)
        elif kind in (types.GetSetDescriptorType, types.MemberDescriptorType, types.MappingProxyType):
            pass
        elif kind in (classmethod, staticmethod):
            self.waiting.append((name, x.__func__))
        elif isinstance(x, Compiled):
            self.waiting.append((name, x.function))
        elif kind is property:
            self.waiting += [(name, part) for part in (x.fget, x.fset, x.fdel) if part is not None]
        elif isinstance(x, functools.partial) and kind is functools.partial:
            self.waiting += [(name, x.func), (name, x.args), (name, x.keywords)]
        elif kind is functools._lru_cache_wrapper:
            self.waiting.append((name, x.__wrapped__))  # it gives what the function gave
        elif kind is types.CellType:
            self.guards.watch_cell(x, name)
            if not _empty(x):
                self.waiting.append((name, x.cell_contents))
        elif isinstance(x, Function) or (_of_package(kind.__module__) and not hasattr(x, "__dict__")):
            self.follow_own(name, x)
        elif kind.__module__.startswith("numpy") and kind is not np.ndarray and callable(x):
            pass  # ufuncs, and functions of arrays
        elif hasattr(kind, "profile_hook_step"):
            self.follow_optimizer(name, x)
        else:
            self.follow_instance(name, x)

    def follow_own(self, name: str, x: Any) -> None:
        """What this package gives: its functions do not change, generators do."""
        if not (isinstance(x, Function) or callable(x)):
            self.refuse(f"a {type(x).__name__}, {name}")

    def follow_module(self, name: str, x: types.ModuleType) -> None:
        """A module: what the code may read of it, unless it is known not to change."""
        if x.__name__.partition(".")[0] in _OWN or (_pure(x.__name__) and x.__name__ != "numpy"):
            return
        table = vars(x)
        if "__getattr__" in table:
            for part in self.attributes.intersection(dir(x)) - table.keys():
                getattr(x, part)  # submodules that are imported when they are first asked for
        names = sorted(self.attributes & table.keys())
        if x.__name__ == "numpy":
            for part in names:
                if part in _READERS or (
                    isinstance(table[part], types.ModuleType) and part not in ("linalg", "fft")
                ):
                    self.refuse(f"numpy.{part}")
            return
        if x is sys and not self.attributes & table.keys() - _OF_SYSTEM:
            # which modules there are counts, and what is read of those that the code names
            self.guards.watch_dict(sys.modules, None, "the imported modules")
            self.waiting += [(part, sys.modules[part]) for part in sorted(self.words & sys.modules.keys())]
            return
        if getattr(x, "__file__", None) is None or not str(x.__file__).endswith(".py"):
            self.refuse(f"the module {x.__name__}")
            return
        self.guards.watch_dict(table, names, f"what is read of the module {x.__name__}")
        self.waiting += [(f"{name}.{part}", table[part]) for part in names]

    def follow_function(self, name: str, x: types.FunctionType) -> None:
        """A function: its code, defaults and cells. Which globals it reads is said by what ran."""
        if x.__code__.co_filename.startswith(_PACKAGE) and not x.__closure__:
            return
        for code in (x.__code__, *_codes_within(x.__code__)):
            self.met[code] = x.__globals__
        self.guards.watch_function(x, name)
        self.waiting += [(f"a default of {name}", item) for item in x.__defaults__ or ()]
        self.waiting += [(f"a default of {name}", item) for item in (x.__kwdefaults__ or {}).values()]
        for part, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=False):
            self.waiting.append((f"{part} of {name}", cell))

    def follow_class(self, name: str, x: type) -> None:
        """A class: what stands in it and in its bases, unless it is this package's or Python's own."""
        for cls in x.__mro__:
            module = cls.__module__
            if (
                _of_package(module)
                or module == "builtins"
                or _pure(module)
                or (id(cls) in self.seen and cls is not x)
            ):
                continue
            if _made_in_c(cls):
                if not module.startswith("numpy"):
                    self.refuse(f"the class {module}.{cls.__qualname__}")
                continue
            self.seen[id(cls)] = cls
            self.guards.watch_class(cls, f"the class {cls.__qualname__}")
            for key, part in vars(cls).items():
                if key not in _PLAIN_MEMBERS:
                    self.waiting.append((f"{cls.__qualname__}.{key}", part))
        if type(x) is not type and not _of_package(type(x).__module__) and type(x).__module__ != "builtins":
            self.waiting.append((name, type(x)))

    def follow_builtin(self, name: str, x: Any) -> None:
        """A function in C: those that only compute."""
        owner = getattr(x, "__self__", None)
        module = getattr(x, "__module__", None) or ""
        if x in _REPORTS:
            return  # it may be there; whether it is called is watched
        if _of_package(module) or isinstance(x, (types.WrapperDescriptorType, types.MethodDescriptorType)):
            return
        if isinstance(owner, types.ModuleType):
            if (owner.__name__ == "builtins" and x.__name__ not in _CALLS) or not (
                _pure(owner.__name__) or owner.__name__.startswith("numpy")
            ):
                self.refuse(f"{owner.__name__}.{x.__name__}()")
        elif owner is not None:
            self.waiting.append((name, owner))

    def follow_optimizer(self, name: str, x: Any) -> None:
        """An optimizer: its steps are done anew each time, so nothing else of it may be asked for."""
        for part in sorted(self.attributes - _STEPS):
            if hasattr(x, part) and not hasattr(object, part) and not hasattr(Tensor, part):
                self.refuse(f"{name}.{part}, of an optimizer")

    def follow_instance(self, name: str, x: Any) -> None:
        """An object of a class: what stands in its dict."""
        kind = type(x)
        own = getattr(x, "__dict__", None)
        slots = [s for cls in kind.__mro__ for s in _slots(cls)]
        if type(own) is not dict or slots or not (_plain_layout(kind) or kind is types.SimpleNamespace):
            self.refuse(f"a {kind.__module__}.{kind.__qualname__}, {name}")
            return
        if kind is not types.SimpleNamespace:
            self.follow_class(name, kind)
        self.guards.watch_instance(x, name)
        self.guards.watch_dict(own, None, name)
        self.waiting += [(f"{name}.{key}", part) for key, part in own.items()]

    def refuse(self, what: str) -> None:
        raise Refused(what)


def _plain_layout(kind: type) -> bool:
    """Whether an object has nothing but its dict: a class written in Python, on `object`."""
    return all(cls is object or _of_package(cls.__module__) or not _made_in_c(cls) for cls in kind.__mro__)


def _made_in_c(cls: type) -> bool:
    """Whether objects of a class may hold more than their dict, which no guard sees."""
    if not cls.__flags__ & 1 << 9:
        return True
    known = issubclass(cls, (tuple, BaseException, enum.Enum))
    return not known and cls.__basicsize__ > object.__basicsize__ + 2 * tuple.__itemsize__


def _slots(cls: type) -> tuple[str, ...]:
    """The slots that a class of the program's has."""
    if _of_package(cls.__module__):
        return ()
    slots = vars(cls).get("__slots__", ())
    return tuple(
        s for s in ((slots,) if isinstance(slots, str) else slots) if s not in ("__dict__", "__weakref__")
    )


def _empty(cell: Any) -> bool:
    try:
        bool(cell.cell_contents is None)
    except ValueError:
        return True
    return False


def _of_package(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _OWN


@functools.cache
def _globals_of(code: types.CodeType) -> tuple[str, ...]:
    """The globals that code reads or writes; modules that it imports are such, too."""
    found = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL")
    }
    return tuple(sorted(found))


@functools.cache
def _codes_within(code: types.CodeType) -> tuple[types.CodeType, ...]:
    """The code that stands in other code."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return (*inner, *(part for one in inner for part in _codes_within(one)))


@functools.cache
def imports_of(code: types.CodeType) -> tuple[str, ...]:
    """The modules that code imports while it runs."""
    return tuple(i.argval for i in dis.get_instructions(code) if i.opname == "IMPORT_NAME")


def _global_hooks() -> list[dict[Any, Any]]:
    """The tables of hooks of all modules, if modules were imported at all."""
    hooks = sys.modules.get(f"{_NAME}.nn.modules._hooks")
    if hooks is None:
        return []
    return [
        table for key, table in vars(hooks).items() if key.startswith("_global_") and isinstance(table, dict)
    ]
