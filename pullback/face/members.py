"""What Tensor has besides ops: attributes, predicates, sizes and strides, and Python's protocols.

MEMBERS is the table; the engine puts it on Tensor. The functions behind it are here where they are
short, in interop.py and legacy.py where not.
"""

from __future__ import annotations

import operator
from typing import Any

from pullback.core._engine import Tensor, from_array, make_subclass, retype, turned
from pullback.core.dtypes import (
    DTYPES,
    META,
    device,
    strided,
)
from pullback.core.op import function
from pullback.core.strides import strides_of
from pullback.face import interop, legacy, shared, storage
from pullback.ops.shared.dims import wrap_dim

# -------------------------------------------------------------------------------- sizes and strides


def _dim(name: str, dim: Any, ndim: int) -> int:
    if isinstance(dim, (str, float)) or not hasattr(dim, "__index__"):
        raise TypeError(f"{name}(): argument 'dim' (position 1) must be int, not {type(dim).__name__}")
    return wrap_dim(operator.index(dim), ndim)


def size(self: Tensor, dim: int | None = None) -> Any:
    """The shape, or the size of one dim.

    >>> import pullback as torch
    >>> torch.ones(2, 3).size(), torch.ones(2, 3).size(-1)
    (torch.Size([2, 3]), 3)
    """
    return self.shape if dim is None else self.shape[_dim("size", dim, self.ndim)]


def stride(self: Tensor, dim: int | None = None) -> Any:
    """The strides in elements, or that of one dim.

    >>> import pullback as torch
    >>> torch.ones(2, 3).stride()
    (3, 1)
    """
    strides = strides_of(self._layout)
    return strides if dim is None else strides[_dim("stride", dim, self.ndim)]


def dim(self: Tensor) -> int:
    """The number of dims.

    >>> import pullback as torch
    >>> torch.ones(2, 3).dim()
    2
    """
    return self.ndim


def element_size(self: Tensor) -> int:
    """The bytes of one element.

    >>> import pullback as torch
    >>> torch.ones(2, 3).element_size()
    4
    """
    return self.dtype.itemsize


def dim_order(self: Tensor) -> tuple[int, ...]:
    """The dims from the slowest in memory to the fastest."""
    strides = strides_of(self._layout)
    return tuple(sorted(range(self.ndim), key=lambda dim: -strides[dim]))


# -------------------------------------------------------------------------- predicates and
# functions


def _tensor_only(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor):
        kind = type(value).__name__
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {kind}")
    return value


def _of_dtypes(attribute: str) -> tuple[bool, ...]:
    """What the dtypes say of themselves, by their codes."""
    return tuple([getattr(kind, attribute) for kind in DTYPES])


@function(places="t", converts=True, quick=("says", True))
def is_tensor(obj: Any, /) -> bool:
    """Whether `obj` is a tensor.

    >>> import pullback as torch
    >>> torch.is_tensor(torch.ones(1)), torch.is_tensor(1)
    (True, False)
    """
    return isinstance(obj, Tensor)


@function(places="t", converts=True, quick=("says", False))
def is_storage(obj: Any, /) -> bool:
    """Whether `obj` is the memory of a tensor, as `untyped_storage()` gives it."""
    return isinstance(obj, (storage.UntypedStorage, storage.TypedStorage))


@function(quick=("says dtype", _of_dtypes("is_floating_point")))
def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is a floating-point one.

    >>> import pullback as torch
    >>> torch.is_floating_point(torch.ones(1)), torch.tensor([1]).is_floating_point()
    (True, False)
    """
    return _tensor_only("is_floating_point", input).dtype.is_floating_point


@function(quick=("says dtype", _of_dtypes("is_complex")))
def is_complex(input: Tensor) -> bool:
    """Whether the dtype is a complex one."""
    return _tensor_only("is_complex", input).dtype.is_complex


@function(quick=("says dtype", _of_dtypes("is_signed")))
def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return _tensor_only("is_signed", input).dtype.is_signed


@function()
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero. RuntimeError for none or several.

    >>> import pullback as torch
    >>> torch.is_nonzero(torch.tensor([0.0]))
    False
    """
    return bool(_tensor_only("is_nonzero", input))


@function(aliases=("Tensor.nelement",), quick=("elements",))
def numel(input: Tensor) -> int:
    """The number of elements.

    >>> import pullback as torch
    >>> torch.numel(torch.ones(2, 3))
    6
    """
    return _tensor_only("numel", input)._layout.size


@function(quick=("one size",))
def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape."""
    if not isinstance(other, Tensor):
        kind = type(other).__name__
        raise TypeError(f"is_same_size(): argument 'other' (position 1) must be Tensor, not {kind}")
    return input.shape == other.shape


@function()
def is_conj(input: Tensor) -> bool:
    """Whether the tensor is a conjugate view, as `conj()` gives it."""
    return turned(input) == "conj"


@function()
def is_neg(input: Tensor) -> bool:
    """Whether the tensor shows the negatives of numbers in memory: imaginary parts of a conjugate view."""
    return turned(input) == "neg"


def is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether two tensors are the same window on the same memory."""
    return self._array.__array_interface__ == tensor._array.__array_interface__


# --------------------------------------------------------------------------- devices and memory


