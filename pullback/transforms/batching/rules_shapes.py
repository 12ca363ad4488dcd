"""Batching rules of views, of ops that move numbers, and of a few reductions over a whole sample."""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import REGISTRY, Op, Tensor, apply_below
from pullback.core.strides import strides_of
from pullback.ops.shared.dims import infer_size, wrap_dim
from pullback.transforms.batching.batched import batched
from pullback.transforms.batching.rules import DIMS, elementwise, holds, padded, rank, rule, shifted
from pullback.transforms.batching.rules_rewritten import REWRITTEN

WHOLE = slice(None)

# ------------------------------------------------------------- what needs no more than alignment


@rule("where isclose")
def _elementwise(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    return elementwise(level, op, _whole_first(level, args) if op.writes else args)


@rule(
    "detach alias clone to_copy view_as_real view_as_complex select_part view_dtype tril triu "
    "fill zero fill_ zero_ frexp"
)
def _first(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """What acts on the last dims, or on each number."""
    return level.wrap(apply_below(op, (args[0].physical, *args[1:])))


@rule("isin")
def _isin(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    if holds(level, args[1]):
        return REWRITTEN["isin"](level, op, args)
    return batched(level, apply_below(op, (args[0].physical, *args[1:])))


@rule("searchsorted")
def _searchsorted(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """One sorted row for all samples takes all their values; else each has its own."""
    rows, values, right, narrow, sorter = args
    if not isinstance(values, Tensor):
        values = ops.full((), values, dtype=rows.dtype)
    if not holds(level, rows) and rank(rows) == 1 and not holds(level, sorter):
        return batched(level, apply_below(op, (rows, values.physical, right, narrow, sorter)))
    sorter = level.front(sorter) if sorter is not None else None
    p = level.front(values)
    flat = ops.reshape(p, (level.size, -1)) if rank(rows) == 1 else p
    found = apply_below(op, (level.front(rows), flat, right, narrow, sorter))
    return batched(level, ops.reshape(found, p.shape))


def _whole_first(level: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first operand in the shape of all, with the batch: kernels that write take it as it is."""
    if holds(level, args[0]):
        return args
    return (batched(level, level.front(args[0])), *args[1:])


@rule("copy fill_tensor fill_tensor_")
def _write(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    first, *others = _whole_first(level, args)
    if op.name in ("fill_tensor", "fill_tensor_") and holds(level, others[0]):
        return _filled(level, first, others[0])
    ranks = rank(first)
    values = [padded(x.physical, ranks) if holds(level, x) else x for x in others]
    return level.wrap(apply_below(op, (first.physical, *values)))


@rule("masked_fill")
def _masked_fill(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    first, mask, value, number = _whole_first(level, args)
    ranks = rank(first)
    mask = padded(mask.physical, ranks) if holds(level, mask) else mask
    if not holds(level, value):
        return batched(level, apply_below(op, (first.physical, mask, value, number)))
    value = padded(value.physical, ranks).to(first.dtype)
    return batched(level, ops.where(mask, value, first.physical))


def _filled(level: Any, first: Any, value: Any) -> Any:
    p = first.physical
    copy = REGISTRY["copy"]
    return batched(level, apply_below(copy, (p, padded(value.physical, rank(first)), False)))


# ------------------------------------------------------------------------------------- views


@rule("view reshape_alias unsafe_view")
def _view(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x = args[0]
    size = infer_size(args[1], math.prod(x.shape))
    return batched(level, apply_below(op, (x.physical, (level.size, *size))))


@rule("expand")
def _expand(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, size, implicit = args
    p = padded(x.physical, len(size))
    if x.ndim > len(size):
        raise RuntimeError(
            f"expand(torch.FloatTensor{{{list(x.shape)}}}, size={list(size)}): the number of sizes "
            f"provided ({len(size)}) must be greater or equal to the number of dimensions in the tensor "
            f"({x.ndim})"
        )
    return batched(level, apply_below(op, (p, (level.size, *size), implicit)))


@rule("unsqueeze unsqueeze_")
def _unsqueeze(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim = args
    return batched(level, apply_below(op, (x.physical, wrap_dim(dim, x.ndim + 1) + 1)))


@rule("diag_embed")
def _diag_embed(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, offset, dim1, dim2 = args
    n = x.ndim + 1
    dims = wrap_dim(dim1, n) + 1, wrap_dim(dim2, n) + 1
    return batched(level, apply_below(op, (x.physical, offset, *dims)))


@rule("t t_")
def _t(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x = args[0]
    if x.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {x.ndim}D")
    if x.ndim < 2:
        return batched(level, ops.view_as(x.physical, x.physical))
    return batched(level, apply_below(REGISTRY["transpose"], (x.physical, 1, 2)))


@rule("constant_pad_nd")
def _pad(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, pad, value = args
    return batched(level, apply_below(op, (x.physical, ((0, 0), *pad), value)))


@rule("transpose transpose_")
def _transpose(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dim0, dim1 = args
    n = x.ndim
    dims = (wrap_dim(dim0, n) + 1, wrap_dim(dim1, n) + 1) if n else (0, 0)
    return batched(level, apply_below(op, (x.physical, *dims)))


@rule("permute")
def _permute(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, dims = args
    if len(dims) != x.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the length "
            f"of the desired ordering of dimensions i.e. input.dim() = {x.ndim} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    return batched(level, apply_below(op, (x.physical, (0, *shifted(tuple(dims), x.ndim)))))


@rule("basic")
def _basic(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, key = args
    p = x.physical
    try:
        return batched(level, apply_below(op, (p, (WHOLE, *key))))
    except IndexError:
        op.kernel(x._array, key)  # the message for a sample
        raise


@rule("as_strided as_strided_")
def _as_strided(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, size, stride, offset, _ = args
    p = x.physical
    own = strides_of(p._array)
    args = (p, (level.size, *size), (own[0], *stride), offset, own)
    return batched(level, apply_below(op, args))


def _reach(*layouts: tuple[Any, Any, int]) -> int:
    """How many places of memory lie between the first and the last of some layouts, with both."""
    low = min(0, *(offset for _, _, offset in layouts))
    ends = [
        o + sum((n - 1) * step for n, step in zip(size, steps, strict=True)) for size, steps, o in layouts
    ]
    return max(ends) - low + 1


@rule("strided_put")
def _strided_put(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The memories of all samples in a row."""
    g, shape, strides, size, stride, offset = args
    step, n = _reach((shape, strides, 0), (size, stride, offset)), level.size
    moved = ((n, *shape), (step, *strides), (n, *size), (step, *stride), offset)
    return batched(level, apply_below(op, (g.physical, *moved)))


@rule("strided_take")
def _strided_take(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, strides, size, stride, offset = args
    step = _reach((x.shape, strides, 0), (size, stride, offset))
    moved = ((step, *strides), (level.size, *size), (step, *stride), offset)
    return batched(level, apply_below(op, (x.physical, *moved)))


@rule("as_strided_scatter")
def _as_strided_scatter(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, src, size, stride, offset, strides = args
    step = _reach((x.shape, strides, 0), (size, stride, offset))
    moved = ((level.size, *size), (step, *stride), offset, (step, *strides))
    return batched(level, apply_below(op, (level.front(x), level.front(src), *moved)))


@rule("embed")
def _embed(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The gradient of a view: its arguments move as the view's do."""
    g, shape, view, given = args
    ranks = len(shape)
    if not ranks:
        return batched(level, ops.reshape(g.physical, (level.size,)))
    record = REGISTRY[view]
    if view == "basic":
        given = ((WHOLE, *given[0]),)
    elif view == "as_strided":
        size, stride, offset, strides = given
        return _strided_put(level, REGISTRY["strided_put"], (g, shape, strides, size, stride, offset))
    else:
        names = record.params[1:]
        given = tuple(
            shifted(x, ranks) if name in DIMS and x is not None else x
            for name, x in zip(names, given, strict=False)
        )
    return batched(level, apply_below(op, (g.physical, (level.size, *shape), view, given)))


@rule("unfold_sum")
def _unfold_sum(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    g, shape, dim, size, step = args
    if not shape:
        return batched(level, ops.reshape(g.physical, (level.size,)))
    dim = wrap_dim(dim, len(shape)) + 1
    return batched(level, apply_below(op, (g.physical, (level.size, *shape), dim, size, step)))


@rule("diagonal_copy")
def _diagonal_copy(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, offset, dim1, dim2 = args
    return batched(level, apply_below(op, (x.physical, offset, *shifted((dim1, dim2), x.ndim))))


# ------------------------------------------------------------------------------ moving numbers


@rule("repeat")
def _repeat(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, repeats = args
    if len(repeats) < x.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    return batched(level, apply_below(op, (padded(x.physical, len(repeats)), (1, *repeats))))


@rule("cat stack block_diag")
def _join(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    tensors = args[0]
    if op.name == "block_diag":
        return _block_diag(level, tensors)
    if op.name == "cat":
        real = [x for x in tensors if x.shape != (0,)]
        tensors = real if any(x.ndim != 1 for x in real) else tensors
        dim = wrap_dim(args[1], max(x.ndim for x in tensors)) + 1
    else:
        dim = wrap_dim(args[1], tensors[0].ndim + 1) + 1
    return batched(level, apply_below(op, ([level.front(x) for x in tensors], dim)))


def _block_diag(level: Any, tensors: Any) -> Any:
    """Each matrix between zeros in its row of blocks."""
    fronts = [level.front(x) for x in tensors]
    blocks = [ops.reshape(p, (level.size, *(1,) * (3 - p.ndim), *p.shape[1:])) for p in fronts]
    width, place, rows = sum(p.shape[-1] for p in blocks), 0, []
    for p in blocks:
        n = p.shape[-1]
        rows.append(ops.constant_pad_nd(p, (place, width - place - n)))
        place += n
    return batched(level, ops.cat(rows, -2))


@rule("rot90")
def _rot90(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, k, dims = args
    return batched(level, apply_below(op, (x.physical, k, shifted(tuple(dims), x.ndim))))


@rule("view_scatter")
def _scatter_view(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, src, view, values = args
    names = REGISTRY[view].params[1:]
    values = tuple(
        shifted(value, x.ndim) if name in DIMS and value is not None else value
        for name, value in zip(names, values, strict=False)
    )
    whole = level.front(x) if holds(level, x) else ops.contiguous(level.front(x))
    return batched(level, apply_below(op, (whole, level.front(src), view, values)))


# -------------------------------------------------------------------------- reductions of a sample


@rule("sum_to_size")
def _sum_to_size(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, size = args
    missing = x.ndim - len(size)
    total = apply_below(op, (x.physical, (level.size, *(1,) * missing, *size)))
    if missing:
        total = ops.reshape(total, (level.size, *size))
    return batched(level, total)


@rule("median")
def _median(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, skips_nan = args
    flat = ops.reshape(x.physical, (level.size, -1))
    return batched(level, apply_below(REGISTRY["median_dim"], (flat, 1, False, skips_nan))[0])


@rule("trace")
def _trace(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    if args[0].ndim != 2:
        op.kernel(args[0]._array)
    return batched(level, ops.sum(ops.diagonal(args[0].physical, 0, 1, 2), -1))


@rule("dist")
def _dist(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, other, p = args
    values = [padded(v.physical, max(rank(x), rank(other))) if holds(level, v) else v for v in (x, other)]
    away = ops.reshape(values[0] - values[1], (level.size, -1))
    return batched(level, apply_below(REGISTRY["linalg_vector_norm"], (away, p, (1,), False, None)))


@rule("renorm")
def _renorm(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    """The slices of all samples are those of one tensor."""
    x, p, dim, maxnorm = args
    dim = wrap_dim(dim, x.ndim)
    front = ops.movedim(x.physical, dim + 1, 1)
    flat = ops.reshape(front, (level.size * front.shape[1], -1))
    found = ops.reshape(apply_below(op, (flat, p, 0, maxnorm)), front.shape)
    return batched(level, ops.movedim(found, 1, dim + 1))


@rule("linalg_vector_norm")
def _vector_norm(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    x, order, dim, keepdim, dtype = args
    ranks = x.ndim
    if not ranks:
        found = apply_below(op, (ops.unsqueeze(x.physical, 1), order, (1,), False, dtype))
        return batched(level, found)
    dims = tuple(range(1, ranks + 1)) if dim is None or dim == () else shifted(dim, ranks)
    return batched(level, apply_below(op, (x.physical, order, dims, keepdim, dtype)))


@rule("nonzero_places unique")
def _dynamic(level: Any, op: Op, args: tuple[Any, ...]) -> Any:
    raise RuntimeError(
        "vmap: We do not support batching operators that can output dynamic shape. Attempted to vmap "
        f"over aten::{op.__name__}. Please file an issue at https://github.com/pytorch/pytorch/issues if "
        "you need this feature."
    )
