"""Multi-head attention as one function: projections, heads, masks, attention, projection.

The steps are `_masks`, `_projected`, `_combined_mask` and `_attended`, which is
scaled_dot_product_attention unless the weights are asked for. Everything is made of ops; what is refused
stands at the end. Read `multi_head_attention_forward` first.
"""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_
from pullback.core.dtypes import dtype as Dtype
from pullback.core.op import function
from pullback.core.settings import warn_each_time

_STATIC = "expecting static_{0}.size({1}) of {2}, but got {3}"


# -------------------------------------------------------------------------------------- masks


def mask_as_bias(
    mask: Tensor | None, name: str, other: Tensor | None, dtype: Dtype, other_name: str = "attn_mask"
) -> Tensor | None:
    """A mask as numbers to add: where a bool one is True, -inf. `other` is the mask beside it."""
    if mask is None:
        return None
    _require(
        mask.dtype is bool_ or mask.is_floating_point(),
        f"only bool and floating types of {name} are supported",
    )
    if other is not None and other.dtype is not mask.dtype:
        warn_each_time(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
        )
    return ops.where(mask, -math.inf, 0.0).to(dtype) if mask.dtype is bool_ else mask


def _shaped_mask(mask: Tensor | None, batch: int, heads: int, length: int, source: int) -> Tensor | None:
    """A mask of shape (1 or batch * heads, length, source)."""
    if mask is None:
        return None
    wanted = (length, source) if mask.ndim == 2 else (batch * heads, length, source)
    if tuple(mask.shape) != wanted:
        raise RuntimeError(
            f"The shape of the {mask.ndim}D attn_mask is {mask.shape}, but should be {wanted}."
        )
    return ops.unsqueeze(mask, 0) if mask.ndim == 2 else mask


def _masks(
    query: Tensor, mask: Tensor | None, padding: Tensor | None, causal: bool, weights: bool
) -> tuple[Tensor | None, Tensor | None, bool]:
    """The two masks as numbers to add, and whether causality goes without a mask."""
    added = mask_as_bias(padding, "key_padding_mask", mask, query.dtype)
    if causal and mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if causal and added is None and not weights:
        return None, None, True
    return mask_as_bias(mask, "attn_mask", None, query.dtype), added, False


# -------------------------------------------------------------------------------------- steps


