"""Pipes of several others, and several of one."""

from __future__ import annotations

import copy as copies
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import FEEDBACK, IterDataPipe, described

__all__ = [
    "ConcaterIterDataPipe",
    "DemultiplexerIterDataPipe",
    "ForkerIterDataPipe",
    "MultiplexerIterDataPipe",
    "ZipperIterDataPipe",
]


@functional_datapipe("concat")
class ConcaterIterDataPipe(IterDataPipe[Any]):
    """The samples of one pipe after those of another.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2]).concat(IterableWrapper([3])))
    [1, 2, 3]
    """

    def __init__(self, *datapipes: Any) -> None:
        if not datapipes:
            raise ValueError("Expected at least one DataPipe, but got nothing")
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("Expected all inputs to be `IterDataPipe`")
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        for pipe in self.datapipes:
            yield from pipe

    def __len__(self) -> int:
        return sum(len(pipe) for pipe in self.datapipes)


@functional_datapipe("mux")
class MultiplexerIterDataPipe(IterDataPipe[Any]):
    """A sample of each pipe in turn, until the shortest ends.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2]).mux(IterableWrapper([10, 20, 30])))
    [1, 10, 2, 20]
    """

    def __init__(self, *datapipes: Any) -> None:
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        for samples in zip(*self.datapipes, strict=False):
            yield from samples

    def __len__(self) -> int:
        return len(self.datapipes) * min(len(pipe) for pipe in self.datapipes)


@functional_datapipe("zip")
class ZipperIterDataPipe(IterDataPipe[Any]):
    """Tuples of a sample of each pipe, until the shortest ends.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([1, 2]).zip(IterableWrapper([10, 20, 30])))
    [(1, 10), (2, 20)]
    """

    def __init__(self, *datapipes: Any) -> None:
        if not all(isinstance(pipe, IterDataPipe) for pipe in datapipes):
            raise TypeError("All inputs are required to be `IterDataPipe` for `ZipIterDataPipe`.")
        self.datapipes = datapipes

    def __iter__(self) -> Iterator[Any]:
        yield from zip(*self.datapipes, strict=False)

    def __len__(self) -> int:
        return min(len(pipe) for pipe in self.datapipes)


class _Shared(IterDataPipe[Any]):
    """A pipe whose samples go to several children, each of which may be ahead of others.

    Iterators of children belong to one pass over it. The first iterator of a child that has begun the pass
    begins another, and ends those before.
    """

    num_instances: int
    buffer_size: int

    def __init__(self, datapipe: Any, num_instances: int, buffer_size: int) -> None:
        self.main_datapipe, self.num_instances, self.buffer_size = datapipe, num_instances, buffer_size
        if buffer_size < 0:
            warnings.warn(
                f"Unlimited buffer size is set for `{type(self).__name__.lstrip('_')[:-12].lower()}`, "
                "please be aware of OOM risks",
                UserWarning,
                stacklevel=4,
            )
        self.reset()

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("its children are iterated over")

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key not in ("source", "buffers", "begun")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.reset()

    def reset(self) -> None:
        self.source: Iterator[Any] | None = None
        self.buffers: list[deque[Any]] = [deque() for _ in range(self.num_instances)]
        self.begun = [False] * self.num_instances
        self.passes = getattr(self, "passes", 0) + 1

    def _put(self, sample: Any, child: int) -> None:
        """Puts a sample that a child asked for into the buffers of those that it is for."""
        raise NotImplementedError

    def _samples(self, child: int) -> Iterator[Any]:
        """The samples of a child, in one pass."""
        if self.begun[child]:
            self.reset()
        self.begun[child] = True
        number = self.passes
        if self.source is None:
            self.source = iter(self.main_datapipe)
        return self._pass(child, number, self.source, self.buffers[child])

    def _pass(self, child: int, number: int, source: Iterator[Any], buffer: deque[Any]) -> Iterator[Any]:
        while True:
            if self.passes != number:
                raise RuntimeError(
                    "This iterator has been invalidated, because a new iterator has been created from one of "
                    f"the ChildDataPipes of {described(self)}." + FEEDBACK
                )
            while not buffer:
                try:
                    sample = next(source)
                except StopIteration:
                    return
                self._put(sample, child)
            yield buffer.popleft()


