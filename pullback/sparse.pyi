"""Made by tools/stubs.py: the functions of `torch.sparse`."""

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

from pullback.ops.sparse.create import BFloat16Tensor as BFloat16Tensor
from pullback.ops.sparse.create import ByteTensor as ByteTensor
from pullback.ops.sparse.create import CharTensor as CharTensor
from pullback.ops.sparse.create import DoubleTensor as DoubleTensor
from pullback.ops.sparse.create import FloatTensor as FloatTensor
from pullback.ops.sparse.create import HalfTensor as HalfTensor
from pullback.ops.sparse.create import IntTensor as IntTensor
from pullback.ops.sparse.create import LongTensor as LongTensor
from pullback.ops.sparse.create import ShortTensor as ShortTensor
def addmm(mat: _Tensor, mat1: _Tensor, mat2: _Tensor, *, beta: _Number = 1, alpha: _Number = 1) -> _Tensor: ...
def as_sparse_gradcheck(gradcheck: _Callable[..., _Any]) -> _Callable[..., _Any]: ...
from pullback.ops.sparse.create import check_sparse_tensor_invariants as check_sparse_tensor_invariants
def log_softmax(input: _Tensor, dim: _int, dtype: _Any = None) -> _Tensor: ...
def mm(mat1: _Tensor, mat2: _Tensor, reduce: _str | None = None) -> _Tensor: ...
def sampled_addmm(input: _Tensor, mat1: _Tensor, mat2: _Tensor, *, beta: _Number = 1, alpha: _Number = 1) -> _Tensor: ...
def softmax(input: _Tensor, dim: _int, dtype: _Any = None) -> _Tensor: ...
def spdiags(diagonals: _Tensor, offsets: _Tensor, shape: _Any, layout: _Any = None) -> _Tensor: ...
def spsolve(input: _Tensor, other: _Tensor, *, left: _bool = True) -> _Tensor: ...
def sum(input: _Tensor, dim: _Dims = None, dtype: _Any = None) -> _Tensor: ...
