/* Linear maps along one dim of an array: gathered elements, and weighted sums of them.

   Arrays are seen as (outer, size, inner), contiguous; a part is one of `outer`. */

#include "steps.h"

/* Copies runs of elements. The geometry: bytes of an element, size, inner, places of the result, how many
   runs, the addresses of where each begins and of its length; data: array, result */
static int pb_gather_runs(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const row = geometry[0] * geometry[2], count = geometry[4];
    int64_t const* source = (int64_t const*)(intptr_t)geometry[5];
    int64_t const* length = (int64_t const*)(intptr_t)geometry[6];
    (void)scratch;
    for (int64_t a = begin; a < end; a++) {
        char const* x = data[0] + a * geometry[1] * row;
        char* to = data[1] + a * geometry[3] * row;
        for (int64_t r = 0; r < count; r++) {
            int64_t const bytes = length[r] * row;
            char const* from = x + source[r] * row;
            if (bytes == 4)
                memcpy(to, from, 4);
            else if (bytes == 8)
                memcpy(to, from, 8);
            else
                memcpy(to, from, bytes);
            to += bytes;
        }
    }
    return 0;
}

/* Weighted sums, which may be divided. The geometry: size, inner, places, addresses of where the terms of
   each place begin, of their indices, weights and of the divisors, or 0; data: array, result */
#define WEIGH(name, real)                                                                                    \
    static PB_CLONES void pb_combine_##name(real const* x, real* PB_RESTRICT to, int64_t inner,              \
                                            int64_t const* index, double const* weight, int64_t count) {     \
        if (count < 2) {                                                                                     \
            real const w = count ? (real)weight[0] : 0;                                                      \
            real const* a = count ? x + index[0] * inner : x;                                                \
            for (int64_t j = 0; j < inner; j++) to[j] = count ? w * a[j] : 0;                                \
            return;                                                                                          \
        }                                                                                                    \
        real const *a = x + index[0] * inner, *b = x + index[1] * inner;                                     \
        real const w = (real)weight[0], v = (real)weight[1];                                                 \
        for (int64_t j = 0; j < inner; j++) to[j] = w * a[j] + v * b[j];                                     \
        for (int64_t k = 2; k < count; k++) {                                                                \
            real const *c = x + index[k] * inner, u = (real)weight[k];                                       \
            for (int64_t j = 0; j < inner; j++) to[j] += u * c[j];                                           \
        }                                                                                                    \
    }                                                                                                        \
    static int pb_weigh_##name(int64_t const* geometry, char** data, int64_t begin, int64_t end,             \
                               char* scratch) {                                                              \
        int64_t const size = geometry[0], inner = geometry[1], places = geometry[2];                         \
        int64_t const* start = (int64_t const*)(intptr_t)geometry[3];                                        \
        int64_t const* index = (int64_t const*)(intptr_t)geometry[4];                                        \
        double const* weight = (double const*)(intptr_t)geometry[5];                                         \
        double const* divisor = (double const*)(intptr_t)geometry[6];                                        \
        (void)scratch;                                                                                       \
        for (int64_t a = begin; a < end; a++) {                                                              \
            real const* x = (real const*)data[0] + a * size * inner;                                         \
            real* to = (real*)data[1] + a * places * inner;                                                  \
            for (int64_t o = 0; o < places; o++, to += inner) {                                              \
                int64_t const first = start[o], count = start[o + 1] - first;                                \
                if (inner == 1) {                                                                            \
                    double total = 0;                                                                        \
                    for (int64_t k = first; k < first + count; k++) total += weight[k] * x[index[k]];        \
                    to[0] = (real)(divisor ? total / divisor[o] : total);                                    \
                    continue;                                                                                \
                }                                                                                            \
                pb_combine_##name(x, to, inner, index + first, weight + first, count);                       \
                if (divisor && divisor[o] != 1)                                                              \
                    for (int64_t j = 0; j < inner; j++) to[j] /= (real)divisor[o];                           \
            }                                                                                                \
        }                                                                                                    \
        return 0;                                                                                            \
    }

WEIGH(float32, float)
WEIGH(float64, double)
#undef WEIGH
