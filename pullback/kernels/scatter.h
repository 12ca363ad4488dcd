/* Elements reduced in at indices: a template for each op and number type. at.h says how it is told where.

   What an op defines before it, in terms of kinds.h: NAME; STEP(a, x), the value with one element more;
   IDENTITY, what a reduction of nothing is; MEAN, if what was summed is divided by how many there were.

   Half precisions are summed in floats, in the scratch, and rounded once: steps of the addressed memory are
   those there, steps of the result count its elements, which are contiguous. A mean's counts follow. After
   the geometry of at.h stand two words: how many elements the result has, and whether what it begins as takes
   part; else it is replaced where an index points. */

#include "kinds.h"

#ifndef PB_SCATTER_H
#define PB_SCATTER_H
#define PB_JOIN3(a, b, c) pb_##a##_##b##c
#define PB_NAMED(a, b, c) PB_JOIN3(a, b, c)
#define FN(suffix) PB_NAMED(NAME, TYPE, suffix)
#endif

#if KIND == BOOL
#define PLUS(a, b) ((a) | (b))
#define TIMES(a, b) ((a) & (b))
#else
#define PLUS(a, b) ((a) + (b))
#define TIMES(a, b) ((a) * (b))
#endif
#if KIND >= FLOAT16
#define DIVIDED(a, n) TO((REAL)((double)(a) / (n)))
#else
#define DIVIDED(a, n) (T)((a) / (n) - ((a) % (n) < 0)) /* downwards */
#endif

static PB_CLONES void FN(_plain)(REAL* PB_RESTRICT y, T const* PB_RESTRICT x, int64_t n) {
    for (int64_t j = 0; j < n; j++) y[j] = STEP(y[j], LOAD(x[j]));
}

static int FN(_row)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                    void* context) {
    (void)context;
    if (!index && step_a == sizeof(REAL) && step_b == sizeof(T))
        FN(_plain)((REAL*)a, (T const*)b, n);
    else if (!index)
        for (int64_t j = 0; j < n; j++) {
            REAL* const to = (REAL*)(a + j * step_a);
            *to = STEP(*to, LOAD(*(T const*)(b + j * step_b)));
        }
    else
        PB_AT_EACH(index, n, {
            REAL* const to = (REAL*)(a + at + j * step_a);
            *to = STEP(*to, LOAD(*(T const*)(b + j * step_b)));
        })
    return 0;
}

static int FN(_clear)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                      void* context) {
    (void)b, (void)step_b, (void)context;
    if (!index)
        for (int64_t j = 0; j < n; j++) *(REAL*)(a + j * step_a) = IDENTITY;
    else
        PB_AT_EACH(index, n, *(REAL*)(a + at + j * step_a) = IDENTITY)
    return 0;
}

#ifdef MEAN
typedef struct {
    REAL* work;
    int64_t* counts;
} FN(_counted);

static int FN(_count)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                      void* context) {
    FN(_counted) const* c = context;
    (void)b, (void)step_b;
    if (!index)
        for (int64_t j = 0; j < n; j++) c->counts[(REAL*)(a + j * step_a) - c->work]++;
    else
        PB_AT_EACH(index, n, c->counts[(REAL*)(a + at + j * step_a) - c->work]++)
    return 0;
}
#endif

static int FN()(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_at const* at = (pb_at const*)geometry;
    int64_t const *bounds = geometry + PB_HEAD, *given = bounds + 2 * at->indices;
    int64_t const* tail = given + 3 * at->dims + (3 + at->indices) * at->counts;
    int64_t const count = at->dims, included = tail[1];
    int64_t dims[3 * 64], place[64] = {0}, n, j;
    T* const result = (T*)data[at->result];
    REAL* const work = sizeof(REAL) == sizeof(T) ? (REAL*)result : (REAL*)scratch;
    char const *from = at->begins < 0 ? NULL : data[at->begins], *first;
    char *to = NULL, *start; /* counts elements */
    if (pb_is_bad(at, geometry, data, (char*)work, begin, end)) return PB_OUT_OF_RANGE;
    memcpy(dims, given, 3 * count * sizeof *dims);
    pb_cut(dims, 3, at->cut_result, begin, end, (char**)&from, &to, NULL);
    for (j = 0; j < count; j++)
        if (!dims[3 * j]) return 0;
    int64_t const* last = dims + 3 * count - 3;
    n = count ? last[0] : 1;
    first = from, start = to;
    if (at->begins < 0 || data[at->begins] != (char*)work) do {
        REAL* const y = work + (to - (char*)NULL);
        int64_t const out = count ? last[2] : 0, step = count ? last[1] : 0;
        if (at->begins < 0)
            for (j = 0; j < n; j++) y[j * out] = 0;
        else if (out == 1 && step == sizeof(REAL) && sizeof(REAL) == sizeof(T))
            memcpy(y, from, n * sizeof(T));
        else if (out == 1 && step == sizeof(T))
            for (j = 0; j < n; j++) y[j] = LOAD(((T const*)from)[j]);
        else
            for (j = 0; j < n; j++) y[j * out] = LOAD(*(T const*)(from + j * step));
    } while (count > 1 && pb_next_box(dims, count - 1, place, &from, &to));
    if (!included && pb_each(at, geometry, data, (char*)work, begin, end, FN(_clear), NULL))
        return PB_OUT_OF_RANGE;
    if (pb_each(at, geometry, data, (char*)work, begin, end, FN(_row), NULL)) return PB_OUT_OF_RANGE;
#ifdef MEAN
    int64_t const before = sizeof(REAL) == sizeof(T) ? 0 : (tail[0] + 1) / 2 * 8; /* bytes of the floats */
    FN(_counted) counted = {work, (int64_t*)(scratch + before)};
    memset(counted.counts, 0, tail[0] * sizeof *counted.counts);
    pb_each(at, geometry, data, (char*)work, begin, end, FN(_count), &counted);
#else
    if (sizeof(REAL) == sizeof(T)) return 0;
#endif
    from = first, to = start;
    do {
        int64_t const at_first = to - (char*)NULL, out = count ? last[2] : 0;
        for (j = 0; j < n; j++) {
            int64_t const i = at_first + j * out;
#ifdef MEAN
            int64_t const parts = counted.counts[i] + (included ? 1 : 0);
            result[i] = parts > 1 ? DIVIDED(work[i], parts) : TO(work[i]);
#else
            result[i] = TO(work[i]);
#endif
        }
    } while (count > 1 && pb_next_box(dims, count - 1, place, &from, &to));
    return 0;
}

#undef PLUS
#undef TIMES
#undef DIVIDED
#include "kinds_end.h"
