"""Reductions of segments and their gradients: see segments.h.

Nothing is checked: `ops/indexing/segments.py` does.
"""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"

    #define TEMPLATE "pullback/kernels/segments.h"
    #include "pullback/kernels/reals.h"
    #undef TEMPLATE

    #define BOTH(op) RUN(op, float32) RUN(op, float64)
    static pb_named const pb_runs[] = {
        BOTH(segment_reduce) BOTH(segment_slope)
    };
    """

include "runs.pxi"
