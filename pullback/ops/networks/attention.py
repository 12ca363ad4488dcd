"""Scaled dot-product attention: `softmax(q kᵀ · scale + mask) v`, in tiles.

By plan the scores of some queries and keys are held at a time (`kernels/attend.h`). The kernels on arrays
hold those of some rows, and so do plans for the gradient of a mask. Forward keeps `lse`, the logarithm of
each row's sum of exponentials, from which backward makes the weights again. A row that is masked entirely
gives zeros. `_attention` is the op on tiles; `attend` is the same of ops, which gives higher derivatives,
dropout and what runs under transforms. Read `_tile_weights` first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Op, Tensor, from_array, grad_enabled, levels
from pullback.core._plans import Plan, Spec
from pullback.core.dtype_names import C_NAMES
from pullback.core.dtypes import bool_, dtype, float32
from pullback.core.op import op
from pullback.core.types import Array
from pullback.kernels import attention
from pullback.ops.products.plans import multiply
from pullback.ops.shared.batches import padded, rank
from pullback.ops.shared.chains import Chain, Operand, Place, Step, bits_of, merged, operand
from pullback.ops.shared.dims import wrap_dim
from pullback.ops.shared.forms import explained

_SCORE_TILE = 1 << 19  # scores held at a time
_CHUNK = 1 << 16  # scores of a part
_AT_ONCE = 4  # multiplications that take about as long as an element of other work

# ------------------------------------------------------------------------------------ kernels


def _batched(a: Array, batch: tuple[int, ...]) -> Array:
    """An array (..., rows, columns) as (B, rows, columns), for the batch dims of all."""
    if a.shape[:-2] != batch:
        a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    return a.reshape(math.prod(batch), *a.shape[-2:])


def _score_tiles(batch: int, rows: int, columns: int) -> Iterator[tuple[slice, slice]]:
    """Parts of the batch and of the rows, so that each has few scores."""
    some = max(1, _SCORE_TILE // max(columns, 1))
    if rows <= some:
        step = max(1, some // max(rows, 1))
        yield from ((slice(b, b + step), slice(None)) for b in range(0, batch, step))
    else:
        yield from ((slice(b, b + 1), slice(r, r + some)) for b in range(batch) for r in range(0, rows, some))


def _tile_scores(
    q: Array, k: Array, mask: Array | None, part: tuple[slice, slice], causal: bool, scale: float
) -> Array:
    """The scores of a part of the rows, masked."""
    b, r = part
    scores = np.matmul(q[b, r] * q.dtype.type(scale), k[b].swapaxes(1, 2))
    if mask is not None:
        some = mask[b, r] if mask.shape[1] > 1 else mask[b]
        if mask.dtype == bool:
            np.copyto(scores, -np.inf, where=~some)
        else:
            scores += some
    if causal:
        first = r.start or 0
        np.copyto(scores, -np.inf, where=~np.tri(scores.shape[1], scores.shape[2], first, dtype=bool))
    return scores


def _common_batch_dims(q: Any, k: Any, v: Any, mask: Any) -> tuple[int, ...]:
    """The batch dims of all, broadcast; RuntimeError for matrices that do not fit."""
    batch = q.shape[:-2]
    if not batch == k.shape[:-2] == v.shape[:-2]:
        batch = tuple(ops.common_shape(batch, k.shape[:-2], v.shape[:-2]))
    _check_product(batch, (q.shape[-1], k.shape[-2]), (k.shape[-1], k.shape[-2]))
    _check_product(batch, (k.shape[-2], v.shape[-1]), v.shape[-2:])
    if mask is not None:
        scores = (*batch, q.shape[-2], k.shape[-2])
        shape = tuple(ops.common_shape(scores, mask.shape))
        if shape != scores:
            raise RuntimeError(
                f"output with shape {list(scores)} doesn't match the broadcast shape {list(shape)}"
            )
    return batch


def _one_batch_dim(q: Array, k: Array, v: Array, mask: Array | None) -> tuple[Any, ...]:
    """The arrays with one batch dim, and the batch dims that they had."""
    batch = _common_batch_dims(q, k, v, mask)
    if mask is not None:
        mask = _batched(mask.reshape((1,) * (2 - mask.ndim) + mask.shape), batch)
    return _batched(q, batch), _batched(k, batch), _batched(v, batch), mask, batch


@op(name="scaled_dot_product_flash_attention_for_cpu", places="")
def _attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None, is_causal: bool, scale: float
) -> tuple[Array, Array]:
    """The attention's result, and the logarithm of the sum of exponentials of each row."""
    q, k, v, mask, batch = _one_batch_dim(query, key, value, attn_mask)
    count, rows = q.shape[:2]
    result = np.empty((count, rows, v.shape[2]), q.dtype)
    lse = np.empty((count, rows), q.dtype)
    lowest, least = np.finfo(q.dtype).min, np.finfo(q.dtype).tiny
    for part in _score_tiles(count, rows, k.shape[1]):
        weights = _tile_scores(q, k, mask, part, is_causal, scale)
        top = np.maximum.reduce(weights, 2, keepdims=True, initial=-np.inf)
        np.maximum(top, lowest, out=top)  # a row that is masked entirely: exp(-inf - lowest) is zero
        np.exp(np.subtract(weights, top, weights), weights)
        total = np.add.reduce(weights, 2, keepdims=True)
        lse[part] = (np.log(total) + top)[..., 0]
        weighed = np.matmul(weights, v[part[0]], out=result[part])
        weighed /= np.maximum(total, least, out=total)
    return result.reshape(*batch, *result.shape[1:]), lse.reshape(*batch, rows)


