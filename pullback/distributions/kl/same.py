"""Divergences between two distributions of one family."""

from __future__ import annotations

import math
from typing import Any

from pullback import ops
from pullback.core._engine import Tensor
from pullback.distributions.binary import Bernoulli, ContinuousBernoulli
from pullback.distributions.categories import Categorical, OneHotCategorical
from pullback.distributions.composed import Independent, TransformedDistribution
from pullback.distributions.counts import Binomial, Geometric, Poisson
from pullback.distributions.exp_family import ExponentialFamily, dual
from pullback.distributions.gamma_family import Beta, Dirichlet, Exponential, Gamma
from pullback.distributions.images import Gumbel, HalfNormal, Pareto
from pullback.distributions.kl.registry import kl_divergence, register_kl
from pullback.distributions.location_scale import Cauchy, Laplace, Normal, Uniform
from pullback.distributions.multivariate import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    _batch_lowrank_logdet,
    _batch_lowrank_mahalanobis,
    _batch_mahalanobis,
    _half_log_det,
)
from pullback.distributions.utils import _sum_rightmost, euler_constant

# ------------------------------------------------------------------------------------ discrete


def _share(p: Tensor, log_ratio: Tensor, q: Tensor) -> Tensor:
    """p log(p / q): zero where p is, else infinite where q is zero."""
    return ops.where(p == 0, 0.0, ops.where(q == 0, math.inf, p * log_ratio))


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    ones = _share(p.probs, ops.logsigmoid(p.logits) - ops.logsigmoid(q.logits), q.probs)
    zeros = ops.logsigmoid(-p.logits) - ops.logsigmoid(-q.logits)
    return ones + _share(1 - p.probs, zeros, 1 - q.probs)


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return ops.where(p.total_count > q.total_count, math.inf, p.total_count * each)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - ops.log1p(-q.probs) / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    return _share(p.probs, p.logits - q.logits, q.probs).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


# ---------------------------------------------------------------------------------- continuous


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    return (
        p.mean * (p.logits - q.logits)
        + (p._cont_bern_log_norm() + ops.log1p(-p.probs))
        - (q._cont_bern_log_norm() + ops.log1p(-q.probs))
    )


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norm = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return norm + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log()
        + ops.lgamma(b)
        - ops.lgamma(a)
        + (a - b) * ops.digamma(a)
        + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    power = ops.exp(ops.lgamma(1 + ratio) - shift)
    return shift - ratio.log() + ratio * euler_constant + power - (1 + euler_constant)


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return distance / q.scale + ratio * ops.exp(-distance / p.scale) - ratio.log() - 1


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> Tensor:
    """F. Chyzak and F. Nielsen (2019)."""
    far = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return far.log() - (4 * p.scale * q.scale).log()


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() + ratio - 1 - ratio.log()
    return ops.where(p.scale < q.scale, math.inf, result)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    result = ((q.high - q.low) / (p.high - p.low)).log()
    return ops.where((q.low > p.low) | (q.high < p.high), math.inf, result)


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: ExponentialFamily, q: ExponentialFamily) -> Tensor:
    """The Bregman divergence of the log normaliser, of the natural parameters in reverse."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot "
            "be computed using Bregman divergences"
        )
    natural, normaliser, means = dual(p)
    others = q._natural_params
    result = q._log_normalizer(*others) - normaliser
    for theta, other, mean in zip(natural, others, means, strict=True):
        result = result - _sum_rightmost((other - theta) * mean, len(q.event_shape))
    return result


# ------------------------------------------------------------------------------ normal vectors


def _same_events(p: Any, q: Any, kinds: str) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {kinds} with{'':26}different event shapes cannot be computed"
        )


def _trace_of_square(matrix: Tensor) -> Tensor:
    """tr(X X^T)."""
    return matrix.pow(2).sum((-2, -1))


def _log_det(d: Any) -> Tensor:
    """log det of the covariance matrix."""
    if isinstance(d, MultivariateNormal):
        return 2 * _half_log_det(d._unbroadcasted_scale_tril)
    return _batch_lowrank_logdet(d._unbroadcasted_cov_factor, d._unbroadcasted_cov_diag, d._capacitance_tril)


def _roots(d: Any) -> list[Tensor]:
    """Matrices whose products with their transposes sum to the covariance matrix."""
    if isinstance(d, MultivariateNormal):
        return [d._unbroadcasted_scale_tril]
    return [d._unbroadcasted_cov_factor, ops.diag_embed(d._unbroadcasted_cov_diag.sqrt())]


def _solve(lower: Tensor, right: Tensor) -> Tensor:
    batch = ops.broadcast_shapes(lower.shape[:-2], right.shape[:-2])
    full = [m.expand((*batch, *m.shape[-2:])) for m in (lower, right)]
    return ops.solve_triangular(*full, upper=False)


def _of_vectors(p: Any, q: Any, kinds: str) -> Tensor:
    """(log det Sq - log det Sp + tr(Sq^-1 Sp) + d^T Sq^-1 d - n) / 2, d the difference of means."""
    _same_events(p, q, kinds)
    difference = q.loc - p.loc
    if isinstance(q, MultivariateNormal):
        lower = q._unbroadcasted_scale_tril
        trace = sum(_trace_of_square(_solve(lower, root)) for root in _roots(p))
        square = _batch_mahalanobis(lower, difference)
    else:
        W, D, inner = q._unbroadcasted_cov_factor, q._unbroadcasted_cov_diag, q._capacitance_tril
        a = ops.solve_triangular(inner, W.mT / D.unsqueeze(-2), upper=False)  # Sq^-1 = D^-1 - a^T a
        weights = D.rsqrt().unsqueeze(-1)
        trace = sum(
            _trace_of_square(weights * root) - _trace_of_square(ops.matmul(a, root)) for root in _roots(p)
        )
        square = _batch_lowrank_mahalanobis(W, D, difference, inner)
    return 0.5 * (_log_det(q) - _log_det(p) + trace + square - p.event_shape[0])


@register_kl(MultivariateNormal, MultivariateNormal)
def _full_full(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    return _of_vectors(p, q, "Multivariate Normals")


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_low(p: LowRankMultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    return _of_vectors(p, q, "Low Rank Multivariate Normals")


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _full_low(p: Any, q: Any) -> Tensor:
    return _of_vectors(p, q, "(Low Rank) Multivariate Normals")


# ------------------------------------------------------------------------------ made of others


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    more = len(p.event_shape) - len(p.base_dist.event_shape)
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), more)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
