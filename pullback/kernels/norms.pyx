# cython: cdivision=True
"""Normalisation on raw memory: mean and deviation of rows, the affine map after it, and the slopes.

A row is what is normalised together: `segments` runs of `length` numbers, each contiguous, that lie
`apart` from one another; rows begin `step` from one another. So a layer's rows are one run each, a
group's are its channels, and a batch's channel has a run in every sample. The weights are one for each
place in a run (`along`), or one for each run; they begin at, or are, number
`(row % period) * per_row + segment * per_segment`.

Sums run in 16 lanes over blocks, and over blocks in double precision: fast, and exact enough.
"""

import numpy as np

cimport cython
from libc.math cimport sqrt
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_TYPE, NPY_DOUBLE, NPY_FLOAT,
)

import_array()

ctypedef fused real:
    float
    double

cdef struct Layout:
    npy_intp rows, step, segments, apart, length
    bint along
    npy_intp period, per_row, per_segment


cdef extern from *:
    """
    #include "pullback/kernels/exp.h"
    #define LANES 16
    #define BLOCK 2048

    #define ADD_UP(T, term)                                                                         \\
        double total = 0;                                                                           \\
        npy_intp start, i, j;                                                                       \\
        for (start = 0; start < n; start += BLOCK) {                                                \\
            npy_intp const end = start + BLOCK < n ? start + BLOCK : n;                             \\
            T lanes[LANES] = {0};                                                                   \\
            for (i = start; i + LANES <= end; i += LANES)                                           \\
                for (j = 0; j < LANES; j++) lanes[j] += term(i + j);                                \\
            for (j = 0; i < end; i++, j++) lanes[j] += term(i);                                     \\
            for (j = 0; j < LANES; j++) total += lanes[j];                                          \\
        }                                                                                           \\
        return total;
    #define ITSELF(i) x[i]
    #define SQUARE(i) ((x[i] - center) * (x[i] - center))
    #define PRODUCT(i) ((x[i] - center) * g[i])
    #define WEIGHTED(i) ((x[i] - center) * (g[i] * weight[i]))

    #define RUNS(T)                                                                                 \\
        static PB_CLONES double pb_sum_##T(T const* x, npy_intp n) { ADD_UP(T, ITSELF) }            \\
        static PB_CLONES double pb_squares_##T(T const* x, npy_intp n, T center) { ADD_UP(T, SQUARE) } \\
        static PB_CLONES double pb_dot_##T(T const* x, T center, T const* g, npy_intp n) {          \\
            ADD_UP(T, PRODUCT)                                                                      \\
        }                                                                                           \\
        static PB_CLONES double pb_weighted_##T(T const* x, T center, T const* g, T const* weight,  \\
                                                npy_intp n) {                                       \\
            ADD_UP(T, WEIGHTED)                                                                     \\
        }                                                                                           \\
        static PB_CLONES void pb_spread_##T(T const* x, T center, T r, T const* g, double* PB_RESTRICT weights, \\
                                            double* PB_RESTRICT biases, npy_intp n) {               \\
            npy_intp i;                                                                             \\
            for (i = 0; i < n; i++) {                                                               \\
                weights[i] += g[i] * ((x[i] - center) * r);                                         \\
                biases[i] += g[i];                                                                  \\
            }                                                                                       \\
        }

    RUNS(float)
    RUNS(double)
    """
    double pb_sum_float(float* x, npy_intp n) nogil
    double pb_sum_double(double* x, npy_intp n) nogil
    double pb_squares_float(float* x, npy_intp n, float center) nogil
    double pb_squares_double(double* x, npy_intp n, double center) nogil
    double pb_dot_float(float* x, float center, float* g, npy_intp n) nogil
    double pb_dot_double(double* x, double center, double* g, npy_intp n) nogil
    double pb_weighted_float(float* x, float center, float* g, float* weight, npy_intp n) nogil
    double pb_weighted_double(double* x, double center, double* g, double* weight, npy_intp n) nogil
    void pb_spread_float(float* x, float center, float r, float* g, double* weights, double* biases, npy_intp n) nogil
    void pb_spread_double(double* x, double center, double r, double* g, double* weights, double* biases,
                          npy_intp n) nogil


cdef inline double sum_run(real* x, npy_intp n) noexcept nogil:
    if real is float:
        return pb_sum_float(x, n)
    else:
        return pb_sum_double(x, n)


cdef inline double squares_run(real* x, npy_intp n, real center) noexcept nogil:
    """The sum of (x - center)**2."""
    if real is float:
        return pb_squares_float(x, n, center)
    else:
        return pb_squares_double(x, n, center)


