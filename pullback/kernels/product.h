/* Matrix products of floats and doubles, of whatever strides: c[m, n] = start + sum of a[m, k] b[k, n].

   A part is a chunk of the rows and columns of one product. Strips of b, as wide as blocks are, are laid out
   so that blocks read one number after another; so is a chunk of a, if its steps are long. Every number
   of c is the same sum in the same order, whatever the parts and the width of vectors: of OF_SUM products at
   a time. Read the last function first. */

#include "levels.h"
#include "interleave.h"

#ifndef PB_PRODUCT_H
#define PB_PRODUCT_H
#define OF_SUM 512
#define WIDEST 32    /* columns of a strip, on any processor */
#define MOST_ROWS 12 /* of a block */
#define FEW_ROWS 64  /* for which strips are not laid out */
#ifdef __GNUC__
#define PB_SOON(address) __builtin_prefetch(address, 1)
#else
#define PB_SOON(address) (void)0
#endif

typedef struct {
    int64_t m, k, n, high, wide; /* rows and columns of a chunk */
    int64_t started;             /* 0: there is no start */
    int64_t lay_rows;            /* a chunk of a is laid out */
    /* steps in elements; columns of c and start have none between them */
    int64_t am, ak, bk, bn, sm, cm;
    /* then the size of each leading dim and its steps in a, b, start, c, in bytes */
    int64_t dims;
} pb_multiplying;

/* Scratch memory from a line of the cache on, of which the plan has one more. */
PB_INLINE char* pb_at_line(char* scratch) { return (char*)(((uintptr_t)scratch + 63) / 64 * 64); }
#endif

typedef void (*TILED(block))(T const*, int64_t, int64_t, T const*, int64_t, int64_t, T const*, int64_t, T*,
                             int64_t);
typedef struct {
    int64_t lanes;
    struct {
        int64_t rows;
        TILED(block) run;
    } blocks[2][3]; /* of one vector, of two; from the highest on, the last has one row */
} TILED(set);

#define LEVEL "blocks.h"
#include "each_level.h"

#ifdef PB_INTERLEAVED
typedef T TILED(few) __attribute__((vector_size(16)));
#if KIND == FLOAT32
typedef int32_t TILED(places) __attribute__((vector_size(16)));
#define PB_LOW(a, b) PB_INTERLEAVED(TILED(places), a, b, 0, 4, 1, 5)
#define PB_HIGH(a, b) PB_INTERLEAVED(TILED(places), a, b, 2, 6, 3, 7)
#else
typedef int64_t TILED(places) __attribute__((vector_size(16)));
#define PB_LOW(a, b) PB_INTERLEAVED(TILED(places), a, b, 0, 2)
#define PB_HIGH(a, b) PB_INTERLEAVED(TILED(places), a, b, 1, 3)
#endif
#define PB_FEW (16 / (int)sizeof(T))
#endif

/* to[k][i] = x[k, i] for `count` rows k, of `some` numbers and zeros up to `wide`. */
static void TILED(lay)(T const* x, int64_t by_k, int64_t by_i, int64_t count, int64_t some, int64_t wide,
                       T* to) {
    int64_t k = 0;
    if (by_i == 1) {
        for (; k < count; k++, x += by_k, to += wide) {
            memcpy(to, x, some * sizeof(T));
            memset(to + some, 0, (wide - some) * sizeof(T));
        }
        return;
    }
#ifdef PB_INTERLEAVED
    if (by_k == 1 && some == wide && wide % PB_FEW == 0)
        for (; k + PB_FEW <= count; k += PB_FEW, x += PB_FEW, to += PB_FEW * wide)
            for (int64_t i = 0; i < wide; i += PB_FEW) {
                TILED(few) r[PB_FEW], s[PB_FEW];
                PB_UNROLL for (int j = 0; j < PB_FEW; j++) memcpy(&r[j], x + (i + j) * by_i, sizeof *r);
                PB_UNROLL for (int n = 1; n < PB_FEW; n *= 2) {
                    PB_UNROLL for (int j = 0; j < PB_FEW / 2; j++) {
                        s[2 * j] = PB_LOW(r[j], r[j + PB_FEW / 2]);
                        s[2 * j + 1] = PB_HIGH(r[j], r[j + PB_FEW / 2]);
                    }
                    memcpy(r, s, sizeof r);
                }
                PB_UNROLL for (int j = 0; j < PB_FEW; j++) memcpy(to + j * wide + i, &r[j], sizeof *r);
            }
#endif
    for (; k < count; k++, x += by_k, to += wide)
        for (int64_t i = 0; i < wide; i++) to[i] = i < some ? x[i * by_i] : 0;
}

