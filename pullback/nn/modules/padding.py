"""Padding of the last 1 to 3 dims, as `torch.nn.modules.padding`.

`padding` is one size for all ends, or (left, right), (left, right, top, bottom), ...
"""

from __future__ import annotations

from collections.abc import Sequence

from pullback.core._engine import Tensor
from pullback.face.absent import getter
from pullback.nn import functional as F
from pullback.nn.modules.module import Module
from pullback.nn.modules.utils import _ntuple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """A padding with what is inside the input, of the last `_dims` dims."""

    _dims = 0
    _mode = ""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = _ntuple(2 * self._dims)(padding)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPadNd(_Pad):
    _mode = "circular"

    def _check_input_dim(self, input: Tensor) -> None:
        plain = self._dims + 1
        if input.ndim not in (plain, plain + 1):
            raise ValueError(f"expected {plain}D or {plain + 1}D input (got {input.ndim}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return F.pad(input, self.padding, self._mode)


class CircularPad1d(_CircularPadNd):
    """Goes on at one end of the last dim as the other end begins, of (N, C, L) or (C, L).

    >>> import pullback as torch
    >>> torch.nn.CircularPad1d(1)(torch.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """Goes on at one end of each of the last 2 dims as the other end begins."""

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """Goes on at one end of each of the last 3 dims as the other end begins."""

    _dims = 3


class _ReflectionPadNd(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Mirrors the last dim at its first and last element."""

    _dims = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Mirrors the last 2 dims at their first and last elements."""

    _dims = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Mirrors the last 3 dims at their first and last elements."""

    _dims = 3


class _ReplicationPadNd(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Repeats the first and last element of the last dim."""

    _dims = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Repeats the first and last elements of the last 2 dims."""

    _dims = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Repeats the first and last elements of the last 3 dims."""

    _dims = 3


class _ConstantPadNd(_Pad):
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Adds `value` at the ends of the last dim."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Adds `value` at the ends of the last 2 dims."""

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Adds `value` at the ends of the last 3 dims."""

    _dims = 3


class ZeroPad1d(ConstantPad1d):
    """Adds zeros at the ends of the last dim."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Adds zeros at the ends of the last 2 dims."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Adds zeros at the ends of the last 3 dims."""

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


__getattr__ = getter(__name__)
