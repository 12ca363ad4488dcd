"""Activations and `power` as ufuncs: the loops of `curves.h`, so that ops call them like NumPy's own.

Each name in PB_CURVES becomes a ufunc of this module, for float32 and float64, with as many inputs as
stand beside it: x, then parameters. A new one needs its function and LOOP line in `curve_loops.h`, and an
entry here. `power` takes complex numbers too. What each computes is said where the op is declared, in
`ops/networks/activations.py`, `ops/networks/piecewise_linear.py` and `ops/elementwise/arithmetic.py`.
"""

import numpy as np

from numpy cimport (
    import_array, import_ufunc, npy_intp, NPY_FLOAT, NPY_DOUBLE, NPY_CFLOAT, NPY_CDOUBLE, ufunc,
    PyUFuncGenericFunction, PyUFunc_FromFuncAndData,
)

import_array()
import_ufunc()

cdef extern from *:
    """
    #include "pullback/kernels/curves.h"
    #define PB_CURVES(X)                                                                            \\
        X(logistic, 1) X(gelu, 1) X(gelu_slope, 1) X(gelu_tanh, 1) X(gelu_tanh_slope, 1)            \\
        X(silu, 1) X(silu_slope, 1) X(mish, 1) X(mish_slope, 1) X(logsigmoid, 1)                    \\
        X(hardsigmoid, 1) X(hardswish, 1) X(hardswish_slope, 1)                                     \\
        X(leaky_relu, 2) X(leaky_relu_slope, 2) X(hardshrink, 2) X(softshrink, 2)                   \\
        X(softplus, 3) X(softplus_slope, 3) X(threshold, 3) X(hardtanh, 3) X(within, 3)             \\
        X(elu, 4) X(elu_slope, 4)
    #define PB_ENTRY(name, inputs) {#name, inputs, {name##_loop_float, name##_loop_double}},
    static struct { char const* name; int inputs; PyUFuncGenericFunction loops[2]; } pb_curves[] = {
        PB_CURVES(PB_ENTRY)
    };
    enum { PB_COUNT = sizeof pb_curves / sizeof pb_curves[0] };
    static void* pb_no_data[2] = {NULL, NULL};
    static char pb_types[10] = {
        NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT,
        NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE,
    };
    static PyUFuncGenericFunction pb_powers[4] = {power_loop_float, power_loop_double, NULL, NULL};
    static void* pb_power_data[4];
    static char pb_power_types[12];
    """
    PyUFuncGenericFunction* pb_powers
    void** pb_power_data
    char* pb_power_types
    struct Curve:
        const char* name
        int inputs
        PyUFuncGenericFunction* loops
    Curve* pb_curves
    int PB_COUNT
    void** pb_no_data
    char* pb_types


def _declare():
    cdef int i
    for i in range(PB_COUNT):
        # The types of a ufunc of n inputs are n + 1 floats, then as many doubles: a window of the table.
        globals()[pb_curves[i].name.decode()] = PyUFunc_FromFuncAndData(
            pb_curves[i].loops, pb_no_data, pb_types + 4 - pb_curves[i].inputs, 2, pb_curves[i].inputs, 1, -1,
            pb_curves[i].name, "see pullback/ops", 0)


def _declare_power():
    """Ours for two float types, NumPy's for complex ones; ours call NumPy's in their turn."""
    cdef ufunc numpys = np.power
    cdef int i, j
    cdef char* kinds = [NPY_FLOAT, NPY_DOUBLE, NPY_CFLOAT, NPY_CDOUBLE]
    for i in range(4):
        for j in range(numpys.ntypes):
            if numpys.types[3 * j] == kinds[i]:
                if i < 2:
                    pb_power_data[i] = <void*>numpys.functions[j]
                else:
                    pb_powers[i], pb_power_data[i] = numpys.functions[j], numpys.data[j]
                break
        for j in range(3):
            pb_power_types[3 * i + j] = kinds[i]
    globals()["power"] = PyUFunc_FromFuncAndData(
        pb_powers, pb_power_data, pb_power_types, 4, 2, 1, -1, "power", "see pullback/ops", 0)


_declare()
_declare_power()
