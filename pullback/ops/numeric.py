"""The coordinates behind flat indices; and the in-place methods that are functions, too (`torch.abs_`)."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence

import numpy as np

from pullback import ops
from pullback._engine import Tensor, from_array
from pullback.op import SURFACE, function


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
