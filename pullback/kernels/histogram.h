/* How many elements fall into each of some bins of equal width: a template for each float.

   The geometry is: bins, bits of the lowest and the highest edge, dims, {size, step} of each dim. Where the
   edges are the same, they are those of the elements. Places are computed in the numbers' own precision. */

#include "kinds.h"
#include "walk.h"

#ifndef PB_HISTOGRAM_H
#define PB_HISTOGRAM_H
enum { PB_NOT_FINITE = 1 };
#define PB_HISTC2(type) pb_histc_##type
#define PB_HISTC(type) PB_HISTC2(type)
#endif

#define ROUND(x) LOAD(TO(x))

static int PB_HISTC(TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const bins = geometry[0], count = geometry[3], *dims = geometry + 4, *last = dims + 2 * count - 2;
    int64_t* const counts = (int64_t*)scratch;
    int64_t at[64] = {0}, j;
    double low, high;
    char const* p = data[0];
    T* const result = (T*)data[1];
    int some = 1;
    (void)begin, (void)end;
    memcpy(&low, geometry + 1, sizeof low);
    memcpy(&high, geometry + 2, sizeof high);
    for (j = 0; j < count; j++) some = some && dims[2 * j];
    if (low == high && some) {
        REAL least = HIGHEST, most = LOWEST;
        do
            for (j = 0; j < last[0]; j++) {
                REAL const x = LOAD(*(T const*)(p + j * last[1]));
                least = SMALLER(least, x);
                most = LARGER(most, x);
            }
        while (pb_next(dims, count - 1, at, &p));
        low = least, high = most;
    }
    if (low == high) low -= 1, high += 1;
    if (!(low - low == 0 && high - high == 0)) return PB_NOT_FINITE;
    REAL const first = ROUND((REAL)low), behind = ROUND((REAL)high), width = ROUND(behind - first);
    REAL const all = ROUND((REAL)bins);
    memset(counts, 0, bins * sizeof *counts);
    p = data[0];
    if (some) do
        for (j = 0; j < last[0]; j++) {
            REAL const x = LOAD(*(T const*)(p + j * last[1]));
            if (x >= first && x <= behind) {
                REAL const place = ROUND(ROUND(ROUND(x - first) * all) / width);
                counts[place < bins - 1 ? (int64_t)place : bins - 1]++;
            }
        }
    while (pb_next(dims, count - 1, at, &p));
    for (j = 0; j < bins; j++) result[j] = TO((REAL)counts[j]);
    return 0;
}

#undef ROUND
#include "kinds_end.h"
