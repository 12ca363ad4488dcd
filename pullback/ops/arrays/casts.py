"""Numbers in another type or place: `to` and its short names, and writes of whole tensors.

`cast_array` is the one place where numbers change their type. `to_copy` is its op; `copy_` and `fill_` cast
as they write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import (
    CPU,
    DTYPES,
    META,
    as_device,
    bfloat16,
    bool_,
    complex32,
    complex64,
    complex128,
    device,
    dtype,
    float16,
    float32,
    float64,
    from_numpy_dtype,
    int8,
    int16,
    int32,
    int64,
    memory_format,
    number_dtype,
    preserve_format,
    uint8,
)
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_like
from pullback.core.op import SURFACE, function, op
from pullback.core.settings import warn
from pullback.core.strides import preserved_strides, storage_of, strides_for, strides_of
from pullback.core.types import Array, Number
from pullback.kernels.moves import CAST_PART, RUNS
from pullback.ops.arrays.create import as_element
from pullback.ops.shared.batches import padded, rank, writes
from pullback.ops.shared.chains import merged
from pullback.ops.shared.pieces import Pieces, outline_of, pieces_plan

DISCARDS = "Casting complex values to real discards the imaginary part"


def cast_array(a: Any, kind: Any, strides: Any = None) -> Any:
    """A copy of an array in the NumPy dtype `kind`; a warning where imaginary parts are lost."""
    given, wanted = from_numpy_dtype(a.dtype), from_numpy_dtype(kind)
    if given is complex32 and wanted is not complex32:
        a = a.astype(np.complex64)
    if given.is_complex and not wanted.is_complex and wanted is not bool_:
        warn(DISCARDS)
        a = a.real
    if given is not wanted and "e" in (given.kind, wanted.kind):
        a = wanted.from_floats(a) if wanted.kind == "e" else a.astype(np.float32)
    with np.errstate(all="ignore"):
        return ops.laid_copy(a, kind, strides)


@op(name="to_copy", places="", linear=True, moves=True, grad_name="ToCopyBackward0", batch="leading")
def _to_copy(self: Array, dtype: Dtype, memory_format: memory_format | None = None) -> Array:
    """A copy of `self` as `dtype`."""
    if memory_format is None or memory_format is preserve_format:
        return cast_array(self, dtype.numpy)
    return cast_array(self, dtype.numpy, strides_for(self.shape, memory_format))


_CASTS = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
_TO = [*_CASTS, "complex64", "complex128"]
"""The types that kernels/moves.h casts, and casts to, in the order of its table."""


@_to_copy.prepare
def _plan_copy(self: Spec, dtype: Dtype, memory_format: Any) -> Plan:
    like = outline_of(self)
    kept = memory_format is None or memory_format is preserve_format
    strides = preserved_strides(like) if kept else strides_for(self.shape, memory_format)
    to = tuple([step * dtype.itemsize for step in strides])
    result = Spec(dtype, self.shape, to)
    if self.dtype is dtype:
        return pieces_plan(result, Pieces(self.shape, [(..., outline_of(self, 0))]))
    names = self.dtype.name, dtype.name
    fits = names[0] in _CASTS and names[1] in _TO and names != ("float64", "float16")
    if not self.size or not fits:
        return Plan(result)
    order = sorted(range(self.ndim), key=lambda d: -abs(to[d]))
    given = self.strides or to
    dims = merged((self.shape[d], given[d], to[d]) for d in order) or [(1, 0, 0)]
    geometry = (*map(_TO.index, names), len(dims), *[n for dim in dims for n in dim])
    parts = dims[0][0] if len(dims) > 1 else -(-dims[0][0] // CAST_PART)
    return Plan(result, RUNS["cast"]["any"], geometry, parts)


_to_copy.vjp(self="g")


def cast_grad(g: Tensor, kind: dtype) -> Tensor:
    """A gradient in another dtype; a real tensor's is the real part of a complex one."""
    if g.dtype.is_complex and not kind.is_complex:
        g = ops.real(g)
    return g if g.dtype is kind else _to_copy(g, kind)


