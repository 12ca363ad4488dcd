"""Indexing with brackets: `x[key]` and `x[key] = value`.

A key of ints, slices, None and Ellipsis makes a view, one op whatever its length: `_basic`. Tensors,
lists and masks pick elements one by one: first the rest of the key is applied as a view, then `index`
reads, or `index_put` writes, what the tensors say. `parse` parts a key so.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array
from pullback.core._loops import strided
from pullback.core.dtype_names import type_name
from pullback.core.dtypes import bool_, int32, int64
from pullback.core.op import function, op
from pullback.core.settings import warn
from pullback.core.types import Tensors
from pullback.ops.shared.batches import padded, rank
from pullback.ops.shared.flat_places import WHOLE, accumulate, compact, key_places

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
BATCHED_MASK = (
    "vmap: We do not support batching operators that can support dynamic shape. Attempting to batch "
    "over indexing with a boolean mask."
)
OLD_MASK = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."

# ------------------------------------------------------------------------------------------ views


@op(name="basic", places="", view=True, linear=True)
def _basic(self: Tensor, key):
    """The view `self[key]` of ints, slices, None and one Ellipsis."""
    try:
        view = self[key]
    except IndexError:
        raise IndexError(_why(self.shape, key)) from None
    if not view.size and self.size:
        view = _begun(self, view, key)
    return _with_unit_strides(view) if None in key else view


@_basic.batch
def _basic_batch(level: Any, op: Op, self: Any, key: Any) -> Any:
    try:
        return level.wrap(op(self.physical, (slice(None), *key)))
    except IndexError:
        _basic.kernel(self._array, key)  # the message for a sample
        raise


def _begun(a: Any, view: Any, key: tuple[Any, ...]) -> Any:
    """An empty slice that begins where its slices do: NumPy's begins with the array."""
    parts = [part for part in key if part is not None]
    gap = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    dims = [*range(gap), None, *range(a.ndim - (len(parts) - gap - 1), a.ndim)]
    offset = 0
    for part, dim in zip(parts, dims, strict=False):
        if isinstance(part, slice) and dim is not None:
            offset += part.indices(a.shape[dim])[0] * (a.strides[dim] // a.itemsize)
        elif dim is not None:
            offset += (part + a.shape[dim] * (part < 0)) * (a.strides[dim] // a.itemsize)
    return strided(a, view.shape, tuple(step // a.itemsize for step in view.strides), offset)


def _with_unit_strides(a: Any) -> Any:
    """New dimensions have a stride of zero in NumPy; here, that of a whole row, as in PyTorch."""
    shape, item = a.shape, a.itemsize
    strides = [step // item for step in a.strides]
    for d in range(len(shape) - 1, -1, -1):
        if shape[d] == 1 and not strides[d]:
            strides[d] = shape[d + 1] * strides[d + 1] if d + 1 < len(shape) else 1
    return strided(a, shape, tuple(strides), 0)


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


def _why(shape: tuple[int, ...], key: tuple[Any, ...]) -> str:
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
    place = 0
    for part in key:
        if part is Ellipsis:
            place = len(shape) - (len(parts) - place)
        elif part is not None:
            n = shape[place]
            if not isinstance(part, slice) and not -n <= part < n:
                return f"index {part} is out of bounds for dimension {place} with size {n}"
            place += 1
    return "invalid index"


# ------------------------------------------------------------------------------------- parsing


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
        found = part
    else:
        array = np.asarray(part)
        found = from_array(array.astype(np.int64) if not array.size else array)
    name = found.dtype.name
    if name == "uint8":
        warn(OLD_MASK)
        return found != 0
    if name not in ("int64", "int32", "bool"):
        raise IndexError(BAD_KIND)
    return found


def _step_checked(part: slice) -> slice:
    """The slice with plain ints; ValueError unless its step is positive."""
    bounds = (part.start, part.stop, part.step)
    if any(bound is not None and type(bound) is not int for bound in bounds):
        part = slice(*[None if bound is None else _bound(bound) for bound in bounds])
    if part.step is not None and part.step <= 0:
        raise ValueError("step must be greater than zero" if part.step else "slice step cannot be zero")
    return part


def _bound(bound: Any) -> int:
    if isinstance(bound, Tensor):
        bound = bound.item()
    if not hasattr(type(bound), "__index__"):
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    return bound.__index__()


def parse(shape: tuple[int, ...], given: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """A key as a key for `_basic`, and the index tensors on the dimensions of what that shows.

    The list has None for dimensions that no tensor picks from, and is empty if there are no tensors.
    """
    if isinstance(given, tuple):
        parts = given
    elif isinstance(given, (list, range)) and _is_tuple_like(given):
        warn(AS_TUPLE)
        parts = tuple(given)
    else:
        parts = (given,)
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
        elif isinstance(part, (Tensor, np.ndarray)) and part.ndim == 0 and _is_int(part) and not _many(part):
            key.append(int(part.item()))
        elif isinstance(part, (Tensor, np.ndarray, list, tuple, range)):
            found = _index_tensor(part)
            width = found.ndim if found.dtype.name == "bool" else 1
            key.extend([WHOLE] * width)
            tensors.append(found)
            tensors.extend([_COVERED] * (width - 1))
        elif hasattr(kind, "__index__"):
            key.append(part.__index__())
        else:
            raise _refused(kind)
    if not any(isinstance(part, Tensor) for part in tensors):
        return (*key, Ellipsis), []
    return (*key, Ellipsis), [part for part in tensors if part is not _COVERED]


_COVERED = object()  # a dimension that the mask before it spans


def _check_first(shape: tuple[int, ...], parts: tuple[Any, ...]) -> None:
    """The messages that come before that of too many indices."""
    if not shape and isinstance(parts[0], slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if not shape and isinstance(parts[0], int):
        raise IndexError(_why(shape, parts))
    place = 0
    for part in parts:
        if isinstance(part, (Tensor, np.ndarray)) and _is_mask(part) and place < len(shape):
            _check_mask(shape, place, tuple(part.shape))
        place += _dims_of(part)


def _is_mask(part: Any) -> bool:
    name = part.dtype.name
    return name in ("bool", "uint8")


def _is_int(part: Any) -> bool:
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


def _refused(kind: type) -> Exception:
    if kind is str:
        return TypeError("new(): invalid data type 'str'")
    if hasattr(kind, "__float__") or kind.__module__ != "numpy":
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        return IndexError(NOT_AN_INDEX.format(name))
    return IndexError(NOT_AN_INDEX.format(kind.__name__))


# ------------------------------------------------------------------------------- index, index_put


def _key_of(self: Any, indices: Any) -> tuple[Any, ...]:
    """The NumPy key of index arrays and None; IndexError in PyTorch's words."""
    key: list[Any] = []
    place = 0
    for part in indices:
        if part is None:
            key.append(WHOLE)
            place += 1
        elif part.dtype == np.uint8 or part.dtype == bool:
            _check_mask(self.shape, place, part.shape)
            key.append(part.astype(bool, copy=False))
            place += part.ndim
        else:
            key.append(part)
            place += 1
    if place > self.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self.ndim} (got {place})")
    return tuple(key)


def _check_mask(shape: tuple[int, ...], place: int, mask: tuple[int, ...]) -> None:
    for d, n in enumerate(mask):
        if place + d >= len(shape) or shape[place + d] != n:
            raise IndexError(
                f"The shape of the mask {list(mask)} at index {d} does not match the shape of the "
                f"indexed tensor {list(shape)} at index {place + d}"
            )


def _explain(self: Any, key: tuple[Any, ...]) -> IndexError:
    """The message for index arrays that NumPy refused."""
    place, shapes = 0, []
    for part in key:
        if part is not WHOLE and part.dtype != bool:
            n = self.shape[place]
            shapes.append(part.shape)
            bad = part[(part < -n) | (part >= n)]
            if bad.size:
                if not n:
                    return IndexError("index is out of bounds for dimension with size 0")
                return IndexError(
                    f"index {bad.ravel()[0]} is out of bounds for dimension {place} with size {n}"
                )
        elif part is not WHOLE:
            shapes.append((int(part.sum()),))
        place += 1 if part is WHOLE or part.dtype != bool else part.ndim
    listed = ", ".join(str(list(shape)) for shape in shapes)
    return IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes {listed}"
    )


@op(places="", moves=True, linear=True)
def index(self: Tensor, indices: Tensors):
    """The elements of `self` that the index tensors pick; None for a dimension to take whole."""
    key = _key_of(self, indices)
    try:
        return compact(self[key])
    except IndexError:
        raise _explain(self, key) from None


index.vjp(self=lambda g, self_shape, indices: index_sum(g, indices, self_shape))


@op(places="", moves=True, linear=True)
def index_sum(self: Tensor, indices: Tensors, shape):
    """The gradient of `index`: zeros of a shape, with `self` added up at the picked places."""
    whole = np.zeros(shape, self.dtype)
    accumulate(np.add, whole, key_places(whole.shape, _key_of(whole, indices)), self)
    return whole


index_sum.vjp(self=lambda g, indices: index(g, indices))


@op(name="index_put", places="", writes="K", linear=True)
def _index_put(self: Tensor, indices: Tensors, values: Tensor, accumulate_values):
    """`self` with `values` written, or added, at the picked places."""
    if values.dtype != self.dtype:
        kinds = [type_name(a) for a in (self, values)]
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {kinds[0]} for the "
            f"destination and {kinds[1]} for the source."
        )
    key = _key_of(self, indices)
    try:
        if accumulate_values:
            self[key]  # checks the indices
            accumulate(np.add, self, key_places(self.shape, key), values)
        else:
            self[key] = values
    except IndexError:
        raise _explain(self, key) from None
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to "
            f"indexing result of shape {list(self[key].shape)}"
        ) from None
    return self


_index_put.vjp(
    self=lambda g, indices, accumulate_values: (
        g if accumulate_values else _index_put(g, indices, ops.zeros((), dtype=g.dtype), False)
    ),
    values=lambda g, indices: index(g, indices),
)


# --------------------------------------------------------------- indices under vmap


class _Key:
    """Index tensors on samples as index tensors on physical tensors.

    Where indices are batched, each sample's are joined by its own number along the batch dim: then one
    index picks from all samples at once. `indices` is the physical list. The picked dims (`width` of
    them) stand in a sample's result from `place` on, and in the physical result from `physical_place`
    on, counted with the batch; if `joined`, the batch is the first of them, else it stands elsewhere.
    """

    def __init__(self, level: Any, indices: Any, self_batched: bool) -> None:
        flat = [x for index in indices for x in _without_mask(level, index)]
        picked = [i for i, x in enumerate(flat) if x is not None]
        self.width = max(rank(flat[i]) for i in picked)
        self.joined = any(level.holds(x) for x in flat)
        adjacent = picked[-1] - picked[0] + 1 == len(picked)
        self.place = picked[0] if adjacent else 0
        physical: list[Any] = [padded(x.physical, self.width) if level.holds(x) else x for x in flat]
        if self.joined and self_batched:
            numbers = ops.reshape(ops.arange(level.size), (level.size,) + (1,) * self.width)
            physical.insert(0, numbers)
            self.physical_place = 0
        elif self_batched:
            physical.insert(0, None)
            self.physical_place = self.place + 1 if adjacent else 0
        else:
            self.physical_place = self.place if adjacent else 0
        self.indices = physical

    def order(self, ndim: int) -> list[int] | None:
        """The dims of the physical result, in the order batch first and then as a sample has them."""
        batch = self.physical_place if self.joined else (0 if self.physical_place else self.width)
        first = self.physical_place + self.joined
        picked = list(range(first, first + self.width))
        rest = [d for d in range(ndim) if d != batch and d not in picked]
        order = [batch, *rest[: self.place], *picked, *rest[self.place :]]
        return None if order == list(range(ndim)) else order

    def arranged(self, level: Any, values: Any, ndim: int) -> Any:
        """Values for the picked places, batch first, as the physical key wants them."""
        p = padded(level.front(values), ndim - 1)
        order = self.order(ndim)
        if order is None:
            return p
        back = [0] * ndim
        for place, dim in enumerate(order):
            back[dim] = place
        return ops.permute(p, back)


def _without_mask(level: Any, x: Any) -> list[Any]:
    """An index as one without masks."""
    if x is None or x.dtype.name != "bool":
        return [x]
    if level.holds(x):
        raise RuntimeError(BATCHED_MASK)
    return list(ops.nonzero(x, as_tuple=True))


@index.batch
def _index_batch(level: Any, op: Op, self: Any, indices: Any) -> Any:
    key = _Key(level, indices, level.holds(self))
    found = op(self.physical if level.holds(self) else self, key.indices)
    order = key.order(found.ndim)
    return level.wrap(found if order is None else ops.permute(found, order))


@index_sum.batch
def _index_sum_batch(level: Any, op: Op, self: Any, indices: Any, shape: Any) -> Any:
    key = _Key(level, indices, True)
    return level.wrap(op(key.arranged(level, self, rank(self) + 1), key.indices, (level.size, *shape)))


@_index_put.batch
def _index_put_batch(
    level: Any, op: Op, self: Any, indices: Any, values: Any, accumulate_values: bool
) -> Any:
    if any(level.holds(i) and i.dtype.name == "bool" for i in indices):
        return _masked_put(level, self, indices, values, accumulate_values)
    key = _Key(level, indices, True)
    picked = sum(i is not None for i in key.indices) - key.joined
    values = key.arranged(level, values, 1 + rank(self) - picked + key.width)
    return level.wrap(op(level.front(self), key.indices, values, accumulate_values))


def _masked_put(level: Any, self: Any, indices: Any, values: Any, adds: bool) -> Any:
    """A mask for each sample takes one value, which needs no places."""
    mask, ranks = indices[0], rank(self)
    if len(indices) != 1 or values.numel() != 1 or rank(mask) > ranks:
        raise RuntimeError(BATCHED_MASK)
    p = level.front(self)
    wide = ops.reshape(mask.physical, (*mask.physical.shape, *(1,) * (ranks - rank(mask))))
    value = ops.reshape(level.front(values), (level.size,) + (1,) * ranks)
    return level.wrap(ops.where(wide, p + value if adds else value, p))


def _index_list(name: str, indices: Any) -> list[Any]:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'indices' (position 1) must be tuple of Tensors, "
            f"not {type(indices).__name__}"
        )
    return list(indices)


@function()
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of `input` with `values` at the places that a tuple of index tensors picks.

    With `accumulate` they are added, in order. Gradients: of `input`, zero where written; of
    `values`, the result's at their places.

    >>> import pullback as torch
    >>> torch.zeros(3).index_put((torch.tensor([0, 2]),), torch.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    return _index_put(input, _index_list("index_put", indices), values, accumulate)


@function(places="tm")
def index_put_(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`index_put` into the tensor itself."""
    return _index_put.inplace(input, _index_list("index_put_", indices), values, accumulate)


# ----------------------------------------------------------------------------- the brackets


def getitem(input: Tensor, key: Any) -> Tensor:
    """`input[key]`."""
    kind = type(key)
    if kind is int:
        return _basic(input, (key, Ellipsis))
    if kind is Tensor and 0 < key.ndim <= input.ndim and key.dtype in _INDEX_DTYPES:
        return index(input, [key])
    shown = _plain_key(key if kind is tuple else (key,))
    if shown is not None:
        return _basic(input, shown)
    shown, tensors = parse(input.shape, key)
    if not tensors:
        return _basic(input, shown)
    return index(_shown(input, shown), tensors)


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


_BOUNDS = (int, type(None))
_INDEX_DTYPES = (int64, bool_, int32)


def _shown(input: Tensor, key: tuple[Any, ...]) -> Tensor:
    """The view that index tensors pick from: the tensor itself if the key changes nothing."""
    return input if all(part is WHOLE or part is Ellipsis for part in key) else _basic(input, key)


def setitem(input: Tensor, key: Any, value: Any) -> None:
    """`input[key] = value`."""
    if type(value) not in _NUMBERS and not isinstance(value, Tensor):
        raise TypeError(f"can't assign a {_full_name(type(value))} to a torch.{input.dtype.type_name}Tensor")
    tensors: list[Any] = []
    shown = _plain_key(key if type(key) is tuple else (key,))
    if shown is None:
        shown, tensors = parse(input.shape, key)
    if tensors:
        _put(_shown(input, shown), tensors, value)
        return
    view = input if shown == (Ellipsis,) else _basic(input, shown)
    if not isinstance(value, Tensor):
        view.fill_(value)
    else:
        view.copy_(value if not value.ndim else _fitting(value, view.shape))


_NUMBERS = (float, int, bool, complex)


def _full_name(kind: type) -> str:
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _fitting(value: Tensor, shape: Any) -> Tensor:
    """The value without leading dimensions of size 1 that the target has not; an error if it is too large."""
    if value.shape == shape:
        return value
    extra = value.ndim - len(shape)
    if extra > 0 and set(value.shape[:extra]) <= {1}:
        value = ops.reshape(value, value.shape[extra:])
    return value if value.shape == shape else ops.expand(value, shape)


def _put(view: Tensor, tensors: list[Any], value: Any) -> None:
    """Writes at the places of index tensors; a number, or a 0-dim tensor at a mask, is cast."""
    kind = view.dtype
    if not isinstance(value, Tensor):
        ops.check_number(value, kind.numpy)
        value = from_array(np.array(value).astype(kind.numpy))
    elif not value.ndim and len(tensors) == 1 and tensors[0].dtype.name == "bool":
        value = ops.converted(value, kind)
    _index_put.inplace(view, tensors, value, False)


@op(nondiff=True, places="", public_name="nonzero", layout="", batch="dynamic")
def nonzero_places(self: Tensor):
    """The indices of elements that are not zero, a row each."""
    return np.argwhere(self) if self.ndim else np.empty((int(self != 0), 0), np.int64)


@function()
def nonzero(input: Tensor, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of elements that are not zero, a row for each; as a tuple, a vector a dimension.

    >>> import pullback as torch
    >>> torch.nonzero(torch.tensor([0, 5, 0, 7]))
    tensor([[1],
            [3]])
    """
    if as_tuple and isinstance(input, Tensor):
        return ops.unbind(nonzero_places(input if input.ndim else ops.reshape(input, (1,))), 1)
    return nonzero_places(input, out=out)


@op(nondiff=True, layout="")
def argwhere(self: Tensor) -> Any:
    """The indices of elements that are not zero, a row for each.

    Unlike `nonzero` it runs under `vmap`, for each sample: their counts must be equal.

    >>> import pullback as torch
    >>> torch.argwhere(torch.tensor([0, 5, 0, 7]))
    tensor([[1],
            [3]])
    """
    return nonzero_places.kernel(self)


@function(places="t")
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, one tensor for each dim of `shape`, of places in a flattened tensor.

    TypeError unless the indices are integers; ValueError for a negative size.

    >>> import pullback as torch
    >>> torch.unravel_index(torch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, Sequence):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for size in shape:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
    if any(size < 0 for size in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    behind = list(itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1))[::-1]
    steps, sizes = (from_array(np.asarray(n[: len(shape)], np.int64)) for n in (behind, list(shape)))
    return ops.unbind(ops.unsqueeze(indices, -1) // steps % sizes, -1)
