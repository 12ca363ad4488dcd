"""Losses of class numbers, and their gradients: the runs of nll.h, for all floats, and of margins.h."""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #define TEMPLATE "pullback/kernels/nll.h"
    #include "pullback/kernels/floats.h"
    #define KIND FLOAT32
    #include "pullback/kernels/margins.h"
    #define KIND FLOAT64
    #include "pullback/kernels/margins.h"

    #define REALS(op) RUN(op, float32) RUN(op, float64)
    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) REALS(op)
    static pb_named const pb_runs[] = {
        FLOATS(nll) FLOATS(nll_slope) REALS(multi_margin) REALS(multilabel_margin) REALS(multilabel_pairs)
    };
    """

include "runs.pxi"