/* Blocks below each other, of m rows and of `some` columns of a strip. */
static void TILED(strip)(TILED(set) const* set, int vecs, T const* a, int64_t am, int64_t ak,
                         int64_t laid, T const* b, int64_t bk, int64_t count, T const* start,
                         int64_t of_start, T* out, int64_t pitch, int64_t m, int64_t some) {
    T tile[MOST_ROWS * WIDEST] = {0};
    int64_t i = 0;
    for (int h = 0; h < 3; h++) {
        int64_t const rows = set->blocks[vecs - 1][h].rows, highest = set->blocks[0][0].rows;
        TILED(block) const run = set->blocks[vecs - 1][h].run;
        for (; i + rows <= m; i += rows) {
            T const* from = laid ? a + i / highest * highest * count + i % highest : a + i * am;
            T const* first = start ? start + i * of_start : NULL;
            T* to = out + i * pitch;
            if (some == vecs * set->lanes) {
                run(from, am, ak, b, bk, count, first, of_start, to, pitch);
                continue;
            }
            for (int64_t r = 0; r < rows && first; r++)
                memcpy(tile + r * WIDEST, first + r * of_start, some * sizeof(T));
            run(from, am, ak, b, bk, count, first ? tile : NULL, WIDEST, tile, WIDEST);
            for (int64_t r = 0; r < rows; r++) memcpy(to + r * pitch, tile + r * WIDEST, some * sizeof(T));
        }
    }
}

/* data: a, b, start, c */
static int TILED(multiply)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_multiplying const* p = (pb_multiplying const*)geometry;
    TILED(set) const* set = TILED(best)();
    int64_t const highest = set->blocks[0][0].rows, most = p->k < OF_SUM ? p->k : OF_SUM;
    int64_t const down = (p->m + p->high - 1) / p->high, across = (p->n + p->wide - 1) / p->wide;
    T *const strip = (T*)pb_at_line(scratch), *const rows = strip + most * WIDEST;
    for (int64_t part = begin; part < end; part++) {
        int64_t const i = part / across % down * p->high, left = part % across * p->wide;
        int64_t const m = p->m - i < p->high ? p->m - i : p->high;
        int64_t const right = p->n - left < p->wide ? p->n : left + p->wide;
        char* at[4] = {data[0], data[1], data[2], data[3]};
        pb_seek((int64_t const*)(p + 1), p->dims, 4, part / across / down, at);
        for (int64_t k = 0; k < p->k; k += OF_SUM) {
            int64_t const count = p->k - k < OF_SUM ? p->k - k : OF_SUM;
            T const* a = (T const*)at[0] + i * p->am + k * p->ak;
            for (int64_t r = 0; p->lay_rows && r < m; r += highest)
                TILED(lay)(a + r * p->am, p->ak, p->am, count, m - r < highest ? m - r : highest, highest,
                           rows + r * count);
            for (int64_t j = left; j < right; j += 2 * set->lanes) {
                int const vecs = right - j > set->lanes ? 2 : 1;
                int64_t const width = vecs * set->lanes, some = right - j < width ? right - j : width;
                T* out = (T*)at[3] + i * p->cm + j;
                T const* start = k ? out : p->started ? (T const*)at[2] + i * p->sm + j : NULL;
                T const* b = (T const*)at[1] + k * p->bk + j * p->bn;
                int64_t const in_place = p->bn == 1 && some == width && m <= FEW_ROWS;
                if (!in_place) TILED(lay)(b, p->bk, p->bn, count, some, width, strip);
                TILED(strip)(set, vecs, p->lay_rows ? rows : a, p->lay_rows ? 1 : p->am,
                             p->lay_rows ? highest : p->ak, p->lay_rows, in_place ? b : strip,
                             in_place ? p->bk : width, count, start, k ? p->cm : p->sm, out, p->cm, m, some);
            }
        }
    }
    return 0;
}

#undef PB_LOW
#undef PB_HIGH
#undef PB_FEW
#include "levels_end.h"
