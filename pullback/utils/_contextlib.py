"""`torch.utils._contextlib`: contexts that are decorators too."""

from __future__ import annotations

from typing import Any

from pullback.core.modes import Mode
from pullback.face.absent import getter

_DecoratorContextManager = Mode


class _NoParamDecoratorContextManager(Mode):
    """A context without parameters: its class itself decorates a function, without parentheses."""

    def __new__(cls, orig_func: Any = None) -> Any:
        return super().__new__(cls) if orig_func is None else cls()(orig_func)


def context_decorator(ctx: Any, func: Any) -> Any:
    """A function whose every call runs in a context: `ctx`, or what it returns."""

    class _Context(Mode):
        def clone(self) -> Mode:
            return self

        def __enter__(self) -> None:
            self.inner = ctx() if callable(ctx) else ctx
            self.inner.__enter__()

        def __exit__(self, *exc: object) -> Any:
            return self.inner.__exit__(*exc)

    return _Context()(func)


__getattr__ = getter(__name__)
