"""Sparse Jacobians and Hessians: pattern, colouring, a few products, recovery.

The pattern comes from `patterns.trace`. Columns that share no row get one colour and are computed by
one product with the sum of their unit vectors; a Hessian's entry may be read from either of its two
places, which needs fewer colours still. So a banded matrix takes as many products as the band is wide,
whatever its size. Read `sparse_jacobian` first.

Sources: Curtis, Powell and Reid (1974); Coleman and More (1983, 1984); Gebremedhin, Manne and Pothen,
"What color is your Jacobian?" (2005).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pullback import ops
from pullback.autograd.passes import grad
from pullback.core._engine import Tensor
from pullback.core.modes import enable_grad
from pullback.core.types import Array
from pullback.func.rows import products
from pullback.transforms.patterns import dependencies

__all__ = ["hessian_sparsity", "jacobian_sparsity", "sparse_hessian", "sparse_jacobian"]


def jacobian_sparsity(f: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    """Which entries of the Jacobian of `f` at x can differ from zero: a boolean csr_array of shape
    `(f(x).numel(), x.numel())`.

    The function runs once, on patterns; the result holds for the branches that it takes at x.

    >>> import pullback as torch
    >>> from pullback.func import jacobian_sparsity
    >>> jacobian_sparsity(lambda x: x[1:] * x[:-1], torch.ones(3)).toarray().astype(int)
    array([[1, 1, 0],
           [0, 1, 1]])
    """
    _check_input("jacobian_sparsity", x)
    return dependencies(f, x)


def hessian_sparsity(f: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    """Which entries of the Hessian of a scalar function at x can differ from zero: a symmetric boolean
    csr_array of shape `(x.numel(), x.numel())`. It is the pattern of the traced backward pass.

    >>> import pullback as torch
    >>> from pullback.func import hessian_sparsity
    >>> hessian_sparsity(lambda x: (x[1:] * x[:-1]).sum(), torch.ones(3)).toarray().astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    _check_input("hessian_sparsity", x)
    pattern = dependencies(functools.partial(_recorded_gradient, f), x)
    return (pattern + pattern.T).tocsr()


def sparse_jacobian(f: Callable[[Tensor], Tensor], x: Tensor, *, sparsity: Any = None) -> Any:
    """The Jacobian of a tensor function at x, as a scipy.sparse csr_array of shape
    `(f(x).numel(), x.numel())`.

    Both have any shape and count in the order of memory. The columns are coloured, or the rows where
    these need fewer colours; the cost is one run of `f` and one product J v (or u J) a colour.
    `sparsity`, a sparse matrix from `jacobian_sparsity` or of your own, saves the tracing. TypeError
    unless x is a tensor of real floating-point numbers; ValueError for a pattern of another shape.

    >>> import pullback as torch
    >>> torch.sparse_jacobian(lambda x: x[1:] ** 2 - x[:-1], torch.arange(4.0)).toarray()
    array([[-1.,  2.,  0.,  0.],
           [ 0., -1.,  4.,  0.],
           [ 0.,  0., -1.,  6.]], dtype=float32)
    """
    _check_input("sparse_jacobian", x)
    pattern = dependencies(f, x) if sparsity is None else sparsity
    with enable_grad():
        start = x.detach().clone().requires_grad_()
        y = f(start)
        if not isinstance(y, Tensor):
            raise TypeError(f"sparse_jacobian: f must return a tensor, but returned {type(y).__name__}")
        pattern = _checked_pattern("sparse_jacobian", pattern, (y.numel(), x.numel()))
        columns, colours, by_rows = _jacobian_colours(pattern)
        if pattern.nnz == 0 or not y.requires_grad:
            return _with_entries(pattern, np.zeros(pattern.nnz, x.numpy().dtype))
        if by_rows:
            found = products(y, start, columns)
        else:
            weights = ops.zeros_like(y).requires_grad_()
            (pulled,) = grad(y, start, weights, create_graph=True)
            found = products(pulled, weights, columns)
    rows, entries = _entries(pattern)
    lines, along = (rows, entries) if by_rows else (entries, rows)
    return _with_entries(pattern, found[colours[lines], along])


