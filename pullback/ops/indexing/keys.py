"""Keys in brackets: what `x[key]` names, and what is no key, in PyTorch's words.

`parse` parts a key into ints, slices, None and Ellipsis, which make a view, and the tensors, lists and masks
that pick elements of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.settings import warn
from pullback.ops.shared.flat_indices import WHOLE


def parse(shape: tuple[int, ...], written: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """A key as a key for `_basic`, and the index tensors on the dimensions of what that shows.

    The list has None for dimensions that no tensor picks from, and is empty if there are no tensors.
    """
    if isinstance(written, tuple):
        parts = written
    elif isinstance(written, (list, range)) and _is_tuple_like(written):
        warn(AS_TUPLE)
        parts = tuple(written)
    else:
        parts = (written,)
    key: list[Any] = []
    tensors: list[Any] = []
    dims = sum(_dims_of(part) for part in parts)
    if dims > len(shape):
        _check_first(shape, parts)
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    dotted = False
    for part in parts:
        kind = type(part)
        if kind is int:
            key.append(part)
        elif kind is slice:
            key.append(_step_checked(part))
            tensors.append(None)
        elif part is None:
            key.append(None)
            tensors.append(None)
        elif part is Ellipsis:
            if not dotted:
                rest = len(shape) - dims
                key.extend([WHOLE] * rest)
                tensors.extend([None] * rest)
            dotted = True
        elif kind is bool or _is_truth(part):
            key.append(None)
            tensors.append(from_array(np.array([bool(part)])))
        elif _is_integer(part):
            key.append(int(part.item()))
        elif isinstance(part, (Tensor, np.ndarray, list, tuple, range)):
            picked = _index_tensor(part)
            width = picked.ndim if picked.dtype.name == "bool" else 1
            key.extend([WHOLE] * width)
            tensors.append(picked)
            tensors.extend([_COVERED] * (width - 1))
        elif hasattr(kind, "__index__"):
            key.append(part.__index__())
        else:
            raise _not_an_index(kind)
    if not any(isinstance(part, Tensor) for part in tensors):
        return (*key, Ellipsis), []
    return (*key, Ellipsis), [part for part in tensors if part is not _COVERED]


_COVERED = object()  # a dimension that the mask before it spans


def _is_tuple_like(key: Any) -> bool:
    """Whether a list stands for a tuple of indices: if it holds anything but numbers."""
    if len(key) >= 32:
        return False
    return any(
        part is None or part is Ellipsis or isinstance(part, (Tensor, slice, list, tuple, np.ndarray))
        for part in key
    )


def _index_tensor(part: Any) -> Tensor:
    """A tensor, an array or a list as a tensor of indices or a mask."""
    if isinstance(part, Tensor):
        tensor = part
    else:
        array = np.asarray(part)
        tensor = from_array(array.astype(np.int64) if not array.size else array)
    name = tensor.dtype.name
    if name == "uint8":
        warn(OLD_MASK)
        return tensor != 0
    if name not in ("int64", "int32", "bool"):
        raise IndexError(BAD_KIND)
    return tensor


def _step_checked(part: slice) -> slice:
    """The slice with plain ints; ValueError unless its step is positive."""
    bounds = (part.start, part.stop, part.step)
    if any(bound is not None and type(bound) is not int for bound in bounds):
        part = slice(*[None if bound is None else _slice_bound(bound) for bound in bounds])
    if part.step is not None and part.step <= 0:
        raise ValueError("step must be greater than zero" if part.step else "slice step cannot be zero")
    return part


def _slice_bound(bound: Any) -> int:
    if isinstance(bound, Tensor):
        bound = bound.item()
    if not hasattr(type(bound), "__index__"):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return bound.__index__()


def _is_mask(part: Any) -> bool:
    name = part.dtype.name
    return name in ("bool", "uint8")


def _is_integer(part: Any) -> bool:
    """Whether a tensor or array is one integer, the same for a whole batch."""
    if not isinstance(part, (Tensor, np.ndarray)) or part.ndim or _many(part):
        return False
    return np.dtype(part.dtype.name).kind in "iu" and part.dtype.name != "uint8"


def _many(part: Any) -> bool:
    """Whether an index is one of a batch, which has no single value."""
    return hasattr(type(part), "physical")


def _is_truth(part: Any) -> bool:
    if isinstance(part, np.bool_):
        return True
    return isinstance(part, (Tensor, np.ndarray)) and part.ndim == 0 and _is_mask(part)


def _dims_of(part: Any) -> int:
    """How many of the tensor's dimensions one part of a key takes."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    if isinstance(part, (Tensor, np.ndarray)) and _is_mask(part):
        return part.ndim
    return 1


def _check_first(shape: tuple[int, ...], parts: tuple[Any, ...]) -> None:
    """The messages that come before that of too many indices."""
    if not shape and isinstance(parts[0], slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if not shape and isinstance(parts[0], int):
        raise IndexError(why_refused(shape, parts))
    dim = 0
    for part in parts:
        if isinstance(part, (Tensor, np.ndarray)) and _is_mask(part) and dim < len(shape):
            check_mask(shape, dim, tuple(part.shape))
        dim += _dims_of(part)


def _not_an_index(kind: type) -> Exception:
    if kind is str:
        return TypeError("new(): invalid data type 'str'")
    if hasattr(kind, "__float__") or kind.__module__ != "numpy":
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        return IndexError(NOT_AN_INDEX.format(name))
    return IndexError(NOT_AN_INDEX.format(kind.__name__))


def full_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


# ---------------------------------------------------------------------------------------- refusals

NOT_AN_INDEX = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
    "indices (got {})"
)
AS_TUPLE = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in "
    "pytorch 2.9; use x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as "
    "tensor index, x[torch.tensor(seq)], which will result either in an error or a different result"
)
BAD_KIND = "tensors used as indices must be long, int, byte or bool tensors"
OLD_MASK = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."


def why_refused(shape: tuple[int, ...], key: tuple[Any, ...]) -> str:
    """The message for a key that NumPy refused."""
    parts = [part for part in key if part is not None and part is not Ellipsis]
    for part in parts:
        if not isinstance(part, slice) and not hasattr(type(part), "__index__"):
            name = type(part).__name__
            module = type(part).__module__
            return NOT_AN_INDEX.format(name if module == "builtins" else f"{module}.{name}")
    if not shape:
        return (
            "slice() cannot be applied to a 0-dim tensor."
            if isinstance(parts[0], slice)
            else "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
            "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number"
        )
    if len(parts) > len(shape):
        return f"too many indices for tensor of dimension {len(shape)}"
    dim = 0
    for part in key:
        if part is Ellipsis:
            dim = len(shape) - (len(parts) - dim)
        elif part is not None:
            n = shape[dim]
            if not isinstance(part, slice) and not -n <= part < n:
                return f"index {part} is out of bounds for dimension {dim} with size {n}"
            dim += 1
    return "invalid index"


def check_mask(shape: tuple[int, ...], dim: int, mask: tuple[int, ...]) -> None:
    for d, n in enumerate(mask):
        if dim + d >= len(shape) or shape[dim + d] != n:
            raise IndexError(
                f"The shape of the mask {list(mask)} at index {d} does not match the shape of the "
                f"indexed tensor {list(shape)} at index {dim + d}"
            )
