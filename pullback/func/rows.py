"""Many products of one recorded Jacobian, as numbers: all at a time where that can be."""

from __future__ import annotations

import warnings

import numpy as np

from pullback.autograd.passes import grad
from pullback.core import _engine
from pullback.core._engine import Tensor
from pullback.core.types import Array

CHUNK = 2**23
"""So many elements may a batch of products have."""


def products(outputs: Tensor, inputs: Tensor, seeds: Array) -> Array:
    """`seed' d(outputs)/d(inputs)` for each row of `seeds`, flat; zeros where nothing depends.

    As many as memory allows are one batched backward pass. A graph that cannot be batched, as after
    writes through views, is gone through once for each.
    """
    dtype = outputs.detach().numpy().dtype
    if not outputs.requires_grad or not len(seeds) or not outputs.numel():
        return np.zeros((len(seeds), inputs.numel()), dtype)
    size = max(1, CHUNK // max(outputs.numel(), inputs.numel(), 1))
    rows: list[Array] = []
    for start in range(0, len(seeds), size):
        part = np.ascontiguousarray(seeds[start : start + size], dtype).reshape(-1, *outputs.shape)
        try:
            rows.append(_pass(outputs, inputs, part, batched=len(part) > 1))
        except (RuntimeError, NotImplementedError):
            rows.extend(_pass(outputs, inputs, row[None], batched=False) for row in part)
    return np.concatenate(rows)


def _pass(outputs: Tensor, inputs: Tensor, part: Array, batched: bool) -> Array:
    """One backward pass, from several gradients or from one."""
    given = _engine.from_array(part if batched else part[0])
    with warnings.catch_warnings():  # that an op is looped over is no concern of who asked for a matrix
        warnings.filterwarnings("ignore", "There is a performance drop", UserWarning)
        (found,) = grad(
            outputs, inputs, given, is_grads_batched=batched, retain_graph=True, materialize_grads=True
        )
    return found.detach().numpy().reshape(len(part), -1)
