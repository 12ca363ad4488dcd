"""NumPy's inner loops, called directly.

A ufunc object holds one C function per signature of types; the cost of `np.multiply` on small arrays is
all in finding it. Here it is found once, at the op's first use, and then called with plain pointers.
Only this file looks into `PyUFuncObject` to call its loops (kernels/curves.pyx and special.pyx make new
ufuncs of old loops), and only it knows the traps: of equal signatures the first is the vectorised one;
inputs must be aligned, in native byte order, and not partly overlap the output. Whatever does not fit goes
to the public ufunc, which gives the same bits. `PULLBACK_LOOPS=0` in the environment sends everything there.

In parts, which stand in loops/ and share one namespace:

    arrays.pxi              dtype codes, the making and keeping of arrays, views
    numbers.pxi             Python numbers as elements
    pointwise.pxi           `Loops` and `pointwise`: read these first
    strided.pxi             the same for operands of any shapes and strides
    sums_and_products.pxi   `add_reduce` and `matmul`: the same idea for two other shapes of work
"""

import os
from threading import get_ident

import numpy as np

from cpython.contextvars cimport PyContextVar_Set, PyContextVar_Reset
from cpython.mem cimport PyMem_Malloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, intptr_t
from libc.string cimport memcpy, memmove, memset
from numpy cimport (
    import_array, ndarray, npy_intp, PyArray_DATA, PyArray_DIMS, PyArray_EMPTY, PyArray_IS_C_CONTIGUOUS,
    PyArray_NDIM, PyArray_SIZE, PyArray_STRIDES, PyArray_TYPE, PyArray_ITEMSIZE, PyArray_ISBEHAVED_RO,
    npy_bool, npy_int8, npy_int16, npy_int32, npy_int64, npy_uint8, npy_uint16, npy_uint32, npy_uint64,
    npy_float, npy_double, PyArray_CheckExact, PyArray_CHKFLAGS, PyArray_NBYTES, NPY_ARRAY_OWNDATA,
    NPY_ARRAY_CARRAY, NPY_FLOAT, NPY_DOUBLE,
)

import_array()

from pullback.core.broadcasting import common_shape
from pullback.core.dtypes import DTYPES
from pullback.core._pool cimport cut, run_t
from pullback.core.dtype_codes cimport (
    BFLOAT16, BOOL, COMPLEX128, COMPLEX32, COMPLEX64, FLOAT16, FLOAT32, FLOAT64, INT16, INT32, INT64, INT8,
    NO_DTYPE, UINT16, UINT32, UINT8, is_eight_bits, is_half, sums_in_itself,
)

cdef extern from "Python.h":
    object PyObject_Vectorcall(object callable, PyObject** args, size_t nargsf, PyObject* kwnames)

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArray_Descr
    PyArray_Descr* PyArray_DESCR(ndarray)
    PyArray_Descr* PyArray_DescrFromType(int)
    char* PyArray_BYTES(ndarray)
    int PyArray_FLAGS(ndarray)
    ndarray PyArray_NewFromDescr(type, PyArray_Descr*, int, npy_intp*, npy_intp*, void*, int, object)
    int PyArray_SetBaseObject(ndarray, object base) except -1
    object PyDataMem_SetHandler(object handler)
    int NPY_ARRAY_WRITEABLE

cdef extern from "pullback/core/loops/aligned.h":
    object pb_aligned_memory()

cdef extern from "pullback/core/loops/lines.h":
    run_t pb_lines
    int64_t pb_line_parts(const int64_t* geometry) noexcept nogil
    int PB_LINE_HEAD

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
    #define has_weakrefs(a) (((PyArrayObject_fields*)(a))->weakreflist != NULL)
    """
    bint has_weakrefs(ndarray)


include "loops/arrays.pxi"
include "loops/numbers.pxi"
include "loops/pointwise.pxi"
include "loops/strided.pxi"
include "loops/sums_and_products.pxi"
