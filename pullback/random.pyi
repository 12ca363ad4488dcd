"""Made by tools/stubs.py: the functions of `torch.random`."""

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

from pullback.ops.arrays.random import Generator as Generator
default_generator: _Generator
def fork_rng(devices: _Any = None, enabled: _bool = True, **options: _Any) -> _Iterator[None]: ...
def get_rng_state() -> _Tensor: ...
def initial_seed() -> _int: ...
def manual_seed(seed: _int) -> _Generator: ...
def seed() -> _int: ...
def set_rng_state(new_state: _Tensor) -> None: ...
