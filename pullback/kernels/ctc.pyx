# cython: cdivision=True
"""Connectionist temporal classification: the sum over all alignments, and each label's share in it.

For one sample, the labels with a blank before, between and behind them are the states. A path is in one
state at each step; it stays, goes on by one, or skips a blank between two different labels. `forward`
fills log alpha: all paths up to a state and step. `backward` runs from the end and adds up, for each step
and class, the posterior: the share of the paths that are there. With a direction it also carries the
derivative of all this along that direction: the second derivative of the loss, times a vector.

All logarithms are in double precision; nothing underflows, however unlikely a label is. Arrays are
C-contiguous: log probabilities (T, N, C) of float32 or float64 (TypeError for any other), labels (N, S), and
how many steps and labels each sample has, (N,), of int64. `ops/networks/ctc.py` has checked that.

In names, `x` is log probabilities, `v` a direction, `alpha` and `beta` are the usual ones, `bend` and `tilt`
their derivatives along v. Read `join`, `forward`, `backward`.
"""

import numpy as np

cimport cython
from libc.math cimport exp, log, INFINITY, NAN
from libc.stdlib cimport free, malloc
from numpy cimport (
    import_array, int64_t, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_TYPE, PyArray_ZEROS,
    NPY_DOUBLE, NPY_FLOAT,
)

import_array()

ctypedef fused real:
    float
    double

cdef struct Sample:
    npy_intp steps, states, stride   # the time steps, 2 * labels + 1, and from one step to the next
    int64_t* labels
    int64_t blank


cdef inline int64_t label(Sample* s, npy_intp state) noexcept nogil:
    return s.labels[state >> 1] if state & 1 else s.blank


cdef inline bint skips(Sample* s, npy_intp state) noexcept nogil:
    """Whether a path may come to a state from the one before the one before."""
    return state & 1 and state > 1 and s.labels[state >> 1] != s.labels[(state >> 1) - 1]


cdef double join(double* logs, double* slopes, int n, double* slope) noexcept nogil:
    """log(sum(exp(logs))), and its derivative: the slopes weighted by their shares."""
    cdef double top = logs[0], rest = 0, tilt = 0, share
    cdef int i, best = 0
    for i in range(1, n):
        if logs[i] > top:
            top, best = logs[i], i
    slope[0] = 0
    if top == -INFINITY:
        return top
    for i in range(n):
        if i != best and logs[i] - top > -40:   # less is lost in rounding
            share = exp(logs[i] - top)
            rest += share
            tilt += share * slopes[i]
    if rest == 0:
        slope[0] = slopes[best]
        return top
    slope[0] = (slopes[best] + tilt) / (1 + rest)
    return top + log(1 + rest)


cdef double ending(Sample* s, double* alpha, double* bend, double* slope) noexcept nogil:
    """The logarithm of all paths: those that end in one of the last two states."""
    cdef double logs[2]
    cdef double slopes[2]
    cdef npy_intp last
    if s.steps == 0:
        slope[0] = 0
        return 0.0 if s.states == 1 else -INFINITY
    last = s.steps * s.states - 1
    logs[0], slopes[0] = alpha[last], bend[last]
    if s.states > 1:
        logs[1], slopes[1] = alpha[last - 1], bend[last - 1]
    return join(logs, slopes, 2 if s.states > 1 else 1, slope)


cdef void forward(Sample* s, real* x, real* v, double* alpha, double* bend) noexcept nogil:
    """Fills log alpha, (steps, states), and its derivative along `v`, zero if that is NULL."""
    cdef npy_intp t, i, at, before
    cdef int n
    cdef int64_t k
    cdef double logs[3]
    cdef double slopes[3]
    cdef double slope = 0
    for t in range(s.steps):
        for i in range(s.states):
            at, before = t * s.states + i, (t - 1) * s.states + i
            if i > 2 * t + 1 or i < s.states - 2 * (s.steps - t):   # too far from start or end
                alpha[at], bend[at] = -INFINITY, 0
                continue
            k = t * s.stride + label(s, i)
            if t == 0:
                alpha[at], slope = (0.0 if i < 2 else -INFINITY), 0
            else:
                n = 1
                logs[0], slopes[0] = alpha[before], bend[before]
                if i > 0:
                    logs[1], slopes[1] = alpha[before - 1], bend[before - 1]
                    n = 2
                if skips(s, i):
                    logs[2], slopes[2] = alpha[before - 2], bend[before - 2]
                    n = 3
                alpha[at] = join(logs, slopes, n, &slope)
            alpha[at] += x[k]
            bend[at] = slope + (0.0 if v == NULL else v[k])


