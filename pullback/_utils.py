"""`torch._utils`: the functions that files and pickles of PyTorch call to make tensors again.

Each checks its arguments, as they come from files: a tensor never reaches beyond its storage.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import META
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.face.absent import getter
from pullback.face.storage import TypedStorage, UntypedStorage, array_on
from pullback.nn.parameter import Parameter


def _ints(name: str, values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or any(type(v) is not int for v in values):
        raise TypeError(f"{name} of a tensor must be a tuple of ints, got {type(values).__name__}")
    if any(not 0 <= value < 2**63 for value in values):
        raise RuntimeError(f"{name} of a tensor must be in [0, 2**63)")
    return tuple(values)


def _tensor_on(
    storage: Any, dtype: Dtype, storage_offset: Any, size: Any, stride: Any, requires_grad: Any = False
) -> Tensor:
    """A tensor on a storage."""
    if isinstance(storage, TypedStorage):
        storage = storage.untyped()
    if not isinstance(storage, UntypedStorage):
        raise TypeError(f"expected a storage, got {type(storage).__name__}")
    shape, strides = _ints("the size", size), _ints("the stride", stride)
    (offset,) = _ints("the offset", (storage_offset,))
    if len(shape) > 64:
        raise RuntimeError(f"a tensor of {len(shape)} dims")
    if storage.device is META:
        made = from_array(meta_array(shape, dtype.numpy, strides), meta=True)
    else:
        made = from_array(array_on(storage._array, dtype, offset, shape, strides))
    if requires_grad is True:
        made.requires_grad = True
    return made


def _rebuild_tensor(storage: Any, storage_offset: Any, size: Any, stride: Any) -> Tensor:
    """A tensor on a typed storage, as files of before 0.4 say it."""
    return _tensor_on(storage, storage.dtype, storage_offset, size, stride)


def _rebuild_tensor_v2(
    storage: Any,
    storage_offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    metadata: Any = None,
) -> Tensor:
    """A tensor on a typed storage. `metadata` may say that it is conjugated or negated when read."""
    return _marked(_tensor_on(storage, storage.dtype, storage_offset, size, stride), requires_grad, metadata)


def _rebuild_tensor_v3(
    storage: Any,
    storage_offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    backward_hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    """A tensor of a dtype on an untyped storage."""
    if not isinstance(dtype, Dtype):
        raise TypeError(f"expected a dtype, got {type(dtype).__name__}")
    return _marked(_tensor_on(storage, dtype, storage_offset, size, stride), requires_grad, metadata)


def _marked(made: Tensor, requires_grad: Any, metadata: Any) -> Tensor:
    if isinstance(metadata, dict):
        if made.nbytes > made.untyped_storage().nbytes():
            raise RuntimeError("a tensor larger than its storage cannot be conjugated or negated")
        if metadata.get("conj") is True:
            made = ops.conj_physical(made)
        if metadata.get("neg") is True:
            made = ops.neg(made)
    return made.requires_grad_() if requires_grad is True else made


def _rebuild_meta_tensor_no_storage(dtype: Any, size: Any, stride: Any, requires_grad: Any) -> Tensor:
    """A meta tensor."""
    if not isinstance(dtype, Dtype):
        raise TypeError(f"expected a dtype, got {type(dtype).__name__}")
    storage = UntypedStorage(0, device=META)
    return _tensor_on(storage, dtype, 0, size, stride, requires_grad)


def _parameter(data: Any, requires_grad: Any) -> Any:
    if not isinstance(data, Tensor):
        raise TypeError(f"expected a tensor, got {type(data).__name__}")
    return Parameter(data, requires_grad is True)


def _rebuild_parameter(data: Any, requires_grad: Any, backward_hooks: Any) -> Any:
    """A parameter of a module."""
    return _parameter(data, requires_grad)


def _rebuild_parameter_with_state(data: Any, requires_grad: Any, backward_hooks: Any, state: Any) -> Any:
    """A parameter of a module that has attributes."""
    return _with_state(_parameter(data, requires_grad), state)


def _with_state(made: Tensor, state: Any) -> Tensor:
    """The tensor with its attributes: a dict, or a dict and one for slots."""
    parts = state if isinstance(state, tuple) else (state,)
    for part in parts:
        for name, value in (part or {}).items():
            if not isinstance(name, str):
                raise TypeError("a tensor cannot be given this attribute")
            marks = isinstance(value, bool) and isinstance(getattr(Tensor, name, None), bool)  # a Buffer
            if hasattr(Tensor, name) and not marks:
                raise TypeError("a tensor cannot be given this attribute")
            made.__dict__[name] = value
    return made


# ------------------------------------------------------------------------------------ devices


def _get_available_device_type() -> str | None:
    """The kind of accelerator that there is: None."""
    return None


def _get_device_module(device_type: str) -> Any:
    """The module that is called as a kind of device; RuntimeError if there is none."""
    found = getattr(sys.modules["pullback"], device_type, None)
    if found is None:
        raise RuntimeError(
            f"Device '{device_type}' does not have a corresponding module registered as "
            f"'torch.{device_type}'."
        )
    return found


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device. ValueError for the CPU, unless `allow_cpu`: then it is -1."""
    found = Device(device) if isinstance(device, str) else device
    if isinstance(found, Device):
        if found.type == "cpu":
            if not allow_cpu:
                raise ValueError(f"Expected a non cpu device, but got: {found}")
            return -1 if found.index is None else found.index
        found = found.index
    if isinstance(found, int):
        return found
    if optional:
        return -1
    raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")


