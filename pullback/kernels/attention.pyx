"""Attention by tiles, and softmax of rows of scores and its slope: see attend.h and attention.h."""

cdef extern from *:
    """
    #include "pullback/kernels/steps.h"
    #include <float.h>

    #define KIND FLOAT32
    #define LARGEST FLT_MAX
    #define SMALLEST FLT_MIN
    #include "pullback/kernels/attention.h"
    #define KIND FLOAT32
    #include "pullback/kernels/attend.h"
    #undef LARGEST
    #undef SMALLEST
    #define KIND FLOAT64
    #define LARGEST DBL_MAX
    #define SMALLEST DBL_MIN
    #include "pullback/kernels/attention.h"
    #define KIND FLOAT64
    #include "pullback/kernels/attend.h"

    static pb_named const pb_runs[] = {
        RUN(exponentials, float32) RUN(exponentials, float64) RUN(weights, float32) RUN(weights, float64)
        RUN(slopes, float32) RUN(slopes, float64) RUN(hide, float32) RUN(hide, float64)
        RUN(keys_and_values, float32) RUN(keys_and_values, float64) RUN(attend, float32) RUN(attend, float64)
        RUN(attend_back, float32) RUN(attend_back, float64)
    };
    """
    int pb_fuses()
    int pb_rows "pb_best_float32()->tiles[0].rows"
    enum:
        QUERIES_ "QUERIES"
        KEYS_ "KEYS"

include "pullback/kernels/runs.pxi"

QUICK = bool(pb_fuses())
QUERIES, KEYS, ROWS = QUERIES_, KEYS_, pb_rows
