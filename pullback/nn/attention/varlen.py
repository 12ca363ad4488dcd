"""Attention over sequences of several lengths that lie one after another, as `torch.nn.attention.varlen`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import bool_
from pullback.face.absent import getter

__all__ = ["AuxRequest", "varlen_attn", "varlen_attn_out"]


class AuxRequest(NamedTuple):
    """What `varlen_attn` is to return besides: with `lse` the logarithms of the sums of exponentials."""

    lse: bool = False


def _pages(pool: Tensor, pages: Tensor) -> Tensor:
    """The keys or values of one sequence, of the pages of a pool."""
    return pool[pages].flatten(0, 1)


def _seen(queries: int, keys: int, window: tuple[int, int]) -> Tensor | None:
    """Which keys each query attends to: those of a window around it, where both sequences end together."""
    left, right = window
    if left < 0 and right < 0:
        return None
    place = ops.arange(queries)[:, None] + (keys - queries)
    key = ops.arange(keys)
    seen = ops.ones((queries, keys), dtype=bool_)
    if left >= 0:
        seen = seen & (key >= place - left)
    return seen & (key <= place + right) if right >= 0 else seen


def varlen_attn(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    cu_seq_q: Tensor,
    cu_seq_k: Tensor | None,
    max_q: int,
    max_k: int,
    *,
    return_aux: AuxRequest | None = None,
    scale: float | None = None,
    window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
    seqused_k: Tensor | None = None,
    block_table: Tensor | None = None,
    num_splits: int | None = None,
) -> Any:
    """`softmax(q kᵀ · scale) v` within each of N sequences: (T, H, D), (S, H, D), (S, H, D) to (T, H, D).

    Sequence i is `query[cu_seq_q[i]:cu_seq_q[i + 1]]`, and so for keys and values. `window_size`, left and
    right, bounds which keys a query attends to, counted from its own place: (-1, 0) is causal attention. With
    `enable_gqa` several heads of queries share one of keys. `seqused_k` says how many keys of each sequence
    count. With a `block_table` keys and values are pools (pages, page size, H, D), of which it has the
    pages of each sequence. With `AuxRequest(lse=True)` it returns the result and the (T, H) `logsumexp`.

    >>> import pullback as torch
    >>> from pullback.nn.attention.varlen import varlen_attn
    >>> x = torch.ones(5, 2, 4)
    >>> varlen_attn(x, x, x, torch.tensor([0, 2, 5]), torch.tensor([0, 2, 5]), 3, 3).shape
    torch.Size([5, 2, 4])
    """
    if block_table is not None and seqused_k is None:
        raise ValueError("block_table requires seqused_k")
    if query.shape[-2] != key.shape[-2] and not enable_gqa:
        raise ValueError(
            f"Expected query and key/value to have the same number of heads, but got {query.shape[-2]} and "
            f"{key.shape[-2]}; set enable_gqa=True to share heads"
        )
    results, sums = [], []
    begins = cu_seq_q.tolist()
    key_begins = None if cu_seq_k is None else cu_seq_k.tolist()
    used = None if seqused_k is None else seqused_k.tolist()
    for i, (begin, end) in enumerate(pairwise(begins)):
        if block_table is not None:
            keys, values = _pages(key, block_table[i]), _pages(value, block_table[i])
        else:
            first, last = (begins if key_begins is None else key_begins)[i : i + 2]
            keys, values = key[first:last], value[first:last]
        if used is not None:
            keys, values = keys[: used[i]], values[: used[i]]
        parts = [part.transpose(0, 1) for part in (query[begin:end], keys, values)]
        seen = _seen(end - begin, keys.shape[0], window_size)
        attended = ops.scaled_dot_product_attention(
            *parts, attn_mask=seen, scale=scale, enable_gqa=enable_gqa
        )
        results.append(attended.transpose(0, 1))
        if return_aux is not None and return_aux.lse:
            sums.append(_sums(parts[0], parts[1], seen, scale))
    result = ops.cat(results) if results else query.new_empty(query.shape)
    return (result, ops.cat(sums)) if sums else result


def _sums(queries: Tensor, keys: Tensor, seen: Tensor | None, scale: float | None) -> Tensor:
    """The logarithms of the sums of exponentials of scores, (T, H)."""
    if keys.shape[0] != queries.shape[0]:
        keys = keys.repeat_interleave(queries.shape[0] // keys.shape[0], dim=0)
    scores = queries @ keys.transpose(-2, -1) * (queries.shape[-1] ** -0.5 if scale is None else scale)
    if seen is not None:
        scores = scores.masked_fill(~seen, float("-inf"))
    return scores.logsumexp(-1).transpose(0, 1)


def varlen_attn_out(out: Tensor, *args: Any, **options: Any) -> Any:
    """`varlen_attn` of the other arguments, whose result is written to `out`; not recorded."""
    made = varlen_attn(*args, **options)
    result = out.copy_((made[0] if isinstance(made, tuple) else made).detach())
    return (result, made[1]) if isinstance(made, tuple) else result


__getattr__ = getter(__name__)
