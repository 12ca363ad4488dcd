"""Largest elements of windows, and elements moved by a table of places: see pooling.h.

Places, int64, count the elements of the spatial dims in the order of memory. Nothing is checked:
`ops/images/max_pooling.py` does.
"""

from libc.stdint cimport intptr_t
from numpy cimport import_array, ndarray, PyArray_DATA

import_array()

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #include "pullback/kernels/steps.h"

    #define TEMPLATE "pullback/kernels/pooling.h"
    #include "pullback/kernels/integers.h"
    #include "pullback/kernels/floats.h"
    #undef TEMPLATE

    #define BOTH(op) RUN(op, float32) RUN(op, float64)
    static pb_named const pb_runs[] = {
        RUN(max_windows, uint8) RUN(max_windows, int8) RUN(max_windows, int16) RUN(max_windows, int32)
        RUN(max_windows, int64) RUN(max_windows, float16) RUN(max_windows, bfloat16)
        BOTH(max_windows) BOTH(put_places) BOTH(take_places)
        RUN(fractional_windows, float16) RUN(fractional_windows, bfloat16) BOTH(fractional_windows)
        RUN(set_places, float16) RUN(set_places, bfloat16) BOTH(set_places)
    };
    """

include "runs.pxi"


def address(ndarray a):
    """Where an array's elements stand."""
    return <intptr_t>PyArray_DATA(a)
