from cpython.object cimport PyObject
from numpy cimport ndarray, npy_intp

ctypedef void (*loop_t)(char**, const npy_intp*, const npy_intp*, void*) noexcept nogil

cdef enum:
    NCODES = 15  # rows of pullback.core.dtypes.DTYPES
    MAX_IN = 8   # inputs of a pointwise op

cdef class Loops:
    cdef readonly object ufunc
    cdef readonly int nin
    cdef loop_t fn[NCODES]
    cdef void* data[NCODES]
    cdef int out_type[NCODES]

cdef int TYPENUM[NCODES]
cdef int code_of(ndarray a) except -1
cdef int code_of_type(int typenum) except -1
cdef ndarray empty(int nd, npy_intp* dims, int code)
cdef void recycle(ndarray a) noexcept
cdef int store_number(object number, int code, char* where) except -1
cdef ndarray pointwise(Loops table, int code, int n, PyObject** arrays, char* numbers, ndarray out)
cdef ndarray number_array(char* where, int code)
cdef bint cast_element(ndarray a, int source, int code, char* where) noexcept
cdef ndarray fold_sum(ndarray a, int nd, npy_intp* dims)
cdef object quiet_call(object function, PyObject** args, Py_ssize_t n)
