"""Distributions of simple functions of other ones: logarithms, powers, absolute values."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.core._engine import Tensor
from pullback.core.dtypes import finfo
from pullback.distributions import constraints
from pullback.distributions.composed import TransformedDistribution
from pullback.distributions.distribution import checked
from pullback.distributions.gamma_family import Exponential, Gamma
from pullback.distributions.location_scale import LOC_SCALE, Cauchy, Normal, Uniform
from pullback.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ExpTransform,
    PowerTransform,
    StickBreakingTransform,
)
from pullback.distributions.utils import broadcast_all, euler_constant

Constraints = dict[str, constraints.Constraint]
POSITIVE_SCALE: Constraints = {"scale": constraints.positive}


class LogNormal(TransformedDistribution):
    """exp(x) of a normal x: the density exp(-(log y - loc)**2 / (2 scale**2)) / (y scale sqrt(2 pi)).

    >>> import pullback as torch
    >>> torch.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints: ClassVar[Constraints] = LOC_SCALE
    support = constraints.positive
    has_rsample = True
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """The deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale.pow(2) / 2).exp()

    @property
    def mode(self) -> Tensor:
        return (self.loc - self.scale.square()).exp()

    @property
    def variance(self) -> Tensor:
        square = self.scale.pow(2)
        return square.expm1() * (2 * self.loc + square).exp()

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class LogisticNormal(TransformedDistribution):
    """Points of the simplex: the stick-breaking transform of a normal vector.

    >>> import pullback as torch
    >>> torch.distributions.LogisticNormal(torch.zeros(2), torch.ones(2)).event_shape
    torch.Size([3])
    """

    arg_constraints: ClassVar[Constraints] = LOC_SCALE
    support = constraints.simplex
    has_rsample = True
    base_dist: Any

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """The mean of the normal vector."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Its deviation."""
        return self.base_dist.base_dist.scale


class Gumbel(TransformedDistribution):
    """The density exp(z - exp(z)) / scale, z = (loc - x) / scale: the law of largest values.

    >>> import pullback as torch
    >>> torch.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    arg_constraints: ClassVar[Constraints] = LOC_SCALE
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        info = finfo(self.loc.dtype)
        low, high = ops.full_like(self.loc, info.tiny), ops.full_like(self.loc, 1 - info.eps)
        flip = AffineTransform(loc=0, scale=-ops.ones_like(self.scale))
        place = AffineTransform(loc=self.loc, scale=-self.scale)
        super().__init__(
            Uniform(low, high, validate_args=validate_args),
            [ExpTransform().inv, flip, ExpTransform().inv, place],
            validate_args=validate_args,
        )

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        z = (self.loc - value) / self.scale
        return (z - z.exp()) - self.scale.log()

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * euler_constant

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.pow(2)

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)


class Weibull(TransformedDistribution):
    """The density k / scale z**(k - 1) exp(-z**k), z = x / scale, k = concentration.

    >>> import pullback as torch
    >>> torch.distributions.Weibull(1.0, 2.0).mean
    tensor(0.8862)
    """

    arg_constraints: ClassVar[Constraints] = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(ops.ones_like(self.scale), validate_args=validate_args)
        power = PowerTransform(exponent=self.concentration_reciprocal)
        stretch = AffineTransform(loc=0, scale=self.scale)
        super().__init__(base, [power, stretch], validate_args=validate_args)

    def _expand_into(self, new: Any, shape: Any) -> None:
        super()._expand_into(new, shape)
        new.concentration_reciprocal = new.concentration.reciprocal()

    def _log_moment(self, order: int) -> Tensor:
        return ops.lgamma(1 + order * self.concentration_reciprocal)

    @property
    def mean(self) -> Tensor:
        return self.scale * ops.exp(self._log_moment(1))

    @property
    def mode(self) -> Tensor:
        ratio = (self.concentration - 1) / self.concentration
        return self.scale * ratio**self.concentration_reciprocal

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (ops.exp(self._log_moment(2)) - ops.exp(2 * self._log_moment(1)))

    def entropy(self) -> Tensor:
        k = self.concentration_reciprocal
        return euler_constant * (1 - k) + ops.log(self.scale * k) + 1


class Pareto(TransformedDistribution):
    """The density alpha scale**alpha / x**(alpha + 1), x from scale on.

    >>> import pullback as torch
    >>> torch.distributions.Pareto(1.0, 2.0).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[Constraints] = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        stretch = AffineTransform(loc=0, scale=self.scale)
        super().__init__(base, [ExpTransform(), stretch], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Kumaraswamy(TransformedDistribution):
    """The density a b x**(a - 1) (1 - x**a)**(b - 1) on [0, 1], a = concentration1, b = concentration0.

    >>> import pullback as torch
    >>> torch.distributions.Kumaraswamy(1.0, 2.0).mean
    tensor(0.3333)
    """

    arg_constraints: ClassVar[Constraints] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        zero = ops.zeros_like(self.concentration0)
        base = Uniform(zero, zero + 1, validate_args=validate_args)
        chain = [
            PowerTransform(exponent=self.concentration0.reciprocal()),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=self.concentration1.reciprocal()),
        ]
        super().__init__(base, chain, validate_args=validate_args)

    def _moment(self, order: int) -> Tensor:
        """The mean of x**order: b B(1 + order / a, b)."""
        a, b = 1 + order / self.concentration1, self.concentration0
        return ops.exp(ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)) * b

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """((a - 1) / (a b - 1))**(1 / a), where both are at least 1; nan elsewhere."""
        a, b = self.concentration1, self.concentration0
        known = (a >= 1) & (b >= 1)
        return ops.where(known, ((a - 1) / (a * b - 1)) ** a.reciprocal(), math.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1).pow(2)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = ops.digamma(b + 1) + euler_constant
        return (1 - b.reciprocal()) + (1 - a.reciprocal()) * harmonic - ops.log(a) - ops.log(b)


