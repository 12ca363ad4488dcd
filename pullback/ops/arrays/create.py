"""New tensors by size and fill: zeros, ones, full, empty, those like another, identity, index
grids.

`created` is the way of all of them: it reads the options (dtype, device, ...), has `make` fill an
array, and wraps it. Numbers that are to become elements go through `as_element`, which refuses
overflow in PyTorch's words. Ranges are in ranges.py, tensors made from data in convert.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict, Unpack

import numpy as np

from pullback import ops
from pullback.core._engine import (
    Tensor,
    bump_version,
    check_elements,
    from_array,
    grad_enabled,
    triangle_indices,
)
from pullback.core._loops import new_array
from pullback.core.dtype_names import WIDTH_NAMES
from pullback.core.dtypes import (
    META,
    as_device,
    bool_,
    complex128,
    device,
    finfo,
    float64,
    get_default_device,
    get_default_dtype,
    int64,
    layout,
    memory_format,
    number_dtype,
    preserve_format,
    strided,
)
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.op import elementwise, function
from pullback.core.strides import contiguous_strides, preserved_strides, strided_array, strides_for
from pullback.core.types import Array, Number

Make = Callable[[Sequence[int], Any], Array]


class Options(TypedDict, total=False):
    """What every function that makes a tensor takes as keywords."""

    out: Tensor | None
    dtype: Dtype | None
    layout: layout | None
    device: device | str | int | None
    pin_memory: bool
    requires_grad: bool


class FormatOptions(Options, total=False):
    """The same for those that may leave the order in memory to the caller."""

    memory_format: memory_format | None


_KNOWN = frozenset(FormatOptions.__annotations__)
_PYTHON_TYPES = {float: float64, int: int64, bool: bool_, complex: complex128}


MAX_DIMS = 64
"""NumPy's."""


# ------------------------------------------------------------------------------------- arguments


def dtype_of(name: str, value: Any) -> Dtype:
    """A dtype argument, which may be one of Python's number types."""
    if isinstance(value, Dtype):
        _ = value.code  # refuses one without tensors
        return value
    if value in _PYTHON_TYPES:
        return _PYTHON_TYPES[value]
    raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(value).__name__}")


def shape_of(name: str, size: Any) -> Sequence[int]:
    """The shape of `*size`: ints, or one tuple of them.

    TypeError for anything else, RuntimeError for a negative size.
    """
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    if len(size) > MAX_DIMS:
        raise RuntimeError(f"only tensors with up to {MAX_DIMS} dims are supported")
    for n in size:
        if type(n) is not int:
            return _shape_of(name, size)
        if n < 0:
            raise RuntimeError(
                "zeros: Dimension size must be non-negative."
                if name == "zeros"
                else f"Trying to create tensor with negative dimension {n}: {list(size)}"
            )
    return size


def _shape_of(name: str, size: Any) -> Sequence[int]:
    for position, n in enumerate(size):
        if isinstance(n, (bool, float, str)) or not hasattr(n, "__index__"):
            kind = type(n).__name__
            if position == 0:
                raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {kind}")
            raise TypeError(
                f"{name}(): argument 'size' failed to unpack the object at pos {position + 1} with "
                "error "
                f'"type must be tuple of ints,but got {kind}"'
            )
    return shape_of(name, [n.__index__() for n in size])


def sizes(name: str, size: tuple[Any, ...], options: Any) -> Sequence[int]:
    """The shape, given as positions or as the keyword `size`."""
    if "size" in options:
        if size:
            raise TypeError(f"{name}() got multiple values for argument 'size'")
        size = (options.pop("size"),)
    if not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
    return shape_of(name, size)


def refuse_options(name: str, options: Any) -> None:
    """TypeError for an unknown keyword; the errors of options that Pullback cannot follow."""
    for key in options:
        if key not in _KNOWN:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
    if not isinstance(options.get("requires_grad", False), bool):
        kind = type(options["requires_grad"]).__name__
        raise TypeError(f"{name}(): argument 'requires_grad' must be bool, not {kind}")
    if options.get("pin_memory"):
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory allocator is "
            "available on this system."
        )
    if options.get("layout") not in (None, strided):
        raise RuntimeError(f"Pullback has no tensors of layout {options['layout']!r}")


