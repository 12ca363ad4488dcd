/* Which element a reduction along one dim picks: the first largest or smallest, NaN over all.

   A template on fold_pass.h: NAME, FIRST, STEP and MERGE are those of the extreme, BETTER says which of
   two wins. The geometry is fold.h's with one reduced dim and, in place of the parameter, whether the values
   are wanted before the indices; steps of the results are in elements. Along runs the extreme is found first,
   as a fold, and then looked for. */

#include "kinds.h"
#define A REAL
#define PASS_OF(type, suffix) PB_NAMED(NAME, type, _pick##suffix)
#define BEGIN FIRST
#define ADD_ONE(a, x, m) STEP(a, x)
#define ADD_ALL(a, b) MERGE(a, b)
#include "fold_pass.h"

#if IS_HALF
static PB_CLONES void PB_NAMED(NAME, float32, _better)(float const* p, int64_t n, int64_t step, int64_t row,
                                                       float* best, int64_t* at);
static PB_CLONES int64_t PB_NAMED(NAME, float32, _find)(char const* p, int64_t n, int64_t step, float m);

static void FN(_better)(T const* p, int64_t n, int64_t step, int64_t row, float* best, int64_t* at) {
    float x[WIDTH];
    WIDEN((char const*)p, n, step, x);
    PB_NAMED(NAME, float32, _better)(x, n, sizeof *x, row, best, at);
}

static int64_t FN(_find)(char const* p, int64_t n, int64_t step, float m) {
    float x[BLOCK];
    int64_t i = 0, at;
    for (;; i += BLOCK) {
        int64_t const some = n - i < BLOCK ? n - i : BLOCK;
        WIDEN(p + i * step, some, step, x);
        at = PB_NAMED(NAME, float32, _find)((char const*)x, some, sizeof *x, m);
        if (i + some == n || (at < some && (x[at] == m || IS_NAN(x[at])))) return i + at;
    }
}
#else
static PB_CLONES void FN(_better)(T const* p, int64_t n, int64_t step, int64_t row, REAL* best, int64_t* at) {
    for (int64_t j = 0; j < n; j++) {
        REAL const x = LOAD(*(T const*)((char const*)p + j * step));
        int const wins = BETTER(x, best[j]) || (IS_NAN(x) && !IS_NAN(best[j]));
        best[j] = wins ? x : best[j];
        at[j] = wins ? row : at[j];
    }
}

/* The first place of the extreme m in a run: whole blocks without it are passed over. */
static PB_CLONES int64_t FN(_find)(char const* p, int64_t n, int64_t step, REAL m) {
    int64_t i = 0;
    if (step == sizeof(T)) {
        T const* x = (T const*)p;
        for (; i + BLOCK / 8 <= n; i += BLOCK / 8) {
            int hits = 0;
            for (int64_t j = 0; j < BLOCK / 8; j++) hits |= (LOAD(x[i + j]) == m) | IS_NAN(LOAD(x[i + j]));
            if (hits) break;
        }
    }
    for (; i < n - 1; i++) {
        REAL const x = LOAD(*(T const*)(p + i * step));
        if (x == m || IS_NAN(x)) break;
    }
    return i;
}

#endif

static int FN(_pick)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const kept = geometry[0], column = geometry[2], both = geometry[3];
    int64_t const *outer = geometry + 4, *last = outer + 3 * (kept - 1);
    int64_t const n = outer[3 * kept], step = outer[3 * kept + 1];
    int64_t const blocks = column ? (last[0] - 1) / COLUMNS + 1 : 1;
    T* values = both ? (T*)data[1] : NULL;
    int64_t* indices = (int64_t*)data[both ? 2 : 1];
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        char const* p = data[0];
        char* offset = NULL;
        pb_place(outer, kept - column, blocks > 1 ? part / blocks : part, &p, &offset);
        int64_t const r = offset - (char*)NULL;
        if (!column) {
            int64_t const i = FN(_find)(p, n, step, PASS(run)(p, n, step, 0));
            indices[r] = i;
            if (both) values[r] = *(T const*)(p + i * step);
            continue;
        }
        int64_t const first = part % blocks, some = end - part < blocks - first ? end - part : blocks - first;
        int64_t const to = first + some < blocks ? (first + some) * COLUMNS : last[0];
        for (int64_t from = first * COLUMNS; from < to; from += WIDTH) {
            int64_t const width = to - from < WIDTH ? to - from : WIDTH;
            REAL best[WIDTH];
            int64_t at[WIDTH];
            char const* q = p + from * last[1];
            for (int64_t j = 0; j < width; j++) {
                best[j] = LOAD(*(T const*)(q + j * last[1]));
                at[j] = 0;
            }
            for (int64_t row = 1; row < n; row++)
                FN(_better)((T const*)(q + row * step), width, last[1], row, best, at);
            for (int64_t j = 0; j < width; j++) {
                int64_t const place = r + (from + j) * last[2];
                indices[place] = at[j];
                if (both) values[place] = *(T const*)(q + j * last[1] + at[j] * step);
            }
        }
        part += some - 1;
    }
    return 0;
}

#undef A
#undef PASS_OF
#undef BEGIN
#undef ADD_ONE
#undef ADD_ALL
#include "kinds_end.h"
