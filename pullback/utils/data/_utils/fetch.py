"""How a DataLoader gets the samples of a batch from a data set."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data._utils.collate import default_collate

__all__ = ["_IterableDatasetFetcher", "_MapDatasetFetcher"]


class _MapDatasetFetcher:
    """Samples by index, several at once where the data set can."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        self.dataset = dataset
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.whole = getattr(dataset, "collated", None) if collate_fn is default_collate else None
        self.several = getattr(dataset, "__getitems__", None)

    def fetch(self, possibly_batched_index: Any) -> Any:
        """The batch, or the sample, of an index."""
        if not self.auto_collation:
            return self.collate_fn(self.dataset[possibly_batched_index])
        if self.whole is not None:
            batch = self.whole(possibly_batched_index)
            if batch is not None:
                return batch
        if self.several:
            return self.collate_fn(self.several(possibly_batched_index))
        dataset = self.dataset
        return self.collate_fn([dataset[index] for index in possibly_batched_index])


class _IterableDatasetFetcher:
    """Samples one after another."""

    def __init__(
        self, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
    ) -> None:
        self.dataset_iter = iter(dataset)
        self.auto_collation = auto_collation
        self.collate_fn = collate_fn
        self.drop_last = drop_last
        self.ended = False

    def fetch(self, possibly_batched_index: Sequence[Any] | None) -> Any:
        """The next batch, or sample; StopIteration when there is none."""
        if self.ended:
            raise StopIteration
        if not self.auto_collation:
            return self.collate_fn(next(self.dataset_iter))
        size = len(possibly_batched_index or ())
        samples = list(itertools.islice(self.dataset_iter, size))
        self.ended = len(samples) < size
        if not samples or (self.drop_last and self.ended):
            raise StopIteration
        return self.collate_fn(samples)


def fetcher(
    iterable: bool, dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool
) -> Any:
    """The fetcher of a data set of either kind."""
    kind = _IterableDatasetFetcher if iterable else _MapDatasetFetcher
    return kind(dataset, auto_collation, collate_fn, drop_last)


__getattr__ = getter(__name__)
