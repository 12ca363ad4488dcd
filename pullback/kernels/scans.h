/* The scans, each by the template scan.h. Of floats they are made in double and rounded at the end; half
   precisions come as float, see rows.h. Those for
   gradients go through a row from its end: the geometry sees to it. */

#define TEMPLATE "scan.h"
#define EXP_WIDE(x) (sizeof(REAL) == sizeof(double) ? pb_exp_double(x) : pb_exp_short(x))
/* exp(a - b), zero where a is the logarithm of zero, even if b is too */
#define EXP_OF_DIFFERENCE(a, b) ((a) == -INFINITY ? 0 : EXP_WIDE((a) - (b)))

#define OPERANDS 2
#define A2 int

/* ---- sums, products; of integers in 64 bits, where they wrap around */

#define NAME cumsum
#define FIRST 0
#define FIRST2 0
#define A uint64_t
#define OPERAND_SIZES sizeof(T), sizeof(int64_t)
#define EACH { s[j] += (uint64_t)IN(0); OUT(1, uint64_t) = s[j]; }
#include "integers.h"
#undef NAME
#undef FIRST
#undef EACH

#define NAME cumprod
#define FIRST 1
#define EACH { s[j] *= (uint64_t)IN(0); OUT(1, uint64_t) = s[j]; }
#include "integers.h"
#undef A
#undef EACH
#undef OPERAND_SIZES

#define A double
#define OPERAND_SIZES sizeof(T), sizeof(T)
#define EACH { s[j] *= IN(0); OUT(1, T) = TO((REAL)s[j]); }
#include "reals.h"
#undef NAME
#undef FIRST
#undef EACH

#define NAME cumsum
#define FIRST 0
#define EACH { s[j] += IN(0); OUT(1, T) = TO((REAL)s[j]); }
#include "reals.h"
#undef NAME
#undef FIRST
#undef EACH

#define NAME logcumsumexp
#define FIRST -INFINITY
#define EACH {                                                                                      \
        double const x = IN(0), y = s[j], top = x > y ? x : y;                                      \
        double const below = x == y ? 0 : x > y ? y - x : x - y;                                    \
        s[j] = top + pb_log1p_unit_double(EXP_WIDE(below));                                         \
        OUT(1, T) = TO((REAL)s[j]);                                                                 \
    }
#include "reals.h"
#undef NAME
#undef FIRST
#undef EACH
#undef A
#undef A2
#undef OPERANDS
#undef OPERAND_SIZES

/* ---- extremes so far, and where: the last of equal ones; from the first NaN on, the last NaN */

#define OPERANDS 3
#define OPERAND_SIZES sizeof(T), sizeof(T), sizeof(int64_t)
#define A REAL
#define A2 int64_t
#define EXTREME(better) {                                                                           \
        REAL const x = IN(0);                                                                       \
        int const taken = (x better s[j]) | IS_NAN(x);                                              \
        s[j] = taken ? x : s[j];                                                                    \
        t[j] = taken ? i : t[j];                                                                    \
        OUT(1, T) = TO(s[j]);                                                                       \
        OUT(2, int64_t) = t[j];                                                                     \
    }

#define NAME cummax
#define FIRST LOWEST
#define EACH EXTREME(>=)
#include "integers.h"
#include "reals.h"
#undef NAME
#undef FIRST
#undef EACH

#define NAME cummin
#define FIRST HIGHEST
#define EACH EXTREME(<=)
#include "integers.h"
#include "reals.h"
#undef NAME
#undef FIRST
#undef EACH
#undef A
#undef A2
#undef FIRST2
#undef OPERANDS
#undef OPERAND_SIZES

/* ---- gradients, of floats */

#define A double
#define FIRST 0

/* g, x -> of a product of all x: g times the others, those before it and then those behind */
#define NAME prod_slope
#define OPERANDS 3
#define OPERAND_SIZES sizeof(T), sizeof(T), sizeof(T)
#define A2 int
#define FIRST2 0
#undef FIRST
#define FIRST 1
#define FIRST_BACK 1
#define EACH { OUT(2, T) = TO((REAL)s[j]); s[j] *= IN(1); }
#define EACH_BACK { OUT(2, T) = TO((REAL)(IN(2) * s[j] * IN(0))); s[j] *= IN(1); }
#include "reals.h"
#undef NAME
#undef A2
#undef FIRST
#undef FIRST_BACK
#undef EACH
#undef EACH_BACK
#undef OPERANDS
#undef OPERAND_SIZES

#define OPERANDS 4
#define OPERAND_SIZES sizeof(T), sizeof(T), sizeof(T), sizeof(T)
#define A2 double
#define FIRST 0

/* g, x, y = cumprod(x) -> y[i-1] s[i], s[i] = g[i] + x[i+1] s[i+1] */
#define NAME cumprod_slope
#define EACH {                                                                                      \
        s[j] = IN(0) + t[j] * s[j];                                                                 \
        t[j] = IN(1);                                                                               \
        OUT(3, T) = TO((REAL)(s[j] * (i < last ? IN_AFTER(2) : 1)));                                \
    }
#include "reals.h"
#undef NAME
#undef EACH

/* g, x, y = logcumsumexp(x) -> exp(x[i] - y[i]) s[i], s[i] = g[i] + exp(y[i] - y[i+1]) s[i+1] */
#define NAME logcumsumexp_slope
#define EACH {                                                                                      \
        double const x = IN(1), y = IN(2);                                                          \
        s[j] = IN(0) + (i ? EXP_OF_DIFFERENCE(y, t[j]) * s[j] : 0);                                 \
        t[j] = y;                                                                                   \
        OUT(3, T) = TO((REAL)(EXP_OF_DIFFERENCE(x, y) * s[j]));                                     \
    }
#include "reals.h"
#undef NAME
#undef EACH
#undef A
#undef A2
#undef FIRST
#undef FIRST2
#undef OPERANDS
#undef OPERAND_SIZES
#undef TEMPLATE
