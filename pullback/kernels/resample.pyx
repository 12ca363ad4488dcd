"""Linear maps along one dimension of an array: gathered elements, and weighted sums of them.

A map is a list of (source, weight) terms for each place of the result, as in a sparse matrix: pooling,
padding, and interpolation of images are such maps, one for each spatial dim. Arrays are seen as
(outer, size, inner), C-contiguous; x has `size` elements along the middle dim, y has `places`. Indices are
int64, weights float64. Nothing is checked: `ops/images/axis_maps.py` makes the maps. The loops, which are
steps of plans too, are in resample.h.
"""

from libc.stdint cimport int64_t, intptr_t
from numpy cimport import_array, ndarray, PyArray_DATA

from pullback.core._plans cimport capsule_of, run_t

import_array()

cdef extern from *:
    """
    #include "pullback/kernels/resample.h"
    """
    run_t pb_gather_runs
    run_t pb_weigh_float32
    run_t pb_weigh_float64


GATHER = capsule_of(pb_gather_runs)
WEIGH = {"float32": capsule_of(pb_weigh_float32), "float64": capsule_of(pb_weigh_float64)}


def take_runs(ndarray x, ndarray y, int64_t outer, int64_t size, int64_t inner, ndarray source,
              ndarray length, int64_t places):
    """Fills y with runs of elements of x along the middle dim: `length[r]` from `source[r]` on, any dtype."""
    cdef int64_t geometry[7]
    cdef char* data[2]
    geometry[0], geometry[1], geometry[2], geometry[3] = x.itemsize, size, inner, places
    geometry[4] = source.shape[0]
    geometry[5], geometry[6] = <intptr_t>PyArray_DATA(source), <intptr_t>PyArray_DATA(length)
    data[0], data[1] = <char*>PyArray_DATA(x), <char*>PyArray_DATA(y)
    pb_gather_runs(geometry, data, 0, outer, NULL)


def weighted_sums(ndarray x, ndarray y, int64_t outer, int64_t size, int64_t inner, int64_t places,
                  ndarray start, ndarray index, ndarray weight, ndarray divisor):
    """Fills y with weighted sums of x, each over its divisor if there is one.

    Both are float32, or both float64; place o has the terms `start[o]` to `start[o + 1]` of `index` and
    `weight`.
    """
    cdef int64_t geometry[7]
    cdef char* data[2]
    geometry[0], geometry[1], geometry[2] = size, inner, places
    geometry[3], geometry[4] = <intptr_t>PyArray_DATA(start), <intptr_t>PyArray_DATA(index)
    geometry[5] = <intptr_t>PyArray_DATA(weight)
    geometry[6] = 0 if divisor is None else <intptr_t>PyArray_DATA(divisor)
    data[0], data[1] = <char*>PyArray_DATA(x), <char*>PyArray_DATA(y)
    if x.itemsize == 4:
        pb_weigh_float32(geometry, data, 0, outer, NULL)
    else:
        pb_weigh_float64(geometry, data, 0, outer, NULL)