def _get_all_device_indices() -> list[int]:
    """The numbers of the accelerators: none."""
    return []


def _get_devices_properties(device_ids: Any) -> list[Any]:
    """What accelerators can do: none are asked."""
    return []


def _element_size(dtype: Dtype) -> int:
    """The bytes of an element of a dtype."""
    if not isinstance(dtype, Dtype):
        raise RuntimeError(f"expected torch.dtype, but got {type(dtype)}")
    return dtype.itemsize


# -------------------------------------------------------------------------- tensors end to end


def _flatten_dense_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """The elements of tensors of one dtype, in one tensor of one dim."""
    return ops.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Views of what `_flatten_dense_tensors` gave, with the shapes of the tensors."""
    parts = ops.split(flat, [t.numel() for t in tensors])
    return tuple(part.view(t.shape) for part, t in zip(parts, tensors, strict=True))


def _take_tensors(tensors: Sequence[Tensor], size_limit: int) -> Iterator[list[Tensor]]:
    """Groups of tensors of one dtype, in their order, of no more bytes than the limit where they can."""
    groups: dict[Any, list[Tensor]] = {}
    sizes: dict[Any, int] = {}
    for t in tensors:
        kind, nbytes = t.type(), t.numel() * t.element_size()
        if groups.get(kind) and sizes[kind] + nbytes > size_limit:
            yield groups.pop(kind)
        if kind not in groups:
            groups[kind], sizes[kind] = [], 0
        groups[kind].append(t)
        sizes[kind] += nbytes
    yield from groups.values()


# ------------------------------------------------------------------------------------ small things


class ExceptionWrapper:
    """An exception of another thread or process, to be raised again here."""

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        found: Any = exc_info if exc_info is not None else sys.exc_info()
        self.exc_type: Any = found[0]
        self.exc_msg = "".join(traceback.format_exception(*found))
        self.where = where

    def reraise(self) -> NoReturn:
        """Raises an exception of the same class, with the words and the traceback of that one."""
        words = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        try:
            again = self.exc_type(words)
        except Exception:  # a class that takes other arguments
            raise RuntimeError(words) from None
        raise again


class _ClassProperty:
    """A property of a class, not of its objects."""

    def __init__(self, get: Any) -> None:
        self.get = get

    def __get__(self, obj: Any, kind: Any = None) -> Any:
        return self.get.__get__(obj, kind if kind is not None else type(obj))()


def classproperty(func: Any) -> Any:
    """Makes a method of a class a property of it."""
    return _ClassProperty(func if isinstance(func, (classmethod, staticmethod)) else classmethod(func))


_LATER = {
    "_rebuild_nested_tensor": "pullback.ops.nested.lists",
    "_rebuild_sparse_tensor": "pullback.ops.sparse.tensors",
}

__getattr__ = getter(__name__, _LATER)