def _with_batch(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Tensors without a batch dim with one of size 1; the same one stays the same."""
    same = query is key and key is value
    query = ops.unsqueeze(query, 1)
    key, value = (query, query) if same else (ops.unsqueeze(key, 1), ops.unsqueeze(value, 1))
    return query, key, value, None if padding is None else ops.unsqueeze(padding, 0)


def _projected(
    query: Tensor, key: Tensor, value: Tensor, packed: Tensor | None, bias: Tensor | None, parts: Any
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values after their matrices: one product where all are one tensor."""
    if parts is None and query is key and key is value:
        stacked = ops.unflatten(ops.linear(query, packed, bias), -1, (3, query.shape[-1]))
        q, k, v = ops.unbind(stacked, -2)
        return ops.contiguous(q), ops.contiguous(k), ops.contiguous(v)
    matrices = ops.chunk(packed, 3) if parts is None else parts
    biases = (None,) * 3 if bias is None else ops.chunk(bias, 3)
    q, k, v = map(ops.linear, (query, key, value), matrices, biases)
    return q, k, v


def _heads(x: Tensor, batch: int, heads: int) -> Tensor:
    """(length, batch, width) as (batch * heads, length, width of a head)."""
    return ops.transpose(ops.reshape(x, (x.shape[0], batch * heads, -1)), 0, 1)


def _static(static: Tensor | None, name: str, x: Tensor, batch: int, heads: int) -> Tensor:
    """Keys or values by head: the given ones, or those made of the input."""
    if static is None:
        return _heads(x, batch, heads)
    width = x.shape[-1] // heads
    for dim, wanted in ((0, batch * heads), (2, width)):
        _require(static.shape[dim] == wanted, _STATIC.format(name, dim, wanted, static.shape[dim]))
    return static


def _longer(mask: Tensor | None) -> Tensor | None:
    """A mask with a column more, that hides nothing."""
    return None if mask is None else ops.constant_pad_nd(mask, (0, 1), 0)


def _combined_mask(
    mask: Tensor | None, padding: Tensor | None, batch: int, heads: int, source: int
) -> Tensor | None:
    """The mask of scores and that of padding as one."""
    if padding is None:
        return mask
    _require(
        tuple(padding.shape) == (batch, source),
        f"expecting key_padding_mask shape of {(batch, source)}, but got {padding.shape}",
    )
    wide = ops.expand(ops.reshape(padding, (batch, 1, 1, source)), (-1, heads, -1, -1))
    wide = ops.reshape(wide, (batch * heads, 1, source))
    return wide if mask is None else mask + wide


def _attended(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float, causal: bool, batch: int,
    needed: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Attention of (batch * heads, length, width): (batch * heads, length, width), and the weights."""
    if needed:
        scores = ops.matmul(q * math.sqrt(1.0 / q.shape[-1]), ops.transpose(k, -2, -1))
        weights = ops.softmax(scores if mask is None else scores + mask, -1)
        if dropout > 0:
            weights = ops.dropout(weights, dropout)
        return ops.matmul(weights, v), weights
    q, k, v = (ops.reshape(x, (batch, -1, *x.shape[1:])) for x in (q, k, v))
    if mask is not None:
        mask = (
            ops.unsqueeze(mask, 0) if mask.shape[0] == 1 else ops.reshape(mask, (batch, -1, *mask.shape[1:]))
        )
    values = ops.scaled_dot_product_attention(q, k, v, mask, dropout, causal)
    return ops.reshape(values, (-1, *values.shape[2:])), None


@function(places="", aliases=("nn.functional.multi_head_attention_forward",))
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention in `num_heads` heads: of (L, N, E), (S, N, E), (S, N, E) to (L, N, E), or without N.

    The matrices come packed, (3E, E), or as three. Masks are bool, True where not to look, or added:
    `attn_mask` (L, S) or (N * heads, L, S), `key_padding_mask` (N, S). The second result are the
    weights (N, L, S), by head if they are not averaged, None if not needed. AssertionError and
    RuntimeError where shapes do not fit.

    >>> import pullback as torch
    >>> x, eye = torch.eye(2), torch.eye(2)
    >>> given = (x, x, x, 2, 1, torch.eye(2).repeat(3, 1), None, None, None, False, 0.0, eye, None)
    >>> torch.nn.functional.multi_head_attention_forward(*given)[1]
    tensor([[0.6698, 0.3302],
            [0.3302, 0.6698]])
    """
    batched = _check_attention_dims(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        query, key, value, key_padding_mask = _with_batch(query, key, value, key_padding_mask)
    length, batch, width = query.shape
    mask, padding, is_causal = _masks(query, attn_mask, key_padding_mask, is_causal, need_weights)
    _check_widths(width, embed_dim_to_check, num_heads)
    parts = _check_projections(
        key, value, use_separate_proj_weight, in_proj_weight, (q_proj_weight, k_proj_weight, v_proj_weight)
    )
    q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias, parts)
    mask = _shaped_mask(mask, batch, num_heads, length, k.shape[0])
    if _has_biases(bias_k, bias_v, static_k, static_v):
        k, v = ops.cat([k, ops.repeat(bias_k, 1, batch, 1)]), ops.cat([v, ops.repeat(bias_v, 1, batch, 1)])
        mask, padding = _longer(mask), _longer(padding)
    q = _heads(q, batch, num_heads)
    k, v = _static(static_k, "k", k, batch, num_heads), _static(static_v, "v", v, batch, num_heads)
    if add_zero_attn:
        k, v = ops.constant_pad_nd(k, (0, 0, 0, 1), 0), ops.constant_pad_nd(v, (0, 0, 0, 1), 0)
        mask, padding = _longer(mask), _longer(padding)
    mask = _combined_mask(mask, padding, batch, num_heads, k.shape[1])
    dropout = dropout_p if training else 0.0
    values, weights = _attended(q, k, v, mask, dropout, is_causal, batch, need_weights)
    values = ops.reshape(ops.transpose(values, 0, 1), (length * batch, width))
    y = ops.linear(values, out_proj_weight, out_proj_bias)
    y = ops.reshape(y, (length, batch, y.shape[1]))
    if weights is not None:
        weights = ops.reshape(weights, (batch, num_heads, length, -1))
        weights = ops.mean(weights, 1) if average_attn_weights else weights
    if batched:
        return y, weights
    return ops.squeeze(y, 1), None if weights is None else ops.squeeze(weights, 0)


# ------------------------------------------------------------------------------------- checks


def _require(condition: Any, message: str) -> None:
    """AssertionError unless the condition holds: what PyTorch asserts here."""
    if not condition:
        raise AssertionError(message)


def _check_attention_dims(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, heads: int
) -> bool:
    """Whether there is a batch dim. AssertionError where the dims do not go together."""
    batched = query.ndim == 3
    _require(
        query.ndim in (2, 3),
        f"query should be unbatched 2D or batched 3D tensor but received {query.ndim}-D query tensor",
    )
    word, dims = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    _require(
        key.ndim == dims and value.ndim == dims,
        f"For {word} `query`, expected `key` and `value` to be {dims}-D but found "
        f"{key.ndim}-D and {value.ndim}-D tensors respectively",
    )
    _require(
        padding is None or padding.ndim == dims - 1,
        f"For {word} `query`, expected `key_padding_mask` to be `None` or {dims - 1}-D but found "
        f"{0 if padding is None else padding.ndim}-D tensor instead",
    )
    _require(
        mask is None or mask.ndim in (2, 3),
        f"For {word} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found "
        f"{0 if mask is None else mask.ndim}-D tensor instead",
    )
    if not batched and mask is not None and mask.ndim == 3:
        shape = (heads, query.shape[0], key.shape[0])
        _require(tuple(mask.shape) == shape, f"Expected `attn_mask` shape to be {shape} but got {mask.shape}")
    return batched


def _check_projections(
    key: Tensor, value: Tensor, separate: bool, packed: Tensor | None, parts: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...] | None:
    """The three matrices, None if they are packed. AssertionError where some is missing."""
    if not separate:
        _require(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
        _require(packed is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        return None
    _require(
        key.shape[:2] == value.shape[:2],
        f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
    )
    for name, part in zip("qkv", parts, strict=True):
        _require(part is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
    return parts


def _check_widths(width: int, expected: int, heads: int) -> None:
    """The width that was promised, divisible by the heads."""
    _require(width == expected, f"was expecting embedding dimension of {expected}, but got {width}")
    _require(width % heads == 0, f"embed_dim {width} not divisible by num_heads {heads}")


def _has_biases(
    bias_k: Tensor | None, bias_v: Tensor | None, static_k: Tensor | None, static_v: Tensor | None
) -> bool:
    """Whether biases are added to keys and values: to both or to none, and to none that are static."""
    if bias_k is None or bias_v is None:
        _require(bias_k is None, "bias_k is set but bias_v is None")
        _require(bias_v is None, "bias_v is set but bias_k is None")
        return False
    _require(static_k is None, "bias cannot be added to static key.")
    _require(static_v is None, "bias cannot be added to static value.")
    return True
