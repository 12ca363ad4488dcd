"""Tensors and the world around them: NumPy, Python numbers and lists, DLPack, pickles and copies.

The functions here become methods of Tensor (members.py has the table). A payload is a NumPy array,
so most of them only say what may leave the graph. Pickles and deep copies go by whole memories
(`memory`): tensors that share one before share one after.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Tensor, from_array, make_subclass, turned
from pullback.core.dtypes import from_numpy_dtype, get_default_dtype, number_dtype
from pullback.core.meta import meta_array
from pullback.core.modes import is_grad_enabled
from pullback.core.printing import tensor_str
from pullback.core.settings import warn
from pullback.core.strides import preserved_strides, strided_array, strides_of
from pullback.core.types import Array
from pullback.face.storage import address, memory

# ------------------------------------------------------------------------------------------ NumPy


def numpy(self: Tensor, *, force: bool = False) -> Array:
    """The numbers as a NumPy array on the same memory; `force` copies what has to be detached
    first.

    RuntimeError if the tensor requires grad, except where grad mode is off. TypeError for a meta tensor and
    for bfloat16 and floats of eight bits.

    >>> import pullback as torch
    >>> torch.tensor([1, 2]).numpy()
    array([1, 2])
    """
    if not isinstance(force, bool):
        raise TypeError(f"numpy(): argument 'force' must be bool, not {type(force).__name__}")
    if self.is_meta:
        if force:
            raise NotImplementedError("Cannot copy out of meta tensor; no data!")
        raise TypeError(
            "can't convert meta device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
            "memory first."
        )
    if self.requires_grad and is_grad_enabled() and not force:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if not self.dtype.is_native:
        raise TypeError(f"Got unsupported ScalarType {self.dtype.type_name}")
    _engine.check_value_access(self, "numpy")
    way = turned(self)
    if way is not None and not force:
        bit = {"conj": "conjugate", "neg": "negative"}[way]
        raise RuntimeError(
            f"Can't call numpy() on Tensor that has {bit} bit set. Use tensor.resolve_{way}().numpy() "
            "instead."
        )
    return self._array.view() if way is None else self._array.copy()


def array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Array:
    """What `np.asarray(x)` calls."""
    return np.array(numpy(self), dtype=dtype, copy=copy)


def array_wrap(self: Tensor, array: Array, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions of tensors give: tensors, with uint8 in place of bool as in PyTorch."""
    array = np.asarray(array)
    return from_array(array.astype(np.uint8) if array.dtype == np.bool_ else array)


def tolist(self: Tensor) -> Any:
    """The numbers as nested lists; a number for a 0-dim tensor.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2], [3, 4]]).tolist()
    [[1, 2], [3, 4]]
    """
    if self.is_meta:
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    _engine.check_value_access(self, "tolist")
    a = self._array
    wide = np.complex64 if self.dtype.is_complex else np.float32
    return (a if self.dtype.is_native else a.astype(wide)).tolist()


# -------------------------------------------------------------------------------- Python protocols


def to_float(self: Tensor) -> float:
    """`float(x)` of a tensor with one element."""
    return float(_real_number(self, "double"))


def to_int(self: Tensor) -> int:
    """`int(x)` of a tensor with one element."""
    return int(_real_number(self, "int64_t"))


def to_complex(self: Tensor) -> complex:
    """`complex(x)` of a tensor with one element."""
    return complex(_number(self))


def _number(self: Tensor) -> Any:
    if self.requires_grad:
        warn(
            "Converting a tensor with requires_grad=True to a scalar may lead to unexpected "
            "behavior.\n"
            "Consider using tensor.detach() first.",
        )
    if self.numel() != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return self.item()


def _real_number(self: Tensor, kind: str) -> Any:
    number = _number(self)
    if isinstance(number, complex):
        if number.imag:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return number.real
    return number


def to_index(self: Tensor) -> int:
    """What `range`, `hex` and list indices call: the one element of an integer tensor."""
    if self.numel() != 1 or self.dtype.kind not in "bui":
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(self.item())


def iterate(self: Tensor) -> Iterator[Tensor]:
    """The slices along the first dim."""
    if self.ndim == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(ops.unbind(self, 0))


def contains(self: Tensor, element: Any) -> bool:
    """Whether an element equals the number, or the tensor broadcast against this one."""
    if not isinstance(element, Tensor) and number_dtype(element) is None:
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
        )
    return bool((element == self).any().item())


def backwards(self: Tensor) -> Tensor:
    """The tensor with its first dim turned round."""
    return self if self.ndim == 0 else ops.flip(self, (0,))


def formatted(self: Tensor, spec: str) -> str:
    """A 0-dim tensor is formatted as its number, others take no format."""
    if self.ndim == 0 and not self.is_meta and type(self) is Tensor:
        return self.item().__format__(spec)
    if spec:
        raise TypeError(f"unsupported format string passed to {type(self).__name__}.__format__")
    return str(self)


def text(self: Tensor) -> str:
    """`repr(x)`: the numbers, and what is out of the ordinary about the tensor."""
    kind = "tensor" if type(self) is Tensor or _is_parameter(self) else type(self).__name__
    return tensor_str(
        self._array,
        dtype_name=self.dtype.name,
        default_float=get_default_dtype().name,
        device=str(self.device),
        requires_grad=self.requires_grad,
        grad_fn_name=_shown_node(self),
        prefix=f"{kind}(",
        is_meta=self.is_meta,
        tangent=_shown_tangent(self),
    )


def _shown_node(t: Tensor) -> str | None:
    """The name of a tensor's node; "Invalid" for a view whose base was written to where it must not."""
    try:
        return None if t.grad_fn is None else type(t.grad_fn).__name__
    except RuntimeError:
        return "Invalid"


