"""Special functions as ufuncs: loops of special.h for float32, SciPy's for float64.

The table says which of SciPy's functions each is, and what is put right in its results: its NaN as it came
in, or the poles. `igammac` is made of two of SciPy's. What each computes is said where the op is declared.
"""

import scipy.special

from cpython.mem cimport PyMem_Malloc
from numpy cimport (
    import_array, import_ufunc, NPY_FLOAT, NPY_DOUBLE, ufunc, PyUFuncGenericFunction, PyUFunc_FromFuncAndData,
)

from pullback.core._loops cimport loop_for

import_array()
import_ufunc()

cdef extern from *:
    """
    #include "pullback/kernels/special.h"
    static struct { char const *name, *scipy; PyUFuncGenericFunction loops[2]; } pb_special[] = {
        {"erf", "erf", {erf_loop_float, pb_as_it_is_loop_double}},
        {"erfc", "erfc", {erfc_loop_float, pb_as_it_is_loop_double}},
        {"erfinv", "erfinv", {erfinv_loop_float, pb_zero_as_it_is_loop_double}},
        {"logit", "logit", {logit_loop_float, pb_as_it_is_loop_double}},
        {"digamma", "psi", {digamma_loop_float, pb_poles_loop_double}},
        {"ndtr", "ndtr", {ndtr_loop_float, pb_as_it_is_loop_double}},
        {"entr", "entr", {entr_loop_float, pb_as_it_is_loop_double}},
    };
    enum { PB_SPECIALS = sizeof pb_special / sizeof pb_special[0] };
    static char pb_special_types[4] = {NPY_FLOAT, NPY_FLOAT, NPY_DOUBLE, NPY_DOUBLE};
    """
    struct Special:
        const char* name
        const char* scipy
        PyUFuncGenericFunction* loops
    Special* pb_special
    int PB_SPECIALS
    PyUFuncGenericFunction igammac_loop_float, zeta_loop_float
    char* pb_special_types
    ctypedef struct Scipy "pb_scipy":
        PyUFuncGenericFunction loop
        void* data


def _declare():
    cdef int i
    cdef ufunc theirs
    cdef Scipy* scipys
    cdef void** data
    for i in range(PB_SPECIALS):
        theirs = getattr(scipy.special, pb_special[i].scipy.decode())
        scipys = <Scipy*>PyMem_Malloc(sizeof(Scipy))
        data = <void**>PyMem_Malloc(2 * sizeof(void*))
        data[0], data[1] = NULL, scipys
        scipys.loop = <PyUFuncGenericFunction>loop_for(theirs, NPY_DOUBLE, &scipys.data)
        globals()[pb_special[i].name.decode()] = PyUFunc_FromFuncAndData(
            pb_special[i].loops, data, pb_special_types, 2, 1, 1, -1, pb_special[i].name, "", 0)


def _declare_igammac():
    cdef ufunc theirs
    cdef Scipy* scipys = <Scipy*>PyMem_Malloc(2 * sizeof(Scipy))
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(2 * sizeof(void*))
    cdef void** data = <void**>PyMem_Malloc(2 * sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(6)
    cdef int i
    for i, theirs in enumerate((scipy.special.gammainc, scipy.special.gammaincc)):
        scipys[i].loop = <PyUFuncGenericFunction>loop_for(theirs, NPY_DOUBLE, &scipys[i].data)
    loops[0], loops[1] = igammac_loop_float, scipys[1].loop
    data[0], data[1] = scipys, scipys[1].data
    for i in range(6):
        types[i] = NPY_FLOAT if i < 3 else NPY_DOUBLE
    globals()["igammac"] = PyUFunc_FromFuncAndData(loops, data, types, 2, 2, 1, -1, "igammac",
                                                   "see pullback/ops", 0)


def _declare_zeta():
    """Of float32 alone: SciPy's is no ufunc."""
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(sizeof(void*))
    cdef void** data = <void**>PyMem_Malloc(sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(3)
    loops[0], data[0] = zeta_loop_float, NULL
    types[0] = types[1] = types[2] = NPY_FLOAT
    globals()["zeta"] = PyUFunc_FromFuncAndData(loops, data, types, 1, 2, 1, -1, "zeta",
                                                "see pullback/ops", 0)


_declare()
_declare_igammac()
_declare_zeta()
