"""Normal vectors, with full covariance matrices and with those of low rank plus a diagonal."""

from __future__ import annotations

import math
from typing import ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.utils import _standard_normal, lazy_property


def _batch_mv(bmat: Tensor, bvec: Tensor) -> Tensor:
    """Products of matrices and vectors."""
    return ops.matmul(bmat, bvec.unsqueeze(-1)).squeeze(-1)


def _batch_mahalanobis(bL: Tensor, bx: Tensor) -> Tensor:
    """x^T (L L^T)^-1 x, for lower triangular L and vectors x that broadcast.

    Where x has samples of the batch of L in front, they become columns: one system for each L.
    """
    n, batch = bx.size(-1), bL.shape[:-2]
    extra = bx.dim() - 1 - len(batch)
    if extra < 1 or any(a % b for a, b in zip(bx.shape[extra:-1], batch, strict=True)):
        shape = ops.broadcast_shapes(bx.shape[:-1], batch)
        y = ops.solve_triangular(bL, bx.expand((*shape, n)).unsqueeze(-1), upper=False)
        return y.squeeze(-1).pow(2).sum(-1)
    # (i, k, j, n) with k = batch and j the multiples of it: k first, the rest are columns.
    split: list[int] = []
    for a, b in zip(bx.shape[extra:-1], batch, strict=True):
        split += [a // b, b]
    parts = bx.reshape((*bx.shape[:extra], *split, n))
    own = [extra + 2 * k + 1 for k in range(len(batch))]
    rest = [*range(extra), *(extra + 2 * k for k in range(len(batch)))]
    columns = parts.permute((*own, parts.dim() - 1, *rest))
    y = ops.solve_triangular(bL, columns.reshape((*batch, n, -1)), upper=False)
    sums = y.pow(2).sum(-2).reshape((*batch, *(parts.shape[k] for k in rest)))
    order = [*own, *rest]
    return sums.permute([order.index(k) for k in range(len(order))]).reshape(bx.shape[:-1])


def _precision_to_scale_tril(P: Tensor) -> Tensor:
    """The Cholesky factor of the inverse of a positive definite matrix.

    If P with rows and columns reversed is K K^T, then P = U U^T with U, K reversed, upper triangular, so
    the factor is the transposed inverse of U.
    """
    upper = ops.linalg_cholesky(ops.flip(P, (-2, -1))).flip((-2, -1))
    eye = ops.eye(P.shape[-1], dtype=P.dtype, device=P.device)
    return ops.solve_triangular(upper.mT, eye, upper=False)


def _half_log_det(lower: Tensor) -> Tensor:
    """Half of log det L L^T."""
    return lower.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class NormalVector(Distribution):
    """What normal vectors have in common."""

    support = constraints.real_vector
    has_rsample = True
    loc: Tensor

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc


class MultivariateNormal(NormalVector):
    """The density exp(-(x - loc)^T S^-1 (x - loc) / 2) / sqrt(det(2 pi S)).

    One of the covariance matrix S, its inverse and its Cholesky factor is given. All work goes by the
    factor.

    >>> import pullback as torch
    >>> d = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> d.log_prob(torch.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    _kept = ("_unbroadcasted_scale_tril",)

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = one_matrix(ValueError, covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            shown = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{shown} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = Size(ops.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape + self._event_shape

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance matrix."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        lower = self._unbroadcasted_scale_tril
        return ops.matmul(lower, lower.mT).expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S."""
        return ops.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._matrix_shape())

    @property
    def variance(self) -> Tensor:
        diagonal = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return diagonal.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        normal = _standard_normal(shape, self.loc.dtype, self.loc.device)
        return self.loc + _batch_mv(self._unbroadcasted_scale_tril, normal)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        square = _batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        norm = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (norm + square) - _half_log_det(self._unbroadcasted_scale_tril)

    def entropy(self) -> Tensor:
        norm = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (norm + _half_log_det(self._unbroadcasted_scale_tril)).expand(self._batch_shape)


