"""Reading and writing along one dimension, each element at an index of its own: gather, scatter.

What accumulates turns its indices into flat positions (flat_indices.py) and adds in their order. Every kernel
that `writes` gets a copy of `self`, or `self` itself in place. The reductions with other rules than a
sum are in scatter_reduce.py, whole slices at an index in slices.py, masks in masks.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import IN_PLACE, REGISTRY, Op, Tensor
from pullback.core._plans import Plan, Spec
from pullback.core.dtypes import int64
from pullback.core.op import function, op
from pullback.core.strides import strided_array, strides_of
from pullback.core.types import Array, Number, Size
from pullback.ops.indexing.refusals import check_line, check_range, check_same_dtype, length, range_error
from pullback.ops.shared.at import MODULO, Refusal, plan_at, steps_of, work_steps
from pullback.ops.shared.batches import columns, rank, shifted, shifted_args
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.flat_indices import accumulate, compact, flat_indices_along, line_key
from pullback.ops.shared.pieces import plan_scatter

# ------------------------------------------------------------------------------------- gather


def leading_part(a: Any, shape: tuple[int, ...]) -> Any:
    """The leading part of an array that has the given shape."""
    return a[tuple(slice(n) for n in shape)] if a.shape != shape else a


@op(moves=True, linear=True)
def gather(self: Array, dim: int, index: Array, sparse_grad: bool = False) -> Array:
    """The elements of `self` at `index` along a dimension, and at the own place in the others.

    `index` has as many dimensions as `self` and is nowhere larger but in `dim`; RuntimeError
    otherwise, and for an index out of range. The gradient is `scatter_add` of the result's, with
    `sparse_grad` a sparse tensor of what was taken.

    >>> import pullback as torch
    >>> torch.tensor([[1, 2], [3, 4]]).gather(1, torch.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index)
    return _gathered(self, dim, index)


def _gathered(self: Array, dim: int, index: Array) -> Array:
    if not index.size:
        return np.empty(index.shape, self.dtype)
    if not self.ndim:
        return np.broadcast_to(self, index.shape).copy()
    if not index.ndim:
        return self[int(index)].copy()
    return compact(self[line_key(dim, index)])


def line_dims(addressed: Size, other: Size, dim: int, index: Spec) -> list[tuple[int, ...]]:
    """The dims that an index along a dimension goes over, for `plan_at`."""
    if 0 in index.shape:  # which may have more dims than what it addresses
        return [(n, 0, 0, 0) for n in index.shape]
    steps = zip(addressed or (0,), other or (0,), steps_of(index), strict=False)
    return [
        (n, 0 if d == dim else a, b, i)
        for d, (n, (a, b, i)) in enumerate(zip(index.shape, steps, strict=True))
    ]


def _plan_gather(self: Spec, dim: int, index: Spec, wraps: int, refuse: Refusal) -> Plan:
    result, steps = Spec(self.dtype, index.shape), steps_of(self)
    place = (length(self, dim), steps[dim] if steps else 0)
    dims = line_dims(steps, steps_of(result), dim, index)
    return plan_at(
        "take", result, dims, [(index, *place)], refuse, begins=0, inputs=2, cut=(0, 0), wraps=wraps
    )


@gather.prepare
def _prepare_gather(self: Spec, dim: int, index: Spec, sparse_grad: bool) -> Plan:
    axis = check_line("gather", self, dim, index)

    def refuse(status: int, self: Array, dim: int, index: Array, sparse_grad: bool) -> Exception:
        return range_error(self, axis, index)

    return _plan_gather(self, axis, index, 0, refuse)


def _gather_slope(g: Tensor, self_shape: Any, dim: int, index: Tensor) -> Tensor:
    return gather_sum(g, dim, index, self_shape, "ScatterAddBackward0")


def _gather_vjp(g: Tensor, self_shape: Any, dim: int, index: Tensor, sparse_grad: bool) -> Tensor:
    if sparse_grad:
        return ops.gather_sparse_backward(g, self_shape, dim, index)
    return _gather_slope(g, self_shape, dim, index)


gather.vjp(self=_gather_vjp)


@gather.jvp
def _gather_tangent(self: Any, dim: Any, index: Any, sparse_grad: Any = False) -> Any:
    return gather(self, dim, index)


@gather.batch
def _gather_batch(level: Any, op: Op, self: Any, dim: int, index: Any, sparse_grad: bool) -> Any:
    p, i = columns(level, self, index)
    result = op(p, shifted(dim, rank(self)), i, sparse_grad)
    return level.wrap(result if index.ndim else ops.squeeze(result, 1))


