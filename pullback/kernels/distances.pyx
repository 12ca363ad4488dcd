"""Distances between the rows of matrices, without the differences of all pairs in memory.

A row's distance of order p, the norm of the difference, is summed in double precision; p is any number from
zero to infinity. `between` takes two stacks of matrices, `within` one, whose pairs i < j of rows it takes
in order. All arrays are C-contiguous and of one dtype, float32 or float64 (TypeError for any other);
`ops/networks/distances.py` has checked their shapes.
"""

from libc.math cimport INFINITY, fabs, pow, sqrt

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
