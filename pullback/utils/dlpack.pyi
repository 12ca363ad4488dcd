"""Made by tools/stubs.py: the functions of `torch.utils.dlpack`."""

from builtins import bool as _bool, complex as _complex, float as _float, int as _int, property as _property, staticmethod as _staticmethod, str as _str, type as _type
from collections.abc import Callable as _Callable, Iterable as _Iterable, Iterator as _Iterator, Mapping as _Mapping, Sequence as _Sequence
from typing import Any as _Any, overload as _overload
from numpy import ndarray as _ndarray
from pullback import return_types as _return_types
from pullback.core._engine import Tensor as _Tensor
from pullback.core.dtypes import Size as _Size, device as _device, dtype as _dtype, layout as _layout, memory_format as _memory_format
from pullback.core.types import Dims as _Dims, Number as _Number
from pullback.face.storage import TypedStorage as _TypedStorage, UntypedStorage as _UntypedStorage
from pullback.kernels.random.generators import Generator as _Generator

def from_dlpack(ext_tensor: _Any, *, device: _device | _str | _int | None = None, copy: _bool | None = None) -> _Tensor: ...
def to_dlpack(tensor: _Tensor) -> _Any: ...
