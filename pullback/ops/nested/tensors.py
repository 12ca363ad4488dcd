"""A nested tensor of layout jagged: tensors that differ in one size, one after the other in one dense tensor.

    values    (*, sum of the sizes, *): the tensors joined along the ragged dim
    offsets   (batch + 1,): where each begins, and the last ends
    lengths   (batch,) or None: how many are used of each, where not all are

Like a sparse tensor it has no numbers of its own, a place of its own in the graph, and two nodes that lead to
its values and back (`values_of`, `build`); what ops do with it stands in `IMPLEMENTED`. Tensors that have the
same `Ragged` differ in the same way, so they can be added; its `size` stands for the size that is none.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import IN_PLACE, Tensor, from_array, grad_enabled, make_subclass
from pullback.core.dtypes import Size, int64, jagged
from pullback.ops.shared.batches import has_samples
from pullback.ops.shared.kinds import elementwise_ops, entering, take_numbers

IMPLEMENTED: dict[str, Callable[..., Any]] = {}
"""What ops do where an argument is nested, by their names."""

ON_VALUES: set[str] = set()
"""Functions that are not single ops and do to a nested tensor what they do to its values."""


implements = entering(IMPLEMENTED)
"""A decorator: the function is what ops of some names do with nested arguments."""


class RaggedSize:
    """Stands in a shape for a size that differs: equal to itself alone."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self.number = next(self._numbers)

    def __repr__(self) -> str:
        return f"j{self.number}"

    def __bool__(self) -> bool:
        return True

    def _known(self, other: Any, least: bool) -> bool:
        if isinstance(other, int) and other < 2:
            return least
        raise ValueError("ge: relation is indeterminate")

    def __gt__(self, other: Any) -> bool:
        return self._known(other, True)

    __ge__ = __gt__

    def __lt__(self, other: Any) -> bool:
        return self._known(other, False)

    __le__ = __lt__


class Ragged:
    """How the tensors of a batch differ: where each begins, and how long it is."""

    __slots__ = ("lengths", "longest", "offsets", "shortest", "size")

    def __init__(self, offsets: Tensor, lengths: Tensor | None = None) -> None:
        self.offsets, self.lengths, self.size = offsets, lengths, RaggedSize()
        counts = self.counts()
        self.longest, self.shortest = (int(counts.max()), int(counts.min())) if len(counts) else (0, 0)

    @property
    def batch(self) -> int:
        """The number of tensors."""
        return self.offsets.shape[0] - 1

    def counts(self) -> Any:
        """The size of each."""
        return np.diff(self.offsets._array) if self.lengths is None else self.lengths._array

    def index(self) -> Tensor:
        """The place of each element of the padded tensor's ragged dim among the values, row by row."""
        begins, counts = self.offsets._array[:-1], self.counts()
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return from_array(np.repeat(begins, counts) + within)

    def padded_index(self) -> Tensor:
        """The place in the padded tensor, (batch * longest,), of each element that is used."""
        counts = self.counts()
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return from_array(np.repeat(np.arange(self.batch) * self.longest, counts) + within)

    def segments(self) -> Tensor:
        """The tensor that each element which is used belongs to."""
        return from_array(np.repeat(np.arange(self.batch), self.counts()))


