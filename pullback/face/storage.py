"""Storages: the memory of tensors, as bytes (`UntypedStorage`) or as elements of a dtype (`TypedStorage`).

A tensor's payload is a NumPy array; its storage is the array that owns the memory (`memory`), the same for
all views. Storage objects are made when asked for and hold nothing but that array: two are equal if they
stand for one memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from pullback.core._engine import Tensor, from_array, move_to, shown_by
from pullback.core.dtypes import CPU, DTYPES, META, as_device, get_default_dtype, uint8
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.modes import is_grad_enabled
from pullback.core.settings import warn
from pullback.core.strides import contiguous_strides, memory, strides_of
from pullback.core.types import Array
from pullback.face import shared


def address(a: Array) -> int:
    """The place in memory of the first element."""
    return a.__array_interface__["data"][0]


def as_bytes(owner: Array) -> Array:
    """A memory as a row of bytes."""
    return owner.reshape(-1, order="A").view(np.uint8)


def lies_in(a: Array) -> bool:
    """Whether the process shares this memory with those that it forks or sends it to."""
    return shared.mapping(memory(a)) is not None


def array_on(
    owner: Array, dtype: Dtype, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Array:
    """An array on a memory; shape, strides and offset count elements. RuntimeError if it does not fit in."""
    if offset < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {offset}")
    if len(shape) != len(strides):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(strides)} strides for {len(shape)} sizes"
        )
    if min(shape, default=0) < 0 or min(strides, default=0) < 0:
        raise RuntimeError(f"sizes and strides must be non-negative, got {list(shape)} and {list(strides)}")
    if 0 not in shape:
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if (last + 1) * dtype.itemsize > owner.nbytes:
            raise RuntimeError(
                f"setStorage: sizes {list(shape)}, strides {list(strides)}, storage offset {offset}, and "
                f"itemsize {dtype.itemsize} requiring a storage size of {(last + 1) * dtype.itemsize} are "
                f"out of bounds for storage of size {owner.nbytes}"
            )
    elif offset * dtype.itemsize > owner.nbytes:
        offset = 0
    if (owner.dtype == dtype.numpy and owner.shape == shape and strides_of(owner) == strides) and not offset:
        return owner
    steps = [step * dtype.itemsize for step in strides]
    return np.ndarray(shape, dtype.numpy, as_bytes(owner), offset * dtype.itemsize, steps)


class StorageBase:
    """What storages of bytes are to a program that asks."""


class UntypedStorage(StorageBase):
    """The memory of a tensor and its views, as bytes. Made of a number of bytes, or of the bytes.

    >>> import pullback as torch
    >>> x = torch.tensor([1, 2], dtype=torch.int16)
    >>> x.untyped_storage().tolist()
    [1, 0, 2, 0]
    """

    _array: Array
    device: Any
    filename = None
    is_cuda = is_hpu = is_sparse = is_sparse_csr = False

    def __init__(self, *args: Any, device: Any = None) -> None:
        self.device = as_device(device)
        given = args[0] if args else 0
        if isinstance(given, (int, np.integer)):
            meta = self.device is META
            self._array = (
                meta_array((int(given),), np.dtype(np.uint8), (1,)) if meta else np.empty(given, np.uint8)
            )
            return
        try:
            self._array = np.array(list(given), np.uint8)
        except (TypeError, ValueError):
            kinds = {type(item).__name__ for item in given if not isinstance(item, int)}
            raise RuntimeError(
                "torch.UntypedStorage(): tried to construct a storage from a sequence "
                f"({type(given).__name__}), but one of the items was of type {min(kinds, default='int')} "
                "instead of int"
            ) from None

    @classmethod
    def of(cls, array: Array, device: Any = CPU) -> UntypedStorage:
        """The storage whose memory an array owns."""
        made = cls.__new__(cls)
        made._array, made.device = array, device
        return made

    # ---- what it is

    def data_ptr(self) -> int:
        """The address of the memory."""
        return 0 if self.device is META else address(self._array)

    def __sizeof__(self) -> int:
        return super().__sizeof__() + self.nbytes()

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._array.nbytes

    size = nbytes
    __len__ = nbytes

    def element_size(self) -> int:
        """The bytes of an element: 1."""
        return 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntypedStorage) and self._array is other._array

    def __hash__(self) -> int:
        return id(self._array)

    @property
    def _cdata(self) -> int:
        return id(self._array)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> str:
        """The name of the type."""
        return "torch.storage.UntypedStorage"

    def get_device(self) -> int:
        """-1, as for each tensor on the CPU."""
        return -1

    def is_shared(self) -> bool:
        """Whether other processes may have the memory, too."""
        return lies_in(self._array)

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned for an accelerator: never."""
        return False

    def resizable(self) -> bool:
        """Whether `resize_` may change the size: if no tensor has the memory."""
        return sys.getrefcount(self._array) == 2 and self._array.base is None

    def __repr__(self) -> str:
        shown = "..." if self.device is META else "\n ".join(map(str, self.tolist()))
        return f" {shown}\n[torch.storage.UntypedStorage(device={self.device}) of size {len(self)}]"

    # ---- its bytes

    def _bytes(self) -> Array:
        if self.device is META:
            raise NotImplementedError("Not available for 'meta' device type")
        return as_bytes(self._array)

    def tolist(self) -> list[int]:
        """The bytes as integers."""
        return self._bytes().tolist()

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def _place(self, index: Any) -> Any:
        if isinstance(index, slice):
            if index.step not in (None, 1):
                raise RuntimeError(
                    f"Trying to slice with a step of {index.step}, but only a step of 1 is supported"
                )
            return index
        if not hasattr(index, "__index__"):
            raise TypeError(f"can't index a torch.UntypedStorage with {type(index).__name__}")
        place, size = index.__index__(), len(self)
        if not -size <= place < size:
            raise IndexError(f"index {place} out of range for storage of size {size}")
        return place

    def __getitem__(self, index: Any) -> Any:
        found = self._bytes()[self._place(index)]
        return UntypedStorage.of(found) if isinstance(index, slice) else int(found)

    def __setitem__(self, index: Any, value: int) -> None:
        self._bytes()[self._place(index)] = value

    def fill_(self, value: int) -> UntypedStorage:
        """Sets every byte."""
        self._bytes()[:] = value
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> UntypedStorage:
        """Takes the bytes of another storage of the same size."""
        other = source.untyped() if isinstance(source, TypedStorage) else source
        if len(other) != len(self):
            raise RuntimeError(
                f"size does not match, self was {len(self)} bytes but src was {len(other)} bytes"
            )
        self._bytes()[:] = other._bytes()
        return self

    def clone(self) -> UntypedStorage:
        """A storage of its own with the same bytes."""
        return UntypedStorage.of(self._bytes().copy())

    def resize_(self, size: int) -> UntypedStorage:
        """Changes the number of bytes. RuntimeError if a tensor has the memory: that cannot move."""
        if size != len(self):
            if not self.resizable():
                raise RuntimeError("Trying to resize storage that is not resizable")
            moved = np.empty(size, np.uint8)
            kept = min(size, len(self))
            moved[:kept] = self._bytes()[:kept]
            self._array = moved
        return self

    def byteswap(self, dtype: Dtype) -> None:
        """Turns round the bytes of each element of a dtype (of each part, for a complex one)."""
        size = dtype.itemsize // (2 if dtype.is_complex else 1)
        rows = self._bytes().reshape(-1, size)
        rows[:] = rows[:, ::-1].copy()

    # ---- where it is

    def cpu(self) -> UntypedStorage:
        """The storage itself."""
        return self

    untyped = cpu

    def cuda(self, device: Any = None, non_blocking: bool = False) -> UntypedStorage:
        """AssertionError: there is no CUDA device."""
        raise AssertionError("Torch not compiled with CUDA enabled")

    def to(self, *, device: Any, non_blocking: bool = False) -> UntypedStorage:
        """The storage itself, or for "meta" one of its size without bytes."""
        where = as_device(device)
        return self if where is self.device else UntypedStorage(len(self), device=where)

    def pin_memory(self, device: Any = None) -> UntypedStorage:
        """RuntimeError: memory is pinned for accelerators, and there is none."""
        raise RuntimeError("Cannot access accelerator device when none is available.")

    def share_memory_(self) -> UntypedStorage:
        """Moves the bytes to memory that other processes can have; tensors on the old one stay there."""
        if not self.is_shared() and len(self):
            self._array = shared.move(self._bytes())
        return self

    def new(self) -> UntypedStorage:
        """An empty storage."""
        return UntypedStorage(0, device=self.device)

    @staticmethod
    def from_buffer(buffer: Any, byte_order: str = "native", *, dtype: Dtype = uint8) -> UntypedStorage:
        """A storage with the bytes of a buffer, which `byte_order` says how to read."""
        made = UntypedStorage.of(np.frombuffer(buffer, np.uint8).copy())
        if byte_order not in ("native", sys.byteorder):
            made.byteswap(dtype)
        return made

    @staticmethod
    def from_file(filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The bytes of a file, mapped into memory; what is written stays here unless it is `shared`."""
        return UntypedStorage.of(np.memmap(filename, np.uint8, "r+" if shared else "c", 0, (nbytes,)))

    # ---- protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._bytes(), dtype=dtype, copy=copy)

    def __copy__(self) -> UntypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> UntypedStorage:
        twin = memo.get(id(self._array))
        if twin is None:
            twin = memo[id(self._array)] = self._array.copy("K")
            memo.setdefault(id(memo), []).append(self._array)
        return UntypedStorage.of(twin, self.device)

    def __reduce__(self) -> tuple[Any, ...]:
        return _storage_of, (self._array, self.device)


def _storage_of(array: Array, device: Any) -> UntypedStorage:
    """The storage of a pickle."""
    return UntypedStorage.of(array, device)


def _casts() -> dict[str, Any]:
    """The methods that cast a storage, as `double()`: a TypedStorage of that dtype."""

    def cast_to(kind: Dtype) -> Any:
        def cast(self: Any) -> TypedStorage:
            elements = self._elements() if isinstance(self, TypedStorage) else self._bytes()
            if isinstance(self, TypedStorage) and self.dtype is kind:
                return self
            cast = kind.from_floats(elements) if kind.kind == "e" else elements.astype(kind.numpy)
            return TypedStorage(wrap_storage=UntypedStorage.of(cast), dtype=kind)

        cast.__doc__ = f"The elements as {kind.name}."
        return cast

    names = {"complexdouble": "complex_double", "complexfloat": "complex_float"}
    kinds = {kind.type_name.lower(): kind for kind in DTYPES if not kind.type_name.startswith("UInt")}
    return {names.get(name, name): cast_to(kind) for name, kind in kinds.items()}


class TypedStorage:
    """The memory of a tensor as elements of its dtype. Programs of today use `untyped_storage`."""

    dtype: Dtype
    is_cuda = is_hpu = is_sparse = False

    def __init__(
        self,
        *args: Any,
        wrap_storage: UntypedStorage | None = None,
        dtype: Dtype | None = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        self.dtype = dtype or get_default_dtype()
        if wrap_storage is not None:
            self._untyped_storage = wrap_storage
            return
        given = args[0] if args else 0
        if isinstance(given, (int, np.integer)):
            self._untyped_storage = UntypedStorage(given * self.dtype.itemsize, device=device)
        elif isinstance(given, str):
            raise TypeError("new(): invalid data type 'str'")
        else:
            array = np.array(list(given)).astype(self.dtype.numpy)
            self._untyped_storage = UntypedStorage.of(array)

    def _elements(self) -> Array:
        whole = len(self) * self.dtype.itemsize
        return self._untyped_storage._bytes()[:whole].view(self.dtype.numpy)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return self._untyped_storage

    @property
    def device(self) -> Any:
        """Where the memory is."""
        return self._untyped_storage.device

    def size(self) -> int:
        """The number of elements."""
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    __len__ = _size = size

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        """The bytes of an element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the memory."""
        return self._untyped_storage.data_ptr()

    _data_ptr = data_ptr

    @property
    def _cdata(self) -> int:
        return self._untyped_storage._cdata

    def tolist(self) -> list[Any]:
        """The elements as numbers."""
        return from_array(self._elements()).tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        if not hasattr(index, "__index__"):
            raise TypeError(f"can't index a <class 'torch.storage.TypedStorage'> with {type(index)}")
        return from_array(self._elements()[index.__index__()]).item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements()[index] = value

    def fill_(self, value: Any) -> TypedStorage:
        """Sets every element."""
        self._elements()[:] = value
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> TypedStorage:
        """Takes the bytes of another storage of the same size."""
        self._untyped_storage.copy_(source)
        return self

    def clone(self) -> TypedStorage:
        """A storage of its own with the same elements."""
        return TypedStorage(wrap_storage=self._untyped_storage.clone(), dtype=self.dtype)

    __copy__ = clone

    filename = None

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, size: int = 0) -> TypedStorage:
        """The elements of a file, mapped into memory; what is written stays here unless it is `shared`."""
        dtype: Dtype = cls.dtype if isinstance(vars(cls).get("dtype"), Dtype) else get_default_dtype()
        untyped = UntypedStorage.from_file(filename, shared, size * dtype.itemsize)
        return TypedStorage(wrap_storage=untyped, dtype=dtype)

    def resizable(self) -> bool:
        """Whether `resize_` may change the size: if no tensor has the memory."""
        return self._untyped_storage.resizable()

    def to(self, *, device: Any, non_blocking: bool = False) -> TypedStorage:
        """The storage itself, or for "meta" one of its size without elements."""
        moved = self._untyped_storage.to(device=device)
        return self if moved is self._untyped_storage else TypedStorage(wrap_storage=moved, dtype=self.dtype)

    def pin_memory(self, device: Any = None) -> TypedStorage:
        """RuntimeError: memory is pinned for accelerators, and there is none."""
        raise RuntimeError("Cannot access accelerator device when none is available.")

    def resize_(self, size: int) -> TypedStorage:
        """Changes the number of elements. RuntimeError if a tensor has the memory."""
        self._untyped_storage.resize_(size * self.dtype.itemsize)
        return self

    def cpu(self) -> TypedStorage:
        """The storage itself."""
        return self

    def cuda(self, device: Any = None, non_blocking: bool = False) -> TypedStorage:
        """AssertionError: there is no CUDA device."""
        raise AssertionError("Torch not compiled with CUDA enabled")

    def is_shared(self) -> bool:
        """Whether other processes may have the memory, too."""
        return self._untyped_storage.is_shared()

    def share_memory_(self) -> TypedStorage:
        """Moves the elements to memory that other processes can have."""
        self._untyped_storage.share_memory_()
        return self

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned for an accelerator: never."""
        return False

    def get_device(self) -> int:
        """-1, as for each tensor on the CPU."""
        return -1

    def pickle_storage_type(self) -> str:
        """The name of the class that stands for the dtype, as `FloatStorage`."""
        return f"{self.dtype.type_name}Storage"

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of the class; with one given, the elements cast to it."""
        if dtype is None:
            return f"torch.{self.pickle_storage_type()}"
        kind = getattr(dtype, "dtype", dtype)
        for found in DTYPES:
            if kind in (found, f"torch.{found.type_name}Storage"):
                made = UntypedStorage.of(self._elements().astype(found.numpy))
                return TypedStorage(wrap_storage=made, dtype=found)
        raise RuntimeError(f"invalid type: {dtype!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TypedStorage):
            return NotImplemented
        return self._untyped_storage == other._untyped_storage and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash(self._untyped_storage)

    def __repr__(self) -> str:
        shown = "..." if self.device is META else "\n ".join(map(str, self.tolist()))
        name = f"torch.storage.TypedStorage(dtype={self.dtype}, device={self.device})"
        return f" {shown}\n[{name} of size {len(self)}]"

    def __deepcopy__(self, memo: dict[int, Any]) -> TypedStorage:
        twin = self._untyped_storage.__deepcopy__(memo)
        return TypedStorage(wrap_storage=twin, dtype=self.dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return _typed_storage_of, (self._untyped_storage, self.dtype)

    @classmethod
    def from_buffer(cls, buffer: Any, byte_order: str = "native", *, dtype: Dtype | None = None) -> Any:
        """A storage with the bytes of a buffer."""
        kind = dtype or cls.dtype
        made = UntypedStorage.from_buffer(buffer, byte_order, dtype=kind)
        return TypedStorage(wrap_storage=made, dtype=kind)


def _typed_storage_of(storage: UntypedStorage, dtype: Dtype) -> TypedStorage:
    """The storage of a pickle."""
    return TypedStorage(wrap_storage=storage, dtype=dtype)


for _name, _cast in _casts().items():
    setattr(TypedStorage, _name, _cast)
    setattr(UntypedStorage, _name, _cast)


class _StorageType(type):
    """The class of `FloatStorage` and its kin: calling one makes a TypedStorage, an instance of it."""

    dtype: Dtype

    def __call__(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        return TypedStorage(*args, dtype=cls.dtype, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


STORAGE_TYPES: dict[str, Any] = {
    f"{kind.type_name}Storage": _StorageType(
        f"{kind.type_name}Storage", (TypedStorage,), {"dtype": kind, "__module__": "pullback"}
    )
    for kind in DTYPES
    if not kind.type_name.startswith(("UInt", "ComplexHalf")) and kind.kind != "e"
}
"""The classes by dtype that files name; uint16, float8_e5m2, complex32 and their kin have none."""


# ------------------------------------------------------------------------------- members of Tensor


def storage_offset(self: Tensor) -> int:
    """How many elements of the memory come before the first of this tensor.

    >>> import pullback as torch
    >>> torch.arange(4)[2:].storage_offset()
    2
    """
    a = shown_by(self)
    return (address(a) - address(memory(a))) // a.itemsize


def data_ptr(self: Tensor) -> int:
    """The address of the first element; 0 for a meta tensor and for one without elements."""
    a = shown_by(self)
    return 0 if self.is_meta or not a.size else address(a)


def untyped_storage(self: Tensor) -> UntypedStorage:
    """The memory that this tensor and its views share.

    >>> import pullback as torch
    >>> torch.zeros(3).untyped_storage().nbytes()
    12
    """
    return UntypedStorage.of(memory(shown_by(self)), self.device)


def typed_storage(self: Tensor) -> TypedStorage:
    """The memory that this tensor and its views share, as elements of its dtype."""
    return TypedStorage(wrap_storage=untyped_storage(self), dtype=self.dtype)


def storage_type(self: Tensor) -> type:
    """The class of the typed storages of this tensor's dtype."""
    found: type = STORAGE_TYPES[f"{self.dtype.type_name}Storage"]
    return found


def storage(self: Tensor) -> TypedStorage:
    """The memory that this tensor and its views share, as elements of its dtype; deprecated."""
    warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only "
        "storage class. This should only matter to you if you are using storages directly.  To access "
        "UntypedStorage directly, use tensor.untyped_storage() instead of tensor.storage()"
    )
    return typed_storage(self)