cdef void backward(Sample* s, real* x, real* v, double* alpha, double* bend, double* beta, double* tilt,
                   real* out) noexcept nogil:
    """Adds the posteriors to `out`; with a direction `v`, their derivatives along it."""
    cdef npy_intp t, i, at, here, there
    cdef int n
    cdef int64_t k
    cdef double logs[3]
    cdef double slopes[3]
    cdef double total, total_slope = 0, slope = 0, share
    total = ending(s, alpha, bend, &total_slope)
    for t in range(s.steps - 1, -1, -1):
        here, there = (t & 1) * s.states, (1 - (t & 1)) * s.states
        for i in range(s.states):
            at = t * s.states + i
            if alpha[at] == -INFINITY:   # no path comes here
                beta[here + i], tilt[here + i] = -INFINITY, 0
                continue
            k = t * s.stride + label(s, i)
            if t == s.steps - 1:
                beta[here + i], slope = (0.0 if i >= s.states - 2 else -INFINITY), 0
            else:
                n = 1
                logs[0], slopes[0] = beta[there + i], tilt[there + i]
                if i + 1 < s.states:
                    logs[1], slopes[1] = beta[there + i + 1], tilt[there + i + 1]
                    n = 2
                if i + 2 < s.states and skips(s, i + 2):
                    logs[2], slopes[2] = beta[there + i + 2], tilt[there + i + 2]
                    n = 3
                beta[here + i] = join(logs, slopes, n, &slope)
            # beta without this step's own factor is what alpha lacks
            share = alpha[at] + beta[here + i] - total
            share = exp(share) if share > -700 else 0
            if v != NULL:
                share *= bend[at] + slope - total_slope
            out[k] += <real>share
            beta[here + i] += x[k]
            tilt[here + i] = slope + (0.0 if v == NULL else v[k])


cdef int run(real* x, real* v, real* out, real* losses, int64_t* labels, int64_t* steps, int64_t* counts,
             npy_intp samples, npy_intp classes, npy_intp width, npy_intp longest, int64_t blank) except -1:
    """Every sample: its loss, or its posteriors if `out` is given."""
    cdef npy_intp n, t, c, states = 2 * width + 1
    cdef npy_intp cells = max(longest, 1) * states
    cdef double* alpha = <double*>malloc((2 * cells + 4 * states) * sizeof(double))
    cdef double* bend = alpha + cells
    cdef double slope = 0
    cdef Sample s
    if alpha == NULL:
        raise MemoryError
    with nogil:
        for n in range(samples):
            s.steps, s.states, s.stride = steps[n], 2 * counts[n] + 1, samples * classes
            s.labels, s.blank = labels + n * width, blank
            forward(&s, x + n * classes, NULL if v == NULL else v + n * classes, alpha, bend)
            if losses != NULL:
                losses[n] = <real>(-ending(&s, alpha, bend, &slope))
            elif ending(&s, alpha, bend, &slope) == -INFINITY:
                for t in range(s.steps):
                    for c in range(classes):
                        out[t * s.stride + n * classes + c] = NAN
            else:
                backward(&s, x + n * classes, NULL if v == NULL else v + n * classes, alpha, bend,
                         bend + cells, bend + cells + 2 * states, out + n * classes)
    free(alpha)
    return 0


def _checked(ndarray x, ndarray labels, counts):
    """Refuses labels that are no class among those that count."""
    used = labels[np.arange(labels.shape[1]) < counts[:, None]]
    bad = used[(used < 0) | (used >= x.shape[2])]
    if bad.size:
        raise IndexError(f"Target {bad[0]} is out of bounds.")


def losses(ndarray x not None, ndarray labels not None, ndarray steps not None, ndarray counts not None,
           int64_t blank):
    """-log of the sum over all alignments: (N,) in the dtype of `x`. IndexError for a label out of range."""
    cdef npy_intp samples = x.shape[1]
    cdef int kind = PyArray_TYPE(x)
    cdef ndarray out = PyArray_EMPTY(1, &samples, kind, 0)
    _checked(x, labels, counts)
    _run(x, None, None, out, labels, steps, counts, blank)
    return out


def posteriors(ndarray x not None, ndarray direction, ndarray labels not None, ndarray steps not None,
               ndarray counts not None, int64_t blank):
    """The posterior of each step and class, or its derivative along `direction`: (T, N, C).

    NaN for a sample without any alignment, zero from its last step on.
    """
    cdef ndarray out = PyArray_ZEROS(3, x.shape, PyArray_TYPE(x), 0)
    _run(x, direction, out, None, labels, steps, counts, blank)
    return out


cdef void* address(ndarray a):
    return NULL if a is None else PyArray_DATA(a)


cdef _run(ndarray x, ndarray v, ndarray out, ndarray losses, ndarray labels, ndarray steps, ndarray counts,
          int64_t blank):
    cdef int64_t* k = <int64_t*>PyArray_DATA(labels)
    cdef int64_t* t = <int64_t*>PyArray_DATA(steps)
    cdef int64_t* c = <int64_t*>PyArray_DATA(counts)
    cdef npy_intp longest = x.shape[0]
    if PyArray_TYPE(x) == NPY_FLOAT:
        run[float](<float*>PyArray_DATA(x), <float*>address(v), <float*>address(out),
                   <float*>address(losses), k, t, c, x.shape[1], x.shape[2], labels.shape[1], longest, blank)
    elif PyArray_TYPE(x) == NPY_DOUBLE:
        run[double](<double*>PyArray_DATA(x), <double*>address(v), <double*>address(out),
                    <double*>address(losses), k, t, c, x.shape[1], x.shape[2], labels.shape[1], longest,
                    blank)
    else:
        raise TypeError(f"ctc takes float32 and float64, not {x.dtype}")
