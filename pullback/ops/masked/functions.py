"""What masked tensors are made by, their reductions, choices and layouts."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_, sparse_coo, sparse_csr, strided
from pullback.core.op import SURFACE
from pullback.ops.masked.tensors import (
    IMPLEMENTED,
    MaskedTensor,
    build,
    data_of,
    from_leaf,
    implements,
    is_masked_tensor,
    make,
    masked,
    moved,
)
from pullback.ops.masked.tensors import _check as check
from pullback.ops.sparse import tensors as sparse


def masked_tensor(data: Tensor, mask: Tensor, requires_grad: bool = False) -> Any:
    """A masked tensor of copies of data and mask, a leaf of the graph.

    TypeError for a dtype that it does not have, and where data and mask differ in layout; ValueError where
    they differ in shape.

    >>> import pullback as torch
    >>> torch.masked.masked_tensor(torch.tensor([1, 2]), torch.tensor([True, False]))
    MaskedTensor(
      [1,       --]
    )
    """
    return MaskedTensor(data, mask, requires_grad)


def as_masked_tensor(data: Tensor, mask: Tensor) -> Any:
    """A masked tensor that is part of the graph of its data: their gradient is masked as it is.

    >>> import pullback as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> torch.masked.as_masked_tensor(x, torch.tensor([True, False])).sum().backward()
    >>> x.grad
    MaskedTensor(
      [  1.0000,       --]
    )
    """
    check(data, mask)
    return from_leaf(data, mask)


for _maker in (MaskedTensor, masked_tensor, as_masked_tensor, is_masked_tensor):
    SURFACE["masked"][_maker.__name__] = _maker


# ---------------------------------------------------------------------------------- reductions


def _whole(x: Any) -> tuple[Tensor, Tensor]:
    """Data and mask, dense: what a sparse tensor has no element for does not count."""
    data, mask = data_of(x), x.mask
    return (data, mask) if x.layout is strided else (data.to_dense(), mask.to_dense())


def _counted(mask: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """Which results count: those of which an element does."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        dim = tuple(range(mask.ndim))
    return ops.any(mask, dim, keepdim) if mask.ndim else mask


def _reduction(name: str) -> None:
    @implements(name)
    def reduced(
        input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **options: Any
    ) -> Any:
        data, mask = _whole(input)
        options |= {} if dtype is None else {"dtype": dtype}
        made = SURFACE["masked"][name](data, dim=dim, keepdim=keepdim, mask=mask, **options)
        return masked(made, _counted(mask, dim, keepdim))


def _choice(name: str) -> None:
    @implements(name)
    def chosen(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        data, mask = _whole(input)
        if dim is None:
            data, mask = ops.flatten(data), ops.flatten(mask)
        found = SURFACE["masked"][name](data, 0 if dim is None else dim, keepdim=keepdim, mask=mask)
        return masked(found.to(input.dtype), _counted(mask, 0 if dim is None else dim, keepdim))


for _name in ("sum", "mean", "prod", "amax", "amin", "var", "std"):
    _reduction(_name)
for _name in ("argmax", "argmin"):
    _choice(_name)


@implements("norm")
def _norm(input: Any, p: float = 2, dim: Any = None, keepdim: bool = False) -> Any:
    data, mask = _whole(input)
    made = SURFACE["masked"]["norm"](data, p, dim, keepdim=keepdim, mask=mask)
    return masked(made, _counted(mask, dim, keepdim))


@implements("all")
def _all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    data, mask = _whole(input)
    dims = tuple(range(data.ndim)) if dim is None else dim
    return make(ops.all(data.ne(0) | ~mask, dims, keepdim), _counted(mask, dim, keepdim))


def _soft(name: str) -> None:
    @implements(name)
    def soft(input: Any, dim: int, dtype: Any = None) -> Any:
        data, mask = _whole(input)
        return masked(SURFACE["masked"][name](data, dim, dtype=dtype, mask=mask), mask)


for _name in ("softmax", "log_softmax"):
    _soft(_name)


# ------------------------------------------------------------------------------------ choices


@implements("where")
def _where(condition: Any, input: Any, other: Any) -> Any:
    """`torch.where`, and the method, of which the first argument is the choice where the condition holds."""
    if (
        not is_masked_tensor(input)
        and getattr(input, "dtype", None) is bool_
        and condition.dtype is not bool_
    ):
        condition, input = input, condition
    chosen = data_of(condition)
    a, b = (x.mask if is_masked_tensor(x) else True for x in (input, other))
    mask = ops.where(chosen, a, b)
    mask = mask & condition.mask if is_masked_tensor(condition) else mask
    return masked(ops.where(chosen, data_of(input), data_of(other)), mask)


@implements("is_same_size")
def _is_same_size(input: Any, other: Any) -> bool:
    return tuple(input.shape) == tuple(other.shape)


for _name in ("is_floating_point", "is_complex", "is_signed", "is_conj", "is_neg", "is_tensor", "numel"):
    implements(_name)(SURFACE["torch"][_name].__wrapped__)
IMPLEMENTED["nelement"] = IMPLEMENTED["numel"]


# ------------------------------------------------------------------------------------ layouts


def _in_layout(x: Any, layout: Any) -> Any:
    """The same in another layout; as a sparse one it has the elements that count."""
    if x.layout is layout:
        return x
    data = data_of(x)
    if layout is strided:
        return build(data.to_dense(), x.mask.to_dense())
    if x.layout is not strided:
        data, x = data.to_dense(), make(x.numbers.to_dense(), x.mask.to_dense())
    mask = x.mask.to_sparse() if layout is sparse_coo else x.mask.to_sparse_csr()
    return build(data.sparse_mask(mask), mask)


@implements("to_dense")
def _to_dense(input: Any, dtype: Any = None) -> Any:
    dense = _in_layout(input, strided)
    return dense if dtype is None else dense.to(dtype)


@implements("to_sparse to_sparse_coo")
def _to_sparse(input: Any, *options: Any, layout: Any = sparse_coo) -> Any:
    return _in_layout(input, layout)


@implements("to_sparse_csr")
def _to_sparse_csr(input: Any, dense_dim: int | None = None) -> Any:
    return _in_layout(input, sparse_csr)


@implements("clone")
def _clone(input: Any, *options: Any, **named: Any) -> Any:
    return moved(ops.clone, (input, *options), named)


@implements("detach")
def _detach(input: Any) -> Any:
    return make(input.numbers.detach(), input.mask)


@implements("backward")
def _backward(
    self: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    if gradient is None and self.numel() == 1:
        gradient = ops.ones_like(self.detach())
    sparse.IMPLEMENTED["backward"](self, gradient, retain_graph, create_graph, inputs)


@implements("copy_")
def _copy(input: Any, src: Any, non_blocking: bool = False) -> Any:
    input.numbers.copy_(data_of(src).detach())
    return input


@implements("new_tensor")
def _new_tensor(input: Any, *args: Any, **options: Any) -> Tensor:
    return input.numbers.new_tensor(*args, **options)
