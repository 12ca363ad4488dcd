"""Distances between the rows of matrices, without the differences of all pairs in memory.

A row's distance of order p, the norm of the difference, is summed in double precision; p is any number from
zero to infinity. `between` takes two stacks of matrices, `within` one, whose pairs i < j of rows it takes
in order. All arrays are C-contiguous and of one dtype, float32 or float64 (TypeError for any other);
`ops/networks/distances.py` has checked their shapes. RUNS do `between` for plans.
"""

from libc.math cimport INFINITY, fabs, pow, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from pullback.core._plans cimport capsule_of, run_t

ctypedef fused real:
    float
    double


cdef double distance(const real* x, const real* y, Py_ssize_t n, double p) noexcept nogil:
    """The norm of order p of x - y."""
    cdef Py_ssize_t k
    cdef double total = 0, away
    if p == 2:
        for k in range(n):
            away = <double>x[k] - y[k]
            total += away * away
        return sqrt(total)
    if p == 1:
        for k in range(n):
            total += fabs(<double>x[k] - y[k])
        return total
    if p == 0:
        for k in range(n):
            total += x[k] != y[k]
        return total
    if p == INFINITY:
        for k in range(n):
            away = fabs(<double>x[k] - y[k])
            if away > total or away != away:
                total = away
        return total
    for k in range(n):
        total += pow(fabs(<double>x[k] - y[k]), p)
    return pow(total, 1 / p)


def between(const real[:, :, ::1] x, const real[:, :, ::1] y, real[:, :, ::1] out, double p):
    """Writes the distances of every row of x from every row of y: (b, n, d), (b, m, d), (b, n, m)."""
    cdef Py_ssize_t b, i, j, n = x.shape[2]
    if not n:
        out[:] = 0
        return
    with nogil:
        for b in range(x.shape[0]):
            for i in range(x.shape[1]):
                for j in range(y.shape[1]):
                    out[b, i, j] = <real>distance(&x[b, i, 0], &y[b, j, 0], n, p)


def within(const real[:, :, ::1] x, real[:, ::1] out, double p):
    """Writes the distances of the pairs of rows i < j: (b, n, d) and (b, n * (n - 1) / 2)."""
    cdef Py_ssize_t b, i, j, at, n = x.shape[2]
    if not n:
        out[:] = 0
        return
    with nogil:
        for b in range(x.shape[0]):
            at = 0
            for i in range(x.shape[1]):
                for j in range(i + 1, x.shape[1]):
                    out[b, at] = <real>distance(&x[b, i, 0], &x[b, j, 0], n, p)
                    at += 1


cdef inline int pairs(const int64_t* geometry, const real* x, const real* y, real* out, int64_t begin,
                      int64_t end) noexcept nogil:
    """The distances of row `i % n` of matrix `i // n` of x, for parts i, from the rows of y's matrix."""
    cdef int64_t n = geometry[0], m = geometry[1], d = geometry[2], i, j
    cdef double p
    memcpy(&p, geometry + 3, sizeof(double))
    for i in range(begin, end):
        for j in range(m):
            out[i * m + j] = <real>distance(x + i * d, y + (i // n * m + j) * d, d, p)
    return 0


cdef int run_float(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                   char* scratch) noexcept nogil:
    return pairs[float](geometry, <float*>data[0], <float*>data[1], <float*>data[2], begin, end)


cdef int run_double(const int64_t* geometry, char** data, int64_t begin, int64_t end,
                    char* scratch) noexcept nogil:
    return pairs[double](geometry, <double*>data[0], <double*>data[1], <double*>data[2], begin, end)


RUNS = {"float32": capsule_of(<run_t>run_float), "float64": capsule_of(<run_t>run_double)}
