"""Inner loops that NumPy lacks: products and quotients where a zero beats infinity and NaN.

`times`, `over`, `product` and `log_slope` are ufuncs for float32 and float64, so ops call them like NumPy's
own, at the cost of a multiplication; each says in its docstring what it computes. Why gradients are
multiplied in this way is said in `ops/shared/zero_times_infinity.py`. The loops are macros of C, since they
differ in an operator only: read SLOPE_LOOP.
"""

from numpy cimport (
    import_array, import_ufunc, npy_intp, NPY_FLOAT, NPY_DOUBLE, PyUFuncGenericFunction,
    PyUFunc_FromFuncAndData,
)

import_array()
import_ufunc()

cdef extern from *:
    """
    #include <math.h>
    #if defined(_MSC_VER)
    #define PB_RESTRICT __restrict
    #else
    #define PB_RESTRICT restrict
    #endif

    // No branch within: the compilers make vector code of the contiguous cases. `&`, not `&&`.
    #define SLOPE_LOOP(name, type, sign, zero)                                                  \\
        static void name(char** args, npy_intp const* size, npy_intp const* steps, void* data) {\\
            npy_intp const n = size[0], a = steps[0], b = steps[1], c = steps[2];               \\
            npy_intp const item = sizeof(type);                                                 \\
            npy_intp i;                                                                         \\
            (void)data;                                                                         \\
            if (a == item && b == item && c == item && args[0] != args[2] && args[1] != args[2]) {\\
                type const* PB_RESTRICT g = (type const*)args[0];                               \\
                type const* PB_RESTRICT s = (type const*)args[1];                               \\
                type* PB_RESTRICT out = (type*)args[2];                                         \\
                for (i = 0; i < n; i++) {                                                       \\
                    type const x = g[i], y = s[i], r = x sign y;                                \\
                    out[i] = ((zero) & (r != r)) ? (type)0 : r;                                 \\
                }                                                                               \\
                return;                                                                         \\
            }                                                                                   \\
            for (i = 0; i < n; i++) {                                                           \\
                type const x = *(type const*)(args[0] + i * a);                                 \\
                type const y = *(type const*)(args[1] + i * b), r = x sign y;                   \\
                *(type*)(args[2] + i * c) = ((zero) & (r != r)) ? (type)0 : r;                  \\
            }                                                                                   \\
        }

    SLOPE_LOOP(times_float, float, *, x == 0)
    SLOPE_LOOP(times_double, double, *, x == 0)
    SLOPE_LOOP(over_float, float, /, x == 0)
    SLOPE_LOOP(over_double, double, /, x == 0)
    SLOPE_LOOP(product_float, float, *, (x == 0) | (y == 0))
    SLOPE_LOOP(product_double, double, *, (x == 0) | (y == 0))

    #define LOG_SLOPE_LOOP(name, type, log)                                                     \\
        static void name(char** args, npy_intp const* size, npy_intp const* steps, void* data) {\\
            npy_intp i;                                                                         \\
            (void)data;                                                                         \\
            for (i = 0; i < size[0]; i++) {                                                     \\
                type const g = *(type const*)(args[0] + i * steps[0]);                          \\
                type const x = *(type const*)(args[1] + i * steps[1]);                          \\
                type const y = *(type const*)(args[2] + i * steps[2]);                          \\
                type const z = *(type const*)(args[3] + i * steps[3]);                          \\
                type const r = (x == 0 && y >= 0) ? 0 * g : g * (z * log(x));                   \\
                *(type*)(args[4] + i * steps[4]) = (g == 0 && r != r) ? (type)0 : r;            \\
            }                                                                                   \\
        }

    LOG_SLOPE_LOOP(log_slope_float, float, logf)
    LOG_SLOPE_LOOP(log_slope_double, double, log)

    static PyUFuncGenericFunction log_slope_table[] = {log_slope_float, log_slope_double};
    static char log_slope_types[] = {NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT, NPY_FLOAT,
                                     NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE, NPY_DOUBLE};
    static PyUFuncGenericFunction times_table[] = {times_float, times_double};
    static PyUFuncGenericFunction over_table[] = {over_float, over_double};
    static PyUFuncGenericFunction product_table[] = {product_float, product_double};
    static void* no_data[] = {NULL, NULL};
    """
    PyUFuncGenericFunction* log_slope_table
    char* log_slope_types
    PyUFuncGenericFunction* times_table
    PyUFuncGenericFunction* over_table
    PyUFuncGenericFunction* product_table
    void** no_data

cdef char types[6]
types[0] = types[1] = types[2] = NPY_FLOAT
types[3] = types[4] = types[5] = NPY_DOUBLE

times = PyUFunc_FromFuncAndData(times_table, no_data, types, 2, 2, 1, -1, "times",
                                "g * slope, or zero where g is zero and that is NaN", 0)
over = PyUFunc_FromFuncAndData(over_table, no_data, types, 2, 2, 1, -1, "over",
                               "g / divisor, or zero where g is zero and that is NaN", 0)
product = PyUFunc_FromFuncAndData(product_table, no_data, types, 2, 2, 1, -1, "product",
                                  "a * b, or zero where one is zero and that is NaN", 0)
log_slope = PyUFunc_FromFuncAndData(
    log_slope_table, no_data, log_slope_types, 2, 4, 1, -1, "log_slope",
    "g * z * log(x) for z = x**y, or zero where x is zero and y is not negative", 0)
