/* Rows of attention scores, of which a part is one: their softmax and its slope. Included once for each REAL.

   The geometry: rows of a matrix, columns, whether row i sees but the first i + 1 columns. Rows are
   contiguous. A row that is masked entirely, by scores of -inf, has weights of zero. */

#include "kinds.h"

#define ATTEND(name) PB_JOIN(pb_##name, TYPE)
#define PB_JOIN(a, b) PB_JOIN2(a, b)
#define PB_JOIN2(a, b) a##_##b

PB_INLINE int64_t ATTEND(seen)(int64_t const* geometry, int64_t row) {
    int64_t const at = row % geometry[0] + 1, columns = geometry[1];
    return geometry[2] && at < columns ? at : columns;
}

/* data: scores, which become exponentials; the logarithms of their sums; the sums */
static PB_CLONES int ATTEND(exponentials)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                          char* scratch) {
    int64_t const columns = geometry[1];
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        T* x = (T*)data[0] + row * columns;
        int64_t const seen = ATTEND(seen)(geometry, row);
        T top = -LARGEST, lanes[16] = {0}, sum = 0;
        int64_t j, l;
        for (j = 0; j < seen; j++) top = x[j] > top || x[j] != x[j] ? x[j] : top;
        for (j = 0; j < seen; j++) x[j] = EXP_OF(x[j] - top);
        for (j = 0; j + 16 <= seen; j += 16)
            for (l = 0; l < 16; l++) lanes[l] += x[j + l];
        for (l = 0; j < seen; j++, l++) lanes[l] += x[j];
        for (l = 0; l < 16; l++) sum += lanes[l];
        for (j = seen; j < columns; j++) x[j] = 0;
        ((T*)data[1])[row] = (T)log(sum) + top;
        ((T*)data[2])[row] = sum > SMALLEST || sum != sum ? sum : SMALLEST;
    }
    return 0;
}

/* data: scores, which become weights; the logarithms of the sums of their exponentials */
static PB_CLONES int ATTEND(weights)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                     char* scratch) {
    int64_t const columns = geometry[1];
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        T* x = (T*)data[0] + row * columns;
        T const given = ((T*)data[1])[row], lse = given < -LARGEST ? -LARGEST : given;
        int64_t const seen = ATTEND(seen)(geometry, row);
        int64_t j;
        for (j = 0; j < seen; j++) x[j] = EXP_OF(x[j] - lse);
        for (j = seen; j < columns; j++) x[j] = 0;
    }
    return 0;
}

/* data: weights, and their gradients, which become those of the scores */
static PB_CLONES int ATTEND(slopes)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                    char* scratch) {
    int64_t const columns = geometry[1];
    (void)scratch;
    for (int64_t row = begin; row < end; row++) {
        T const* w = (T const*)data[0] + row * columns;
        T* g = (T*)data[1] + row * columns;
        T lanes[16] = {0}, inner = 0;
        int64_t j, l;
        for (j = 0; j + 16 <= columns; j += 16)
            for (l = 0; l < 16; l++) lanes[l] += w[j + l] * g[j + l];
        for (l = 0; j < columns; j++, l++) lanes[l] += w[j] * g[j];
        for (l = 0; l < 16; l++) inner += lanes[l];
        for (j = 0; j < columns; j++) g[j] = w[j] * (g[j] - inner);
    }
    return 0;
}

/* Scores of which a mask says no become -inf. The geometry: dims, {size, step of the mask, step of the
   scores} of each; a part is a run along the last. data: mask, scores */
static int ATTEND(hide)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const outer = geometry[0] - 1, *last = geometry + 1 + 3 * outer;
    (void)scratch;
    for (int64_t part = begin; part < end; part++) {
        char* at[2] = {data[0], data[1]};
        pb_seek(geometry + 1, outer, 2, part, at);
        for (int64_t j = 0; j < last[0]; j++)
            if (!at[0][j * last[1]]) *(T*)(at[1] + j * last[2]) = -INFINITY;
    }
    return 0;
}

#undef ATTEND
#undef PB_JOIN
#undef PB_JOIN2
#include "kinds_end.h"