def converted(input: Tensor, kind: dtype | None, copy: bool = False, memory_format: Any = None) -> Tensor:
    """`input` as `kind`: itself if it is that already and no copy is asked for."""
    if kind is None or kind is input.dtype:
        if copy or memory_format not in (None, preserve_format):
            if not copy and ops.is_contiguous(input, memory_format):
                return input
            return _to_copy(input, input.dtype, memory_format)
        return input
    return _to_copy(input, kind, memory_format)


TO_FORMS = (
    " * (torch.device device = None, torch.dtype dtype = None, bool non_blocking = False, "
    "bool copy = False, *, torch.memory_format memory_format = None)\n"
    " * (torch.dtype dtype, bool non_blocking = False, bool copy = False, *, "
    "torch.memory_format memory_format = None)\n"
    " * (Tensor tensor, bool non_blocking = False, bool copy = False, *, "
    "torch.memory_format memory_format = None)\n"
)


@function(places="m")
def to(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """`input` with another dtype or on another device: itself if nothing changes, else a copy.

    Called with a dtype, a device, both, or a tensor that has both; `copy=True` copies anyway. The
    gradient is cast back.

    >>> import pullback as torch
    >>> torch.tensor([1, 2]).to(torch.float64)
    tensor([1., 2.], dtype=torch.float64)
    """
    if len(args) == 1 and not kwargs and args[0].__class__ is dtype:
        return converted(input, args[0])
    shown = ", ".join(
        [a.__class__.__name__ for a in args] + [f"{k}={v.__class__.__name__}" for k, v in kwargs.items()]
    )
    kind, target, rest = kwargs.pop("dtype", None), kwargs.pop("device", None), list(args)
    if "other" in kwargs or "tensor" in kwargs:
        rest.insert(0, kwargs.pop("other", None) or kwargs.pop("tensor", None))
    if rest and isinstance(rest[0], Tensor):
        other = rest.pop(0)
        kind, target = other.dtype, other.device
    elif rest and isinstance(rest[0], dtype):
        kind = rest.pop(0)
    elif rest and (rest[0] is None or (isinstance(rest[0], (str, device, int)) and rest[0] is not True)):
        target = rest.pop(0)
        if rest and (rest[0] is None or isinstance(rest[0], dtype)):
            kind = rest.pop(0)
    for name in ("non_blocking", "copy")[: len(rest)]:
        kwargs.setdefault(name, rest.pop(0))
    if rest or not all(isinstance(kwargs.get(name, False), bool) for name in ("non_blocking", "copy")):
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({shown}), "
            f"but expected one of:\n{TO_FORMS}"
        )
    kwargs.pop("non_blocking", None)
    where = input.device if target is None else as_device(target)
    if where != input.device:
        return _moved(input, where, kind or input.dtype)
    return converted(input, kind, kwargs.pop("copy", False), kwargs.pop("memory_format", None))


def _moved(input: Tensor, where: device, kind: dtype) -> Tensor:
    if where == CPU:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    return ops.empty_like(input, dtype=kind, device=META)


SHORT = {
    "float": float32, "double": float64, "half": float16, "bfloat16": bfloat16, "int": int32,
    "long": int64, "short": int16, "char": int8, "byte": uint8, "bool": bool_, "chalf": complex32,
    "cfloat": complex64, "cdouble": complex128,
}  # fmt: skip


