"""A sparse tensor: a `Tensor` that has a pattern and values in place of numbers in memory.

The engine sees a tensor like any other: it has a shape, a dtype, a place in the graph and a `.grad`. It has
no numbers, so each op that meets one asks its `__torch_function__`, which looks the op up among those that
have a meaning for it (`IMPLEMENTED`). Dense tensors never come here.

Two nodes lead out of and into sparse tensors, by which what is computed on values has its derivatives of
any order from the ops on dense tensors:

    values_of(x)          the values as a dense tensor; the gradient of `x` has its pattern
    build(pattern, v)     the sparse tensor of values; the gradient of `v` is what the other has there

What is linear in a sparse tensor takes gradients of any layout (`linear`); products and sums, whose gradients
have no pattern, say what they are (`recorded`).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Tensor, from_array, grad_enabled, make_subclass
from pullback.core.dtypes import (
    get_default_dtype,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
)
from pullback.core.modes import enable_grad, no_grad
from pullback.core.printing import sparse_str
from pullback.ops.shared.batches import has_samples
from pullback.ops.shared.kinds import entering
from pullback.ops.sparse.patterns import SHOWN, Pattern

IMPLEMENTED: dict[str, Callable[..., Any]] = {}
"""What ops do where an argument is sparse, by their names."""


SPECIAL: dict[Any, str] = {}
"""Other names of functions whose own names stand for something else, such as `torch.masked.sum`."""


implements = entering(IMPLEMENTED)
"""A decorator: the function is what ops of some names do with sparse arguments."""


class SparseTensor(Tensor):
    """A tensor of which only some elements are stored; the others are zero."""

    __slots__ = ("numbers", "pattern")

    pattern: Pattern
    numbers: Tensor
    plain_passes = True  # the backward pass takes it as any tensor

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not all(issubclass(kind, SparseTensor) for kind in types):
            return NotImplemented
        return dispatched(func, args, dict(kwargs or {}))

    def storage(self) -> Any:
        raise NotImplementedError("Cannot access storage of SparseTensorImpl")

    untyped_storage = _typed_storage = storage
    _array: Any = property(storage, doc="A sparse tensor has no array of its own.")

    layout = property(attrgetter("pattern.layout"), doc="How the elements are stored.")
    is_sparse = property(lambda self: self.layout is sparse_coo, doc="Whether the layout is COO.")
    is_sparse_csr = property(lambda self: self.layout is sparse_csr, doc="Whether the layout is CSR.")

    @property
    def nbytes(self) -> int:
        raise RuntimeError(
            "nbytes is not defined for sparse tensors.  If you want the size of the constituent tensors, add "
            "the nbytes of the indices and values.  If you want the size of the  equivalent dense tensor, "
            "multiply numel() by element_size()"
        )

    @property
    def data(self) -> Tensor:
        return alias(self)

    @data.setter
    def data(self, value: Any) -> None:
        take_over(self, value)

    def data_ptr(self) -> int:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def tolist(self) -> Any:
        raise RuntimeError("Cannot access data pointer of Tensor that doesn't have storage")

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError(
            f"can't convert {SHOWN[self.layout]} layout tensor to numpy. Use Tensor.to_dense() first."
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self.numpy()

    def storage_offset(self) -> int:
        if self.layout is not sparse_coo:
            raise RuntimeError("Sparse CSR tensors do not have storage_offset")
        return 0

    def stride(self, dim: int | None = None) -> Any:
        if self.layout is not sparse_coo:
            raise RuntimeError(f"Sparse {SHOWN[self.layout][6:].upper()} tensors do not have strides")
        return (0,) * self.ndim if dim is None else 0

    def is_contiguous(self, memory_format: Any = None) -> bool:
        if self.layout is not sparse_coo:
            raise RuntimeError(f"Sparse {SHOWN[self.layout][6:].upper()} tensors do not have is_contiguous")
        return False

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        name = Tensor.type(self, dtype, non_blocking)
        return f"torch.sparse.{name.removeprefix('torch.')}" if dtype is None else name

    def item(self) -> Any:
        return only_element(self).item()

    def __bool__(self) -> bool:
        return bool(only_element(self))

    def __float__(self) -> Any:
        return self.item()

    __int__ = __complex__ = __index__ = __float__

    def __contains__(self, element: Any) -> bool:
        return element is self

    def detach_(self) -> Any:
        return _engine.detach_inplace(self)

    def t_(self) -> Any:
        return take_over(self, ops.t(self))

    def transpose_(self, dim0: int, dim1: int) -> Any:
        return take_over(self, ops.transpose(self, dim0, dim1))

    swapaxes_ = swapdims_ = transpose_

    def unsqueeze_(self, dim: int) -> Any:
        return take_over(self, ops.unsqueeze(self, dim))

    def share_memory_(self) -> Any:
        for part in (*self.pattern.index, self.numbers):
            part.share_memory_()
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return text(self)

    def __format__(self, spec: str) -> str:
        return format(text(self), spec)

    def __reduce_ex__(self, protocol: Any) -> Any:
        values, index = self.numbers.detach(), self.pattern.index
        if self.layout is sparse_coo:
            parts: tuple[Any, ...] = (*index, values, self.shape, self.pattern.coalesced)
        else:
            parts = (*index, values, self.shape)
        return _rebuild_sparse_tensor, (self.layout, parts)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at "
                "the moment.  If you were attempting to deepcopy a module, this may be because of a "
                "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) not in memo:
            made = memo[id(self)] = make(self.pattern, self.numbers.detach().clone())
            made.requires_grad_(self.requires_grad)
            if self.grad is not None:
                made.grad = copy.deepcopy(self.grad, memo)
        return memo[id(self)]


_NO_NUMBERS: dict[Any, Any] = {}


def make(pattern: Pattern, numbers: Tensor) -> Any:
    """The sparse tensor of a pattern and of values without history, whose memory it shares."""
    kind = numbers._layout.dtype
    if kind not in _NO_NUMBERS:  # what shows if something takes it for a dense tensor
        _NO_NUMBERS[kind] = np.full((), np.nan if kind.kind in "fcV" else 0).astype(kind)
    array = np.ndarray(tuple(pattern.size), kind, _NO_NUMBERS[kind], 0, (0,) * len(pattern.size))
    _engine.unrecordable("a sparse tensor")
    made = make_subclass(SparseTensor, from_array(array))
    made.pattern, made.numbers = pattern, numbers
    return made


def _rebuild_sparse_tensor(layout: Any, data: Any) -> Any:
    """The sparse tensor of a pickle; RuntimeError for indices that make no sense."""
    if layout is sparse_coo:
        index, values, size, *coalesced = data
        return ops.sparse_coo_tensor(
            index, values, size, check_invariants=True, is_coalesced=bool(coalesced and coalesced[0])
        )
    compressed, plain, values, size = data
    return ops.sparse_compressed_tensor(compressed, plain, values, size, layout=layout, check_invariants=True)


_rebuild_sparse_tensor.__module__ = "pullback._utils"  # by which name files know it


def alias(x: Any) -> Any:
    """The same sparse tensor without history."""
    return make(x.pattern, x.numbers)


def is_sparse(x: Any) -> bool:
    """Whether something is a sparse tensor."""
    return isinstance(x, SparseTensor)


def sparse(x: Any) -> Any:
    """A tensor that is known to be sparse, for what reads annotations."""
    return x


INDEX_NAMES: dict[Any, tuple[str, ...]] = {
    sparse_coo: ("indices",),
    sparse_csr: ("crow_indices", "col_indices"),
    sparse_bsr: ("crow_indices", "col_indices"),
    sparse_csc: ("ccol_indices", "row_indices"),
    sparse_bsc: ("ccol_indices", "row_indices"),
}


def text(x: Any) -> str:
    """The text of a sparse tensor, as PyTorch prints it."""
    indices = zip(INDEX_NAMES[x.layout], x.pattern.index, strict=True)
    return sparse_str(
        [*((name, index._array) for name, index in indices), ("values", x.numbers._array)],
        size=tuple(x.shape),
        nnz=x.pattern.nnz,
        dtype_name=str(x.dtype).removeprefix("torch."),
        default_float=str(get_default_dtype()).removeprefix("torch."),
        layout=repr(x.layout),
        breaks=x.layout is sparse_coo,
        requires_grad=x.requires_grad,
        grad_fn_name=type(x.grad_fn).__name__ if x.grad_fn is not None else None,
    )


# ------------------------------------------------------------------------------- derivatives


class Kept:
    """An input that a rule will read: RuntimeError if it is written to before."""

    __slots__ = ("tensor", "version")

    def __init__(self, tensor: Any) -> None:
        self.version = tensor._version
        if is_sparse(tensor):
            twin = _engine.retype(tensor, SparseTensor)
            twin.pattern, twin.numbers = tensor.pattern, tensor.numbers
            tensor = twin
        self.tensor = tensor

    def __call__(self) -> Any:
        if self.tensor._version != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace "
                "operation"
            )
        return self.tensor


def follows(*inputs: Any) -> bool:
    """Whether what is computed of these belongs to a graph."""
    return grad_enabled() and any(isinstance(x, Tensor) and x.requires_grad for x in inputs)


def of_samples(*inputs: Any) -> bool:
    """Whether one of these stands for many at a level of `vmap`: its history is that of ops alone."""
    return any(isinstance(x, Tensor) and has_samples(x) for x in inputs)


def aside(*inputs: Any) -> Any:
    """A context for what `recorded` gives a node of its own: ops within leave none, unless they must."""
    return contextlib.nullcontext() if of_samples(*inputs) else no_grad()


def recorded(label: str, result: Any, *rules: tuple[Any, Callable[[Any], Any]]) -> Any:
    """Gives a result its place in the graph: for each input a function from its gradient to the input's."""
    inputs, functions = [x for x, _ in rules], [rule for _, rule in rules]
    if of_samples(*inputs):
        if is_sparse(result) and follows(*inputs):
            raise RuntimeError("vmap: sparse tensors that depend on samples have no gradients")
        return result
    if follows(*inputs) and result.dtype.kind in "fc":
        wanted = [isinstance(x, Tensor) and x.requires_grad for x in inputs]

        def run(node: Any, grads: Sequence[Any]) -> list[Any]:
            (g,) = grads
            return [
                rule(g) if w and g is not None else None for rule, w in zip(functions, wanted, strict=True)
            ]

        _engine.custom_node(run, label, inputs, (result,))
    return result


