"""`torch.masked.MaskedTensor`: a tensor and a mask that says which of its elements count.

    numbers   the data, dense or sparse, without history
    mask      bools of the same shape and layout, in the same places if they are sparse

Like a nested tensor it has no numbers of its own, a place of its own in the graph, and two nodes that lead to
its data and back (`data_of`, `build`). What ops do with it stands in `IMPLEMENTED`, by their names; what
works element by element is done on the data, what moves elements on data and mask alike.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Tensor, from_array, grad_enabled, make_subclass
from pullback.core.dtypes import (
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    sparse_coo,
    sparse_csr,
    strided,
)
from pullback.core.op import SURFACE
from pullback.core.settings import warn
from pullback.ops.shared.kinds import elementwise_ops, entering, take_numbers
from pullback.ops.sparse import tensors as sparse

IMPLEMENTED: dict[str, Callable[..., Any]] = {}
"""What ops do where an argument is masked, by their names."""

NO_MATCH = "Input masks must match. If you need support for this, please open an issue on Github."


implements = entering(IMPLEMENTED)
"""A decorator: the function is what ops of some names do with masked arguments."""


class MaskedTensor(Tensor):
    """A tensor whose elements count where a mask is True: `torch.masked.masked_tensor` makes one.

    Ops of single elements leave out the others, reductions are of those that count, and so are gradients.
    TypeError for a dtype that it does not have, and where data and mask differ in layout; ValueError where
    they differ in shape.

    >>> import pullback as torch
    >>> mask = torch.tensor([True, False, True])
    >>> x = torch.masked.masked_tensor(torch.tensor([1.0, 2.0, 3.0]), mask)
    >>> x * 2
    MaskedTensor(
      [  2.0000,       --,   6.0000]
    )
    >>> x.sum()
    MaskedTensor(  4.0000, True)
    """

    __slots__ = ("mask", "numbers")

    mask: Tensor
    numbers: Tensor
    plain_passes = True  # the backward pass takes it as any tensor

    def __new__(cls, data: Any, mask: Any, requires_grad: bool = False) -> Any:
        _check(data, mask)
        if data.requires_grad:
            warn(
                "It is not recommended to create a MaskedTensor with a tensor that requires_grad. To avoid "
                "this, you can use data.detach().clone()"
            )
        return own(data.detach(), mask).requires_grad_(requires_grad)

    def __init__(self, data: Any, mask: Any, requires_grad: bool = False) -> None:
        """All is done by `__new__`."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not all(issubclass(kind, MaskedTensor) for kind in types):
            return NotImplemented
        return dispatched(func, args, dict(kwargs or {}))

    layout = property(lambda self: self.numbers.layout, doc="How the data are stored.")
    is_sparse = property(lambda self: self.numbers.is_sparse, doc="Whether the layout is sparse COO.")
    data: Any = property(lambda self: self.detach(), doc="The same without history.")
    _masked_data = property(lambda self: self.numbers, doc="The data without history.")
    _masked_mask = property(lambda self: self.mask, doc="The mask.")

    def is_sparse_coo(self) -> bool:
        """Whether the layout is sparse COO."""
        return self.layout is sparse_coo

    def is_sparse_csr(self) -> bool:  # type: ignore[override]  # a method, as PyTorch has it
        """Whether the layout is sparse CSR."""
        return self.layout is sparse_csr

    def get_data(self) -> Tensor:
        """The data, those that do not count too; their gradient is masked."""
        found = data_of(self)
        return found if found is not self.numbers else found.detach()

    def get_mask(self) -> Tensor:
        """The mask."""
        return self.mask

    def to_tensor(self, value: Any) -> Tensor:
        """The data, with `value` where they do not count."""
        return ops.masked_fill(data_of(self).to_dense(), ~_dense(self.mask), value)

    def _no_storage(self, *args: Any) -> Any:
        raise RuntimeError(".numpy() is not supported for tensor subclasses.")

    _array: Any = property(_no_storage, doc="A masked tensor has no array of its own.")
    numpy: Any = _no_storage
    __array__: Any = _no_storage

    def tolist(self) -> Any:
        raise RuntimeError(".tolist() is not supported for tensor subclasses, got MaskedTensor")

    def item(self) -> Any:
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        if not _dense(self.mask).item():
            raise ValueError("__torch_dispatch__, aten._local_scalar_dense: expected a mask tensor")
        return _dense(self.numbers).item()

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def stride(self, dim: int | None = None) -> Any:
        return self.numbers.stride() if dim is None else self.numbers.stride(dim)

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return self.numbers.is_contiguous()

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        return iter(ops.unbind(self))

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        data, mask = _dense(self.numbers)._array, _dense(self.mask)._array
        if data.ndim == 0:
            return f"MaskedTensor({_text(data.item()) if mask else '--'}, {bool(mask)})"
        body = _rows(data, mask).replace("\n", "\n  ")
        return f"MaskedTensor(\n  {body}\n)"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (self.numbers.detach(), self.mask, self.requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            made = make(self.numbers.detach().clone(), self.mask.clone())
            memo[id(self)] = made.requires_grad_(self.requires_grad)
        return memo[id(self)]


def _rebuild(data: Any, mask: Any, requires_grad: bool) -> Any:
    """The masked tensor of a pickle."""
    return make(data, mask).requires_grad_(requires_grad)


def _text(number: Any) -> str:
    return f"{number:8.4f}" if isinstance(number, float) else str(number)


def _rows(data: Any, mask: Any) -> str:
    """The numbers of an array in brackets; those that do not count are dashes as wide as the widest."""
    if data.ndim == 1:
        texts = [_text(n) for n in data.tolist()]
        width = max([8, *(len(text) for text, shown in zip(texts, mask, strict=True) if shown)])
        shown = [text if kept else "--".rjust(width) for text, kept in zip(texts, mask, strict=True)]
        return f"[{', '.join(shown)}]"
    lines = ",\n".join(_rows(a, b) for a, b in zip(data, mask, strict=True))
    return "[\n  " + lines.replace("\n", "\n  ") + "\n]"


KINDS = (float16, float32, float64, bool_, int8, int16, int32, int64)
"""The dtypes that data have."""


def _check(data: Any, mask: Any) -> None:
    for name, x in (("data", data), ("mask", mask)):
        if not isinstance(x, Tensor) or is_masked_tensor(x):
            raise TypeError(f"{name} must be a Tensor")
    if data.layout != mask.layout:
        raise TypeError("data and mask must have the same layout.")
    _check_kind(data.dtype)
    if mask.dtype is not bool_:
        raise TypeError("mask must have dtype bool.")
    if data.ndim != mask.ndim:
        raise ValueError("data.dim() must equal mask.dim()")
    if data.shape != mask.shape:
        raise ValueError("data.size() must equal mask.size()")


def _check_kind(kind: Any) -> None:
    if kind not in KINDS:
        raise TypeError(f"{kind} is not supported in MaskedTensor.")


def is_masked_tensor(obj: Any, /) -> bool:
    """Whether something is a MaskedTensor.

    >>> import pullback as torch
    >>> torch.masked.is_masked_tensor(torch.ones(2))
    False
    """
    return isinstance(obj, MaskedTensor)


def _dense(x: Any) -> Any:
    return x if x.layout is strided else x.detach().to_dense()


def make(numbers: Tensor, mask: Tensor) -> Any:
    """The masked tensor of data without history; its payload has their shape."""
    _check_kind(numbers.dtype)
    kind = numbers.dtype.numpy
    none = np.full((), np.nan if kind.kind == "f" else 0).astype(kind)
    shape = tuple(numbers.shape)
    _engine.unrecordable("a masked tensor")
    made = make_subclass(MaskedTensor, from_array(np.ndarray(shape, kind, none, 0, (0,) * len(shape))))
    made.numbers, made.mask = numbers, mask
    return made


def own(data: Any, mask: Any) -> Any:
    """The masked tensor of copies; sparse data have the elements that the mask has."""
    mask = mask.detach().clone()
    same = data.layout is strided or data.pattern.same(mask.pattern)
    return make(data.detach().clone() if same else data.detach().sparse_mask(mask), mask)


# ----------------------------------------------------------------------------------- history


def _recorded(label: str, result: Any, x: Any, rule: Callable[[Any], Any]) -> Any:
    def run(node: Any, grads: Sequence[Any]) -> list[Any]:
        return [None if g is None else rule(g) for g in grads]

    _engine.custom_node(run, label, (x,), (result,))
    return result


def data_of(x: Any) -> Any:
    """The data of a masked tensor, with their derivative, which is masked; another tensor itself."""
    if not is_masked_tensor(x):
        return x
    if not (grad_enabled() and x.requires_grad):
        return x.numbers
    mask = x.mask
    return _recorded("GetDataBackward", x.numbers.detach(), x, lambda g: masked(g, mask))


def masked(data: Any, mask: Tensor) -> Any:
    """The masked tensor of data, or of a gradient of them, which may have another layout."""
    if is_masked_tensor(data):
        return data
    if data.layout is not mask.layout:
        data = data.to_dense() if mask.layout is strided else data.sparse_mask(mask)
    return build(data, mask)


def build(data: Tensor, mask: Tensor) -> Any:
    """The masked tensor of data, with its derivative; its node is called as theirs."""
    if not (grad_enabled() and data.requires_grad):
        return make(data, mask)
    label = "ConstructorBackward" if data.grad_fn is None else type(data.grad_fn).__name__
    return _recorded(label, make(data.detach(), mask), data, data_of)


def from_leaf(data: Tensor, mask: Tensor) -> Any:
    """The masked tensor of a user's data, whose gradient is masked."""
    made = own(data, mask)
    if not (grad_enabled() and data.requires_grad):
        return made
    return _recorded("ConstructorBackward", made, data, lambda g: masked(g, made.mask))


# ---------------------------------------------------------------------------------- dispatch


def dispatched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An op with a masked argument."""
    out = kwargs.pop("out", None)
    name = str(getattr(func, "__name__", ""))
    if "input" in kwargs:
        args = (kwargs.pop("input"), *args)
    if getattr(func, "__wrapped__", func) in _of_masked():
        first = args[0]
        return func(data_of(first), *args[1:], **{"mask": first.mask, **kwargs})
    known = IMPLEMENTED.get(name)
    if known is None and name.endswith("_") and getattr(func, "in_place", False):
        out, func, name = IN_PLACE, getattr(ops, name[:-1], func), name[:-1]
        known = IMPLEMENTED.get(name)
    if known is not None:
        result = known(*args, **kwargs)
    elif name in MOVES:
        result = moved(func, args, kwargs)
    elif name in ON_DATA or out is IN_PLACE or getattr(func, "__wrapped__", func) in elementwise_ops():
        result = pointwise(func, args, kwargs)
    else:
        raise refusal(name)
    if out is None:
        return result
    return take_numbers(args[0] if out is IN_PLACE else out, result)


def refusal(name: str) -> TypeError:
    """The error of an op that masked tensors do not have."""
    kind = "tensor subclass <class 'torch.masked.maskedtensor.core.MaskedTensor'>"
    return TypeError(
        f"Multiple dispatch failed for 'torch._ops.aten.{name}.default'; all __torch_dispatch__ handlers "
        f"returned NotImplemented:\n\n  - {kind}\n\n"
        "For more information, try re-running with TORCH_LOGS=not_implemented"
    )


@functools.cache
def _of_masked() -> frozenset[Any]:
    """The functions of `torch.masked`, which take a mask."""
    return frozenset(getattr(f, "__wrapped__", f) for f in SURFACE["masked"].values())


_MOVES = """
adjoint alias basic broadcast_tensors broadcast_to cat chunk concat concatenate contiguous diagonal dstack
expand expand_as flatten flip fliplr flipud gather hsplit hstack index index_select masked_select matrix_h
moveaxis movedim narrow permute ravel repeat repeat_interleave reshape reshape_as roll select slice split
split_with_sizes squeeze stack swapaxes swapdims t tensor_split tile transpose unbind unflatten unfold
unsqueeze view view_as vsplit vstack
"""
MOVES = frozenset(_MOVES.split())
"""Functions that move elements, and move the mask along."""

_ON_DATA = """
add bernoulli clamp clip clone conj detach div divide dropout elu empty_like fix float_power floor_divide
full_like gelu isclose leaky_relu lerp logit multiply nan_to_num normal ones_like positive pow rand_like
randn_like relu remainder resolve_conj resolve_neg round rsub selu silu softplus square sub subtract
threshold to to_copy true_divide type_as zeros_like
"""
ON_DATA = frozenset(_ON_DATA.split())
"""Functions that are not single ops and do to a masked tensor what they do to each element of its data."""


def _each(f: Callable[[Any], Any], x: Any) -> Any:
    return type(x)(f(item) for item in x) if type(x) in (list, tuple) else f(x)


def moved(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that moves elements, of data and mask."""

    def mask_of(x: Any) -> Any:
        return x.mask if is_masked_tensor(x) else x

    data, mask = (
        func(*[_each(f, x) for x in args], **{name: _each(f, x) for name, x in kwargs.items()})
        for f in (data_of, mask_of)
    )
    if isinstance(data, (list, tuple)):
        return type(data)(masked(d, m) for d, m in zip(data, mask, strict=True))
    return masked(data, mask)


def pointwise(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function of each element by itself, of the data; what is sparse has it done to its elements."""
    first: Any = next(x for x in (*args, *kwargs.values()) if is_masked_tensor(x))
    places = None if first.layout is strided else first.numbers

    def of(x: Any) -> Any:
        if isinstance(x, MaskedTensor) and x is not first:
            if x.layout is not first.layout:
                raise ValueError(f"`a` and `b` must have the same layout. Got {first.layout} and {x.layout}")
            if not _same_mask(first.mask, x.mask):
                raise ValueError(NO_MATCH)
        if not isinstance(x, Tensor):
            return x
        data = data_of(x)
        return data if places is None or not x.ndim else sparse.picked(data, places.pattern)

    result = func(*[of(x) for x in args], **{name: of(x) for name, x in kwargs.items()})
    if places is not None:
        result = sparse.build(places.pattern, result)
    return masked(result, first.mask)


def _same_mask(a: Any, b: Any) -> bool:
    if a is b:
        return True
    return a.shape == b.shape and bool(np.array_equal(_dense(a)._array, _dense(b)._array))
