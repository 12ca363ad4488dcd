"""`complex`, `isposinf`, `isneginf` and `ldexp` as ufuncs, for float32 and float64: see mixed.h."""

from cpython.mem cimport PyMem_Malloc
from numpy cimport (
    import_array, import_ufunc, NPY_BOOL, NPY_CDOUBLE, NPY_CFLOAT, NPY_DOUBLE, NPY_FLOAT, npy_intp,
    PyUFuncGenericFunction, PyUFunc_FromFuncAndData,
)

import_array()
import_ufunc()

cdef extern from *:
    """
    #include "pullback/kernels/exp.h"
    #include <numpy/npy_common.h>
    #define pb_power_float(n) pb_power_of((uint32_t)((n) + 127))
    #define pb_power_double pb_two_to_double
    #define PB_LOOPS "pullback/kernels/mixed.h"
    #include "pullback/kernels/for_each_real.h"
    #define PB_PAIR(name) static PyUFuncGenericFunction pb_##name[] = {name##_float, name##_double};
    PB_PAIR(of_parts) PB_PAIR(isposinf) PB_PAIR(isneginf) PB_PAIR(ldexp)
    static void* pb_nothing[] = {NULL, NULL};
    """
    PyUFuncGenericFunction* pb_of_parts
    PyUFuncGenericFunction* pb_isposinf
    PyUFuncGenericFunction* pb_isneginf
    PyUFuncGenericFunction* pb_ldexp
    void** pb_nothing


cdef _ufunc(const char* name, PyUFuncGenericFunction* loops, int inputs, int of_float, int of_double):
    """A ufunc of two loops, for floats and for doubles, with the types of their results."""
    cdef char* types = <char*>PyMem_Malloc(2 * (inputs + 1))   # which a ufunc does not copy
    cdef int i
    for i in range(inputs):
        types[i], types[inputs + 1 + i] = NPY_FLOAT, NPY_DOUBLE
    types[inputs], types[2 * inputs + 1] = of_float, of_double
    return PyUFunc_FromFuncAndData(loops, pb_nothing, types, 2, inputs, 1, -1, name, "see pullback/ops", 0)


complex = _ufunc("complex", pb_of_parts, 2, NPY_CFLOAT, NPY_CDOUBLE)
isposinf = _ufunc("isposinf", pb_isposinf, 1, NPY_BOOL, NPY_BOOL)
isneginf = _ufunc("isneginf", pb_isneginf, 1, NPY_BOOL, NPY_BOOL)
ldexp = _ufunc("ldexp", pb_ldexp, 2, NPY_FLOAT, NPY_DOUBLE)