@op(name="take_along", places="", moves=True, linear=True, grad_name="GatherBackward0")
def _take_along(self: Array, dim: int, index: Array) -> Array:
    """`gather` with indices modulo the size."""
    dim = wrap_dim(dim, self.ndim)
    if not length(self, dim):
        check_range(self, dim, index)
    return _gathered(self, dim, _turned(index, length(self, dim)))


def _turned(index: Array, n: int) -> Array:
    """Indices modulo the size."""
    return index % n if n else index


@_take_along.prepare
def _prepare_take_along(self: Spec, dim: int, index: Spec) -> Plan:
    axis = check_line("gather", self, dim, index)

    def refuse(status: int, self: Array, dim: int, index: Array) -> Exception:
        return range_error(self, axis, index)

    return _plan_gather(self, axis, index, MODULO, refuse)


_take_along.vjp(self=_gather_slope)
_take_along.jvp(lambda self, dim, index: _take_along(self, dim, index))


@_take_along.batch
def _take_along_batch(level: Any, op: Op, self: Any, dim: int, index: Any) -> Any:
    p, i = columns(level, self, index)
    return level.wrap(op(p, shifted(dim, rank(self)), i))


@op(places="", moves=True, linear=True)
def gather_sum(self: Array, dim: int, index: Array, shape: tuple[int, ...], node: str) -> Array:
    """The gradient of `gather`: zeros of a shape, with `self` added up at `index` along a dimension.

    Tensors without that dimension have one index of it. `node` is the name of its node.
    """
    whole = np.zeros(shape, self.dtype)
    dim = wrap_dim(dim, len(shape))
    if index.ndim < len(shape):
        self, index = np.expand_dims(self, dim), np.expand_dims(index, dim)
    if index.size:
        accumulate(np.add, whole, _flat_positions(whole, dim, _turned(index, length(whole, dim))), self)
    return whole


@gather_sum.prepare
def _prepare_gather_sum(self: Spec, dim: int, index: Spec, shape: Any, node: str) -> Plan:
    axis, result = wrap_dim(dim, len(shape)), Spec(self.dtype, tuple(shape))
    if index.ndim < len(shape):
        self, index = _with_dim(self, axis), _with_dim(index, axis)
    steps = work_steps(result)
    place = (length(result, axis), steps[axis] if steps else 0)
    dims = line_dims(steps, steps_of(self), axis, index)
    return plan_at(
        "at_sum", result, dims, [(index, *place)], _checked_before, other=0, inputs=2, wraps=MODULO,
        cut=_first_but(axis, len(shape)),
    )  # fmt: skip


def _with_dim(x: Spec, dim: int) -> Spec:
    """A tensor with a dim of size one more."""
    steps = steps_of(x)
    return Spec(x.dtype, (*x.shape[:dim], 1, *x.shape[dim:]), (*steps[:dim], 0, *steps[dim:]))


def _checked_before(status: int, *values: Any) -> Exception:
    return RuntimeError("an index is out of bounds")


def _first_but(dim: int, ndim: int) -> tuple[int, int] | None:
    """The dim along which what goes to places along `dim` may be cut."""
    others = [d for d in range(ndim) if d != dim]
    return (others[0], others[0]) if others else None


def _gather_sum_rule(g: Tensor, self_shape: Any, dim: int, index: Tensor) -> Tensor:
    if index.ndim == g.ndim or not g.ndim:
        return _take_along(g, dim, index)
    return ops.reshape(_take_along(g, dim, ops.unsqueeze(index, dim)), self_shape)


gather_sum.variant = "node"
gather_sum.vjp(self=_gather_sum_rule)


@gather_sum.batch
def _gather_sum_batch(level: Any, op: Op, self: Any, dim: int, index: Any, shape: Any, node: str) -> Any:
    p, i = columns(level, self, index)
    whole = (level.size, *(shape or (1,)))
    result = op(p, shifted(dim, len(shape)), i, whole, node)
    return level.wrap(result if shape else ops.squeeze(result, 1))


@function()
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None, *, out: Any = None) -> Tensor:
    """`gather` with `input` and `indices` broadcast against each other; without `dim`, flattened.

    >>> import pullback as torch
    >>> torch.tensor([[3, 1], [2, 4]]).take_along_dim(torch.tensor([[1], [0]]), 1)
    tensor([[1],
            [2]])
    """
    if dim is None:
        return gather(ops.reshape(input, (-1,)), 0, ops.reshape(indices, (-1,)), out=out)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    if indices.dtype is not int64:
        kind = indices.dtype.type_name
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {kind}")
    dim = wrap_dim(dim, input.ndim)
    if input.shape != indices.shape:
        shapes = [list(input.shape), list(indices.shape)]
        sizes = [shapes[0][dim], shapes[1][dim]]
        shapes[0][dim] = shapes[1][dim] = 1
        common = list(ops.common_shape(*shapes))
        wide = []
        for t, n in zip((input, indices), sizes, strict=True):
            common[dim] = n
            wide.append(ops.expand(t, tuple(common)))
        input, indices = wide
    return _take_along(input, dim, indices, out=out)


