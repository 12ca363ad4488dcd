"""Divergences between two families: minus the entropy of p, minus the mean of log q under p.

log q is made of few functions of x: x and its square, log x, an exponential. So each q has one rule, for
every p with these means. Where p has values that q does not allow, the divergence is infinite.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributions.binary import Bernoulli, ContinuousBernoulli
from pullback.distributions.counts import Binomial, Poisson
from pullback.distributions.gamma_family import Beta, Exponential, Gamma
from pullback.distributions.images import Gumbel, Pareto
from pullback.distributions.kl.registry import register_kl
from pullback.distributions.location_scale import Laplace, Normal, Uniform
from pullback.distributions.utils import euler_constant

Means = Callable[[Any], Tensor]


def _x_log_x(x: Tensor) -> Tensor:
    return ops.xlogy(x, x)


@functools.singledispatch
def mean_of_log(p: Any) -> Tensor:
    """The mean of log x."""
    raise NotImplementedError


@mean_of_log.register
def _(p: Beta) -> Tensor:
    return ops.digamma(p.concentration1) - ops.digamma(p.concentration1 + p.concentration0)


@mean_of_log.register
def _(p: Exponential) -> Tensor:
    return -euler_constant - p.rate.log()


@mean_of_log.register
def _(p: Gamma) -> Tensor:
    return ops.digamma(p.concentration) - p.rate.log()


@mean_of_log.register
def _(p: Pareto) -> Tensor:
    return p.scale.log() + p.alpha.reciprocal()


@mean_of_log.register
def _(p: Uniform) -> Tensor:
    return (_x_log_x(p.high) - _x_log_x(p.low)) / (p.high - p.low) - 1


@functools.singledispatch
def mean_of_power(p: Any, loc: Tensor, scale: Tensor) -> Tensor:
    """The mean of exp((loc - x) / scale)."""
    raise NotImplementedError


@mean_of_power.register
def _(p: Exponential, loc: Tensor, scale: Tensor) -> Tensor:
    return ops.exp(loc / scale) * p.rate * scale / (p.rate * scale + 1)


@mean_of_power.register
def _(p: Gamma, loc: Tensor, scale: Tensor) -> Tensor:
    return ops.exp(loc / scale - p.concentration * ops.log1p((p.rate * scale).reciprocal()))


@mean_of_power.register
def _(p: Normal, loc: Tensor, scale: Tensor) -> Tensor:
    return ops.exp((loc - p.loc) / scale + 0.5 * (p.scale / scale).pow(2))


@mean_of_power.register
def _(p: Uniform, loc: Tensor, scale: Tensor) -> Tensor:
    ends = ops.exp((loc - p.low) / scale) - ops.exp((loc - p.high) / scale)
    return scale * ends / (p.high - p.low)


# ------------------------------------------------------------------------- minus the mean of log q


def _to_normal(p: Any, q: Normal) -> Tensor:
    square = p.variance + (p.mean - q.loc).pow(2)
    return (math.sqrt(2 * math.pi) * q.scale).log() + square / (2 * q.scale.pow(2))


def _to_exponential(p: Any, q: Exponential) -> Tensor:
    return q.rate * p.mean - q.rate.log()


def _to_gamma(p: Any, q: Gamma) -> Tensor:
    a = q.concentration
    return ops.lgamma(a) - a * q.rate.log() - (a - 1) * mean_of_log(p) + q.rate * p.mean


def _to_gumbel(p: Any, q: Gumbel) -> Tensor:
    return q.scale.log() + (p.mean - q.loc) / q.scale + mean_of_power(p, q.loc, q.scale)


def _to_continuous_bernoulli(p: Any, q: ContinuousBernoulli) -> Tensor:
    return -p.mean * q.logits - ops.log1p(-q.probs) - q._cont_bern_log_norm()


def _to_uniform(p: Any, q: Uniform) -> Tensor:
    return (q.high - q.low).log()


def _to_pareto(p: Any, q: Pareto) -> Tensor:
    return (q.alpha + 1) * mean_of_log(p) - q.alpha.log() - q.alpha * q.scale.log()


def _to_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    rest = Uniform(1 - p.high, 1 - p.low, validate_args=False)
    norm = ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)
    return norm - (a - 1) * mean_of_log(p) - (b - 1) * mean_of_log(rest)


def _to_laplace(p: Normal, q: Laplace) -> Tensor:
    z = (p.loc - q.loc) / p.scale
    distance = math.sqrt(2 / math.pi) * ops.exp(-0.5 * z.pow(2)) + z * ops.erf(z / math.sqrt(2))
    return (2 * q.scale).log() + p.scale * distance / q.scale


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    return q.rate - p.probs * q.rate.log() - p.entropy()


def _ends(support: Any) -> tuple[Any, Any]:
    return getattr(support, "lower_bound", -math.inf), getattr(support, "upper_bound", math.inf)


def _within(p: Any, q: Any, result: Tensor) -> Tensor:
    """The result, infinite where p goes beyond the ends of q."""
    (low, high), (least, most) = _ends(p.support), _ends(q.support)
    beyond = ops.as_tensor(low < least) | ops.as_tensor(high > most)
    return ops.where(beyond, math.inf, result)


def _infinite(p: Any, q: Any) -> Tensor:
    shape = ops.broadcast_shapes(p.batch_shape, q.batch_shape)
    return ops.full_like(p.mean, math.inf).expand(shape)


def _enter(to: Callable[[Any, Any], Tensor], q_kind: type, *p_kinds: type) -> None:
    def divergence(p: Any, q: Any) -> Tensor:
        return _within(p, q, to(p, q) - p.entropy())

    for kind in p_kinds:
        register_kl(kind, q_kind)(divergence)


_enter(_to_normal, Normal, Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform)
_enter(_to_exponential, Exponential, Beta, ContinuousBernoulli, Gamma, Pareto, Uniform)
_enter(_to_gamma, Gamma, Beta, Exponential, Pareto, Uniform)
_enter(_to_gumbel, Gumbel, Exponential, Gamma, Normal, Uniform)
_enter(_to_continuous_bernoulli, ContinuousBernoulli, Beta, Uniform)
_enter(_to_uniform, Uniform, Beta, ContinuousBernoulli)
_enter(_to_beta, Beta, Uniform)
_enter(_to_pareto, Pareto, Uniform)
_enter(_to_laplace, Laplace, Normal)

for _p, _qs in {
    (Beta, ContinuousBernoulli): (Pareto,),
    (Exponential, Gamma): (Beta, ContinuousBernoulli, Pareto, Uniform),
    (Gumbel, Laplace, Normal): (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    (Pareto,): (Beta, ContinuousBernoulli, Uniform),
    (Poisson,): (Bernoulli, Binomial),
}.items():
    for _p_kind in _p:
        for _q_kind in _qs:
            register_kl(_p_kind, _q_kind)(_infinite)
