# distutils: extra_compile_args = -O3
"""Images sampled at the places of a grid, and grids of affine maps: see grid.h.

Nothing is checked: `ops/images/grid.py` does.
"""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"

    #define TEMPLATE "pullback/kernels/grid.h"
    #include "pullback/kernels/reals.h"
    #undef TEMPLATE

    #define BOTH(op) RUN(op, float32) RUN(op, float64)
    static pb_named const pb_runs[] = {
        BOTH(samples) BOTH(scatter) BOTH(slopes) BOTH(affine_places) BOTH(affine_matrices)
    };
    """

include "runs.pxi"
