"""Attention whose scores are changed and masked by functions, as `torch.nn.attention.flex_attention`.

The functions are mapped over all scores by vmap, which are all held in memory: what PyTorch does where it
does not compile. Unlike there, gradients flow, and the largest scores are given.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple, TypedDict

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import float32, float64
from pullback.face.absent import getter
from pullback.nn.attention.block_masks import (
    _DEFAULT_SPARSE_BLOCK_SIZE,
    BlockMask,
    Mod,
    _sliced_mask_mod_error,
    and_masks,
    create_block_mask,
    create_mask,
    noop_mask,
    or_masks,
    over_scores,
)

__all__ = [
    "_DEFAULT_SPARSE_BLOCK_SIZE",
    "AuxOutput",
    "AuxRequest",
    "BlockMask",
    "FlexKernelOptions",
    "_sliced_mask_mod_error",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]


class AuxRequest(NamedTuple):
    """What `flex_attention` shall give besides its output."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for: the logarithms of the sums of exponentials of the scores, and their maxima."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """Settings of kernels on accelerators; here they change nothing."""

    num_warps: int
    num_stages: int
    BLOCK_M: int
    BLOCK_N: int
    BLOCK_M1: int
    BLOCK_N1: int
    BLOCK_M2: int
    BLOCK_N2: int
    PRESCALE_QK: bool
    ROWS_GUARANTEED_SAFE: bool
    BLOCKS_ARE_CONTIGUOUS: bool
    WRITE_DQ: bool
    FORCE_USE_FLEX_ATTENTION: bool
    USE_TMA: bool
    kpack: int
    matrix_instr_nonkdim: int
    waves_per_eu: int
    BACKEND: str


def _check(query: Tensor, key: Tensor, value: Tensor, block_mask: BlockMask | None, gqa: bool) -> None:
    """Refuses shapes that do not go together."""
    if not query.device.type == key.device.type == value.device.type:
        raise ValueError(
            "Expected query, key, and value to have the same device type, but got query.device: "
            f"{query.device}, key.device: {key.device}, and value.device: {value.device} instead."
        )
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    (batch, heads, q_len, width), (batch_kv, heads_kv, kv_len, width_kv) = query.shape, key.shape
    if batch != batch_kv:
        if block_mask is None:
            raise ValueError(
                "Expect query and key/value to have the same batch size, or non-none block_mask, but got "
                f"block_mask=None, Bq={batch}, and Bkv={batch_kv}."
            )
        if batch_kv != 1:
            raise RuntimeError(f"Bq and Bkv must broadcast. Got Bq={batch} and Bkv={batch_kv}")
        if block_mask.kv_num_blocks.size(0) != batch:
            raise ValueError(
                "Expect query and key/value to have the same batch size, or block_mask and query to have the "
                f"same batch size, but got Bq={batch}, Bkv={batch_kv}, "
                f"B_block_mask={block_mask.kv_num_blocks.size(0)}."
            )
    if not gqa and heads != heads_kv:
        raise ValueError(
            "Expect query and key/value to have the same number of heads but got "
            f"Hq={heads} and Hkv={heads_kv}. Try setting enable_gqa=True for GQA."
        )
    if gqa and heads % heads_kv:
        raise ValueError(
            "Expect number of query heads to be a multiple of kv heads for GQA but got "
            f"Hq={heads} and Hkv={heads_kv}."
        )
    if width != width_kv:
        raise ValueError(
            "Expect query and key/value to have the same embedding dimension but got "
            f"E={width} and E={width_kv}."
        )
    if block_mask is None:
        return
    lengths = block_mask.seq_lengths
    made = f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={q_len} and "
    made += f"kv_len={kv_len}. As the block mask was created for a "
    if q_len > lengths[0] or kv_len > lengths[1]:
        raise ValueError(
            f"{made}smaller length than you're using it for, you likely need to create a new block mask."
        )
    if q_len < lengths[0] or kv_len < lengths[1]:
        raise ValueError(
            f"{made}larger length than you're using it for, you can either 1. create a new block mask with "
            "the correct length, or 2. 'adjust' the existing block mask to the correct length by calling "
            "block_mask._adjust(q_len, kv_len). This essentially 'crops' the block mask to the upper left "
            "corner, which does not work for all mask_mods!"
        )


def _laid_as(x: Tensor, like: Tensor) -> Tensor:
    """A tensor with its dims in memory in the order in which another's are."""
    order = sorted(range(x.ndim), key=lambda d: -like.stride(d))
    return x.permute(order).contiguous().permute([order.index(d) for d in range(x.ndim)])


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Mod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: FlexKernelOptions | None = None,
    *,
    return_aux: AuxRequest | None = None,
) -> Any:
    """`softmax(score_mod(query @ key^T * scale)) @ value`, where `block_mask` lets scores through.

    `query` is (B, H, L, E), `key` (B, H, S, E) and `value` (B, H, S, Ev); `scale` is `1 / sqrt(E)` unless
    given. `score_mod(score, b, h, q_idx, kv_idx)` gives a score anew. With `enable_gqa` several heads of
    queries share one of keys and values. A row without any score gives zeros. `return_aux` asks for more than
    the output (B, H, L, Ev).

    >>> import pullback as torch
    >>> from pullback.nn.attention.flex_attention import create_block_mask, flex_attention
    >>> q = k = torch.zeros(1, 1, 3, 2)
    >>> v = torch.tensor([[1.0], [3.0], [5.0]]).expand(1, 1, 3, 1)
    >>> causal = create_block_mask(lambda b, h, q_idx, kv_idx: q_idx >= kv_idx, None, None, 3, 3)
    >>> flex_attention(q, k, v, block_mask=causal).flatten()
    tensor([1., 2., 3.])
    """
    if return_lse and return_aux is not None:
        raise ValueError(
            "Cannot specify both return_lse and return_aux. return_lse is deprecated, please use "
            "return_aux=AuxRequest(lse=True) instead."
        )
    _check(query, key, value, block_mask, enable_gqa)
    if enable_gqa:
        shared = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    kind = float64 if query.dtype is float64 else float32
    if scale is None:
        scale = 1.0 / math.sqrt(query.size(-1))
    scores = query.to(kind) @ key.to(kind).mT * scale
    sizes: Any = tuple(scores.shape)
    if score_mod is not None:
        scores = over_scores(score_mod, scores, sizes=sizes).to(kind)
    if block_mask is not None:
        scores = ops.where(over_scores(block_mask.mask_mod, sizes=sizes), scores, -math.inf)
    largest = scores.amax(-1, keepdim=True)
    empty = ops.isneginf(largest)
    weights = ops.softmax(scores.masked_fill(empty, 0.0), -1).masked_fill(empty, 0.0)
    output = _laid_as(weights.to(query.dtype) @ value.to(query.dtype), query)
    if return_lse:
        warnings.warn(
            "return_lse is deprecated and will be removed in v2.10. Please use "
            "return_aux=AuxRequest(lse=True) instead.",
            FutureWarning,
            stacklevel=2,
        )
        return output, ops.logsumexp(scores, -1)
    if return_aux is None:
        return output
    lse = ops.logsumexp(scores, -1) if return_aux.lse else None
    return output, AuxOutput(lse, largest.squeeze(-1) if return_aux.max_scores else None)


__getattr__ = getter(__name__)
