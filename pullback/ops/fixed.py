"""Results of a shape or layout that is told beforehand: nonzero_static, empty_permuted; hash_tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback._engine import Tensor
from pullback.op import SURFACE, function, op
from pullback.ops.dims import wrap_dims
from pullback.ops.reduce import type_name

Array = Any


@op(name="nonzero_static", places="", nondiff=True)
def _nonzero_static(self: Tensor, size: int, fill_value: int) -> Array:
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    found = np.argwhere(self)[:size]
    result = np.full((size, self.ndim), fill_value, np.int64)
    result[: len(found)] = found
    return result


@function()
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1, out: Any = None) -> Tensor:
    """The indices of the first `size` elements that are not zero: (size, dims), filled up if fewer.

    RuntimeError for a negative size.

    >>> import pullback as torch
    >>> torch.nonzero_static(torch.tensor([0, 5, 7]), size=3)
    tensor([[ 1],
            [ 2],
            [-1]])
    """
    return _nonzero_static(input, size, fill_value, out=out)


def _check_layout(size: tuple[int, ...], layout: tuple[int, ...]) -> None:
    """Refuses what is no order of the dims."""
    if len(layout) != len(size):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. "
            f"len(size) = {len(size)} is not equal to len(physical_layout) = {len(layout)}"
        )
    for place, dim in enumerate(layout):
        if not 0 <= dim < len(size):
            raise RuntimeError(
                f"Dimension out of range (expected to be between 0 and {len(size) - 1}, but got {dim} at "
                f"index {place}).  NB: negative dims not currently supported; file an issue if you want it."
            )
    if len(set(layout)) != len(layout):
        raise RuntimeError("Duplicate dim not allowed")


@function(places="t")
def empty_permuted(size: Any, physical_layout: Any, **options: Any) -> Tensor:
    """A tensor of `size` with any numbers, whose dims lie in memory in the order `physical_layout`.

    RuntimeError for what is no order of the dims. The options are those of `empty`.

    >>> import pullback as torch
    >>> torch.empty_permuted((2, 3), (1, 0)).stride()
    (1, 2)
    """
    size, layout = tuple(size), tuple(physical_layout)
    _check_layout(size, layout)
    grad = options.pop("requires_grad", False)
    made = SURFACE["torch"]["empty"](tuple(size[d] for d in layout), **options)
    made = ops.permute(made, tuple(layout.index(d) for d in range(len(size)))).detach()
    return made.requires_grad_() if grad else made


@op(name="hash_tensor", places="", nondiff=True, takes_half=True)
def _hash_tensor(self: Tensor, dim: Any, keepdim: bool, mode: int) -> Array:
    if mode:
        raise RuntimeError(f"Unknown hash_tensor mode: {mode}")
    axes = wrap_dims(dim if dim is None or isinstance(dim, int) or len(dim) else None, self.ndim)
    axes = axes if self.ndim else ()
    if not self.size and any(not self.shape[axis] for axis in axes):
        raise RuntimeError(
            "hash_tensor: Expected reduction dim to be specified for input.numel() == 0. Specify the "
            "reduction dim with the 'dim' argument."
        )
    if self.dtype.kind == "c":
        raise NotImplementedError(f"\"xor_sum_cpu\" not implemented for '{type_name(self)}'")
    whole = self.astype(np.int64 if self.dtype.kind in "biu" else np.float64)
    return np.bitwise_xor.reduce(whole.view(np.uint64), axes, keepdims=keepdim)


@function()
def hash_tensor(
    input: Tensor, dim: Any = (), *, keepdim: bool = False, mode: int = 0, out: Any = None
) -> Tensor:
    """A number for the elements over `dim`, all if it is empty: the exclusive or of their 64 bits.

    The elements count as int64 or float64. RuntimeError for an empty dim; uint64.

    >>> import pullback as torch
    >>> torch.hash_tensor(torch.tensor([1, 2, 7]))
    tensor(4, dtype=torch.uint64)
    """
    return _hash_tensor(input, dim, keepdim, mode, out=out)
