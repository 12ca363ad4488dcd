"""Decompositions of low rank: a few singular vectors, principal components, extreme eigenpairs.

The range of a matrix is found by multiplying a random matrix with it again and again (Halko,
Martinsson and Tropp, 2009); what remains is small and goes to `linalg.svd`. Made of ops: so are
their derivatives.
"""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor, adjoint, levels
from pullback.core.op import function
from pullback.ops.linalg.eigen import eigh_pairs
from pullback.ops.linalg.qr import qr_factors
from pullback.ops.linalg.stacks import first_columns, transposed
from pullback.ops.linalg.svd import svd_factors
from pullback.ops.linalg.triangular import triangular


def _range_basis(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """Orthonormal columns that span most of the range of `A - M`."""

    def forward(x: Tensor) -> Tensor:
        return A @ x if M is None else A @ x - M @ x

    def backward(x: Tensor) -> Tensor:
        product = adjoint(A) @ x
        return product if M is None else product - adjoint(M) @ x

    Q = qr_factors(forward(ops.randn(A.shape[-1], q, dtype=A.dtype)), "reduced")[0]
    for _ in range(niter):
        Q = qr_factors(backward(Q), "reduced")[0]
        Q = qr_factors(forward(Q), "reduced")[0]
    return Q


def _low_rank(A: Tensor, q: int, niter: int, M: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    M = None if M is None else ops.expand_as(M, A)
    wide = A.shape[-2] < A.shape[-1]
    if wide:
        A, M = adjoint(A), None if M is None else adjoint(M)
    Q = _range_basis(A, q, niter, M)
    B = adjoint(Q) @ A
    U, S, Vh = svd_factors(B if M is None else B - adjoint(Q) @ M, False)
    U, V = Q @ U, adjoint(Vh)
    return (V, S, U) if wide else (U, S, V)


@function(places="t")
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of about the `q` largest singular values of `A - M`, A and M being (..., m, n).

    `niter` times the range is made more exact. Draws random numbers. `q` is 6 by default.

    >>> import pullback as torch
    >>> A = torch.outer(torch.ones(4), torch.ones(9))
    >>> torch.svd_lowrank(A, q=1)[1].round(decimals=3)
    tensor([6.])
    """
    return _low_rank(A, 6 if q is None else q, 2 if niter is None else niter, M)


@function(places="t")
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and V of about the `q` largest singular values of the rows of A less their mean.

    The columns of V are the principal directions of the data (..., m, n), S**2 / (m - 1) the variances
    along them. `q` is 6, m or n, the least, by default; ValueError if it is too large.

    >>> import pullback as torch
    >>> torch.pca_lowrank(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), q=1)[1]
    tensor([1.4142])
    """
    m, n = A.shape[-2:]
    q = min(6, m, n) if q is None else q
    if not 0 <= q <= min(m, n):
        raise ValueError(f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}")
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    if center:
        A = A - ops.mean(A, -2, True)
    return _low_rank(A, q, niter, None)


# ------------------------------------------------------------------------------ extreme eigenpairs


def _whitened(A: Tensor, B: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """`L^-1 A L^-H` for B = L L^H, and L: an eigenproblem without B."""
    if B is None:
        return A, None
    L = ops.cholesky_ex(B)[0]
    half = triangular(L, A, upper=False)
    return adjoint(triangular(L, adjoint(half), upper=False)), L


def _pairs(A: Tensor, basis: Tensor, down: bool) -> tuple[Tensor, Tensor]:
    """Ritz values and, within the basis, vectors; the largest first if `down`."""
    values, inner = eigh_pairs(transposed(basis) @ A @ basis, "L")
    return (ops.flip(values, (-1,)), ops.flip(inner, (-1,))) if down else (values, inner)


def _iterated(
    A: Tensor, X: Tensor, iK: Tensor | None, down: bool, turns: int, tol: float, tracker: Any
) -> tuple[Tensor, Tensor]:
    """LOBPCG (Knyazev 2001): Rayleigh and Ritz among the vectors, the residuals and the last steps."""
    k = X.shape[-1]
    X = qr_factors(X, "reduced")[0]
    values, inner = _pairs(A, X, down)
    X, step = X @ inner, None
    enough = tol * math.sqrt(A.shape[-1]) * float(ops.amax(ops.abs(A)))
    for turn in range(turns):
        away = A @ X - X * ops.unsqueeze(values, -2)
        if tracker is not None:
            tracker(turn, values, X, away)
        if float(ops.amax(ops.abs(away))) <= enough:
            break
        parts = [X, away if iK is None else iK @ away, *([] if step is None else [step])]
        basis = qr_factors(ops.cat(parts, -1), "reduced")[0]
        ritz_values, inner = _pairs(A, basis, down)
        chosen = first_columns(inner, k)
        # the step is what the new vectors have beyond the old ones
        rest = ops.narrow(basis, -1, k, basis.shape[-1] - k)
        step = rest @ ops.narrow(chosen, -2, k, chosen.shape[-2] - k)
        values, X = ops.narrow(ritz_values, -1, 0, k), basis @ chosen
    return values, X


def _check_pairs(A: Tensor, k: int) -> None:
    rows, count = A.shape[-2], A.shape[-1]
    assert rows == count, f"A must be square, got shape {A.shape}"
    if rows < 3 * k:
        raise ValueError(
            f"LOBPCG algorithm is not applicable when the number of A rows (={rows}) is smaller than "
            f"3 x the number of requested eigenpairs (={k})"
        )


@function(places="t")
def lobpcg(
    A: Tensor,
    k: int | None = None,
    B: Tensor | None = None,
    X: Tensor | None = None,
    n: int | None = None,
    iK: Tensor | None = None,
    niter: int | None = None,
    tol: float | None = None,
    largest: bool | None = None,
    method: str | None = None,
    tracker: Any = None,
    ortho_iparams: Any = None,
    ortho_fparams: Any = None,
    ortho_bparams: Any = None,
) -> tuple[Tensor, Tensor]:
    """The `k` largest eigenvalues (smallest with `largest=False`) and vectors of symmetric matrices.

    With B, of `A x = value B x`, B positive-definite. `X` starts the iteration, `iK` preconditions it,
    `niter` and `tol` end it, `tracker(turn, values, X, residuals)` watches. ValueError if A has fewer
    than 3 k rows. Where a gradient is wanted, `linalg.eigh` finds the pairs: it has all of them.

    >>> import pullback as torch
    >>> torch.lobpcg(torch.diag(torch.arange(1.0, 10.0)), k=1)[0].round()
    tensor([9.])
    """
    k = (1 if X is None else X.shape[-1]) if k is None else k
    _check_pairs(A, k)
    if method not in (None, "basic", "ortho"):
        raise ValueError(f"unknown method: {method}")
    plain, L = _whitened(A, B)
    down = True if largest is None else largest
    if levels() or plain.requires_grad:
        values, V = eigh_pairs((plain + adjoint(plain)) * 0.5, "L")  # the iteration, too, sees both triangles
        if down:
            values, V = ops.flip(values, (-1,)), ops.flip(V, (-1,))
        values, V = ops.narrow(values, -1, 0, k), first_columns(V, k)
    else:
        wide = k if n is None else n
        start = ops.randn(*A.shape[:-1], wide, dtype=A.dtype) if X is None else X
        if L is not None and X is not None:
            start = transposed(L) @ start
        limit = ops.finfo(A.dtype).eps ** 0.5 if tol is None else tol
        turns = 1000 if niter is None or niter < 0 else niter
        values, V = _iterated(plain, start, iK, down, turns, limit, tracker)
        values, V = ops.narrow(values, -1, 0, k), first_columns(V, k)
    return values, V if L is None else triangular(adjoint(L), V, upper=True)