def sparse_hessian(f: Callable[[Tensor], Tensor], x: Tensor, *, sparsity: Any = None) -> Any:
    """The Hessian of a scalar function at x, as a symmetric scipy.sparse csr_array of shape
    `(x.numel(), x.numel())`.

    A star colouring of the pattern says which Hessian-vector products are needed: an entry (i, j) is read
    from the product of j's colour at i, or from that of i's at j. A tridiagonal Hessian takes 3 products,
    one with a dense row, a dense column and a diagonal 2. `sparsity` is a pattern from
    `hessian_sparsity`, or of your own; it saves the tracing, in a solver that calls this at each step.
    TypeError unless x is a tensor of real floating-point numbers; RuntimeError if `f` returns more than
    one element; ValueError for a pattern that is not symmetric or of another shape.

    >>> import pullback as torch
    >>> torch.sparse_hessian(lambda x: ((x[1:] - x[:-1]) ** 2).sum(), torch.ones(4)).toarray()
    array([[ 2., -2.,  0.,  0.],
           [-2.,  4., -2.,  0.],
           [ 0., -2.,  4., -2.],
           [ 0.,  0., -2.,  2.]], dtype=float32)
    """
    _check_input("sparse_hessian", x)
    pattern = hessian_sparsity(f, x) if sparsity is None else sparsity
    pattern = _checked_pattern("sparse_hessian", pattern, (x.numel(), x.numel()))
    if (pattern != pattern.T).nnz:
        raise ValueError("sparse_hessian: the pattern is not symmetric")
    colours = _hessian_colours(pattern)
    with enable_grad():
        start = x.detach().clone().requires_grad_()
        slope = _recorded_gradient(f, start)
        if pattern.nnz == 0 or not slope.requires_grad:
            return _with_entries(pattern, np.zeros(pattern.nnz, x.numpy().dtype))
        found = products(slope, start, _seeds(colours))
    return _recovered(pattern, colours, found)


# ----------------------------------------------------------------------------------------- parts


def _check_input(name: str, x: Any) -> None:
    if not isinstance(x, Tensor) or not x.dtype.is_floating_point:
        given = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name}: x must be a tensor of real floating-point numbers, not {given}")


def _checked_pattern(name: str, pattern: Any, shape: tuple[int, int]) -> Any:
    """A pattern as a boolean csr_array with sorted entries."""
    from scipy.sparse import csr_array

    pattern = csr_array(pattern, copy=True)
    if pattern.shape != shape:
        raise ValueError(f"{name}: the pattern has the shape {pattern.shape}, the matrix {shape}")
    pattern.data = np.ones(pattern.nnz, bool)
    pattern.sum_duplicates()
    return pattern


def _recorded_gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The gradient of a scalar function, recorded; zeros where it depends on nothing."""
    y = f(x)
    if not isinstance(y, Tensor) or y.numel() != 1:
        given = f"a tensor of shape {list(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise RuntimeError(f"the Hessian is that of a scalar function, but f returned {given}")
    if not y.requires_grad:
        return ops.zeros_like(x)
    (slope,) = grad(y, x, ops.ones_like(y), create_graph=True, materialize_grads=True)
    return slope


def _entries(pattern: Any) -> tuple[Array, Array]:
    """Row and column of each entry."""
    return np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices


def _with_entries(pattern: Any, values: Array) -> Any:
    """The matrix with these entries."""
    from scipy.sparse import csr_array

    return csr_array((values, pattern.indices, pattern.indptr), shape=pattern.shape)


def _long(a: Array) -> Array:
    return np.ascontiguousarray(a, np.int64)


def _jacobian_colours(pattern: Any) -> tuple[Array, Array, bool]:
    """Seeds, the colour of each column, and whether it is the rows that were coloured.

    A row of k entries needs k colours of columns, and the other way round: the side with the smaller
    bound goes first, and the other only if it may do better.
    """
    from pullback.kernels.colouring import distance_two

    turned = pattern.T.tocsr()
    best: tuple[Array, bool] | None = None
    sides = [(pattern, turned, False), (turned, pattern, True)]
    for a, b, by_rows in sorted(sides, key=lambda side: np.diff(side[0].indptr).max(initial=0)):
        if best is not None and np.diff(a.indptr).max(initial=0) > best[0].max(initial=0):
            break
        order = np.argsort(-np.diff(b.indptr), kind="stable")
        found = distance_two(*map(_long, (a.indptr, a.indices, b.indptr, b.indices, order)))
        if best is None or found.max(initial=-1) < best[0].max(initial=-1):
            best = found, by_rows
    assert best is not None
    return _seeds(best[0]), *best


def _hessian_colours(pattern: Any) -> Array:
    """A star colouring of a symmetric pattern."""
    from pullback.kernels.colouring import star

    rows, entries = _entries(pattern)
    outside = rows != entries
    degrees = np.bincount(rows[outside], minlength=pattern.shape[0])
    starts = np.concatenate([[0], np.cumsum(degrees)])
    order = np.argsort(-degrees, kind="stable")
    return star(_long(starts), _long(entries[outside]), _long(order))


def _seeds(colours: Array) -> Array:
    """A row for each colour: the sum of the unit vectors that have it."""
    count = int(colours.max(initial=-1)) + 1
    return colours[None, :] == np.arange(count)[:, None]


def _recovered(pattern: Any, colours: Array, found: Array) -> Any:
    """A symmetric matrix from its products: each entry from where nothing was added to it."""
    rows, entries = _entries(pattern)
    count = len(found)
    here = rows * count + colours[entries]
    alone = np.bincount(here, minlength=pattern.shape[0] * count)[here] == 1
    values = np.where(alone, found[colours[entries], rows], found[colours[rows], entries])
    return _with_entries(pattern, values)