def _shown_tangent(t: Tensor) -> str | None:
    """The tangent that `t` carries at the present level, as text."""
    levels = _engine.levels()
    return str(levels[-1].held(t)) if levels and _engine.carries(t, levels[-1]) else None


def _is_parameter(t: Tensor) -> bool:
    return bool(getattr(t, "_is_param", False))


# ----------------------------------------------------------------------------------------- DLPack


def dlpack(
    self: Tensor,
    stream: Any = None,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """The memory as a DLPack capsule, for other libraries. BufferError if the tensor requires
    grad.
    """
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.is_meta:
        raise BufferError("Cannot pack tensors on meta")
    if stream is not None:
        raise AssertionError("stream should be None on cpu.")
    return self._array.__dlpack__(max_version=max_version, dl_device=dl_device, copy=copy)


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """DLPack's number for the device: (1, 0), the CPU."""
    if self.is_meta:
        raise ValueError("Unknown device type meta for Dlpack")
    return 1, 0


# ------------------------------------------------------------------------------- pickles and copies


def _described(a: Array) -> tuple[Array, tuple[Any, ...]]:
    """The memory of an array, and where in it the array lies: dtype, offset in bytes, shape,
    strides.
    """
    owner = memory(a)
    if not owner.flags.forc:
        # Memory with gaps that is not ours: the numbers alone, in their order.
        owner = strided_array(a.shape, preserved_strides(a), a.dtype)
        np.copyto(owner, a)
        a, owner = owner, memory(owner)
    offset = address(a) - address(owner)
    return owner, (from_numpy_dtype(a.dtype), offset, a.shape, strides_of(a))


def _restored(owner: Array, layout: tuple[Any, ...]) -> Array:
    """The array that lies there in a memory."""
    kind, offset, shape, strides = layout
    if owner.dtype == kind.numpy and owner.shape == shape and strides_of(owner) == strides:
        return owner
    whole = owner.reshape(-1, order="A").view(np.uint8)
    return np.ndarray(shape, kind.numpy, whole, offset, [step * kind.itemsize for step in strides])


def rebuild(cls: type, owner: Any, layout: tuple[Any, ...], requires_grad: bool, state: Any) -> Tensor:
    """The tensor of a pickle."""
    if owner is None:
        kind, _, shape, strides = layout
        made = from_array(meta_array(shape, kind.numpy, strides), meta=True)
    else:
        made = from_array(_restored(owner, layout))
    return dressed(made, cls, requires_grad, state)


def dressed(made: Tensor, cls: type, requires_grad: bool, state: Any) -> Tensor:
    """A tensor that was sent or kept, with its class, its wish for a gradient and its attributes."""
    if cls is not Tensor:
        made = make_subclass(cls, made)
    if requires_grad:
        made.requires_grad = True
    if state:
        made.__dict__.update(state)
    return made


def reduce(self: Tensor, protocol: Any) -> tuple[Any, ...]:
    """What pickle and `copy.copy` call: the memory, and where in it the tensor lies."""
    a = self._array
    if self.is_meta:
        owner, layout = None, (self.dtype, 0, a.shape, strides_of(a))
    else:
        owner, layout = _described(a)
    return rebuild, (type(self), owner, layout, self.requires_grad, dict(self.__dict__))


def deep_copy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """What `copy.deepcopy` calls. RuntimeError for a tensor that was computed: only leaves are
    copied.
    """
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
            "moment.  If you were attempting to deepcopy a module, this may be because of a "
            "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001"
        )
    if id(self) in memo:
        return memo[id(self)]
    _, (cls, owner, layout, requires_grad, _) = reduce(self, 4)
    if owner is not None:
        twin = memo.get(id(owner))
        if twin is None:
            twin = memo[id(owner)] = owner.copy("K")
            memo.setdefault(id(memo), []).append(owner)  # kept alive: the memo goes by its id
        owner = twin
    made = rebuild(cls, owner, layout, requires_grad, None)
    memo[id(self)] = made
    if self.grad is not None:
        made.grad = copy.deepcopy(self.grad, memo)
    if self.__dict__:
        made.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return made


# --------------------------------------------------------------------- Python functions of elements


def apply_(self: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Replaces each element by `callable(element)`: slow, for numbers that no op computes.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0]).apply_(lambda v: v + 0.5)
    tensor([1.5000, 2.5000])
    """
    return _written(self, "apply_", callable, self)


def map_(self: Tensor, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
    """Replaces each element by `callable(element, other)`, `tensor` broadcast.

    >>> import pullback as torch
    >>> torch.tensor([1.0, 2.0]).map_(torch.tensor([3.0, 4.0]), lambda a, b: a * b)
    tensor([3., 8.])
    """
    return _written(self, "map_", callable, self, tensor)


def map2_(self: Tensor, x: Tensor, y: Tensor, callable: Callable[..., Any]) -> Tensor:
    """Replaces each element by `callable(element, of x, of y)`, both broadcast."""
    return _written(self, "map2_", callable, self, x, y)


def _written(self: Tensor, name: str, function: Callable[..., Any], *operands: Tensor) -> Tensor:
    if any(t.requires_grad for t in operands):
        raise RuntimeError(
            f"Can't call {name}() on Variable that requires grad. Use var.detach().{name}() instead."
        )
    shape = self.shape
    columns = [np.broadcast_to(t._array, shape).ravel().tolist() for t in operands]
    values = [function(*row) for row in zip(*columns, strict=True)]
    return self.copy_(ops.tensor(values, dtype=self.dtype).reshape(shape))