class InverseGamma(TransformedDistribution):
    """1 / x of a gamma x: the density rate**a y**(-a - 1) exp(-rate / y) / gamma(a), a = concentration.

    >>> import pullback as torch
    >>> torch.distributions.InverseGamma(2.0, 3.0).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[Constraints] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.positive
    has_rsample = True
    base_dist: Gamma

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        super().__init__(base, PowerTransform(-base.rate.new_ones(())), validate_args=validate_args)

    @property
    def concentration(self) -> Tensor:
        """The exponent a."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """The scale of 1 / x."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        a = self.concentration
        return ops.where(a > 1, self.rate / (a - 1), math.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        a = self.concentration
        return ops.where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


class Half(TransformedDistribution):
    """|x| of a distribution that is symmetric around zero: twice its density."""

    arg_constraints: ClassVar[Constraints] = POSITIVE_SCALE
    support = constraints.nonnegative
    has_rsample = True
    base_dist: Any

    @property
    def scale(self) -> Tensor:
        """The width."""
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return ops.zeros_like(self.scale)

    def log_prob(self, value: Any) -> Tensor:
        value = ops.as_tensor(value, dtype=self.scale.dtype, device=self.scale.device)
        if self._validate_args:
            self._validate_sample(value)
        return ops.where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob: Tensor) -> Tensor:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """|x| of a normal x of mean 0: sqrt(2 / pi) exp(-x**2 / (2 scale**2)) / scale, x from 0 on.

    >>> import pullback as torch
    >>> torch.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)


class HalfCauchy(Half):
    """|x| of a Cauchy x around 0: 2 / (pi scale (1 + (x / scale)**2)), x from 0 on.

    >>> import pullback as torch
    >>> torch.distributions.HalfCauchy(1.0).cdf(torch.tensor(1.0))
    tensor(0.5000)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args=False), AbsTransform(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """inf."""
        return ops.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance
