"""Evenly spaced numbers, and powers of them: arange, linspace, logspace, vander."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, levels, spread
from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import device, get_default_dtype, int64, layout, number_dtype
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.op import function, op
from pullback.core.settings import warn_each_time
from pullback.core.types import Array, Number
from pullback.ops.arrays.create import Options, as_element, created, dtype_of
from pullback.ops.shared.forms import explained, forms_of, mismatch


def _number_argument(name: str, parameter: str, position: int, value: Any) -> Any:
    """An argument that is a number or a 0-dim tensor, as a Python number."""
    if isinstance(value, Tensor):
        value = value.item()
    if number_dtype(value) is None:
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument '{parameter}' (position {position}) must be Number, not {kind}")
    if isinstance(value, complex):
        raise RuntimeError("value cannot be converted to type double without overflow")
    return value.item() if isinstance(value, np.generic) else value


def _to_end(end: Number, **options: Unpack[Options]) -> Tensor:
    """A form of `arange`."""


def _from_start(
    start: Number,
    end: Number,
    *,
    dtype: Dtype | None = None,
    layout: layout | None = None,
    device: device | None = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """Another one."""


def _in_steps(start: Number, end: Number, step: Number = 1, **options: Unpack[Options]) -> Tensor:
    """The last one."""


def _arange_arguments(name: str, args: tuple[Any, ...], options: Any) -> tuple[Any, Any, Any]:
    """Start, end and step of `arange(end)`, `arange(start, end, step)`, by position or keyword."""
    names = ("end",) if len(args) == 1 and "end" not in options else ("start", "end", "step")
    by_name = dict(zip(names, args, strict=False))
    by_name.update({key: options.pop(key) for key in ("start", "end", "step") if key in options})
    if "end" not in by_name or len(args) > 3:
        raise TypeError(mismatch(name, forms_of(_to_end, _from_start, _in_steps), args, {}))
    positions = {key: position for position, key in enumerate(names, 1)}
    start, end, step = (
        _number_argument(name, key, positions.get(key, 1), by_name.get(key, default))
        for key, default in (("start", 0), ("end", None), ("step", 1))
    )
    return start, end, step


def _check_arange(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start:g} -> {end:g}")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


@function(places="t", signatures=(_to_end, _in_steps), quick=("range",))
def arange(*args: Any, **options: Unpack[Options]) -> Tensor:
    """Numbers from `start` (0) up to but not including `end`, `step` (1) apart: `arange(start,
    end, step)`.

    int64 if all three are integers, else the default dtype; ceil((end - start) / step) numbers.
    RuntimeError if the step leads away from the end.

    >>> import pullback as torch
    >>> torch.arange(1, 2, 0.25)
    tensor([1.0000, 1.2500, 1.5000, 1.7500])
    """
    start, end, step = _arange_arguments("arange", args, options)
    whole = all(isinstance(value, int) for value in (start, end, step))
    kind = int64 if whole else get_default_dtype()
    wanted, out = options.get("dtype"), options.get("out")
    target = out.dtype if out is not None else kind if wanted is None else dtype_of("arange", wanted)
    if target.kind in "bc":
        raise NotImplementedError(f"\"arange_cpu\" not implemented for '{target.type_name}'")
    _check_arange(start, end, step)
    if target is int64:
        start, end, step = int(start), int(end), int(step)
        if not step:
            raise ValueError("step must be nonzero")
        count = -((start - end) // step)
    else:
        count = math.ceil((float(end) - float(start)) / float(step))

    if out is not None and out.numel() not in (0, count):
        warn_each_time(
            f"The number of elements in the out tensor of shape {list(out.shape)} is {out.numel()} which "
            f"does not match the computed number of elements {count}. Note that this may occur as a result "
            f"of rounding error. The out tensor will be resized to a tensor of shape ({count},).",
            UserWarning,
        )

    def make(shape: Any, dtype: Any) -> Array:
        return _spaced(start, step, count, target.kind in "ui").astype(dtype, copy=False)

    return created("arange", options, kind, (count,), make, in_row=True)


def _spaced(start: Any, step: Any, count: int, whole: bool) -> Array:
    """`start + i * step` for i < count, as int64 or float64."""
    if whole:
        return np.arange(count) * int(step) + int(start)
    return np.arange(count) * float(step) + start


_RANGE_IS_OLD = (
    "torch.range is deprecated and will be removed in a future release because its behavior is "
    "inconsistent with Python's range builtin. Instead, use torch.arange, which produces values in "
    "[start, end)."
)


@function(name="range", places="t", signatures=(_in_steps,), quick=("range", _RANGE_IS_OLD.encode()))
def range_(*args: Any, **options: Unpack[Options]) -> Tensor:
    """Like `arange`, but with the end included: deprecated, as in PyTorch.

    >>> import pullback as torch, warnings
    >>> warnings.simplefilter("ignore")
    >>> torch.range(1, 3)
    tensor([1., 2., 3.])
    """
    if len(args) == 1 and "end" not in options:
        raise TypeError('range() missing 1 required positional arguments: "end"')
    start, end, step = _arange_arguments("range", args, options)
    warn_each_time(_RANGE_IS_OLD, UserWarning)
    _check_arange(start, end, step)
    count = math.floor((float(end) - float(start)) / float(step)) + 1

    def make(shape: Any, dtype: Any) -> Array:
        return _spaced(start, step, count, dtype.kind in "ui").astype(dtype, copy=False)

    return created("range", options, get_default_dtype(), (count,), make, in_row=True)


def _end_points(name: str, start: Any, end: Any) -> tuple[Any, Any]:
    """The bounds of linspace: numbers, or tensors without dims."""
    bounds = {"start": start, "end": end}
    ranks = {key: value.ndim for key, value in bounds.items() if isinstance(value, Tensor)}
    if any(ranks.values()):
        which = " and ".join(f"{key} with {ndim} dimension(s)" for key, ndim in ranks.items())
        raise RuntimeError(f"{name} only supports 0-dimensional start and end tensors, but got {which}.")
    return _end_point(name, "start", start), _end_point(name, "end", end)


def _batched_bounds(make: Any, start: Any, end: Any, options: Any) -> Any:
    """Under a transform, `make(start, end)` as an op on bounds that are tensors; None elsewhere."""
    if not levels() or "out" in options or not any(isinstance(x, Tensor) for x in (start, end)):
        return None
    return _linspace_of_tensors(*(x if isinstance(x, Tensor) else ops.tensor(x) for x in (start, end)), make)


@op(name="linspace", places="", nondiff=True, moves=True)
def _linspace_of_tensors(self: Array, end: Array, make: Any) -> Array:
    return make(self.item(), end.item())._array


@_linspace_of_tensors.meta
def _linspace_shape(self: Array, end: Array, make: Any) -> Array:
    made = make(0.0, 1.0)._array
    return meta_array(made.shape, made.dtype)


def _end_point(name: str, parameter: str, value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.item()
    if number_dtype(value) is None:
        position = 1 if parameter == "start" else 2
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument '{parameter}' (position {position}) must be Number, not {kind}")
    return value


def _spread_kind(name: str, options: Any, *values: Any) -> tuple[Dtype, Dtype]:
    """The default dtype of a spread, complex if a value is, and the dtype that it will have."""
    kind = get_default_dtype()
    if any(isinstance(value, complex) for value in values):
        kind = kind.to_complex()
    wanted, out = options.get("dtype"), options.get("out")
    target = out.dtype if out is not None else kind if wanted is None else dtype_of(name, wanted)
    if target.kind == "b":
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for 'Bool'")
    return kind, target


def _check_steps(name: str, steps: Any) -> int:
    if isinstance(steps, (bool, float)) or not hasattr(steps, "__index__"):
        kind = type(steps).__name__
        raise TypeError(f"{name}(): argument 'steps' (position 3) must be int, not {kind}")
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return steps.__index__()


def _evenly_spaced(start: Any, end: Any, steps: int, target: Dtype) -> Array:
    """Evenly spaced numbers in the precision of the dtype, counted from the nearer end."""
    wide = {"f": target.numpy, "c": target.numpy}.get(target.kind, np.dtype(np.float64))
    if target.itemsize == 2 and target.kind == "f":
        wide = np.dtype(np.float32)
    if wide.kind == "f":
        made = np.empty(steps, wide)
        spread(made, start, end)
        return made
    start, end = wide.type(start), wide.type(end)
    if steps < 2:
        return np.full(steps, start, wide)
    step = (end - start) / wide.type(steps - 1)
    i = np.arange(steps)
    low, high = i.astype(wide), (steps - 1 - i).astype(wide)
    return np.where(i < steps // 2, start + step * low, end - step * high)


def linspace(start: Tensor | Number, end: Tensor | Number, steps: int, **options: Unpack[Options]) -> Tensor:
    """`steps` evenly spaced numbers from `start` to `end`, both included, in the default dtype.

    >>> import pullback as torch
    >>> torch.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    steps = _check_steps("linspace", steps)
    batched = _batched_bounds(lambda a, b: linspace(a, b, steps, **options), start, end, options)
    if batched is not None:
        return batched
    first, last = _end_points("linspace", start, end)
    kind, target = _spread_kind("linspace", options, first, last)
    if target.kind in "ui":
        first, last = as_element(first, target), as_element(last, target)

    def make(shape: Any, dtype: Any) -> Array:
        return _evenly_spaced(first, last, steps, target).astype(dtype)

    return created("linspace", options, kind, (steps,), make, in_row=True)


