"""What all data pipes are: `IterDataPipe` and `MapDataPipe`, and the batches that they make.

A data pipe is a data set made of others. Those with a name (`@functional_datapipe`) are methods of all pipes
of their kind: `pipe.map(f)` is `Mapper(pipe, f)`. Only one iterator of an iterable pipe is valid at a time.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from pullback.face.absent import getter
from pullback.utils.data.dataset import Dataset, IterableDataset

__all__ = ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"]

T_co = TypeVar("T_co", covariant=True)

FEEDBACK = (
    "\nFor feedback regarding this single iterator per IterDataPipe constraint, feel free to comment on this "
    "issue: https://github.com/pytorch/data/issues/45."
)


def described(pipe: Any) -> str:
    """A pipe with what it was made with, as messages show it."""
    names = [name for name in inspect.signature(type(pipe).__init__).parameters if name != "self"]
    values = [(name, pipe.__dict__[name]) for name in sorted(names) if name in pipe.__dict__]
    shown = (
        f"{name}={value.__name__ if inspect.isfunction(value) else repr(value)}" for name, value in values
    )
    return f"{type(pipe).__name__}({', '.join(shown)})"


class _Pipe:
    """What pipes of both kinds share."""

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    reduce_ex_hook: Callable[[Any], Any] | None = None
    getstate_hook: Callable[[Any], Any] | None = None
    str_hook: Callable[[Any], str] | None = None
    repr_hook: Callable[[Any], str] | None = None

    def __getattr__(self, name: str) -> Any:
        made = type(self).functions.get(name)
        if made is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}")
        method = functools.partial(made, self)
        functools.update_wrapper(method, made, assigned=("__doc__",))
        return method

    @classmethod
    def register_function(cls, function_name: str, function: Callable[..., Any]) -> None:
        """Makes a function of a pipe a method of all pipes of this kind."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: Any, enable_df_api_tracing: bool = False
    ) -> None:
        """Makes a class of pipes a method of all pipes of this kind."""
        if function_name in cls.functions:
            raise Exception(f"Unable to add DataPipe function name {function_name} as it is already taken")

        def made(source: Any, *args: Any, **options: Any) -> Any:
            return cls_to_register(source, *args, **options)

        made.__doc__ = cls_to_register.__doc__
        cls.functions[function_name] = made

    def __getstate__(self) -> Any:
        state = self.__dict__
        hook = type(self).getstate_hook
        return state if hook is None else hook(state)

    def __reduce_ex__(self, protocol: Any) -> Any:
        hook = type(self).reduce_ex_hook
        if hook is not None:
            try:
                return hook(self)
            except NotImplementedError:
                pass
        return super().__reduce_ex__(protocol)

    @classmethod
    def set_getstate_hook(cls, hook_fn: Any) -> None:
        """Has `hook(state)` say what a pickle keeps. One hook at a time; None takes it away."""
        if _Pipe.getstate_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing getstate_hook")
        _Pipe.getstate_hook = None if hook_fn is None else staticmethod(hook_fn)

    @classmethod
    def set_reduce_ex_hook(cls, hook_fn: Any) -> None:
        """Has `hook(pipe)` say how a pipe is pickled. One hook at a time; None takes it away."""
        if _Pipe.reduce_ex_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing reduce_ex_hook")
        _Pipe.reduce_ex_hook = None if hook_fn is None else staticmethod(hook_fn)

    def __repr__(self) -> str:
        hook = type(self).repr_hook
        return str(type(self).__qualname__) if hook is None else hook(self)

    def __str__(self) -> str:
        hook = type(self).str_hook
        return str(type(self).__qualname__) if hook is None else hook(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).functions]


class IterDataPipe(_Pipe, IterableDataset[T_co]):
    """An iterable data set made of others: a subclass has `__iter__`.

    A new iterator begins with `reset()`, and the iterators before it are not valid any more.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> pipe = IterableWrapper(range(5)).map(lambda n: n * n).filter(lambda n: n > 0)
    >>> list(pipe.batch(3))
    [[1, 4, 9], [16]]
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}
    _valid_iterator_id: int | None = None
    _number_of_samples_yielded: int = 0
    _shares = False
    """Whether it is one of several over the samples of one pipe, which knows what iterators are valid."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        given = cls.__dict__.get("__iter__")
        if given is not None and not getattr(given, "__isabstractmethod__", False):
            cls.__iter__ = _single(given)  # type: ignore[method-assign]

    def reset(self) -> None:
        """What is done before a new iterator; a subclass that keeps a state between samples drops it here."""


class DFIterDataPipe(IterDataPipe[Any]):
    """An iterable pipe of data frames."""


class MapDataPipe(_Pipe, Dataset[T_co]):
    """A data set with samples by index, made of others: a subclass has `__getitem__` and `__len__`.

    >>> from pullback.utils.data.datapipes.map import SequenceWrapper
    >>> SequenceWrapper(range(5)).map(lambda n: n * n)[3]
    9
    """

    functions: ClassVar[dict[str, Callable[..., Any]]] = {}


def _single(given: Callable[[Any], Any]) -> Callable[[Any], Iterator[Any]]:
    """An `__iter__` whose iterator is the only valid one of its pipe."""

    @functools.wraps(given)
    def begin(self: Any) -> Iterator[Any]:
        return iter(given(self)) if self._shares else _Samples(self, given)

    return begin


class _Samples(Iterator[Any]):
    """The iterator of a pipe. It begins with the first sample, and is valid until another begins."""

    def __init__(self, pipe: Any, begin: Callable[[Any], Any]) -> None:
        self.pipe, self.begin = pipe, begin
        self.samples: Iterator[Any] | None = None

    def __next__(self) -> Any:
        pipe = self.pipe
        try:
            if self.samples is None:
                self.number = pipe._valid_iterator_id = (pipe._valid_iterator_id or 0) + 1
                pipe._number_of_samples_yielded = 0
                pipe.reset()
                self.samples = iter(self.begin(pipe))
            if pipe._valid_iterator_id == self.number:
                sample = next(self.samples)
                pipe._number_of_samples_yielded += 1
                return sample
        except StopIteration:
            raise
        except Exception as error:
            _note(pipe, error)
            raise
        raise RuntimeError(
            "This iterator has been invalidated because another iterator has been created from the same "
            f"IterDataPipe: {described(pipe)}\nThis may be caused by multiple references to the same "
            "IterDataPipe. We recommend using `.fork()` if that is necessary." + FEEDBACK
        )


def _note(pipe: Any, error: BaseException) -> None:
    """Adds to an error's message which pipe it comes from: once, at the innermost."""
    words = "This exception is thrown by __iter__ of "
    first = error.args[0] if error.args else None
    if isinstance(first, str) and words not in first and not isinstance(error, BufferError):
        error.args = (f"{first}\n{words}{described(pipe)}", *error.args[1:])


class DataChunk(list[Any]):
    """A batch: a list of samples."""

    def __init__(self, items: Any) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        """The batch as text, indented."""
        return f"{indent}[{', '.join(map(str, self))}]"

    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()

    def raw_iterator(self) -> Iterator[Any]:
        """The samples as they were given."""
        yield from self.items


__getattr__ = getter(__name__)
