"""`torch._utils`: the functions that files and pickles of PyTorch call to make tensors again.

Each checks its arguments, as they come from files: a tensor never reaches beyond its storage.
"""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import META
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
            if not isinstance(name, str) or hasattr(Tensor, name):
                raise TypeError("a tensor cannot be given this attribute")
            made.__dict__[name] = value
    return made


__getattr__ = getter(__name__, {"_rebuild_sparse_tensor": "pullback.ops.sparse.tensors"})
