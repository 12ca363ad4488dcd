"""What the transforms share: which arguments to differentiate, and how results are checked.

`argnums` names arguments by place; each may be a nested container of tensors. `Picked` takes them out
of a call and puts others in their place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.utils._pytree import tree_flatten, tree_unflatten

Argnums = Any


def wraps(func: Callable[..., Any]) -> Callable[[Any], Any]:
    """`functools.wraps`, for a plain function in a third of its time."""
    if type(func) is not FunctionType or func.__dict__:
        return functools.wraps(func)

    def named(run: Any) -> Any:
        run.__module__, run.__name__, run.__qualname__ = func.__module__, func.__name__, func.__qualname__
        run.__doc__, run.__annotations__, run.__wrapped__ = func.__doc__, func.__annotations__, func
        return run

    return named


def checked_argnums(argnums: Argnums, count: int) -> Any:
    """Places of arguments, not negative: an int or a tuple."""
    if isinstance(argnums, bool) or not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnum must be int or Tuple[int, ...], got: {type(argnums)}")
    if isinstance(argnums, int):
        return _checked_argnum(argnums, count)
    if not argnums:
        raise RuntimeError("argnums must be non-empty")
    places = tuple([_checked_argnum(n, count) for n in argnums])
    if len({*places}) != len(places):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return places


def _checked_argnum(argnum: Any, count: int) -> int:
    if not isinstance(argnum, int):
        raise RuntimeError(f"argnum must be int, got {type(argnum)}")
    if not -count <= argnum < count:
        raise RuntimeError(f"Got argnum={argnum}, but only {count} positional inputs")
    return argnum % count


class Picked:
    """The tensors that a transform differentiates, and how to call with others.

    `argnums` None stands for all arguments.
    """

    __slots__ = ("_args", "_places", "_spec", "tensors")

    def __init__(self, argnums: Argnums, args: tuple[Any, ...]) -> None:
        self._args = args
        self._places: Any
        if argnums == 0 and type(argnums) is int and args and isinstance(args[0], Tensor):
            self._places, self._spec = 0, None  # no container at all
            self.tensors = [args[0]]
            return
        self._places = places = argnums if argnums is None else checked_argnums(argnums, len(args))
        if isinstance(places, int):
            args = args[places]
        else:
            if places is not None:
                args = tuple([args[n] for n in places])
            if all_tensors(args):
                self.tensors, self._spec = list(args), None  # one container
                return
        self.tensors, self._spec = tree_flatten(args)
        for x in self.tensors:
            if not isinstance(x, Tensor):
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")

    def nested(self, values: list[Any]) -> Any:
        """Values, one for each tensor, nested as the arguments are."""
        if self._spec is not None:
            return tree_unflatten(values, self._spec)
        return values[0] if self._places == 0 else tuple(values)

    def arguments(self, values: list[Any]) -> tuple[Any, ...]:
        """The arguments of the call with these tensors in it."""
        if self._places == 0 and self._spec is None:
            return (values[0], *self._args[1:])
        chosen = self.nested(values)
        places = self._places
        if places is None:
            return chosen
        if isinstance(places, int):
            return (*self._args[:places], chosen, *self._args[places + 1 :])
        args = list(self._args)
        for place, value in zip(places, chosen, strict=True):
            args[place] = value
        return tuple(args)


def check_differentiable(tensors: Iterable[Tensor]) -> None:
    """RuntimeError for a tensor of integers."""
    for x in tensors:
        if x.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")


def differentiable(x: Tensor) -> Tensor:
    """A tensor whose gradient can be asked for, in the graph of the original if that has one."""
    return ops.clone(x) if x.requires_grad else x.detach().requires_grad_()


def all_tensors(items: tuple[Any, ...]) -> bool:
    """Whether all of some things are tensors."""
    for x in items:  # noqa: SIM110  (a generator costs two calls)
        if not isinstance(x, Tensor):
            return False
    return True


def any_requires_grad(tensors: Iterable[Tensor]) -> bool:
    """Whether one of some tensors requires a gradient."""
    for x in tensors:  # noqa: SIM110  (a generator costs two calls)
        if x.requires_grad:
            return True
    return False


def check_real(name: str, what: str, tensors: Iterable[Tensor]) -> None:
    """RuntimeError for a complex tensor: of one, the modes' matrices are each other's conjugates."""
    for i, x in enumerate(tensors):
        if x.dtype.is_complex:
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened input "
                f"idx: {i}"
            )


def split_aux(result: Any, name: str) -> tuple[Any, Any]:
    """The result proper, and what comes beside it."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise RuntimeError(
            f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def flat_outputs(result: Any, name: str) -> tuple[list[Any], Any]:
    """The tensors among a function's results, and how they were nested (None for a single one)."""
    if isinstance(result, Tensor):
        return [result], None
    if not isinstance(result, (tuple, list, dict)):
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {result})"
            if result is None
            else f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(result)}"
        )
    leaves, spec = tree_flatten(result)
    if not leaves:
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {result})"
        )
    for x in leaves:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(x)}"
            )
    return leaves, spec