def created(
    name: str, options: Any, kind: Dtype, shape: Sequence[int], make: Make, in_row: bool = False
) -> Tensor:
    """The tensor of `make(shape, NumPy dtype)`; `kind` is the dtype if the options name none.

    What is `in_row` goes into an `out` of as many elements, whatever its shape.
    """
    if not options and get_default_device() is not META:
        return from_array(_allocate(make, shape, kind))
    if options.get("layout") not in (None, strided):
        if name not in ("zeros", "empty"):
            raise RuntimeError("full(...) is not implemented for sparse layout")
        kind = kind if options.get("dtype") is None else dtype_of(name, options["dtype"])
        return ops.sparse_zeros(options["layout"], shape, kind, options.get("requires_grad", False))
    refuse_options(name, options)
    out = options.get("out")
    if options.get("dtype") is not None:
        kind = dtype_of(name, options["dtype"])
        if out is not None and out.dtype is not kind:
            raise RuntimeError(
                f"dtype {kind.type_name} does not match dtype of out parameter ({out.dtype.type_name})"
            )
    if out is not None:
        return into(name, out, shape, make, in_row)
    wanted = options.get("memory_format")
    strides = contiguous_strides(shape) if wanted is None else strides_for(shape, wanted)
    if as_device(options.get("device")) is META:
        tensor = from_array(meta_array(shape, kind.numpy, strides), meta=True)
    elif wanted is None:
        tensor = from_array(_allocate(make, shape, kind))
    else:
        tensor = from_array(strided_array(shape, strides, kind.numpy))
    return finished(tensor, options.get("requires_grad", False))


LAZY = 1 << 26
"""Bytes from which on zeros are pages that the system gives when they are touched, which few may be."""


def filled(shape: Sequence[int], dtype: Any, value: Any) -> Array:
    """An array of one number, in memory that was used before if there is some."""
    made = new_array(shape, np.dtype(dtype))
    np.copyto(made, value, casting="unsafe")
    return made


def zeros_of(shape: Sequence[int], dtype: Any) -> Array:
    """An array of zeros."""
    large = math.prod(shape) * np.dtype(dtype).itemsize > LAZY
    return np.zeros(shape, dtype) if large else filled(shape, dtype, 0)


def ones_of(shape: Sequence[int], dtype: Any) -> Array:
    """An array of ones."""
    return filled(shape, dtype, 1)


def _allocate(make: Make, shape: Sequence[int], kind: Dtype) -> Array:
    try:
        return make(shape, kind.numpy)
    except (MemoryError, ValueError) as error:
        count = math.prod(shape)
        if count * kind.itemsize >= 2**63:
            raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}") from None
        if isinstance(error, MemoryError):
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate "
                f"{count * kind.itemsize} bytes."
            ) from None
        raise


def finished(tensor: Tensor, requires_grad: bool) -> Tensor:
    """A new tensor with its `requires_grad`; RuntimeError if its dtype has no gradients."""
    if requires_grad:
        if tensor.dtype.kind not in "fc":
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        tensor.requires_grad = True
    return tensor


def into(name: str, out: Tensor, shape: Sequence[int], make: Make, in_row: bool) -> Tensor:
    """Makes the numbers in an `out=` tensor, resized without a word if it has another shape."""
    if out.requires_grad and grad_enabled():
        raise RuntimeError(
            f"aten::{name}(): functions with out=... arguments don't support automatic differentiation, but "
            "one of the arguments requires grad."
        )
    draw = getattr(make, "fill", None)  # numbers are drawn in the order in which the elements lie in memory
    a = None if draw or make is np.empty else _allocate(make, shape, out.dtype)
    if out.shape != tuple(shape) and not (in_row and out.numel() == math.prod(shape)):
        out.resize_(shape)
    if in_row or draw:
        check_elements(out)
    if draw:
        draw(out._array)
    elif a is not None:
        np.copyto(out._array, a.reshape(out.shape), casting="unsafe")
    bump_version(out)
    return out