def _declare_cast(name: str, kind: dtype) -> Callable[..., Tensor]:
    def method(self: Tensor, memory_format: memory_format = preserve_format) -> Tensor:
        return converted(self, kind, memory_format=memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`self.to({kind!r})`."
    return method


for _name, _kind in SHORT.items():
    SURFACE["Tensor"][_name] = _declare_cast(_name, _kind)


@function(places="m")
def cpu(input: Tensor, memory_format: memory_format | None = preserve_format) -> Tensor:
    """The tensor on the device "cpu": itself."""
    return to(input, CPU)


@function(places="m")
def cuda(
    input: Tensor,
    device: device | str | int | None = None,
    non_blocking: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """The tensor on a CUDA device, of which Pullback has none: AssertionError."""
    return to(input, "cuda")


@function(places="m")
def type_as(input: Tensor, other: Tensor) -> Tensor:
    """`input.to(other.dtype)`."""
    return converted(input, other.dtype)


@function(name="type", places="m")
def typed(input: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type; with a dtype or such a name, the tensor converted to it.

    >>> import pullback as torch
    >>> torch.zeros(1).type(), torch.zeros(1).type(torch.int64)
    ('torch.FloatTensor', tensor([0]))
    """
    if dtype is None:
        return f"torch.{input.dtype.type_name}Tensor"
    if isinstance(dtype, str):
        kinds = {f"torch.{kind.type_name}Tensor": kind for kind in DTYPES}
        if dtype not in kinds:
            raise ValueError(f"invalid type: '{dtype}'")
        dtype = kinds[dtype]
    return converted(input, getattr(dtype, "dtype", dtype))


# ------------------------------------------------------------------------------ whole writes


@op(name="copy", places="i", writes="K", overwrites=True, grad_name="CopyBackwards", piecewise=True)
def _copy(self: Array, src: Array, non_blocking: bool = False) -> Array:
    """The numbers of `src`, broadcast and cast, in the layout of `self`; the gradient goes to `src`."""
    if src.shape != self.shape:
        _check_fits(self.shape, src.shape)
    self[...] = src if src.dtype == self.dtype else cast_array(src, self.dtype)
    return self


@_copy.meta
def _copy_shape(self: Array, src: Array, non_blocking: bool) -> Array:
    _check_fits(self.shape, src.shape)
    return meta_like(self)


_copy.vjp(self=lambda g: ops.zeros_like(g), src="g")
_copy.batch(writes)


def _check_fits(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    whole = ops.common_shape(shape, other)
    if whole != shape:
        raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(whole)}")


@function(name="copy_", places="m", quick=("copy all",))
def copy_in_place(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Writes `src` into the tensor, broadcast and cast to its dtype, and returns the tensor.

    RuntimeError if `src` does not broadcast to its shape. The gradient goes to `src`; what the tensor
    held before gets none.

    >>> import pullback as torch
    >>> torch.zeros(2, 2).copy_(torch.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    if not isinstance(src, Tensor):
        if number_dtype(src) is None:
            kind = src.__class__.__name__
            raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {kind}")
        src = from_array(np.asarray(src))
    return _copy.inplace(input, src)


def check_number(value: Any, kind: Any) -> None:
    """RuntimeError for a number that the NumPy dtype `kind` cannot hold even rounded."""
    as_element(value, from_numpy_dtype(kind))


@op(
    name="fill",
    places="",
    writes="K",
    overwrites=True,
    piecewise=True,
    batch="leading",
    written_name="FillBackward2",
)
def _fill(self: Array, value: Number) -> Array:
    """`self` with every element replaced by a number."""
    with np.errstate(over="ignore"):  # in half precision
        self[...] = as_element(value, from_numpy_dtype(self.dtype))
    return self


@_fill.meta
def _fill_shape(self: Array, value: Any) -> Array:
    check_number(value, self.dtype)
    return meta_like(self)


_fill.vjp(self=lambda g: ops.zeros_like(g))


@op(
    name="fill_tensor",
    places="",
    writes="K",
    piecewise=True,
    grad_name="FillBackward1",
    written_name="FillBackward3",
)
def _fill_with(self: Array, value: Array) -> Array:
    """`self` with every element replaced by the one of a 0-dim tensor."""
    _check_number_tensor(value)
    self[...] = value if value.dtype == self.dtype else cast_array(value, self.dtype)
    return self


def _check_number_tensor(value: Array) -> None:
    if value.ndim:
        raise RuntimeError(
            f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
        )


@_fill_with.meta
def _fill_with_shape(self: Array, value: Array) -> Array:
    _check_number_tensor(value)
    return meta_like(self)


_fill_with.vjp(self=lambda g: ops.zeros_like(g), value="g")


@_fill_with.batch
def _fill_with_batch(level: Any, op: Op, self: Any, value: Any) -> Any:
    """A value for each sample is a copy of it into the sample."""
    if level.holds(value):
        return level.wrap(_copy(level.front(self), padded(value.physical, rank(self)), False))
    return level.wrap(op(self.physical, value))


def _check_fill(name: str, value: Any) -> None:
    """TypeError for a value that is neither a tensor nor a number."""
    if isinstance(value, Tensor) or number_dtype(value) is not None:
        return
    kind = value.__class__.__name__
    before, types = ("Tensor input, ", "Tensor, ") if name == "fill" else ("", "")
    forms = "".join(
        f" * ({before}{form} value)\n      didn't match because some of the arguments have invalid "
        f"types: ({types}!{kind}!)\n"
        for form in ("Tensor", "Number")
    )
    raise TypeError(
        f"{name}() received an invalid combination of arguments - got ({types}{kind}), "
        f"but expected one of:\n{forms}"
    )


@function(places="t", quick=("filled", ...))
def fill(input: Tensor, value: Tensor | Number) -> Tensor:
    """A tensor like `input` with a number, or the element of a 0-dim tensor, everywhere.

    The gradient of the value is the sum of the result's, that of `input` is zero.

    >>> import pullback as torch
    >>> torch.fill(torch.zeros(2), 3)
    tensor([3., 3.])
    """
    _check_fill("fill", value)
    return _fill_with(input, value) if isinstance(value, Tensor) else _fill(input, value)


@function(name="fill_", places="tm", quick=("fill all", ...))
def fill_in_place(input: Tensor, value: Tensor | Number) -> Tensor:
    """Writes a number, or the element of a 0-dim tensor, into every element of the tensor."""
    _check_fill("fill_", value)
    if isinstance(value, Tensor):
        if type(value) is type(input) is Tensor and np.may_share_memory(input._layout, value._layout):
            value = ops.clone(value)
        return _fill_with.inplace(input, value)
    return _fill.inplace(input, value)


@op(name="zero", places="", writes="K", overwrites=True, batch="leading", piecewise=True)
def _zero(self: Array) -> Array:
    """Zeros like `self`."""
    self[...] = 0
    return self


_zero.meta(meta_like)


_zero.vjp(self=lambda g: ops.zeros_like(g))


@function(name="zero_", places="tm", quick=("fill all", 0))
def zero_in_place(input: Tensor) -> Tensor:
    """Sets every element of the tensor to zero."""
    return _zero.inplace(input)


@function(name="fill_diagonal_", places="tm")
def fill_diagonal_in_place(input: Tensor, fill_value: Number, wrap: bool = False) -> Tensor:
    """Writes a number to the elements at equal indices; `wrap` goes on below the square of a tall matrix.

    RuntimeError for one dimension, and for more than two that are not equally long.

    >>> import pullback as torch
    >>> torch.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = input.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    _write_diagonal(input, shape, 0, fill_value)
    if wrap and len(shape) == 2:
        for row in range(shape[1] + 1, shape[0], shape[1] + 1):
            _write_diagonal(input, shape, row, fill_value)
    return input


def _write_diagonal(input: Tensor, shape: Any, row: int, value: Any) -> None:
    """Fills the diagonal that starts at the left end of a row."""
    steps, here = strides_of(input._layout), storage_of(input._layout)[1]
    n = min(shape[0] - row, *shape[1:])
    ops.as_strided(input, (n,), (sum(steps),), here + row * steps[0]).fill_(value)
