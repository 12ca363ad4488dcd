"""Transforms onto Cholesky factors and positive definite matrices."""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import finfo
from pullback.distributions import constraints
from pullback.distributions.transforms.base import Alike, Transform, at_least, with_end
from pullback.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix


class CorrCholeskyTransform(Transform):
    """Vectors of n (n - 1) / 2 numbers onto Cholesky factors of n x n correlation matrices.

    With z = tanh(x) below the diagonal, L[i, j] is z[i, j] times the root of what is left of the row's norm
    1: the product of 1 - z[i, k]**2 over k < j. That root stands on the diagonal.

    >>> import pullback as torch
    >>> torch.distributions.CorrCholeskyTransform()(torch.ones(1))
    tensor([[1.0000, 0.0000],
            [0.7616, 0.6481]])
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = finfo(x.dtype).eps
        z = vec_to_tril_matrix(x.tanh().clamp(min=-1 + eps, max=1 - eps), diag=-1)
        left = (1 - z * z).sqrt().cumprod(-1)
        z = z + ops.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        return z * ops.cat([ops.ones_like(left[..., :1]), left[..., :-1]], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = 1 - (y * y).cumsum(-1)
        before = ops.cat([ops.ones_like(left[..., :1]), left[..., :-1]], -1)
        z = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(before, diag=-1).sqrt()
        return (z.log1p() - (-z).log1p()) / 2

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor, intermediates: Any = None) -> Tensor:
        left = tril_matrix_to_vec(1 - (y * y).cumsum(-1), diag=-2)  # of a row's norm, before each column
        return left.log().sum(-1) / 2 + 2 * (math.log(2.0) - x - ops.softplus(-2 * x)).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        n = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if n * (n - 1) // 2 != shape[-1]:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return with_end(shape, 1, (n, n))

    def inverse_shape(self, shape: Any) -> Any:
        at_least(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        n = shape[-1]
        return with_end(shape, 2, (n * (n - 1) // 2,))


class LowerCholeskyTransform(Alike):
    """Matrices onto lower triangular ones with a positive diagonal: exp on the diagonal, zeros above.

    >>> import pullback as torch
    >>> torch.distributions.LowerCholeskyTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Alike):
    """Matrices onto positive definite ones: L L^T for the L of `LowerCholeskyTransform`.

    >>> import pullback as torch
    >>> torch.distributions.PositiveDefiniteTransform()(torch.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        lower = LowerCholeskyTransform()(x)
        return lower @ lower.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(ops.linalg_cholesky(y))
