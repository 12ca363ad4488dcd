# cython: cdivision=True
"""Distributions whose numbers take a varying number of draws, and sampling of categories.

Poisson, binomial and gamma numbers come by rejection; the arithmetic follows the dtype, since a
float32 parameter is worked on in single precision here and there. A categorical sample with
replacement looks a uniform number up in cumulative sums; one without takes the largest of p / q
with exponential q, for which `largest_places` is here.

The numbers are PyTorch's, bit for bit. `out` and parameters are as in `generators.pyx`; `rows` is (m, n), of
weights or probabilities. Nothing is checked but what the draws themselves find out: `samples.py` stands in
front. Read `draw_gamma`.
"""

import numpy as np

from libc.float cimport DBL_EPSILON, DBL_MIN, FLT_EPSILON, FLT_MIN
from libc.math cimport ceil, exp, fabs, floor, lgamma, log, log1p, log1pf, pow, sqrt, sqrtf
from libc.stdint cimport int64_t
from libc.string cimport memset
from numpy cimport import_array, ndarray, PyArray_DATA

from pullback.core.dtype_codes cimport FLOAT64
from pullback.kernels.random.generators cimport (
    Generator,
    Params,
    Twister,
    code_of,
    fill,
    fill_doubles,
    params_of,
    twister_normal,
    twister_unit,
)

import_array()

cdef extern from "pullback/kernels/select.h" nogil:
    ctypedef struct Entry:
        double value
        int64_t place
    void select_largest(Entry*, Py_ssize_t, Py_ssize_t)

ctypedef fused real:
    float
    double


# ---- Poisson ----

cdef double draw_poisson(Twister* twister, double rate) noexcept nogil:
    if rate >= 10:
        return draw_large_poisson(twister, rate)
    cdef double limit = exp(-rate), product = 1.0, count = 0.0
    if rate == 0:
        return 0.0
    while True:  # the number of uniforms whose product stays above exp(-rate)
        product *= twister_unit(twister)
        if product <= limit:
            return count
        count += 1


cdef double draw_large_poisson(Twister* twister, double rate) noexcept nogil:
    """Transformed rejection (W. Hörmann, 1993, algorithm PTRS)."""
    cdef double root = sqrt(rate), log_rate = log(rate)
    cdef double b = 0.931 + 2.53 * root
    cdef double a = -0.059 + 0.02483 * b
    cdef double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    cdef double v_r = 0.9277 - 3.6224 / (b - 2)
    cdef double u, v, us, bound
    cdef int64_t k
    while True:
        u = twister_unit(twister) - 0.5
        v = twister_unit(twister)
        us = 0.5 - fabs(u)
        k = <int64_t>floor((2 * a / us + b) * u + rate + 0.43)
        if us >= 0.07 and v <= v_r:
            return <double>k
        if k < 0 or (us < 0.013 and v > us):
            continue
        bound = -rate + k * log_rate - lgamma(<double>k + 1)
        if log(v) + log(inverse_alpha) - log(a / (us * us) + b) <= bound:
            return <double>k


cdef int sample_poisson(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if not p.x[i] >= 0:
            return i
        out[i] = draw_poisson(twister, p.x[i])
    return n


# ---- Binomial ----

cdef double draw_binomial(Twister* twister, real count, real prob) noexcept nogil:
    """Above 1/2 the failures are counted."""
    cdef real other, failures
    if count <= 0 or prob <= 0:
        return 0.0
    if prob >= 1:
        return count
    if not (prob < 1 and count - count == 0):
        return prob if prob != prob else count  # nan and inf
    if prob <= 0.5:
        return draw_successes(twister, count, prob)
    other = <real>(1.0 - prob)
    failures = <real>draw_successes(twister, count, other)
    return <real>(count - failures)


cdef double draw_successes(Twister* twister, real count, real prob) noexcept nogil:
    cdef double log_failure, trials = 0.0
    cdef real successes = 0
    if count * prob >= 10:
        return draw_many_successes(twister, count, prob)
    if real is float:
        log_failure = log1pf(-prob)
    else:
        log_failure = log1p(-prob)
    while True:  # trials up to each success are a geometric number
        trials += ceil(log(twister_unit(twister)) / log_failure)
        if trials > count:
            return successes
        successes = successes + 1


cdef double draw_many_successes(Twister* twister, real count, real prob) noexcept nogil:
    """Transformed rejection (W. Hörmann, 1993, algorithm BTRS)."""
    cdef real variance = count * prob * (1 - prob)
    cdef real middle = count * prob
    cdef double deviation = sqrtf(variance) if real is float else sqrt(variance)
    cdef double b = 1.15 + 2.53 * deviation
    cdef double a = -0.0873 + 0.0248 * b + 0.01 * prob
    cdef double c = middle + 0.5
    cdef double v_r = 0.92 - 4.2 / b
    cdef real odds = prob / (1 - prob)
    cdef double r = odds
    cdef double alpha = (2.83 + 5.1 / b) * deviation
    cdef real mode = (count + 1) * prob
    cdef double m = floor(mode)
    cdef double u, v, us, bound
    cdef real k, rest
    while True:
        u = twister_unit(twister) - 0.5
        v = twister_unit(twister)
        us = 0.5 - fabs(u)
        k = <real>floor((2 * a / us + b) * u + c)
        if k < 0 or k > count:
            continue
        if us >= 0.07 and v <= v_r:
            return k
        rest = count - k
        v = log(v * alpha / (a / (us * us) + b))
        bound = (
            (m + 0.5) * log((m + 1) / (r * (count - m + 1)))
            + <real>(count + 1) * log((count - m + 1) / <real>(rest + 1))
            + (k + 0.5) * log(r * <real>(rest + 1) / <real>(k + 1))
            + stirling_tail(m) + stirling_tail(count - m)
            - stirling_tail(k) - stirling_tail(rest)
        )
        if v <= bound:
            return k


cdef double[10] STIRLING_TAILS = [
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
    0.00925546218271273, 0.00833056343336287,
]


cdef double stirling_tail(double k) noexcept nogil:
    """log k! less Stirling's formula at k + 1."""
    cdef double square
    if k < 10:
        return STIRLING_TAILS[<int>k]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)


