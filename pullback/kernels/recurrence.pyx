"""Recurrent layers in one direction, forward and backward: see recurrence.h.

Nothing is checked: `ops/networks/recurrent.py` does.
"""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"

    #define TEMPLATE "pullback/kernels/recurrence.h"
    #include "pullback/kernels/reals.h"
    #undef TEMPLATE

    #define BOTH(op) RUN(op, float32) RUN(op, float64)
    static pb_named const pb_runs[] = {
        BOTH(recurrence) BOTH(recurrence_slope)
    };
    """

include "runs.pxi"
