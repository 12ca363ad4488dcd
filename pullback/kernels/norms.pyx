# cython: cdivision=True
"""Normalisation on raw memory: mean and deviation of rows, the affine map after it, and the slopes.

A row is what is normalised together: `segments` runs of `length` numbers, each contiguous, that lie
`apart` from one another; rows begin `step` from one another. So a layer's rows are one run each, a
group's are its channels, and a batch's channel has a run in every sample. The weights are one for each
place in a run (`along`), or one for each run; they begin at, or are, number
`(row % period) * per_row + segment * per_segment`. All this is a `Layout`, which Python code gives as
the tuple of its nine fields, in their order.

Arrays are C-contiguous and of one dtype, float32 or float64 (TypeError for any other); mean and rstd have one
number a row. Nothing else is checked: `ops/networks/layer_norm.py` does. Read `Layout`, `moments`, then
`input_gradient_rows`. The sums over a run are C, in `norm_sums.h`.
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
    #define PB_LOOPS "pullback/kernels/norm_sums.h"
    #include "pullback/kernels/for_each_real.h"
    """
    double sum_of_float(float* x, npy_intp n) nogil
    double sum_of_double(double* x, npy_intp n) nogil
    double sum_of_squares_float(float* x, float center, npy_intp n) nogil
    double sum_of_squares_double(double* x, double center, npy_intp n) nogil
    double sum_of_products_float(float* x, float center, float* g, npy_intp n) nogil
    double sum_of_products_double(double* x, double center, double* g, npy_intp n) nogil
    double sum_of_weighted_float(float* x, float center, float* g, float* weight, npy_intp n) nogil
    double sum_of_weighted_double(double* x, double center, double* g, double* weight, npy_intp n) nogil
    void add_affine_gradients_float(
        float* x, float center, float rstd, float* g, double* weights, double* biases, npy_intp n) nogil
    void add_affine_gradients_double(
        double* x, double center, double rstd, double* g, double* weights, double* biases, npy_intp n) nogil


cdef inline double sum_run(real* x, npy_intp n) noexcept nogil:
    if real is float:
        return sum_of_float(x, n)
    else:
        return sum_of_double(x, n)


cdef inline double squares_run(real* x, npy_intp n, real center) noexcept nogil:
    """The sum of (x - center)**2."""
    if real is float:
        return sum_of_squares_float(x, center, n)
    else:
        return sum_of_squares_double(x, center, n)


cdef inline double dot_run(real* x, real center, real* g, real* weight, npy_intp n) noexcept nogil:
    """The sum of (x - center) * g, times the weights if there are some."""
    if real is float:
        if weight == NULL:
            return sum_of_products_float(x, center, g, n)
        return sum_of_weighted_float(x, center, g, weight, n)
    else:
        if weight == NULL:
            return sum_of_products_double(x, center, g, n)
        return sum_of_weighted_double(x, center, g, weight, n)


cdef double product_run(real* g, real* weight, npy_intp n) noexcept nogil:
    """The sum of g * weight."""
    return sum_run(g, n) if weight == NULL else dot_run(g, <real>0, weight, <real*>NULL, n)


cdef void moments(real* x, real* mean, real* rstd, real* variance, Layout* at, double eps) noexcept nogil:
    """Mean, 1 / sqrt(variance + eps) and variance of each row, corrected for the rounding of the mean."""
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
    """Where the weight of a run stands, or its weights begin."""
    return (row % at.period) * at.per_row + segment * at.per_segment


cdef void affine(real* x, real* mean, real* rstd, real* weight, real* bias, real* out,
                 Layout* at) noexcept nogil:
    """(x - mean) * rstd * weight + bias; a loop for each of the cases, so that each is vector code."""
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


cdef void input_gradient_rows(real* g, real* x, real* mean, real* rstd, real* weight, real* out,
                              Layout* at) noexcept nogil:
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


cdef void affine_gradient_rows(real* g, real* x, real* mean, real* rstd, double* weights, double* biases,
                               Layout* at) noexcept nogil:
    """Adds up the gradients of the weights, g * xhat, and of the biases, g."""
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
                    add_affine_gradients_float(a, center, r, b, weights + w, biases + w, at.length)
                else:
                    add_affine_gradients_double(a, center, r, b, weights + w, biases + w, at.length)
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
    """Mean, 1 / sqrt(variance + eps), and variance of each row: three new arrays of `rows` numbers."""
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
    """(x - mean) * rstd * weight + bias, like `x`; without weight or bias where these are None."""
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


def input_gradient(ndarray g not None, ndarray x not None, ndarray mean not None, ndarray rstd not None,
                   ndarray weight, tuple given):
    """The gradient of `x`, like `x`, mean and rstd being functions of it; `g` is that of `apply`'s result."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray out = PyArray_EMPTY(x.ndim, x.shape, kind, 0)
    if kind == NPY_FLOAT:
        input_gradient_rows[float](
            <float*>PyArray_DATA(g), <float*>PyArray_DATA(x), <float*>PyArray_DATA(mean),
            <float*>PyArray_DATA(rstd), <float*>address(weight), <float*>PyArray_DATA(out), &at)
    else:
        input_gradient_rows[double](
            <double*>PyArray_DATA(g), <double*>PyArray_DATA(x), <double*>PyArray_DATA(mean),
            <double*>PyArray_DATA(rstd), <double*>address(weight), <double*>PyArray_DATA(out), &at)
    return out


def affine_gradients(ndarray g not None, ndarray x not None, ndarray mean not None, ndarray rstd not None,
                     npy_intp count, tuple given):
    """The gradients of `count` weights and biases: two arrays of that length, in the dtype of `x`."""
    cdef Layout at = layout(given)
    cdef int kind = kind_of(x)
    cdef ndarray weights = np.zeros(count), biases = np.zeros(count)
    if kind == NPY_FLOAT:
        affine_gradient_rows[float](
            <float*>PyArray_DATA(g), <float*>PyArray_DATA(x), <float*>PyArray_DATA(mean),
            <float*>PyArray_DATA(rstd), <double*>PyArray_DATA(weights), <double*>PyArray_DATA(biases), &at)
        return weights.astype(np.float32), biases.astype(np.float32)
    affine_gradient_rows[double](
        <double*>PyArray_DATA(g), <double*>PyArray_DATA(x), <double*>PyArray_DATA(mean),
        <double*>PyArray_DATA(rstd), <double*>PyArray_DATA(weights), <double*>PyArray_DATA(biases), &at)
    return weights, biases
