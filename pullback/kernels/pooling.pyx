"""Largest elements of windows, and elements moved by a table of places: see pooling.h.

Places, int64, count the elements of the spatial dims in the order of memory. Nothing is checked:
`ops/images/max_pooling.py` does.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, intptr_t
from numpy cimport import_array, ndarray, PyArray_DATA

from pullback.core._plans cimport run_t

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


def run(str op, tuple geometry, tuple arrays, int64_t parts, int64_t scratch=0):
    """A run on arrays laid out as the geometry says; the first says the number type. Its status."""
    cdef int64_t numbers[16]
    cdef bytearray room = bytearray(scratch)
    cdef char* data[4]
    cdef int i
    for i in range(len(geometry)):
        numbers[i] = geometry[i]
    for i in range(len(arrays)):
        data[i] = <char*>PyArray_DATA(<ndarray>arrays[i])
    cdef object capsule = RUNS[op][arrays[0].dtype.name]
    return (<run_t>PyCapsule_GetPointer(capsule, "pullback.run"))(
        numbers, data, 0, parts, <char*>PyByteArray_AS_STRING(room))


def address(ndarray a):
    """Where an array's elements stand."""
    return <intptr_t>PyArray_DATA(a)
