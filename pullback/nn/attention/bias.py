"""Causal masks for attention that are made when they are needed, as `torch.nn.attention.bias`."""

from __future__ import annotations

import warnings
from enum import IntEnum, auto
from typing import Any

from pullback import ops
from pullback.core._engine import DisableTorchFunction, Tensor
from pullback.core.dtypes import bool_
from pullback.face.absent import getter
from pullback.nn import functional as F

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(IntEnum):
    """Which corner of the mask the diagonal ends in, where there are more keys than queries."""

    UPPER_LEFT = auto()
    LOWER_RIGHT = auto()


class CausalBias(Tensor):
    """A causal mask that knows its kind and size, and has no numbers.

    `scaled_dot_product_attention` takes it for `attn_mask`; query i sees the keys j ≤ i, or with
    `LOWER_RIGHT` the keys j ≤ i + seq_len_kv - seq_len_q. `causal_upper_left` and `causal_lower_right` make
    one.
    """

    variant: CausalVariant
    seq_len_q: int
    seq_len_kv: int

    def __new__(cls, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> CausalBias:
        made: Any = Tensor._make_subclass(cls, ops.zeros(()))
        return made

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(f"variant must be a CausalVariant, got {type(variant)}")
        self.variant, self.seq_len_q, self.seq_len_kv = variant, seq_len_q, seq_len_kv
        if seq_len_q > seq_len_kv and variant == CausalVariant.LOWER_RIGHT:
            warnings.warn(
                "Lower right causal bias will produce NaNs in the output when seq_len_q > seq_len_kv!",
                stacklevel=2,
            )

    def _materialize(self, device: Any = None) -> Tensor:
        """The mask as a tensor of bools, (seq_len_q, seq_len_kv)."""
        shift = self.seq_len_kv - self.seq_len_q if self.variant == CausalVariant.LOWER_RIGHT else 0
        full = ops.ones(self.seq_len_q, self.seq_len_kv, device=device, dtype=bool_)
        mask: Tensor = ops.tril(full, diagonal=shift)
        return mask

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            with DisableTorchFunction():
                return func(*args, **(kwargs or {}))
        return _attention(*args, **(kwargs or {}))

    def __repr__(self) -> str:
        return repr(self._materialize())


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Tensor:
    """Attention with the mask made, or not made where the plain causal one is the same."""
    if is_causal:
        raise ValueError("CausalBias should not be used with causal=True")
    square = attn_mask.seq_len_q == attn_mask.seq_len_kv
    plain = square or attn_mask.variant == CausalVariant.UPPER_LEFT
    mask = None if plain else attn_mask._materialize(query.device)
    return F.scaled_dot_product_attention(query, key, value, mask, dropout_p, plain, **options)


def causal_upper_left(*size: int) -> CausalBias:
    """The causal mask of `size` (queries, keys) whose diagonal begins in the upper left corner.

    >>> from pullback.nn.attention.bias import causal_upper_left
    >>> causal_upper_left(2, 3)
    tensor([[ True, False, False],
            [ True,  True, False]])
    """
    assert len(size) == 2, "causal_upper_left only supports 2D tensors"
    return CausalBias(CausalVariant.UPPER_LEFT, *size)


def causal_lower_right(*size: int) -> CausalBias:
    """The causal mask of `size` (queries, keys) whose diagonal ends in the lower right corner.

    >>> from pullback.nn.attention.bias import causal_lower_right
    >>> causal_lower_right(2, 3)
    tensor([[ True,  True, False],
            [ True,  True,  True]])
    """
    assert len(size) == 2, "causal_lower_right only supports 2D tensors"
    return CausalBias(CausalVariant.LOWER_RIGHT, *size)


__getattr__ = getter(__name__)
