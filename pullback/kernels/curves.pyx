"""Activations, `power` and other functions of a few numbers as ufuncs, which ops call like NumPy's own.

Each name in PB_CURVES becomes a ufunc of this module, for float32 and float64, with as many inputs as
stand beside it: x, then parameters. A new one needs its function and LOOP line in `curve_loops.h`, and an
entry here. `power`, `negative`, `sign`, `maximum`, `nextafter` and the logical ones take other types too, by
NumPy's loops; of those in PB_SINGLES ours is for float32 alone. The orthogonal polynomials stand in
`polynomials.h`. `where` takes a bool and two of any type. What each computes is said where its op is
declared.
"""

import numpy as np

from cpython.mem cimport PyMem_Malloc
from libc.string cimport memcpy, memset
from numpy cimport (
    import_array, import_ufunc, npy_intp, NPY_BOOL, NPY_FLOAT, NPY_DOUBLE, NPY_CFLOAT, NPY_CDOUBLE, NPY_BYTE,
    NPY_ULONGLONG, ufunc, PyUFuncGenericFunction, PyUFunc_FromFuncAndData,
)

import_array()
import_ufunc()

cdef extern from *:
    """
    #include "pullback/kernels/curves.h"
    #include "pullback/kernels/polynomials.h"
    #include "pullback/kernels/where.h"
    #define PB_CURVES(X)                                                                            \\
        X(logistic, 1) X(gelu, 1) X(gelu_slope, 1) X(gelu_tanh, 1) X(gelu_tanh_slope, 1)            \\
        X(silu, 1) X(silu_slope, 1) X(mish, 1) X(mish_slope, 1) X(logsigmoid, 1)                    \\
        X(hardsigmoid, 1) X(hardswish, 1) X(hardswish_slope, 1)                                     \\
        X(leaky_relu, 2) X(leaky_relu_slope, 2) X(hardshrink, 2) X(softshrink, 2)                   \\
        X(softplus, 3) X(softplus_slope, 3) X(threshold, 3) X(hardtanh, 3) X(within, 3)             \\
        X(elu, 4) X(elu_slope, 4) X(clamp, 3) X(lerp, 3) X(addcmul, 4) X(addcdiv, 4)                \\
        X(relu, 1) X(negative, 1) X(sign, 1) X(angle, 1) X(rsqrt, 1) X(frac, 1)                     \\
        X(deg2rad, 1) X(rad2deg, 1)                                                                 \\
        X(sinc, 1) X(nan_to_num, 4) X(heaviside, 2) X(logaddexp, 2) X(logaddexp2, 2) X(xlogy, 2)    \\
        X(maximum, 2) X(minimum, 2)                                                                 \\
        X(fmod, 2) X(remainder, 2) X(copysign, 2) X(hypot, 2) X(nextafter, 2) X(floor_divide, 2)  \\
        X(logical_and, 2) X(logical_or, 2) X(logical_xor, 2) X(logical_not, 1)             \\
        X(isnan, 1) X(isinf, 1) X(isfinite, 1) X(signbit, 1)
    #define PB_ENTRY(name, inputs) {#name, inputs, {name##_loop_float, name##_loop_double}},
    typedef struct { char const* name; int inputs; PyUFuncGenericFunction loops[2]; } pb_curve;
    static pb_curve pb_curves[] = {PB_CURVES(PB_ENTRY)};
    enum { PB_COUNT = sizeof pb_curves / sizeof pb_curves[0] };
    #define PB_SINGLES(X)                                                                           \\
        X(exp, 1) X(exp2, 1) X(expm1, 1) X(log, 1) X(log2, 1) X(log10, 1) X(log1p, 1) X(sin, 1)     \\
        X(cos, 1) X(tan, 1) X(arcsin, 1) X(arccos, 1) X(arctan, 1) X(sinh, 1) X(cosh, 1)
    #define PB_SINGLE(name, inputs) {#name, inputs, {name##_loop_float, NULL}},
    static pb_curve pb_singles[] = {PB_SINGLES(PB_SINGLE)};
    enum { PB_SINGLE_COUNT = sizeof pb_singles / sizeof pb_singles[0] };
    static void* pb_no_data[2] = {NULL, NULL};
    static char pb_types[10] = {
        NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT,
        NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE,
    };
    static PyUFuncGenericFunction pb_powers[2] = {power_loop_float, power_loop_double};
    static PyUFuncGenericFunction pb_polynomial_loops[2] = {
        pb_polynomial_loop_float, pb_polynomial_loop_double};
    static PyUFuncGenericFunction pb_negatives[4] = {
        pb_negative_uint8_t, pb_negative_uint16_t, pb_negative_uint32_t, pb_negative_uint64_t};
    static PyUFuncGenericFunction pb_wheres[5] = {
        pb_where_1, pb_where_2, pb_where_4, pb_where_8, pb_where_16};
    """
    PyUFuncGenericFunction* pb_powers
    PyUFuncGenericFunction* pb_negatives
    PyUFuncGenericFunction* pb_wheres
    PyUFuncGenericFunction* pb_polynomial_loops
    ctypedef struct Polynomial "pb_polynomial":
        const char* name
    Polynomial* pb_polynomials
    int PB_POLYNOMIALS
    ctypedef struct Curve "pb_curve":
        const char* name
        int inputs
        PyUFuncGenericFunction* loops
    Curve* pb_curves
    Curve* pb_singles
    int PB_COUNT, PB_SINGLE_COUNT, PB_FUSES
    void** pb_no_data
    char* pb_types


