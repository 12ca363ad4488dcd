"""Exponential families, whose entropy comes from derivatives of their log normaliser."""

from __future__ import annotations

from typing import Any

from pullback import ops
from pullback.autograd import enable_grad, grad
from pullback.core._engine import Tensor
from pullback.distributions.distribution import Distribution
from pullback.distributions.utils import _sum_rightmost
from pullback.face.absent import getter

__all__ = ["ExponentialFamily"]


def dual(family: Any) -> tuple[list[Tensor], Tensor, tuple[Tensor, ...]]:
    """The natural parameters, the log normaliser F at them and its gradient: the mean statistics."""
    with enable_grad():
        natural = [p.detach().requires_grad_() for p in family._natural_params]
        normaliser = family._log_normalizer(*natural)
        means = grad(normaliser.sum(), natural, create_graph=True)
    return natural, normaliser, means


class ExponentialFamily(Distribution):
    """Distributions with the density `exp(<t(x), theta> - F(theta) + k(x))`.

    theta are the natural parameters, F the log normaliser, k the carrier measure. The entropy is
    `F(theta) - <theta, dF/dtheta> - E[k]`.

    >>> import pullback as torch
    >>> isinstance(torch.distributions.Gamma(1.0, 1.0), torch.distributions.ExponentialFamily)
    True
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *args: Any, **kwargs: Any) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy, by the derivative of the log normaliser."""
        carrier = self._mean_carrier_measure
        natural, result, means = dual(self)
        for theta, mean in zip(natural, means, strict=True):
            result = result - _sum_rightmost(theta * mean, len(self.event_shape))
        return ops.sub(result, carrier)


__getattr__ = getter(__name__)
