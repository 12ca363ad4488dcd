"""`torch.overrides`: the protocol by which other types take part in Pullback's functions.

The dispatch itself is the engine's: an op whose argument has `__torch_function__` asks it first. A mode
is a level on the engine's stack, so that ops go to it before all else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.transforms.stack import Interpreter, entered

__all__ = [
    "TorchFunctionMode",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "wrap_torch_function",
]

_F = TypeVar("_F", bound=Callable[..., Any])


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether one of the arguments overrides `__torch_function__`.

    >>> import pullback as torch
    >>> torch.overrides.has_torch_function((torch.ones(2), 3))
    False
    """
    return bool(_engine.overriding_types(relevant_args))


def has_torch_function_unary(arg: Any) -> bool:
    """Whether an argument overrides `__torch_function__`."""
    return bool(_engine.overriding_types((arg,)))


def has_torch_function_variadic(*args: Any) -> bool:
    """Whether one of the arguments overrides `__torch_function__`."""
    return bool(_engine.overriding_types(args))


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the arguments' `__torch_function__` makes of a call; TypeError if none takes it."""
    return _engine.torch_function(public_api, tuple(relevant_args), args, kwargs)


def wrap_torch_function(dispatcher: Callable[..., Iterable[Any]]) -> Callable[[_F], _F]:
    """A decorator of functions that other types may override: `dispatcher` gives the arguments that can.

    >>> import pullback as torch
    >>> class Loud:
    ...     @classmethod
    ...     def __torch_function__(cls, func, types, args=(), kwargs=None):
    ...         return f"{func.__name__} of {cls.__name__}"
    >>> @torch.overrides.wrap_torch_function(lambda x: (x,))
    ... def twice(x):
    ...     return 2 * x
    >>> twice(torch.ones(2)), twice(Loud())
    (tensor([2., 2.]), 'twice of Loud')
    """

    def decorated(function: _F) -> _F:
        @functools.wraps(function)
        def dispatching(*args: Any, **kwargs: Any) -> Any:
            relevant = tuple(dispatcher(*args, **kwargs))
            if has_torch_function(relevant):
                return handle_torch_function(dispatching, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return cast(_F, dispatching)

    return decorated


def is_tensor_like(inp: Any) -> bool:
    """Whether `inp` is a tensor or has `__torch_function__`.

    >>> import pullback as torch
    >>> torch.overrides.is_tensor_like(torch.ones(2)), torch.overrides.is_tensor_like(2)
    (True, False)
    """
    return isinstance(inp, Tensor) or hasattr(type(inp), "__torch_function__")


def is_tensor_method_or_property(func: Callable[..., Any]) -> bool:
    """Whether `func` is a method of Tensor, or the getter of a property."""
    name = getattr(func, "__name__", "")
    return getattr(Tensor, name, None) is func or name == "__get__"


class TorchFunctionMode(Interpreter):
    """A context that sees every op called within: override `__torch_function__`.

    Within `__torch_function__` the mode is off, so it may call ops itself.

    >>> import pullback as torch
    >>> class Names(torch.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(func.__name__)
    ...         return func(*args, **(kwargs or {}))
    >>> x = torch.ones(2)
    >>> with Names():
    ...     _ = x.exp()
    exp
    """

    _entered: list[Any]  # the contexts that it is within, innermost last

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        raise NotImplementedError

    def __enter__(self) -> TorchFunctionMode:
        context = entered(self)
        vars(self).setdefault("_entered", []).append(context)
        context.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._entered.pop().__exit__()

    def process(self, op: Any, args: tuple[Any, ...], out: Any) -> Any:
        """What the engine calls for each op."""
        kwargs = {} if out is None else {"out": out}
        types = tuple(_engine.overriding_types(args))
        return self.__torch_function__(op, types, args, kwargs)

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """The same for a custom Function."""
        return self.__torch_function__(cls.apply, (), args, {})


__getattr__ = getter(__name__)
