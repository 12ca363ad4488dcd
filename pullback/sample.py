"""Samples as new NumPy arrays: permutations, counts, gamma numbers, categories.

Here the parameters are arrays, one for each sample, and are checked as PyTorch checks them, in its words. The
same seed gives PyTorch's samples, bit for bit. `draw` has the distributions that fill an array in place.

Read `multinomial`.
"""

from __future__ import annotations

import numpy as np

from pullback import _random, _sampling, draw
from pullback._random import Generator, dtype_name
from pullback.draw import FLOATS, TYPE_NAMES

PRECISE = frozenset({"float32", "float64"})
MOST_CATEGORIES = 2**24


def randperm(n: int, generator: Generator) -> np.ndarray:
    """The integers 0 to n - 1 in random order, as int64."""
    return _random.permutation(n, generator)


def poisson(rate: np.ndarray, generator: Generator) -> np.ndarray:
    """Poisson numbers in the dtype and shape of `rate`, which must not be negative."""
    _require(rate, FLOATS, "poisson_cpu")
    out = np.empty(rate.shape, rate.dtype)
    if not _sampling.poisson(out, generator, rate):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return out


def binomial(count: np.ndarray, prob: np.ndarray, generator: Generator) -> np.ndarray:
    """The number of successes in `count` trials of probability `prob`, both of one dtype; they broadcast."""
    for array, name in ((count, "count"), (prob, "prob")):
        if dtype_name(array) not in FLOATS:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, "
                f"got: {TYPE_NAMES[dtype_name(array)]}"
            )
    if count.dtype != prob.dtype:
        found, expected = TYPE_NAMES[dtype_name(prob)], TYPE_NAMES[dtype_name(count)]
        raise RuntimeError(f"Found dtype {found} but expected {expected}")
    _require(count, PRECISE, "binomial_cpu")
    count, prob = np.broadcast_arrays(count, prob)
    out = np.empty(count.shape, count.dtype)
    _sampling.binomial(out, generator, count, prob)
    return out


def standard_gamma(alpha: np.ndarray, generator: Generator) -> np.ndarray:
    """Gamma numbers of shape `alpha` and rate 1, at least the least normal number of the dtype."""
    _require(alpha, PRECISE, "gamma_cpu")
    out = np.empty(alpha.shape, alpha.dtype)
    _sampling.standard_gamma(out, generator, alpha)
    return out


def dirichlet(alpha: np.ndarray, generator: Generator) -> np.ndarray:
    """Numbers in (0, 1) that sum to one along the last axis: gamma numbers over their sum."""
    _require(alpha, PRECISE, "dirichlet")
    gamma = np.empty(alpha.shape, np.float64)
    _sampling.standard_gamma(gamma, generator, alpha)
    if not gamma.size:
        return gamma.astype(alpha.dtype)
    rows = gamma.reshape(-1, gamma.shape[-1] if gamma.ndim else 1)
    with np.errstate(all="ignore"):
        out = (rows / _row_sums(rows)[:, None]).astype(alpha.dtype)
    least = np.finfo(alpha.dtype).tiny
    most = np.nextafter(alpha.dtype.type(1), alpha.dtype.type(0))
    return np.minimum(np.where(out >= least, out, least), most).reshape(alpha.shape)


def multinomial(
    probs: np.ndarray, samples: int, replacement: bool, generator: Generator
) -> np.ndarray:
    """Places in the last axis of `probs`, of one or two axes, drawn by the (unnormalised) probabilities there.

    Without replacement, and for a single sample, they are the places of the largest p / q, q exponential.
    """
    if probs.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if dtype_name(probs) not in FLOATS:
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, "
            f"got: {TYPE_NAMES[dtype_name(probs)]}"
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
    return out.reshape(probs.shape[:-1] + (samples,))


def _with_replacement(rows: np.ndarray, samples: int, generator: Generator) -> np.ndarray:
    precise = rows if dtype_name(rows) in PRECISE else rows.astype(np.float32)
    out, wrong = _sampling.categories(precise, samples, generator)
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
    draw.exponential(race, generator)
    with np.errstate(all="ignore"):
        race = rows / race
    if samples == 1:
        return race.argmax(axis=1)[:, None]
    return _sampling.largest_places(race, samples)


def _require(array: np.ndarray, known: frozenset[str], kernel: str) -> None:
    name = dtype_name(array)
    if name not in known:
        raise NotImplementedError(f'"{kernel}" not implemented for \'{TYPE_NAMES[name]}\'')


# ---- Row sums with PyTorch's order of additions ----


def _row_sums(rows: np.ndarray) -> np.ndarray:
    """Sums of float64 rows: four numbers wide, four of those side by side, then what is left over."""
    width = 4 if rows.shape[1] >= 4 else 1
    count = rows.shape[1] // width
    vectors = rows[:, : count * width].reshape(len(rows), count, width)
    whole = count // 4 * 4
    lanes = _cascade(vectors[:, :whole].reshape(len(rows), -1, 4, width))
    first = lanes[:, 0]
    for i in range(whole, count):
        first = first + vectors[:, i]
    for i in range(1, 4):
        first = first + lanes[:, i]
    total = np.zeros(len(rows))
    for column in (*rows[:, count * width :].T, *first.T):
        total = total + column
    return total


def _cascade(blocks: np.ndarray) -> np.ndarray:
    """Sum over axis 1: runs of 16 blocks (more beyond 2**16), runs of 16 of those sums, and once again."""
    count = blocks.shape[1]
    power = max(4, (count - 1).bit_length() // 4)
    levels = [np.zeros_like(blocks[:, :1].sum(axis=1)) for _ in range(4)]
    for i in range(count):
        levels[0] = levels[0] + blocks[:, i]
        for level in range(3):
            if (i + 1) % 2 ** (power * (level + 1)):
                break
            levels[level + 1] = levels[level + 1] + levels[level]
            levels[level] = np.zeros_like(levels[level])
    return levels[0] + levels[1] + levels[2] + levels[3]
