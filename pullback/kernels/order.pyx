"""Sorted rows, elements of a rank, the most frequent, and the distinct ones; places in sorted rows;
histograms.

The templates are order.h, on top of entries.h, and histogram.h.
"""

from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from numpy cimport (
    import_array, ndarray, npy_intp, NPY_INT64, PyArray_DATA, PyArray_EMPTY, PyArray_SIZE,
    PyArray_ZEROS,
)

import numpy as np

from pullback.core._plans cimport run_t

import_array()

cdef extern from *:
    """
    #define TEMPLATE "pullback/kernels/order.h"
    #include "pullback/kernels/integers.h"
    #include "pullback/kernels/floats.h"
    #undef TEMPLATE
    #define TEMPLATE "pullback/kernels/histogram.h"
    #include "pullback/kernels/floats.h"

    typedef int (*pb_run)(int64_t const*, char**, int64_t, int64_t, char*);
    typedef int64_t (*pb_distinct)(char const*, int64_t, void*);
    typedef void (*pb_told)(char const*, int64_t, void const*, char*, int64_t*, int64_t*);
    #define OF(type) {#type, pb_order_##type, pb_rank_##type, pb_mode_##type, pb_search_##type, \\
                      (pb_distinct)pb_distinct_##type, (pb_told)pb_told_##type},
    struct Typed { char const* type; pb_run order, rank, mode, search; pb_distinct distinct; pb_told told; };
    static struct Typed
    const pb_types[] = {
        OF(bool_) OF(uint8) OF(int8) OF(int16) OF(int32) OF(int64)
        OF(float16) OF(bfloat16) OF(float32) OF(float64)
    };
    #define pb_count ((int)(sizeof pb_types / sizeof *pb_types))
    """
    int pb_histc_float16(const int64_t*, char**, int64_t, int64_t, char*) noexcept nogil
    int pb_histc_bfloat16(const int64_t*, char**, int64_t, int64_t, char*) noexcept nogil
    int pb_histc_float32(const int64_t*, char**, int64_t, int64_t, char*) noexcept nogil
    int pb_histc_float64(const int64_t*, char**, int64_t, int64_t, char*) noexcept nogil
    struct Typed:
        const char* type
        run_t order, rank, mode, search
        int64_t (*distinct)(const char*, int64_t, void*) noexcept nogil
        void (*told)(const char*, int64_t, const void*, char*, int64_t*, int64_t*) noexcept nogil
    const Typed* pb_types
    int pb_count


cdef object capsule(run_t run):
    return PyCapsule_New(<void*>run, "pullback.run", NULL)


def table():
    """The compiled runs: op -> dtype's name -> capsule; and which row of the table is a dtype's."""
    runs = {"order": {}, "rank": {}, "mode": {}, "search": {}}
    cdef int i
    for i in range(pb_count):
        name = (<bytes>pb_types[i].type).decode().rstrip("_")
        runs["order"][name] = capsule(pb_types[i].order)
        runs["rank"][name] = capsule(pb_types[i].rank)
        runs["mode"][name] = capsule(pb_types[i].mode)
        runs["search"][name] = capsule(pb_types[i].search)
        TYPES[name] = i
    runs["histc"] = {"float16": capsule(pb_histc_float16), "bfloat16": capsule(pb_histc_bfloat16),
                     "float32": capsule(pb_histc_float32), "float64": capsule(pb_histc_float64)}
    return runs


TYPES = {}
RUNS = table()


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


def counted(ndarray a not None, npy_intp least):
    """How often each number occurs in a contiguous array of int64, for `least` numbers or more.

    None if one is negative.
    """
    cdef npy_intp n = PyArray_SIZE(a), i, count = least
    cdef int64_t* p = <int64_t*>PyArray_DATA(a)
    cdef int64_t most = -1, smallest = 0
    for i in range(n):
        most = max(most, p[i])
        smallest = min(smallest, p[i])
    if smallest < 0:
        return None
    count = max(count, most + 1)
    cdef ndarray counts = PyArray_ZEROS(1, &count, NPY_INT64, 0)
    cdef int64_t* to = <int64_t*>PyArray_DATA(counts)
    for i in range(n):
        to[p[i]] += 1
    return counts