def set_(
    self: Tensor, source: Any = None, storage_offset: int = 0, size: Any = None, stride: Any = None
) -> Any:
    """Makes the tensor lie on another memory, a storage or a tensor's, in place.

    RuntimeError for another dtype, and where the memory is too small.

    >>> import pullback as torch
    >>> x = torch.arange(6.0)
    >>> torch.empty(0).set_(x.untyped_storage(), 1, (2, 2))
    tensor([[1., 2.],
            [3., 4.]])
    """
    if self.requires_grad and self.is_leaf and is_grad_enabled():
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    kind = self.dtype
    if source is None:
        move_to(self, np.empty(0, kind.numpy))
        return self
    if isinstance(source, Tensor):
        if source.is_meta is not self.is_meta:
            raise RuntimeError(
                f'Attempted to set the storage of a tensor on device "{self.device}" to a storage on '
                f'different device "{source.device}".  This is no longer allowed; the devices must match.'
            )
        if source.dtype is not kind:
            raise RuntimeError(
                f"Could not set tensor of type {source.dtype.type_name} to a tensor of type {kind.type_name}"
            )
        if size is None:
            move_to(self, source._array)
            return self
        source = untyped_storage(source)
    if isinstance(source, TypedStorage):
        if source.dtype is not kind:
            raise RuntimeError(
                f"Expected a Storage of type {kind.type_name} or an UntypedStorage, but got type "
                f"{source.dtype.type_name} for argument 1 'storage'"
            )
        source = source.untyped()
    if not isinstance(source, UntypedStorage):
        raise TypeError(f"set_(): argument 'source' must be Storage or Tensor, not {type(source).__name__}")
    shape = (len(source) // kind.itemsize,) if size is None else tuple(size)
    strides = contiguous_strides(shape) if stride is None else tuple(stride)
    move_to(self, array_on(source._array, kind, storage_offset, shape, strides))
    return self
