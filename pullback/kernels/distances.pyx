"""Distances between the rows of matrices, as runs of plans: see distances.h."""

cdef extern from *:
    """
    #include <math.h>
    #include <stdint.h>
    #include <string.h>
    #include "pullback/kernels/exp.h"
    #include "pullback/kernels/runs.h"
    // With -fwrapv, which Python's own flags have, GCC makes no vector code of what is folded in lanes.
    #if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC optimize("no-wrapv")
    #endif
    #define PB_LOOPS "pullback/kernels/distances.h"
    #include "pullback/kernels/for_each_real.h"

    #define pb_between_float32 between_float
    #define pb_between_float64 between_double
    #define pb_within_float32 within_float
    #define pb_within_float64 within_double
    static pb_named const pb_runs[] = {
        RUN(between, float32) RUN(between, float64) RUN(within, float32) RUN(within, float64)
    };
    """

include "runs.pxi"
