"""`assert_close`: whether two values, or structures of them, are equal within a tolerance.

`_pairs` walks both structures together and yields what is to be compared; `_compare` compares one pair.
"""

from __future__ import annotations

import cmath
import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import dtype as Dtype
from pullback.core.dtypes import float64, int64, promote_types, strided

TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}
"""The relative and absolute tolerance of a dtype; complex ones have their parts', integers none."""

ALLCLOSE = {"float16": (1e-3, 1e-3), "float32": (1e-4, 1e-5), "float64": (1e-5, 1e-8)}
"""Those of the older `assert_allclose`."""


@dataclass
class _Wanted:
    """How two values are to agree."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    allow_subclasses: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool

    def tolerances(self, *kinds: Dtype) -> tuple[float, float]:
        """Those that were given, or the larger of the dtypes' own."""
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [TOLERANCES.get(kind.to_real().name, (0.0, 0.0)) for kind in kinds]
        return max(rtol for rtol, _ in found), max(atol for _, atol in found)


class _Mismatch(Exception):
    """Two values differ; where in the structure is added by `assert_close`."""


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """AssertionError unless `actual` is close to `expected`: |actual - expected| <= atol + rtol |expected|.

    Both are tensors, arrays, numbers, None, or sequences and mappings of these. Without tolerances those of
    the dtype hold: 1.3e-6 and 1e-5 for float32, 1e-7 for float64, none for integers. `msg` replaces the
    message, or as a function changes it.

    >>> import pullback as torch
    >>> torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-6]))
    >>> torch.testing.assert_close({"loss": 1.0}, {"loss": 2.0})
    Traceback (most recent call last):
      ...
    AssertionError: Scalars are not close!
    <BLANKLINE>
    Expected 2.0 but got 1.0.
    Absolute difference: 1.0 (up to 1e-07 allowed)
    Relative difference: 0.5 (up to 1e-07 allowed)
    <BLANKLINE>
    The failure occurred for item ['loss']
    """
    __tracebackhide__ = True
    if (rtol is None) != (atol is None):
        raise ValueError(
            "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
            f"{'rtol' if rtol is None else 'atol'}."
        )
    wanted = _Wanted(
        rtol, atol, equal_nan, allow_subclasses, check_device, check_dtype, check_layout, check_stride
    )
    place: tuple[Any, ...] = ()
    try:
        for where, one, other in list(_pairs(actual, expected, ())):
            place = where
            _compare(one, other, wanted)
        return
    except _Mismatch as found:
        text = str(found.args[0])
        place = found.args[1] if len(found.args) > 1 else place
    if place:
        text += f"\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in place)}"
    raise AssertionError(msg(text) if callable(msg) else text if msg is None else msg)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _pairs(one: Any, other: Any, place: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """What is compared with what, and its place in the structure."""
    if _is_sequence(one) and _is_sequence(other):
        if len(one) != len(other):
            raise _Mismatch(f"The length of the sequences mismatch: {len(one)} != {len(other)}", place)
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from _pairs(a, b, (*place, index))
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        missing, extra = other.keys() - one.keys(), one.keys() - other.keys()
        if missing or extra:
            text = "The keys of the mappings do not match:"
            if missing:
                text += f"\nMissing keys in the actual mapping: {sorted(missing, key=str)}"
            if extra:
                text += f"\nAdditional keys in the actual mapping: {sorted(extra, key=str)}"
            raise _Mismatch(text, place)
        keys = list(one)
        with contextlib.suppress(TypeError):
            keys = sorted(keys)
        for key in keys:
            yield from _pairs(one[key], other[key], (*place, key))
    else:
        yield place, one, other


def _compare(one: Any, other: Any, wanted: _Wanted) -> None:
    """Compares two values; _Mismatch if they differ, TypeError if they cannot be compared."""
    if one is None or other is None:
        if one is not other:
            raise _Mismatch(f"None mismatch: {one} is not {other}")
        return
    if all(isinstance(value, (bool, np.bool_)) for value in (one, other)):
        if bool(one) is not bool(other):
            raise _Mismatch(f"Booleans mismatch: {bool(one)} is not {bool(other)}")
        return
    if all(isinstance(value, (int, float, complex, np.number)) for value in (one, other)):
        _compare_numbers(_plain(one), _plain(other), wanted)
        return
    related = isinstance(one, type(other)) or isinstance(other, type(one))
    array_like = isinstance(one, (Tensor, np.ndarray))
    if not related or not array_like or not (wanted.allow_subclasses or type(one) is type(other)):
        raise TypeError(
            f"No comparison pair was able to handle inputs of type {type(one)} and {type(other)}."
        )
    _compare_tensors(ops.as_tensor(one), ops.as_tensor(other), wanted)


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.number) else number


def _number_dtype(number: Any) -> Dtype:
    return float64 if isinstance(number, (float, complex)) else int64


def _compare_numbers(one: Any, other: Any, wanted: _Wanted) -> None:
    if wanted.check_dtype and type(one) is not type(other):
        raise _Mismatch(f"The (d)types do not match: {type(one)} != {type(other)}.")
    rtol, atol = wanted.tolerances(_number_dtype(one), _number_dtype(other))
    if not _close(one, other, rtol, atol, wanted.equal_nan):
        raise _Mismatch(_scalars(one, other, rtol, atol))


