"""Decorators of data pipes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe

__all__ = [
    "argument_validation",
    "functional_datapipe",
    "guaranteed_datapipes_determinism",
    "non_deterministic",
    "runtime_validation",
    "runtime_validation_disabled",
]


class functional_datapipe:
    """Makes a class of pipes a method, of this name, of all pipes of its kind."""

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name, self.enable_df_api_tracing = name, enable_df_api_tracing

    def __call__(self, cls: Any) -> Any:
        for kind in (IterDataPipe, MapDataPipe):
            if issubclass(cls, kind):
                kind.register_datapipe_as_function(self.name, cls, self.enable_df_api_tracing)
        return cls


_determinism = False


class guaranteed_datapipes_determinism:
    """A context in which pipes that are `non_deterministic` are refused."""

    def __init__(self) -> None:
        global _determinism
        self.before, _determinism = _determinism, True

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        global _determinism
        _determinism = self.before


class non_deterministic:
    """Marks a class of pipes whose samples come in another order at each run, or do if a function of its
    arguments says so."""

    def __init__(self, arg: Any) -> None:
        self.cls: Any = None
        self.depends: Callable[..., bool] = lambda *args, **options: True
        if isinstance(arg, type):
            self.cls = _pipe(arg, "`IterDataPipe` can be decorated with `non_deterministic`, but")
        elif callable(arg):
            self.depends = arg
        else:
            raise TypeError(f"{arg} can not be decorated by non_deterministic")

    def __call__(self, *args: Any, **options: Any) -> Any:
        if self.cls is None:
            self.cls = _pipe(args[0], "`IterDataPipe` can be decorated, but")
            return functools.partial(self.made)
        return self.made(*args, **options)

    def made(self, *args: Any, **options: Any) -> Any:
        """A pipe of the class, unless determinism is guaranteed."""
        if _determinism and self.depends(*args, **options):
            raise TypeError(
                f"{self.cls.__name__} is non-deterministic, but you set "
                "'guaranteed_datapipes_determinism'. You can turn off determinism for this DataPipe if that "
                "is acceptable for your application"
            )
        return self.cls(*args, **options)


def _pipe(cls: Any, words: str) -> Any:
    """The class, if it is one of iterable pipes."""
    if not (isinstance(cls, type) and issubclass(cls, IterDataPipe)):
        raise TypeError(f"Only {words} {cls.__name__} is found")
    return cls


def argument_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Accepted: what a pipe's annotations say of its elements is for type checkers."""
    return f


def runtime_validation(f: Callable[..., Any]) -> Callable[..., Any]:
    """Accepted: what a pipe's annotations say of its elements is for type checkers."""
    return f


class runtime_validation_disabled:
    """A context in which samples are not looked at; they never are."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


__getattr__ = getter(__name__)
