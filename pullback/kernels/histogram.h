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
#define PB_EVEN2(type) pb_even_##type
#define PB_EVEN(type) PB_EVEN2(type)
#define PB_BINS2(type) pb_bins_##type
#define PB_BINS(type) PB_BINS2(type)
#endif

#define ROUND(x) LOAD(TO(x))
#if KIND == FLOAT64
#define PB_FUSED fma
#else
#define PB_FUSED fmaf
#endif

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

/* The flat bin of each point among rising edges of each dim, or the number of all bins for a point in none.
   Bins contain their lower edge, the last one both. The geometry: dims, steps of the points and within one,
   then {edges, step} of each dim; data: points, the edges of each dim, result. A part is a point. */
static int PB_BINS(TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const dims = geometry[0], *edges = geometry + 3;
    int64_t all = 1, d;
    (void)scratch;
    for (d = 0; d < dims; d++) all *= edges[2 * d] - 1;
    for (int64_t part = begin; part < end; part++) {
        int64_t flat = 0, inside = 1;
        for (d = 0; d < dims; d++) {
            REAL const x = LOAD(*(T const*)(data[0] + part * geometry[1] + d * geometry[2]));
            int64_t const count = edges[2 * d], step = edges[2 * d + 1];
            REAL const most = LOAD(*(T const*)(data[1 + d] + (count - 1) * step));
            int64_t low = 0; /* edges up to x */
            for (int64_t left = count, half; left > 0; left -= half) {
                half = (left + 1) / 2;
                low += -(int64_t)(LOAD(*(T const*)(data[1 + d] + (low + half - 1) * step)) <= x) & half;
            }
            inside &= (low > 0) & (x <= most);
            flat = flat * (count - 1) + (low < count ? low - 1 : count - 2);
        }
        ((int64_t*)data[1 + dims])[part] = inside ? flat : all;
    }
    return 0;
}
#if KIND >= FLOAT32
/* The counts in bins between evenly spaced edges, and those edges, of contiguous numbers. The geometry: how
   many, bins, whether the ends are given, bits of the lowest and the highest edge; else they are those of the
   numbers. A bin is guessed, and then found by its edges, as `bins` finds it. */
static int PB_EVEN(TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const n = geometry[0], bins = geometry[1];
    int64_t* const counts = (int64_t*)scratch;
    T const* x = (T const*)data[0];
    T *const result = (T*)data[1], *const edges = (T*)data[2];
    double low, high;
    (void)begin, (void)end;
    memcpy(&low, geometry + 3, sizeof low);
    memcpy(&high, geometry + 4, sizeof high);
    if (!geometry[2] && n) {
        T least = HIGHEST, most = LOWEST;
        for (int64_t i = 0; i < n; i++) {
            least = SMALLER(least, x[i]);
            most = LARGER(most, x[i]);
        }
        low = least, high = most;
    }
    if (!(low - low == 0 && high - high == 0)) return PB_NOT_FINITE;
    if (low == high) low -= 0.5, high += 0.5;
    T const first = (T)low, last = (T)high, width = (last - first) / bins;
    for (int64_t i = 0; i <= bins; i++)
        edges[i] = i < (bins + 1) / 2 ? PB_FUSED((T)i, width, first) : PB_FUSED((T)(i - bins), width, last);
    memset(counts, 0, bins * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        if (!(x[i] >= edges[0] && x[i] <= edges[bins])) continue;
        T const guess = (x[i] - first) / width;
        int64_t bin = guess > 0 ? guess < bins - 1 ? (int64_t)guess : bins - 1 : 0;
        while (bin && x[i] < edges[bin]) bin--;
        while (bin < bins - 1 && x[i] >= edges[bin + 1]) bin++;
        counts[bin]++;
    }
    for (int64_t i = 0; i < bins; i++) result[i] = (T)counts[i];
    return 0;
}
#endif

#undef PB_FUSED
#include "kinds_end.h"
