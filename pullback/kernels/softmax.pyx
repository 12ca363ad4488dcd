"""softmax and log_softmax of contiguous rows, and their gradients: a few passes over each row.

The loops over a row are C, in `softmax_rows.h`, which is read once for float and once for double. Here
they are called for arrays along their last axis: float32 or float64, C-contiguous, not empty, as `takes`
says. The caller asks it, `ops/reductions/softmax.py`; nothing is checked again.
"""

from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS, PyArray_SIZE,
    PyArray_TYPE, NPY_DOUBLE, NPY_FLOAT,
)

import_array()

cdef extern from *:
    """
    #include "pullback/kernels/exp.h"
    #define PB_LOOPS "pullback/kernels/softmax_rows.h"
    #include "pullback/kernels/for_each_real.h"
    """
    void softmax_rows_float(const float* x, float* y, npy_intp rows, npy_intp n, int log_of_it) nogil
    void softmax_rows_double(const double* x, double* y, npy_intp rows, npy_intp n, int log_of_it) nogil
    void softmax_gradient_rows_float(
        const float* g, const float* y, float* out, npy_intp rows, npy_intp n, int log_of_it) nogil
    void softmax_gradient_rows_double(
        const double* g, const double* y, double* out, npy_intp rows, npy_intp n, int log_of_it) nogil


def takes(ndarray a not None, int axis):
    """Whether these kernels do this axis of an array: the last one, contiguous, of floats."""
    cdef int kind = PyArray_TYPE(a)
    return (kind == NPY_FLOAT or kind == NPY_DOUBLE) and a.ndim > 0 and axis == a.ndim - 1 and (
        PyArray_IS_C_CONTIGUOUS(a) and PyArray_SIZE(a) > 0)


def forward(ndarray x not None, bint log_of_it):
    """softmax over the last axis, or its logarithm: a new array like `x`, of which `takes` must be true."""
    cdef ndarray y = PyArray_EMPTY(x.ndim, x.shape, PyArray_TYPE(x), 0)
    cdef npy_intp n = x.shape[x.ndim - 1], rows = PyArray_SIZE(x) // n
    if PyArray_TYPE(x) == NPY_FLOAT:
        softmax_rows_float(<float*>PyArray_DATA(x), <float*>PyArray_DATA(y), rows, n, log_of_it)
    else:
        softmax_rows_double(<double*>PyArray_DATA(x), <double*>PyArray_DATA(y), rows, n, log_of_it)
    return y


def gradient(ndarray g not None, ndarray y not None, bint log_of_it):
    """The gradient of the input of `forward`, given that of its result `y`: a new array like `y`.

    `g` is contiguous and of the dtype and shape of `y`, of which `takes` must be true.
    """
    cdef ndarray out = PyArray_EMPTY(y.ndim, y.shape, PyArray_TYPE(y), 0)
    cdef npy_intp n = y.shape[y.ndim - 1], rows = PyArray_SIZE(y) // n
    if PyArray_TYPE(y) == NPY_FLOAT:
        softmax_gradient_rows_float(
            <float*>PyArray_DATA(g), <float*>PyArray_DATA(y), <float*>PyArray_DATA(out), rows, n, log_of_it)
    else:
        softmax_gradient_rows_double(
            <double*>PyArray_DATA(g), <double*>PyArray_DATA(y), <double*>PyArray_DATA(out), rows, n,
            log_of_it)
    return out
