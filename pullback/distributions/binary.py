"""Choices of two, given by probabilities or logits: the Bernoulli distribution and its continuous kin."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pullback import ops
from pullback.autograd import no_grad
from pullback.core._engine import Tensor
from pullback.core.dtypes import Size
from pullback.distributions import constraints
from pullback.distributions.distribution import Distribution, Shape, checked
from pullback.distributions.exp_family import ExponentialFamily
from pullback.distributions.utils import (
    broadcast_all,
    clamp_probs,
    lazy_property,
    logits_to_probs,
    probs_to_logits,
)

BCE = {"reduction": "none"}


def one_of(probs: Any, logits: Any) -> None:
    """ValueError unless one of both is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class Odds(Distribution):
    """Distributions given by probabilities or by logits, of which the other is computed when asked for."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    _binary: ClassVar[bool] = True

    @lazy_property
    def logits(self) -> Tensor:
        """log(p / (1 - p)); of several categories log p, normalised."""
        return probs_to_logits(self.probs, is_binary=self._binary)

    @lazy_property
    def probs(self) -> Tensor:
        """The probabilities."""
        return logits_to_probs(self.logits, is_binary=self._binary)

    @property
    def _param(self) -> Tensor:
        """The parameter that was given."""
        return getattr(self, "probs" if "probs" in vars(self) else "logits")

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @property
    def param_shape(self) -> Size:
        """The shape of the parameter."""
        return self._param.size()

    def _set_odds(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Stores what is given; the other arguments, broadcast with it."""
        one_of(probs, logits)
        *rest, given = broadcast_all(*others, logits if probs is None else probs)
        setattr(self, "logits" if probs is None else "probs", given)
        return tuple(rest)


class Bernoulli(Odds, ExponentialFamily):
    """1 with probability p, else 0: p**x (1 - p)**(1 - x).

    >>> import pullback as torch
    >>> torch.distributions.Bernoulli(torch.tensor(0.25)).log_prob(torch.tensor([0.0, 1.0])).exp()
    tensor([0.7500, 0.2500])
    """

    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._set_odds(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return ops.where(self.probs == 0.5, math.nan, (self.probs >= 0.5).to(self.probs))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        with no_grad():
            return ops.bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        return -ops.binary_cross_entropy_with_logits(logits, value, **BCE)

    def entropy(self) -> Tensor:
        return ops.binary_cross_entropy_with_logits(self.logits, self.probs, **BCE)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(ops.arange(2, dtype=self._param.dtype, device=self._param.device), expand)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (ops.logit(self.probs),)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return ops.log1p(ops.exp(x))


class ContinuousBernoulli(Odds, ExponentialFamily):
    """The density C(p) p**x (1 - p)**(1 - x) on [0, 1], C(p) = 2 artanh(1 - 2 p) / (1 - 2 p).

    Between `lims`, near p = 1/2, where C(p) is 2, series in p - 1/2 stand for what has 1 - 2 p below. See
    G. Loaiza-Ganem and J. P. Cunningham (2019).

    >>> import pullback as torch
    >>> torch.distributions.ContinuousBernoulli(torch.tensor(0.5)).mean
    tensor(0.5000)
    """

    support = constraints.unit_interval
    _mean_carrier_measure = 0
    has_rsample = True
    _kept = ("_lims",)

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._set_odds(probs, logits)
        if probs is not None:
            given = self.probs
            if validate_args is not None and not self.arg_constraints["probs"].check(given).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(given)
        self._lims = lims
        super().__init__(self._param.shape, validate_args=validate_args)

    def _outside_unstable_region(self) -> Tensor:
        return (self.probs <= self._lims[0]) | (self.probs > self._lims[1])

    def _cut_probs(self) -> Tensor:
        """The probabilities, those near 1/2 moved away from it."""
        return ops.where(self._outside_unstable_region(), self.probs, self._lims[0])

    def _by_region(self, outside: Tensor, near: Tensor) -> Tensor:
        return ops.where(self._outside_unstable_region(), outside, near)

    @staticmethod
    def _log_ratio(p: Tensor) -> Tensor:
        """log((1 - p) / p)."""
        return ops.log1p(-p) - ops.log(p)

    def _cont_bern_log_norm(self) -> Tensor:
        """log C(p)."""
        p = self._cut_probs()
        low, high = ops.where(p <= 0.5, p, 0.0), ops.where(p >= 0.5, p, 1.0)
        slope = ops.where(p <= 0.5, ops.log1p(-2.0 * low), ops.log(2.0 * high - 1.0))
        square = (self.probs - 0.5).pow(2)
        near = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square
        return self._by_region(ops.log(self._log_ratio(p).abs()) - slope, near)

    @property
    def mean(self) -> Tensor:
        p, x = self._cut_probs(), self.probs - 0.5
        outside = p / (2.0 * p - 1.0) + 1.0 / self._log_ratio(p)
        return self._by_region(outside, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def stddev(self) -> Tensor:
        return ops.sqrt(self.variance)

    @property
    def variance(self) -> Tensor:
        p, square = self._cut_probs(), (self.probs - 0.5).pow(2)
        outside = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / self._log_ratio(p).pow(2)
        return self._by_region(outside, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(ops.rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    @checked
    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = broadcast_all(self.logits, value)
        cross = ops.binary_cross_entropy_with_logits(logits, value, **BCE)
        return -cross + self._cont_bern_log_norm()

    @checked
    def cdf(self, value: Tensor) -> Tensor:
        p = self._cut_probs()
        inside = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        inside = self._by_region(inside, value)
        return ops.where(value <= 0.0, 0.0, ops.where(value >= 1.0, 1.0, inside))

    def icdf(self, value: Tensor) -> Tensor:
        p = self._cut_probs()
        outside = ops.log1p(-p + value * (2.0 * p - 1.0)) - ops.log1p(-p)
        return self._by_region(outside / -self._log_ratio(p), value)

    def entropy(self) -> Tensor:
        start = ops.log1p(-self.probs)
        return self.mean * (start - ops.log(self.probs)) - self._cont_bern_log_norm() - start

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (ops.logit(self.probs),)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        """log((e**x - 1) / x), near zero by its series."""
        far = (x <= self._lims[0] - 0.5) | (x > self._lims[1] - 0.5)
        cut = ops.where(far, x, self._lims[0] - 0.5)
        outside = ops.log(ops.expm1(cut).abs()) - ops.log(cut.abs())
        return ops.where(far, outside, 0.5 * x + x.pow(2) / 24.0 - x.pow(4) / 2880.0)
