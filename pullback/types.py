"""`torch.types`: names for the types of arguments, in annotations."""

from __future__ import annotations

import os
from typing import IO, TypeAlias

from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.core.dtypes import device as _device
from pullback.face.absent import getter

__all__ = ["Size", "Tensor"]

Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
Number: TypeAlias = int | float | bool

__getattr__ = getter(__name__)