class _ChildDataPipe(IterDataPipe[Any]):
    """One of the pipes that share the samples of another."""

    _is_child_datapipe = True
    _shares = True

    def __init__(self, main_datapipe: Any, instance_id: int) -> None:
        self.main_datapipe, self.instance_id = main_datapipe, instance_id

    def __iter__(self) -> Iterator[Any]:
        return self.main_datapipe._samples(self.instance_id)

    def __len__(self) -> int:
        return len(self.main_datapipe)


class _ForkerIterDataPipe(_Shared):
    def __init__(
        self, datapipe: Any, num_instances: int, buffer_size: int = 1000, copy: str | None = None
    ) -> None:
        if copy not in (None, "shallow", "deep"):
            raise ValueError(f"Unknown copy method `{copy}` found, please use one of None, shallow or deep")
        self._copy = {None: None, "shallow": copies.copy, "deep": copies.deepcopy}[copy]
        super().__init__(datapipe, num_instances, buffer_size)

    def __len__(self) -> int:
        return len(self.main_datapipe)

    def _put(self, sample: Any, child: int) -> None:
        if 0 <= self.buffer_size < 1 + max(map(len, self.buffers)):
            raise BufferError(
                f"ForkerIterDataPipe buffer overflow,buffer size {self.buffer_size} is insufficient."
            )
        for buffer in self.buffers:
            buffer.append(sample if self._copy is None else self._copy(sample))


class _DemultiplexerIterDataPipe(_Shared):
    def __init__(
        self,
        datapipe: Any,
        num_instances: int,
        classifier_fn: Callable[[Any], int | None],
        drop_none: bool,
        buffer_size: int,
    ) -> None:
        self.classifier_fn, self.drop_none = classifier_fn, drop_none
        super().__init__(datapipe, num_instances, buffer_size)

    def _put(self, sample: Any, child: int) -> None:
        chosen = self.classifier_fn(sample)
        if chosen is None and self.drop_none:
            return
        if chosen is None or not 0 <= chosen < self.num_instances:
            raise ValueError(
                f"Output of the classification fn should be between 0 and {self.num_instances - 1}. {chosen} "
                "is returned."
            )
        if chosen != child and 0 <= self.buffer_size <= sum(map(len, self.buffers)):
            raise BufferError(
                f"DemultiplexerIterDataPipe buffer overflow, buffer size {self.buffer_size} is insufficient."
            )
        self.buffers[chosen].append(sample)


def _check_count(num_instances: int) -> None:
    if num_instances < 1:
        raise ValueError(f"Expected `num_instances` larger than 0, but {num_instances} is found")


@functional_datapipe("fork")
class ForkerIterDataPipe(IterDataPipe[Any]):
    """Several pipes with all samples of one, none of which may be more than `buffer_size` samples ahead.

    With `copy` "shallow" or "deep" each has copies of the samples.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> a, b = IterableWrapper(range(3)).fork(2)
    >>> list(a), list(b)
    ([0, 1, 2], [0, 1, 2])
    """

    def __new__(cls, datapipe: Any, num_instances: int, buffer_size: int = 1000, copy: Any = None) -> Any:
        _check_count(num_instances)
        if num_instances == 1 and copy is None:
            return datapipe
        shared = _ForkerIterDataPipe(datapipe, num_instances, buffer_size, copy)
        return [_ChildDataPipe(shared, k) for k in range(num_instances)]


@functional_datapipe("demux")
class DemultiplexerIterDataPipe(IterDataPipe[Any]):
    """Several pipes, each with the samples for which `classifier_fn` gives its number.

    Samples for which it gives None are an error, or left out with `drop_none`.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> even, odd = IterableWrapper(range(5)).demux(2, lambda n: n % 2)
    >>> list(even), list(odd)
    ([0, 2, 4], [1, 3])
    """

    def __new__(
        cls,
        datapipe: Any,
        num_instances: int,
        classifier_fn: Callable[[Any], int | None],
        drop_none: bool = False,
        buffer_size: int = 1000,
    ) -> Any:
        _check_count(num_instances)
        shared = _DemultiplexerIterDataPipe(datapipe, num_instances, classifier_fn, drop_none, buffer_size)
        return [_ChildDataPipe(shared, k) for k in range(num_instances)]


__getattr__ = getter(__name__)
