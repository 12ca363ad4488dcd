"""Softmax of rows of attention scores, and its slope: steps of the plans of attention, see attention.h."""

from cpython.pycapsule cimport PyCapsule_New

from pullback.core._plans cimport run_t

cdef extern from *:
    """
    #include "pullback/kernels/steps.h"
    #include <float.h>

    #define KIND FLOAT32
    #define LARGEST FLT_MAX
    #define SMALLEST FLT_MIN
    #include "pullback/kernels/attention.h"
    #undef LARGEST
    #undef SMALLEST
    #define KIND FLOAT64
    #define LARGEST DBL_MAX
    #define SMALLEST DBL_MIN
    #include "pullback/kernels/attention.h"
    """
    run_t pb_exponentials_float32
    run_t pb_exponentials_float64
    run_t pb_weights_float32
    run_t pb_weights_float64
    run_t pb_slopes_float32
    run_t pb_slopes_float64
    run_t pb_hide_float32
    run_t pb_hide_float64


cdef object _capsule(run_t run):
    return PyCapsule_New(<void*>run, "pullback.run", NULL)


RUNS = {
    "exponentials": {
        "float32": _capsule(pb_exponentials_float32), "float64": _capsule(pb_exponentials_float64)
    },
    "weights": {"float32": _capsule(pb_weights_float32), "float64": _capsule(pb_weights_float64)},
    "slopes": {"float32": _capsule(pb_slopes_float32), "float64": _capsule(pb_slopes_float64)},
    "hide": {"float32": _capsule(pb_hide_float32), "float64": _capsule(pb_hide_float64)},
}
