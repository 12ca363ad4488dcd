"""Tensors from data: Python numbers and sequences, NumPy arrays, buffers, other tensors.

`tensor` copies, `as_tensor` shares memory where it can. The fast ways come first: one Python
number, and sequences of nothing but Python numbers, which NumPy reads in one go. What is left
(NumPy scalars and tensors among the numbers, data that do not fit) goes to `_inferred` and
`_explain_data`.
"""

from __future__ import annotations

import operator
import os
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import (
    DTYPES,
    META,
    as_device,
    device,
    from_numpy_dtype,
    get_default_dtype,
    number_dtype,
    promote_types,
)
from pullback.core.dtypes import device as Device
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.op import function
from pullback.core.settings import warn, warn_each_time
from pullback.core.strides import strides_of
from pullback.core.types import Array
from pullback.ops.arrays.create import dtype_of, finished, refuse_options

_NUMBER_TYPES = frozenset({float, int, bool, complex})
_NO_DATA = object()
_PLAIN = frozenset(kind.numpy for kind in DTYPES if kind.is_native)

_COPIED = (
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than {}(sourceTensor)."
)
_NOT_WRITABLE = (
    "The given {} is not writable, and PyTorch does not support non-writable tensors. This means {}. You "
    "may want to copy the {} to protect its data or make it writable before converting it to a tensor. "
    "This type of warning will be suppressed for the rest of this program."
)
_ARRAY = ("NumPy array", "writing to this tensor will result in undefined behavior", "array")
_BUFFER = (
    "buffer",
    "you can write to the underlying (supposedly non-writable) buffer using the tensor",
    "buffer",
)


# ------------------------------------------------------------------------------- Python sequences


def _leaf_types(data: Any, seen: set[type], depth: int = 0) -> set[type]:
    """The types of the numbers in nested lists and tuples."""
    kinds = set(map(type, data))
    if kinds.isdisjoint((list, tuple)):
        return seen | kinds
    _check_depth(data, depth)
    for item in data:
        if type(item) is list or type(item) is tuple:
            seen |= _leaf_types(item, seen, depth + 1)
        else:
            seen.add(type(item))
    return seen


def _check_depth(data: Any, depth: int) -> None:
    """An error for sequences nested too deeply, as those are that contain themselves."""
    if depth > 128:
        if type(data) in (list, tuple) and data[0] is not data and any(item is data for item in data):
            raise TypeError("new(): self-referential lists are incompatible")
        raise ValueError(f"too many dimensions '{type(data).__name__}'")


def _python_dtype(kinds: set[type]) -> Dtype:
    """The dtype of Python numbers of these types."""
    if complex in kinds:
        return get_default_dtype().to_complex()
    if float in kinds or not kinds:
        return get_default_dtype()
    return number_dtype(1 if int in kinds else True)  # type: ignore[return-value]


def _sequence_array(data: Any, kind: Dtype | None) -> Array:
    """The array of a sequence, in `kind` or the dtype that its numbers call for."""
    if type(data) is list or type(data) is tuple:
        kinds = _leaf_types(data, set())
        if kinds <= _NUMBER_TYPES:
            return _packed(data, _python_dtype(kinds) if kind is None else kind)
    elif _is_sequence(data):
        _check_readable(data)
    inferred = _inferred(data)
    return _packed(_python_numbers(data), inferred if kind is None else kind)


def _check_readable(data: Any) -> None:
    """ValueError for a sequence of the user's that does not give its items."""
    try:
        for _ in data:
            break
    except Exception:
        raise ValueError(f"could not determine the shape of object type '{type(data).__name__}'") from None


def _packed(data: Any, kind: Dtype) -> Array:
    """Nested sequences of Python numbers as an array."""
    through = np.dtype(np.float32) if kind.is_floating_point and kind.itemsize <= 2 else kind.numpy
    try:
        with np.errstate(all="ignore"):
            made = np.array(data, dtype=through)
            return kind.from_floats(made) if kind.kind == "e" else made.astype(kind.numpy, copy=False)
    except (TypeError, ValueError, OverflowError):
        return _explain_data(data, kind)


