"""Small functions of tensors that stand alone: coordinates, norms by name, facts about tensors.

The in-place methods that PyTorch also has as functions (`torch.abs_`) are published here.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pullback import ops
from pullback._engine import Tensor, from_array
from pullback.op import SURFACE, function

# ---------------------------------------------------------------------------------------- indices


@function(places="t")
def unravel_index(indices: Tensor, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The coordinates, one tensor for each dim of `shape`, of places in a flattened tensor.

    TypeError unless the indices are integers; ValueError for a negative size.

    >>> import pullback as torch
    >>> torch.unravel_index(torch.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(shape, Sequence):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    for size in shape:
        if not isinstance(size, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(size)}")
    if any(size < 0 for size in shape):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(shape)}")
    behind = list(itertools.accumulate(reversed(shape[1:]), operator.mul, initial=1))[::-1]
    steps, sizes = (from_array(np.asarray(n[: len(shape)], np.int64)) for n in (behind, list(shape)))
    return ops.unbind(ops.unsqueeze(indices, -1) // steps % sizes, -1)


# ------------------------------------------------------------------------------------------ norms


@function(places="t")
def frobenius_norm(
    input: Tensor, dim: int | Sequence[int], keepdim: bool = False, *, out: Tensor | None = None
) -> Tensor:
    """The root of the sum of squared magnitudes over `dim`.

    >>> import pullback as torch
    >>> torch.frobenius_norm(torch.tensor([[3.0, 4.0]]), 1)
    tensor([5.])
    """
    return ops.norm(input, 2, dim, keepdim, out=out)


@function(places="t")
def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The norms of the slices along `dim`, all other dims kept as ones; of everything if it is -1.

    >>> import pullback as torch
    >>> torch.norm_except_dim(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5.],
            [1.]])
    """
    if dim == -1:
        return ops.norm(v, pow)
    others = [d for d in range(v.ndim) if d != dim]
    return ops.norm(v, pow, others, True) if others else ops.abs(v)


# ------------------------------------------------------------------------------------- facts, memory


@function(places="t")
def get_device(input: Tensor) -> int:
    """The number of the device a tensor is on: -1 for the CPU.

    >>> import pullback as torch
    >>> torch.get_device(torch.ones(1))
    -1
    """
    return input.get_device()


@function(places="t")
def typename(obj: Any) -> str:
    """The name of the type of anything; of a tensor with its dtype.

    >>> import pullback as torch
    >>> torch.typename(torch.ones(1))
    'torch.FloatTensor'
    """
    if isinstance(obj, Tensor):
        return obj.type()
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    name: str = kind.__qualname__
    return name if module in (None, "builtins") else f"{module}.{name}"


@function(places="t")
def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made in inference mode.

    >>> import pullback as torch
    >>> torch.is_inference(torch.ones(1))
    False
    """
    return input.is_inference()


@function()
def is_distributed(input: Tensor) -> bool:
    """Whether a tensor is spread over several processes: never."""
    return False


# --------------------------------------------------------------------------- in-place, as functions

_IN_PLACE = (
    "abs acos acosh addmv arccos arccosh arcsin arcsinh arctan arctanh as_strided asin asinh atan atanh "
    "ceil clamp clamp_max clamp_min clip conj_physical cos cosh deg2rad erf erfc exp exp2 expm1 fix floor "
    "frac gcd i0 lcm ldexp log log10 log1p log2 logit nan_to_num neg negative rad2deg reciprocal relu "
    "resize_as round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy"
)
for _name in _IN_PLACE.split():
    _method = SURFACE["Tensor"].get(f"{_name}_")
    if _method is not None:
        SURFACE["torch"].setdefault(f"{_name}_", _method)