# ------------------------------------------------------------------------------------- scatter


def _flat_positions(self: Any, dim: int, index: Any) -> Any:
    """Flat positions that a scatter writes to; 0-dim tensors count as vectors of one element."""
    return flat_indices_along(self.shape or (1,), dim, index if index.ndim else index.reshape(1))


def _put_line(self: Any, dim: int, index: Any, values: Any) -> Any:
    """Writes values along a dimension; of several to one place, the last stays."""
    if index.size:
        if not self.ndim or not index.ndim:
            self.reshape(-1)[index.reshape(-1)] = np.reshape(values, -1)
        else:
            self[line_key(dim, index)] = values
    return self


@op(name="scatter", places="", writes="C", piecewise=True)
def _scatter(self: Array, dim: int, index: Array, src: Array | None, value: Number) -> Array:
    """`self` with the elements of `src`, or the number `value`, at `index` along a dimension."""
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index)
    values = np.asarray(value).astype(self.dtype) if src is None else leading_part(src, index.shape)
    return _put_line(self, dim, index, values)


@_scatter.prepare
def _prepare_scatter(self: Spec, dim: int, index: Spec, src: Spec | None, value: Any) -> Plan:
    if src is None:
        ops.check_number(value, self.dtype.numpy)
    else:
        check_same_dtype("scatter", self, src)
    axis = check_line("scatter", self, dim, index, src)
    return plan_line("put", self, axis, index, src, value=0 if value is None else value)


def plan_line(run: str, self: Spec, dim: int, index: Spec, src: Spec | None, **options: Any) -> Plan:
    """The plan of what writes at an index along a dimension: arguments begin (self, dim, index, src)."""
    result = Spec(self.dtype, self.shape)
    steps = steps_of(result) if run == "put" else work_steps(result)
    place = (length(self, dim), steps[dim] if steps else 0)
    dims = line_dims(steps, steps_of(src) if src is not None else (0,) * max(index.ndim, 1), dim, index)

    def refuse(status: int, self: Array, d: int, index: Array, *rest: Any) -> Exception:
        return range_error(self, dim, index)

    other, inputs = (-1, 2) if src is None else (2, 3)
    return plan_at(
        run, result, dims, [(index, *place)], refuse, begins=0, base=self, other=other, inputs=inputs,
        cut=_first_but(dim, self.ndim) if index.ndim == self.ndim else None, **options,
    )  # fmt: skip


