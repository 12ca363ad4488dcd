"""Distributions on the line with a place and a width, and on an interval."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.core.dtypes import finfo
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.exp_family import ExponentialFamily
from pullback.distributions.utils import _standard_normal, broadcast_all

LOC_SCALE: dict[str, constraints.Constraint] = {"loc": constraints.real, "scale": constraints.positive}


class LocationScale(Distribution):
    """Distributions of loc + scale e, whose mode and median are `loc`."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = LOC_SCALE
    support: Any = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    def _standard(self, value: Tensor) -> Tensor:
        """(value - loc) / scale."""
        return (value - self.loc) / self.scale


class Normal(LocationScale, ExponentialFamily):
    """The density exp(-(x - loc)**2 / (2 scale**2)) / (scale sqrt(2 pi)).

    >>> import pullback as torch
    >>> d = torch.distributions.Normal(0.0, 1.0)
    >>> d.log_prob(torch.tensor(0.0)), d.cdf(torch.tensor(1.0))
    (tensor(-0.9189), tensor(0.8413))
    """

    _mean_carrier_measure = 0

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return ops.normal(self.loc.expand(shape), self.scale.expand(shape))

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.loc + _standard_normal(shape, self.loc.dtype, self.loc.device) * self.scale

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        square = (value - self.loc) ** 2 / (2 * self.scale**2)
        return -square - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * ops.erfc(-self._standard(value) / math.sqrt(2))

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * ops.erfinv(2 * value - 1) * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + ops.log(self.scale)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return self.loc / self.scale.pow(2), -0.5 * self.scale.pow(2).reciprocal()

    def _log_normalizer(self, x: Tensor, y: Tensor) -> Tensor:
        return -0.25 * x.pow(2) / y + 0.5 * ops.log(-math.pi / y)


class Laplace(LocationScale):
    """The density exp(-|x - loc| / scale) / (2 scale).

    >>> import pullback as torch
    >>> torch.distributions.Laplace(0.0, 1.0).log_prob(torch.tensor(2.0))
    tensor(-2.6931)
    """

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        info = finfo(self.loc.dtype)
        u = self.loc.new_empty(self._extended_shape(sample_shape)).uniform_(info.eps - 1, 1)
        return self.loc - self.scale * u.sign() * ops.log1p(-u.abs().clamp(min=info.tiny))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return -ops.log(2 * self.scale) - ops.abs(value - self.loc) / self.scale

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        z = self._standard(value)
        return 0.5 - 0.5 * z.sign() * ops.expm1(-z.abs())

    def icdf(self, value: Tensor) -> Tensor:
        from_half = value - 0.5
        return self.loc - self.scale * from_half.sign() * ops.log1p(-2 * from_half.abs())

    def entropy(self) -> Tensor:
        return 1 + ops.log(2 * self.scale)


class Cauchy(LocationScale):
    """The density 1 / (pi scale (1 + ((x - loc) / scale)**2)); it has neither mean nor variance.

    >>> import pullback as torch
    >>> torch.distributions.Cauchy(0.0, 1.0).cdf(torch.tensor(1.0))
    tensor(0.7500)
    """

    @property
    def mean(self) -> Tensor:
        """nan."""
        return ops.full_like(self.loc, math.nan)

    @property
    def variance(self) -> Tensor:
        """inf."""
        return ops.full_like(self.loc, math.inf)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.loc + self.loc.new_empty(self._extended_shape(sample_shape)).cauchy_() * self.scale

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        return -math.log(math.pi) - self.scale.log() - self._standard(value).pow(2).log1p()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return ops.atan(self._standard(value)) / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return ops.tan(math.pi * (value - 0.5)) * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()


class Uniform(Distribution):
    """The density 1 / (high - low) on [low, high).

    >>> import pullback as torch
    >>> torch.distributions.Uniform(1.0, 3.0).mean
    tensor(2.)
    """

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        super().__init__(self.low.shape, validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        return (self.high + self.low) / 2

    @property
    def mode(self) -> Tensor:
        """nan: there is none."""
        return math.nan * self.high

    @property
    def stddev(self) -> Tensor:
        return (self.high - self.low) / 12**0.5

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low).pow(2) / 12

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = ops.rand(shape, dtype=self.low.dtype, device=self.low.device)
        return self.low + u * (self.high - self.low)

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        inside = self.low.le(value) & self.high.gt(value)
        return ops.log(inside.type_as(self.low)) - ops.log(self.high - self.low)

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        return ops.log(self.high - self.low)
