"""Pipes that call a function of each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data._utils.collate import default_collate
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe
from pullback.utils.data.datapipes.utils.common import validate_input_col

__all__ = ["CollatorIterDataPipe", "MapperIterDataPipe"]


@functional_datapipe("map")
class MapperIterDataPipe(IterDataPipe[Any]):
    """What a function gives for each sample, or for the columns `input_col` of it.

    Of a sample that is a tuple, list or dict `input_col` picks one or several; the result takes the place of
    the first, of `output_col`, or, with -1, comes behind all.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper([(1, 2), (3, 4)]).map(lambda n: n * 10, input_col=0))
    [(10, 2), (30, 4)]
    """

    def __init__(
        self, datapipe: Any, fn: Callable[..., Any], input_col: Any = None, output_col: Any = None
    ) -> None:
        self.datapipe, self.fn, self.input_col = datapipe, fn, input_col
        if input_col is None and output_col is not None:
            raise ValueError("`output_col` must be None when `input_col` is None.")
        if isinstance(output_col, (list, tuple)):
            if len(output_col) > 1:
                raise ValueError("`output_col` must be a single-element list or tuple")
            output_col = output_col[0]
        self.output_col = output_col
        validate_input_col(fn, input_col)

    def _apply_fn(self, data: Any) -> Any:
        columns = self.input_col
        if columns is None:
            return self.fn(data)
        several = isinstance(columns, (list, tuple))
        result = self.fn(*[data[column] for column in columns]) if several else self.fn(data[columns])
        made: Any = (
            list(data) if isinstance(data, tuple) else data.copy() if isinstance(data, dict) else list(data)
        )
        if self.output_col == -1:
            made.append(result)
        elif self.output_col is not None:
            made[self.output_col] = result
        elif several:
            made[columns[0]] = result
            for column in sorted(columns[1:], reverse=True):
                del made[column]
        else:
            made[columns] = result
        return tuple(made) if isinstance(data, tuple) else made

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            yield self._apply_fn(data)

    def __len__(self) -> int:
        return len(self.datapipe)


def _collated_columns(conversion: Any, item: Any) -> Any:
    """The columns of a batch, a data frame, each collated by its own function."""
    names = list(item.columns)
    for name in conversion:
        if name not in names:
            raise RuntimeError("Conversion keys missing from DataFrame")
    columns = []
    for name in names:
        rule = conversion.get(name, default_collate)
        columns.append((rule if callable(rule) else default_collate)(item[name]))
    return tuple(columns)


@functional_datapipe("collate")
class CollatorIterDataPipe(MapperIterDataPipe):
    """The batches of a pipe, each as tensors: `default_collate` of it, or what `collate_fn` gives.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(4)).batch(2).collate())
    [tensor([0, 1]), tensor([2, 3])]
    """

    def __init__(
        self, datapipe: Any, conversion: Any = default_collate, collate_fn: Callable[..., Any] | None = None
    ) -> None:
        if collate_fn is not None:
            super().__init__(datapipe, fn=collate_fn)
        elif callable(conversion):
            super().__init__(datapipe, fn=conversion)
        else:
            super().__init__(datapipe, fn=lambda item: _collated_columns(conversion, item))


__getattr__ = getter(__name__)
