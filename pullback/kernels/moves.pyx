"""Copies of boxes and triangles, of elements at indices, and reductions there.

moves.h lists them; the templates, move.h, take_put.h with at.h, and scatter.h, say what their geometry is.
"""

from libc.stdint cimport int64_t, uint8_t
from numpy cimport (
    import_array, ndarray, npy_intp, NPY_BOOL, NPY_INT64, PyArray_BYTES, PyArray_DATA, PyArray_DIMS,
    PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS, PyArray_ITEMSIZE, PyArray_NDIM, PyArray_SIZE, PyArray_Transpose,
    PyArray_TYPE, PyArray_ZEROS,
)

import numpy as np

import_array()

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #include "pullback/kernels/moves.h"

    #define ANY(op) RUN(op, 1) RUN(op, 2) RUN(op, 4) RUN(op, 8) RUN(op, 16)
    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) RUN(op, float32) RUN(op, float64)
    #define WHOLE(op) RUN(op, bool_) RUN(op, uint8) RUN(op, int8) RUN(op, int16) RUN(op, int32) RUN(op, int64)
    #define EACH(op) FLOATS(op) WHOLE(op)
    static pb_named const pb_runs[] = {
        ANY(move) ANY(triangle) ANY(take) ANY(put) ANY(mask_fill) ANY(mask_put)
        RUN(cast, any)
        EACH(at_sum) EACH(at_mean) EACH(at_prod) EACH(at_amax) EACH(at_amin)
    };

    static void pb_mask_take(int size, char* to, char const* from, uint8_t const* mask, int64_t count,
                             int64_t row) {
        if (size == 1) pb_mask_take_1(to, from, mask, count, row);
        else if (size == 2) pb_mask_take_2(to, from, mask, count, row);
        else if (size == 4) pb_mask_take_4(to, from, mask, count, row);
        else if (size == 8) pb_mask_take_8(to, from, mask, count, row);
        else pb_mask_take_16(to, from, mask, count, row);
    }

    static int64_t pb_true(uint8_t const* mask, int64_t n) {
        int64_t count = 0;
        for (int64_t i = 0; i < n; i++) count += mask[i] != 0;
        return count;
    }

    /* The indices of what is true in the last dims, from the k-th on: one row of `to` for each dim. */
    static int64_t pb_places(uint8_t const* mask, int64_t n, int64_t dims, int64_t const* at, int64_t* to,
                             int64_t count, int64_t k) {
        int64_t* const last = to + (dims - 1) * count;
        int64_t const first = k;
        for (int64_t j = 0; j < n && k < count; j++) {
            last[k] = j;
            k += mask[j] != 0;
        }
        for (int64_t d = 0; d < dims - 1; d++)
            for (int64_t i = first; i < k; i++) to[d * count + i] = at[d];
        return k;
    }
    """
    int PB_CAST_PART
    void pb_mask_take(int, char*, const char*, const uint8_t*, int64_t, int64_t) nogil
    int64_t pb_true(const uint8_t*, int64_t) nogil
    int64_t pb_places(const uint8_t*, int64_t, int64_t, const int64_t*, int64_t*, int64_t, int64_t) nogil

include "runs.pxi"

CAST_PART = PB_CAST_PART


def take_true(ndarray a not None, ndarray mask not None):
    """`a[mask]` of contiguous arrays; the mask has the first dims of `a`."""
    cdef npy_intp n = PyArray_SIZE(mask), row = 1
    cdef int d
    cdef int64_t count = pb_true(<uint8_t*>PyArray_DATA(mask), n)
    for d in range(PyArray_NDIM(mask), PyArray_NDIM(a)):
        row *= PyArray_DIMS(a)[d]
    shape = (count, *(<object>a).shape[PyArray_NDIM(mask):])
    cdef ndarray result = np.empty(shape, a.dtype)
    with nogil:
        pb_mask_take(PyArray_ITEMSIZE(a), PyArray_BYTES(result), PyArray_BYTES(a),
                     <uint8_t*>PyArray_DATA(mask), count, row)
    return result


def places_of_true(ndarray mask not None, npy_intp most=-1):
    """The indices of what is true in a contiguous array of one dim or more: (count, dims), by columns.

    Of the first `most` if that is not negative.
    """
    cdef npy_intp[2] shape
    cdef int64_t[64] at
    cdef int nd = PyArray_NDIM(mask), d
    cdef npy_intp* dims = PyArray_DIMS(mask)
    cdef npy_intp size = PyArray_SIZE(mask), n = dims[nd - 1]
    cdef uint8_t* p = <uint8_t*>PyArray_DATA(mask)
    cdef int64_t count = pb_true(p, size), k = 0
    if most >= 0:
        count = min(count, most)
    shape[0], shape[1] = nd, count
    cdef ndarray result = PyArray_EMPTY(2, shape, NPY_INT64, 0)
    cdef int64_t* to = <int64_t*>PyArray_DATA(result)
    for d in range(nd):
        at[d] = 0
    while k < count:
        k = pb_places(p, n, nd, at, to, count, k)
        p += n
        for d in range(nd - 2, -1, -1):
            at[d] += 1
            if at[d] < dims[d]:
                break
            at[d] = 0
    return PyArray_Transpose(result, NULL)


def packed_rows(ndarray lengths not None, npy_intp times):
    """The rows that sequences of falling lengths have in padded ones (times, sequences), time after time,
    and how many at each time.

    None for lengths that are no contiguous int64, not positive or not falling.
    """
    cdef npy_intp n = PyArray_SIZE(lengths), total = 0, t, i, k = 0, live = n
    cdef int64_t* p = <int64_t*>PyArray_DATA(lengths)
    if PyArray_TYPE(lengths) != NPY_INT64 or not PyArray_IS_C_CONTIGUOUS(lengths) or n == 0 or p[n - 1] <= 0:
        return None
    for i in range(n):
        if i and p[i] > p[i - 1]:
            return None
        total += min(p[i], times)
    times = min(times, p[0])
    cdef ndarray rows = PyArray_EMPTY(1, &total, NPY_INT64, 0), sizes = PyArray_EMPTY(1, &times, NPY_INT64, 0)
    cdef int64_t* row = <int64_t*>PyArray_DATA(rows)
    for t in range(times):
        while p[live - 1] <= t:
            live -= 1
        (<int64_t*>PyArray_DATA(sizes))[t] = live
        for i in range(live):
            row[k] = t * n + i
            k += 1
    return rows, sizes


def padded_rows(ndarray sizes not None, npy_intp times):
    """Of packed sequences with so many rows at each time: the row that stands at each place of padded ones
    (times, sequences), the first where none does; whether one does; the lengths.

    None for sizes that are no contiguous int64, or do not fall.
    """
    cdef npy_intp n, t, i, at, k = 0
    cdef npy_intp[2] shape
    cdef int64_t* p = <int64_t*>PyArray_DATA(sizes)
    if PyArray_TYPE(sizes) != NPY_INT64 or not PyArray_IS_C_CONTIGUOUS(sizes) or PyArray_SIZE(sizes) == 0:
        return None
    for t in range(PyArray_SIZE(sizes)):
        if p[t] < 0 or t and p[t] > p[t - 1]:
            return None
    n = p[0]
    shape[0], shape[1] = max(times, PyArray_SIZE(sizes)), n
    cdef ndarray rows = PyArray_ZEROS(2, shape, NPY_INT64, 0), kept = PyArray_ZEROS(2, shape, NPY_BOOL, 0)
    cdef ndarray lengths = PyArray_ZEROS(1, &n, NPY_INT64, 0)
    for t in range(PyArray_SIZE(sizes)):
        for i in range(p[t]):
            at = t * n + i
            (<int64_t*>PyArray_DATA(rows))[at] = k
            (<uint8_t*>PyArray_DATA(kept))[at] = 1
            (<int64_t*>PyArray_DATA(lengths))[i] = t + 1
            k += 1
    return rows, kept, lengths
