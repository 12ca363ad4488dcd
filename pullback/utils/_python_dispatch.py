"""`torch.utils._python_dispatch`: contexts that see each op as one of `torch.ops.aten`."""

from __future__ import annotations

from typing import Any

from pullback import _ops
from pullback.face.absent import getter
from pullback.overrides import TorchFunctionMode

__all__ = ["TorchDispatchMode"]


class TorchDispatchMode(TorchFunctionMode):
    """A context that sees every op called within: override `__torch_dispatch__`.

    Within `__torch_dispatch__` the mode is off. `func` is the op as `torch.ops.aten` has it.

    >>> import pullback as torch
    >>> from pullback.utils._python_dispatch import TorchDispatchMode
    >>> class Names(TorchDispatchMode):
    ...     def __torch_dispatch__(self, func, types, args=(), kwargs=None):
    ...         print(func)
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     _ = torch.ones(2).exp()
    aten.exp.default
    """

    def __init__(self, _dispatch_key: Any = None) -> None:
        pass

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.__torch_dispatch__(_ops.overload_of(func), types, args, kwargs or {})


def is_traceable_wrapper_subclass(t: Any) -> bool:
    """Whether a tensor says how it is made of plain ones: has `__tensor_flatten__` and its inverse."""
    return is_traceable_wrapper_subclass_type(type(t))


def is_traceable_wrapper_subclass_type(t: type) -> bool:
    """Whether tensors of a class say how they are made of plain ones."""
    return hasattr(t, "__tensor_flatten__") and hasattr(t, "__tensor_unflatten__")


def _get_current_dispatch_mode() -> Any:
    """The innermost mode: None, as nothing asks within."""
    return None


def _get_current_dispatch_mode_stack() -> list[Any]:
    return []


def is_in_torch_dispatch_mode(include_infra_modes: bool = True) -> bool:
    """Whether a mode of PyTorch's compiler is on: False."""
    return False


__getattr__ = getter(__name__)