def values_of(x: Any) -> Tensor:
    """The values of a sparse tensor, with their derivative."""
    if not follows(x):
        return x.numbers
    pattern = x.pattern
    return recorded("ValuesBackward0", _engine.alias(x.numbers), (x, lambda g: build(pattern, g)))


def build(pattern: Pattern, values: Tensor, label: str = "SparseCooTensorWithDimsAndTensorsBackward0") -> Any:
    """The sparse tensor of values, with its derivative."""
    made = make(pattern, values.detach() if values.requires_grad else values)
    return recorded(label, made, (values, lambda g: picked(g, pattern)))


def elements(pattern: Pattern, values: Tensor) -> Tensor:
    """The values element by element: (count, *dense sizes)."""
    shape = (pattern.count, *pattern.dense_size)
    return values if values.shape == shape else ops.reshape(values, shape)


def from_elements(pattern: Pattern, values: Tensor) -> Tensor:
    """The opposite of `elements`."""
    shape = pattern.values_shape
    return values if values.shape == shape else ops.reshape(values, shape)


def picked(x: Any, pattern: Pattern) -> Tensor:
    """The values that a tensor, sparse or dense, has at the places of a pattern."""
    if not is_sparse(x):
        rows = ops.reshape(x, (-1, *pattern.dense_size))
        return from_elements(pattern, ops.index_select(rows, 0, pattern.flat_index))
    if x.pattern.same(pattern):
        return values_of(x)
    x = in_order(x)
    have = x.pattern.flat
    spot = np.searchsorted(have, pattern.flat)
    spot[spot == len(have)] = 0
    found = have[spot] == pattern.flat if len(have) else np.zeros(len(pattern.flat), bool)
    v = elements(x.pattern, values_of(x))
    if len(have) == 0:
        v = ops.zeros((1, *pattern.dense_size), dtype=x.dtype)
    taken = ops.index_select(v, 0, from_array(spot))
    if not found.all():
        taken = taken * from_array(found.reshape(-1, *[1] * (taken.ndim - 1)))
    return from_elements(pattern, taken)


