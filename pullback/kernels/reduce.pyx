"""Folds over any dims: sums, products, extremes, truth, moments, norms.

The ops are in reduce.h, the templates are fold.h and pick.h.
"""

from pullback.core._pool cimport cut, cutter_t

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    #include "pullback/kernels/reduce.h"

    #define PICK(op, type) {#op "_pick", #type, pb_##op##_##type##_pick},
    #define FLOATS(M, op) M(op, float16) M(op, bfloat16) M(op, float32) M(op, float64)
    #define WHOLE(M, op) M(op, bool_) M(op, uint8) M(op, int8) M(op, int16) M(op, int32) M(op, int64)
    #define BOTH(M, op) FLOATS(M, op) WHOLE(M, op)
    static pb_named const pb_runs[] = {
        BOTH(RUN, sum) BOTH(RUN, prod) BOTH(RUN, count_nonzero) FLOATS(RUN, mean)
        FLOATS(RUN, nansum)
        BOTH(RUN, amax) BOTH(RUN, amin) BOTH(PICK, amax) BOTH(PICK, amin) BOTH(RUN, any) BOTH(RUN, all)
        FLOATS(RUN, var) FLOATS(RUN, std) FLOATS(RUN, logsumexp)
        FLOATS(RUN, norm0) FLOATS(RUN, norm1) FLOATS(RUN, norm2) FLOATS(RUN, norm_inf)
    };
    """
    cutter_t pb_cut_slices
    enum:
        PB_COLUMNS "COLUMNS"
        PB_FEW "FEW"

include "runs.pxi"

pb_cut_slices = cut
COLUMNS, FEW = PB_COLUMNS, PB_FEW
