# distutils: extra_compile_args = -O3
"""Sums of rows that indices name, on raw memory: what embeddings, bags and segments are made of.

A bag sum adds `scale[i] * rows[source[i]]` to the row `target[i]` of a result, for each i in turn. Its
derivatives are a bag sum with the indices exchanged, and inner products of rows. `bag_max` takes maxima
instead. All arrays are C-contiguous, `rows` (n, width) of float32 or float64 (TypeError for any other),
`scale` of the same dtype, indices int64 of one dim and inside of the rows; `ops/networks/bags.py` has
checked that. None for indices means that i itself is the row. Read `add_rows`, then `bag_sum`. Whole bags, by
their offsets, are in bags.h.
"""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"

    #define TEMPLATE "pullback/kernels/bags.h"
    #include "pullback/kernels/reals.h"
    #undef TEMPLATE

    static pb_named const pb_runs[] = {RUN(bags, float32) RUN(bags, float64)};
    """

include "runs.pxi"

from numpy cimport (
    import_array, int64_t, ndarray, npy_intp, PyArray_DATA, PyArray_EMPTY, PyArray_TYPE, PyArray_ZEROS,
    NPY_DOUBLE, NPY_FLOAT, NPY_INT64,
)

import_array()

ctypedef fused real:
    float
    double


cdef void add_rows(real* rows, int64_t* source, int64_t* target, real* scale, real* out, npy_intp count,
                   npy_intp width) noexcept nogil:
    cdef npy_intp i, j
    cdef real* a
    cdef real* b
    cdef real s
    for i in range(count):
        a = rows + (i if source == NULL else source[i]) * width
        b = out + (i if target == NULL else target[i]) * width
        if scale == NULL:
            for j in range(width):
                b[j] += a[j]
        else:
            s = scale[i]
            for j in range(width):
                b[j] += s * a[j]


cdef void dot_rows(real* left, int64_t* at_left, real* right, int64_t* at_right, real* out, npy_intp count,
                   npy_intp width) noexcept nogil:
    cdef npy_intp i, j
    cdef real* a
    cdef real* b
    cdef real total
    for i in range(count):
        a = left + at_left[i] * width
        b = right + at_right[i] * width
        total = 0
        for j in range(width):
            total += a[j] * b[j]
        out[i] = total


cdef void take_largest(real* rows, int64_t* source, int64_t* target, real* out, int64_t* where,
                       npy_intp count, npy_intp width) noexcept nogil:
    """NaN counts as larger than all. `where` holds -1 where a bag has had nothing yet."""
    cdef npy_intp i, j
    cdef real* a
    cdef real* b
    cdef int64_t* w
    for i in range(count):
        a = rows + source[i] * width
        b = out + target[i] * width
        w = where + target[i] * width
        for j in range(width):
            if w[j] < 0 or a[j] > b[j] or (a[j] != a[j] and b[j] == b[j]):
                b[j] = a[j]
                w[j] = source[i]


cdef void* address(ndarray a):
    return NULL if a is None else PyArray_DATA(a)


def bag_sum(ndarray rows not None, ndarray source, ndarray target, ndarray scale, npy_intp bags,
            npy_intp count):
    """`scale[i] * rows[source[i]]` added to row `target[i]` of zeros, for i < count: (bags, width)."""
    cdef npy_intp[2] dims = [bags, rows.shape[1]]
    cdef int kind = PyArray_TYPE(rows)
    cdef ndarray out = PyArray_ZEROS(2, dims, kind, 0)
    cdef int64_t* s = <int64_t*>address(source)
    cdef int64_t* t = <int64_t*>address(target)
    if kind == NPY_FLOAT:
        add_rows[float](<float*>PyArray_DATA(rows), s, t, <float*>address(scale),
                        <float*>PyArray_DATA(out), count, dims[1])
    elif kind == NPY_DOUBLE:
        add_rows[double](<double*>PyArray_DATA(rows), s, t, <double*>address(scale),
                         <double*>PyArray_DATA(out), count, dims[1])
    else:
        raise TypeError(f"bag_sum takes float32 and float64, not {rows.dtype}")
    return out


def bag_dots(ndarray left not None, ndarray at_left not None, ndarray right not None,
             ndarray at_right not None):
    """The inner products of `left[at_left[i]]` and `right[at_right[i]]`, one dim, as long as the indices."""
    cdef npy_intp count = at_left.shape[0]
    cdef int kind = PyArray_TYPE(left)
    cdef ndarray out = PyArray_EMPTY(1, &count, kind, 0)
    cdef int64_t* a = <int64_t*>PyArray_DATA(at_left)
    cdef int64_t* b = <int64_t*>PyArray_DATA(at_right)
    if kind == NPY_FLOAT:
        dot_rows[float](<float*>PyArray_DATA(left), a, <float*>PyArray_DATA(right), b,
                        <float*>PyArray_DATA(out), count, left.shape[1])
    elif kind == NPY_DOUBLE:
        dot_rows[double](<double*>PyArray_DATA(left), a, <double*>PyArray_DATA(right), b,
                         <double*>PyArray_DATA(out), count, left.shape[1])
    else:
        raise TypeError(f"bag_dots takes float32 and float64, not {left.dtype}")
    return out


def bag_max(ndarray rows not None, ndarray source not None, ndarray target not None, npy_intp bags):
    """The largest of the rows of each bag, column by column, and which rows they are: both (bags, width).

    A bag without rows has zeros, and -1 for the rows. NaN counts as larger than all.
    """
    cdef npy_intp[2] dims = [bags, rows.shape[1]]
    cdef int kind = PyArray_TYPE(rows)
    cdef ndarray out = PyArray_ZEROS(2, dims, kind, 0)
    cdef ndarray where = PyArray_EMPTY(2, dims, NPY_INT64, 0)
    cdef int64_t* s = <int64_t*>PyArray_DATA(source)
    cdef int64_t* t = <int64_t*>PyArray_DATA(target)
    cdef int64_t* w = <int64_t*>PyArray_DATA(where)
    where.fill(-1)
    if kind == NPY_FLOAT:
        take_largest[float](<float*>PyArray_DATA(rows), s, t, <float*>PyArray_DATA(out), w,
                            source.shape[0], dims[1])
    elif kind == NPY_DOUBLE:
        take_largest[double](<double*>PyArray_DATA(rows), s, t, <double*>PyArray_DATA(out), w,
                             source.shape[0], dims[1])
    else:
        raise TypeError(f"bag_max takes float32 and float64, not {rows.dtype}")
    return out, where
