"""What kinds of tensors with rules of their own share: sparse, nested and masked ones.

A kind has a table of functions by the names of the ops that they stand for. `entering` makes the decorator
that fills it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pullback.core import _engine


def entering(table: dict[str, Callable[..., Any]]) -> Callable[[str], Callable[[Any], Any]]:
    """What takes names of ops and gives a decorator: the function is what the table has for them."""

    def implements(names: str) -> Callable[[Any], Any]:
        def enter(function: Any) -> Any:
            table.update(dict.fromkeys(names.split(), function))
            return function

        return enter

    return implements


@functools.cache
def elementwise_ops() -> frozenset[Any]:
    """The ops that do something to each element by itself."""
    return frozenset(op for op in _engine.REGISTRY.values() if op.elementwise)


def take_numbers(target: Any, result: Any) -> Any:
    """Makes the numbers of a tensor those of a result, history and all: a write in place."""
    _engine.check_inplace(target)
    target.numbers = result.numbers
    if result.grad_fn is not None:
        _engine.set_outputs(result.grad_fn, (target,))
    _engine.bump_version(target)
    return target
