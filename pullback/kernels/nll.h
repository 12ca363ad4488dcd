/* Losses of class numbers: picking each row's class, and putting a gradient back there. A template, included
   once for each number type.

   The input is seen as (N, C, M), the target as (N, M), of int64 or uint8; `weight` has a number for each
   class, in the input's type, or is left out. Targets equal to `ignored` count for nothing. The geometry is
   that of ops/networks/cross_entropy.py:

       N, C, M, ignored, reduction, whether there are weights, whether the target is uint8,
       steps of the target along N, M, of the weight, of the input along N, C, M, of the loss or its gradient

   in bytes. A part is one of the N rows, or all if the loss is reduced. */

#include "kinds.h"

#ifndef PB_NLL_H
#define PB_NLL_H
#define NLL_JOIN(name, type) pb_##name##_##type
#define NLL_NAMED(name, type) NLL_JOIN(name, type)
enum { NLL_EACH, NLL_MEAN, NLL_SUM };

PB_INLINE int64_t pb_class(int64_t const* g, char const* target, int64_t n, int64_t m) {
    char const* at = target + n * g[7] + m * g[8];
    return g[6] ? *(uint8_t const*)at : *(int64_t const*)at;
}
#endif

#define WEIGHT(t) (weight ? (double)LOAD(*(T const*)(weight + (t) * g[9])) : 1.0)

/* The sum of the weights of all targets; without weights, their count. */
static double NLL_NAMED(nll_total, TYPE)(int64_t const* g, char const* target, char const* weight) {
    double total = 0;
    for (int64_t n = 0; n < g[0]; n++)
        for (int64_t m = 0; m < g[2]; m++) {
            int64_t const t = pb_class(g, target, n, m);
            if (t != g[3] && t >= 0 && t < g[1]) total += WEIGHT(t);
        }
    return total;
}

/* input, target, weight -> -weight * input of each row's class; 1 if a class is out of range */
static int NLL_NAMED(nll, TYPE)(int64_t const* g, char** data, int64_t begin, int64_t end, char* scratch) {
    char const *x = data[0], *target = data[1], *weight = g[5] ? data[2] : NULL;
    char* out = data[2 + g[5]];
    int64_t const rows = g[4] == NLL_EACH ? end : g[0];
    double total = 0;
    (void)scratch;
    for (int64_t n = begin; n < rows; n++)
        for (int64_t m = 0; m < g[2]; m++) {
            int64_t const t = pb_class(g, target, n, m);
            double loss = 0;
            if (t != g[3]) {
                if (t < 0 || t >= g[1]) return 1;
                loss = -WEIGHT(t) * LOAD(*(T const*)(x + n * g[10] + t * g[11] + m * g[12]));
            }
            if (g[4] == NLL_EACH)
                *(T*)(out + n * g[13] + m * g[14]) = TO((REAL)loss);
            else
                total += loss;
        }
    if (g[4] == NLL_MEAN) total /= NLL_NAMED(nll_total, TYPE)(g, target, weight);
    if (g[4] != NLL_EACH) *(T*)out = TO((REAL)total);
    return 0;
}

/* gradient, target, weight -> the gradient of the input, of which the result has the steps */
static int NLL_NAMED(nll_slope, TYPE)(int64_t const* g, char** data, int64_t begin, int64_t end,
                                      char* scratch) {
    char const *up = data[0], *target = data[1], *weight = g[5] ? data[2] : NULL;
    char* out = data[2 + g[5]];
    double const share = g[4] == NLL_MEAN ? NLL_NAMED(nll_total, TYPE)(g, target, weight) : 1;
    double const scale = share ? 1 / share : NAN;
    (void)scratch;
    memset(out + begin * g[10], 0, (end - begin) * g[10]);
    for (int64_t n = begin; n < end; n++)
        for (int64_t m = 0; m < g[2]; m++) {
            int64_t const t = pb_class(g, target, n, m);
            if (t == g[3] || t < 0 || t >= g[1]) continue;
            REAL const own = LOAD(*(T const*)(up + n * g[13] + m * g[14]));
            *(T*)(out + n * g[10] + t * g[11] + m * g[12]) = TO((REAL)(-own * scale * WEIGHT(t)));
        }
    return 0;
}

#undef WEIGHT
#include "kinds_end.h"
