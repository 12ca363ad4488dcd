"""Checks that programs make: `torch._check` and its kin, and the numbers that may be symbolic.

`torch._check(condition, message)` raises RuntimeError, its kin other errors, with what `message()`
returns. Symbolic numbers are those of a compiler; here every number is a number.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.op import function

_UNTOLD = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please "
    "report an enhancement request to PyTorch.)"
)


def _raise_unless(error: type[Exception], cond: Any, message: Callable[[], Any] | None) -> None:
    if not isinstance(cond, bool):
        hint = ""
        if isinstance(cond, Tensor):
            hint = (
                ". For tensor conditions, use torch._check_tensor_all() to assert that all elements are true."
            )
        raise TypeError(f"cond must be a bool, but got a {type(cond).__name__}{hint}")
    if cond:
        return
    if message is None:
        raise error(_UNTOLD)
    if not callable(message):
        raise TypeError("message must be a callable")
    raise error(str(message()))


@function(name="_check_with", places="t")
def _check_with(error_type: type[Exception], cond: bool, message: Callable[[], Any]) -> None:
    """Raises `error_type` with the text `message()` unless the condition holds."""
    _raise_unless(error_type, cond, message)


def _publish_check(name: str, error: type[Exception]) -> None:
    def check(cond: bool, message: Callable[[], Any] | None = None) -> None:
        _raise_unless(error, cond, message)

    check.__doc__ = f"Raises {error.__name__} with the text `message()` unless the condition holds."
    function(name=name, places="t")(check)


for _name, _error in (
    ("_check", RuntimeError),
    ("_check_index", IndexError),
    ("_check_value", ValueError),
    ("_check_type", TypeError),
    ("_check_not_implemented", NotImplementedError),
):
    _publish_check(_name, _error)


@function(name="_check_is_size", places="t")
def _check_is_size(i: int, message: Callable[[], Any] | None = None, *, max: int | None = None) -> None:
    """RuntimeError for a negative number, or one above `max`."""
    _raise_unless(RuntimeError, i >= 0 and (max is None or i <= max), message)


@function(name="_check_tensor_all", places="t")
def _check_tensor_all(cond: Tensor, message: Callable[[], Any] | None = None) -> None:
    """RuntimeError unless all elements of a bool tensor are True."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    _raise_unless(RuntimeError, bool(ops.all(cond)), message)


@function(name="_assert", places="t")
def _assert(condition: Any, message: str) -> None:
    """AssertionError with this text unless the condition holds."""
    if not condition:
        raise AssertionError(message)


@function(name="_assert_async", places="t")
def _assert_async(input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value") -> None:
    """RuntimeError with this text unless the one element is not zero."""
    if not bool(input):
        raise RuntimeError(assert_msg)


# ------------------------------------------------------------------------- numbers, maybe symbolic


@function(places="t")
def sym_int(a: Any) -> int:
    """The number as an int, rounded towards zero."""
    return int(a)


@function(places="t")
def sym_float(a: Any) -> float:
    """The number as a float."""
    return float(a)


@function(places="t")
def sym_not(a: Any) -> bool:
    """Whether the condition does not hold."""
    return not a


@function(places="t")
def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers; a float if one is."""
    return _same_kind(builtins.max(a, b), a, b)


@function(places="t")
def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers; a float if one is."""
    return _same_kind(builtins.min(a, b), a, b)


def _same_kind(number: Any, a: Any, b: Any) -> Any:
    return float(number) if isinstance(a, float) or isinstance(b, float) else number


@function(places="t")
def sym_ite(b: bool, t: Any, f: Any) -> Any:
    """`t` if the condition holds, else `f`."""
    return t if b else f


@function(places="t")
def sym_sum(args: Sequence[Any]) -> Any:
    """The sum of numbers."""
    return builtins.sum(args)


@function(places="t")
def sym_sqrt(a: Any) -> float:
    """The square root of a number."""
    return math.sqrt(a)