cdef inline double dot_run(real* x, real center, real* g, real* weight, npy_intp n) noexcept nogil:
    """The sum of (x - center) * g, times the weights if there are some."""
    if real is float:
        return pb_dot_float(x, center, g, n) if weight == NULL else pb_weighted_float(x, center, g, weight, n)
    else:
        return pb_dot_double(x, center, g, n) if weight == NULL else pb_weighted_double(x, center, g, weight, n)


cdef double product_run(real* g, real* weight, npy_intp n) noexcept nogil:
    """The sum of g * weight."""
    return sum_run(g, n) if weight == NULL else dot_run(g, <real>0, weight, <real*>NULL, n)


cdef void moments(real* x, real* mean, real* rstd, real* variance, Layout* at, double eps) noexcept nogil:
    cdef npy_intp row, s, count = at.segments * at.length
    cdef double total, squares, off
    cdef real center
    cdef real* start
    for row in range(at.rows):
        start = x + row * at.step
        total = 0
        for s in range(at.segments):
            total += sum_run(start + s * at.apart, at.length)
        center = <real>(total / count)
        squares = 0
        for s in range(at.segments):
            squares += squares_run(start + s * at.apart, at.length, center)
        off = total / count - center   # what rounding the mean left out
        mean[row] = center
        variance[row] = <real>(squares / count - off * off)
        rstd[row] = <real>(1 / sqrt(squares / count - off * off + eps))


cdef inline npy_intp place(Layout* at, npy_intp row, npy_intp segment) noexcept nogil:
    return (row % at.period) * at.per_row + segment * at.per_segment


cdef void affine(real* x, real* mean, real* rstd, real* weight, real* bias, real* out, Layout* at) noexcept nogil:
    cdef npy_intp row, s, i, w
    cdef real scale, shift, center
    cdef real* a
    cdef real* y
    for row in range(at.rows):
        for s in range(at.segments):
            a, y = x + row * at.step + s * at.apart, out + row * at.step + s * at.apart
            scale, center, shift = rstd[row], mean[row], 0
            w = place(at, row, s)
            if not at.along:
                if weight != NULL:
                    scale *= weight[w]
                if bias != NULL:
                    shift = bias[w]
            if not at.along or (weight == NULL and bias == NULL):
                for i in range(at.length):
                    y[i] = (a[i] - center) * scale + shift
            elif bias == NULL:
                for i in range(at.length):
                    y[i] = (a[i] - center) * scale * weight[w + i]
            elif weight == NULL:
                for i in range(at.length):
                    y[i] = (a[i] - center) * scale + bias[w + i]
            else:
                for i in range(at.length):
                    y[i] = (a[i] - center) * scale * weight[w + i] + bias[w + i]


cdef void slope_real(real* g, real* x, real* mean, real* rstd, real* weight, real* out, Layout* at) noexcept nogil:
    """rstd * (gw - mean(gw) - xhat * mean(gw * xhat)), gw being g * weight."""
    cdef npy_intp row, s, i, place_of, count = at.segments * at.length
    cdef double total, along
    cdef real center, r, flat, tilt, w
    cdef real* a
    cdef real* b
    cdef real* y
    cdef real* vector = NULL
    for row in range(at.rows):
        center, r = mean[row], rstd[row]
        if at.along and weight != NULL:
            vector = weight + place(at, row, 0)
        total = along = 0
        for s in range(at.segments):
            place_of = row * at.step + s * at.apart
            w = weight[place(at, row, s)] if weight != NULL and not at.along else 1
            total += w * product_run(g + place_of, vector, at.length)
            along += w * dot_run(x + place_of, center, g + place_of, vector, at.length)
        flat = <real>(total / count)
        tilt = <real>(along / count * r * r)
        for s in range(at.segments):
            place_of = row * at.step + s * at.apart
            a, b, y = x + place_of, g + place_of, out + place_of
            if vector != NULL:
                for i in range(at.length):
                    y[i] = r * (b[i] * vector[i] - flat - (a[i] - center) * tilt)
            else:
                w = weight[place(at, row, s)] if weight != NULL else 1
                for i in range(at.length):
                    y[i] = r * (b[i] * w - flat - (a[i] - center) * tilt)


