"""softmax and log_softmax of contiguous rows, and their gradients: a few passes over each row."""

from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS, PyArray_SIZE,
    PyArray_TYPE, NPY_DOUBLE, NPY_FLOAT,
)

import_array()

cdef extern from *:
    """
    #include "pullback/kernels/exp.h"
    #define LANES 16

    /* A sum over i of `term`, in lanes, so that it is vector code and its error small. */
    #define SUM(T, total, term)                                                                     \\
        {                                                                                           \\
            T lanes[LANES] = {0};                                                                   \\
            npy_intp i = 0, j;                                                                      \\
            for (; i + LANES <= n; i += LANES)                                                      \\
                for (j = 0; j < LANES; j++) lanes[j] += term(i + j);                                \\
            for (j = 0; i < n; i++, j++) lanes[j] += term(i);                                       \\
            for (j = 0; j < LANES; j++) total += lanes[j];                                          \\
        }
    #define OWN(i) y[i]
    #define BOTH(i) (g[i] * x[i])
    #define GRAD(i) g[i]

    #define SOFT(T, EXP_OF)                                                                         \\
        static T pb_top_##T(T const* x, npy_intp n) {                                               \\
            T lanes[LANES];                                                                         \\
            npy_intp i, j;                                                                          \\
            for (j = 0; j < LANES; j++) lanes[j] = x[j < n ? j : 0];                                \\
            for (i = 0; i + LANES <= n; i += LANES)                                                 \\
                for (j = 0; j < LANES; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];   \\
            for (; i < n; i++) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];                        \\
            for (j = 1; j < LANES; j++) lanes[0] = lanes[j] > lanes[0] ? lanes[j] : lanes[0];       \\
            return lanes[0];                                                                        \\
        }                                                                                           \\
        static PB_CLONES void pb_softmax_##T(T const* PB_RESTRICT x, T* PB_RESTRICT y, npy_intp n) {\\
            T const top = pb_top_##T(x, n);                                                         \\
            double total = 0;                                                                       \\
            npy_intp i;                                                                             \\
            for (i = 0; i < n; i++) y[i] = EXP_OF(x[i] - top);                                      \\
            SUM(T, total, OWN)                                                                      \\
            T const whole = (T)total;                                                               \\
            for (i = 0; i < n; i++) y[i] /= whole;                                                  \\
        }                                                                                           \\
        static PB_CLONES void pb_log_softmax_##T(T const* PB_RESTRICT x, T* PB_RESTRICT y, npy_intp n) {\\
            T const top = pb_top_##T(x, n);                                                         \\
            double total = 0;                                                                       \\
            npy_intp i;                                                                             \\
            for (i = 0; i < n; i++) y[i] = EXP_OF(x[i] - top);                                      \\
            SUM(T, total, OWN)                                                                      \\
            T const whole = (T)log(total);                                                          \\
            for (i = 0; i < n; i++) y[i] = (x[i] - top) - whole;                                    \\
        }                                                                                           \\
        static PB_CLONES void pb_softmax_slope_##T(T const* PB_RESTRICT g, T const* PB_RESTRICT x,  \\
                                                   T* PB_RESTRICT y, npy_intp n) {                  \\
            double total = 0;                                                                       \\
            npy_intp i;                                                                             \\
            SUM(T, total, BOTH)                                                                     \\
            T const whole = (T)total;                                                               \\
            for (i = 0; i < n; i++) y[i] = x[i] * (g[i] - whole);                                   \\
        }                                                                                           \\
        static PB_CLONES void pb_log_softmax_slope_##T(T const* PB_RESTRICT g, T const* PB_RESTRICT x, \\
                                                       T* PB_RESTRICT y, npy_intp n) {              \\
            double total = 0;                                                                       \\
            npy_intp i;                                                                             \\
            SUM(T, total, GRAD)                                                                     \\
            T const whole = (T)total;                                                               \\
            for (i = 0; i < n; i++) y[i] = g[i] - EXP_OF(x[i]) * whole;                             \\
        }                                                                                           \\
        static void pb_rows_##T(T const* x, T* y, npy_intp rows, npy_intp n, int logs) {            \\
            npy_intp r;                                                                             \\
            for (r = 0; r < rows; r++) (logs ? pb_log_softmax_##T : pb_softmax_##T)(x + r * n, y + r * n, n); \\
        }                                                                                           \\
        static void pb_slopes_##T(T const* g, T const* x, T* y, npy_intp rows, npy_intp n, int logs) { \\
            npy_intp r;                                                                             \\
            for (r = 0; r < rows; r++)                                                              \\
                (logs ? pb_log_softmax_slope_##T : pb_softmax_slope_##T)(g + r * n, x + r * n, y + r * n, n); \\
        }

    SOFT(float, pb_exp_float)
    SOFT(double, pb_exp_double)
    """
    void pb_rows_float(const float* x, float* y, npy_intp rows, npy_intp n, int logs) nogil
    void pb_rows_double(const double* x, double* y, npy_intp rows, npy_intp n, int logs) nogil
    void pb_slopes_float(const float* g, const float* x, float* y, npy_intp rows, npy_intp n, int logs) nogil
    void pb_slopes_double(const double* g, const double* x, double* y, npy_intp rows, npy_intp n, int logs) nogil


def takes(ndarray a not None, int axis):
    """Whether these kernels do this axis of an array: the last one, contiguous, of floats."""
    cdef int kind = PyArray_TYPE(a)
    return (kind == NPY_FLOAT or kind == NPY_DOUBLE) and a.ndim > 0 and axis == a.ndim - 1 and (
        PyArray_IS_C_CONTIGUOUS(a) and PyArray_SIZE(a) > 0)


def rows(ndarray x not None, bint logs):
    """softmax over the last axis, or its logarithm. What `takes` says of the array must hold."""
    cdef ndarray y = PyArray_EMPTY(x.ndim, x.shape, PyArray_TYPE(x), 0)
    cdef npy_intp n = x.shape[x.ndim - 1], count = PyArray_SIZE(x) // n
    if PyArray_TYPE(x) == NPY_FLOAT:
        pb_rows_float(<float*>PyArray_DATA(x), <float*>PyArray_DATA(y), count, n, logs)
    else:
        pb_rows_double(<double*>PyArray_DATA(x), <double*>PyArray_DATA(y), count, n, logs)
    return y


def slopes(ndarray g not None, ndarray x not None, bint logs):
    """The gradient of the input of `rows`, for that of its result `x`; `g` is like `x`."""
    cdef ndarray y = PyArray_EMPTY(x.ndim, x.shape, PyArray_TYPE(x), 0)
    cdef npy_intp n = x.shape[x.ndim - 1], count = PyArray_SIZE(x) // n
    if PyArray_TYPE(x) == NPY_FLOAT:
        pb_slopes_float(<float*>PyArray_DATA(g), <float*>PyArray_DATA(x), <float*>PyArray_DATA(y), count, n, logs)
    else:
        pb_slopes_double(<double*>PyArray_DATA(g), <double*>PyArray_DATA(x), <double*>PyArray_DATA(y), count, n, logs)
    return y
