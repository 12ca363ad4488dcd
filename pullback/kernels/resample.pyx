# cython: cdivision=True
"""Linear maps along one dimension of an array: gathered elements, and weighted sums of them.

A map is a list of (source, weight) terms for each place of the result, as in a sparse matrix: pooling,
padding, and interpolation of images are such maps, one for each spatial dim. Arrays are seen as
(outer, size, inner), C-contiguous; x has `size` elements along the middle dim, y has `places`. Indices are
int64, weights float64. Nothing is checked: `ops/images/axis_maps.py` makes the maps. Read `weigh`.
"""

from libc.string cimport memcpy
from numpy cimport import_array, ndarray, PyArray_DATA

import_array()

ctypedef fused item:  # what is only copied, by its size
    char
    short
    int
    long long
    double complex

ctypedef fused real:
    float
    double


cdef void gather(item* x, item* y, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t inner, long long* source,
                 long long* length, Py_ssize_t count, Py_ssize_t places) noexcept nogil:
    """Copies runs of elements: each from `source`, of some length."""
    cdef Py_ssize_t a, r
    cdef item* to = y
    cdef item* rows
    for a in range(outer):
        rows = x + a * size * inner
        if inner == 1 and count == places:
            for r in range(count):
                to[r] = rows[source[r]]
            to += count
            continue
        for r in range(count):
            if inner == 1 and length[r] == 1:
                to[0] = rows[source[r]]
            else:
                memcpy(to, rows + source[r] * inner, length[r] * inner * sizeof(item))
            to += length[r] * inner


def take_runs(ndarray x, ndarray y, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t inner, ndarray source,
              ndarray length, Py_ssize_t places):
    """Fills y with runs of elements of x along the middle dim: `length[r]` from `source[r]` on, any dtype."""
    cdef void* a = PyArray_DATA(x)
    cdef void* b = PyArray_DATA(y)
    cdef long long* s = <long long*>PyArray_DATA(source)
    cdef long long* n = <long long*>PyArray_DATA(length)
    cdef Py_ssize_t count = source.shape[0]
    if x.itemsize == 4:
        gather(<int*>a, <int*>b, outer, size, inner, s, n, count, places)
    elif x.itemsize == 8:
        gather(<long long*>a, <long long*>b, outer, size, inner, s, n, count, places)
    elif x.itemsize == 16:
        gather(<double complex*>a, <double complex*>b, outer, size, inner, s, n, count, places)
    elif x.itemsize == 2:
        gather(<short*>a, <short*>b, outer, size, inner, s, n, count, places)
    else:
        gather(<char*>a, <char*>b, outer, size, inner, s, n, count, places)


cdef inline void combine(real* x, real* to, Py_ssize_t inner, long long* index, double* weight,
                         Py_ssize_t count) noexcept nogil:
    """One row of the result: the weighted sum of `count` rows of x."""
    cdef Py_ssize_t k, j
    cdef real w, v
    cdef real* a
    cdef real* b
    if count < 2:
        a = x + index[0] * inner
        w = <real>weight[0] if count else 0
        for j in range(inner):
            to[j] = w * a[j] if count else 0
        return
    a = x + index[0] * inner
    b = x + index[1] * inner
    w = <real>weight[0]
    v = <real>weight[1]
    for j in range(inner):
        to[j] = w * a[j] + v * b[j]
    for k in range(2, count):
        a = x + index[k] * inner
        w = <real>weight[k]
        for j in range(inner):
            to[j] += w * a[j]


cdef void weigh(real* x, real* y, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t inner, Py_ssize_t places,
                long long* start, long long* index, double* weight, double* divisor) noexcept nogil:
    cdef Py_ssize_t a, o, k, j
    cdef double total
    cdef real* rows
    cdef real* to = y
    for a in range(outer):
        rows = x + a * size * inner
        for o in range(places):
            if inner == 1:
                total = 0
                for k in range(start[o], start[o + 1]):
                    total += weight[k] * rows[index[k]]
                to[0] = <real>(total if divisor == NULL else total / divisor[o])
            else:
                combine(rows, to, inner, index + start[o], weight + start[o], start[o + 1] - start[o])
                if divisor != NULL and divisor[o] != 1:
                    for j in range(inner):
                        to[j] /= <real>divisor[o]
            to += inner


def weighted_sums(ndarray x, ndarray y, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t inner,
                  Py_ssize_t places, ndarray start, ndarray index, ndarray weight, ndarray divisor):
    """Fills y with weighted sums of x, each over its divisor if there is one.

    Both are float32, or both float64; place o has the terms `start[o]` to `start[o + 1]` of `index` and
    `weight`.
    """
    cdef long long* s = <long long*>PyArray_DATA(start)
    cdef long long* i = <long long*>PyArray_DATA(index)
    cdef double* w = <double*>PyArray_DATA(weight)
    cdef double* d = NULL if divisor is None else <double*>PyArray_DATA(divisor)
    if x.itemsize == 4:
        weigh(<float*>PyArray_DATA(x), <float*>PyArray_DATA(y), outer, size, inner, places, s, i, w, d)
    else:
        weigh(<double*>PyArray_DATA(x), <double*>PyArray_DATA(y), outer, size, inner, places, s, i, w, d)
