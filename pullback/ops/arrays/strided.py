"""Views by strides and by reinterpretation, and what a tensor's own memory is: detach, resize_.

`as_strided` shows any elements of a memory in any order, some several times. Its gradient, and the
engine's for every view whose base was written to, is `strided_put`: the gradient is added up in a
buffer laid out as that memory, from which the input's part is read. Numbers of places in memory count
elements from the input's first; only the public `as_strided` counts from the start of the storage.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback.core import _engine
from pullback.core._engine import Op, Tensor, detach_inplace, from_array, move_to, restructure
from pullback.core._loops import strided
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import contiguous_format, float16, float32, float64, memory_format, preserve_format
from pullback.core.dtypes import dtype as Dtype
from pullback.core.meta import meta_array
from pullback.core.op import SURFACE, function, op
from pullback.core.strides import (
    contiguous_strides,
    ends_in,
    format_of,
    has_format,
    is_dense,
    preserved_strides,
    resized,
    storage_of,
    strided_array,
    strides_for,
    strides_of,
)
from pullback.core.types import Array
from pullback.ops.shared.batches import has_samples
from pullback.ops.shared.dims import one_or_many
from pullback.ops.shared.pieces import (
    Pieces,
    assembled,
    outline_of,
    part_of,
    pieces_plan,
    plan_by,
    plan_scatter,
)

# ---------------------------------------------------------------------------------- as_strided


@op(name="as_strided", places="", view=True, written_name="AsStridedBackward1")
def _as_strided(
    self: Spec, size: tuple[int, ...], stride: tuple[int, ...], offset: int, strides: tuple[int, ...]
) -> Spec:
    """The elements at `offset` plus multiples of `stride` in the memory of `self`.

    `strides` are those of `self`, which its gradient depends on.
    """
    return self.seen(size, [step * self.itemsize for step in stride], offset * self.itemsize)


def _as_strided_slope(g: Any, self_shape: Any, size: Any, stride: Any, offset: Any, strides: Any) -> Any:
    return strided_put(g, self_shape, strides, size, stride, offset)


_as_strided.vjp(self=_as_strided_slope)


def _ends(layouts: Any) -> tuple[int, int]:
    """The first and the last place of memory that layouts (shape, strides, offset) reach, and 0."""
    low = min(0, *(offset for _, _, offset in layouts))
    high = max(
        offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        for shape, steps, offset in layouts
    )
    return low, high


def _buffer(dtype: Any, layouts: Any) -> tuple[Any, int]:
    """Zeros to hold arrays of these layouts (shape, strides, offset); and where offset 0 is there."""
    low, high = _ends(layouts)
    return np.zeros(max(high - low + 1, 0), dtype), -low


def _add_to(buffer: Any, layout: Any, values: Any) -> None:
    """Adds values to the places of a layout in a buffer; places that stand there twice get both."""
    shape, steps, offset = layout
    seen = strided(buffer, shape, steps, offset)
    if _disjoint(shape, steps):
        seen += values
    else:
        positions = strided(np.arange(len(buffer)), shape, steps, offset)
        np.add.at(buffer, positions.ravel(), np.broadcast_to(values, shape).ravel())


def _disjoint(shape: Any, steps: Any) -> bool:
    """Whether no two elements of a layout are surely the same."""
    reach = 0
    for n, step in sorted(
        ((n, s) for n, s in zip(shape, steps, strict=True) if n > 1), key=lambda pair: pair[1]
    ):
        if step <= reach:
            return False
        reach += step * (n - 1)
    return True


def _counts(shape: Any, strides: Any) -> Any:
    """How often the memory behind each element of such an array is shown; None if once."""
    if _disjoint(shape, strides):
        return None
    counts, start = _buffer(np.int64, [(shape, strides, 0)])
    _add_to(counts, (shape, strides, start), 1)
    return strided(counts, shape, strides, start)


def _strided_map(x: Any, read: Any, write: Any) -> Any:
    """`x` added to a buffer in the layout `write`, read in the layout `read`."""
    buffer, start = _buffer(x.dtype, [read, write])
    _add_to(buffer, (*write[:2], write[2] + start), x)
    shape, strides, offset = read
    return strided(buffer, shape, strides, offset + start)


@op(places="", moves=True, linear=True, grad_name="AsStridedBackward0")
def strided_put(
    self: Array,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    size: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int,
) -> Array:
    """The gradient of `as_strided`: what was seen, added up where it was seen."""
    whole = _strided_map(self, (tuple(shape), tuple(strides), 0), (tuple(size), tuple(stride), offset))
    counts = _counts(tuple(shape), tuple(strides))
    return whole.copy(order="K") if counts is None else (whole / counts).astype(self.dtype)


@strided_put.prepare
def _plan_strided_put(self: Spec, shape: Any, strides: Any, size: Any, stride: Any, offset: int) -> Plan:
    result = Spec(self.dtype, tuple(shape))
    low, high = _ends([(size, stride, offset)])
    inside = low >= 0 and high < result.size and _disjoint(size, stride)
    if not inside or tuple(strides) != contiguous_strides(shape) or self.shape != tuple(size):
        return Plan(result)
    steps = [step * self.itemsize for step in stride]
    part = result.seen(size, steps, offset * self.itemsize)
    return pieces_plan(result, Pieces(result.shape, [(lambda _: part_of(part), outline_of(self, 0))], 0))


@op(places="", moves=True, linear=True, grad_name="AsStridedBackward0")
def strided_take(
    self: Array, strides: tuple[int, ...], size: tuple[int, ...], stride: tuple[int, ...], offset: int
) -> Array:
    """`as_strided` of numbers that may lie otherwise in memory than `strides` says."""
    if self.flags.c_contiguous and strides_of(self) == tuple(strides):
        low, high = _ends([(size, stride, offset)])
        if low >= 0 and high < self.size:
            return strided(self, tuple(size), tuple(stride), offset).copy()
    counts = _counts(self.shape, tuple(strides))
    values = self if counts is None else (self / counts).astype(self.dtype)
    return _strided_map(values, (tuple(size), tuple(stride), offset), (self.shape, tuple(strides), 0)).copy()


@strided_take.meta
def _strided_take_shape(self: Array, strides: Any, size: Any, stride: Any, offset: int) -> Array:
    return meta_array(size, self.dtype)


strided_put.vjp(self=lambda g, strides, size, stride, offset: strided_take(g, strides, size, stride, offset))
strided_take.vjp(
    self=lambda g, self_shape, strides, size, stride, offset: strided_put(
        g, self_shape, strides, size, stride, offset
    )
)


@_as_strided.jvp
def _as_strided_tangent(self: Any, size: Any, stride: Any, offset: Any, strides: Any) -> Any:
    return strided_take(self, strides, size, stride, offset)


@_as_strided.batch
def _as_strided_batch(
    level: Any, op: Op, self: Any, size: Any, stride: Any, offset: int, strides: Any
) -> Any:
    own = strides_of(self.physical._layout)
    return level.wrap(op(self.physical, (level.size, *size), (own[0], *stride), offset, own))


def _reach(*layouts: tuple[Any, Any, int]) -> int:
    """How many places of memory one sample needs, whose memory is laid behind the last one's."""
    low, high = _ends(layouts)
    return high - low + 1


