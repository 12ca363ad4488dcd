"""A pipe of some samples of another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_
from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe
from pullback.utils.data.datapipes.utils.common import validate_input_col

__all__ = ["FilterIterDataPipe"]


@functional_datapipe("filter")
class FilterIterDataPipe(IterDataPipe[Any]):
    """The samples for which a function, of them or of their columns `input_col`, is True.

    >>> from pullback.utils.data.datapipes.iter import IterableWrapper
    >>> list(IterableWrapper(range(5)).filter(lambda n: n % 2 == 0))
    [0, 2, 4]
    """

    def __init__(self, datapipe: Any, filter_fn: Callable[..., Any], input_col: Any = None) -> None:
        self.datapipe, self.filter_fn, self.input_col = datapipe, filter_fn, input_col
        validate_input_col(filter_fn, input_col)

    def _keeps(self, data: Any) -> bool:
        columns = self.input_col
        if columns is None:
            found = self.filter_fn(data)
        elif isinstance(columns, (list, tuple)):
            found = self.filter_fn(*[data[column] for column in columns])
        else:
            found = self.filter_fn(data[columns])
        truth = isinstance(found, (bool, np.bool_)) or (isinstance(found, Tensor) and found.dtype == bool_)
        if not truth:
            raise ValueError(
                f"Boolean output is required for `filter_fn` of {type(self).__name__}, got", type(found)
            )
        return bool(found)

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            if self._keeps(data):
                yield data


__getattr__ = getter(__name__)