def _inferred(data: Any, depth: int = 0) -> Dtype:
    """The dtype of data of any kind; RuntimeError where there is none."""
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return from_numpy_dtype(data.dtype)
    kind = number_dtype(data)
    if kind is not None:
        return kind
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if not _is_sequence(data):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    _check_depth(data, depth)
    if any(isinstance(item, np.ndarray) for item in data):
        warn(
            "Creating a tensor from a list of numpy.ndarrays is extremely slow. Please consider converting "
            "the list to a single numpy.ndarray with numpy.array() before converting to a tensor.",
        )
    for item in data:
        if isinstance(item, str) and len(data) == 1:
            raise ValueError("too many dimensions 'str'")
        inferred = _inferred(item, depth + 1)
        kind = inferred if kind is None else promote_types(kind, inferred)
    return get_default_dtype() if kind is None else kind


def _is_sequence(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__") and not hasattr(data, "keys")


def _python_numbers(data: Any) -> Any:
    """Data with Python numbers in place of tensors and NumPy's numbers."""
    if isinstance(data, Tensor):
        if data.numel() != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return data.item()
    if isinstance(data, (np.ndarray, np.generic)):
        return data.tolist()
    return [_python_numbers(item) for item in data] if _is_sequence(data) else data


def _explain_data(data: Any, kind: Dtype) -> Array:
    """An array that NumPy would not make: with integers wrapped, or the error in PyTorch's words."""
    shape = _nested_shape(data)
    flat: list[Any] = []
    _flat_numbers(data, shape, 0, flat)
    return np.array([_element(value, kind) for value in flat], dtype=kind.numpy).reshape(shape)


def _nested_shape(data: Any) -> tuple[int, ...]:
    """The sizes that the first items say."""
    sizes: list[int] = []
    while _is_sequence(data) and not isinstance(data, (str, bytes)):
        sizes.append(len(data))
        _check_depth(data, len(sizes) - 1)
        if not len(data):
            break
        data = data[0]
    return tuple(sizes)


def _flat_numbers(data: Any, shape: tuple[int, ...], dim: int, flat: list[Any]) -> None:
    """Appends the numbers in order; ValueError where the sizes differ."""
    if dim == len(shape):
        flat.append(data)
        return
    if not _is_sequence(data):
        raise TypeError("not a sequence")
    if len(data) != shape[dim]:
        raise ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(data)})")
    for item in data:
        _flat_numbers(item, shape, dim + 1, flat)


def _element(value: Any, kind: Dtype) -> Any:
    """A Python number that fits the dtype; unsigned integers wrap once, as in PyTorch."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(value).__name__}'")
    if kind.is_floating_point:
        return float(value) if not isinstance(value, complex) else _refuse_complex()
    if kind.kind not in "ui":
        return value
    overflow = RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    if isinstance(value, float):
        if not -(2.0**63) <= value < 2.0**63:
            raise overflow
        value = int(value)
    value = operator.index(value)
    if not -(2**63) <= value < 2 ** (64 if kind.name == "uint64" else 63):
        raise ValueError("Overflow when unpacking long long")
    bits = 8 * kind.itemsize
    if kind.is_signed:
        if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise overflow
    elif abs(value) >= 2**bits:
        raise overflow
    return value if kind.is_signed else value % 2**bits


def _refuse_complex() -> Any:
    raise TypeError("must be real number, not complex")


# ----------------------------------------------------------------------------------------- arrays


def checked_array(array: Any, name: str = "array") -> Array:
    """A NumPy array that can be a payload as it is.

    TypeError for a dtype without a tensor type, ValueError for negative strides and foreign byte
    order.
    """
    if array.flags.c_contiguous and array.dtype in _PLAIN:
        return array
    from_numpy_dtype(array.dtype)
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. Conversion between byte "
            "orders is currently not supported."
        )
    if min(array.strides, default=0) < 0:
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are "
            "not currently supported. (You can probably work around this by making a copy of your array  "
            "with array.copy().) "
        )
    if any(step % array.itemsize for step in array.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
            "reallocate the memory."
        )
    return array


class _Window:
    """Memory of an array that hides which larger array it belongs to."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.__array_interface__ = array.__array_interface__


