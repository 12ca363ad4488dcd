/* Sums, means and maxima of bags of rows: included once for float and double.

   A bag is a run of neighbours among the indices: `every` of them, or (where that is negative) from its
   offset to the next one, or to the end. Indices equal to `padding` count for nothing. data: rows,
   factors of the indices, indices, offsets; results: (bags, width), how many rows each bag has, and of
   maxima which rows they are, -1 in an empty bag. All is contiguous, and one part. */

#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define F(name) PB_JOIN(name, TYPE)

#ifndef PB_BAGS_H
#define PB_BAGS_H
enum { BAG_SUM, BAG_MEAN, BAG_MAX };
enum { WRONG_INDEX = 1, WRONG_OFFSET };

typedef struct {
    int64_t rows, width, bags, count, every, offsets, mode, padding, factors, wide, wide_offsets;
} pb_bags;

PB_INLINE int64_t pb_number(char const* numbers, int64_t wide, int64_t i) {
    return wide == 8 ? ((int64_t const*)numbers)[i] : ((int32_t const*)numbers)[i];
}

/* Where a bag begins; the bag after the last one begins where that ends */
PB_INLINE int64_t pb_bag_at(pb_bags const* g, char const* offsets, int64_t bag) {
    if (g->every >= 0) return bag * g->every;
    return bag < g->offsets ? pb_number(offsets, g->wide_offsets, bag) : g->count;
}
#endif

/* y = the sum of n rows times their factors, which `factor` may lack, four at a time */
static PB_CLONES void F(sum_rows)(T const* x, int64_t const* at, T const* factor, int64_t n, T* PB_RESTRICT y,
                                  int64_t width) {
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        T const *a = x + at[i] * width, *b = x + at[i + 1] * width, *c = x + at[i + 2] * width;
        T const* d = x + at[i + 3] * width;
        if (factor) {
            T const p = factor[i], q = factor[i + 1], r = factor[i + 2], s = factor[i + 3];
            for (int64_t j = 0; j < width; j++) y[j] += (p * a[j] + q * b[j]) + (r * c[j] + s * d[j]);
        } else
            for (int64_t j = 0; j < width; j++) y[j] += (a[j] + b[j]) + (c[j] + d[j]);
    }
    for (; i < n; i++) {
        T const *a = x + at[i] * width, p = factor ? factor[i] : 1;
        for (int64_t j = 0; j < width; j++) y[j] += p * a[j];
    }
}

/* NaN is larger than all; of equal rows the first stays */
static PB_CLONES void F(largest_rows)(T const* x, int64_t const* at, int64_t n, T* PB_RESTRICT y,
                                      int64_t* PB_RESTRICT where, int64_t width) {
    for (int64_t i = 0; i < n; i++) {
        T const* a = x + at[i] * width;
        for (int64_t j = 0; j < width; j++)
            if (where[j] < 0 || a[j] > y[j] || (IS_NAN(a[j]) && !IS_NAN(y[j]))) {
                y[j] = a[j];
                where[j] = at[i];
            }
    }
}

static int F(bags)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_bags const* g = (pb_bags const*)geometry;
    int64_t const width = g->width;
    T *y = (T*)data[4], factor[64];
    int64_t *size = (int64_t*)data[5], *where = (int64_t*)data[6], at[64];
    (void)begin, (void)end, (void)scratch;
    for (int64_t bag = 0, start = 0; bag < g->offsets; bag++) {
        int64_t const next = pb_bag_at(g, data[3], bag);
        if ((bag == 0 && next) || next < start || next > g->count) return WRONG_OFFSET;
        start = next;
    }
    for (int64_t bag = 0; bag < g->bags; bag++, y += width) {
        int64_t const behind = pb_bag_at(g, data[3], bag + 1);
        int64_t i = pb_bag_at(g, data[3], bag);
        size[bag] = 0;
        for (int64_t j = 0; j < width; j++) y[j] = 0;
        for (int64_t j = 0; g->mode == BAG_MAX && j < width; j++) where[j] = -1;
        while (i < behind) {
            int64_t n = 0;
            for (; i < behind && n < 64; i++) {
                int64_t const row = pb_number(data[2], g->wide, i);
                if ((uint64_t)row >= (uint64_t)g->rows) return WRONG_INDEX;
                if (row == g->padding) continue;
                if (g->factors) factor[n] = ((T const*)data[1])[i];
                at[n++] = row;
            }
            size[bag] += n;
            if (g->mode == BAG_MAX)
                F(largest_rows)((T const*)data[0], at, n, y, where, width);
            else
                F(sum_rows)((T const*)data[0], at, g->factors ? factor : NULL, n, y, width);
        }
        if (g->mode == BAG_MEAN && size[bag])
            for (int64_t j = 0; j < width; j++) y[j] /= (T)size[bag];
        where += g->mode == BAG_MAX ? width : 0;
    }
    return 0;
}

#undef F
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
