"""Gamma and Dirichlet numbers, and how samples move with the parameters of their distribution.

A sample x at a fixed quantile of a distribution F moves with a parameter p as F(x; p) = const says:

    dx/dp = -(dF/dp) / f,   f the density.

dF/dp is an integral up to x, with the integrand

    gamma       (log t - digamma(a)) t**(a - 1) e**-t
    beta        (log t - digamma(a) + digamma(a + b)) t**(a - 1) (1 - t)**(b - 1)
    von Mises   (cos t - I1(k) / I0(k)) e**(k cos t)

The whole integral is zero, so it may be taken over either side of x: over the one where the integrand keeps
its sign. All is relative to the density at x, so nothing underflows in the tails. A component of a Dirichlet
number is beta distributed, and the others share the rest. See M. Figurnov, S. Mohamed and A. Mnih (2018), and
M. Jankowiak and F. Obermeyer (2018). Read `_gamma_kernel`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pullback.core.meta import meta_array
from pullback.core.op import elementwise, op
from pullback.core.strides import preserved_strides
from pullback.core.types import Array
from pullback.kernels.random import fills, samples
from pullback.ops.arrays.random import Generator, default_generator
from pullback.ops.shared.refusals import unimplemented, without_derivative


class Rule(NamedTuple):
    """How integrals are taken: Gauss's and Legendre's points and weights, and where they end."""

    points: Array
    weights: Array
    drop: float
    """The integral ends where the integrand has fallen by e**-drop."""


def _rule(count: int, drop: float) -> Rule:
    points, weights = np.polynomial.legendre.leggauss(count)
    return Rule(points[:, None], weights, drop)


DOUBLE, SINGLE = _rule(64, 45.0), _rule(24, 20.0)
BLOCK = 4096  # numbers worked on together: their integrands stay in the cache

Curve = Callable[..., Array]
"""A function of places, and of parameters for each."""


def _integral(rule: Rule, integrand: Curve, parameters: tuple[Array, ...], *cuts: Array) -> Array:
    """The integral from the first cut to the last, part by part between neighbours."""
    total = np.zeros_like(cuts[0])
    for low, high in itertools.pairwise(cuts):
        wide = high > low
        if not wide.any():
            continue
        half = (high[wide] - low[wide]) / 2
        places = low[wide] + half * (1 + rule.points)
        total[wide] += rule.weights @ integrand(places, *(p[wide] for p in parameters)) * half
    return total


def _far_end(rule: Rule, height: Curve, slope: Curve, parameters: tuple[Array, ...], beyond: Array) -> Array:
    """Where a concave curve has fallen to -drop, from a point beyond: Newton's steps do not overshoot."""
    for _ in range(8):
        beyond = beyond - (height(beyond, *parameters) + rule.drop) / slope(beyond, *parameters)
    return beyond


