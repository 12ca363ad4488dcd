"""A number that tells tensors apart: `hash_tensor`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback.core._engine import Tensor
from pullback.core._plans import Spec
from pullback.core.dtypes import uint64
from pullback.core.op import function, op
from pullback.core.types import Array, Dims
from pullback.ops.reductions.plans import kept_shape
from pullback.ops.shared.dims import wrap_dims


@op(name="hash_tensor", places="", nondiff=True, takes_half=True)
def _hash_tensor(self: Array, dim: Any, keepdim: bool, mode: int) -> Array:
    whole = self.astype(np.int64 if self.dtype.kind in "biu" else np.float64)
    return np.bitwise_xor.reduce(whole.view(np.uint64), _axes(dim, self.ndim), keepdims=keepdim)  # type: ignore[call-overload]  # the stub wants a literal


def _axes(dim: Any, ndim: int) -> tuple[int, ...]:
    axes = wrap_dims(dim if dim is None or isinstance(dim, int) or len(dim) else None, ndim)
    return axes if ndim else ()


@_hash_tensor.prepare
def _plan_hash_tensor(self: Spec, dim: Any, keepdim: bool, mode: int) -> Spec:
    if mode:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    axes = _axes(dim, self.ndim)
    if not self.size and any(not self.shape[axis] for axis in axes):
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    if self.dtype.is_complex:
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{self.dtype.type_name}'")
    return Spec(uint64, kept_shape(self.shape, axes, keepdim))


@function()
def hash_tensor(
    input: Tensor, dim: Dims = (), *, keepdim: bool = False, mode: int = 0, out: Any = None
) -> Tensor:
    """A number for the elements over `dim`, all if it is empty: the exclusive or of their 64 bits.

    The elements count as int64 or float64. RuntimeError for an empty dim; uint64.

    >>> import pullback as torch
    >>> torch.hash_tensor(torch.tensor([1, 2, 7]))
    tensor(4, dtype=torch.uint64)
    """
    return _hash_tensor(input, dim, keepdim, mode, out=out)
