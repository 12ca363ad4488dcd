"""Transforms onto the simplex of probabilities."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import finfo
from pullback.distributions import constraints
from pullback.distributions.transforms.base import Alike, at_least, with_end


class SoftmaxTransform(Alike):
    """y = softmax(x) along the last dim. Not bijective: the inverse, log y, is one of many.

    >>> import pullback as torch
    >>> torch.distributions.SoftmaxTransform()(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        powers = (x - x.max(-1, True)[0]).exp()
        return powers / powers.sum(-1, True)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(Alike):
    """Vectors of K numbers onto K + 1 probabilities: each takes a share of what is left of a stick.

    The k-th share, of K + 1 - k that remain, is z[k] = sigmoid(x[k] - log(K - k)), k from 0 on, so equal
    probabilities come from zeros. The Jacobian's determinant is the product of z[k] (1 - z[k]) and what
    was left before.

    >>> import pullback as torch
    >>> torch.distributions.StickBreakingTransform()(torch.zeros(3))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    @staticmethod
    def _remaining(x: Tensor, count: int) -> Tensor:
        """log(count), ..., log(1)."""
        return x.new_ones(count).cumsum(-1).flip(-1).log()

    def _call(self, x: Tensor) -> Tensor:
        info = finfo(x.dtype)
        share = ops.sigmoid(x - self._remaining(x, x.shape[-1])).clamp(min=info.tiny, max=1 - info.eps)
        left = (1 - share).cumprod(-1)
        one = ops.ones_like(x[..., :1])
        return ops.cat([share, one], -1) * ops.cat([one, left], -1)

    def _inverse(self, y: Tensor) -> Tensor:
        shares = y[..., :-1]
        left = (1 - shares.cumsum(-1)).clamp(min=finfo(y.dtype).tiny)
        return shares.log() - left.log() + self._remaining(y, shares.shape[-1])

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        logit = x - self._remaining(x, x.shape[-1])
        return (ops.logsigmoid(logit) - logit + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return with_end(shape, 1, (shape[-1] + 1,))

    def inverse_shape(self, shape: Any) -> Any:
        at_least(shape, 1)
        return with_end(shape, 1, (shape[-1] - 1,))
