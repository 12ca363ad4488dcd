"""Grad mode and inference mode: contexts that are decorators too.

A mode is entered with `with`, or put on a function, a generator function or a class. The state
itself belongs to the thread and is kept by the engine. Read `Mode` first: each public name says
only what to set.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Generator
from typing import Any

from pullback.core import _engine

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]


class Mode:
    """A context that can decorate: each call of the decorated function runs in a context of its
    own.
    """

    def clone(self) -> Mode:
        """A fresh context of the same kind."""
        return type(self)()

    def __enter__(self) -> Any:
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        raise NotImplementedError

    def __call__(self, function: Any) -> Any:
        """The function, generator function or class, to run in this mode."""
        if inspect.isclass(function):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You "
                "should only decorate functions or methods. To preserve the current behavior of "
                "class decoration, you can directly decorate the `__init__` method and nothing "
                "else.",
                FutureWarning,
                stacklevel=2,
            )
            decorated: Any = function
            decorated.__init__ = self(decorated.__init__)
            return decorated
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return function(*args, **kwargs)

        return run

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The generator function with the mode on while it runs, and off while its caller does."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            generator = function(*args, **kwargs)
            step: Callable[[], Any] = functools.partial(next, generator)
            while True:
                try:
                    with self.clone():
                        value = step()
                except StopIteration as stop:
                    return stop.value
                try:
                    sent = yield value
                    step = functools.partial(generator.send, sent)
                except GeneratorExit:
                    with self.clone():
                        generator.close()
                    raise
                except BaseException as error:
                    step = functools.partial(generator.throw, error)

        return run


_new = _engine.GradSwitch.__new__


class _GradMode(_engine.GradSwitch, Mode):
    """Sets grad mode to `mode`; usable as a decorator without parentheses."""

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        made = _new(cls)
        return made if function is None else made(function)


class no_grad(_GradMode):
    """Within, results require no gradient and no graph is recorded. A context and a decorator.

    >>> import pullback as torch
    >>> x = torch.tensor(1.0, requires_grad=True)
    >>> with torch.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """


class enable_grad(_GradMode):
    """Within, graphs are recorded though a `no_grad` stands around it. A context and a decorator.

    >>> import pullback as torch
    >>> x = torch.tensor(1.0, requires_grad=True)
    >>> with torch.no_grad(), torch.enable_grad():
    ...     y = x * 2
    >>> y.requires_grad
    True
    """

    mode = True


class set_grad_enabled(Mode):
    """Turns grad mode on or off: at once as a call, for a while as a context or a decorator.

    >>> import pullback as torch
    >>> with torch.set_grad_enabled(False):
    ...     torch.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(
                f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self.mode = mode
        self.before = _engine.set_grad_enabled(mode)

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, function: Any) -> Any:
        _engine.set_grad_enabled(self.before)
        return super().__call__(function)

    def __enter__(self) -> None:
        _engine.set_grad_enabled(self.mode)

    def __exit__(self, *exc: object) -> None:
        _engine.set_grad_enabled(self.before)

    def __repr__(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__}(mode={self.mode})"


class inference_mode(Mode):
    """Within, no graph is recorded and new tensors can never enter one. A context and a decorator.

    `inference_mode(False)` switches it off again, and grad mode on.

    >>> import pullback as torch
    >>> with torch.inference_mode():
    ...     y = torch.ones(2)
    >>> y.is_inference()
    True
    """

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode
        self.before: list[tuple[bool, bool]] = []

    def clone(self) -> inference_mode:
        return inference_mode(self.mode)

    def __enter__(self) -> None:
        self.before.append((_engine.set_inference(self.mode), _engine.set_grad_enabled(not self.mode)))

    def __exit__(self, *exc: object) -> None:
        inference, grad = self.before.pop()
        _engine.set_inference(inference)
        _engine.set_grad_enabled(grad)


def is_grad_enabled() -> bool:
    """Whether graphs are recorded on this thread.

    >>> import pullback as torch
    >>> torch.is_grad_enabled()
    True
    """
    return _engine.grad_enabled()


def is_inference_mode_enabled() -> bool:
    """Whether inference mode is on on this thread.

    >>> import pullback as torch
    >>> torch.is_inference_mode_enabled()
    False
    """
    return _engine.inference_enabled()


class set_multithreading_enabled(Mode):
    """Accepted for PyTorch's sake: a backward pass here runs on the thread that calls it."""

    def __init__(self, mode: bool) -> None:
        self.mode = bool(mode)

    def clone(self) -> set_multithreading_enabled:
        return set_multithreading_enabled(self.mode)

    def __enter__(self) -> None:
        """Changes nothing."""

    def __exit__(self, *exc: object) -> None:
        """Changes nothing."""
