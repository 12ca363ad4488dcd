"""Random matrices: covariance matrices, and Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
import warnings
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size, finfo
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.exp_family import ExponentialFamily
from pullback.distributions.gamma_family import Beta, Chi2
from pullback.distributions.multivariate import _half_log_det, factor_of, one_matrix
from pullback.distributions.utils import broadcast_all, lazy_property


class LKJCholesky(Distribution):
    """Cholesky factors L of n x n correlation matrices: the density of L L^T is det**(c - 1) / Z.

    That of L is the product of L[k, k]**(n - 1 - k + 2 (c - 1)) over rows k from 1 on, c = concentration.
    Samples come row by row, by the onion method of D. Lewandowski, D. Kurowicka and H. Joe (2009): a beta
    number is the squared norm of what is below the diagonal, whose direction is uniform.

    >>> import pullback as torch
    >>> torch.distributions.LKJCholesky(3, 0.5).sample().shape
    torch.Size([3, 3])
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _inner = ("_beta",)
    _kept = ("dim",)

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        like = {"dtype": self.concentration.dtype, "device": self.concentration.device}
        below = ops.cat([ops.zeros(1, **like), ops.arange(dim - 1, **like)])
        rest = (self.concentration + 0.5 * (dim - 2)).unsqueeze(-1) - 0.5 * below
        self._beta = Beta(below + 0.5, rest)
        super().__init__(self.concentration.shape, Size((dim, dim)), validate_args=validate_args)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        square = self._beta.sample(sample_shape).unsqueeze(-1)
        normal = ops.randn(self._extended_shape(sample_shape), dtype=square.dtype, device=square.device).tril(
            -1
        )
        first = ops.arange(self.dim, device=square.device).unsqueeze(-1) == 0
        direction = ops.where(first, 0.0, normal / ops.vector_norm(normal, dim=-1, keepdim=True))
        below = ops.sqrt(square) * direction
        diagonal = (1 - (below**2).sum(-1)).clamp(min=finfo(below.dtype).tiny).sqrt()
        return below + ops.diag_embed(diagonal)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        rows = self.dim - 1
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        order = ops.arange(2, self.dim + 1, device=self.concentration.device)
        power = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - order
        alpha = self.concentration + 0.5 * rows
        norm = ops.mvlgamma(alpha - 0.5, rows) - ops.lgamma(alpha) * rows
        return (power * diagonal.log()).sum(-1) - norm - 0.5 * rows * math.log(math.pi)


class Wishart(ExponentialFamily):
    """Sums of df outer products of normal vectors: det(X)**((df - n - 1) / 2) exp(-tr(S^-1 X) / 2) / Z.

    Z = (2**n det(S))**(df / 2) gamma_n(df / 2), S the covariance matrix, of which one form is given. A
    sample is L A A^T L^T, L the Cholesky factor of S, A lower triangular, of chi numbers and normal ones
    (M. S. Bartlett, 1933).

    >>> import pullback as torch
    >>> torch.distributions.Wishart(torch.tensor(3.0), torch.eye(2)).mean
    tensor([[3., 0.],
            [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _inner = ("_dist_chi2",)
    _kept = ("_unbroadcasted_scale_tril",)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, matrix = one_matrix(AssertionError, covariance_matrix, precision_matrix, scale_tril)
        if matrix.dim() < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch dimensions"
            )
        df = df if isinstance(df, Tensor) else ops.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch, event = Size(ops.broadcast_shapes(matrix.shape[:-2], df.shape)), matrix.shape[-2:]
        n = event[-1]
        if ops.is_any_true(df <= n - 1):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {n - 1}.")
        self.df = df.expand(batch)
        setattr(self, name, matrix.expand((*batch, -1, -1)))
        super().__init__(batch, event, validate_args=validate_args)
        if ops.is_any_true(self.df < n):
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < "
                "ndim.",
                stacklevel=2,
            )
        self._unbroadcasted_scale_tril = factor_of(name, matrix)
        below = ops.arange(n, dtype=matrix.dtype, device=matrix.device)
        self._dist_chi2 = Chi2(self.df.unsqueeze(-1) - below)

    @property
    def _batch_dims(self) -> list[int]:
        return [-(k + 1) for k in range(len(self._batch_shape))]

    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance matrix."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """S."""
        lower = self._unbroadcasted_scale_tril
        return (lower @ lower.mT).expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of S."""
        return ops.cholesky_inverse(self._unbroadcasted_scale_tril).expand(self._matrix_shape())

    def _each(self) -> Tensor:
        """df, to be multiplied with matrices."""
        return self.df.reshape((*self._batch_shape, 1, 1))

    @property
    def mean(self) -> Tensor:
        return self._each() * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self._each() - self._event_shape[-1] - 1
        return ops.where(factor <= 0, math.nan, factor) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        S = self.covariance_matrix
        diagonal = S.diagonal(dim1=-2, dim2=-1)
        return self._each() * (S.pow(2) + diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2))

    def _bartlett_sampling(self, sample_shape: Shape = ()) -> Tensor:
        n = self._event_shape[-1]
        noise = self._dist_chi2.rsample(sample_shape).sqrt().diag_embed(dim1=-2, dim2=-1)
        rows, columns = ops.tril_indices(n, n, offset=-1)
        size = (*sample_shape, *self._batch_shape, n * (n - 1) // 2)
        noise[..., rows, columns] = ops.randn(size, dtype=noise.dtype, device=noise.device)
        root = self._unbroadcasted_scale_tril @ noise
        return root @ root.mT

    def rsample(self, sample_shape: Shape = (), max_try_correction: int | None = None) -> Tensor:
        """Samples; singular ones are drawn again, `max_try_correction` times at most, by default 10."""
        tries = 10 if max_try_correction is None else max_try_correction
        sample = self._bartlett_sampling(sample_shape)
        if tries:  # PyTorch takes what it has drawn first for singular, and draws again
            again = self._bartlett_sampling((Size(sample_shape).numel(),))
            sample = again.reshape(self._extended_shape(sample_shape))
        for _ in range(tries):
            singular = self._singular(sample)
            if not ops.is_any_true(singular):
                break
            warnings.warn("Singular sample detected.", stacklevel=2)
            again = self._bartlett_sampling(sample_shape)
            sample = ops.where(singular.unsqueeze(-1).unsqueeze(-1), again, sample)
        return sample

    def _singular(self, sample: Tensor) -> Tensor:
        return ~self.support.check(sample)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        df, n = self.df, self._event_shape[-1]
        lower = self._unbroadcasted_scale_tril
        norm = df * (n * math.log(2) / 2 + _half_log_det(lower)) + ops.mvlgamma(df / 2, n)
        trace = ops.cholesky_solve(value, lower).diagonal(dim1=-2, dim2=-1).sum(-1)
        return (df - n - 1) / 2 * ops.slogdet(value)[1] - trace / 2 - norm

    def entropy(self) -> Tensor:
        df, n = self.df, self._event_shape[-1]
        slope = ops.digamma(df.unsqueeze(-1) / 2 - ops.arange(n, device=df.device) / 2).sum(-1)
        norm = _half_log_det(self._unbroadcasted_scale_tril) + n * math.log(2) / 2
        return (n + 1) * norm + ops.mvlgamma(df / 2, n) - (df - n - 1) / 2 * slope + df * n / 2

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        n = self._event_shape[-1]
        half = y + (n + 1) / 2
        return half * (-ops.slogdet(-2 * x)[1] + math.log(2) * n) + ops.mvlgamma(half, n)
