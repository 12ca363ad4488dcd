# distutils: extra_compile_args = -O3
"""Sorted rows, elements of a rank, the most frequent, and the distinct ones; places in sorted rows;
histograms.

The templates are order.h, on top of entries.h, and histogram.h.
"""

from libc.stdint cimport INT64_MAX, int64_t
from libc.stdlib cimport free, malloc
from numpy cimport (
    import_array, ndarray, npy_intp, NPY_INT64, PyArray_DATA, PyArray_EMPTY, PyArray_SIZE,
    PyArray_ZEROS,
)

import numpy as np

import_array()

cdef enum:
    MOST_HOT = 1 << 30   # elements of a result: larger ones are left to NumPy

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #define TEMPLATE "pullback/kernels/order.h"
    #include "pullback/kernels/integers.h"
    #include "pullback/kernels/floats.h"
    #undef TEMPLATE
    #define TEMPLATE "pullback/kernels/histogram.h"
    #include "pullback/kernels/floats.h"

    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) RUN(op, float32) RUN(op, float64)
    #define EACH(op)                                                                                \\
        FLOATS(op) RUN(op, bool_) RUN(op, uint8) RUN(op, int8) RUN(op, int16) RUN(op, int32) RUN(op, int64)
    static pb_named const pb_runs[] = {
        EACH(order) EACH(rank) EACH(mode) EACH(search) FLOATS(histc) FLOATS(bins)
        RUN(even, float32) RUN(even, float64)};

    typedef int64_t (*pb_distinct)(char const*, int64_t, void*);
    typedef void (*pb_told)(char const*, int64_t, void const*, char*, int64_t*, int64_t*);
    typedef int64_t (*pb_neighbours)(char const*, int64_t, char*, int64_t*, int64_t*);
    #define OF(type)                                                                                \\
        {#type, (pb_distinct)pb_distinct_##type, (pb_told)pb_told_##type,                           \\
         (pb_neighbours)pb_neighbours_##type},
    struct Typed { char const* type; pb_distinct distinct; pb_told told; pb_neighbours neighbours; };
    static struct Typed
    const pb_types[] = {
        OF(bool_) OF(uint8) OF(int8) OF(int16) OF(int32) OF(int64)
        OF(float16) OF(bfloat16) OF(float32) OF(float64)
    };
    #define PB_TYPES ((int)(sizeof pb_types / sizeof *pb_types))
    """
    struct Typed:
        const char* type
        int64_t (*distinct)(const char*, int64_t, void*) noexcept nogil
        void (*told)(const char*, int64_t, const void*, char*, int64_t*, int64_t*) noexcept nogil
        int64_t (*neighbours)(const char*, int64_t, char*, int64_t*, int64_t*) noexcept nogil
    const Typed* pb_types
    int PB_TYPES
    enum:
        PB_TABLES

include "runs.pxi"

TABLES = <int>PB_TABLES

TYPES = {(<bytes>pb_types[i].type).decode().rstrip("_"): i for i in range(PB_TYPES)}
"""Which row of the table of types is a dtype's."""


def distinct(ndarray a not None, int type):
    """The distinct elements of a contiguous array in order, which of them each element is, and their counts.

    `type` is what TYPES says of the dtype. Every NaN is an element of its own.
    """
    cdef npy_intp n = PyArray_SIZE(a), found
    cdef ndarray values, inverse, counts
    cdef const Typed* kind = &pb_types[type]
    cdef char* p = <char*>PyArray_DATA(a)
    cdef void* entries = malloc(2 * 16 * (n + 1))
    if entries == NULL:
        raise MemoryError
    with nogil:
        found = kind.distinct(p, n, entries)
    values = np.empty(found, a.dtype)
    inverse = np.empty((<object>a).shape, np.int64)
    counts = PyArray_EMPTY(1, &found, NPY_INT64, 0)
    kind.told(p, n, entries, <char*>PyArray_DATA(values), <int64_t*>PyArray_DATA(inverse),
              <int64_t*>PyArray_DATA(counts))
    free(entries)
    return values, inverse, counts


def neighbours(ndarray a not None, int type, bint inverse, bint counts):
    """What `distinct` gives, of elements that differ from the one before them.

    Empty instead of the last two where they are not wanted.
    """
    cdef npy_intp n = PyArray_SIZE(a), found
    cdef ndarray values = np.empty(n, a.dtype)
    cdef ndarray which = np.empty((<object>a).shape if inverse else 0, np.int64)
    cdef ndarray lengths = np.empty(n if counts else 0, np.int64)
    found = pb_types[type].neighbours(
        <char*>PyArray_DATA(a), n, <char*>PyArray_DATA(values),
        <int64_t*>PyArray_DATA(which) if inverse else NULL,
        <int64_t*>PyArray_DATA(lengths) if counts else NULL)
    if found < n:
        return values[:found].copy(), which, lengths[:found].copy()
    return values, which, lengths


def hot(ndarray a not None):
    """Ones at the places in a contiguous array of int64, each in a row of zeros, up to the largest one.

    None if one is negative, or too large, or there are none.
    """
    cdef npy_intp n = PyArray_SIZE(a), i
    cdef npy_intp[2] shape
    cdef int64_t* p = <int64_t*>PyArray_DATA(a)
    cdef int64_t most = -1, smallest = 0
    for i in range(n):
        most = max(most, p[i])
        smallest = min(smallest, p[i])
    if smallest < 0 or most < 0 or most > MOST_HOT // n:
        return None
    shape[0], shape[1] = n, most + 1
    cdef ndarray result = PyArray_ZEROS(2, shape, NPY_INT64, 0)
    cdef int64_t* to = <int64_t*>PyArray_DATA(result)
    for i in range(n):
        to[i * shape[1] + p[i]] = 1
    return result


def counted(ndarray a not None, npy_intp least):
    """How often each number occurs in a contiguous array of int64, for `least` numbers or more.

    None if one is negative, or too large.
    """
    cdef npy_intp n = PyArray_SIZE(a), i, count = least
    cdef int64_t* p = <int64_t*>PyArray_DATA(a)
    cdef int64_t most = -1, smallest = 0
    for i in range(n):
        most = max(most, p[i])
        smallest = min(smallest, p[i])
    if smallest < 0 or most == INT64_MAX:
        return None
    count = max(count, most + 1)
    cdef ndarray counts = PyArray_ZEROS(1, &count, NPY_INT64, 0)
    cdef int64_t* to = <int64_t*>PyArray_DATA(counts)
    for i in range(n):
        to[p[i]] += 1
    return counts