cdef void sums_real(real* g, real* x, real* mean, real* rstd, double* weights, double* biases,
                    Layout* at) noexcept nogil:
    """Adds up the slopes of the weights, g * xhat, and of the biases, g."""
    cdef npy_intp row, s, w
    cdef real center, r
    cdef real* a
    cdef real* b
    for row in range(at.rows):
        center, r = mean[row], rstd[row]
        for s in range(at.segments):
            a, b = x + row * at.step + s * at.apart, g + row * at.step + s * at.apart
            w = place(at, row, s)
            if at.along:
                if real is float:
                    pb_spread_float(a, center, r, b, weights + w, biases + w, at.length)
                else:
                    pb_spread_double(a, center, r, b, weights + w, biases + w, at.length)
            else:
                weights[w] += r * dot_run(a, center, b, <real*>NULL, at.length)
                biases[w] += sum_run(b, at.length)


cdef Layout layout(tuple given):
    cdef Layout at
    at.rows, at.step, at.segments, at.apart, at.length = given[:5]
    at.along, at.period, at.per_row, at.per_segment = given[5:]
    return at


cdef void* address(ndarray a):
    return NULL if a is None else PyArray_DATA(a)


cdef int kind_of(ndarray a) except -1:
    cdef int kind = PyArray_TYPE(a)
    if kind != NPY_FLOAT and kind != NPY_DOUBLE:
        raise TypeError(f"normalisation takes float32 and float64, not {a.dtype}")
    return kind


def statistics(ndarray x not None, tuple given, double eps):
    """Mean, 1 / sqrt(variance + eps), and variance of each row."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray mean = PyArray_EMPTY(1, &at.rows, kind, 0)
    cdef ndarray rstd = PyArray_EMPTY(1, &at.rows, kind, 0)
    cdef ndarray variance = PyArray_EMPTY(1, &at.rows, kind, 0)
    if kind == NPY_FLOAT:
        moments[float](<float*>PyArray_DATA(x), <float*>PyArray_DATA(mean), <float*>PyArray_DATA(rstd),
                       <float*>PyArray_DATA(variance), &at, eps)
    else:
        moments[double](<double*>PyArray_DATA(x), <double*>PyArray_DATA(mean), <double*>PyArray_DATA(rstd),
                        <double*>PyArray_DATA(variance), &at, eps)
    return mean, rstd, variance


def apply(ndarray x not None, ndarray mean not None, ndarray rstd not None, ndarray weight, ndarray bias,
          tuple given):
    """(x - mean) * rstd * weight + bias."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray out = PyArray_EMPTY(x.ndim, x.shape, kind, 0)
    if kind == NPY_FLOAT:
        affine[float](<float*>PyArray_DATA(x), <float*>PyArray_DATA(mean), <float*>PyArray_DATA(rstd),
                      <float*>address(weight), <float*>address(bias), <float*>PyArray_DATA(out), &at)
    else:
        affine[double](<double*>PyArray_DATA(x), <double*>PyArray_DATA(mean), <double*>PyArray_DATA(rstd),
                       <double*>address(weight), <double*>address(bias), <double*>PyArray_DATA(out), &at)
    return out


def slope(ndarray g not None, ndarray x not None, ndarray mean not None, ndarray rstd not None, ndarray weight,
          tuple given):
    """The gradient of `x`, mean and rstd being functions of it."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray out = PyArray_EMPTY(x.ndim, x.shape, kind, 0)
    if kind == NPY_FLOAT:
        slope_real[float](<float*>PyArray_DATA(g), <float*>PyArray_DATA(x), <float*>PyArray_DATA(mean),
                          <float*>PyArray_DATA(rstd), <float*>address(weight), <float*>PyArray_DATA(out), &at)
    else:
        slope_real[double](<double*>PyArray_DATA(g), <double*>PyArray_DATA(x), <double*>PyArray_DATA(mean),
                           <double*>PyArray_DATA(rstd), <double*>address(weight), <double*>PyArray_DATA(out), &at)
    return out


def sums(ndarray g not None, ndarray x not None, ndarray mean not None, ndarray rstd not None, npy_intp count,
         tuple given):
    """The gradients of `count` weights and biases."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray weights = np.zeros(count), biases = np.zeros(count)
    if kind == NPY_FLOAT:
        sums_real[float](<float*>PyArray_DATA(g), <float*>PyArray_DATA(x), <float*>PyArray_DATA(mean),
                         <float*>PyArray_DATA(rstd), <double*>PyArray_DATA(weights), <double*>PyArray_DATA(biases),
                         &at)
        return weights.astype(np.float32), biases.astype(np.float32)
    sums_real[double](<double*>PyArray_DATA(g), <double*>PyArray_DATA(x), <double*>PyArray_DATA(mean),
                      <double*>PyArray_DATA(rstd), <double*>PyArray_DATA(weights), <double*>PyArray_DATA(biases), &at)
    return weights, biases
