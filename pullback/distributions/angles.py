"""Angles."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.utils import broadcast_all


class VonMises(Distribution):
    """Angles in [-pi, pi), of the density exp(k cos(x - loc)) / (2 pi I0(k)), k = concentration.

    Samples come by rejection from a wrapped Cauchy distribution (D. J. Best and N. I. Fisher, 1979), in
    double precision. `rsample` has their derivatives at a fixed quantile of x - loc.

    >>> import pullback as torch
    >>> torch.distributions.VonMises(torch.tensor(0.0), torch.tensor(1.0)).variance
    tensor(0.5536)
    """

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        k = self.concentration
        return k * (ops.cos(value - self.loc) - 1) - math.log(2 * math.pi) - ops.i0e(k).log()

    @property
    def mean(self) -> Tensor:
        """The mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - I1(k) / I0(k)."""
        return 1 - ops.i1e(self.concentration) / ops.i0e(self.concentration)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        loc, k = self.loc.double().expand(shape), self.concentration.double().expand(shape)
        angle = ops.von_mises_angle(k)
        turned = ops.remainder(angle + math.pi + loc, 2 * math.pi) - math.pi
        return turned.to(self.loc.dtype)
