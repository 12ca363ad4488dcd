"""`Variable`, what a tensor with a gradient was before tensors had gradients themselves."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.face.absent import getter

__all__ = ["Variable"]


class _VariableType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableType):
    """A leaf on the memory of `data`. Programs of today pass the tensor itself.

    >>> import pullback as torch
    >>> torch.autograd.Variable(torch.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: Any = None) -> Any:
        if data is None:
            return ops.empty(0, requires_grad=requires_grad)
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)


__getattr__ = getter(__name__)
