"""What a function captures: tensors that it computes with and was not given.

Solvers differentiate with respect to all that their function depends on, so what it captures becomes an
argument: `captured` finds it, by one run on a level of the stack that looks at the operands of all ops, and
`opened` gives the function with arguments in their place ("closure conversion" of compilers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pullback.core import _engine
from pullback.core._engine import Op, Tensor
from pullback.core.modes import enable_grad
from pullback.transforms.stack import Interpreter, Wrapper, active, bottom, entered


def captured(f: Callable[..., Any], *args: Any) -> list[Tensor]:
    """The tensors on which `f(*args)` depends beside its arguments, and which some transform follows."""
    if not _engine.grad_enabled() and not active():
        return []
    watch = _Watch(args)
    with enable_grad(), entered(watch):
        f(*args)
    return list(watch.found.values())


def opened(f: Callable[..., Any], places: Sequence[Tensor]) -> Callable[..., Any]:
    """A function of the arguments of `f`, and then of values in the place of what it captures."""
    if not places:
        return f

    def run(*args: Any) -> Any:
        given, values = args[: -len(places)], args[-len(places) :]
        with entered(_Replaced(places, values)):
            return f(*given)

    return run


class _Watch(Interpreter):
    """A level that notes the operands which no op on it has made.

    A tensor is known by itself, or by its place in the graph: what rules get of a saved tensor is another.
    """

    def __init__(self, args: Any) -> None:
        self.known: dict[Any, Any] = {}
        self.found: dict[Any, Tensor] = {}
        self._made(args)

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op as it is."""
        self._seen(args)
        result = _engine.apply_below(op, args, out)
        self._made((result,))
        return result

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function as it is."""
        self._seen(args)
        result = cls.apply(*args)
        self._made((result,))
        return result

    def _made(self, values: Any) -> None:
        for x in values:
            if isinstance(x, Tensor):
                self.known[id(x)] = x
                if x.grad_fn is not None:
                    self.known[_place(x)] = x
            elif type(x) in (list, tuple):
                self._made(x)

    def _seen(self, values: Any) -> None:
        for x in values:
            if type(x) in (list, tuple):
                self._seen(x)
            elif isinstance(x, Tensor) and id(x) not in self.known and _transformed(x):
                if x.grad_fn is None or _place(x) not in self.known:
                    self.found[id(x)] = x
                self._made((x,))


def _place(x: Tensor) -> tuple[int, int]:
    """Which node's result a tensor is. The node lives while a tensor of it is known."""
    return id(x.grad_fn), bottom(x).output_nr


def _transformed(x: Tensor) -> bool:
    """Whether a gradient is wanted of a tensor, it is one of many samples, or something hangs on it."""
    return x.requires_grad or isinstance(x, Wrapper) or bool(_engine.tangents_now(bottom(x)))


class _Replaced(Interpreter):
    """A level on which some tensors stand for others."""

    def __init__(self, places: Sequence[Tensor], values: Sequence[Any]) -> None:
        self.values = {id(x): value for x, value in zip(places, values, strict=True)}

    def process(self, op: Op, args: tuple[Any, ...], out: Any) -> Any:
        """An op on the others."""
        return _engine.apply_below(op, self._placed(args), out)

    def process_function(self, cls: Any, args: tuple[Any, ...]) -> Any:
        """A custom Function of the others."""
        return cls.apply(*self._placed(args))

    def _placed(self, values: Any) -> tuple[Any, ...]:
        return tuple(
            [
                type(x)(self._placed(x)) if type(x) in (list, tuple) else self.values.get(id(x), x)
                for x in values
            ]
        )