def _close(one: Any, other: Any, rtol: float, atol: float, equal_nan: bool) -> bool:
    if one == other:
        return True
    if cmath.isnan(one) or cmath.isnan(other):
        return equal_nan and cmath.isnan(one) and cmath.isnan(other)
    return bool(abs(one - other) <= atol + rtol * abs(other)) and not cmath.isinf(other)


def _scalars(one: Any, other: Any, rtol: float, atol: float) -> str:
    """What is said of two numbers that differ."""
    exact = rtol == atol == 0
    apart = abs(one - other)
    relative = math.inf if other == 0 else apart / abs(other)
    allowed = ["" if exact else f" (up to {tolerance} allowed)" for tolerance in (atol, rtol)]
    return (
        f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {other} but got {one}.\n"
        f"Absolute difference: {apart}{allowed[0]}\nRelative difference: {relative}{allowed[1]}"
    )


def _attribute(name: str, one: Any, other: Any) -> None:
    if one != other:
        raise _Mismatch(f"The values for attribute '{name}' do not match: {one} != {other}.")


def _compare_tensors(one: Tensor, other: Tensor, wanted: _Wanted) -> None:
    _attribute("shape", one.shape, other.shape)
    if wanted.check_layout:
        _attribute("layout", one.layout, other.layout)
    if wanted.check_device:
        _attribute("device", one.device, other.device)
    if wanted.check_dtype:
        _attribute("dtype", one.dtype, other.dtype)
    if wanted.check_stride:
        _attribute("stride()", one.stride(), other.stride())
    if one.is_meta or other.is_meta:
        return
    if one.layout is not strided or other.layout is not strided:
        _compare_sparse(one, other, wanted)
    else:
        _compare_elements(one, other, wanted, "Tensor-likes")


def _compare_elements(one: Tensor, other: Tensor, wanted: _Wanted, what: str) -> None:
    rtol, atol = wanted.tolerances(one.dtype, other.dtype)
    one, other = one.detach(), other.detach()
    if one.dtype is not other.dtype:
        kind = promote_types(one.dtype, other.dtype)
        one, other = one.to(kind), other.to(kind)
    close = ops.isclose(one, other, rtol=rtol, atol=atol, equal_nan=wanted.equal_nan)
    if bool(close.all()):
        return
    if one.ndim == 0:
        raise _Mismatch(_scalars(one.item(), other.item(), rtol, atol))
    raise _Mismatch(_tensors(one, other, close, rtol, atol, what))


def _compare_sparse(one: Any, other: Any, wanted: _Wanted) -> None:
    """Sparse tensors by their parts; of two layouts as dense ones."""
    if one.layout is not other.layout:
        _compare_tensors(one.to_dense(), other.to_dense(), wanted)
        return
    kind = one.layout.name.removeprefix("sparse_").upper()
    if one.is_sparse:
        one, other = one.detach().coalesce(), other.detach().coalesce()
    if one._nnz() != other._nnz():
        raise _Mismatch(
            f"The number of specified values in sparse {kind} tensors does not match: {one._nnz()} != "
            f"{other._nnz()}"
        )
    if kind == "COO":
        names = ["indices"]
    else:
        names = ["crow_indices", "col_indices"] if kind[2] == "R" else ["ccol_indices", "row_indices"]
    for name in (*names, "values"):
        what = f"Sparse {kind} {name}"
        _compare_elements(getattr(one, name)(), getattr(other, name)(), wanted, what)


def _tensors(one: Tensor, other: Tensor, close: Tensor, rtol: float, atol: float, what: str) -> str:
    """What is said of two tensors of which some elements differ."""
    exact = rtol == atol == 0
    if one.dtype.kind in "bui":
        one, other = one.to(int64), other.to(int64)
    apart = (one - other).abs().masked_fill(close, 0)
    relative = (apart / other.abs()).masked_fill(close, 0)
    wrong = close.numel() - int(close.sum())
    lines = [f"Mismatched elements: {wrong} / {close.numel()} ({wrong / close.numel():.1%})"]
    for name, found, tolerance in (("absolute", apart, atol), ("relative", relative, rtol)):
        flat = found.flatten()
        place = int(flat.argmax())
        index = tuple(map(int, np.unravel_index(place, tuple(close.shape))))
        allowed = "" if exact else f" (up to {tolerance} allowed)"
        lines.append(f"Greatest {name} difference: {flat[place].item()} at index {index}{allowed}")
    return f"{what} are not {'equal' if exact else 'close'}!\n\n" + "\n".join(lines)


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str = "",
) -> None:
    """`assert_close` of before: wider tolerances, any dtypes, numbers and lists as tensors."""
    warnings.warn(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. "
        "Please use `torch.testing.assert_close()` instead. You can find detailed upgrade instructions in "
        "https://github.com/pytorch/pytorch/issues/61844.",
        FutureWarning,
        stacklevel=2,
    )
    one = actual if isinstance(actual, Tensor) else ops.tensor(actual)
    other = expected if isinstance(expected, Tensor) else ops.tensor(expected, dtype=one.dtype)
    if rtol is None and atol is None:
        found = [ALLCLOSE.get(kind.to_real().name, (0.0, 0.0)) for kind in (one.dtype, other.dtype)]
        rtol, atol = (max(pair) for pair in zip(*found, strict=True))
    assert_close(
        one,
        other,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=True,
        check_dtype=False,
        check_stride=False,
        msg=msg or None,
    )