def in_order(x: Any) -> Any:
    """A sparse tensor in COO with its elements sorted, each once; with a derivative by values."""
    pattern, order, target = x.pattern.ordered
    if pattern is x.pattern:
        return x
    v = elements(x.pattern, values_of(x))
    if order is not None:
        v = ops.index_select(v, 0, order)
    if target is not None:
        v = ops.index_add(ops.zeros((pattern.nnz, *v.shape[1:]), dtype=v.dtype), 0, target, v)
    return build(pattern, v, "CoalesceBackward0")


def linear(label: str, xs: Any, composite: Callable[..., Any], dense: Callable[..., Tensor]) -> Any:
    """`composite(*xs)`, a function of sparse tensors that is linear in them; `xs` may be a single one.

    `dense` is the same function of dense tensors: it says what a dense gradient becomes. A sparse one
    becomes one with the pattern of each, by the derivatives of `composite`.
    """
    inputs = xs if isinstance(xs, (list, tuple)) else (xs,)
    with no_grad():
        result = composite(*inputs)
    if not follows(*inputs):
        return result
    seen = [(x.pattern, x.dtype) for x in inputs]

    def transposed(place: int, g: Any) -> Any:
        sparse = is_sparse(g)
        with enable_grad():
            sources = [
                ops.zeros(pattern.values_shape if sparse else pattern.size, dtype=dtype)
                for pattern, dtype in seen
            ]
            sources[place].requires_grad_()
            if sparse:
                image = composite(*(build(p, v) for (p, _), v in zip(seen, sources, strict=True)))
            else:
                image = dense(*sources)
        source = sources[place]
        (found,) = _engine.gradients_between([image], [source], [g], True, grad_enabled())
        if found is None:
            found = ops.zeros(source.shape, dtype=source.dtype)
        return build(seen[place][0], found) if sparse else found

    return recorded(label, result, *((x, partial(transposed, i)) for i, x in enumerate(inputs)))