def _declare():
    cdef int i
    for i in range(PB_COUNT):
        # The types of a ufunc of n inputs are n + 1 floats, then as many doubles: a window of the table.
        globals()[pb_curves[i].name.decode()] = PyUFunc_FromFuncAndData(
            pb_curves[i].loops, pb_no_data, pb_types + 4 - pb_curves[i].inputs, 2, pb_curves[i].inputs, 1, -1,
            pb_curves[i].name, "see pullback/ops", 0)


cdef PyUFuncGenericFunction* _curve(str name):
    cdef int i
    for i in range(PB_COUNT):
        if pb_curves[i].name.decode() == name:
            return pb_curves[i].loops
    return pb_powers


def _join(str name, ufunc numpys, str kinds):
    """A ufunc of our two loops and of NumPy's for `kinds`; ours may call NumPy's in their turn."""
    _joined(name, _curve(name), 2, numpys, kinds)


cdef _joined(str name, PyUFuncGenericFunction* ours, int count, ufunc numpys, str kinds):
    """The same of one loop or two."""
    cdef int width = numpys.nin + 1, found = count, i, j
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(
        (numpys.ntypes + 2) * sizeof(PyUFuncGenericFunction))
    cdef void** data = <void**>PyMem_Malloc((numpys.ntypes + 2) * sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc((numpys.ntypes + 2) * width)
    cdef bytes text = name.encode()
    for i in range(count):
        loops[i], data[i] = ours[i], NULL
        memset(types + i * width, NPY_DOUBLE if i else NPY_FLOAT, width)
    for i in range(numpys.ntypes - 1, -1, -1):   # of loops for the same types the first is the one to call
        for j in range(count):
            if numpys.types[i * width] == types[j * width]:
                data[j] = <void*>numpys.functions[i]
                memcpy(types + j * width, numpys.types + i * width, width)
    for i in range(numpys.ntypes):
        if numpys.types[i * width] in kinds.encode():
            loops[found], data[found] = numpys.functions[i], numpys.data[i]
            memcpy(types + found * width, numpys.types + i * width, width)
            found += 1
    _names.append(text)
    globals()[name] = PyUFunc_FromFuncAndData(
        loops, data, types, found, numpys.nin, 1, -1, text, "see pullback/ops", 0)


def _declare_singles():
    """NumPy's are the quicker ones where compilers make vector code for no processor that fuses."""
    cdef int i
    for i in range(PB_SINGLE_COUNT):
        name = pb_singles[i].name.decode()
        if not PB_FUSES:
            globals()[name] = getattr(np, name)
            continue
        _joined(name, pb_singles[i].loops, 1, getattr(np, name), chr(NPY_DOUBLE) + _COMPLEX)


def _declare_polynomials():
    cdef int i
    cdef void** data
    for i in range(PB_POLYNOMIALS):
        data = <void**>PyMem_Malloc(2 * sizeof(void*))
        data[0] = data[1] = &pb_polynomials[i]
        globals()[pb_polynomials[i].name.decode()] = PyUFunc_FromFuncAndData(
            pb_polynomial_loops, data, pb_types + 2, 2, 2, 1, -1, pb_polynomials[i].name,
            "see pullback/ops", 0)


def _declare_where():
    """A ufunc of the loops by size: of integers first, since NumPy takes the first that an operand fits."""
    cdef str letters = "?bBhHiIlLqQefdFD"
    cdef int count = len(letters), i
    cdef PyUFuncGenericFunction* loops = <PyUFuncGenericFunction*>PyMem_Malloc(
        count * sizeof(PyUFuncGenericFunction))
    cdef void** data = <void**>PyMem_Malloc(count * sizeof(void*))
    cdef char* types = <char*>PyMem_Malloc(count * 4)
    for i, letter in enumerate(letters):
        kind = np.dtype(letter)
        loops[i], data[i] = pb_wheres[<int>kind.itemsize.bit_length() - 1], NULL
        types[4 * i] = NPY_BOOL
        types[4 * i + 1] = types[4 * i + 2] = types[4 * i + 3] = kind.num
    globals()["where"] = PyUFunc_FromFuncAndData(loops, data, types, count, 3, 1, -1, "where",
                                                 "see pullback/ops", 0)


def _declare_negative():
    """Of floats and integers by loops of ours, of complex numbers by NumPy's."""
    _join("negative", np.negative, _WHOLE + _COMPLEX)
    cdef ufunc mine = globals()["negative"]
    sizes = {np.dtype(letter).num: np.dtype(letter).itemsize for letter in "bBhHiIlLqQ"}
    for i in range(mine.ntypes):
        if mine.types[2 * i] in sizes:
            mine.functions[i] = pb_negatives[<int>sizes[mine.types[2 * i]].bit_length() - 1]


_names = []   # ufuncs do not keep theirs
_declare()
_declare_polynomials()
_declare_where()
_WHOLE = bytes(range(NPY_BYTE, NPY_ULONGLONG + 1)).decode()
_COMPLEX = bytes([NPY_CFLOAT, NPY_CDOUBLE]).decode()
_declare_singles()
_join("power", np.power, _COMPLEX)
_declare_negative()
_join("sign", np.sign, _WHOLE)
_join("maximum", np.maximum, chr(NPY_BOOL) + _WHOLE)
_join("minimum", np.minimum, chr(NPY_BOOL) + _WHOLE)
_join("nextafter", np.nextafter, chr(np.dtype("e").num))
for _numpys in (np.isnan, np.isinf, np.isfinite, np.signbit):
    _join(_numpys.__name__, _numpys, _COMPLEX)
for _numpys in (np.logical_and, np.logical_or, np.logical_xor, np.logical_not):
    _join(_numpys.__name__, _numpys, chr(NPY_BOOL) + _WHOLE + _COMPLEX)
