"""Which modules are running: what recordings, counters and profiles name their findings by."""

from __future__ import annotations

import contextlib
from typing import Any

from pullback.nn.modules.module import (
    Module,
    register_module_forward_hook,
    register_module_forward_pre_hook,
)


class ModulePath:
    """A context that knows which modules are running, the outermost first."""

    def __init__(self) -> None:
        self._running: list[tuple[Module, str]] = []
        self._hooks = contextlib.ExitStack()

    def __enter__(self) -> ModulePath:
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(after.remove)
        return self

    def __exit__(self, *exc: object) -> None:
        self._hooks.close()

    def _enter(self, module: Module, args: Any) -> None:
        place = None
        if self._running:
            children = self._running[-1][0].named_children()
            place = next((name for name, child in children if child is module), None)
        self._running.append((module, type(module).__name__ if place is None else place))

    def _leave(self, module: Module, args: Any, result: Any) -> None:
        if self._running:
            self._running.pop()

    def names(self) -> tuple[str, ...]:
        """Those within the outermost: the name in the module around, and the class."""
        inner = [(name, type(module).__name__) for module, name in self._running[1:]]
        return tuple([name if name == kind else f"{name}: {kind}" for name, kind in inner])

    def dotted(self) -> list[str]:
        """All of them, by their names from the outermost on: "Sequential", "Sequential.0"."""
        names = [name for _, name in self._running]
        return [".".join(names[: k + 1]) for k in range(len(names))]
