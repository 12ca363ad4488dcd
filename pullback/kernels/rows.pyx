"""Work on rows: scans, softmax, normalisation, and their gradients.

The scans are in scans.h, their template is scan.h; the others are bodies for float and double, in
row_bodies.h, column_bodies.h and loss_bodies.h. What they share is in rows.h.
"""

cdef extern from *:
    """
    #include "pullback/kernels/runs.h"
    // With -fwrapv, which Python's own flags have, GCC makes no vector code of what is folded in lanes.
    #if defined(__GNUC__) && !defined(__clang__)
    #pragma GCC optimize("no-wrapv")
    #endif
    #include "pullback/kernels/rows.h"
    #include "pullback/kernels/scans.h"
    #define PB_LOOPS "pullback/kernels/row_bodies.h"
    #include "pullback/kernels/for_each_real.h"

    #define BODY(op, type, real)                                                                    \\
        static int pb_##op##_##type(int64_t const* g, char** d, int64_t b, int64_t e, char* s) {    \\
            return pb_rows(g, d, b, e, s, sizeof(real), op##_##real);                               \\
        }
    #define BODIES(op) BODY(op, float32, float) BODY(op, float64, double)
    BODIES(softmax) BODIES(log_softmax) BODIES(softmax_slope) BODIES(log_softmax_slope)
    BODIES(logsumexp_slope) BODIES(normalized) BODIES(normalized_slope) BODIES(normalized_sums)
    BODIES(column_softmax)
    BODIES(column_log_softmax) BODIES(column_softmax_slope) BODIES(column_log_softmax_slope)
    BODIES(column_normalized) BODIES(column_normalized_slope) BODIES(column_normalized_sums)
    BODIES(scaled) BODIES(glu) BODIES(glu_slope) BODIES(cosine)
    BODIES(moments) BODIES(renorm)
    #define LOSSES(M) M(mse) M(huber) M(smooth_l1) M(soft_margin) M(bce_logits)
    #define LOSS_BODIES(op) BODIES(op) BODIES(op##_total) BODIES(op##_slope)
    #define LOSS_REALS(op) REALS(op) REALS(op##_total) REALS(op##_slope)
    LOSSES(LOSS_BODIES)

    #define REALS(op) RUN(op, float32) RUN(op, float64)
    #define WHOLE(op)                                                                               \\
        RUN(op, bool_) RUN(op, uint8) RUN(op, int8) RUN(op, int16) RUN(op, int32) RUN(op, int64)
    static pb_named const pb_runs[] = {
        REALS(cumsum) WHOLE(cumsum) REALS(cumprod) WHOLE(cumprod) REALS(cummax) WHOLE(cummax)
        REALS(cummin) WHOLE(cummin) REALS(logcumsumexp)
        REALS(prod_slope) REALS(cumprod_slope) REALS(logcumsumexp_slope)
        REALS(softmax) REALS(log_softmax) REALS(softmax_slope) REALS(log_softmax_slope)
        REALS(logsumexp_slope) REALS(normalized) REALS(normalized_slope) REALS(normalized_sums)
        REALS(column_softmax) REALS(column_log_softmax) REALS(column_softmax_slope)
        REALS(column_log_softmax_slope) REALS(column_normalized) REALS(column_normalized_slope)
        REALS(column_normalized_sums) REALS(scaled) REALS(glu) REALS(glu_slope) REALS(cosine)
        REALS(moments) REALS(renorm) LOSSES(LOSS_REALS)
    };
    """

include "runs.pxi"