@_attention.prepare
def _plan_attention(
    query: Spec, key: Spec, value: Spec, attn_mask: Spec | None, is_causal: bool, scale: float
) -> Plan:
    batch = _common_batch_dims(query, key, value, attn_mask)
    shape = (*batch, query.shape[-2])
    results = Spec(query.dtype, (*shape, value.shape[-1])), Spec(query.dtype, shape)
    if _in_tiles(results[0].shape, query, key, attn_mask):
        return _plan_tiles(query, key, value, attn_mask, results, is_causal, scale)
    if not _at_once(batch, query, key, attn_mask):
        return Plan(results)
    chain = Chain(4 - (attn_mask is None), results)
    q, k, v, mask = _operands(chain, query, key, value, attn_mask)
    leading = range(-len(batch), 0)
    result, lse = (
        operand(chain.result(i), spec, [*leading, *labels])
        for i, spec, labels in zip((0, 1), results, ("iv", "i"), strict=True)
    )
    scores = _scores(chain, q, k, mask, lse.sizes, scale)
    sums = chain.room(q.dtype, lse.sizes)
    logs = lse if lse.dtype is q.dtype else chain.room(q.dtype, lse.sizes)
    _rows(chain, "exponentials", is_causal, scores, logs, sums)
    weighed = result if result.dtype is q.dtype else chain.room(q.dtype, result.sizes)
    multiply(chain, scores, v, weighed)
    chain.pointwise(np.divide, weighed, sums, weighed)
    for wide, narrow in ((weighed, result), (logs, lse)):
        if wide is not narrow:
            chain.convert(wide, narrow)
    return chain.plan()


def _in_tiles(shape: tuple[int, ...], query: Spec, key: Spec, mask: Spec | None) -> bool:
    """Whether compiled tiles do it: there are scores, and a mask is what is added, or says yes and no."""
    sizes = (*shape, query.shape[-1], key.shape[-2])
    return attention.QUICK and math.prod(sizes) > 0 and (mask is None or mask.dtype in (bool_, query.dtype))