cdef int sample_binomial(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    cdef int i
    for i in range(n):
        if p.code == FLOAT64:
            out[i] = draw_binomial(twister, p.x[i], p.y[i])
        else:
            out[i] = draw_binomial(twister, <float>p.x[i], <float>p.y[i])
    return n


# ---- Gamma ----

cdef double draw_gamma(Twister* twister, real alpha) noexcept nogil:
    """Rejection from a cubed normal number (G. Marsaglia and W. W. Tsang, 2000).

    Conditions are negated so that nan, which no comparison rejects, comes out at once.
    """
    cdef double scale = 1.0, d, c, normal, y, v, u, square
    if alpha < 1:
        if alpha == 0:
            return 0.0
        scale = pow(1 - twister_unit(twister), <real>(<real>1 / alpha))
        alpha = alpha + 1
    d = <real>(alpha - <float>1 / <float>3)
    c = 1.0 / sqrt(9 * d)
    while True:
        y = 0.0
        while y <= 0:
            normal = twister_normal(twister)
            y = 1 + c * normal
        v = y * y * y
        u = 1 - twister_unit(twister)
        square = normal * normal
        if not u >= 1 - <double>(<float>0.0331) * square * square:
            return <real>(scale * d * v)
        if not log(u) >= 0.5 * square + d * (1 - v + log(v)):
            return <real>(scale * d * v)


cdef int sample_gamma(Twister* twister, Params* p, double* out, int n) noexcept nogil:
    """p.a is the least number of the dtype: nothing below comes out."""
    cdef int i
    for i in range(n):
        if p.code == FLOAT64:
            out[i] = draw_gamma(twister, p.x[i])
        else:
            out[i] = draw_gamma(twister, <float>p.x[i])
        if not out[i] >= p.a:
            out[i] = p.a
    return n


cdef double row_sum(const double* x, Py_ssize_t n) noexcept nogil:
    """The sum in PyTorch's order: four numbers wide (one, if there are fewer), four of those side
    by side, in runs of 16 such blocks, runs of 16 of these, and once again."""
    cdef double[4][16] levels
    cdef double total = 0.0
    cdef Py_ssize_t width = 4 if n >= 4 else 1, count = n // width, i, run
    cdef int step = 4, level, j
    while (<Py_ssize_t>1 << (4 * step)) < count // 4:
        step += 1  # longer runs beyond 2**16 blocks
    memset(levels, 0, sizeof(levels))
    for i in range(count // 4):
        for j in range(4 * width):
            levels[0][j] += x[4 * width * i + j]
        run = i + 1
        for level in range(3):
            if run & ((1 << step) - 1):
                break
            run >>= step
            for j in range(4 * width):
                levels[level + 1][j] += levels[level][j]
                levels[level][j] = 0.0
    for level in range(1, 4):
        for j in range(4 * width):
            levels[0][j] += levels[level][j]
    for i in range(count // 4 * 4, count):
        for j in range(width):
            levels[0][j] += x[width * i + j]
    for j in range(width, 4 * width):
        levels[0][j % width] += levels[0][j]
    for i in range(count * width, n):
        total += x[i]
    for j in range(width):
        total += levels[0][j]
    return total


# ---- Categories ----

cdef enum:
    NEGATIVE = 1  # or nan
    INFINITE = 2
    ALL_ZERO = 3


cdef int draw_categories(
    Twister* twister, const real* p, real* sums, Py_ssize_t n, int64_t* out, Py_ssize_t draws
) noexcept nogil:
    """Look `draws` uniform numbers up in the cumulative sums of p. Not 0: what is wrong with p."""
    cdef real total = 0
    cdef double u
    cdef Py_ssize_t i, low, high, middle
    for i in range(n):
        if not p[i] >= 0:
            return NEGATIVE
        if p[i] - p[i] != 0:
            return INFINITE
        total += p[i]
        sums[i] = total
    if not total > 0:
        return ALL_ZERO
    for i in range(n):
        sums[i] /= total
    sums[n - 1] = 1
    for i in range(draws):
        u = twister_unit(twister)
        low, high = 0, n
        while low < high:
            middle = low + (high - low) // 2
            if sums[middle] < u:
                low = middle + 1
            else:
                high = middle
        out[i] = low
    return 0


# ---- Public ----

def poisson(ndarray out not None, Generator gen not None, ndarray rate not None):
    """Poisson numbers; False if a rate is negative or nan."""
    cdef Params p = params_of(0.0, 0.0)
    return fill(out, gen, &p, sample_poisson, fill_doubles, (rate,))


def binomial(ndarray out not None, Generator gen not None, ndarray count, ndarray prob):
    """The number of successes among `count` trials; float32 and float64."""
    cdef Params p = params_of(0.0, 0.0)
    fill(out, gen, &p, sample_binomial, fill_doubles, (count, prob))


def standard_gamma(ndarray out not None, Generator gen not None, ndarray alpha not None):
    """Gamma numbers of rate 1; `out`, float32 or float64, has the precision of the arithmetic."""
    cdef Params p = params_of(np.finfo(out.dtype).tiny, 0.0)
    fill(out, gen, &p, sample_gamma, fill_doubles, (alpha,))


def shares(ndarray rows not None, ndarray out not None):
    """Each row over its sum into `out`, kept strictly between 0 and 1 of its dtype.

    Both are (m, n) and contiguous, `rows` of float64, `out` of float32 or float64.
    """
    cdef const double* x = <const double*>PyArray_DATA(rows)
    cdef Py_ssize_t n = rows.shape[1], i
    cdef double total = 0.0
    for i in range(rows.shape[0] * n):
        if i % n == 0:
            total = row_sum(x + i, n)
        if code_of(out) == FLOAT64:
            (<double*>PyArray_DATA(out))[i] = within(x[i] / total, DBL_MIN, 1 - DBL_EPSILON / 2)
        else:
            (<float*>PyArray_DATA(out))[i] = within(
                <float>(x[i] / total), FLT_MIN, 1 - FLT_EPSILON / 2
            )


cdef inline real within(real x, real least, real most) noexcept nogil:
    """x within [least, most]; nan becomes the least."""
    return least if not x > least else most if x > most else x


def largest_places(ndarray rows not None, Py_ssize_t k):
    """The places of the k largest in each row, in order, equal ones as in `topk`: (m, k) of int64."""
    cdef ndarray values = np.ascontiguousarray(rows, np.float64)
    cdef Py_ssize_t n = values.shape[1], m = values.shape[0], i, j
    cdef ndarray entries = np.empty((n, 2), np.float64), out = np.empty((m, k), np.int64)
    cdef Entry* e = <Entry*>PyArray_DATA(entries)
    cdef const double* x = <const double*>PyArray_DATA(values)
    cdef int64_t* places = <int64_t*>PyArray_DATA(out)
    with nogil:
        for i in range(m if k else 0):
            for j in range(n):
                e[j].value = x[i * n + j]
                e[j].place = j
            select_largest(e, k, n)
            for j in range(k):
                places[i * k + j] = e[j].place
    return out


def categories(ndarray rows not None, Py_ssize_t draws, Generator gen not None):
    """Places drawn with replacement from each row of float32 or float64, by their probabilities.

    The first answer is (m, draws) of int64, the second None, or what is wrong with a row.
    """
    cdef ndarray p = np.ascontiguousarray(rows), sums = np.empty(rows.shape[1], rows.dtype)
    cdef ndarray out = np.empty((rows.shape[0], draws), np.int64)
    cdef Py_ssize_t n = p.shape[1], m = p.shape[0], i
    cdef int64_t* places = <int64_t*>PyArray_DATA(out)
    cdef void* x = PyArray_DATA(p)
    cdef void* s = PyArray_DATA(sums)
    cdef bint wide = code_of(p) == FLOAT64
    cdef int wrong = 0
    with nogil, gen.lock:
        for i in range(m):
            if wide:
                wrong = draw_categories(
                    &gen.twister, <double*>x + i * n, <double*>s, n, places + i * draws, draws
                )
            else:
                wrong = draw_categories(
                    &gen.twister, <float*>x + i * n, <float*>s, n, places + i * draws, draws
                )
            if wrong:
                break
    return out, WRONG[wrong]


WRONG = (
    None,
    "encountering probability entry < 0",
    "encountering probability entry = infinity or NaN",
    "sum of probabilities <= 0",
)
