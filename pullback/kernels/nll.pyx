"""Losses of class numbers, and their gradients: the runs of nll.h, for all floats."""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #define TEMPLATE "pullback/kernels/nll.h"
    #include "pullback/kernels/floats.h"

    #define FLOATS(op) RUN(op, float16) RUN(op, bfloat16) RUN(op, float32) RUN(op, float64)
    static pb_named const pb_runs[] = {FLOATS(nll) FLOATS(nll_slope)};
    """

include "runs.pxi"
