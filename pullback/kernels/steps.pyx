"""Runs that are put together, and NumPy's loops as runs: see steps.h."""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int64_t, intptr_t

from pullback.core._loops cimport Loops
from pullback.core._plans cimport run_t

cdef extern from "numpy/ufuncobject.h":
    ctypedef struct PyUFuncObject:
        int nin
        int nout
        int ntypes
        void** functions
        void** data
        const char* types

cdef extern from *:
    """
    #include "pullback/kernels/steps.h"
    """
    run_t pb_chain
    run_t pb_pointwise
    run_t pb_product
    run_t pb_widen_float16
    run_t pb_widen_bfloat16
    run_t pb_narrow_float16
    run_t pb_narrow_bfloat16


cdef object _capsule(run_t run):
    return PyCapsule_New(<void*>run, "pullback.run", NULL)


CHAIN = _capsule(pb_chain)
POINTWISE = _capsule(pb_pointwise)
PRODUCT = _capsule(pb_product)
WIDEN = {"float16": _capsule(pb_widen_float16), "bfloat16": _capsule(pb_widen_bfloat16)}
NARROW = {"float16": _capsule(pb_narrow_float16), "bfloat16": _capsule(pb_narrow_bfloat16)}


def address(run):
    """Where a run's function stands."""
    return <intptr_t>PyCapsule_GetPointer(run, "pullback.run")


_tables = {}


def loop_of(ufunc, int code):
    """NumPy's loop of a ufunc for the dtype with that code, and what it is given: two addresses."""
    cdef Loops table = _tables.get(ufunc)
    if table is None:
        table = _tables[ufunc] = Loops(ufunc, False)
    return <intptr_t>table.fn[code], <intptr_t>table.data[code]


def matrix_loop(ufunc, int typenum):
    """The same of one with several results, as `_umath_linalg.svd_s`, by the type of its first operand."""
    cdef PyUFuncObject* table = <PyUFuncObject*><PyObject*>ufunc
    cdef int row
    for row in range(table.ntypes):
        if table.types[row * (table.nin + table.nout)] == typenum:
            return <intptr_t>table.functions[row], <intptr_t>(NULL if table.data == NULL else table.data[row])
    raise TypeError(f"{ufunc.__name__} has no such loop")
