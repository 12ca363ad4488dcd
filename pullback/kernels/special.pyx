"""Special functions as ufuncs: loops of special.h for float32, SciPy's for float64.

The table says which of SciPy's functions each is, and what is put right in its results: its NaN as it came
in, or the poles. `igammac` is made of two of SciPy's, `zeta` calls SciPy's for what is unusual. What each
computes is said where the op is declared.
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


cdef _declare_pair(str name, PyUFuncGenericFunction ours, tuple theirs):
    """A function of two numbers: our loop of floats may call SciPy's; the last is that of doubles."""
    cdef ufunc numpys
    cdef int count = len(theirs), i
    cdef Scipy* scipys = <Scipy*>PyMem_Malloc(count * sizeof(Scipy))
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(2 * sizeof(void*))
    cdef void** data = <void**>PyMem_Malloc(2 * sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(6)
    cdef bytes text = name.encode()
    for i, numpys in enumerate(theirs):
        scipys[i].loop = <PyUFuncGenericFunction>loop_for(numpys, NPY_DOUBLE, &scipys[i].data)
    loops[0], loops[1] = ours, scipys[count - 1].loop
    data[0], data[1] = scipys, scipys[count - 1].data
    for i in range(6):
        types[i] = NPY_FLOAT if i < 3 else NPY_DOUBLE
    _names.append(text)
    globals()[name] = PyUFunc_FromFuncAndData(loops, data, types, 2, 2, 1, -1, text, "see pullback/ops", 0)


_names = []   # ufuncs do not keep theirs
_declare()
_declare_pair("igammac", igammac_loop_float, (scipy.special.gammainc, scipy.special.gammaincc))
_declare_pair("zeta", zeta_loop_float, (scipy.special.zeta,))
