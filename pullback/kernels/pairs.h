/* Products of all pairs of two vectors, and whether numbers are probabilities: for steps.pyx alone. */

#ifndef PB_PAIRS_H
#define PB_PAIRS_H

#include "pullback/kernels/steps.h"

/* c[m, n] = a[m] b[n], rows of c without gaps. The geometry: m, n, step of a by m, of c
   by m, then the number of leading dims and {size, steps of a, b, c} of each. A part is one c. */
#define PAIRS(name, real)                                                                                    \
    static PB_CLONES void pb_##name##_row(real a, real const* PB_RESTRICT b, real* PB_RESTRICT c,            \
                                          int64_t n) {                                                       \
        for (int64_t j = 0; j < n; j++) c[j] = a * b[j];                                                     \
    }                                                                                                        \
    static int pb_##name(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {  \
        int64_t const m = geometry[0], n = geometry[1], of_a = geometry[2], of_c = geometry[3];              \
        (void)scratch;                                                                                       \
        for (int64_t part = begin; part < end; part++) {                                                     \
            char* at[3] = {data[0], data[1], data[2]};                                                       \
            pb_seek(geometry + 5, geometry[4], 3, part, at);                                                 \
            for (int64_t i = 0; i < m; i++)                                                                  \
                pb_##name##_row(*(real const*)(at[0] + i * of_a), (real const*)at[1],                        \
                                (real*)(at[2] + i * of_c), n);                                               \
        }                                                                                                    \
        return 0;                                                                                            \
    }

PAIRS(pairs_float32, float)
PAIRS(pairs_float64, double)
#undef PAIRS

/* Status 1 if a number of a contiguous operand is not within [0, 1]. The geometry: how many. */
#define UNIT(name, real)                                                                                     \
    static PB_CLONES int pb_unit_##name(int64_t const* geometry, char** data, int64_t begin, int64_t end,    \
                                        char* scratch) {                                                     \
        real const* x = (real const*)data[0];                                                                \
        int outside = 0;                                                                                     \
        (void)begin, (void)end, (void)scratch;                                                               \
        for (int64_t i = 0; i < geometry[0]; i++) outside |= !((x[i] >= 0) & (x[i] <= 1));                   \
        return outside;                                                                                      \
    }

UNIT(float32, float)
UNIT(float64, double)
#undef UNIT

#endif
