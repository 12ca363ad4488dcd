"""Losses of classes on raw memory: picking each row's class, and putting a gradient back there.

The input is C-contiguous with the shape (N, C, M), float32 or float64 (TypeError for any other), the target
contiguous int64 with the shape (N, M), M being the product of all dims behind the classes;
`ops/networks/cross_entropy.py` sees to that. `weight` has a number for each class, in the input's dtype, or
is None. Targets that equal `ignore` count for nothing. Read `pick_real`.
"""

import numpy as np

cimport cython
from numpy cimport (
    import_array, int64_t, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_TYPE, PyArray_ZEROS,
    NPY_DOUBLE, NPY_FLOAT,
)

import_array()

ctypedef fused real:
    float
    double


cdef int64_t pick_real(real* x, int64_t* target, real* weight, real* out, npy_intp rows, npy_intp classes,
                       npy_intp inner, int64_t ignore) noexcept nogil:
    """Writes -weight * x of each row's class. The first target out of range is returned, else `ignore`."""
    cdef npy_intp n, m, i = 0
    cdef int64_t t
    for n in range(rows):
        for m in range(inner):
            t = target[i]
            if t == ignore:
                out[i] = 0
            elif t < 0 or t >= classes:
                return t
            elif weight == NULL:
                out[i] = -x[(n * classes + t) * inner + m]
            else:
                out[i] = -weight[t] * x[(n * classes + t) * inner + m]
            i += 1
    return ignore


cdef void put_real(real* g, npy_intp step, real scale, int64_t* target, real* weight, real* out,
                   npy_intp rows, npy_intp classes, npy_intp inner, int64_t ignore) noexcept nogil:
    """Writes -weight * g * scale at each row's class of zeros."""
    cdef npy_intp n, m, i = 0
    cdef int64_t t
    cdef real w
    for n in range(rows):
        for m in range(inner):
            t = target[i]
            if t != ignore and 0 <= t < classes:
                w = 1 if weight == NULL else weight[t]
                out[(n * classes + t) * inner + m] = -g[i * step] * scale * w
            i += 1


cdef double total_real(int64_t* target, real* weight, npy_intp count, int64_t ignore) noexcept nogil:
    """The sum of the weights of all targets; without weights, their count."""
    cdef npy_intp i
    cdef double total = 0
    for i in range(count):
        if target[i] != ignore:
            total += 1.0 if weight == NULL else weight[target[i]]
    return total


cdef void* address(ndarray a):
    return NULL if a is None else PyArray_DATA(a)


def pick(ndarray x not None, ndarray target not None, ndarray weight, int64_t ignore):
    """-weight * x at each row's class: (N, M) in the dtype of `x`. IndexError for a class out of range."""
    cdef npy_intp rows = x.shape[0], classes = x.shape[1], inner = x.shape[2]
    cdef npy_intp[2] dims = [rows, inner]
    cdef int kind = PyArray_TYPE(x)
    cdef ndarray out = PyArray_EMPTY(2, dims, kind, 0)
    cdef int64_t* t = <int64_t*>PyArray_DATA(target)
    cdef int64_t bad
    if kind == NPY_FLOAT:
        bad = pick_real[float](<float*>PyArray_DATA(x), t, <float*>address(weight), <float*>PyArray_DATA(out),
                               rows, classes, inner, ignore)
    elif kind == NPY_DOUBLE:
        bad = pick_real[double](<double*>PyArray_DATA(x), t, <double*>address(weight),
                                <double*>PyArray_DATA(out), rows, classes, inner, ignore)
    else:
        raise TypeError(f"pick takes float32 and float64, not {x.dtype}")
    if bad != ignore:
        raise IndexError(f"Target {bad} is out of bounds.")
    return out


def put(ndarray g not None, double scale, ndarray target not None, ndarray weight, int64_t ignore,
        npy_intp rows, npy_intp classes, npy_intp inner):
    """The adjoint of `pick`, times `scale`: (N, C, M) in the dtype of `g`, which is (N, M) or 0-dim."""
    cdef npy_intp[3] dims = [rows, classes, inner]
    cdef int kind = PyArray_TYPE(g)
    cdef ndarray out = PyArray_ZEROS(3, dims, kind, 0)
    cdef npy_intp step = g.ndim != 0
    cdef int64_t* t = <int64_t*>PyArray_DATA(target)
    if kind == NPY_FLOAT:
        put_real[float](<float*>PyArray_DATA(g), step, <float>scale, t, <float*>address(weight),
                        <float*>PyArray_DATA(out), rows, classes, inner, ignore)
    elif kind == NPY_DOUBLE:
        put_real[double](<double*>PyArray_DATA(g), step, scale, t, <double*>address(weight),
                         <double*>PyArray_DATA(out), rows, classes, inner, ignore)
    else:
        raise TypeError(f"put takes float32 and float64, not {g.dtype}")
    return out


def total_weight(ndarray target not None, ndarray weight, int64_t ignore):
    """The sum of the weights of all targets, a Python float; without weights, their count."""
    cdef npy_intp count = target.size
    cdef int64_t* t = <int64_t*>PyArray_DATA(target)
    if weight is not None and PyArray_TYPE(weight) == NPY_DOUBLE:
        return total_real[double](t, <double*>PyArray_DATA(weight), count, ignore)
    return total_real[float](t, <float*>address(weight), count, ignore)
