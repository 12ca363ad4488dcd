"""Runs that are put together, and NumPy's loops as runs: see steps.h, pairs.h and product.h."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int64_t, intptr_t
from numpy cimport import_array, ndarray, PyArray_DATA

import_array()

import numpy as np

from pullback.core._loops cimport Loops, loop_for, loop_t
from pullback.core._plans cimport capsule_of
from pullback.core._pool cimport cut, cutter_t, run_t

cdef extern from *:
    """
    #include "pullback/kernels/pairs.h"
    #define KIND FLOAT32
    #include "pullback/kernels/product.h"
    #define KIND FLOAT64
    #include "pullback/kernels/product.h"
    """
    cutter_t pb_cut_step
    run_t pb_chain
    run_t pb_lines
    int PB_LINE_BLOCK
    run_t pb_product
    run_t pb_multiply_float32
    run_t pb_multiply_float64
    int pb_fuses()
    enum:
        OF_SUM_ "OF_SUM"
        WIDEST_ "WIDEST"
        MOST_ROWS_ "MOST_ROWS"
    run_t pb_pairs_float32
    run_t pb_pairs_float64
    run_t pb_unit_float32
    run_t pb_unit_float64
    run_t pb_widen_float16
    run_t pb_widen_bfloat16
    run_t pb_narrow_float16
    run_t pb_narrow_bfloat16


pb_cut_step = cut
CHAIN = capsule_of(pb_chain)
POINTWISE = capsule_of(pb_lines)
LINE_BLOCK = PB_LINE_BLOCK
PRODUCT = capsule_of(pb_product)
MULTIPLY = {"float32": capsule_of(pb_multiply_float32), "float64": capsule_of(pb_multiply_float64)}
QUICK = bool(pb_fuses())
OF_SUM, WIDEST, MOST_ROWS = OF_SUM_, WIDEST_, MOST_ROWS_
PAIRS = {"float32": capsule_of(pb_pairs_float32), "float64": capsule_of(pb_pairs_float64)}
UNIT = {"float32": capsule_of(pb_unit_float32), "float64": capsule_of(pb_unit_float64)}
WIDEN = {"float16": capsule_of(pb_widen_float16), "bfloat16": capsule_of(pb_widen_bfloat16)}
NARROW = {"float16": capsule_of(pb_narrow_float16), "bfloat16": capsule_of(pb_narrow_bfloat16)}


def address(run):
    """Where a run's function stands."""
    return <intptr_t>PyCapsule_GetPointer(run, "pullback.run")


def call(run, tuple geometry, tuple arrays, int64_t parts=1, int64_t scratch=0):
    """Runs on arrays that lie as the geometry says, 16 at most; the status."""
    cdef char* data[16]
    cdef int i
    cdef ndarray numbers = np.array(geometry, np.int64)
    cdef bytearray room = bytearray(scratch)
    for i in range(len(arrays)):
        data[i] = <char*>PyArray_DATA(<ndarray>arrays[i])
    return (<run_t>PyCapsule_GetPointer(run, "pullback.run"))(
        <int64_t*>PyArray_DATA(numbers), data, 0, parts, PyByteArray_AS_STRING(room))


_tables = {}


def loop_of(ufunc, int code):
    """NumPy's loop of a ufunc for the dtype with that code, and what it is given: two addresses."""
    cdef Loops table = _tables.get(ufunc)
    if table is None:
        table = _tables[ufunc] = Loops(ufunc, False)
    return <intptr_t>table.fn[code], <intptr_t>table.data[code]


def matrix_loop(ufunc, int typenum):
    """The same of one with several results, as `_umath_linalg.svd_s`, by the type of its first operand."""
    cdef void* data = NULL
    cdef loop_t loop = loop_for(ufunc, typenum, &data)
    return <intptr_t>loop, <intptr_t>data
