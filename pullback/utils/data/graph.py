"""`torch.utils.data.graph`: which data pipes a pipe is made of."""

from __future__ import annotations

import io
import pickle
from typing import Any

from pullback.face.absent import getter
from pullback.utils.data.datapipes.datapipe import IterDataPipe, MapDataPipe, _Pipe

__all__ = ["traverse", "traverse_dps"]


class _Finder(pickle.Pickler):
    """Pickles a pipe into nothing, and notes the pipes that it refers to."""

    def __init__(self, pipe: Any, only_datapipe: bool) -> None:
        super().__init__(io.BytesIO())
        self.pipe, self.only_datapipe, self.found = pipe, only_datapipe, list[Any]()

    def reducer_override(self, x: Any) -> Any:
        if x is self.pipe:
            state = x.__dict__
            if self.only_datapipe:
                state = {key: value for key, value in state.items() if _holds_pipes(value)}
            return _nothing, (), state
        if isinstance(x, _Pipe):
            self.found.append(x)
            return _nothing, ()
        return NotImplemented


def _nothing() -> None:
    return None


def _holds_pipes(value: Any) -> bool:
    """Whether a value is a pipe, or a collection that has one."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        return any(map(_holds_pipes, value))
    return isinstance(value, _Pipe)


def _sources(pipe: Any, only_datapipe: bool) -> list[Any]:
    finder = _Finder(pipe, only_datapipe)
    hooks = _Pipe.getstate_hook, _Pipe.reduce_ex_hook
    _Pipe.getstate_hook = _Pipe.reduce_ex_hook = None
    try:
        finder.dump(pipe)
    finally:
        _Pipe.getstate_hook, _Pipe.reduce_ex_hook = hooks
    return list({id(x): x for x in finder.found}.values())


def traverse_dps(datapipe: Any) -> dict[int, Any]:
    """The pipes that a pipe is made of: `{id(pipe): (pipe, {those that it is made of})}`.

    Those are looked for in its attributes, and in the collections there.
    """
    return _traverse(datapipe, True, set())


def traverse(datapipe: Any, only_datapipe: bool | None = None) -> dict[int, Any]:
    """As `traverse_dps`; with `only_datapipe=False` all attributes are walked through, as a pickle would."""
    return _traverse(datapipe, only_datapipe is not False, set())


def _traverse(datapipe: Any, only_datapipe: bool, above: set[int]) -> dict[int, Any]:
    if not isinstance(datapipe, (IterDataPipe, MapDataPipe)):
        raise RuntimeError(f"Expected `IterDataPipe` or `MapDataPipe`, but {type(datapipe)} is found")
    if id(datapipe) in above:
        return {}
    below: dict[int, Any] = {}
    for source in _sources(datapipe, only_datapipe):
        below.update(_traverse(source, only_datapipe, above | {id(datapipe)}))
    return {id(datapipe): (datapipe, below)}


__getattr__ = getter(__name__)
