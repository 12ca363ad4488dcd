/* Reductions of segments, runs of neighbouring rows, and their gradients: included once for float and double.

   Data are lines of `count` rows of `inner` elements. Each line has `segments`, whose bounds follow from its
   marks: the lengths of all, or the first row of each and the one behind the last. All is contiguous, and
   one part. */

#include "kinds.h"

#define PB_JOIN2(a, b) pb_##a##_##b
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define F(name) PB_JOIN(name, TYPE)

#ifndef PB_SEGMENTS_H
#define PB_SEGMENTS_H
enum { SUM, MEAN, MAX, MIN, PROD };
enum { NEGATIVE_LENGTH = 1, WRONG_SUM, NEGATIVE_SEGMENT, OUTSIDE };

typedef struct {
    int64_t lines, count, inner, segments, how, offsets, wide, checked, started;
    double initial;
} pb_segments;

PB_INLINE int64_t pb_mark(pb_segments const* g, char const* marks, int64_t i) {
    return g->wide == 8 ? ((int64_t const*)marks)[i] : ((int32_t const*)marks)[i];
}

/* Whether the marks are in order: a status */
static int pb_check_marks(pb_segments const* g, char const* marks) {
    int64_t const n = g->segments + g->offsets;
    for (int64_t i = 0; i < g->lines * n; i++) {
        int64_t const mark = pb_mark(g, marks, i);
        if (g->offsets) {
            if (mark < 0 || mark > g->count) return OUTSIDE;
            if (i % n && mark < pb_mark(g, marks, i - 1)) return NEGATIVE_SEGMENT;
        } else if (mark < 0)
            return g->checked ? NEGATIVE_LENGTH : NEGATIVE_SEGMENT;
    }
    for (int64_t line = 0; !g->offsets && line < g->lines; line++) {
        int64_t left = g->count; /* sums of large lengths may overflow */
        for (int64_t i = 0; i < n; i++) {
            int64_t const mark = pb_mark(g, marks, line * n + i);
            if (mark > left) return g->checked ? WRONG_SUM : OUTSIDE;
            left -= mark;
        }
        if (left && g->checked) return WRONG_SUM;
    }
    return 0;
}

/* The next segment of a line: where it begins and ends */
PB_INLINE void pb_next_segment(pb_segments const* g, char const* marks, int64_t line, int64_t s,
                               int64_t* first, int64_t* behind) {
    if (g->offsets) {
        *first = pb_mark(g, marks, line * (g->segments + 1) + s);
        *behind = pb_mark(g, marks, line * (g->segments + 1) + s + 1);
    } else {
        *first = s ? *behind : 0;
        *behind = *first + pb_mark(g, marks, line * g->segments + s);
    }
}
#endif

static PB_CLONES void F(fold_rows)(T const* x, T* PB_RESTRICT y, int64_t rows, int64_t n, int64_t how) {
    for (int64_t r = 0; r < rows; r++, x += n)
        if (how == MAX)
            for (int64_t j = 0; j < n; j++) y[j] = LARGER(y[j], x[j]);
        else if (how == MIN)
            for (int64_t j = 0; j < n; j++) y[j] = SMALLER(y[j], x[j]);
        else if (how == PROD)
            for (int64_t j = 0; j < n; j++) y[j] *= x[j];
        else
            for (int64_t j = 0; j < n; j++) y[j] += x[j];
}

/* data: rows, marks, result */
static int F(segment_reduce)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                             char* scratch) {
    pb_segments const* g = (pb_segments const*)geometry;
    int64_t const n = g->inner;
    int const status = pb_check_marks(g, data[1]);
    T const none = g->how == MAX ? (T)-INFINITY : g->how == MIN ? (T)INFINITY : g->how == PROD ? 1 : 0;
    T* y = (T*)data[2];
    (void)begin, (void)end, (void)scratch;
    if (status) return status;
    for (int64_t line = 0; line < g->lines; line++) {
        T const* x = (T const*)data[0] + line * g->count * n;
        int64_t first = 0, behind = 0;
        for (int64_t s = 0; s < g->segments; s++, y += n) {
            pb_next_segment(g, data[1], line, s, &first, &behind);
            for (int64_t j = 0; j < n; j++) y[j] = g->started ? (T)g->initial : none;
            F(fold_rows)(x + first * n, y, behind - first, n, g->how);
            if (g->how == MEAN && !(g->started && behind == first))
                for (int64_t j = 0; j < n; j++) y[j] /= (T)(behind - first);
        }
    }
    return 0;
}

/* The gradient of the rows of one segment from that of its result; `counts` is memory for a row */
static PB_CLONES void F(spread_rows)(T const* x, T const* y, T const* g, T* out, int64_t rows, int64_t n,
                                     int64_t how, T scale, T* PB_RESTRICT counts) {
    if (how == SUM || how == MEAN) {
        T const size = how == MEAN ? (T)rows : 1;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < n; j++) out[r * n + j] = g[j] / size;
        return;
    }
    if (how == PROD) {
        for (int64_t j = 0; j < n; j++) counts[j] = 1;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < n; j++) {
                out[r * n + j] = counts[j];
                counts[j] *= x[r * n + j];
            }
        for (int64_t j = 0; j < n; j++) counts[j] = 1;
        for (int64_t r = rows - 1; r >= 0; r--)
            for (int64_t j = 0; j < n; j++) {
                out[r * n + j] = g[j] * (out[r * n + j] * counts[j]) * scale;
                counts[j] *= x[r * n + j];
            }
        return;
    }
    for (int64_t j = 0; j < n; j++) counts[j] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            T const a = x[r * n + j], b = y[j];
            counts[j] += (a == b) | ((a != a) & (b != b));
        }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < n; j++) {
            T const a = x[r * n + j], b = y[j];
            out[r * n + j] = (a == b) | ((a != a) & (b != b)) ? g[j] / counts[j] : 0;
        }
}

/* data: the result's gradient, rows, marks, result, the rows' gradient; scratch: a row */
static int F(segment_slope)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_segments const* g = (pb_segments const*)geometry;
    int64_t const n = g->inner;
    int const status = pb_check_marks(g, data[2]);
    T const *to = (T const*)data[0], *y = (T const*)data[3], scale = g->started ? (T)g->initial : 1;
    (void)begin, (void)end;
    if (status) return status;
    memset(data[4], 0, g->lines * g->count * n * sizeof(T));
    for (int64_t line = 0; line < g->lines; line++) {
        T const* x = (T const*)data[1] + line * g->count * n;
        T* out = (T*)data[4] + line * g->count * n;
        int64_t first = 0, behind = 0;
        for (int64_t s = 0; s < g->segments; s++, to += n, y += n) {
            pb_next_segment(g, data[2], line, s, &first, &behind);
            F(spread_rows)(x + first * n, y, to, out + first * n, behind - first, n, g->how, scale,
                (T*)scratch);
        }
    }
    return 0;
}

#undef F
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
