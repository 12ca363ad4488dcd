"""The brackets: `x[key]` and `x[key] = value`.

A key of ints, slices, None and Ellipsis makes a view, one op whatever its length: `basic`. Tensors, lists
and masks pick elements one by one: first the rest of the key is applied as a view, then `index` reads, or
`index_put` writes, what the tensors say (index.py). keys.py parts a key so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor
from pullback.core._plans import Spec
from pullback.core._views import indexed
from pullback.core.dtypes import bool_, int32, int64
from pullback.core.op import op
from pullback.ops.indexing.index import index, write_at
from pullback.ops.indexing.keys import full_name, parse, why_refused
from pullback.ops.shared.flat_indices import WHOLE


@op(name="basic", places="", view=True, linear=True, lookup="index")
def _basic(self: Spec, key: Any) -> Spec:
    """The view `self[key]` of ints, slices, None and one Ellipsis."""
    found = indexed(self, key)
    if found is None:
        raise IndexError(why_refused(self.shape, key))
    return found


@_basic.batch
def _basic_batch(level: Any, op: Op, self: Any, key: Any) -> Any:
    try:
        return level.wrap(op(self.physical, (slice(None), *key)))
    except IndexError:
        _basic.seen(self._layout, key)  # the message for a sample
        raise


_basic.vjp(self=lambda g, self_shape, key: ops.embed(g, self_shape, "basic", (key,)))


def _basic_name(saved: dict[str, Any]) -> str:
    key = [part for part in saved["key"] if part is not Ellipsis]
    if len(key) == 1 and type(key[0]) is slice:
        return "SliceBackward0"
    for part in reversed(key):
        if part is None:
            return "UnsqueezeBackward0"
        if type(part) is not slice:
            return "SelectBackward0"
        if part != WHOLE:
            return "SliceBackward0"
    return "AliasBackward0"


_basic.variant = _basic_name


def getitem(input: Tensor, key: Any) -> Tensor:
    """`input[key]`."""
    kind = type(key)
    if kind is int:
        return _basic(input, (key, Ellipsis))
    if kind is Tensor and 0 < key.ndim <= input.ndim and key.dtype in _INDEX_DTYPES:
        return index(input, [key])
    view_key = _plain_key(key if kind is tuple else (key,))
    if view_key is not None:
        return _basic(input, view_key)
    tensors = _plain_tensors(key, input.ndim) if kind is tuple else None
    if tensors is not None:
        return index(input, tensors)
    view_key, tensors = parse(input.shape, key)
    if not tensors:
        return _basic(input, view_key)
    return index(_view_of(input, view_key), tensors)


def _plain_key(parts: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The key for `_basic`, if there are only plain ints, slices, None and an Ellipsis."""
    dots = 0
    for part in parts:
        kind = type(part)
        if kind is slice:
            if type(part.start) not in _BOUNDS or type(part.stop) not in _BOUNDS or part.step is not None:
                return None
        elif part is Ellipsis:
            dots += 1
        elif kind is not int and part is not None:
            return None
    if dots > 1:
        return None
    return parts if dots else (*parts, Ellipsis)


def _plain_tensors(parts: tuple[Any, ...], ndim: int) -> list[Any] | None:
    """What `index` takes, if there are only whole slices and tensors of integers, not more than dims."""
    found: list[Any] = []
    for part in parts:
        if type(part) is Tensor and part.ndim and part.dtype in _INTEGERS:
            found.append(part)
        elif type(part) is slice and part == WHOLE:
            found.append(None)
        else:
            return None
    return found if len(found) <= ndim else None


_BOUNDS = (int, type(None))


_INDEX_DTYPES = (int64, bool_, int32)

_INTEGERS = (int64, int32)


def _view_of(input: Tensor, key: tuple[Any, ...]) -> Tensor:
    """The view that index tensors pick from: the tensor itself if the key changes nothing."""
    if all(part is WHOLE or part is Ellipsis for part in key):
        return input
    view = _basic(input, key)
    return input if view.shape == input.shape and all(_keeps_order(part) for part in key) else view


def _keeps_order(part: Any) -> bool:
    """Whether a part of a key adds or takes no dim; the slices have steps of 1 or more."""
    return part is Ellipsis or isinstance(part, slice)


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """`input[key] = value`."""
    if isinstance(value, (float, complex, np.integer)):  # numbers of NumPy that are Python's, or whole
        value = value.item() if isinstance(value, np.generic) else value
    elif type(value) not in _PYTHON_NUMBERS and not isinstance(value, Tensor):
        raise TypeError(f"can't assign a {full_name(type(value))} to a torch.{input.dtype.type_name}Tensor")
    if not isinstance(value, Tensor):
        ops.check_number(value, input.dtype.numpy)
    tensors: list[Any] = []
    if type(key) is Tensor and 0 < key.ndim <= input.ndim and key.dtype in _INDEX_DTYPES:
        write_at(input, [key], value)
        return
    view_key = _plain_key(key if type(key) is tuple else (key,))
    if view_key is None:
        view_key, tensors = parse(input.shape, key)
    if tensors:
        write_at(_view_of(input, view_key), tensors, value)
        return
    view = input if view_key == (Ellipsis,) else _basic(input, view_key)
    if not isinstance(value, Tensor) or (not value.ndim and view.ndim):
        expanded = any(n > 1 and step == 0 for n, step in zip(view.shape, view.stride(), strict=True))
        (view.copy_ if expanded else view.fill_)(value)  # which refuses what lies in one place
    else:
        view.copy_(_fitting(value, view.shape))


_PYTHON_NUMBERS = (float, int, bool, complex)


def _fitting(value: Tensor, shape: Any) -> Tensor:
    """The value without leading dimensions of size 1 that the target has not; an error if it is too large."""
    if value.shape == shape:
        return value
    extra = value.ndim - len(shape)
    if extra > 0 and set(value.shape[:extra]) <= {1}:
        value = ops.reshape(value, value.shape[extra:])
    return value if value.shape == shape else ops.expand(value, shape)
