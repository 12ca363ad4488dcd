/* How many elements fall into each of some bins of equal width: a template for each float.

   The geometry is: bins, bits of the lowest and the highest edge, dims, {size, step} of each dim. Where the
   edges are the same, they are those of the elements. Places are computed in the numbers' own precision. */

#include "kinds.h"
#include "walk.h"

#ifndef PB_HISTOGRAM_H
#define PB_HISTOGRAM_H
enum {
    PB_NOT_FINITE = 1,
    PB_TABLES = 4,      /* of counts: equal numbers, one after another, do not wait for each other */
    PB_COUNTED = 256    /* numbers at a time */
};
#define PB_HISTC2(type) pb_histc_##type
#define PB_HISTC(type) PB_HISTC2(type)
#define PB_EVEN2(type) pb_even_##type
#define PB_EVEN(type) PB_EVEN2(type)
#define PB_ENDS2(type) pb_ends_##type
#define PB_ENDS(type) PB_ENDS2(type)
#define PB_BIN2(type) pb_bin_of_##type
#define PB_BIN(type) PB_BIN2(type)
#define PB_BINS2(type) pb_bins_##type
#define PB_BINS(type) PB_BINS2(type)
#endif

#define ROUND(x) LOAD(TO(x))
#if KIND == FLOAT64
#define PB_FUSED fma
#else
#define PB_FUSED fmaf
#endif
#if KIND >= FLOAT32
#define PB_QUICK PB_CLONES
#else
#define PB_QUICK
#endif

/* The least and the largest of some numbers, and those that are there. */
static PB_QUICK void PB_ENDS(TYPE)(T const* x, int64_t n, REAL* ends) {
    REAL least[16], most[16];
    int64_t i = 0, j;
    for (j = 0; j < 16; j++) least[j] = ends[0], most[j] = ends[1];
    for (; i + 16 <= n; i += 16)
        for (j = 0; j < 16; j++) {
            REAL const one = LOAD(x[i + j]);
            least[j] = SMALLER(least[j], one);
            most[j] = LARGER(most[j], one);
        }
    for (j = 0; i < n; i++, j++) {
        least[j] = SMALLER(least[j], LOAD(x[i]));
        most[j] = LARGER(most[j], LOAD(x[i]));
    }
    for (j = 0; j < 16; j++) {
        ends[0] = SMALLER(ends[0], least[j]);
        ends[1] = LARGER(ends[1], most[j]);
    }
}

/* The bin of each number; that of one in none is behind them. */
static PB_QUICK void PB_BIN(TYPE)(T const* x, int64_t n, REAL first, REAL behind, REAL width, int32_t bins,
                                   int32_t* PB_RESTRICT bin) {
    REAL const all = ROUND((REAL)bins), last = (REAL)(bins - 1);
    for (int64_t i = 0; i < n; i++) {
        REAL const one = LOAD(x[i]), place = ROUND(ROUND(ROUND(one - first) * all) / width);
        int32_t const inside = (one >= first) & (one <= behind), low = place < last;
        int32_t const found = (int32_t)(inside & low ? place : 0);
        bin[i] = inside ? low ? found : bins - 1 : bins;
    }
}

static int PB_HISTC(TYPE)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const bins = geometry[0], count = geometry[3], *dims = geometry + 4, *last = dims + 2 * count - 2;
    int64_t* const counts = (int64_t*)scratch;
    int64_t at[64] = {0}, i, j;
    double low, high;
    char const* p = data[0];
    T* const result = (T*)data[1];
    T few[PB_COUNTED];
    int some = 1;
    (void)begin, (void)end;
    memcpy(&low, geometry + 1, sizeof low);
    memcpy(&high, geometry + 2, sizeof high);
    for (j = 0; j < count; j++) some = some && dims[2 * j];
#define EACH_FEW(...)                                                                                        \
    do                                                                                                       \
        for (i = 0; i < last[0]; i += PB_COUNTED) {                                                          \
            int64_t const n = last[0] - i < PB_COUNTED ? last[0] - i : PB_COUNTED;                           \
            T const* x = (T const*)(p + i * last[1]);                                                        \
            if (last[1] != sizeof(T)) {                                                                      \
                for (j = 0; j < n; j++) few[j] = *(T const*)(p + (i + j) * last[1]);                         \
                x = few;                                                                                     \
            }                                                                                                \
            __VA_ARGS__                                                                                      \
        }                                                                                                    \
    while (pb_next(dims, count - 1, at, &p));
    if (low == high && some) {
        REAL ends[2] = {HIGHEST, LOWEST};
        EACH_FEW(PB_ENDS(TYPE)(x, n, ends);)
        low = ends[0], high = ends[1];
    }
    if (low == high) low -= 1, high += 1;
    if (!(low - low == 0 && high - high == 0)) return PB_NOT_FINITE;
    REAL const first = ROUND((REAL)low), behind = ROUND((REAL)high), width = ROUND(behind - first);
    memset(counts, 0, PB_TABLES * (bins + 1) * sizeof *counts);
    p = data[0];
    if (some) EACH_FEW(
        int32_t bin[PB_COUNTED];
        PB_BIN(TYPE)(x, n, first, behind, width, (int32_t)bins, bin);
        for (j = 0; j < n; j++) counts[j % PB_TABLES * (bins + 1) + bin[j]]++;
    )
#undef EACH_FEW
    for (j = 0; j < bins; j++) {
        int64_t total = 0;
        for (i = 0; i < PB_TABLES; i++) total += counts[i * (bins + 1) + j];
        result[j] = TO((REAL)total);
    }
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
#undef PB_QUICK
#include "kinds_end.h"
