"""What `_loops.pyx` shares with the engine: loops, arrays and their making, numbers as elements."""

from cpython.object cimport PyObject
from numpy cimport ndarray, npy_intp

from pullback.core.dtype_codes cimport NCODES

ctypedef void (*loop_t)(char**, const npy_intp*, const npy_intp*, void*) noexcept nogil

cdef enum:
    MAX_IN = 8   # inputs of a pointwise op

cdef union Number:       # one element of any dtype
    char bytes[16]
    double parts[2]      # aligned for the widest

cdef extern from "pullback/core/loops/half_loop.h":
    ctypedef struct HalfWay "pb_half_way":   # how a half precision goes through float32
        loop_t loop
        void* data
        int inputs, brain, narrows
        unsigned int wide
    void pb_half_loop(char**, const npy_intp*, const npy_intp*, void*) noexcept nogil

cdef class Loops:
    cdef readonly object ufunc
    cdef readonly int nin
    cdef loop_t fn[NCODES]
    cdef void* data[NCODES]
    cdef int out_code[NCODES]    # the dtype of the result
    cdef HalfWay halves[2]

cdef int TYPENUM[NCODES]
cdef loop_t loop_for(object ufunc, int typenum, void** data) except NULL
cdef int code_of(ndarray a) except -1
cdef ndarray empty(int nd, npy_intp* dims, int code)
cdef ndarray view_of(ndarray a, int code, int nd, npy_intp* dims, npy_intp* steps, npy_intp offset)
cdef npy_intp* steps_of(ndarray a, npy_intp* room) noexcept
cdef void recycle(ndarray a) noexcept
cdef int store_number(object number, int code, Number* where) except -1
cdef ndarray pointwise(Loops table, int code, int n, PyObject** arrays, Number* numbers, ndarray out,
                       unsigned int wide=*)
cdef ndarray number_array(Number* where, int code)
cdef bint cast_element(ndarray a, int source, int code, Number* where) noexcept
cdef ndarray fold_sum(ndarray a, int nd, npy_intp* dims)
cdef object quiet_call(object function, PyObject** args, Py_ssize_t n)
cdef int taps
cdef int tell(tuple what) except -1