class NestedTensor(Tensor):
    """Tensors that differ in one size, in layout jagged."""

    __slots__ = ("numbers", "ragged", "ragged_dim")

    numbers: Tensor
    ragged: Ragged
    ragged_dim: int
    plain_passes = True  # the backward pass takes it as any tensor
    is_nested = property(lambda self: True, doc="Always True.")
    layout = property(lambda self: jagged, doc="Always `torch.jagged`.")

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not all(issubclass(kind, NestedTensor) for kind in types):
            return NotImplemented
        return dispatched(func, args, dict(kwargs or {}))

    def _sizes(self) -> Any:
        sizes: list[Any] = list(self.numbers.shape)
        sizes[self.ragged_dim - 1] = self.ragged.size
        return tuple.__new__(Size, (self.ragged.batch, *sizes))

    shape: Any = property(_sizes, doc="The sizes; that of the ragged dim stands for many.")

    def _no_storage(self, *args: Any) -> Any:
        raise RuntimeError(".numpy() is not supported for tensor subclasses.")

    _array: Any = property(_no_storage, doc="A nested tensor has no array of its own.")
    numpy: Any = _no_storage
    __array__: Any = _no_storage
    data_ptr = storage = untyped_storage = _no_storage

    def tolist(self) -> Any:
        raise RuntimeError(".tolist() is not supported for tensor subclasses, got NestedTensor")

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def values(self) -> Tensor:
        """The tensors joined along the ragged dim, with their gradient."""
        v = values_of(self)
        return v if v is not self.numbers else v.detach()

    def offsets(self) -> Tensor:
        """Where each tensor begins in `values()`, and the last one ends."""
        return self.ragged.offsets

    def lengths(self) -> Tensor | None:
        """How many elements of each are used; None for all."""
        return self.ragged.lengths

    _values: Any = property(attrgetter("numbers"), doc="The values without history.")

    @property
    def _offsets(self) -> Tensor:
        return self.ragged.offsets

    @property
    def _lengths(self) -> Tensor | None:
        return self.ragged.lengths

    @property
    def _ragged_idx(self) -> int:
        return self.ragged_dim

    @property
    def _max_seqlen(self) -> int:
        return self.ragged.longest

    @property
    def _min_seqlen(self) -> int:
        return self.ragged.shortest

    def _get_max_seqlen(self) -> int:
        return self.ragged.longest

    def _get_min_seqlen(self) -> int:
        return self.ragged.shortest

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return self.ragged.lengths is None and self.numbers.is_contiguous()

    def __iter__(self) -> Any:
        return iter(ops.unbind(self))

    def __len__(self) -> int:
        return self.ragged.batch

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        history = ""
        if self.grad_fn is not None:
            history = f", grad_fn={self.grad_fn}"
        elif self.requires_grad:
            history = ", requires_grad=True"
        size, offsets = tuple(self.shape), self.ragged.offsets
        return f"NestedTensor({size=}, {offsets=}{history}, contiguous={self.is_contiguous()})"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce_ex__(self, protocol: Any) -> Any:
        parts: dict[str, Any] = {
            "values": self.numbers.detach(),
            "offsets": self.ragged.offsets,
            "lengths": self.ragged.lengths,
            "_ragged_idx": self.ragged_dim,
            "_metadata_cache": {},
            "requires_grad": self.requires_grad,
        }
        return _rebuild_njt, (parts,)

    def __setstate__(self, state: Any) -> None:
        """What PyTorch's has besides its parts is found anew."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) not in memo:
            made = make(self.ragged, self.ragged_dim, self.numbers.detach().clone())
            memo[id(self)] = made.requires_grad_(self.requires_grad)
            if self.grad is not None:
                made.grad = copy.deepcopy(self.grad, memo)
        return memo[id(self)]


def _rebuild_njt(parts: Any) -> Any:
    """The nested tensor of a pickle; TypeError or RuntimeError for parts that make none."""
    values, offsets, lengths = (parts.get(name) for name in ("values", "offsets", "lengths"))
    dim = parts.get("_ragged_idx")
    if not (type(values) is type(offsets) is Tensor and type(dim) is int and 0 < dim <= values.ndim):
        raise TypeError("these are not the parts of a nested tensor")
    room = _steps_up("offsets", offsets, 0, values.shape[dim - 1])
    if lengths is not None and not (type(lengths) is Tensor and lengths.shape == room.shape):
        raise TypeError("a nested tensor has a length for each tensor, or none")
    if lengths is not None and (lengths.dtype is not int64 or (lengths._array > room).any()):
        raise RuntimeError("the lengths of a nested tensor exceed its offsets")
    made = make(Ragged(offsets, lengths), dim, values)
    return made.requires_grad_(parts.get("requires_grad") is True)


def _steps_up(name: str, places: Tensor, least: int, most: int) -> Any:
    """The differences of places that ascend from at least one number to at most another."""
    if places.dtype is not int64 or places.ndim != 1 or not len(places):
        raise TypeError(f"the {name} of a nested tensor are a tensor of int64 with one dim")
    steps = np.diff(places._array)
    if places._array[0] < least or places._array[-1] > most or (steps < 0).any():
        raise RuntimeError(f"the {name} of a nested tensor do not fit its values")
    return steps


class _DimRange:
    """What PyTorch notes of a size of a tensor that lies in a nested one. It says nothing here."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def is_nested(x: Any) -> bool:
    """Whether something is a nested tensor of layout jagged."""
    return isinstance(x, NestedTensor)


def nested(x: Any) -> Any:
    """A tensor that is known to be nested, for what reads annotations."""
    return x


def make(ragged: Ragged, dim: int, numbers: Tensor) -> Any:
    """The nested tensor of values without history; its payload has the shape of the padded tensor."""
    size = list(numbers.shape)
    size[dim - 1] = ragged.longest
    kind = numbers._layout.dtype
    none = np.full((), np.nan if kind.kind in "fc" else 0).astype(kind)
    array = np.ndarray((ragged.batch, *size), kind, none, 0, (0,) * (len(size) + 1))
    _engine.unrecordable("a nested tensor")
    made = make_subclass(NestedTensor, from_array(array))
    made.ragged, made.ragged_dim, made.numbers = ragged, dim, numbers
    return made


# ----------------------------------------------------------------------------------- history


def _recorded(label: str, result: Any, x: Any, rule: Callable[[Any], Any]) -> Any:
    if has_samples(x):
        raise RuntimeError("vmap: nested tensors that depend on samples have no gradients")

    def run(node: Any, grads: Sequence[Any]) -> list[Any]:
        return [None if g is None else rule(g) for g in grads]

    _engine.custom_node(run, label, (x,), (result,))
    return result