def _by_blocks(kernel: Callable[..., Array], *arrays: Any) -> Array:
    """What a kernel on vectors of doubles gives, for arrays of any shapes, in their dtype."""
    whole = np.broadcast_arrays(*arrays)
    kind = np.result_type(*arrays)
    rule = DOUBLE if kind == np.float64 else SINGLE
    flat = [np.ravel(x).astype(np.float64) for x in whole]
    out = np.empty(flat[0].size)
    with np.errstate(all="ignore"):
        for start in range(0, out.size, BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = kernel(rule, *(x[part] for x in flat))
    return out.reshape(whole[0].shape).astype(kind)


# ---------------------------------------------------------------------------------------- gamma


def _gamma_height(w: Array, a: Array, x: Array) -> Array:
    """The logarithm of the density over that at x, in w = log(t / x)."""
    return (a - x) * w - x * (np.expm1(w) - w)


def _gamma_kernel(rule: Rule, a: Array, x: Array) -> Array:
    """dx/da of gamma numbers x of shape a."""
    from scipy.special import psi

    usual = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    odd = np.where((x <= 0) & (a > 0), 0.0, np.nan)
    a, x = np.where(usual, a, 1.0), np.where(usual, x, 1.0)
    shift = np.log(x) - psi(a)
    up = shift > 0
    wide = np.where(x > 1, (0.5 + np.sqrt(0.25 + 2 * rule.drop * x)) / x, np.log1p(1.5 * rule.drop / x))
    beyond = np.where(up, wide, -(rule.drop + x) / a)
    end = _far_end(rule, _gamma_height, lambda w, a, x: a - x * np.exp(w), (a, x), beyond)
    low, high = np.minimum(end, 0), np.maximum(end, 0)
    bend = np.clip(-4 - np.log(x), low, high)  # a long flat stretch ends there
    area = _integral(
        rule,
        lambda w, a, x, shift: (w + shift) * np.exp(_gamma_height(w, a, x)),
        (a, x, shift),
        low,
        bend,
        high,
    )
    return np.where(usual, x * np.abs(area), odd)


def _gamma_gradient(self: Any, output: Any) -> Any:
    return _by_blocks(_gamma_kernel, self, output)


standard_gamma_grad = elementwise(
    "_standard_gamma_grad",
    kernel=_gamma_gradient,
    inputs=("self", "output"),
    kinds="TT",
    places="t",
    allowed="f",
    refuse=unimplemented("_standard_gamma_grad_cpu"),
    vjp={name: without_derivative("_standard_gamma_grad") for name in ("self", "output")},
    doc="The derivative of gamma numbers `output` in their shape `self`, at a fixed quantile.",
)


@op(name="_standard_gamma", places="t", random=True, moves=True)
def standard_gamma(self: Array, generator: Generator | None = None) -> Array:
    """Gamma numbers of the shapes in `self` and rate 1. Their derivative is that at a fixed quantile."""
    return samples.standard_gamma(self, default_generator if generator is None else generator)


standard_gamma.vjp(self=lambda g, self, result: g * standard_gamma_grad(self, result))
# A tangent made of the backward rule would draw again.
standard_gamma.jvp(lambda self, self_primal, result: self * standard_gamma_grad(self_primal, result))
standard_gamma.meta(lambda self, generator: meta_array(self.shape, self.dtype, preserved_strides(self)))

# ------------------------------------------------------------------------------------ Dirichlet


def _softplus(w: Array) -> Array:
    return np.maximum(w, 0) + np.log1p(np.exp(-np.abs(w)))


def _beta_height(v: Array, a: Array, total: Array, origin: Array) -> Array:
    """The logarithm of the density over that at x, in v, the logit of t less that of x, `origin`."""
    return a * v - total * (_softplus(origin + v) - _softplus(origin))


def _beta_slope(v: Array, a: Array, total: Array, origin: Array) -> Array:
    return a - total / (1 + np.exp(-origin - v))


def _beta_integrand(v: Array, a: Array, total: Array, origin: Array, shift: Array) -> Array:
    inner = _softplus(-origin - v)  # -log t; softplus(w) is w more
    height = a * v - total * (inner + v - _softplus(-origin))
    return (shift - inner) * np.exp(height)


def _beta_kernel(rule: Rule, x: Array, a: Array, total: Array) -> Array:
    """dx/da / (1 - x) of beta numbers x with parameters a and b = total - a."""
    from scipy.special import psi

    usual = (a > 0) & (total > a) & (x > 0) & (x < 1) & np.isfinite(total)
    odd = np.where(x >= 1, 1.0, x * 0)
    a, total, x = np.where(usual, a, 1.0), np.where(usual, total, 2.0), np.where(usual, x, 0.5)
    log_x, log_rest = np.log(x), np.log1p(-x)
    origin, shift, b = log_x - log_rest, psi(total) - psi(a), total - a
    up = log_x + shift > 0
    beyond = np.where(up, (rule.drop - total * log_x) / b, -(rule.drop - total * log_rest) / a)
    end = _far_end(rule, _beta_height, _beta_slope, (a, total, origin), beyond)
    low, high = np.minimum(end, 0), np.maximum(end, 0)
    bend = np.log1p(total)  # the curve bends between -bend and bend, and is straight far beyond
    edges = (-bend - 36, -bend - 4, bend + 4, bend + 36)
    cuts = [low, *(np.clip(edge - origin, low, high) for edge in edges), high]
    area = _integral(rule, _beta_integrand, (a, total, origin, shift), *cuts)
    return np.where(usual, x * np.abs(area), odd)


def _dirichlet_gradient(x: Any, alpha: Any, total: Any) -> Any:
    return _by_blocks(_beta_kernel, x, alpha, total)


dirichlet_grad = elementwise(
    "_dirichlet_grad",
    kernel=_dirichlet_gradient,
    inputs=("x", "alpha", "total"),
    kinds="TTT",
    places="t",
    allowed="f",
    grad_name="NotImplemented",
    refuse=unimplemented("_dirichlet_grad_cpu"),
    vjp={name: without_derivative("_dirichlet_grad") for name in ("x", "alpha", "total")},
    doc="The derivative over `1 - x` of a beta number in its parameter `alpha`, at a fixed quantile; `total` "
    "is the sum of both parameters.",
)


@op(
    name="_sample_dirichlet", places="t", random=True, moves=True, batch="leading", grad_name="NotImplemented"
)
def sample_dirichlet(self: Array, generator: Generator | None = None) -> Array:
    """Dirichlet numbers: along the last dim they sum to one."""
    return samples.dirichlet(self, default_generator if generator is None else generator)


sample_dirichlet.vjp(self=without_derivative("_sample_dirichlet"))
sample_dirichlet.meta(lambda self, generator: meta_array(self.shape, self.dtype))


def _along(g: Any, x: Any, self: Any) -> Any:
    """A component's parameter moves it as a beta number does, and the others share what is left."""
    slope = dirichlet_grad(x, self, self.sum(-1, True).expand_as(self))
    return slope * (g - (x * g).sum(-1, True))


@op(places="", random=True, moves=True, batch="leading", grad_name="_DirichletBackward")
def dirichlet(self: Array, generator: Generator | None = None) -> Array:
    """`_sample_dirichlet` with the derivative that moves each component at a fixed quantile."""
    return samples.dirichlet(self, default_generator if generator is None else generator)


dirichlet.vjp(self=lambda g, self, result: _along(g, result, self))


@dirichlet.jvp
def _dirichlet_tangent(self: Any, self_primal: Any, result: Any) -> Any:
    total = self_primal.sum(-1, True).expand_as(self_primal)
    moved = dirichlet_grad(result, self_primal, total) * self
    return moved - result * moved.sum(-1, True)


dirichlet.meta(lambda self, generator: meta_array(self.shape, self.dtype))

# --------------------------------------------------------------------------------------- angles


def _angle_kernel(rule: Rule, x: Array, k: Array) -> Array:
    """dx/dk of von Mises angles x in [-pi, pi] of concentration k, around zero."""
    from scipy.special import i0e, i1e

    mean = i1e(k) / i0e(k)
    size = np.abs(x)
    inner = np.cos(size) > mean  # between zero and x the integrand is positive, beyond it negative
    # cos t is at most 1 - 2 t**2 / pi**2, so far from x nothing is left.
    far = np.sqrt(size**2 + np.pi**2 * rule.drop / np.maximum(2 * k, 1e-30))
    low = np.where(inner, 0.0, size)
    high = np.where(inner, size, np.minimum(np.pi, far))
    top = np.cos(size)
    area = _integral(
        rule,
        lambda t, k, mean, top: (np.cos(t) - mean) * np.exp(k * (np.cos(t) - top)),
        (k, mean, top),
        low,
        (low + high) / 2,
        high,
    )
    return -np.sign(x) * np.abs(area)


def _angle_gradient(x: Any, concentration: Any) -> Any:
    return _by_blocks(_angle_kernel, x, concentration)


angle_grad = elementwise(
    "angle_grad",
    kernel=_angle_gradient,
    inputs=("x", "concentration"),
    kinds="TT",
    places="",
    allowed="f",
    vjp={name: without_derivative("angle_grad") for name in ("x", "concentration")},
    doc="The derivative of von Mises angles around zero in their concentration, at a fixed quantile.",
)


def _accepted(u: Array, k: Array, r: Array) -> tuple[Array, Array]:
    """Angles from a wrapped Cauchy distribution by three uniform numbers each, and which ones are taken."""
    z = np.cos(np.pi * u[0])
    f = (1 + r * z) / (r + z)
    c = k * (r - f)
    taken = (c * (2 - c) - u[1] > 0) | (np.log(c / u[1]) + 1 - c >= 0)
    return np.sign(u[2] - 0.5) * np.arccos(f), taken


@op(places="", random=True, moves=True)
def von_mises_angle(self: Array, generator: Generator | None = None) -> Array:
    """Angles around zero of the concentrations in `self`: D. J. Best and N. I. Fisher (1979)."""
    source = default_generator if generator is None else generator
    tau = 1 + np.sqrt(1 + 4 * self * self)
    rho = (tau - np.sqrt(2 * tau)) / (2 * self)
    # Their r is lost to rounding where the density is flat.
    r = np.where(self < 1e-5, 1 / self + self, (1 + rho * rho) / (2 * rho))
    angles, wanted = np.zeros(self.shape), np.ones(self.shape, bool)
    with np.errstate(all="ignore"):
        while wanted.any():
            u = np.empty((3, *self.shape))
            fills.uniform(u, source, 0.0, 1.0)
            drawn, taken = _accepted(u, self, r)
            angles = np.where(taken, drawn, angles)
            wanted &= ~taken
    return angles.astype(self.dtype)


von_mises_angle.vjp(self=lambda g, self, result: g * angle_grad(result, self))
von_mises_angle.jvp(lambda self, self_primal, result: self * angle_grad(result, self_primal))
von_mises_angle.meta(lambda self, generator: meta_array(self.shape, self.dtype))
