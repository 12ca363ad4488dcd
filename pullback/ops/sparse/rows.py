"""Gradients with few rows: of tables whose rows were looked up."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import int64
from pullback.ops.sparse.patterns import coo_pattern
from pullback.ops.sparse.tensors import build


def sparse_rows(values: Tensor, rows: Tensor, count: int, padding_idx: int = -1) -> Any:
    """The COO matrix of `count` rows that has `values` in some of them, none in the row `padding_idx`."""
    places = np.asarray(rows._array, np.int64).reshape(1, -1)
    if padding_idx >= 0:
        kept = np.flatnonzero(places[0] != padding_idx)
        values, places = ops.index_select(values, 0, from_array(kept)), places[:, kept]
    pattern = coo_pattern(places, (count, values.shape[1]), False)
    return build(pattern, values, "EmbeddingSparseBackward0")


def embedding_sparse_backward(
    g: Tensor, indices: Tensor, rows: int, padding_idx: int, by_frequency: bool
) -> Any:
    """The gradient of an embedding's matrix, sparse: the rows of `g`, each in the row it was taken from."""
    if by_frequency:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    return sparse_rows(ops.reshape(g, (-1, g.shape[-1])), indices, rows, padding_idx)


def gather_sparse_backward(g: Tensor, shape: tuple[int, ...], dim: int, index: Tensor) -> Any:
    """The gradient of `gather`, sparse: an element for each that was taken."""
    if not shape:
        return build(coo_pattern(np.zeros((0, g.numel()), np.int64), shape, False), ops.reshape(g, (-1,)))
    places = np.indices(tuple(index.shape)).reshape(len(shape), -1)
    places[dim % len(shape)] = ops.to(index, int64)._array.reshape(-1)
    return build(coo_pattern(places, shape, False), ops.reshape(g, (-1,)))
