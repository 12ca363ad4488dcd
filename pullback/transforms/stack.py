"""The engine's stack of transforms, with the changes to it that transforms need.

The engine lowers the level while an interpreter does its part, and keeps those above on its list.
What is entered meanwhile must not wake them: `entered` puts them aside, and `without` takes one
out of the middle.
"""

from __future__ import annotations

from typing import Any

from pullback.core import _engine

active = _engine.levels


def _stack() -> list[Any]:
    if not hasattr(_engine._levels, "stack"):
        _engine._levels.stack = []
    return _engine._levels.stack


def _set(levels: list[Any], aside: list[Any]) -> None:
    """Makes `levels` the active ones, with others aside above them."""
    stack = _stack()
    stack[:] = [*levels, None]
    _engine.pop_level()
    stack.extend(aside)


def enter(interpreter: Any) -> list[Any]:
    """Puts an interpreter on top of the active ones; returns those aside, for `leave`."""
    stack = _stack()
    aside: list[Any] = []
    if stack:
        count = len(active())
        aside = stack[count:]
        del stack[count:]
    _engine.push_level(interpreter)
    return aside


def leave(aside: list[Any]) -> None:
    """Takes the top interpreter off again."""
    _engine.pop_level()
    if aside:
        _stack().extend(aside)


class within:
    """Within, these interpreters are the active ones. A context manager."""

    __slots__ = ("aside", "before", "levels")

    def __init__(self, levels: list[Any]) -> None:
        self.levels = levels

    def __enter__(self) -> None:
        self.before = before = active()
        self.aside = _stack()[len(before) :]
        _set(self.levels, [])

    def __exit__(self, *_: object) -> None:
        _set(self.before, self.aside)


def without(interpreter: Any) -> within:
    """Within, one of the active interpreters is off the stack."""
    return within([level for level in active() if level is not interpreter])


def hoisted(level: Any, top: Any, function: Any, *args: Any) -> Any:
    """Calls a function with `level` taken out of the active ones and `top` put above them."""
    with within([*[other for other in active() if other is not level], top]):
        return function(*args)