_LARGEST = {n: float(np.finfo(kind).max) for n, kind in ((2, "f4"), (4, "f4"), (8, "f8"))}
"""By the bytes of a float: those of half precision are checked as float32, as in PyTorch."""


def as_element(value: Any, kind: Dtype) -> Any:
    """A number as an element of a dtype: a float cut towards zero for integers, a negative int wrapped if
    unsigned.

    RuntimeError if the dtype has no room for it.
    """
    if kind is bool_:
        return bool(value)
    if kind.is_complex:
        return complex(value)
    fits = not isinstance(value, complex) or value.imag == 0
    if fits and isinstance(value, complex):
        value = value.real
    if fits and kind.kind == "e":
        limits = finfo(kind)
        fits = not math.isfinite(value) or limits.min <= value <= limits.max
        value = kind.from_floats(np.array(value, np.float32))[()] if fits else value
    elif fits and kind.is_floating_point:
        fits = not math.isfinite(value) or abs(value) <= _LARGEST[kind.itemsize]
        value = float(value) if fits else value
    elif fits:
        bits = 8 * kind.itemsize
        if isinstance(value, float) and not -(2 ** (bits - 1)) * kind.is_signed <= value <= (
            2 ** (bits - kind.is_signed) - 1
        ):
            value = math.inf
        fits = math.isfinite(value) and abs(int(value)) < 2 ** (bits - kind.is_signed)
        fits = fits or (kind.is_signed and math.isfinite(value) and int(value) == -(2 ** (bits - 1)))
        value = int(value) % 2**bits if fits and not kind.is_signed else int(value) if fits else value
    if not fits:
        raise RuntimeError(f"value cannot be converted to type {WIDTH_NAMES[kind.name]} without overflow")
    return value


# -------------------------------------------------------------------------------------- by size


