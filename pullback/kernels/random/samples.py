"""Samples as new NumPy arrays: permutations, counts, gamma numbers, categories.

Here the parameters are arrays, one for each sample, and are checked as PyTorch checks them, in its
words. The same seed gives PyTorch's samples, bit for bit. `draw` has the distributions that fill an
array in place.

Read `multinomial`.
"""

from __future__ import annotations

import numpy as np

from pullback.kernels.random import fills, generators, sampling
from pullback.kernels.random.fills import FLOATS, TYPE_NAMES, require
from pullback.kernels.random.generators import Generator, dtype_name

PRECISE = frozenset({"float32", "float64"})
MOST_CATEGORIES = 2**24


def randperm(n: int, generator: Generator) -> np.ndarray:
    """The integers 0 to n - 1 in random order, as int64."""
    out = np.empty(n, np.int64)
    generators.shuffle(out, generator)
    return out


def poisson(rate: np.ndarray, generator: Generator) -> np.ndarray:
    """Poisson numbers in the dtype and shape of `rate`, which must not be negative."""
    require(rate, FLOATS, "poisson_cpu")
    out = np.empty(rate.shape, rate.dtype)
    if not sampling.poisson(out, generator, rate):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return out


def binomial(count: np.ndarray, prob: np.ndarray, generator: Generator) -> np.ndarray:
    """The number of successes in `count` trials of probability `prob`; both of one dtype."""
    for array, name in ((count, "count"), (prob, "prob")):
        if dtype_name(array) not in FLOATS:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{TYPE_NAMES[dtype_name(array)]}"
            )
    if count.dtype != prob.dtype:
        found, expected = TYPE_NAMES[dtype_name(prob)], TYPE_NAMES[dtype_name(count)]
        raise RuntimeError(f"Found dtype {found} but expected {expected}")
    require(count, PRECISE, "binomial_cpu")
    count, prob = np.broadcast_arrays(count, prob)
    out = np.empty(count.shape, count.dtype)
    sampling.binomial(out, generator, count, prob)
    return out


def standard_gamma(alpha: np.ndarray, generator: Generator) -> np.ndarray:
    """Gamma numbers of shape `alpha` and rate 1, at least the least normal number of the dtype."""
    require(alpha, PRECISE, "gamma_cpu")
    out = np.empty(alpha.shape, alpha.dtype)
    sampling.standard_gamma(out, generator, alpha)
    return out


def dirichlet(alpha: np.ndarray, generator: Generator) -> np.ndarray:
    """Numbers in (0, 1) that sum to one along the last axis: gamma numbers over their sum."""
    require(alpha, PRECISE, "dirichlet")
    gamma = np.empty(alpha.shape, np.float64)
    sampling.standard_gamma(gamma, generator, alpha)
    out = np.empty(alpha.shape, alpha.dtype)
    if out.size:
        rows = np.atleast_1d(gamma).reshape(-1, alpha.shape[-1] if alpha.ndim else 1)
        sampling.shares(rows, out)
    return out


def multinomial(probs: np.ndarray, samples: int, replacement: bool, generator: Generator) -> np.ndarray:
    """Places in the last axis of `probs`, drawn by the probabilities there, which need no sum of 1.

    `probs` has one or two axes. Without replacement, and for a single sample, the places are those
    of the largest p / q, q exponential.
    """
    if probs.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if dtype_name(probs) not in FLOATS:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {TYPE_NAMES[dtype_name(probs)]}"
        )
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and samples > probs.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    if probs.shape[-1] > MOST_CATEGORIES:
        raise RuntimeError("number of categories cannot exceed 2^24")
    rows = np.atleast_2d(probs)
    if not len(rows):
        out = np.empty((0, samples), np.int64)
    elif replacement and samples > 1:
        out = _with_replacement(rows, samples, generator)
    else:
        out = _without_replacement(rows, samples, generator)
    return out.reshape((*probs.shape[:-1], samples))


def _with_replacement(rows: np.ndarray, samples: int, generator: Generator) -> np.ndarray:
    precise = rows if dtype_name(rows) in PRECISE else rows.astype(np.float32)
    out, wrong = sampling.categories(precise, samples, generator)
    if wrong:
        raise RuntimeError(f"invalid multinomial distribution ({wrong})")
    return out


def _without_replacement(rows: np.ndarray, samples: int, generator: Generator) -> np.ndarray:
    if not rows.shape[1]:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
        )
    if not (rows.min() >= 0 and rows.max() < np.inf):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not (rows > 0).any(axis=1).all():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    race = np.empty_like(rows)
    fills.exponential(race, generator)
    with np.errstate(all="ignore"):
        race = rows / race
    if samples == 1:
        return race.argmax(axis=1)[:, None]
    return sampling.largest_places(race, samples)