def _zero_at_index(g: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The gradient of what a scatter writes into: none comes from where it wrote."""
    return _scatter(g, dim, index, None, 0)


_scatter.variant = lambda saved: "ScatterBackward0" if saved["value"] is None else "ScatterBackward1"
_scatter.vjp(
    self=_zero_at_index,
    src=lambda g, dim, index, src_shape: zero_padded(gather(g, dim, index), src_shape),
)


@_scatter.jvp
def _scatter_tangent(self: Any, dim: Any, index: Any, src: Any, value: Any) -> Any:
    return _scatter(self, dim, index, src, None if value is None else 0)


def scatter_batch(level: Any, op: Op, self: Any, dim: int, index: Any, src: Any, *options: Any) -> Any:
    """The rule of all that writes to the places of an index as large as the source."""
    p, i = columns(level, self, index)
    if src is not None:
        (src,) = columns(level, src)
    result = op(p, shifted(dim, rank(self)), i, src, *options)
    return level.wrap(result if self.ndim else ops.squeeze(result, 1))


_scatter.batch(scatter_batch)


def zero_padded(g: Tensor, shape: Any) -> Tensor:
    """A gradient of the leading part of a tensor as one of the whole: zeros behind."""
    if tuple(g.shape) == tuple(shape):
        return g
    widths = []
    for n, m in zip(reversed(g.shape), reversed(shape), strict=True):
        widths += [0, m - n]
    return ops.constant_pad_nd(g, widths, 0)


def _scattered(input: Tensor, dim: int, index: Tensor, src: Any, reduce: Any, out: Any) -> Tensor:
    """`scatter` in all its forms."""
    if reduce is None:
        if isinstance(src, Tensor):
            return _scatter(input, dim, index, src, None, out=out)
        return _scatter(input, dim, index, None, src, out=out)
    if reduce not in ("add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    if not isinstance(src, Tensor):
        src = ops.full(index.shape, src, dtype=input.dtype)
    if reduce == "add":
        return scatter_add(input, dim, index, src, out=out)
    return ops.scatter_reduce(input, dim, index, src, "prod", out=out)


@function()
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | Number | None = None, *,
    value: Number | None = None, reduce: str | None = None, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with the elements of `src`, or a number, at `index` along a dimension.

    `index` is nowhere larger than `src`, nor than `input` but in `dim`. With `reduce`, "add" or
    "multiply", what meets at one place is summed or multiplied. Gradients: of `input`, zero where written; of
    `src`, `gather` of the result's.

    >>> import pullback as torch
    >>> torch.zeros(3).scatter(0, torch.tensor([2, 0]), torch.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    return _scattered(input, dim, index, value if src is None else src, reduce, out)


@function(places="m")
def scatter_(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *,
    value: Any = None, reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """`scatter` into the tensor itself."""
    return _scattered(input, dim, index, value if src is None else src, reduce, IN_PLACE)


@op(places="tmi", writes="C", linear=True)
def scatter_add(self: Array, dim: int, index: Array, src: Array) -> Array:
    """A copy of `self` with the elements of `src` added at `index` along a dimension, in order.

    Shapes are those of `scatter`. Gradients: of `self`, the result's; of `src`, `gather` of it.

    >>> import pullback as torch
    >>> torch.zeros(2).scatter_add(0, torch.tensor([0, 0, 1]), torch.ones(3))
    tensor([2., 1.])
    """
    dim = wrap_dim(dim, self.ndim)
    check_range(self, dim, index)
    if index.size:
        accumulate(np.add, self, _flat_positions(self, dim, index), leading_part(src, index.shape))
    return self


@scatter_add.prepare
def _prepare_scatter_add(self: Spec, dim: int, index: Spec, src: Spec) -> Plan:
    check_same_dtype("scatter", self, src)
    return plan_line("at_sum", self, check_line("scatter", self, dim, index, src), index, src)


scatter_add.batch(scatter_batch)
scatter_add.vjp(self="g", src=lambda g, dim, index, src_shape: zero_padded(gather(g, dim, index), src_shape))


# ------------------------------------------------------------------------- writes to a view's place


@op(name="view_scatter", places="", moves=True, piecewise=True)
def _view_scatter(self: Array, src: Array, view: str, args: tuple[Any, ...]) -> Array:
    """A copy of `self` with `src` where a view op, select, slice or diagonal, would look."""
    result = strided_array(self.shape, strides_of(self), self.dtype)
    result[...] = self
    REGISTRY[view].seen(result, *args)[...] = src
    return result


@_view_scatter.prepare
def _plan_view_scatter(self: Spec, src: Spec, view: str, args: tuple[Any, ...]) -> Plan:
    part = REGISTRY[view].prepare_rule(self, *args)
    if src.shape != part.shape:
        raise RuntimeError(
            f"expected src to have a size equal to the slice of self. src size = {list(src.shape)}, slice "
            f"size = {list(part.shape)}"
        )
    return plan_scatter(self, src, part)


_view_scatter.variant = lambda saved: f"{saved['view'].title()}ScatterBackward0"
_view_scatter.vjp(
    self=lambda g, src_shape, view, args: _view_scatter(g, ops.zeros(src_shape, dtype=g.dtype), view, args),
    src=lambda g, view, args: REGISTRY[view](g, *args),
)


@_view_scatter.batch
def _view_scatter_batch(level: Any, op: Op, self: Any, src: Any, view: str, args: Any) -> Any:
    whole = level.front(self) if level.holds(self) else ops.contiguous(level.front(self))
    args = shifted_args(REGISTRY[view], args, self.ndim)
    return level.wrap(op(whole, level.front(src), view, args))


@function()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy of `input` with `src` at one index of a dimension.

    Gradients: of `input`, zero there; of `src`, the result's there.

    >>> import pullback as torch
    >>> torch.select_scatter(torch.zeros(2, 2), torch.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    return _view_scatter(input, src, "select", (dim, index))


@function()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1,
    *, out: Any = None,
) -> Tensor:  # fmt: skip
    """A copy of `input` with `src` at `start:end:step` of a dimension."""
    return _view_scatter(input, src, "slice", (dim, start, end, step), out=out)


@function()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy of `input` with `src` on the diagonal of two dimensions."""
    return _view_scatter(input, src, "diagonal", (offset, dim1, dim2))
