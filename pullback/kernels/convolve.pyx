"""Convolutions in registers, without columns: steps of their plans, see convolve.h."""

from pullback.core._plans cimport capsule_of, run_t

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"

    #define KIND FLOAT32
    #include "pullback/kernels/convolve.h"
    #define KIND FLOAT64
    #include "pullback/kernels/convolve.h"

    static pb_named const pb_runs[] = {
        RUN(planes, float32) RUN(planes, float64) RUN(pack, float32) RUN(pack, float64)
        RUN(convolve, float32) RUN(convolve, float64) RUN(side_by_side, float32) RUN(side_by_side, float64)
        RUN(sum_products, float32) RUN(sum_products, float64)
    };

    #define pb_lanes(double) (double ? pb_best_float64()->lanes : pb_best_float32()->lanes)
    """
    int pb_fuses()
    int pb_lanes(int)
    enum:
        UNIT_ROWS_ "UNIT_ROWS"
        TAPS_ "TAPS"
        MORE_ "MORE_THAN_A_STRIP"

include "pullback/kernels/runs.pxi"

QUICK = bool(pb_fuses())
LANES = {"float32": pb_lanes(0), "float64": pb_lanes(1)}
UNIT_ROWS, TAPS, MORE_THAN_A_STRIP = UNIT_ROWS_, TAPS_, MORE_
