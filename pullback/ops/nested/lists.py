"""Nested tensors of layout strided: a list of tensors, which ops take one after the other.

It is the older kind. Its tensors may differ in all sizes; it has no shape as a whole, and its history is
that of its tensors.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor, from_array, make_subclass
from pullback.core.dtypes import get_default_dtype, int64, strided

NO_SIZES = "Internal error: NestedTensorImpl doesn't support sizes. Please file an issue."


class NestedList(Tensor):
    """Tensors that may differ in every size, in layout strided."""

    __slots__ = ("parts",)

    parts: list[Tensor]
    plain_passes = True
    is_nested = property(lambda self: True, doc="Always True.")
    layout = property(lambda self: strided, doc="Always `torch.strided`.")
    requires_grad: Any = property(
        lambda self: any(x.requires_grad for x in self.parts), doc="Whether one of the tensors does."
    )

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not all(issubclass(kind, NestedList) for kind in types):
            return NotImplemented
        return dispatched(func, args, dict(kwargs or {}))

    def _refused(self) -> Any:
        raise RuntimeError(NO_SIZES)

    shape: Any = property(_refused, doc="RuntimeError: there is no size that all have.")

    def size(self, dim: int | None = None) -> Any:
        if dim is None:
            raise RuntimeError(NO_SIZES)
        at = dim % self.dim()
        if at == 0:
            return len(self.parts)
        sizes = {x.shape[at - 1] for x in self.parts}
        if len(sizes) != 1:
            raise RuntimeError(f"Given dimension {at} is irregular and does not have a size.")
        return sizes.pop()

    def dim(self) -> int:
        return 1 + (self.parts[0].ndim if self.parts else 0)

    ndimension = dim

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Any:
        return iter(self.parts)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        for x in self.parts:
            x.requires_grad_(requires_grad)
        return self

    def _nested_tensor_size(self) -> Tensor:
        return ops.tensor([list(x.shape) for x in self.parts])

    def _nested_tensor_strides(self) -> Tensor:
        return ops.tensor([list(x.stride()) for x in self.parts])

    def _nested_tensor_storage_offsets(self) -> Tensor:
        sizes = [x.numel() for x in self.parts]
        return ops.tensor([sum(sizes[:i]) for i in range(len(sizes))], dtype=int64)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            memo[id(self)] = as_list(copy.deepcopy(self.parts, memo))
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        buffer = ops.cat([ops.reshape(x.detach(), (-1,)) for x in self.parts] or [ops.empty((0,))])
        steps = ops.tensor([strides_of_sizes(x.shape) for x in self.parts], dtype=int64)
        sizes = self._nested_tensor_size(), steps, self._nested_tensor_storage_offsets()
        return _rebuild_nested_tensor, (buffer, *sizes)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        indented = ",\n".join("  " + str(x).replace("\n", "\n  ") for x in self.parts)
        return f"nested_tensor([\n{indented}\n])"


def as_list(tensors: Sequence[Tensor], requires_grad: bool = False) -> Any:
    """The nested tensor of tensors, whose history it has."""
    kind = tensors[0].dtype if tensors else get_default_dtype()
    _engine.unrecordable("a nested tensor")
    made = make_subclass(NestedList, from_array(np.zeros((0,), kind.numpy)))
    made.parts = list(tensors)
    return made.requires_grad_() if requires_grad else made


def strides_of_sizes(shape: Sequence[int]) -> list[int]:
    """The strides of a contiguous tensor."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


def _rebuild_nested_tensor(buffer: Any, sizes: Any, strides: Any, storage_offsets: Any) -> Any:
    """The nested tensor of a pickle: parts of a buffer. TypeError or RuntimeError for what they cannot be."""
    if any(type(x) is not Tensor or x.dtype is not int64 for x in (sizes, strides, storage_offsets)):
        raise TypeError("a nested tensor has its sizes, strides and offsets in tensors of int64")
    if type(buffer) is not Tensor or sizes.shape != strides.shape or len(storage_offsets) != len(sizes):
        raise TypeError("these are not the parts of a nested tensor")
    rows = zip(*(x.tolist() for x in (sizes, strides, storage_offsets)), strict=True)
    return as_list([ops.as_strided(buffer, *row) for row in rows])


_rebuild_nested_tensor.__module__ = "pullback._utils"  # by which name files know it


def _picked(x: Any, i: int) -> Any:
    return x.parts[i] if isinstance(x, NestedList) else x


def dispatched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An op on each tensor by itself; of the batch only what is asked of it as a whole."""
    name = str(getattr(func, "__name__", ""))
    first = next(x for x in (*args, *kwargs.values()) if isinstance(x, NestedList))
    if name in _WHOLE:
        return _WHOLE[name](*args, **kwargs)
    if name == "sum" and len(args) < 2 and "dim" not in kwargs:
        raise NotImplementedError(
            "Could not run 'aten::sum' with arguments from the 'NestedTensorCPU' backend."
        )
    if name == "sum" and not kwargs.get("keepdim", len(args) > 2 and args[2]):
        raise RuntimeError("NestedTensor always requires keepdim=True for now.")
    for place, value in enumerate(args):
        if place and type(value) is int and name in _BY_DIM:  # dims count the batch
            args = (*args[:place], value - (value > 0), *args[place + 1 :])
    results = [
        func(*(_picked(x, i) for x in args), **{key: _picked(x, i) for key, x in kwargs.items()})
        for i in range(len(first.parts))
    ]
    return as_list(results)


def _padded(input: Any, padding: Any, output_size: Any = None) -> Tensor:
    shapes = [tuple(x.shape) for x in input.parts]
    largest = tuple(map(max, zip(*shapes, strict=True))) if output_size is None else tuple(output_size)[1:]
    rows = []
    for x in input.parts:
        room = [n for d in reversed(range(x.ndim)) for n in (0, largest[d] - x.shape[d])]
        rows.append(ops.constant_pad_nd(x, tuple(room), padding))
    return ops.stack(rows)


def _basic(self: Any, key: tuple[Any, ...]) -> Any:
    return self.parts[key[0]][key[1:]] if isinstance(key[0], int) else as_list(
        [x[key[1:]] for x in self.parts[key[0]]]
    )  # fmt: skip


_BY_DIM = {"transpose", "softmax", "log_softmax", "sum", "mean", "unsqueeze", "select"}

_WHOLE: dict[str, Any] = {
    "to_padded_tensor": _padded,
    "nested_to_padded_tensor": _padded,
    "unbind": lambda input, dim=0: tuple(input.parts),
    "numel": lambda input: sum(x.numel() for x in input.parts),
    "basic": _basic,
    "is_floating_point": lambda input: input.dtype.is_floating_point,
    "is_complex": lambda input: input.dtype.is_complex,
    "values": lambda self: ops.cat([ops.reshape(x, (-1,)) for x in self.parts]),
}
