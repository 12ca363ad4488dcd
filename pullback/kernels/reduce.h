/* The reductions, each by the template fold.h. The sums of a float are made in float: LANES and pairs keep
   the error that of a few additions. */

#define SUM_OF(a, b) ((a) + (b))
#define PRODUCT_OF(a, b) ((a) * (b))
#define LARGER(a, b) ((b) > (a) || (b) != (b) ? (b) : (a)) /* NaN, once there, stays */
#define SMALLER(a, b) ((b) < (a) || (b) != (b) ? (b) : (a))

#define A REAL
#define R T

#define NAME sum
#define FIRST 0
#define STEP SUM_OF
#define MERGE SUM_OF
#define DONE(a, n) TO(a)
#include "fold_floats.h"
#undef NAME
#undef DONE

#define NAME mean
#define DONE(a, n) TO((a) / (n))
#include "fold_floats.h"
#undef NAME
#undef DONE

/* two passes: the mean, then squares of what is off it */
#define NAME squares
#define MID(a, n) ((a) / (n))
#define FIRST2 0
#define STEP2(b, x, m) ((b) + ((x) - (m)) * ((x) - (m)))
#define MERGE2 SUM_OF
#define DONE2(b, m, n) TO(b)
#include "fold_floats.h"
#undef NAME
#undef MID
#undef FIRST2
#undef STEP2
#undef MERGE2
#undef DONE2

#undef FIRST
#undef STEP
#undef MERGE
#define NAME prod
#define FIRST 1
#define STEP PRODUCT_OF
#define MERGE PRODUCT_OF
#define DONE(a, n) TO(a)
#include "fold_floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE

#define NAME amax
#define FIRST -INFINITY
#define STEP LARGER
#define MERGE LARGER
#include "fold_floats.h"
#undef NAME
#undef FIRST
#undef STEP
#undef MERGE

#define NAME amin
#define FIRST INFINITY
#define STEP SMALLER
#define MERGE SMALLER
#include "fold_floats.h"
