/* The loops of `where`: a bool, then two elements of some size, of which one is chosen.

   A run of elements, or one and the same on either side: each of these is vector code. What is chosen is
   copied as it is, so one loop serves all types of a size. */

#ifndef PB_WHERE_H
#define PB_WHERE_H

#include "pullback/core/vectors.h"

#include <numpy/npy_common.h>
#include <stdint.h>

typedef struct { uint64_t low, high; } pb_pair;

#define PB_CHOOSE(x, y)                                                                             \
    PB_INDEPENDENT for (i = 0; i < n; i++) {                                                        \
        T const here = x, there = y;                                                                \
        to[i] = c[i] ? here : there;                                                                \
    }

#define PB_WHERE(BYTES, TYPE)                                                                       \
    static PB_CLONES void pb_where_##BYTES(char** args, npy_intp const* size, npy_intp const* steps, \
                                           void* data) {                                            \
        typedef TYPE T;                                                                             \
        npy_intp const n = size[0], a = steps[1], b = steps[2], item = sizeof(T);                   \
        npy_intp i;                                                                                 \
        (void)data;                                                                                 \
        if (n > 0 && steps[0] == 1 && steps[3] == item && (a == item || !a) && (b == item || !b)) { \
            uint8_t const* c = (uint8_t const*)args[0];                                             \
            T const *x = (T const*)args[1], *y = (T const*)args[2], first = *x, second = *y;        \
            T* to = (T*)args[3];                                                                    \
            if (a && b) PB_CHOOSE(x[i], y[i])                                                       \
            else if (a) PB_CHOOSE(x[i], second)                                                     \
            else if (b) PB_CHOOSE(first, y[i])                                                      \
            else PB_CHOOSE(first, second)                                                           \
            return;                                                                                 \
        }                                                                                           \
        for (i = 0; i < n; i++)                                                                     \
            *(T*)(args[3] + i * steps[3]) =                                                         \
                *(T const*)(args[0][i * steps[0]] ? args[1] + i * a : args[2] + i * b);             \
    }

PB_WHERE(1, uint8_t)
PB_WHERE(2, uint16_t)
PB_WHERE(4, uint32_t)
PB_WHERE(8, uint64_t)
PB_WHERE(16, pb_pair)
#undef PB_WHERE
#undef PB_CHOOSE

#endif