def turned(label: str, x: Any, composite: Callable[[Any], Any], back: Callable[[Any], Any]) -> Any:
    """`composite(x)`, linear in a sparse tensor: `back` is its transpose, for gradients of any layout."""
    with no_grad():
        result = composite(x)
    return recorded(label, result, (x, back))


def by_values(label: str, x: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """A function of each element by itself that is zero at zero, for the elements that are stored."""
    if not x.pattern.coalesced:
        x = in_order(x)
    return build(x.pattern, function(values_of(x)), label)


# ---------------------------------------------------------------------------------- dispatch


@implements("backward")
def _backward(
    self: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    if gradient is None:
        raise RuntimeError("grad can be implicitly created only for scalar outputs")
    edge = _engine.gradient_edge(self)
    if edge is None:
        raise RuntimeError("element 0 of tensors does not require grad and does not have a grad_fn")
    targets = None
    if inputs is not None:
        targets = [_engine.gradient_edge(x) for x in ((inputs,) if isinstance(inputs, Tensor) else inputs)]
    keep = create_graph if retain_graph is None else retain_graph
    _engine.run_backward([edge], [gradient], bool(keep), create_graph, targets, accumulate=True)


def dispatched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An op with a sparse argument."""
    out = kwargs.pop("out", None)
    name = str(SPECIAL.get(func) or getattr(func, "__name__", ""))
    if out is IN_PLACE and f"{name}_" in IMPLEMENTED:  # by an operator, such as +=
        name, out = f"{name}_", None
    elif name not in IMPLEMENTED and name.endswith("_"):
        name, out = name[:-1], IN_PLACE
    if name not in IMPLEMENTED:
        raise unsupported(name, *args, *kwargs.values())
    for own in ("input", "self"):
        if own in kwargs:
            args = (kwargs.pop(own), *args)
    if out is None:
        return IMPLEMENTED[name](*args, **kwargs)
    target = args[0] if out is IN_PLACE else out
    _engine.check_inplace(target)
    result = IMPLEMENTED[name](*args, **kwargs)
    return take_over(target, result) if is_sparse(target) else written(target, result)


def backend_of(*args: Any) -> str:
    """What PyTorch calls the place where the sparse tensors among some arguments live."""
    found = [x for arg in args for x in (arg if isinstance(arg, (list, tuple)) else (arg,)) if is_sparse(x)]
    return "SparseCPU" if all(x.layout is sparse_coo for x in found) else "SparseCsrCPU"


def unsupported(name: str, *args: Any) -> NotImplementedError:
    """The error for an op that sparse tensors have not."""
    return not_run(name, backend_of(*args))


def not_run(name: str, backend: str) -> NotImplementedError:
    """PyTorch's error for an op that tensors of some kind have not."""
    return NotImplementedError(
        f"Could not run 'aten::{name}' with arguments from the '{backend}' backend. This could be because "
        "the operator doesn't exist for this backend, or was omitted during the selective/custom build "
        "process (if using custom build)."
    )


def take_over(x: Any, result: Any) -> Any:
    """Makes a sparse tensor what another is, history and all: a write in place."""
    if not is_sparse(result):
        raise RuntimeError(
            f"copy_() between dense and sparse Tensors is not implemented! Found self type = {x.type()} and "
            f"src type = {result.type()}"
        )
    if result is not x:
        if result.dtype is not x.dtype:
            result = ops.to(result, x.dtype)
        if x.shape != result.shape:
            _engine.set_array(x, result._layout)
        x.pattern, x.numbers = result.pattern, result.numbers
        if result.grad_fn is not None:
            _engine.set_outputs(result.grad_fn, (x,))
    _engine.bump_version(x)
    return x


def written(x: Tensor, result: Any) -> Tensor:
    """Writes a result into a dense tensor."""
    return x.copy_(ops.to_dense(result) if is_sparse(result) else result)


def only_element(x: Any) -> Tensor:
    """The element of a sparse tensor that has one, as a dense tensor."""
    if x.numel() != 1:
        if x.numel() == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        raise RuntimeError(f"a Tensor with {x.numel()} elements cannot be converted to Scalar")
    return x.numbers.sum()
