"""Discrete Fourier transforms as runs of plans: see fft.h."""

cdef extern from *:
    """
    #include <string.h>
    #include "pullback/kernels/steps.h"
    #include "pullback/kernels/runs.h"
    // With -fwrapv, which Python's own flags have, GCC makes no vector code of what is folded in lanes.
    #if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC optimize("no-wrapv")
    #endif
    #define PB_LOOPS "pullback/kernels/fft.h"
    #include "pullback/kernels/for_each_real.h"

    #define pb_fft_float32 fft_float
    #define pb_fft_float64 fft_double
    #define pb_complete_float32 complete_float
    #define pb_complete_float64 complete_double
    static pb_named const pb_runs[] = {RUN(fft, float32) RUN(fft, float64) RUN(complete, float32)
                                       RUN(complete, float64)};
    """

include "runs.pxi"
