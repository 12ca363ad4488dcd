"""Softmax of rows of attention scores, and its slope: steps of the plans of attention, see attention.h."""


from pullback.core._plans cimport capsule_of, run_t

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


RUNS = {
    "exponentials": {
        "float32": capsule_of(pb_exponentials_float32), "float64": capsule_of(pb_exponentials_float64)
    },
    "weights": {"float32": capsule_of(pb_weights_float32), "float64": capsule_of(pb_weights_float64)},
    "slopes": {"float32": capsule_of(pb_slopes_float32), "float64": capsule_of(pb_slopes_float64)},
    "hide": {"float32": capsule_of(pb_hide_float32), "float64": capsule_of(pb_hide_float64)},
}
