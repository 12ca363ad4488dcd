"""`torch._jit_internal`: what marks code for TorchScript. Here marks leave it as it is."""

from __future__ import annotations

import typing
from collections.abc import Callable
from types import UnionType
from typing import Any, Final

from pullback.face.absent import getter

__all__ = ["Final", "boolean_dispatch", "export", "ignore", "is_scripting", "unused"]


class BroadcastingListCls:
    """The type of a parameter that takes a number or a list of them: `BroadcastingList2[int]`."""

    def __getitem__(self, types: Any) -> None:
        return None


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = BroadcastingListCls()
BroadcastingList4 = BroadcastingList5 = BroadcastingList6 = BroadcastingList1


class FunctionModifiers:
    """How TorchScript was told to treat a function."""

    UNUSED = "unused (ignored and replaced with raising of an exception)"
    IGNORE = "ignore (leave as a call to Python, cannot be torch.jit.save'd)"
    EXPORT = "export (compile this function even if nothing calls it)"
    DEFAULT = "default (compile if called from a exported function / forward)"
    COPY_TO_SCRIPT_WRAPPER = "if this method is not scripted, copy the python method onto the scripted model"
    _DROP = "_drop (function is fully ignored, declaration can be unscriptable)"


def is_scripting() -> bool:
    """Whether the program is being compiled by TorchScript: False."""
    return False


def export(fn: Any) -> Any:
    """The method itself."""
    return fn


def unused(fn: Any) -> Any:
    """The function or property itself."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """The function itself; called without one, a decorator that returns it."""
    if callable(drop):
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")
    return lambda fn: fn


def _overload(func: Any) -> Any:
    return func


_overload_method = _copy_to_script_wrapper = _drop = _overload


def boolean_dispatch(
    arg_name: str,
    arg_index: int,
    default: bool,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    module_name: str,
    func_name: str,
) -> Callable[..., Any]:
    """A function that calls one of two, by a bool argument."""

    def fn(*args: Any, **kwargs: Any) -> Any:
        chosen = default
        if arg_name in kwargs:
            chosen = kwargs[arg_name]
        elif arg_index < len(args):
            chosen = args[arg_index]
        return (if_true if chosen else if_false)(*args, **kwargs)

    fn.__doc__ = if_true.__doc__ or if_false.__doc__
    if module_name is not None:
        fn.__module__ = module_name
    if func_name is not None:
        fn.__name__ = func_name
    return fn


def _qualified_name(obj: Any, mangle_name: bool = True) -> str:
    """The name by which TorchScript knows a class or function."""
    module, name = obj.__module__, obj.__name__
    return f"__torch__.{name}" if module == "__main__" else f"__torch__.{module}.{name}"


def _isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a type, or of one of a tuple of them, with its parts."""
    if isinstance(target_type, tuple):
        return any(_isinstance(obj, one) for one in target_type)
    origin, parts = typing.get_origin(target_type), typing.get_args(target_type)
    if target_type is None or target_type is type(None):
        return obj is None
    if origin in (typing.Union, UnionType):
        return any(_isinstance(obj, part) for part in parts)
    if origin is None:
        return isinstance(obj, target_type)
    if not isinstance(obj, origin):
        return False
    if origin is dict:
        return all(_isinstance(key, parts[0]) and _isinstance(value, parts[1]) for key, value in obj.items())
    if origin is tuple and not (len(parts) == 2 and parts[1] is ...):
        return len(obj) == len(parts) and all(map(_isinstance, obj, parts))
    return all(_isinstance(item, parts[0]) for item in obj)


__getattr__ = getter(__name__)