def get_device(self: Tensor) -> int:
    """The number of the accelerator that holds the tensor: always -1, none does."""
    return -1


def is_pinned(self: Tensor, device: device | str | int | None = None) -> bool:
    """Whether the memory is pinned for an accelerator: never."""
    return False


def is_distributed(self: Tensor) -> bool:
    """Whether the tensor is part of a larger one on several machines: never."""
    return False


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself; NotImplementedError for a meta tensor, which has no numbers."""
    if self.is_meta:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    return self


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """AssertionError: there is no CUDA device."""
    raise AssertionError("Torch not compiled with CUDA enabled")


def xpu(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """AssertionError: there is no XPU device."""
    raise AssertionError("Torch not compiled with XPU enabled")


def pin_memory(self: Tensor, device: device | str | int | None = None) -> Tensor:
    """RuntimeError: memory is pinned for accelerators, and there is none."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def share_memory_(self: Tensor) -> Tensor:
    """Moves the numbers to memory that other processes can have, and returns the tensor."""
    if not self.is_shared() and self.numel() and not self.is_meta:
        self.data = from_array(shared.move(self._array))
    return self


def is_shared(self: Tensor) -> bool:
    """Whether `share_memory_` has moved the numbers."""
    return storage.lies_in(self._array) and not self.is_meta


# ------------------------------------------------------------------------------------- subclasses


def _check_subclass(cls: Any) -> None:
    if not (isinstance(cls, type) and issubclass(cls, Tensor)):
        raise TypeError(
            "Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. Make "
            "sure your class inherits from Tensor."
        )


def as_subclass(self: Tensor, cls: type) -> Tensor:
    """The same tensor, with its memory and history, as an instance of a subclass."""
    _check_subclass(cls)
    return retype(self.view_as(self) if self.requires_grad else self, cls)


def _make_subclass(cls: type, data: Tensor, require_grad: bool = False, *args: Any) -> Tensor:
    """A leaf of a subclass on the memory of `data`."""
    _check_subclass(cls)
    return make_subclass(cls, data, require_grad)


def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `load_state_dict` puts in the place of this parameter or buffer, if it swaps them, for `other`."""
    made: Tensor = (other if assign else self.copy_(other)).detach()
    return made


# ------------------------------------------------------------------------------------------ table


def _constant(value: Any, doc: str) -> property:
    return property(lambda self: value, doc=doc)


def _never(*names: str) -> dict[str, property]:
    """Attributes that say which device or layout a tensor has, of those that Pullback has not."""
    return {f"is_{name}": _constant(False, f"Always False: no tensor is {name}.") for name in names}


MEMBERS: dict[str, Any] = {
    # sizes and memory
    "size": size,
    "stride": stride,
    "dim": dim,
    "ndimension": dim,
    "dim_order": dim_order,
    "element_size": element_size,
    "itemsize": property(lambda self: self.dtype.itemsize, doc="The bytes of one element."),
    "nbytes": property(lambda self: self._layout.nbytes, doc="The bytes of all elements."),
    "storage_offset": storage.storage_offset,
    "data_ptr": storage.data_ptr,
    "storage": storage.storage,
    "storage_type": storage.storage_type,
    "untyped_storage": storage.untyped_storage,
    "_typed_storage": storage.typed_storage,
    "set_": storage.set_,
    "is_set_to": is_set_to,
    "share_memory_": share_memory_,
    "is_shared": is_shared,
    # device, layout, dtype
    "is_cpu": property(lambda self: not self.is_meta, doc="Whether the tensor lives on the CPU."),
    "is_meta": property(lambda self: self.device is META, doc="Whether it has shape and dtype only."),
    **_never("cuda", "mps", "xpu", "xla", "hpu", "ipu", "maia", "mtia", "vulkan"),
    **_never("sparse", "sparse_csr", "quantized", "mkldnn", "nested"),
    "layout": _constant(strided, "Always `torch.strided`."),
    "grad_dtype": property(lambda self: self.dtype, doc="The dtype of `.grad`."),
    "name": _constant(None, "Always None."),
    "get_device": get_device,
    "cpu": cpu,
    "cuda": cuda,
    "xpu": xpu,
    "pin_memory": pin_memory,
    "is_pinned": is_pinned,
    "is_distributed": is_distributed,
    "type": legacy.type_of,
    "new": legacy.new,
    # subclasses
    "as_subclass": as_subclass,
    "_make_subclass": staticmethod(_make_subclass),
    "module_load": module_load,
    # NumPy, Python, DLPack
    "numpy": interop.numpy,
    "tolist": interop.tolist,
    "apply_": interop.apply_,
    "map_": interop.map_,
    "map2_": interop.map2_,
    "__array__": interop.array,
    "__array_wrap__": interop.array_wrap,
    "__array_priority__": 1000,
    "__dlpack__": interop.dlpack,
    "__dlpack_device__": interop.dlpack_device,
    "__iter__": interop.iterate,
    "__reversed__": interop.backwards,
    "__contains__": interop.contains,
    "__float__": interop.to_float,
    "__int__": interop.to_int,
    "__complex__": interop.to_complex,
    "__index__": interop.to_index,
    "__format__": interop.formatted,
    "__repr__": interop.text,
    "__reduce_ex__": interop.reduce,
    "__deepcopy__": interop.deep_copy,
}
