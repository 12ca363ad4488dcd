"""Functions of neural networks, as `torch.nn.functional`. They are declared in `pullback/ops`.

Beside them stand the helpers that PyTorch's file holds, which programs import from here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from pullback.core._engine import Tensor as Tensor
from pullback.face.namespaces import fill_namespace
from pullback.overrides import handle_torch_function as handle_torch_function
from pullback.overrides import has_torch_function as has_torch_function
from pullback.overrides import has_torch_function_unary as has_torch_function_unary
from pullback.overrides import has_torch_function_variadic as has_torch_function_variadic


class _ScalingType(Enum):
    """What a number of a scale is for: a whole matrix, a row of it, or a block."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5


class _SwizzleType(Enum):
    """How scales lie in memory: in order, or as some devices want them."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1


ScalingType, SwizzleType = _ScalingType, _SwizzleType

GRID_SAMPLE_INTERPOLATION_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
GRID_SAMPLE_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


class _BroadcastingList:
    """The annotation of a size that may be given as one number."""

    def __getitem__(self, types: Any) -> None: ...


BroadcastingList1, BroadcastingList2, BroadcastingList3 = (_BroadcastingList() for _ in range(3))


def assert_int_or_pair(arg: Sequence[int], arg_name: str, message: str) -> None:
    """AssertionError unless an argument is a number or a pair of them."""
    assert isinstance(arg, int) or len(arg) == 2, message.format(arg_name)


def boolean_dispatch(
    arg_name: str,
    arg_index: int,
    default: bool,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    module_name: str,
    func_name: str,
) -> Callable[..., Any]:
    """A function that is one of two, as a bool argument says, given by its name or at its place."""

    def fn(*args: Any, **kwargs: Any) -> Any:
        chosen = kwargs.get(arg_name, args[arg_index] if arg_index < len(args) else default)
        return (if_true if chosen else if_false)(*args, **kwargs)

    if if_true.__doc__ is None or if_false.__doc__ is None:
        fn.__doc__ = if_true.__doc__ or if_false.__doc__
    fn.__name__, fn.__module__ = func_name or fn.__name__, module_name or fn.__module__
    return fn


__getattr__ = fill_namespace(sys.modules[__name__], "nn.functional")
