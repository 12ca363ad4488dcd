"""The law of what exceeds a high threshold."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.utils import broadcast_all


class GeneralizedPareto(Distribution):
    """The density (1 + c z)**(-1 / c - 1) / scale, z = (x - loc) / scale from 0 on, c = concentration.

    For c = 0 it is exp(-z) / scale; for c < 0 it ends at loc - scale / c.

    >>> import pullback as torch
    >>> torch.distributions.GeneralizedPareto(0.0, 1.0, 0.5).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        ends = self.concentration < 0
        end = self.loc - self.scale / ops.where(ends, self.concentration, 1.0)
        return constraints.interval(self.loc, ops.where(ends, end, math.inf))

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Where the concentration is zero, and the concentration, 1 there."""
        zero = ops.isclose(self.concentration, ops.zeros_like(self.concentration))
        return zero, ops.where(zero, 1.0, self.concentration)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(ops.rand(shape, dtype=self.loc.dtype, device=self.loc.device))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        z, (zero, c) = self._z(value), self._shape()
        return ops.where(zero, -z, -(1 + 1 / c) * ops.log1p(c * z)) - self.scale.log()

    @checked
    def log_survival_function(self, value: Tensor) -> Tensor:
        """log(1 - cdf)."""
        z, (zero, c) = self._z(value), self._shape()
        return ops.where(zero, -z, -ops.log1p(c * z) / c)

    @checked
    def log_cdf(self, value: Tensor) -> Tensor:
        """log(cdf)."""
        return ops.log1p(-ops.exp(self.log_survival_function(value)))

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return -ops.expm1(self.log_survival_function(value))

    def icdf(self, value: Tensor) -> Tensor:
        log_rest, (zero, c) = ops.log1p(-value), self._shape()
        return self.loc + self.scale * ops.where(zero, -log_rest, ops.expm1(-c * log_rest) / c)

    @property
    def mean(self) -> Tensor:
        """inf for a concentration of at least 1."""
        known = self.concentration < 1
        below = ops.where(known, 1 - self.concentration, 1.0)
        return ops.where(known, self.loc + self.scale / below, math.inf)

    @property
    def variance(self) -> Tensor:
        """inf for a concentration of at least 1/2."""
        known = self.concentration < 0.5
        c = ops.where(known, self.concentration, 0.25)
        return ops.where(known, self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c)), math.inf)

    def entropy(self) -> Tensor:
        return (ops.log(self.scale) + self.concentration + 1).expand(self._batch_shape)

    @property
    def mode(self) -> Tensor:
        return self.loc