def shared(array: Array) -> Array:
    """An array on the same memory that begins a memory of its own: storage offsets count from
    here.
    """
    if not isinstance(array.base, np.ndarray) or array.dtype.kind == "V" or not array.size:
        return array.view(np.ndarray)
    return np.asarray(_Window(array))


@function(places="t")
def from_numpy(ndarray: Array, /) -> Tensor:
    """A tensor on the memory of a NumPy array: a write to either shows in both.

    TypeError for other than an array of numbers, ValueError for negative strides.

    >>> import pullback as torch, numpy as np
    >>> torch.from_numpy(np.array([1, 2]))
    tensor([1, 2])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {_full_type_name(ndarray)})")
    checked_array(ndarray)
    if not ndarray.flags.writeable:
        warn(_NOT_WRITABLE.format(*_ARRAY))
    return from_array(shared(ndarray))


def _full_type_name(value: Any) -> str:
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


@function(places="t")
def frombuffer(
    buffer: Any,
    *,
    dtype: Any = _NO_DATA,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A one-dim tensor on the memory of an object with Python's buffer protocol.

    `count` numbers (all if -1) from byte `offset` on; ValueError if they are not there.

    >>> import pullback as torch
    >>> torch.frombuffer(bytearray([1, 0, 2, 0]), dtype=torch.int16)
    tensor([1, 2], dtype=torch.int16)
    """
    if dtype is _NO_DATA:
        raise TypeError('frombuffer() missing 1 required positional arguments: "dtype"')
    kind = dtype_of("frombuffer", dtype)
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if view.readonly:
        warn(_NOT_WRITABLE.format(*_BUFFER))
    length, item = view.nbytes, kind.itemsize
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({length} bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % item:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple "
                f"of element size ({item})"
            )
        count = (length - offset) // item
    if offset + count * item > length:
        raise ValueError(
            f"requested buffer length ({count} * {item} bytes) after offset ({offset} bytes) must not be "
            f"greater than actual buffer length ({length} bytes)"
        )
    array = np.frombuffer(view, kind.numpy, count, offset)
    return finished(from_array(array), requires_grad)


