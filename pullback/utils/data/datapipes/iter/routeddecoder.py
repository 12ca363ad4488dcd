"""A pipe of decoded files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes._decorator import functional_datapipe
from pullback.utils.data.datapipes.datapipe import IterDataPipe
from pullback.utils.data.datapipes.utils.common import validate_pathname_binary_tuple
from pullback.utils.data.datapipes.utils.decoder import (
    Decoder,
    basichandlers,
    extension_extract_fn,
    imagehandler,
)

__all__ = ["RoutedDecoderIterDataPipe"]


@functional_datapipe("routed_decode")
class RoutedDecoderIterDataPipe(IterDataPipe[Any]):
    """Of pairs of a path and a stream, the path with what the first handler that knows its extension reads.

    Without handlers these are `basichandlers` and `imagehandler("torch")`.
    """

    def __init__(
        self,
        datapipe: Any,
        *handlers: Callable[..., Any],
        key_fn: Callable[[str], str] = extension_extract_fn,
    ) -> None:
        self.datapipe = datapipe
        self.decoder = Decoder(*(handlers or (basichandlers, imagehandler("torch"))), key_fn=key_fn)

    def add_handler(self, *handler: Callable[..., Any]) -> None:
        """Adds handlers behind the others."""
        self.decoder.add_handler(*handler)

    def __iter__(self) -> Iterator[Any]:
        for data in self.datapipe:
            validate_pathname_binary_tuple(data)
            name = data[0]
            yield name, self.decoder({name: data[1]})[name]

    def __len__(self) -> int:
        return len(self.datapipe)


__getattr__ = getter(__name__)
