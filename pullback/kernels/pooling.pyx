# cython: cdivision=True
"""Largest elements of windows, and elements moved by a table of places.

Arrays are seen as (outer, three spatial dims), C-contiguous. A window is given by its first place, its end
and its step in each of the spatial dims; places, int64, count the elements of the spatial dims in the
order of memory. Nothing is checked: `ops/images/max_pooling.py` does. Read `largest`.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t
from numpy cimport import_array, ndarray, PyArray_DATA

import_array()

ctypedef fused number:
    int8_t
    uint8_t
    int16_t
    int32_t
    int64_t
    float
    double

ctypedef fused item:
    int16_t
    int32_t
    int64_t

ctypedef fused real:
    float
    double


cdef void largest(number* x, number* y, int64_t* place, Py_ssize_t outer, Py_ssize_t* size, Py_ssize_t* count,
                  int64_t** first, int64_t** end, Py_ssize_t* step) noexcept nogil:
    """The largest element of each window, NaN if there is one, and its place: the first if they are equal."""
    cdef Py_ssize_t a, o0, o1, o2, i0, i1, i2, row, best_place
    cdef Py_ssize_t plane = size[0] * size[1] * size[2], at = 0
    cdef number best, value
    for a in range(outer):
        for o0 in range(count[0]):
            for o1 in range(count[1]):
                for o2 in range(count[2]):
                    best_place = (first[0][o0] * size[1] + first[1][o1]) * size[2] + first[2][o2]
                    best = x[best_place]
                    i0 = first[0][o0]
                    while i0 < end[0][o0]:
                        i1 = first[1][o1]
                        while i1 < end[1][o1]:
                            row = (i0 * size[1] + i1) * size[2]
                            i2 = first[2][o2]
                            while i2 < end[2][o2]:
                                value = x[row + i2]
                                if value > best or value != value:
                                    best = value
                                    best_place = row + i2
                                i2 += step[2]
                            i1 += step[1]
                        i0 += step[0]
                    y[at] = best
                    place[at] = best_place
                    at += 1
        x += plane


def largest_in_windows(ndarray x, ndarray y, ndarray place, Py_ssize_t outer, tuple sizes, list firsts,
                       list ends, tuple steps):
    """Fills y and place, (outer, windows), with the largest elements of windows of x and where they stand.

    x is (outer, *sizes) of float32, float64, uint8 or a signed integer dtype, y of the same. Of each dim,
    `firsts` and `ends` have an int64 array with a number for each window along it, `steps` the dilation.
    """
    cdef Py_ssize_t size[3]
    cdef Py_ssize_t count[3]
    cdef Py_ssize_t step[3]
    cdef int64_t* first[3]
    cdef int64_t* end[3]
    cdef int d
    for d in range(3):
        size[d], step[d], count[d] = sizes[d], steps[d], len(firsts[d])
        first[d] = <int64_t*>PyArray_DATA(<ndarray>firsts[d])
        end[d] = <int64_t*>PyArray_DATA(<ndarray>ends[d])
    cdef void* a = PyArray_DATA(x)
    cdef void* b = PyArray_DATA(y)
    cdef int64_t* p = <int64_t*>PyArray_DATA(place)
    cdef str code = x.dtype.char
    if code == "f":
        largest(<float*>a, <float*>b, p, outer, size, count, first, end, step)
    elif code == "d":
        largest(<double*>a, <double*>b, p, outer, size, count, first, end, step)
    elif code == "B":
        largest(<uint8_t*>a, <uint8_t*>b, p, outer, size, count, first, end, step)
    elif x.itemsize == 8:
        largest(<int64_t*>a, <int64_t*>b, p, outer, size, count, first, end, step)
    elif x.itemsize == 4:
        largest(<int32_t*>a, <int32_t*>b, p, outer, size, count, first, end, step)
    elif x.itemsize == 2:
        largest(<int16_t*>a, <int16_t*>b, p, outer, size, count, first, end, step)
    else:
        largest(<int8_t*>a, <int8_t*>b, p, outer, size, count, first, end, step)


cdef void gather(item* x, item* y, int64_t* place, Py_ssize_t outer, Py_ssize_t size,
                 Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t a, j
    for a in range(outer):
        for j in range(count):
            y[j] = x[place[j]]
        x += size
        y += count
        place += count


cdef void scatter(real* x, real* y, int64_t* place, Py_ssize_t outer, Py_ssize_t size,
                  Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t a, j
    for a in range(outer):
        for j in range(count):
            y[place[j]] += x[j]
        x += count
        y += size
        place += count


def gather_places(ndarray x, ndarray y, ndarray place, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t count):
    """`y[a, j] = x[a, place[a, j]]` for x of (outer, size), y and place of (outer, count).

    x and y are of one dtype, of 2, 4 or 8 bytes.
    """
    cdef int64_t* p = <int64_t*>PyArray_DATA(place)
    if x.itemsize == 4:
        gather(<int32_t*>PyArray_DATA(x), <int32_t*>PyArray_DATA(y), p, outer, size, count)
    elif x.itemsize == 8:
        gather(<int64_t*>PyArray_DATA(x), <int64_t*>PyArray_DATA(y), p, outer, size, count)
    else:
        gather(<int16_t*>PyArray_DATA(x), <int16_t*>PyArray_DATA(y), p, outer, size, count)


def scatter_places(ndarray x, ndarray y, ndarray place, Py_ssize_t outer, Py_ssize_t size, Py_ssize_t count):
    """`y[a, place[a, j]] += x[a, j]` for x and place of (outer, count), y of (outer, size), of floats."""
    cdef int64_t* p = <int64_t*>PyArray_DATA(place)
    if x.itemsize == 4:
        scatter(<float*>PyArray_DATA(x), <float*>PyArray_DATA(y), p, outer, size, count)
    else:
        scatter(<double*>PyArray_DATA(x), <double*>PyArray_DATA(y), p, outer, size, count)