def values_of(x: Any) -> Tensor:
    """The values of a nested tensor, with their derivative."""
    if not (grad_enabled() and x.requires_grad):
        return x.numbers
    ragged, dim = x.ragged, x.ragged_dim
    return _recorded("NestedGetValuesBackward0", _engine.alias(x.numbers), x, lambda g: build(ragged, dim, g))


def build(ragged: Ragged, dim: int, values: Tensor) -> Any:
    """The nested tensor of values, with its derivative; its node is called as that of the values."""
    if not (grad_enabled() and values.requires_grad):
        return make(ragged, dim, values)
    made = make(ragged, dim, values.detach())
    label = "NestedViewFromBufferBackward0" if values.grad_fn is None else type(values.grad_fn).__name__
    return _recorded(label, made, values, values_of)


def like(x: Any, values: Tensor) -> Any:
    """The nested tensor of other values in the places of a nested tensor's."""
    return build(x.ragged, x.ragged_dim, values)


# ---------------------------------------------------------------------------------- dispatch


def dispatched(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An op with a nested argument."""
    out = kwargs.pop("out", None)
    name = str(getattr(func, "__name__", ""))
    if "input" in kwargs and name != "embedding":
        args = (kwargs.pop("input"), *args)
    known = IMPLEMENTED.get(name)
    if known is None and name.endswith("_") and (name[:-1] in ON_VALUES or getattr(func, "in_place", False)):
        out, func = IN_PLACE, getattr(ops, name[:-1], func)
        known = IMPLEMENTED.get(name[:-1])
    if known is not None:
        result = known(*args, **kwargs)
    elif name in ON_VALUES or out is IN_PLACE or getattr(func, "__wrapped__", func) in elementwise_ops():
        result = pointwise(func, args, kwargs)
    else:
        raise NotImplementedError(f"aten.{name}.default")
    if out is None:
        return result
    return take_numbers(args[0] if out is IN_PLACE else out, result)


def pointwise(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function of each element by itself, of the values."""
    first: Any = next(x for x in (*args, *kwargs.values()) if is_nested(x))

    def of(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        if not is_nested(x):
            return spread(first, x)
        own = nested(x)
        if own.ragged.size is not first.ragged.size or own.ragged_dim != first.ragged_dim:
            shapes = " and ".join(str(tuple(t.shape)) for t in (first, x))
            raise RuntimeError(
                f"cannot call binary pointwise function {func.__name__}.Tensor with inputs of shapes {shapes}"
            )
        return values_of(x)

    return like(first, func(*map(of, args), **{name: of(x) for name, x in kwargs.items()}))


def spread(x: Any, dense: Tensor) -> Tensor:
    """A dense tensor that broadcasts with a nested one, as it broadcasts with the values."""
    if dense.ndim < x.ndim:
        if dense.ndim >= x.ndim - x.ragged_dim and dense.shape[dense.ndim - (x.ndim - x.ragged_dim)] != 1:
            shapes = f"{tuple(x.shape)} and {tuple(dense.shape)}"
            raise RuntimeError(f"cannot call binary pointwise function with inputs of shapes {shapes}")
        return dense
    ragged, dim = x.ragged, x.ragged_dim
    if dense.shape[dim] == 1:
        if dense.shape[0] == 1:
            return ops.squeeze(dense, 0)
        rows = ops.squeeze(dense, dim)
        picked = ops.index_select(rows, 0, ragged.segments())
        return ops.movedim(picked, 0, dim - 1)
    return packed(ops.expand(dense, (ragged.batch, *dense.shape[1:])), ragged, dim)


def packed(padded: Tensor, ragged: Ragged, dim: int) -> Tensor:
    """The elements of a padded tensor (batch, ...) that belong to the tensors of a batch, joined."""
    lined = ops.movedim(padded, dim, 1)
    flat = ops.reshape(lined, (lined.shape[0] * lined.shape[1], *lined.shape[2:]))
    places = ragged.padded_index()
    if lined.shape[1] != ragged.longest:
        places = places + ragged.segments() * (lined.shape[1] - ragged.longest)
    return ops.movedim(ops.index_select(flat, 0, places), 0, dim - 1).contiguous()


def padded(x: Any, fill: Any) -> Tensor:
    """The dense tensor of a nested one, with `fill` where a tensor has no elements."""
    ragged, dim = x.ragged, x.ragged_dim
    v = ops.movedim(values_of(x), dim - 1, 0)
    if ragged.lengths is not None:
        v = ops.index_select(v, 0, ragged.index())
    room = ops.full((ragged.batch * ragged.longest, *v.shape[1:]), fill, dtype=x.dtype)
    flat = ops.index_copy(room, 0, ragged.padded_index(), v)
    return ops.movedim(ops.reshape(flat, (ragged.batch, ragged.longest, *v.shape[1:])), 1, dim)