@strided_put.batch
def _strided_put_batch(
    level: Any, op: Op, self: Any, shape: Any, strides: Any, size: Any, stride: Any, offset: int
) -> Any:
    """The memories of all samples in a row."""
    step, n = _reach((shape, strides, 0), (size, stride, offset)), level.size
    layouts = (n, *shape), (step, *strides), (n, *size), (step, *stride)
    return level.wrap(op(self.physical, *layouts, offset))


@strided_take.batch
def _strided_take_batch(
    level: Any, op: Op, self: Any, strides: Any, size: Any, stride: Any, offset: int
) -> Any:
    step = _reach((self.shape, strides, 0), (size, stride, offset))
    layouts = (step, *strides), (level.size, *size), (step, *stride)
    return level.wrap(op(self.physical, *layouts, offset))


def _check_sample(sample: Tensor, size: Any, stride: Any, offset: int) -> None:
    """RuntimeError if elements `offset` after the first of one sample, and on, lie beyond its own: other
    samples lie there, or nothing."""
    array = sample._layout
    if 0 in size:
        return
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    end = sum((n - 1) * step for n, step in zip(array.shape, strides_of(array), strict=True))
    if offset < 0 or last > end or 0 in array.shape:
        here = storage_of(array)[1]
        raise RuntimeError(
            f"result = tensor.as_strided({list(size)}, {list(stride)}, {here + offset}) can access memory "
            f"outside of `tensor`. `result` can access some memory in range [{here + offset}, "
            f"{here + last + 1}], but `tensor` can only access some memory in range [{here}, "
            f"{here + end + 1}]. This is not supported inside of vmap, please try to rewrite the "
            "`as_strided` call as a sequence of PyTorch view operations"
        )


