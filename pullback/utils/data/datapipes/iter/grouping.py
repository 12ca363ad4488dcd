"""Pipes of batches and of groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._batching import OfBatches
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe

__all__ = ["BatcherIterDataPipe", "GrouperIterDataPipe", "UnBatcherIterDataPipe"]


@functional_datapipe("batch")
class BatcherIterDataPipe(OfBatches, IterDataPipe[Any]):
    """Batches of `batch_size` samples, the last shorter, or left out with `drop_last`.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(5)).batch(2))
    [[0, 1], [2, 3], [4]]
    """

    def __iter__(self) -> Iterator[Any]:
        batch: list[Any] = []
        for sample in self.datapipe:
            batch.append(sample)
            if len(batch) == self.batch_size:
                yield self.wrapper_class(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.wrapper_class(batch)


@functional_datapipe("unbatch")
class UnBatcherIterDataPipe(IterDataPipe[Any]):
    """The samples of batches, `unbatch_level` lists deep; -1 goes down to what is no list.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([[[0, 1], [2]], [[3]]]).unbatch(unbatch_level=-1))
    [0, 1, 2, 3]
    """

    def __init__(self, datapipe: Any, unbatch_level: int = 1) -> None:
        self.datapipe, self.unbatch_level = datapipe, unbatch_level

    def __iter__(self) -> Iterator[Any]:
        for element in self.datapipe:
            yield from self._below(element, self.unbatch_level)

    def _below(self, element: Any, level: int) -> Iterator[Any]:
        if level < -1:
            raise ValueError("unbatch_level must be -1 or >= 0")
        if level == 0 or (level == -1 and not isinstance(element, list)):
            yield element
        elif not isinstance(element, list):
            raise IndexError(f"unbatch_level {self.unbatch_level} exceeds the depth of the DataPipe")
        else:
            for item in element:
                yield from self._below(item, level if level == -1 else level - 1)


@functional_datapipe("groupby")
class GrouperIterDataPipe(IterDataPipe[Any]):
    """Lists of samples with the same key, in the order in which they become full.

    A group has at most `group_size` samples. `buffer_size` samples are kept; when there are more the largest
    group is given as it is if it has `guaranteed_group_size` samples, else that is an error or, with
    `drop_remaining`, dropped.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(["a1", "b1", "a2"]).groupby(lambda name: name[0]))
    [['a1', 'a2'], ['b1']]
    """

    def __init__(
        self,
        datapipe: Any,
        group_key_fn: Callable[[Any], Any],
        *,
        keep_key: bool = False,
        buffer_size: int = 10000,
        group_size: int | None = None,
        guaranteed_group_size: int | None = None,
        drop_remaining: bool = False,
    ) -> None:
        self.datapipe, self.group_key_fn, self.keep_key = datapipe, group_key_fn, keep_key
        self.max_buffer_size, self.group_size = buffer_size, group_size
        if group_size is not None and buffer_size is not None:
            if not 0 < group_size <= buffer_size:
                raise AssertionError("group_size must be > 0 and <= buffer_size")
            self.guaranteed_group_size: int | None = group_size
        else:
            self.guaranteed_group_size = None
        if guaranteed_group_size is not None:
            if group_size is None or not 0 < guaranteed_group_size <= group_size:
                raise AssertionError(
                    "guaranteed_group_size must be > 0 and <= group_size and group_size must be set"
                )
            self.guaranteed_group_size = guaranteed_group_size
        self.drop_remaining = drop_remaining

    def _given(self, key: Any, group: list[Any]) -> Any:
        return (key, group) if self.keep_key else group

    def _make_room(self, groups: dict[Any, list[Any]]) -> tuple[Any, list[Any]]:
        """Takes the largest group out."""
        key = max(groups, key=lambda one: len(groups[one]))
        group = groups.pop(key)
        small = self.guaranteed_group_size is not None and len(group) < self.guaranteed_group_size
        if small and not self.drop_remaining:
            raise RuntimeError("Failed to group items", str(group))
        return key, [] if small or (self.guaranteed_group_size is None and self.drop_remaining) else group

    def __iter__(self) -> Iterator[Any]:
        groups: dict[Any, list[Any]] = defaultdict(list)
        kept = 0
        for sample in self.datapipe:
            key = self.group_key_fn(sample)
            groups[key].append(sample)
            kept += 1
            if self.group_size is not None and self.group_size == len(groups[key]):
                group = groups.pop(key)
                kept -= len(group)
                yield self._given(key, group)
            if kept == self.max_buffer_size:
                key, group = self._make_room(groups)
                kept = sum(map(len, groups.values()))
                if group:
                    yield self._given(key, group)
        for key in tuple(groups):
            group = groups.pop(key)
            yield self._given(key, group)


__getattr__ = getter(__name__)
