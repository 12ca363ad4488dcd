"""`torch.types`: names for types of arguments, in annotations, and for symbolic numbers."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, Any, TypeAlias

from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.core.dtypes import device as _device
from pullback.core.dtypes import dtype as _dtype  # noqa: F401
from pullback.core.dtypes import layout as _layout  # noqa: F401
from pullback.face.absent import getter
from pullback.face.storage import UntypedStorage as Storage

__all__ = ["Size", "Storage", "SymBool", "SymFloat", "SymInt", "Tensor"]


class SymInt:
    """A name to ask by: the sizes of tensors are ints."""

    def __init__(self, node: Any) -> None:
        raise RuntimeError(f"{type(self).__name__}: Pullback has no symbolic numbers")


class SymFloat(SymInt):
    """A name to ask by: numbers are floats."""


class SymBool(SymInt):
    """A name to ask by: conditions are bools."""


Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Number: TypeAlias = int | float | bool
IntLikeType: TypeAlias = int | SymInt
FloatLikeType: TypeAlias = float | SymFloat
BoolLikeType: TypeAlias = bool | SymBool
PySymType: TypeAlias = SymInt | SymFloat | SymBool
py_sym_types = (SymInt, SymFloat, SymBool)

_bool, _float, _int, _complex = builtins.bool, builtins.float, builtins.int, builtins.complex
_Number = (int, float, bool)
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_symsize: TypeAlias = Size | Sequence[int | SymInt]
_dispatchkey: TypeAlias = str
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
_TensorOrOptionalTensors: TypeAlias = Tensor | Sequence[Tensor | None]
_TensorOrTensorsOrGradEdge: TypeAlias = Tensor | Sequence[Any]

__getattr__ = getter(__name__)