@function(places="t", quick=("size", 0))
def zeros(*size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """A tensor of zeros. `size` is ints or a tuple; RuntimeError for a negative one.

    >>> import pullback as torch
    >>> torch.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    shape = sizes("zeros", size, options)
    return created("zeros", options, get_default_dtype(), shape, zeros_of)


@function(places="t", quick=("size", 1))
def ones(*size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """A tensor of ones. `size` is ints or a tuple; RuntimeError for a negative one.

    >>> import pullback as torch
    >>> torch.ones(2, dtype=torch.int64)
    tensor([1, 1])
    """
    shape = sizes("ones", size, options)
    return created("ones", options, get_default_dtype(), shape, ones_of)


@function(places="t", quick=("size",))
def empty(*size: int | Sequence[int], **options: Unpack[FormatOptions]) -> Tensor:
    """A tensor whose elements are not set. `memory_format` lays out four or five dims channels
    last.

    >>> import pullback as torch
    >>> torch.empty(2, 3).shape
    torch.Size([2, 3])
    """
    shape = sizes("empty", size, options)
    return created("empty", options, get_default_dtype(), shape, np.empty)


def _fill_maker(value: Any, kind: Dtype) -> Make:
    """What makes arrays filled with a number; `kind` is their dtype."""
    element = as_element(value, kind)

    def make(shape: Sequence[int], dtype: Any) -> Array:
        with np.errstate(over="ignore"):  # in half precision
            return filled(shape, dtype, element)

    return make


def _fill_value(name: str, value: Any) -> Any:
    """A fill value as a Python number; a 0-dim tensor gives its element."""
    if isinstance(value, Tensor) and value.ndim == 0 and not value.requires_grad:
        value = value.item()
    if number_dtype(value) is None:
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument 'fill_value' (position 2) must be Number, not {kind}")
    return value


def exact_size(name: str, size: Any) -> Sequence[int]:
    """A size that must be a tuple or list."""
    if not isinstance(size, (tuple, list)):
        kind = type(size).__name__
        raise TypeError(f"{name}(): argument 'size' (position 1) must be tuple of ints, not {kind}")
    return shape_of(name, (size,))


@function(places="t", quick=("size and number",))
def full(size: Sequence[int], fill_value: Number, **options: Unpack[Options]) -> Tensor:
    """A tensor filled with a number, in the number's dtype unless `dtype` says otherwise.

    RuntimeError if the dtype has no room for the number.

    >>> import pullback as torch
    >>> torch.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    value = _fill_value("full", fill_value)
    shape = exact_size("full", size)
    wanted, out = options.get("dtype"), options.get("out")
    kind = number_dtype(value) if wanted is None else dtype_of("full", wanted)
    assert kind is not None
    make = _fill_maker(value, kind if out is None else out.dtype)
    return created("full", options, kind, shape, make)


@function(places="t", quick=("strides",))
def empty_strided(size: Sequence[int], stride: Sequence[int], **options: Unpack[Options]) -> Tensor:
    """A tensor with these strides, counted in elements, whose elements are not set.

    >>> import pullback as torch
    >>> torch.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape = exact_size("empty_strided", size)
    if len(shape) != len(stride):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(stride)})"
        )
    if any(step < 0 for step in stride):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and strides={list(stride)}"
        )
    kind = options.get("dtype") or get_default_dtype()
    if as_device(options.get("device")) is META:
        tensor = from_array(meta_array(shape, kind.numpy, stride), meta=True)
    else:
        tensor = created(
            "empty_strided",
            options,
            kind,
            shape,
            lambda shape, dtype: strided_array(shape, stride, dtype),
        )
    return finished(tensor, options.get("requires_grad", False))


@function(places="t", quick=("number",))
def scalar_tensor(s: Number, **options: Unpack[Options]) -> Tensor:
    """A 0-dim tensor of a number, in the default dtype unless `dtype` says otherwise.

    >>> import pullback as torch
    >>> torch.scalar_tensor(3)
    tensor(3.)
    """
    if number_dtype(s) is None:
        raise TypeError(f"scalar_tensor(): argument 's' (position 1) must be Number, not {type(s).__name__}")
    kind = options.get("dtype") or get_default_dtype()
    return created("scalar_tensor", options, kind, (), _fill_maker(s, kind))


# ---------------------------------------------------------------------------------- like another


def array_like(a: Array) -> Array:
    """A new array like this one; not dense, it becomes dense in the same order."""
    if a.flags.c_contiguous:
        return np.empty_like(a)
    return strided_array(a.shape, preserved_strides(a), a.dtype)


def _zeros_kernel(self: Array) -> Array:
    if self.flags.c_contiguous:
        return zeros_of(self.shape, self.dtype)
    made = array_like(self)
    made.fill(0)
    return made


def _full_kernel(self: Array, fill_value: Array) -> Array:
    made = array_like(self)
    made.fill(fill_value)
    return made


_zeros_like = elementwise(
    "zeros_like",
    kernel=_zeros_kernel,
    places="",
    allowed="bifche",
    nondiff=True,
    doc="Zeros in the shape of a tensor.",
)
_full_like = elementwise(
    "full_like",
    kernel=_full_kernel,
    inputs=("self", "fill_value"),
    kinds="TN",
    places="",
    allowed="bifche",
    nondiff=True,
    doc="A number in the shape of a tensor.",
)


def like(name: str, input: Any, options: Any, make: Make) -> Tensor:
    """A tensor in the shape of another, whose dtype, device and layout in memory are the defaults."""
    if not isinstance(input, Tensor):
        given = type(input).__name__
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {given}")
    wanted = options.pop("memory_format", None) or preserve_format
    options = {"device": input.device, **options}
    shape, kind = input.shape, options.get("dtype") or input.dtype
    keep = wanted is preserve_format
    strides = preserved_strides(input._layout) if keep else strides_for(shape, wanted)
    if as_device(options["device"]) is META:
        kind = dtype_of(name, kind)
        tensor = from_array(meta_array(shape, kind.numpy, strides), meta=True)
        return finished(tensor, options.get("requires_grad", False))

    def laid_out(shape: Sequence[int], dtype: Any) -> Array:
        a = strided_array(shape, strides, dtype)
        np.copyto(a, make((), dtype))
        return a

    plain = strides == contiguous_strides(shape)
    return created(name, options, kind, shape, make if plain else laid_out)


@function(places="t", quick=("like", 0))
def zeros_like(input: Tensor, **options: Unpack[FormatOptions]) -> Tensor:
    """Zeros in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.zeros_like(torch.tensor([1, 2]))
    tensor([0, 0])
    """
    return like("zeros_like", input, options, zeros_of) if options else _zeros_like(input)


@function(places="t", quick=("like", 1))
def ones_like(input: Tensor, **options: Unpack[FormatOptions]) -> Tensor:
    """Ones in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.ones_like(torch.tensor([3.0, 4.0]))
    tensor([1., 1.])
    """
    return like("ones_like", input, options, ones_of) if options else _full_like(input, True)


@function(places="t", quick=("like",))
def empty_like(input: Tensor, **options: Unpack[FormatOptions]) -> Tensor:
    """A tensor in the shape, dtype, device and order of memory of `input`, its elements not set.

    >>> import pullback as torch
    >>> torch.empty_like(torch.ones(2, 3).t()).stride()
    (1, 3)
    """
    return like("empty_like", input, options, np.empty)


@function(places="t", quick=("like", ...))
def full_like(input: Tensor, fill_value: Number, **options: Unpack[FormatOptions]) -> Tensor:
    """A number in the shape, dtype, device and order of memory of `input`.

    >>> import pullback as torch
    >>> torch.full_like(torch.tensor([3.0, 4.0]), 0.5)
    tensor([0.5000, 0.5000])
    """
    value = _fill_value("full_like", fill_value)
    kind = options.get("dtype") or input.dtype
    if not options:
        return _full_like(input, as_element(value, kind))
    return like("full_like", input, options, _fill_maker(value, dtype_of("full_like", kind)))


# ------------------------------------------------------------------------------------ new_ methods


def _new_like(name: str, input: Tensor, size: Any, options: Any, make: Make) -> Tensor:
    """A tensor with the dtype and device of another."""
    shape = sizes(name, size, options)
    return created(name, {"device": input.device, **options}, input.dtype, shape, make)


@function(places="m", quick=("own size", 0))
def new_zeros(self: Tensor, *size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """Zeros of any size with this tensor's dtype and device.

    >>> import pullback as torch
    >>> torch.ones(1, dtype=torch.int64).new_zeros(2)
    tensor([0, 0])
    """
    return _new_like("new_zeros", self, size, options, zeros_of)


@function(places="m", quick=("own size", 1))
def new_ones(self: Tensor, *size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """Ones of any size with this tensor's dtype and device.

    >>> import pullback as torch
    >>> torch.zeros(1, dtype=torch.int64).new_ones(2)
    tensor([1, 1])
    """
    return _new_like("new_ones", self, size, options, ones_of)


@function(places="m", quick=("own size",))
def new_empty(self: Tensor, *size: int | Sequence[int], **options: Unpack[Options]) -> Tensor:
    """A tensor of any size with this one's dtype and device, its elements not set.

    >>> import pullback as torch
    >>> torch.ones(1).new_empty(2, 3).shape
    torch.Size([2, 3])
    """
    return _new_like("new_empty", self, size, options, np.empty)


@function(places="m", quick=("size and number",))
def new_full(self: Tensor, size: Sequence[int], fill_value: Number, **options: Unpack[Options]) -> Tensor:
    """A number in any size with this tensor's dtype and device.

    >>> import pullback as torch
    >>> torch.ones(1).new_full((2,), 3)
    tensor([3., 3.])
    """
    value = _fill_value("new_full", fill_value)
    shape = exact_size("new_full", size)
    kind = dtype_of("new_full", options.get("dtype") or self.dtype)
    options = {"device": self.device, **options}
    return created("new_full", options, kind, shape, _fill_maker(value, kind))


@function(places="m", quick=("strides",))
def new_empty_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], **options: Unpack[Options]
) -> Tensor:
    """A tensor with these strides and this one's dtype and device, its elements not set.

    >>> import pullback as torch
    >>> torch.ones(1).new_empty_strided((2,), (3,)).stride()
    (3,)
    """
    options = {"dtype": self.dtype, "device": self.device, **options}
    return empty_strided(size, stride, **options)


# ------------------------------------------------------------------------------- special matrices


@function(places="t", quick=("identity",))
def eye(n: int, m: int | None = None, **options: Unpack[Options]) -> Tensor:
    """The identity matrix, n by n or n by m. RuntimeError for a negative size.

    >>> import pullback as torch
    >>> torch.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    m = n if m is None else m
    for name, size in (("n", n), ("m", m)):
        if not hasattr(size, "__index__") or isinstance(size, bool):
            position = 1 if name == "n" else 2
            kind = type(size).__name__
            raise TypeError(f"eye(): argument '{name}' (position {position}) must be int, not {kind}")
        if size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    return created(
        "eye",
        options,
        get_default_dtype(),
        (n, m),
        lambda shape, dtype: np.eye(*shape, dtype=dtype),
    )


def _triangle_indices(name: str, row: int, col: int, offset: int, options: Any) -> Tensor:
    for side, size in (("row", row), ("col", col)):
        if size < 0:
            raise RuntimeError(f"{side} must be non-negative, got{size}")
    kind = options.get("dtype") or int64
    if kind.kind not in "iu":
        raise NotImplementedError(f"\"{name}\" not implemented for '{kind.type_name}'")
    indices = triangle_indices(row, col, offset, name == "triu_indices")

    def make(shape: Any, dtype: Any) -> Array:
        return indices.astype(dtype, copy=False)

    return created(name, options, int64, indices.shape, make)


@function(places="t", quick=("remembered", {}))
def tril_indices(row: int, col: int, offset: int = 0, **options: Unpack[Options]) -> Tensor:
    """Rows and columns of the lower triangle of a row by col matrix: int64, shape (2, count).

    >>> import pullback as torch
    >>> torch.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle_indices("tril_indices", row, col, offset, options)


@function(places="t", quick=("remembered", {}))
def triu_indices(row: int, col: int, offset: int = 0, **options: Unpack[Options]) -> Tensor:
    """Rows and columns of the upper triangle of a row by col matrix: int64, shape (2, count).

    >>> import pullback as torch
    >>> torch.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle_indices("triu_indices", row, col, offset, options)


def _check_layout(size: tuple[int, ...], layout: tuple[int, ...]) -> None:
    """Refuses what is no order of the dims."""
    if len(layout) != len(size):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(size)} is not equal to len(physical_layout) = {len(layout)}"
        )
    for position, dim in enumerate(layout):
        if not 0 <= dim < len(size):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(size) - 1}, but got {dim} at "
                f"index {position}).  NB: negative dims not currently supported; file an issue if you "
                "want it."
            )
    if len(set(layout)) != len(layout):
        raise RuntimeError("Duplicate dim not allowed")


@function(places="t")
def empty_permuted(size: Sequence[int], physical_layout: Sequence[int], **options: Unpack[Options]) -> Tensor:
    """A tensor of `size` with any numbers, whose dims lie in memory in the order `physical_layout`.

    RuntimeError for what is no order of the dims. The options are those of `empty`.

    >>> import pullback as torch
    >>> torch.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    size, layout = tuple(size), tuple(physical_layout)
    _check_layout(size, layout)
    grad = options.pop("requires_grad", False)
    made = empty(tuple(size[d] for d in layout), **options)
    made = ops.permute(made, tuple(layout.index(d) for d in range(len(size)))).detach()
    return made.requires_grad_() if grad else made
