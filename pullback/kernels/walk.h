/* Walks over dims: from one place to the next, the last dim the fastest. */

#ifndef PB_WALK_H
#define PB_WALK_H

#include "exp.h"

/* The next place in some dims of {size, step}; 0 after the last, with all as at the beginning. */
PB_INLINE int pb_next(int64_t const* dims, int64_t count, int64_t* at, char const** p) {
    for (int64_t d = count - 1; d >= 0; d--) {
        *p += dims[2 * d + 1];
        if (++at[d] < dims[2 * d]) return 1;
        *p -= at[d] * dims[2 * d + 1];
        at[d] = 0;
    }
    return 0;
}

/* The next place in some dims of {size, step, step of the result}; 0 after the last, all as at
   the beginning. */
PB_INLINE int pb_next_box(int64_t const* dims, int64_t count, int64_t* at, char const** from, char** to) {
    for (int64_t d = count - 1; d >= 0; d--) {
        *from += dims[3 * d + 1];
        *to += dims[3 * d + 2];
        if (++at[d] < dims[3 * d]) return 1;
        *from -= at[d] * dims[3 * d + 1];
        *to -= at[d] * dims[3 * d + 2];
        at[d] = 0;
    }
    return 0;
}

#endif
