/* The reductions, each by the template fold.h, or pick.h. The sums of a float are made in float: LANES and
   pairs keep the error that of a few additions. */

#define SUM_OF(a, b) ((a) + (b))
#define PRODUCT_OF(a, b) ((a) * (b))
#define MORE(a, b) ((a) > (b))
#define LESS(a, b) ((a) < (b))
#define FINITE(x, otherwise) ((x) - (x) == 0 ? (x) : (otherwise))

#define TEMPLATE "fold.h"

/* ---- sums and products; integers wrap around in 64 bits */

#define ROUNDED
#define MERGE SUM_OF
#define FIRST 0
#define A REAL
#define R T

#define NAME mean
#define STEP SUM_OF
#define DONE(a, n) TO((a) / (n))
#include "floats.h"
#undef NAME
#undef DONE

#define NAME sum
#define DONE(a, n) TO(a)
#include "floats.h"
#undef NAME
#undef STEP

#define NAME nansum
#define STEP(a, x) ((a) + (IS_NAN(x) ? 0 : (x)))
#include "floats.h"
#undef NAME
#undef STEP
#define NAME sum
#define STEP SUM_OF
#undef A
#undef R
#undef DONE
#define A uint64_t
#define R uint64_t
#define DONE(a, n) (a)
#include "integers.h"
#undef NAME
#undef STEP

#define NAME count_nonzero
#define STEP(a, x) ((a) + ((x) != 0))
#include "integers.h"
#include "floats.h"
#undef NAME
#undef STEP
#undef FIRST
#undef MERGE

#undef ROUNDED
#define NAME prod
#define FIRST 1
#define STEP PRODUCT_OF
#define MERGE PRODUCT_OF
#include "integers.h"
#undef A
#undef R
#undef DONE
#define A REAL
#define R T
#define DONE(a, n) TO(a)
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE

/* ---- extremes, and where they are */

#define NAME amax
#define FIRST LOWEST
#define STEP LARGER
#define MERGE LARGER
#define BETTER MORE
#include "integers.h"
#include "floats.h"
#undef TEMPLATE
#define TEMPLATE "pick.h"
#undef A
#include "integers.h"
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE
#undef BETTER

#define NAME amin
#define FIRST HIGHEST
#define STEP SMALLER
#define MERGE SMALLER
#define BETTER LESS
#include "integers.h"
#include "floats.h"
#undef TEMPLATE
#define TEMPLATE "fold.h"
#define A REAL
#include "integers.h"
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE
#undef R
#undef A
#undef DONE

/* ---- truth */

#define A uint8_t
#define R uint8_t
#define DONE(a, n) (a)

#define NAME any
#define FIRST 0
#define STEP(a, x) ((a) | ((x) != 0))
#define MERGE(a, b) ((a) | (b))
#include "integers.h"
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE

#define NAME all
#define FIRST 1
#define STEP(a, x) ((a) & ((x) != 0))
#define MERGE(a, b) ((a) & (b))
#include "integers.h"
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE
#undef A
#undef R
#undef DONE

/* ---- two passes: squares of what is off the mean, over n - parameter; exponentials below the largest */

#define ROUNDED
#define A REAL
#define R T
#define FIRST2 0
#define MERGE2 SUM_OF
#define FIRST 0
#define STEP SUM_OF
#define MERGE SUM_OF
#define MID(a, n) ((a) / (n))
#define STEP2(b, x, m) ((b) + ((x) - (m)) * ((x) - (m)))

#define NAME var
#define DONE2(b, m, n) TO((REAL)((b) / ((n) - parameter)))
#include "floats.h"
#undef NAME
#undef DONE2

#define NAME std
#define DONE2(b, m, n) TO((REAL)sqrt((b) / ((n) - parameter)))
#include "floats.h"
#undef NAME
#undef DONE2
#undef FIRST
#undef STEP
#undef MERGE
#undef MID
#undef STEP2

#define NAME logsumexp
#define FIRST LOWEST
#define STEP LARGER
#define MERGE LARGER
#define MID(a, n) FINITE(a, 0)
#define STEP2(b, x, m) ((b) + EXP_OF((x) - (m)))
#define DONE2(b, m, n) TO((REAL)(log(b) + (m)))
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE
#undef MID
#undef STEP2
#undef DONE2

/* norms: of floats in double, where no square overflows; of doubles times the power of two that brings the
   largest to one */

PB_INLINE double pb_scale_of(double largest) {
    int exponent;
    if (!(largest > 0 && largest - largest == 0)) return 1;
    frexp(largest, &exponent);
    return ldexp(1, exponent > 1000 ? -1000 : exponent < -1000 ? 1000 : -exponent);
}

#define NAME norm2
#define FIRST 0
#define STEP(a, x) LARGER(a, ABS_OF(x))
#define MERGE LARGER
#define MID(a, n) pb_scale_of(a)
#define STEP2(b, x, m) ((b) + ((x) * (m)) * ((x) * (m)))
#define DONE2(b, m, n) TO((REAL)(sqrt(b) / (m)))
#define KIND FLOAT64
#include TEMPLATE
#undef STEP
#undef MERGE
#undef MID
#undef STEP2
#undef DONE2
#undef FIRST2
#undef MERGE2
#undef A

#define A double
#define STEP(a, x) ((a) + (double)(x) * (x))
#define MERGE SUM_OF
#define DONE(a, n) TO((REAL)sqrt(a))
#define KIND FLOAT16
#include TEMPLATE
#define KIND BFLOAT16
#include TEMPLATE
#define KIND FLOAT32
#include TEMPLATE
#undef NAME
#undef STEP
#undef MERGE
#undef DONE
#undef A

#define A REAL
#define STEP(a, x) LARGER(a, ABS_OF(x))
#define MERGE LARGER
#define NAME norm_inf
#define DONE(a, n) TO(a)
#include "floats.h"
#undef NAME
#undef STEP
#undef MERGE

#define NAME norm0
#define STEP(a, x) ((a) + ((x) != 0))
#define MERGE SUM_OF
#include "floats.h"
#undef NAME
#undef STEP

#define NAME norm1
#define STEP(a, x) ((a) + ABS_OF(x))
#include "floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE
#undef DONE
#undef A
#undef R
#undef ROUNDED
#undef TEMPLATE
