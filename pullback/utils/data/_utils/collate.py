"""How the samples of a batch become one: `default_collate`, and its tables for other types."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import float64, from_numpy_dtype
from pullback.face.absent import getter
from pullback.utils.data._utils.messages import empty

__all__ = ["collate", "default_collate", "default_convert"]

default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)

Collates = dict[Any, Callable[..., Any]]


def _refuse(found: Any) -> TypeError:
    return TypeError(default_collate_err_msg_format.format(found))


def _is_text(array: Any) -> bool:
    return array.dtype.kind in "SUaO"


def default_convert(data: Any) -> Any:
    """Arrays of NumPy as tensors, also within mappings and sequences; anything else as it is.

    >>> import numpy as np
    >>> import pullback as torch
    >>> torch.utils.data.default_convert({"x": np.array([1, 2]), "name": "a"})
    {'x': tensor([1, 2]), 'name': 'a'}
    """
    kind = type(data)
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if _is_text(data) else ops.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*map(default_convert, data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(item) for item in data])
    return data


def _like_mapping(data: Any, items: dict[Any, Any]) -> Any:
    """A mapping of the class of another, a plain dict if it cannot be made."""
    try:
        if isinstance(data, MutableMapping):
            twin = copy.copy(data)
            twin.update(items)
            return twin
        return type(data)(items)
    except TypeError:
        return items


def _like_sequence(data: Any, items: list[Any]) -> Any:
    """A sequence of the class of another, a plain list if it cannot be made."""
    if type(data) is list:
        return items
    try:
        if isinstance(data, MutableSequence):
            twin = copy.copy(data)
            for place, item in enumerate(items):
                twin[place] = item
            return twin
        return type(data)(items)
    except TypeError:
        return items


def collate(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """The batch of some samples: by the function of the table for their type, else part by part.

    TypeError for types that neither the table nor this function knows, RuntimeError for sequences of
    several lengths.
    """
    first = batch[0]
    kind = type(first)
    for known, function in (collate_fn_map or {}).items():
        if kind is known:
            return function(batch, collate_fn_map=collate_fn_map)
    for known, function in (collate_fn_map or {}).items():
        if isinstance(first, known):
            return function(batch, collate_fn_map=collate_fn_map)

    def together(items: Any) -> Any:
        return collate(items, collate_fn_map=collate_fn_map)

    if isinstance(first, Mapping):
        return _like_mapping(first, {key: together([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return kind(*(together(column) for column in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        size = len(first)
        if any(len(sample) != size for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [together(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like_sequence(first, columns)
    raise _refuse(kind)


def _stacked(arrays: Any) -> Any:
    """Arrays of one shape and dtype in one, where a batch can be sent from; None for any others."""
    shape, kind = arrays[0].shape, arrays[0].dtype
    for array in arrays:
        if array.shape != shape or array.dtype != kind or not array.flags.c_contiguous:
            return None
    from_numpy_dtype(kind)  # TypeError if there is no such dtype
    return (
        np.concatenate(arrays, out=empty((len(arrays) * shape[0], *shape[1:]), kind)).reshape(
            (len(arrays), *shape)
        )
        if shape
        else np.array(arrays)
    )


def collate_tensor_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Tensors, stacked."""
    if all(type(sample) is Tensor and not (sample.requires_grad or sample.is_meta) for sample in batch):
        stacked = _stacked([sample._array for sample in batch])
        if stacked is not None:
            return from_array(stacked)
    return ops.stack(list(batch), 0)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Arrays of NumPy, as tensors and stacked."""
    if _is_text(batch[0]):
        raise _refuse(batch[0].dtype)
    stacked = _stacked(batch)
    return (
        ops.stack([ops.as_tensor(sample) for sample in batch], 0) if stacked is None else from_array(stacked)
    )


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Numbers of NumPy, as one tensor."""
    return ops.as_tensor(np.array(batch))


def collate_float_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Floats, as one tensor of float64."""
    return ops.tensor(batch, dtype=float64)


def collate_int_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Integers, as one tensor."""
    return ops.tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: Collates | None = None) -> Any:
    """Texts, as they are."""
    return batch


default_collate_fn_map: Collates = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """The batch of some samples: tensors stacked, numbers as a tensor, containers part by part.

    >>> import pullback as torch
    >>> torch.utils.data.default_collate([(torch.tensor([1.0, 2.0]), 0), (torch.tensor([3.0, 4.0]), 1)])
    [tensor([[1., 2.],
            [3., 4.]]), tensor([0, 1])]
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


__getattr__ = getter(__name__)