def _strided_window(input: Tensor, size: Any, stride: Any, storage_offset: int | None) -> tuple[Any, ...]:
    """The checked arguments of `_as_strided` after the tensor."""
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError("mismatch in length of strides and shape")
    if min(stride, default=0) < 0:
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}"
        )
    if min(size, default=0) < 0:
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(size)} and strides={list(stride)}"
        )
    array = input._layout
    root, here = storage_of(array)
    start = here if storage_offset is None else storage_offset
    if start < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {start}")
    need = start + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if has_samples(input):
        _check_sample(input, size, stride, start - here)
    elif math.prod(size) and not ends_in(array, root, need):
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and "
            f"itemsize {array.itemsize} requiring a storage size of {need * array.itemsize} are out "
            f"of bounds for storage of size {root.nbytes}"
        )
    return size, stride, start - here, strides_of(array)


@function(quick=("window", _as_strided))
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the input's storage with any shape and strides, from `storage_offset` on.

    RuntimeError where it would leave the storage. The gradient sums what shows an element twice.

    >>> import pullback as torch
    >>> torch.arange(5).as_strided((2, 3), (2, 1))
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    return _as_strided(input, *_strided_window(input, size, stride, storage_offset))


@function(places="tm")
def as_strided_(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """`as_strided` of this tensor itself, which is returned."""
    return restructure(_as_strided, input, *_strided_window(input, size, stride, storage_offset))


@op(name="as_strided_scatter", places="", moves=True, linear=True, piecewise=True)
def _as_strided_scatter(
    self: Array,
    src: Array,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    offset: int,
    strides: tuple[int, ...],
) -> Array:
    """A copy of `self`, which lies as `strides` says, with `src` written to a window."""
    shape = self.shape
    buffer, start = _buffer(self.dtype, [(shape, strides, 0), (size, stride, offset)])
    whole = strided(buffer, shape, strides, start)
    whole[...] = self
    strided(buffer, size, stride, start + offset)[...] = src
    return whole


@_as_strided_scatter.prepare
def _plan_as_strided_scatter(
    self: Spec, src: Spec, size: Any, stride: Any, offset: int, strides: tuple[int, ...]
) -> Plan:
    np.broadcast_to(outline_of(src), size)
    low, high = _ends([(size, stride, offset)])
    inside = strides == self.steps and low >= 0 and high < self.size and _disjoint(size, stride)
    steps = tuple([step * self.itemsize for step in stride])
    return plan_scatter(self, src, self.seen(size, steps, offset * self.itemsize), inside)


_as_strided_scatter.vjp(
    self=lambda g, size, stride, offset, strides: _as_strided_scatter(
        g, ops.zeros_like(strided_take(g, strides, size, stride, offset)), size, stride, offset, strides
    ),
    src=lambda g, size, stride, offset, strides: strided_take(g, strides, size, stride, offset),
)


@_as_strided_scatter.batch
def _as_strided_scatter_batch(
    level: Any, op: Op, self: Any, src: Any, size: Any, stride: Any, offset: int, strides: Any
) -> Any:
    step = _reach((self.shape, strides, 0), (size, stride, offset))
    layouts = (level.size, *size), (step, *stride), offset, (step, *strides)
    return level.wrap(op(level.front(self), level.front(src), *layouts))


@function()
def as_strided_scatter(
    input: Tensor, src: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A copy of `input` with `src` in the place that `as_strided` shows.

    >>> import pullback as torch
    >>> torch.as_strided_scatter(torch.zeros(4), torch.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    return _as_strided_scatter(input, src, *_strided_window(input, size, stride, storage_offset))


# ---------------------------------------------------------------------------- other number types


@op(places="", view=True, nondiff=True, batch="leading")
def view_dtype(self: Spec, dtype: Dtype) -> Spec:
    """The bytes of `self` as numbers of another type; the last dimension grows or shrinks."""
    old, new = self.dtype, dtype
    ratio = new.itemsize / old.itemsize
    if ratio != 1:
        fault = _size_fault(self, ratio)
        if fault:
            raise RuntimeError(
                f"self.{fault} to view {old.type_name} as {new.type_name} (different element sizes)"
                + _size_detail(self, ratio, fault)
            )
    shape, strides = list(self.shape), list(self.strides)
    if ratio != 1:
        shape[-1], strides[-1] = shape[-1] * old.itemsize // new.itemsize, new.itemsize
    return self.seen(shape, strides, dtype=new)


def view_as_dtype(input: Tensor, dtype: Dtype) -> Tensor:
    """`view_dtype`, where the memory begins at a multiple of the new type's size."""
    result = view_dtype(input, dtype)
    ratio = dtype.itemsize // input.dtype.itemsize
    here = storage_of(input._layout)[1]
    if ratio > 1 and here % ratio:
        raise RuntimeError(
            f"self.storage_offset() must be divisible by {ratio} to view {input.dtype.type_name} as "
            f"{dtype.type_name} (different element sizes), but got {here}"
        )
    return result


def _size_fault(self: Spec, ratio: float) -> str | None:
    """What keeps a tensor from being seen as elements `ratio` times as large."""
    if not self.ndim:
        return "dim() cannot be 0"
    if self.steps[-1] != 1:
        return "stride(-1) must be 1"
    if ratio > 1 and self.shape[-1] % ratio:
        return f"size(-1) must be divisible by {int(ratio)}"
    for d, step in enumerate(self.steps[:-1]):
        if ratio > 1 and step % ratio:
            return f"stride({d}) must be divisible by {int(ratio)}"
    return None


def _size_detail(self: Spec, ratio: float, fault: str) -> str:
    if fault.startswith("stride"):
        return f", but got {self.steps[int(fault[7 : fault.index(')')])]}"
    return f", but got {self.shape[-1]}" if fault.startswith("size") else ""


@op(view=True, linear=True, batch="leading")
def view_as_real(self: Spec) -> Spec:
    """A complex tensor as real and imaginary parts along a new last dimension of size 2: a view.

    RuntimeError for real tensors. The gradient is read as complex numbers again.

    >>> import pullback as torch
    >>> torch.view_as_real(torch.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if self.dtype.kind != "c":
        raise RuntimeError("view_as_real is only supported for complex tensors")
    kind = self.dtype.to_real()
    return self.seen((*self.shape, 2), (*self.strides, kind.itemsize), dtype=kind)


@op(name="view_as_complex", places="", view=True, linear=True, batch="leading")
def _view_as_complex(self: Spec) -> Spec:
    """Pairs of real numbers as complex ones."""
    if self.dtype not in (float16, float32, float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, "
            f"but got a tensor of scalar type: {self.dtype.type_name}"
        )
    if not self.ndim:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if self.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if self.steps[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(step % 2 for step in self.steps[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return self.seen(self.shape[:-1], self.strides[:-1], dtype=self.dtype.to_complex())


_view_as_complex.vjp(self=lambda g: view_as_real(g))
view_as_real.vjp(self=lambda g: _view_as_complex(ops.contiguous(g)))  # at any offset, PyTorch's at even ones


@function()
def view_as_complex(input: Tensor) -> Tensor:
    """A tensor whose last dimension, of size 2, holds real and imaginary parts, as complex: a view.

    RuntimeError for other sizes, and where the pairs do not lie side by side in memory. The gradient
    is read as pairs again.

    >>> import pullback as torch
    >>> torch.view_as_complex(torch.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    result = _view_as_complex(input)
    if storage_of(input._layout)[1] % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return result


def reinterpret(base: Tensor) -> Tensor:
    """A complex tensor's memory as real numbers, a real one's as complex: what the engine's views of
    views across the two are relative to."""
    array = base._layout
    if array.dtype.kind == "c":
        return view_as_real(base)
    reach = 1 + sum((n - 1) * s for n, s in zip(array.shape, strides_of(array), strict=True))
    return view_as_complex(_as_strided(base, (reach // 2, 2), (2, 1), 0, strides_of(array)))


def reinterpreted_back(seen: Tensor, shape: tuple[int, ...], strides: tuple[int, ...]) -> Tensor:
    """The tensor of a shape and strides that `reinterpret` showed."""
    if not seen.is_complex():
        return view_as_complex(seen)
    flat = ops.reshape(view_as_real(seen), (-1,))
    return strided_take(flat, (1,), shape, strides, 0)


@op(name="select_part", places="", view=True, linear=True, grad_name="SelectBackward0", batch="leading")
def _part(self: Spec, imaginary: bool) -> Spec:
    """The real or imaginary parts of a complex tensor."""
    kind = self.dtype.to_real()
    return self.seen(self.shape, self.strides, kind.itemsize if imaginary else 0, kind)


_part.vjp(self=lambda g, imaginary: g * 1j if imaginary else g)


@function(places="t", quick=("real",))
def real(input: Tensor) -> Tensor:
    """The real parts of a complex tensor, a view; a real tensor as it is.

    >>> import pullback as torch
    >>> torch.real(torch.tensor([1 + 2j]))
    tensor([1.])
    """
    return _part(input, False) if input.dtype.is_complex else input


@function(places="t")
def imag(input: Tensor) -> Tensor:
    """The imaginary parts of a complex tensor, a view; RuntimeError for real ones.

    >>> import pullback as torch
    >>> torch.imag(torch.tensor([1 + 2j]))
    tensor([2.])
    """
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return _part(input, True)


def _write_part(name: str, get: Any) -> property:
    def put(self: Tensor, value: Any) -> None:
        get(self)[...] = value

    return property(get, put, doc=get.__doc__)


SURFACE["Tensor"]["real"] = _write_part("real", real)
SURFACE["Tensor"]["imag"] = _write_part("imag", imag)


# -------------------------------------------------------------------------- the tensor's own memory


@op(places="tm", view=True, nondiff=True, batch="leading")
def detach(self: Spec) -> Spec:
    """The same numbers outside the graph: memory and version counter are shared.

    >>> import pullback as torch
    >>> torch.ones(2, requires_grad=True).detach().requires_grad
    False
    """
    return self.seen(self.shape, self.strides)


@op(places="", view=True, linear=True, batch="leading")
def alias(self: Spec) -> Spec:
    """A view of all of `self`."""
    return self.seen(self.shape, self.strides)


alias.vjp(self="g")


def laid_copy(a: Any, kind: Any, strides: Any = None) -> Any:
    """A copy in the NumPy dtype `kind` with these strides, or with those a tensor like `a` gets."""
    if strides is None:
        if a.flags.c_contiguous:
            return a.astype(kind)
        strides = preserved_strides(a)
    copy = strided_array(a.shape, strides, kind)
    np.copyto(copy, a, casting="unsafe")
    return copy


@op(places="", linear=True, moves=True, batch="leading")
def clone(self: Array, memory_format: memory_format | None = None) -> Array:
    """A copy in memory of its own, laid out as `self` is unless a memory format is given.

    The gradient passes through unchanged.

    >>> import pullback as torch
    >>> x = torch.zeros(2); y = x.clone(); y[0] = 1.0; x
    tensor([0., 0.])
    """
    return assembled(_copied(self, memory_format), self.dtype)


def _copied(self: Array, memory_format: Any) -> Pieces:
    kept = memory_format is None or memory_format is preserve_format
    strides = preserved_strides(self) if kept else strides_for(self.shape, memory_format)
    return Pieces(self.shape, [(..., self)], strides=strides)


clone.prepare(plan_by(_copied))


clone.vjp(self="g")
function(name="clone", quick=("clone",))(clone)


@function(places="m", quick=("itself",))
def contiguous(input: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """`input` itself if its elements lie in the order of rows (or of the memory format), else a copy.

    >>> import pullback as torch
    >>> torch.zeros(2, 3).t().contiguous().stride()
    (2, 1)
    """
    if memory_format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return input if has_format(input._layout, memory_format) else clone(input, memory_format)


@function(places="m", quick=("in rows",))
def is_contiguous(input: Tensor, memory_format: Any = contiguous_format) -> bool:
    """Whether the elements lie in memory in row-major order, or in that of the memory format.

    >>> import pullback as torch
    >>> torch.ones(2, 3).t().is_contiguous()
    False
    """
    return has_format(input._layout, contiguous_format if memory_format is preserve_format else memory_format)


def clone_like_leaf(g: Tensor, leaf: Tensor) -> Tensor:
    """The numbers of a gradient without history, laid out as the leaf is if that is dense."""
    if not (_engine.is_plain_class(type(g)) and _engine.is_plain_class(type(leaf))):
        return ops.clone(g.detach())
    like = leaf._layout
    if g.device.type == "meta":
        return from_array(leaf._array, meta=True)
    if _engine.listening() is not None and like.flags.c_contiguous and g.dtype is leaf.dtype:
        return clone(g.detach(), contiguous_format)
    if like.flags.c_contiguous or not is_dense(like.shape, strides_of(like)):
        array = np.empty(like.shape, like.dtype)
    else:
        array = strided_array(like.shape, strides_of(like), like.dtype)
    np.copyto(array, g._array, casting="unsafe")
    return from_array(array)


def keep_grad(g: Tensor) -> Tensor:
    """What `retain_grad` keeps: a copy, since the pass may go on to write into `g`."""
    return clone(g)


def _resize(input: Tensor, size: tuple[int, ...], wanted: Any) -> Tensor:
    """Gives a tensor another shape, in a memory format, in its storage or in a new and larger one."""
    if input.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    if tuple(size) == tuple(input.shape) and wanted is contiguous_format:
        return input
    array = input._array
    steps = strides_for(size, wanted)
    if min(size, default=0) < 0:
        raise RuntimeError("numel: integer multiplication overflow")
    here = storage_of(array)[1]
    if (here + math.prod(size)) * array.itemsize >= 2**63:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(size)}")
    move_to(input, resized(array, tuple(size), steps))
    return input


@function(places="m")
def resize_(input: Tensor, *sizes: Any, memory_format: memory_format = contiguous_format) -> Tensor:
    """Changes the shape of the tensor itself; elements beyond its storage are undefined.

    RuntimeError if it requires a gradient.

    >>> import pullback as torch
    >>> torch.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    return _resize(input, one_or_many(sizes), memory_format)


@function(places="tm")
def resize_as_(input: Tensor, other: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """`resize_` to the shape of another tensor, whose memory format is preserved if that is wanted."""
    if memory_format is preserve_format:
        memory_format = format_of(other._layout)
    return _resize(input, tuple(other.shape), memory_format)


@function(places="tm")
def detach_(input: Tensor) -> Tensor:
    """Cuts the tensor itself from its graph; RuntimeError for a view."""
    return detach_inplace(input)