def _up(count: int, size: int) -> int:
    """The multiple of a size from a number on."""
    return -(-count // size) * size


def _attending(
    scores: tuple[int, ...], causal: bool, scale: float, q: Operand, k: Operand, v: Operand,
    mask: Operand | None, g: Operand | None, chunk: int = 1,
) -> tuple[int, ...]:  # fmt: skip
    """A `pb_attending`, for the batch dims, rows and columns of the scores."""
    *batch, rows, columns = scores
    operands = [(q, "ie"), (k, "je"), (v, "jv"), (mask, "ij"), (g, "iv")]
    of = 0 if mask is None else 2 if mask.dtype is bool_ else 1
    geometry = [rows, columns, q.sizes["e"], v.sizes["v"], int(causal), of, chunk, bits_of(scale)]
    geometry += [x.step(label) if x else 0 for x, labels in operands for label in labels]
    geometry.append(len(batch))
    for label, n in zip(range(-len(batch), 0), batch, strict=True):
        geometry += [n, *[x.step(label) if x else 0 for x, _ in operands]]
    return tuple(geometry)


def _plan_tiles(
    query: Spec, key: Spec, value: Spec, attn_mask: Spec | None, results: tuple[Spec, Spec],
    causal: bool, scale: float,
) -> Plan:  # fmt: skip
    chain = Chain(4 - (attn_mask is None), results)
    q, k, v, mask = _operands(chain, query, key, value, attn_mask)
    heads, columns = math.prod(results[1].shape[:-1]), key.shape[-2]
    depth, width, rows = query.shape[-1], value.shape[-1], query.shape[-2]
    scores = (*results[1].shape, columns)
    chunk = attention.QUERIES * max(1, _CHUNK // (columns * attention.QUERIES))
    geometry = _attending(scores, causal, scale, q, k, v, mask, None, chunk)
    read = [q.place, k.place, v.place, q.place if mask is None else mask.place]
    tall, wide = _up(columns, attention.ROWS), _up(width, attention.ROWS)
    laid_out = [chain.room(q.dtype, {"all": heads * n}) for n in (tall * depth, wide * columns)]
    work = heads * columns * (depth + width)
    step = Step(attention.RUNS["keys_and_values"][q.dtype.name], geometry, heads, 0, work)
    chain.add(step, *read, *[x.place for x in laid_out])
    held = attention.QUERIES * (depth + wide + _up(attention.KEYS + 1, attention.ROWS))
    parts = heads * -(-rows // chunk)

    def attend(kind: dtype) -> Step:
        run = attention.RUNS["attend"][kind.name]
        return Step(run, geometry, parts, held * kind.itemsize, work * rows // _AT_ONCE)

    chain.add_floats(attend, *read, *[x.place for x in laid_out])
    return chain.plan()


def _plan_tiles_back(
    g: Spec, query: Spec, key: Spec, value: Spec, attn_mask: Spec | None, result: Spec, lse: Spec,
    specs: tuple[Spec, ...], causal: bool, scale: float,
) -> Plan:  # fmt: skip
    last = 4 + (attn_mask is not None)
    chain = Chain(last + 2, specs)
    q, k, v, mask = _operands(chain, query, key, value, attn_mask, 1)
    of_result = chain.widened(operand(Place(0), g, [*range(2 - g.ndim, 0), "i", "v"]))
    given = [chain.floats(last, result), chain.floats(last + 1, lse)]
    scores = (*lse.shape, key.shape[-2])
    geometry = _attending(scores, causal, scale, q, k, v, mask, of_result)
    heads, columns, rows = math.prod(lse.shape[:-1]), key.shape[-2], query.shape[-2]
    depth, width = query.shape[-1], value.shape[-1]
    tall, deep, most = (_up(n, attention.ROWS) for n in (columns, depth, attention.KEYS + 1))
    both = depth + width + _up(depth, attention.QUERIES) + _up(width, attention.QUERIES)
    held = (tall + attention.QUERIES) * both + deep * columns + attention.QUERIES * (deep + 2 * most)
    work = heads * columns * (depth + width) * rows // _AT_ONCE

    def attend(kind: dtype) -> Step:
        run = attention.RUNS["attend_back"][kind.name]
        return Step(run, geometry, heads, held * kind.itemsize, work)

    read = [q.place, k.place, v.place, q.place if mask is None else mask.place, of_result.place, *given]
    chain.add_floats(attend, *read)
    return chain.plan()


def _at_once(batch: tuple[int, ...], query: Spec, key: Spec, mask: Spec | None) -> bool:
    """Whether all scores are few enough to be held, and a mask is what is added, or says yes and no."""
    scores = math.prod(batch) * query.shape[-2] * key.shape[-2]
    return scores <= _SCORE_TILE and (mask is None or mask.dtype in (bool_, query.dtype))


def _operands(
    chain: Chain, query: Spec, key: Spec, value: Spec, mask: Spec | None, first: int = 0
) -> tuple[Operand, Operand, Operand, Operand | None]:
    """The tensors with labels, half precisions as float; the first is the argument with that number."""
    found = [
        chain.widened(operand(Place(first + i), x, [*range(2 - x.ndim, 0), *labels]))
        for i, (x, labels) in enumerate(((query, "ie"), (key, "je"), (value, "jv")))
    ]
    if mask is None:
        return found[0], found[1], found[2], None
    labels = [*range(2 - mask.ndim, 0), "i", "j"][-mask.ndim :] if mask.ndim else []
    return found[0], found[1], found[2], chain.widened(operand(Place(first + 3), mask, labels))


def _scores(
    chain: Chain, q: Operand, k: Operand, mask: Operand | None, rows: dict[Hashable, int], scale: float
) -> Operand:
    """The scores with their mask, (..., i, j), where `rows` has the sizes of all but j."""
    scores = chain.room(q.dtype, {**rows, "j": k.sizes["j"]})
    scaled = chain.room(q.dtype, q.sizes)
    chain.pointwise(np.multiply, q, scale, scaled)
    multiply(chain, scaled, k, scores)
    if mask is None:
        return scores
    if mask.dtype is not bool_:
        chain.pointwise(np.add, scores, mask, scores)
        return scores
    dims = merged((n, mask.step(x), scores.steps[x]) for x, n in scores.sizes.items()) or [(1, 0, 0)]
    geometry = (len(dims), *[n for dim in dims for n in dim])
    parts = math.prod(dim[0] for dim in dims[:-1])
    chain.add(Step(attention.RUNS["hide"][q.dtype.name], geometry, parts), mask.place, scores.place)
    return scores


def _rows(chain: Chain, name: str, causal: bool, scores: Operand, *others: Operand) -> None:
    """A step on each row of the scores."""
    *_, rows, columns = scores.sizes.values()
    parts = math.prod(scores.sizes.values()) // max(columns, 1)
    step = Step(attention.RUNS[name][scores.dtype.name], (rows, columns, int(causal)), parts)
    chain.add(step, scores.place, *[x.place for x in others])


def _tile_weights(scores: Array, lse: Array) -> Array:
    """The softmax of rows of scores, by their `lse`; zeros in rows that are masked entirely."""
    lse = np.maximum(lse, np.finfo(lse.dtype).min)[..., None]
    return np.exp(np.subtract(scores, lse, scores), scores)


@op(name="attention_slope", places="", nondiff=True)
def _attention_slope(
    g: Array, query: Array, key: Array, value: Array, attn_mask: Array | None, result: Array,
    lse: Array, is_causal: bool, scale: float, mask_wanted: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """The gradients of query, key and value, and of the mask if it is wanted."""
    q, k, v, mask, batch = _one_batch_dim(query, key, value, attn_mask)
    g, result, lse = _batched(g, batch), _batched(result, batch), lse.reshape(q.shape[:2])
    dq, dk, dv = np.empty_like(q, order="C"), np.zeros_like(k, order="C"), np.zeros_like(v, order="C")
    dm = np.zeros((len(q), q.shape[1], k.shape[1]) if mask_wanted else 0, q.dtype)
    for part in _score_tiles(len(q), q.shape[1], k.shape[1]):
        b = part[0]
        weights = _tile_weights(_tile_scores(q, k, mask, part, is_causal, scale), lse[part])
        dv[b] += np.matmul(weights.swapaxes(1, 2), g[part])
        rise = np.matmul(g[part], v[b].swapaxes(1, 2))
        rise -= np.add.reduce(g[part] * result[part], 2, keepdims=True)
        weights *= rise
        if mask_wanted:
            dm[part] = weights
        weights *= q.dtype.type(scale)
        np.matmul(weights, k[b], out=dq[part])
        dk[b] += np.matmul(weights.swapaxes(1, 2), q[part])
    shaped = [a.reshape(*batch, *a.shape[1:]) for a in (dq, dk, dv)]
    return (*shaped, dm.reshape(*batch, *dm.shape[1:]) if mask_wanted else dm)


@_attention_slope.prepare
def _plan_attention_slope(
    g: Spec, query: Spec, key: Spec, value: Spec, attn_mask: Spec | None, result: Spec, lse: Spec,
    is_causal: bool, scale: float, mask_wanted: bool,
) -> Plan:  # fmt: skip
    batch = _common_batch_dims(query, key, value, attn_mask)
    shapes = [(*batch, *a.shape[-2:]) for a in (query, key, value)]
    shapes.append((*batch, query.shape[-2], key.shape[-2]) if mask_wanted else (0,))
    specs = tuple([Spec(query.dtype, shape) for shape in shapes])
    if not mask_wanted and _in_tiles((*batch, *result.shape[-2:]), query, key, attn_mask):
        return _plan_tiles_back(g, query, key, value, attn_mask, result, lse, specs, is_causal, scale)
    if not _at_once(batch, query, key, attn_mask):
        return Plan(specs)
    last = 4 + (attn_mask is not None)
    chain = Chain(last + 2, specs)
    leading = range(-len(batch), 0)
    q, k, v, mask = _operands(chain, query, key, value, attn_mask, 1)
    g_out = chain.widened(operand(Place(0), g, [*leading, "i", "v"]))
    logs = chain.widened(operand(Place(last + 1), lse, [*leading, "i"]))
    if not lse.contiguous:
        logs = chain.copied(logs)
    weights = _scores(chain, q, k, mask, logs.sizes, scale)
    _rows(chain, "weights", is_causal, weights, logs)
    slopes = chain.room(q.dtype, weights.sizes)
    multiply(chain, g_out, v, slopes)
    _rows(chain, "slopes", False, weights, slopes)
    scaled = chain.room(q.dtype, slopes.sizes)
    chain.pointwise(np.multiply, slopes, scale, scaled)
    names = _OF_SLOPES[: 3 + mask_wanted]
    found = [operand(chain.result(i), specs[i], [*leading, *labels]) for i, labels in enumerate(names)]
    wide = [x if x.dtype is q.dtype else chain.room(q.dtype, x.sizes) for x in found]
    multiply(chain, scaled, k, wide[0])
    multiply(chain, scaled, q, wide[1])
    multiply(chain, weights, g_out, wide[2])
    if mask_wanted:
        chain.pointwise(np.positive, slopes, wide[3])
    for x, narrow in zip(wide, found, strict=True):
        if x is not narrow:
            chain.convert(x, narrow)
    return chain.plan()


_OF_SLOPES = ("ie", "je", "jv", "ij")
"""The labels of the matrices of the gradients."""


# ---------------------------------------------------------------------------------------- ops


def _bias(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """What is added to the scores for a mask and for causality."""
    if mask is not None and mask.dtype is bool_:
        mask = ops.where(mask, 0.0, -math.inf).to(query.dtype)
    if causal:
        seen = from_array(np.tri(query.shape[-2], key.shape[-2], dtype=bool), False, query.is_meta)
        ahead = ops.where(seen, 0.0, -math.inf).to(query.dtype)
        mask = ahead if mask is None else mask + ahead
    return mask


def weigh(scores: Tensor) -> Tensor:
    """The softmax of the last dim, zeros where all is `-inf`."""
    masked = ops.all(scores == -math.inf, -1, True)
    return ops.where(masked, 0.0, ops.softmax(ops.where(masked, 0.0, scores), -1))


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float, dropout: float
) -> Tensor:
    """Attention made of ops."""
    weights = _weights(query, key, mask, causal, scale)
    if dropout:
        weights = ops.dropout(weights, dropout)
    return ops.matmul(weights, value)


def _weights(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Tensor:
    scores = ops.matmul(query * scale, ops.transpose(key, -2, -1))
    bias = _bias(query, key, mask, causal)
    return weigh(scores if bias is None else scores + bias)


@_attention.joint_vjp
def _attention_vjp(
    g0: Tensor | None, g1: Tensor | None, query: Tensor, key: Tensor, value: Tensor,
    attn_mask: Tensor | None, is_causal: bool, scale: float, result0: Tensor, result1: Tensor, needs: Any,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    g = ops.zeros_like(result0) if g0 is None else g0
    wanted = len(needs) > 3 and bool(needs[3])
    if g1 is None and not grad_enabled() and not levels():
        gradients = _attention_slope(
            g, query, key, value, attn_mask, result0, result1, is_causal, scale, wanted
        )
        return (*gradients[:3], gradients[3] if wanted else None)
    weights = _weights(query, key, attn_mask, is_causal, scale)
    rise = ops.matmul(g, ops.transpose(value, -2, -1))
    slope = weights * (rise - ops.sum(g * ops.matmul(weights, value), -1, True))
    if g1 is not None:
        slope = slope + ops.unsqueeze(g1, -1) * weights
    return (
        ops.matmul(slope, key) * scale,
        ops.matmul(ops.transpose(slope, -2, -1), query) * scale,
        ops.matmul(ops.transpose(weights, -2, -1), g),
        slope if wanted else None,
    )


@_attention.batch
def _attention_batch(
    level: Any, op: Op, query: Any, key: Any, value: Any, attn_mask: Any, is_causal: bool, scale: float
) -> Any:
    """The batch is one more leading dim; samples of fewer get new ones, a mask as it broadcasts."""
    most = max(rank(x) for x in (query, key, value, attn_mask))
    operands = [padded(level.front(x), most) for x in (query, key, value)]
    mask = padded(attn_mask.physical, most) if level.holds(attn_mask) else attn_mask
    return level.wrap(op(*operands, mask, is_causal, scale))


def _shared_heads(query: Tensor, kv: Tensor) -> Tensor:
    """Keys or values with each head repeated for the queries that share it."""
    wrap_dim(-3, query.ndim)
    if query.shape[-3] % kv.shape[-3]:
        raise RuntimeError("Number of heads in key and value must divide the number of heads in ")
    times = query.shape[-3] // kv.shape[-3]
    return kv if times == 1 else ops.repeat_interleave(kv, times, -3)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(q kᵀ · scale + mask) v`, of (..., L, E), (..., S, E), (..., S, V): (..., L, V).

    A mask (..., L, S) is added to the scores, or says where to look if it is bool; `is_causal` lets
    row i see the first i + 1 columns. A row that sees nothing gives zeros. `scale` is 1/√E if None.
    With `enable_gqa`, several heads (the third last dim) of `query` share one of `key` and `value`.

    >>> import pullback as torch
    >>> v = torch.tensor([[1.0], [3.0]])
    >>> torch.nn.functional.scaled_dot_product_attention(torch.zeros(2, 4), torch.ones(2, 4), v)
    tensor([[2.],
            [2.]])
    """
    _check_attention(query, key, value, attn_mask)
    if enable_gqa:
        key, value = _shared_heads(query, key), _shared_heads(query, value)
    if scale is None:
        scale = 1 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p:g}")
    if dropout_p or levels():
        return attend(query, key, value, attn_mask, is_causal, scale, dropout_p)
    return _attention(query, key, value, attn_mask, is_causal, scale)[0]


scaled_dot_product_attention = explained(
    scaled_dot_product_attention,
    places="",
    aliases=("nn.functional.scaled_dot_product_attention",),
)


# ---------------------------------------------------------------------------------- what is refused


def _check_product(batch: tuple[int, ...], wanted: tuple[int, ...], got: tuple[int, ...]) -> None:
    """Refuses matrices that do not fit, in the words of a batched product."""
    if wanted[0] != got[0]:
        count = math.prod(batch)
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{count}, {wanted[0]}] "
            f"but got: [{count}, {got[0]}]."
        )


def _check_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Refuses tensors whose dtypes or shapes do not go together."""
    if not (
        isinstance(query, Tensor) and isinstance(key, Tensor) and isinstance(value, Tensor)
        and (mask is None or isinstance(mask, Tensor))
    ):  # fmt: skip
        raise TypeError("scaled_dot_product_attention(): arguments must be Tensors")
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{C_NAMES[query.dtype.name]} key.dtype: {C_NAMES[key.dtype.name]} and value.dtype: "
            f"{C_NAMES[value.dtype.name]} instead."
        )
    if query.ndim < 2 or key.ndim < 2 or value.ndim < 2:
        listed = [f"{name}.dim: {t.ndim}" for name, t in (("query", query), ("key", key), ("value", value))]
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got "
            f"{listed[0]} {listed[1]} and {listed[2]} instead."
        )
    if mask is not None and mask.dtype not in (bool_, float32, query.dtype):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {C_NAMES[mask.dtype.name]} and  query.dtype: "
            f"{C_NAMES[query.dtype.name]} instead."
        )
    if query.dtype.kind == "c":
        raise NotImplementedError(
            f"\"softmax_lastdim_kernel_impl\" not implemented for '{query.dtype.type_name}'"
        )
    if query.dtype.kind != "f":
        raise RuntimeError(f"expected scalar type Float but found {query.dtype.type_name}")
