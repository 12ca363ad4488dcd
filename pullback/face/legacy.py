"""Ways to make tensors from before `torch.tensor`: `Tensor(2, 3)`, `FloatTensor([1.0])`,
`x.new(3)`.

`legacy_array` reads the arguments of all of them: nothing, sizes, a sequence of data, or a tensor.
The engine calls `construct` for `Tensor(...)` and its subclasses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, install_constructor, set_default_dtype
from pullback.core.dtypes import DTYPES, as_device, get_default_dtype, strided
from pullback.core.dtypes import dtype as Dtype
from pullback.core.settings import warn
from pullback.core.types import Array


def legacy_array(args: tuple[Any, ...], kwargs: dict[str, Any], kind: Dtype) -> Array:
    """The payload of a tensor made in one of the old ways."""
    device = kwargs.pop("device", None)
    if kwargs:
        raise TypeError(f"new() got an unexpected keyword argument '{next(iter(kwargs))}'")
    if as_device(device).type != "cpu":
        raise RuntimeError(
            "legacy constructor expects device type: cpu but device type: "
            f"{as_device(device).type} was passed"
        )
    if not args:
        return np.empty(0, kind.numpy)
    first = args[0]
    if len(args) == 1 and isinstance(first, Tensor) and first.ndim == 0 and first.dtype.kind in "ui":
        return np.empty(first.item(), kind.numpy)
    if len(args) == 1 and isinstance(first, Tensor):
        return first._array if first.dtype is kind else first._array.astype(kind.numpy)
    if type(first).__name__ == "Size" and len(args) == 1:
        return np.empty(first, kind.numpy)
    if isinstance(first, (bool, float, complex)) or first is None:
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    if isinstance(first, np.ndarray) and len(args) == 1 and (first.ndim or first.dtype.kind not in "iu"):
        return ops.tensor(first, dtype=kind)._array
    if hasattr(first, "__index__"):
        return np.empty(ops.shape_of("new", args), kind.numpy)
    if isinstance(first, str):
        raise TypeError("new(): invalid data type 'str'")
    return ops.tensor(first, dtype=kind)._array


def construct(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
    """The payload for `Tensor(...)`: of the default dtype, or that of a tensor or array that is
    given.
    """
    first = args[0] if len(args) == 1 else None
    kind = get_default_dtype()
    if isinstance(first, Tensor) and (first.ndim > 0 or first.dtype.kind in "fc"):
        kind = first.dtype
    return legacy_array(args, kwargs, kind)


install_constructor(construct)


def new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`Tensor(...)` with this tensor's dtype: `new_empty` and `new_tensor` in one.

    >>> import pullback as torch
    >>> torch.ones(1, dtype=torch.int64).new([1, 2])
    tensor([1, 2])
    """
    return ops.from_array(legacy_array(args, kwargs, self.dtype))


# ------------------------------------------------------------------------------ classes by dtype


class TensorType(type):
    """The class of `FloatTensor` and its kin: calling one makes a tensor, which is an instance of
    it.
    """

    dtype: Dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> Tensor:
        return ops.from_array(legacy_array(args, kwargs, cls.dtype))

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, Tensor)
            and instance.dtype is cls.dtype
            and not instance.is_meta
            and instance.layout is strided
        )

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


_NEW_UNSIGNED = ("uint16", "uint32", "uint64")

TENSOR_TYPES: dict[str, Any] = {
    f"{kind.type_name}Tensor": TensorType(f"{kind.type_name}Tensor", (), {"dtype": kind})
    for kind in DTYPES
    if not kind.is_complex and kind.kind != "e" and kind.name not in _NEW_UNSIGNED
}
_BY_NAME = {f"torch.{kind.type_name}Tensor": kind for kind in DTYPES}


def type_of(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type, or the tensor cast to another: a dtype, a name or a class.

    >>> import pullback as torch
    >>> torch.ones(1).type(), torch.ones(1).type(torch.int64)
    ('torch.FloatTensor', tensor([1]))
    """
    if dtype is None:
        return f"torch.{'meta.' if self.is_meta else ''}{self.dtype.type_name}Tensor"
    if isinstance(dtype, TensorType):
        dtype = dtype.dtype
    elif dtype is Tensor or dtype is Tensor:
        dtype = get_default_dtype()
    elif isinstance(dtype, (str, type)):
        name = dtype if isinstance(dtype, str) else dtype.__name__
        name = name.replace("torch.sparse.", "torch.") if self.is_sparse else name
        if name not in _BY_NAME:
            raise ValueError(f"invalid type: '{name}'")
        dtype = _BY_NAME[name]
    elif not isinstance(dtype, Dtype):
        raise TypeError("dtype must be a type, str, or dtype object")
    return self.to(dtype)


def set_default_tensor_type(t: Any) -> None:
    """Sets the default dtype by the class of its tensors: deprecated, as in PyTorch."""
    warn(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use "
        "torch.set_default_dtype() and torch.set_default_device() as alternatives."
    )
    kind = t.dtype if isinstance(t, TensorType) else _BY_NAME.get(t)
    if kind is None:
        raise TypeError(
            f"invalid type object: only floating-point types are supported as the default type, got {t}"
        )
    set_default_dtype(kind)