def logspace(
    start: Tensor | Number,
    end: Tensor | Number,
    steps: int,
    base: float = 10.0,
    **options: Unpack[Options],
) -> Tensor:
    """`base` to the power of `steps` evenly spaced numbers from `start` to `end`, in the default
    dtype.

    >>> import pullback as torch
    >>> torch.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    steps = _check_steps("logspace", steps)
    batched = _batched_bounds(lambda a, b: logspace(a, b, steps, base, **options), start, end, options)
    if batched is not None:
        return batched
    first, last = _end_points("logspace", start, end)
    kind, target = _spread_kind("logspace", options, first, last)
    if (isinstance(base, complex) and not target.is_complex) or (
        target.kind in "buif" and (isinstance(first, complex) or isinstance(last, complex))
    ):
        inferred = get_default_dtype().to_complex()
        raise RuntimeError(
            f"torch.logspace(): inferred dtype {C_NAMES[inferred.name]} can't be safely cast to passed dtype "
            f"{target.type_name}"
        )
    if target.kind in "ui":
        first, last = int(first), int(last)

    def make(shape: Any, dtype: Any) -> Array:
        wide = np.dtype(np.complex128 if target.is_complex else np.float64)
        exponents = np.linspace(first, last, steps, dtype=wide)
        return np.power(wide.type(base), exponents).astype(dtype)

    return created("logspace", options, kind, (steps,), make, in_row=True)


linspace = explained(linspace, places="t", quick=("ends",))
logspace = explained(logspace, places="t", quick=("ends", 10.0))


@function(places="t")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """The matrix of powers of a vector, N columns (square if None), the highest power first.

    RuntimeError unless `x` has one dim.

    >>> import pullback as torch
    >>> torch.vander(torch.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    if x.ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    if N is not None and N < 0:
        raise RuntimeError("N must be non-negative.")
    count = x.shape[0] if N is None else N
    kind = x.dtype if x.dtype.kind in "fc" else int64
    powers = ops.ones((x.shape[0], min(count, 1)), dtype=kind, device=x.device)
    if count > 1:
        columns = ops.expand(ops.unsqueeze(x, 1), (x.shape[0], count - 1))
        powers = ops.cat([powers, ops.cumprod(columns, 1)], 1)
    return powers if increasing else ops.flip(powers, (1,))