def one_matrix(
    error: type[Exception],
    covariance_matrix: Tensor | None,
    precision_matrix: Tensor | None,
    scale_tril: Tensor | None,
) -> tuple[str, Tensor]:
    """The one of three matrices that is given, and its name; an error unless it is one."""
    given = {
        "covariance_matrix": covariance_matrix,
        "precision_matrix": precision_matrix,
        "scale_tril": scale_tril,
    }
    found = [(name, value) for name, value in given.items() if value is not None]
    if len(found) != 1:
        raise error("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
    return found[0]


def factor_of(name: str, matrix: Tensor) -> Tensor:
    """The Cholesky factor of the covariance matrix, from the matrix of that name."""
    if name == "scale_tril":
        return matrix
    if name == "covariance_matrix":
        return ops.linalg_cholesky(matrix)
    return _precision_to_scale_tril(matrix)


def _batch_capacitance_tril(W: Tensor, D: Tensor) -> Tensor:
    """The Cholesky factor of the capacitance matrix 1 + W^T D^-1 W."""
    m = W.size(-1)
    scaled = W.mT / D.unsqueeze(-2)
    return ops.linalg_cholesky(ops.matmul(scaled, W) + ops.eye(m, dtype=W.dtype, device=W.device))


def _batch_lowrank_logdet(W: Tensor, D: Tensor, capacitance_tril: Tensor) -> Tensor:
    """log det(W W^T + D) = log det(capacitance) + log det D."""
    return 2 * _half_log_det(capacitance_tril) + D.log().sum(-1)


def _batch_lowrank_mahalanobis(W: Tensor, D: Tensor, x: Tensor, capacitance_tril: Tensor) -> Tensor:
    """x^T (W W^T + D)^-1 x, by Woodbury's formula: x^T D^-1 x - |L^-1 W^T D^-1 x|**2, L the factor given."""
    scaled = W.mT / D.unsqueeze(-2)
    inner = _batch_mahalanobis(capacitance_tril, _batch_mv(scaled, x))
    return (x.pow(2) / D).sum(-1) - inner


class LowRankMultivariateNormal(NormalVector):
    """A normal vector with the covariance matrix S = W W^T + D, W n x m, D diagonal.

    Its inverse and determinant come from the m x m matrix 1 + W^T D^-1 W.

    >>> import pullback as torch
    >>> d = torch.distributions.LowRankMultivariateNormal(torch.zeros(2), torch.ones(2, 1), torch.ones(2))
    >>> d.covariance_matrix
    tensor([[2., 1.],
            [1., 2.]])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    _kept = ("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril")

    def __init__(
        self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        try:
            batch = Size(ops.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]))
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, "
                f"cov_diag {cov_diag.shape}"
            ) from error
        self.loc = loc.expand((*batch, -1))
        self.cov_factor = cov_factor.expand((*batch, -1, -1))
        self.cov_diag = cov_diag.expand((*batch, -1))
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = _batch_capacitance_tril(cov_factor, cov_diag)
        super().__init__(batch, event, validate_args=validate_args)

    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape + self._event_shape

    @lazy_property
    def variance(self) -> Tensor:
        """The diagonal of S."""
        diagonal = self._unbroadcasted_cov_factor.pow(2).sum(-1) + self._unbroadcasted_cov_diag
        return diagonal.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of S: D^1/2 times that of 1 + D^-1/2 W W^T D^-1/2."""
        n = self._event_shape[0]
        root = self._unbroadcasted_cov_diag.sqrt().unsqueeze(-1)
        scaled = self._unbroadcasted_cov_factor / root
        inner = ops.matmul(scaled, scaled.mT) + ops.eye(n, dtype=root.dtype, device=root.device)
        return (root * ops.linalg_cholesky(inner)).expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        factor = self._unbroadcasted_cov_factor
        full = ops.matmul(factor, factor.mT) + ops.diag_embed(self._unbroadcasted_cov_diag)
        return full.expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S: D^-1 - A^T A, A = L^-1 W^T D^-1, L the factor of 1 + W^T D^-1 W."""
        diagonal = self._unbroadcasted_cov_diag
        scaled = self._unbroadcasted_cov_factor.mT / diagonal.unsqueeze(-2)
        a = ops.solve_triangular(self._capacitance_tril, scaled, upper=False)
        return (ops.diag_embed(diagonal.reciprocal()) - ops.matmul(a.mT, a)).expand(self._matrix_shape())

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        inner = (*shape[:-1], self.cov_factor.shape[-1])
        low = _standard_normal(inner, self.loc.dtype, self.loc.device)
        own = _standard_normal(shape, self.loc.dtype, self.loc.device)
        spread = _batch_mv(self._unbroadcasted_cov_factor, low)
        return self.loc + spread + self._unbroadcasted_cov_diag.sqrt() * own

    def _log_det(self) -> Tensor:
        return _batch_lowrank_logdet(
            self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag, self._capacitance_tril
        )

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        square = _batch_lowrank_mahalanobis(
            self._unbroadcasted_cov_factor,
            self._unbroadcasted_cov_diag,
            value - self.loc,
            self._capacitance_tril,
        )
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self._log_det() + square)

    def entropy(self) -> Tensor:
        norm = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (0.5 * (norm + self._log_det())).expand(self._batch_shape)
