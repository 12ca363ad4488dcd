"""Two inner loops that NumPy lacks: `g * slope` and `g / divisor` where a zero `g` gives zero.

They are ufuncs, so ops call them like NumPy's own, at the cost of a multiplication. Why gradients are
multiplied in this way is said at `times` in `pullback/ops/arithmetic.py`.
"""

from numpy cimport import_array, import_ufunc, npy_intp, NPY_FLOAT, NPY_DOUBLE, PyUFuncGenericFunction, PyUFunc_FromFuncAndData

import_array()
import_ufunc()

cdef extern from *:
    """
    #if defined(_MSC_VER)
    #define PB_RESTRICT __restrict
    #else
    #define PB_RESTRICT restrict
    #endif

    // No branch within: the compilers make vector code of the contiguous cases. `&`, not `&&`.
    #define SLOPE_LOOP(name, type, sign)                                                          \\
        static void name(char** args, npy_intp const* size, npy_intp const* steps, void* data) {  \\
            npy_intp const n = size[0], a = steps[0], b = steps[1], c = steps[2];                 \\
            npy_intp const item = sizeof(type);                                                   \\
            npy_intp i;                                                                           \\
            (void)data;                                                                           \\
            if (a == item && b == item && c == item && args[0] != args[2] && args[1] != args[2]) { \\
                type const* PB_RESTRICT g = (type const*)args[0];                                 \\
                type const* PB_RESTRICT s = (type const*)args[1];                                 \\
                type* PB_RESTRICT out = (type*)args[2];                                           \\
                for (i = 0; i < n; i++) {                                                         \\
                    type const r = g[i] sign s[i];                                                \\
                    out[i] = ((g[i] == 0) & (r != r)) ? (type)0 : r;                              \\
                }                                                                                 \\
                return;                                                                           \\
            }                                                                                     \\
            for (i = 0; i < n; i++) {                                                             \\
                type const g = *(type const*)(args[0] + i * a);                                   \\
                type const r = g sign *(type const*)(args[1] + i * b);                            \\
                *(type*)(args[2] + i * c) = ((g == 0) & (r != r)) ? (type)0 : r;                  \\
            }                                                                                     \\
        }

    SLOPE_LOOP(times_float, float, *)
    SLOPE_LOOP(times_double, double, *)
    SLOPE_LOOP(over_float, float, /)
    SLOPE_LOOP(over_double, double, /)

    static PyUFuncGenericFunction times_table[] = {times_float, times_double};
    static PyUFuncGenericFunction over_table[] = {over_float, over_double};
    static void* no_data[] = {NULL, NULL};
    """
    PyUFuncGenericFunction* times_table
    PyUFuncGenericFunction* over_table
    void** no_data

cdef char types[6]
types[0] = types[1] = types[2] = NPY_FLOAT
types[3] = types[4] = types[5] = NPY_DOUBLE

times = PyUFunc_FromFuncAndData(times_table, no_data, types, 2, 2, 1, -1, "times",
                                "g * slope, zero where g is zero and the product is not a number.", 0)
over = PyUFunc_FromFuncAndData(over_table, no_data, types, 2, 2, 1, -1, "over",
                               "g / divisor, zero where g is zero and the quotient is not a number.", 0)
