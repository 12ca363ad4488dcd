"""How numbers of several ranks become one: `ReduceOp`, and what each op does with which dtype."""

from __future__ import annotations

import enum
import warnings
from typing import Any

import numpy as np

from pullback.core.dtypes import dtype as Dtype

__all__ = ["ReduceOp", "reduce_op"]


class RedOpType(enum.Enum):
    """The ops by their numbers."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7
    PREMUL_SUM = 8


class _ReduceOpMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, RedOpType)


class ReduceOp(metaclass=_ReduceOpMeta):
    """What a reduction computes: SUM, AVG, PRODUCT, MIN, MAX, or bit by bit BAND, BOR, BXOR."""

    RedOpType = RedOpType
    SUM = RedOpType.SUM
    AVG = RedOpType.AVG
    PRODUCT = RedOpType.PRODUCT
    MIN = RedOpType.MIN
    MAX = RedOpType.MAX
    BAND = RedOpType.BAND
    BOR = RedOpType.BOR
    BXOR = RedOpType.BXOR
    PREMUL_SUM = RedOpType.PREMUL_SUM

    def __new__(cls, op: Any) -> Any:
        return RedOpType(op)


class _OldReduceOp:
    """`reduce_op`, the name that `ReduceOp` had before."""

    def __getattr__(self, name: str) -> Any:
        if name not in RedOpType.__members__:
            raise AttributeError(f"'reduce_op' object has no attribute '{name}'")
        warnings.warn(
            "`torch.distributed.reduce_op` is deprecated, please use `torch.distributed.ReduceOp` instead",
            category=FutureWarning,
            stacklevel=2,
        )
        return getattr(ReduceOp, name)


reduce_op = _OldReduceOp()

_LOGICAL = {
    "SUM": "LOR",
    "MAX": "LOR",
    "BOR": "LOR",
    "PRODUCT": "LAND",
    "MIN": "LAND",
    "BAND": "LAND",
    "BXOR": "LXOR",
}
_PLAIN = {"SUM": "SUM", "AVG": "SUM", "PRODUCT": "PROD", "MIN": "MIN", "MAX": "MAX"}
_BITS = {"BAND": "BAND", "BOR": "BOR", "BXOR": "BXOR"}


def supports_complex(reduceOp: Any) -> bool:
    """Whether complex numbers can be reduced so: they have no order and no bits."""
    return reduceOp in (ReduceOp.SUM, ReduceOp.AVG, ReduceOp.PREMUL_SUM)


def mpi_name(op: Any, dtype: Dtype) -> str:
    """The name of MPI's op for a dtype; RuntimeError where there is none."""
    if not isinstance(op, RedOpType):
        raise TypeError(f"op must be a ReduceOp, got {type(op).__name__}")
    kinds = (_PLAIN, _BITS)
    if dtype.is_floating_point or dtype.is_complex:
        kinds = (_PLAIN, {})
    elif str(dtype) == "torch.bool":
        kinds = (_LOGICAL, {})
    for names in kinds:
        if op.name in names:
            return names[op.name]
    raise RuntimeError(f"Cannot use ReduceOp.{op.name} with {dtype}")


def reduced_in(array: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """The NumPy dtype that numbers are reduced in: float32 for narrower floats, else their own."""
    if array.dtype.kind in "biu":
        return array.dtype
    return array.dtype if array.dtype.kind in "fc" and array.dtype.itemsize > 2 else np.dtype(np.float32)


def averaged(op: Any, array: np.ndarray[Any, Any], count: int) -> None:
    """Divides the sums of an average, of no other op, by how many there were, whole numbers towards zero."""
    if op is not ReduceOp.AVG:
        return
    if array.dtype.kind in "iu":
        np.copyto(array, np.trunc(array / count), casting="unsafe")
    else:
        array /= count