@function(places="t")
def from_file(
    filename: Any,
    shared: bool | None = None,
    size: int | None = 0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """A one-dim tensor of `size` numbers on a file that is mapped into memory.

    What is written goes to the file if it is `shared`, which makes the file and gives it the length that it
    needs. Else it stays here, and a file that is missing or too short is a RuntimeError.

    >>> import os, tempfile
    >>> import pullback as torch
    >>> path = os.path.join(tempfile.mkdtemp(), "numbers")
    >>> _ = torch.from_file(path, shared=True, size=2).fill_(3.0)
    >>> torch.from_file(path, size=2)
    tensor([3., 3.])
    """
    options = {"layout": layout, "pin_memory": pin_memory, "requires_grad": requires_grad}
    refuse_options("from_file", options)
    as_device(device)
    kind = get_default_dtype() if dtype is None else dtype_of("from_file", dtype)
    count = size or 0
    nbytes = count * kind.itemsize
    try:
        with open(filename, "ab" if shared else "rb") as file:
            length = file.seek(0, os.SEEK_END)
            if shared and length < nbytes:
                length = file.truncate(nbytes)
    except OSError as error:
        mode = "read-write" if shared else "read-only"
        raise RuntimeError(
            f"unable to open file <{filename}> in {mode} mode: {error.strerror} ({error.errno})"
        ) from None
    if length < nbytes:
        raise RuntimeError(
            f"file <{filename}> size <{length}> is smaller than the required mapping size <{nbytes}>"
        )
    array = np.empty(0, kind.numpy)
    if nbytes:
        array = np.memmap(filename, kind.numpy, "r+" if shared else "c", 0, (count,)).view(np.ndarray)
    return finished(from_array(array), requires_grad)


# ---------------------------------------------------------------------------------------- tensors


def _data_array(data: Any, kind: Dtype | None, copy: bool) -> Array:
    """The array of data other than a tensor; it shares NumPy's memory unless `copy`."""
    if not isinstance(data, (np.ndarray, np.generic)) and hasattr(data, "__array__"):
        data = np.asarray(data)
    if isinstance(data, np.ndarray):
        checked_array(data)
        wanted = data.dtype if kind is None else kind.numpy
        if copy or wanted != data.dtype:
            if kind is not None and kind.kind == "e":
                return kind.from_floats(data)
            with np.errstate(all="ignore"):
                return data.astype(wanted, order="K", copy=True).view(np.ndarray)
        return shared(data)
    if isinstance(data, (list, tuple)):
        return _sequence_array(data, kind)
    if number_dtype(data) is not None:
        inferred = _inferred(data) if kind is None else kind
        return np.asarray(_packed(data.item() if isinstance(data, np.generic) else data, inferred))
    return _sequence_array(data, kind)


def _copy_of_tensor(data: Tensor, kind: Dtype | None) -> Tensor:
    """A copy of a tensor, outside the graph."""
    return data.detach().to(dtype=kind or data.dtype, copy=True)


def _on(tensor: Tensor, device: Any) -> Tensor:
    """A new tensor on the device of an argument."""
    if as_device(device) is not META or tensor.is_meta:
        return tensor
    a = tensor._array
    return from_array(meta_array(a.shape, a.dtype, strides_of(a)), meta=True)


def _tensor_of(
    data: Any,
    *,
    dtype: Dtype | None = None,
    device: Device | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The signature of `tensor`."""


def _tensor_like(
    self: Tensor,
    data: Any,
    *,
    dtype: Dtype | None = None,
    device: Device | None = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The signature of `new_tensor`."""


@function(places="t", converts=True, signatures=(_tensor_of,), quick=("numbers",))
def tensor(data: Any = _NO_DATA, /, *rest: Any, **options: Any) -> Tensor:
    """A new tensor of the numbers in `data`: a number, nested sequences, an array or a tensor,
    copied.

    `dtype` is by default that of the numbers: int64 for integers, the default dtype for floats.
    Options: dtype, device, requires_grad, pin_memory. ValueError if the sequences are of uneven
    length, RuntimeError for numbers that the dtype has no room for.

    >>> import pullback as torch
    >>> torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    tensor([[1., 2.],
            [3., 4.]])
    """
    if rest:
        raise TypeError(f"tensor() takes 1 positional argument but {1 + len(rest)} were given")
    return _tensor("tensor", data, options, None, "torch.tensor")


def _tensor(name: str, data: Any, options: dict[str, Any], kind: Dtype | None, caller: str) -> Tensor:
    """`tensor` and `new_tensor`; `kind` is the dtype if the options name none."""
    if data is _NO_DATA:
        if "data" not in options:
            raise TypeError(f'{name}() missing 1 required positional arguments: "data"')
        data = options.pop("data")
    refuse_options(name, options)
    if options.get("dtype") is not None:
        kind = dtype_of(name, options["dtype"])
    if isinstance(data, Tensor):
        warn_each_time(_COPIED.format(caller), UserWarning)
        made = _copy_of_tensor(data, kind)
    else:
        made = from_array(_data_array(data, kind, copy=True))
    return finished(_on(made, options.get("device")), options.get("requires_grad", False))


@function(places="m", signatures=(_tensor_like,), quick=("own numbers",))
def new_tensor(self: Tensor, data: Any = _NO_DATA, /, **options: Any) -> Tensor:
    """`torch.tensor(data)` with this tensor's dtype and device.

    >>> import pullback as torch
    >>> torch.ones(1, dtype=torch.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=torch.float64)
    """
    kind = data.dtype if isinstance(data, Tensor) else self.dtype
    return _tensor("new_tensor", data, {"device": self.device, **options}, kind, "tensor.new_tensor")


@function(places="t", converts=True, quick=("as numbers",))
def as_tensor(data: Any, dtype: Dtype | None = None, device: device | str | int | None = None) -> Tensor:
    """`data` as a tensor: a tensor or array of the right dtype is shared, all else copied.

    >>> import pullback as torch, numpy as np
    >>> a = np.zeros(2)
    >>> torch.as_tensor(a)[0] = 1
    >>> a
    array([1., 0.])
    """
    kind = None if dtype is None else dtype_of("as_tensor", dtype)
    if isinstance(data, Tensor):
        wanted = data.device if device is None else as_device(device)
        if (kind is None or kind is data.dtype) and wanted == data.device:
            return data
        return data.to(device=wanted, dtype=kind or data.dtype)
    if isinstance(data, np.ndarray) and not data.flags.writeable:
        warn(_NOT_WRITABLE.format(*_ARRAY))
    return _on(from_array(_data_array(data, kind, copy=False)), device)


@function(places="t", converts=True, quick=("numbers",))
def asarray(
    obj: Any,
    *,
    dtype: Dtype | None = None,
    device: device | str | int | None = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """`obj` as a tensor, which shares its memory where it can unless `copy` is True.

    Tensors, arrays, objects with DLPack and buffers can be shared. ValueError if `copy` is False
    and the memory cannot be.

    >>> import pullback as torch
    >>> torch.asarray([1, 2.5])
    tensor([1.0000, 2.5000])
    """
    kind = None if dtype is None else dtype_of("asarray", dtype)
    source = _memory_of(obj, kind)
    if source is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        made = from_array(_data_array(obj, kind, copy=True))
        return finished(_on(made, device), bool(requires_grad))
    kind, where = kind or source.dtype, source.device if device is None else as_device(device)
    same = kind is source.dtype and where == source.device
    if copy is False and not same:
        if kind is not source.dtype:
            raise ValueError(
                f"can't alias tensor with dtype '{source.dtype.type_name}' into dtype '{kind.type_name}'."
            )
        raise ValueError(f"can't alias tensor from device '{source.device}' to '{where}'.")
    if requires_grad is None and source.requires_grad:
        warn(
            "torch.asarray: unspecified requires_grad now defaults to obj.requires_grad instead of False. "
            "Pass requires_grad=False explicitly to get the old behavior and silence this warning."
        )
    made = source if same and not copy else source.to(device=where, dtype=kind, copy=True)
    if requires_grad is None or requires_grad == made.requires_grad:
        return made
    return finished(made.detach(), requires_grad)


def _memory_of(obj: Any, kind: Dtype | None) -> Tensor | None:
    """A tensor on the memory of an object, None if it has none to share."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, (np.ndarray, np.generic)):
        return from_array(shared(checked_array(np.asarray(obj))))
    if hasattr(obj, "__dlpack__"):
        return from_dlpack(obj)
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=kind or get_default_dtype())


# ----------------------------------------------------------------------------------------- DLPack


@function(places="t", aliases=("utils.dlpack.from_dlpack",), converts=True)
def from_dlpack(
    ext_tensor: Any, *, device: device | str | int | None = None, copy: bool | None = None
) -> Tensor:
    """A tensor on the memory of an object with `__dlpack__`: another library's array, or a tensor.

    >>> import pullback as torch, numpy as np
    >>> torch.from_dlpack(np.array([1, 2]))
    tensor([1, 2])
    """
    if isinstance(ext_tensor, Tensor):
        ext_tensor.__dlpack__()  # refuses what must not leave the graph
        made = from_array(ext_tensor._array.view())
    else:
        if not hasattr(ext_tensor, "__dlpack__"):
            ext_tensor = _Capsule(ext_tensor)
        array = np.from_dlpack(ext_tensor)
        made = from_array(checked_array(array if array.flags.writeable else _writable(array)))
    return made.clone() if copy else _on(made, device)


@function(places="t", aliases=("utils.dlpack.to_dlpack",), converts=True)
def to_dlpack(tensor: Tensor) -> Any:
    """The memory of a tensor as a DLPack capsule, which another library, or `from_dlpack`, takes once.

    >>> import pullback as torch
    >>> torch.from_dlpack(torch.utils.dlpack.to_dlpack(torch.ones(2)))
    tensor([1., 1.])
    """
    return tensor.detach().__dlpack__()


class _Capsule:
    """What `to_dlpack` gives, for NumPy to read."""

    def __init__(self, capsule: Any) -> None:
        if type(capsule).__name__ != "PyCapsule" or '"used_' in repr(capsule):
            raise RuntimeError(
                "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed "
                "only once, so you might have already constructed a tensor from it once."
            )
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def _writable(array: Array) -> Array:
    """The same memory as an array that may be written to: DLPack before 1.0 says nothing of it."""
    window = _Window(array)
    address, _ = array.__array_interface__["data"]
    window.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
    return np.asarray(window)
