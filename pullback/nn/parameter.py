"""`Parameter` and `Buffer`: the tensors that a Module knows as its own, as `torch.nn.parameter`.

Ops treat them as plain tensors. A tensor of another class is a parameter, too, where its attribute
`_is_param` is True, and a buffer where `_is_buffer` is.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Self, cast

from pullback import _C, ops
from pullback.core import dtypes
from pullback.core._engine import Tensor, attach, make_subclass
from pullback.face.absent import getter

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "UninitializedTensorMixin",
    "is_lazy",
]


attach({"_is_param": False, "_is_buffer": False})  # found at once by those that ask

_TensorMeta: Any = type(Tensor)


class _ParameterMeta(_TensorMeta):
    """The class of Parameter: `isinstance` also asks a tensor for `_is_param`."""

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Parameter and isinstance(instance, Tensor) and getattr(instance, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that a Module lists among its parameters when it is assigned to one of its attributes.

    It shares the memory of `data` and is a leaf, which requires a gradient unless told otherwise, also
    where grad mode is off.

    >>> import pullback as torch
    >>> torch.nn.Parameter(torch.ones(2))
    Parameter containing:
    tensor([1., 1.], requires_grad=True)
    """

    __torch_function__ = _C._disabled_torch_function_impl

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        if data is None:
            data = ops.empty(0)
        if type(data) is Tensor or type(data) is Parameter:
            if requires_grad and not (data.is_floating_point() or data.is_complex()):
                raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
            return cast(Self, make_subclass(cls, data, requires_grad))
        own: Any = data.detach().requires_grad_(requires_grad)  # a class of its own stays what it is
        made: Any = own
        if type(own) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() "
                f"returns an instance of the same type, but return type {type(own).__name__} was found "
                "instead. To use the type as a Parameter, please correct the detach() semantics defined by "
                "its __torch_dispatch__() implementation."
            )
        made._is_param = True
        return cast(Self, made)

    # A subclass whose `__new__` takes other arguments needs no `__init__`.
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        found = memo.get(id(self))
        if found is None:
            copied = self.data.clone(memory_format=dtypes.preserve_format)
            found = memo[id(self)] = type(self)(copied, self.requires_grad)
        return cast(Self, found)

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return "Parameter containing:\n" + repr(make_subclass(Tensor, self.data, self.requires_grad))

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self.__dict__:
            return _rebuilt_with_state, (type(self), self.data, self.requires_grad, dict(self.__dict__))
        return _rebuilt, (type(self), self.data, self.requires_grad, OrderedDict())


def _rebuilt(cls: type[Parameter], data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    """The Parameter that a pickle holds."""
    return cls(data, requires_grad)


def _rebuilt_with_state(
    cls: type[Parameter], data: Tensor, requires_grad: bool, state: dict[str, Any]
) -> Parameter:
    """The Parameter that a pickle holds, with its attributes."""
    made = cls(data, requires_grad)
    made.__dict__.update(state)
    return made


class _BufferMeta(_TensorMeta):
    """The class of Buffer: `isinstance` asks a tensor for `_is_buffer`."""

    def __instancecheck__(cls, instance: object) -> bool:
        if cls is not Buffer:
            return type.__instancecheck__(cls, instance)
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that a Module lists among its buffers when it is assigned to one of its attributes.

    It is of the class of `data`, whose memory it shares. One that is not `persistent` is left out of the
    module's `state_dict`.

    >>> import pullback as torch
    >>> torch.nn.Buffer(torch.ones(2), persistent=False)
    tensor([1., 1.])
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Self:
        own: Any = (ops.empty(0) if data is None else data).detach()
        own.requires_grad_(data is not None and data.requires_grad)
        own.persistent, own._is_buffer = persistent, True
        return cast(Self, own)


_USABLE = (
    "size copy_ is_complex is_floating_point half float double char short int long cuda cpu to get_device "
    "__get__ __set__ __delete__"
)
"""What may be asked of a tensor without a shape."""


class UninitializedTensorMixin:
    """A tensor without a shape: it has a dtype and a device, and refuses to be used."""

    cls_to_become: type

    def materialize(
        self, shape: Any, device: dtypes.device | None = None, dtype: dtypes.dtype | None = None
    ) -> None:
        """Makes this a parameter or buffer of a shape, in place, with the memory that is there."""
        own: Any = self
        own.data = ops.empty(shape, dtype=dtype or own.data.dtype, device=device or own.data.device)
        own.__class__ = self.cls_to_become

    def _refuse_shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
            "`forward` to initialize the parameters before accessing their attributes."
        )

    shape: Any = property(_refuse_shape)

    def share_memory_(self) -> Self:
        """RuntimeError: there is no memory yet."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
            "parameters before calling `module.share_memory()`."
        )

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (cast(Any, self).requires_grad,)

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in _USABLE.split():
            default: Any = Tensor.__torch_function__
            return default.__func__(cls, func, types, args, kwargs)
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error happens when you are using a "
            "`LazyModule` or explicitly manipulating `torch.nn.parameter.UninitializedParameter` objects. "
            "When using LazyModules Call `forward` with a dummy batch to initialize the parameters before "
            "calling torch functions"
        )


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape is known when a lazy module first runs: see `materialize`.

    >>> import pullback as torch
    >>> w = torch.nn.UninitializedParameter()
    >>> w.materialize((2, 3))
    >>> w.shape
    torch.Size([2, 3])
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Self:
        return cast(Self, make_subclass(cls, ops.empty(0, device=device, dtype=dtype), requires_grad))

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None: ...

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        found = memo.get(id(self))
        if found is None:
            found = type(self)(self.requires_grad, self.data.device, self.data.dtype)
            memo[id(self)] = found
        return cast(Self, found)


class _Materialized(Tensor):
    """What an uninitialized buffer becomes: a plain tensor."""

    __torch_function__ = _C._disabled_torch_function_impl


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is known when a lazy module first runs: see `UninitializedParameter`."""

    cls_to_become = _Materialized

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> Self:
        made: Any = make_subclass(cls, ops.empty(0, device=device, dtype=dtype), requires_grad)
        made.persistent, made._is_buffer = persistent, True
        return cast(Self, made)


def is_lazy(param: Any) -> bool:
    """Whether this is a parameter or buffer that has no shape yet.

    >>> import pullback as torch
    >>> torch.nn.parameter.is_lazy(torch.nn.UninitializedParameter())
    True
    """
    return isinstance(param, UninitializedTensorMixin)


__getattr__ = getter(__name__)
