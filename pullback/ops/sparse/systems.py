"""Sparse matrices of diagonals, and sparse systems of equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from pullback import ops
from pullback.core._engine import Tensor, from_array
from pullback.core.dtypes import sparse_coo
from pullback.core.modes import no_grad
from pullback.core.op import function
from pullback.ops.sparse.convert import as_layout
from pullback.ops.sparse.patterns import coo_pattern
from pullback.ops.sparse.products import adjoint, at_places
from pullback.ops.sparse.tensors import Kept, build, elements, implements, is_sparse, recorded, sparse


@function(name="_spdiags", places="t", aliases=("sparse.spdiags",))
def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> Tensor:
    """The sparse matrix with the rows of `diagonals` on the diagonals `offsets`.

    Element `j` of a row stands in column `j`, so of an upper diagonal the first ones are not used.

    >>> import pullback as torch
    >>> torch.sparse.spdiags(torch.tensor([1.0, 2.0]), torch.tensor(1), (2, 2)).to_dense()
    tensor([[0., 2.],
            [0., 0.]])
    """
    rows = ops.atleast_2d(diagonals)
    at = ops.atleast_1d(offsets)
    if len(shape) != 2:
        raise RuntimeError(f"Output shape must be 2d, got {len(shape)}")
    if at.shape[0] != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({at.shape[0]})"
        )
    if len(np.unique(at._array)) != at.shape[0]:
        raise RuntimeError("Offset tensor contains duplicate values")
    height, width = shape
    places, picks = [], []
    for i, offset in enumerate(at._array.tolist()):
        begin, end = max(offset, 0), min(height + offset, width, rows.shape[1])
        columns = np.arange(begin, max(end, begin))
        places.append(np.stack([columns - offset, columns]))
        picks.append(columns + i * rows.shape[1])
    v = ops.index_select(ops.reshape(rows, (-1,)), 0, from_array(np.concatenate(picks)))
    made = build(coo_pattern(np.concatenate(places, 1), shape, False), v, "SpdiagsBackward0")
    return made if layout is None or layout is sparse_coo else as_layout(made, layout)


@function(name="_spsolve", places="t", aliases=("sparse.spsolve",))
def spsolve(input: Tensor, other: Tensor, *, left: bool = True) -> Tensor:
    """The solution `x` of `input @ x = other` for a sparse matrix, by a sparse LU decomposition.

    The gradient of the matrix has its pattern. RuntimeError for a matrix that is not square.

    >>> import pullback as torch
    >>> torch.sparse.spsolve(2 * torch.eye(2).to_sparse_csr(), torch.ones(2))
    tensor([0.5000, 0.5000])
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    if not is_sparse(input) or input.ndim != 2 or input.shape[0] != input.shape[1] or not left:
        raise RuntimeError("spsolve: expected a square sparse matrix on the left")
    rows, columns = sparse(input).pattern.places
    data = elements(sparse(input).pattern, sparse(input).numbers)._array
    solver = splu(csc_matrix((data, (rows, columns)), tuple(input.shape)))
    with no_grad():
        result = from_array(solver.solve(other._array))
    kept_a, kept_x = Kept(input), Kept(result.detach())

    def back(g: Any) -> Any:
        return spsolve(adjoint(kept_a()), g)

    def for_matrix(g: Any) -> Any:
        u, x = back(g), kept_x()
        u, x = (ops.unsqueeze(t, 1) if t.ndim == 1 else t for t in (u, x))
        return at_places(sparse(input).pattern, -u, ops.conj(x))

    return recorded("SpsolveBackward0", result, (input, for_matrix), (other, back))


implements("_spsolve")(spsolve.__wrapped__)


@implements("linalg_solve solve")
def _solve(A: Any, B: Any, *, left: bool = True) -> Tensor:
    return spsolve(A, B, left=left)
