/* Attention by tiles of scores that stay in the cache, forward and backward: included once for float and
   double.

   The scores of 32 queries are computed some keys at a time, a row for each key, so that the softmax goes
   over rows of 32 numbers side by side. The largest score so far and the sum of exponentials are kept for
   each query; when a larger one comes, what was summed is scaled down. Backward makes the weights again from
   `lse`, the logarithm of the sum. Products are those of tiles.h; keys, values and queries are laid out for
   them first. */

#include "tile_sets.h"

#ifndef PB_ATTEND_H
#define PB_ATTEND_H
#define QUERIES 32
#define KEYS 120 /* scores of a query at a time: a multiple of the rows of tiles */

typedef struct {
    int64_t rows, columns, depth, width;    /* queries, keys, numbers of each, numbers of a value */
    /* mask: 0 none, 1 to be added, 2 bool; queries of a part; a double */
    int64_t causal, mask, chunk, scale;
    /* steps by rows and by columns, in bytes; g: the gradient of the result */
    int64_t q[2], k[2], v[2], m[2], g[2];
    /* then the size of each leading dim and its steps in q, k, v, mask, g */
    int64_t dims;
} pb_attending;

PB_INLINE int64_t pb_rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
#endif

/* Rows as blocks of `block` of them, in which the numbers with the same place stand side by side; zeros fill
   up. */
static PB_CLONES void TILED(lay_out)(char const* x, int64_t const* step, int64_t n, int64_t m,
                                     int64_t block, T scale,
                                     T* to) {
    for (int64_t first = 0; first < n; first += block, to += block * m) {
        int64_t const some = n - first < block ? n - first : block;
        char const* from = x + first * step[0];
        if (step[0] == sizeof(T))
            for (int64_t j = 0; j < m; j++)
                for (int64_t i = 0; i < some; i++)
                    to[j * block + i] = scale * ((T const*)(from + j * step[1]))[i];
        else if (step[1] == sizeof(T))
            for (int64_t i = 0; i < some; i++)
                for (int64_t j = 0; j < m; j++)
                    to[j * block + i] = scale * ((T const*)(from + i * step[0]))[j];
        else
            for (int64_t i = 0; i < some; i++)
                for (int64_t j = 0; j < m; j++)
                    to[j * block + i] = scale * *(T const*)(from + i * step[0] + j * step[1]);
        for (int64_t j = 0; some < block && j < m; j++)
            for (int64_t i = some; i < block; i++) to[j * block + i] = 0;
    }
}

/* Rows of 32 sums: out[i] = sum over k of w[k][i] b[k], for n rows i. Blocks of w are `length` long. */
static void TILED(rows_of_sums)(T const* w, int64_t length, T const* b, int64_t count, int64_t n, T* out,
                                int more) {
    TILED(set) const* set = TILED(best)();
    int64_t const rows = set->tiles[0].rows, strips = QUERIES / set->tiles[0].width;
    int64_t off[KEYS];
    for (int64_t k = 0; k < count || k == 0; k += KEYS) {
        int64_t const some = count - k < KEYS ? count - k : KEYS;
        for (int64_t i = 0; i < some; i++) off[i] = (k + i) * QUERIES;
        for (int64_t i = 0; i < n; i += rows)
            set->tiles[0].run(w + i * length + k * rows, b, off, some, out + i * QUERIES, QUERIES, strips,
                              more || k > 0);
    }
}

static PB_CLONES void TILED(hide_some)(T* PB_RESTRICT s, uint8_t const* PB_RESTRICT shown, int64_t count) {
    for (int64_t i = 0; i < count; i++) s[i] = shown[i] ? s[i] : (T)-INFINITY;
}

static PB_CLONES void TILED(add_mask)(T* PB_RESTRICT s, T const* PB_RESTRICT mask, int64_t count) {
    for (int64_t i = 0; i < count; i++) s[i] += mask[i];
}

/* The scores of keys [first, first + n) for some queries from `row` on, masked. */
static void TILED(scores)(pb_attending const* a, T const* keys, T const* queries, char const* mask,
                          int64_t row,
                          int64_t some, int64_t first, int64_t n, T* s) {
    TILED(rows_of_sums)(keys + first * a->depth, a->depth, queries, a->depth, n, s, 0);
    if (a->mask == 1) {
        T added[KEYS * QUERIES] = {0};
        for (int64_t q = 0; q < some; q++)
            for (int64_t k = 0; k < n; k++)
                added[k * QUERIES + q] = *(T const*)(mask + (row + q) * a->m[0] + (first + k) * a->m[1]);
        TILED(add_mask)(s, added, n * QUERIES);
    } else if (a->mask == 2) {
        uint8_t shown[KEYS * QUERIES] = {0};
        for (int64_t q = 0; q < some; q++)
            for (int64_t k = 0; k < n; k++)
                shown[k * QUERIES + q] =
                    *(uint8_t const*)(mask + (row + q) * a->m[0] + (first + k) * a->m[1]);
        TILED(hide_some)(s, shown, n * QUERIES);
    }
    for (int64_t k = row > first ? row - first : 0; a->causal && k < n; k++)
        for (int64_t q = 0; q < QUERIES && row + q < first + k; q++) s[k * QUERIES + q] = -INFINITY;
}

/* Scores become exponentials; the largest ones, the sums, and by how much those from before are scaled. */
static PB_CLONES void TILED(soften)(T* PB_RESTRICT s, int64_t n, T* PB_RESTRICT top, T* PB_RESTRICT sum,
                                    T* PB_RESTRICT factor) {
    T most[QUERIES], part[QUERIES] = {0};
    int64_t k, l;
    memcpy(most, top, sizeof most);
    for (k = 0; k < n; k++)
        for (l = 0; l < QUERIES; l++) {
            T const x = s[k * QUERIES + l];
            most[l] = x > most[l] ? x : x != x ? x : most[l];
        }
    for (l = 0; l < QUERIES; l++) factor[l] = EXP_OF(top[l] - most[l]);
    for (k = 0; k < n; k++)
        for (l = 0; l < QUERIES; l++) {
            T const x = EXP_OF(s[k * QUERIES + l] - most[l]);
            s[k * QUERIES + l] = x;
            part[l] += x;
        }
    for (l = 0; l < QUERIES; l++) sum[l] = sum[l] * factor[l] + part[l];
    memcpy(top, most, sizeof most);
}

static PB_CLONES void TILED(scale_rows)(T* PB_RESTRICT x, int64_t n, T const* PB_RESTRICT factor) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < QUERIES; l++) x[i * QUERIES + l] *= factor[l];
}

/* Where a head's matrices begin: of q, k, v, mask, g. */
PB_INLINE void TILED(head)(pb_attending const* a, int64_t head, char** at) {
    pb_seek((int64_t const*)(a + 1), a->dims, 5, head, at);
}

PB_INLINE T TILED(scale_of)(pb_attending const* a) {
    double scale;
    memcpy(&scale, &a->scale, sizeof scale);
    return (T)scale;
}

/* Keys and values of a head, which is a part, as tiles read them. data: query, key, value, mask; both laid
   out */
static int TILED(keys_and_values)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                                  char* scratch) {
    pb_attending const* a = (pb_attending const*)geometry;
    int64_t const rows = TILED(best)()->tiles[0].rows, turned[2] = {a->v[1], a->v[0]};
    (void)scratch;
    for (int64_t head = begin; head < end; head++) {
        char* at[5] = {data[0], data[1], data[2], data[3], 0};
        TILED(head)(a, head, at);
        TILED(lay_out)(at[1], a->k, a->columns, a->depth, rows, 1,
                       (T*)data[4] + head * pb_rounded(a->columns, rows) * a->depth);
        TILED(lay_out)(at[2], turned, a->width, a->columns, rows, 1,
                       (T*)data[5] + head * pb_rounded(a->width, rows) * a->columns);
    }
    return 0;
}

/* The result and `lse`. A part is a chunk of a head's queries. data: query, key, value, mask, keys and values
   laid out, result, lse */
static int TILED(attend)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_attending const* a = (pb_attending const*)geometry;
    int64_t const rows = TILED(best)()->tiles[0].rows, chunks = (a->rows + a->chunk - 1) / a->chunk;
    T *const queries = (T*)scratch, *const s = queries + a->depth * QUERIES,
        *const sums = s + (KEYS + rows) * QUERIES;
    for (int64_t part = begin; part < end; part++) {
        int64_t const head = part / chunks, from = part % chunks * a->chunk;
        int64_t const to = from + a->chunk < a->rows ? from + a->chunk : a->rows;
        T const* keys = (T const*)data[4] + head * pb_rounded(a->columns, rows) * a->depth;
        T const* values = (T const*)data[5] + head * pb_rounded(a->width, rows) * a->columns;
        char* at[5] = {data[0], data[1], data[2], data[3], 0};
        TILED(head)(a, head, at);
        for (int64_t row = from; row < to; row += QUERIES) {
            int64_t const some = to - row < QUERIES ? to - row : QUERIES;
            int64_t const seen = a->causal && row + some < a->columns ? row + some : a->columns;
            T top[QUERIES], sum[QUERIES] = {0}, factor[QUERIES];
            for (int64_t l = 0; l < QUERIES; l++) top[l] = -LARGEST;
            TILED(lay_out)(at[0] + row * a->q[0], a->q, some, a->depth, QUERIES, TILED(scale_of)(a), queries);
            for (int64_t first = 0; first < seen; first += KEYS) {
                int64_t const n = seen - first < KEYS ? seen - first : KEYS;
                TILED(scores)(a, keys, queries, at[3], row, some, first, n, s);
                TILED(soften)(s, n, top, sum, factor);
                if (first) TILED(scale_rows)(sums, a->width, factor);
                TILED(rows_of_sums)(values + first * rows, a->columns, s, n, a->width, sums, first > 0);
            }
            for (int64_t q = 0; q < some; q++) {
                int64_t const place = head * a->rows + row + q;
                T* result = (T*)data[6] + place * a->width;
                T const total = sum[q] > SMALLEST || sum[q] != sum[q] ? sum[q] : SMALLEST;
                for (int64_t v = 0; v < a->width; v++) result[v] = sums[v * QUERIES + q] / total;
                ((T*)data[7])[place] = (T)log(sum[q]) + top[q];
            }
        }
    }
    return 0;
}

/* Scores become weights, and their gradients those of the scores; up to a whole tile there are zeros. */
static PB_CLONES void TILED(weigh)(T* PB_RESTRICT s, T* PB_RESTRICT d, int64_t n, int64_t whole,
                                   T const* PB_RESTRICT lse, T const* PB_RESTRICT inner) {
    for (int64_t k = 0; k < n; k++)
        for (int64_t l = 0; l < QUERIES; l++) {
            T const w = EXP_OF(s[k * QUERIES + l] - lse[l]);
            s[k * QUERIES + l] = w;
            d[k * QUERIES + l] = w * (d[k * QUERIES + l] - inner[l]);
        }
    memset(s + n * QUERIES, 0, (whole - n) * QUERIES * sizeof(T));
    memset(d + n * QUERIES, 0, (whole - n) * QUERIES * sizeof(T));
}

/* out[k] += sum over queries of x[k] y, for n keys in blocks of rows; y is in blocks as wide as two
   vectors. */
static void TILED(add_products)(T const* x, T const* y, int64_t n, int64_t wide, int64_t some, T* out) {
    TILED(set) const* set = TILED(best)();
    int64_t const rows = set->rows[0], width = 2 * set->lanes;
    int64_t off[16], at[QUERIES];
    for (int64_t i = 0; i < rows; i++) off[i] = i * QUERIES;
    for (int64_t q = 0; q < some; q++) at[q] = q;
    for (int64_t k = 0; k < n; k += rows)
        for (int64_t j = 0; j < wide; j += width)
            set->sums[1][0](x + k * QUERIES, off, y + j * some, at, some, out + k * wide + j * rows);
}

/* Blocks of sums as a matrix (n, m). */
static void TILED(unblock)(T const* sums, int64_t n, int64_t m, int64_t rows, int64_t wide, int64_t width,
                           T* to) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j += width) {
            int64_t const some = m - j < width ? m - j : width;
            memcpy(to + i * m + j, sums + i / rows * rows * wide + j * rows + i % rows * width,
                   some * sizeof(T));
        }
}

/* The gradients of query, key and value. A part is a head. data: query, key, value, mask, the gradient of the
   result, result, lse, the three gradients */
static int TILED(attend_back)(int64_t const* geometry, char** data, int64_t begin, int64_t end,
                              char* scratch) {
    pb_attending const* a = (pb_attending const*)geometry;
    TILED(set) const* set = TILED(best)();
    int64_t const rows = set->tiles[0].rows, width = 2 * set->lanes, columns = pb_rounded(a->columns, rows);
    int64_t const deep = pb_rounded(a->depth, width), wide = pb_rounded(a->width, width);
    int64_t const k_turned[2] = {a->k[1], a->k[0]}, q_turned[2] = {a->q[1], a->q[0]};
    int64_t const g_turned[2] = {a->g[1], a->g[0]};
    T const scale = TILED(scale_of)(a);
    T *const keys = (T*)scratch, *const values = keys + columns * a->depth,
        *const by_depth = values + columns * a->width;
    T *const dk = by_depth + pb_rounded(a->depth, rows) * a->columns, *const dv = dk + columns * deep;
    T *const q_rows = dv + columns * wide, *const q_columns = q_rows + a->depth * QUERIES;
    T *const g_rows = q_columns + deep * QUERIES, *const g_columns = g_rows + a->width * QUERIES;
    T *const s = g_columns + wide * QUERIES, *const d = s + (KEYS + rows) * QUERIES;
    T *const dq = d + (KEYS + rows) * QUERIES;
    for (int64_t head = begin; head < end; head++) {
        char* at[5] = {data[0], data[1], data[2], data[3], data[4]};
        TILED(head)(a, head, at);
        TILED(lay_out)(at[1], a->k, a->columns, a->depth, rows, 1, keys);
        TILED(lay_out)(at[2], a->v, a->columns, a->width, rows, 1, values);
        TILED(lay_out)(at[1], k_turned, a->depth, a->columns, rows, 1, by_depth);
        memset(dk, 0, columns * (deep + wide) * sizeof(T));
        for (int64_t row = 0; row < a->rows; row += QUERIES) {
            int64_t const some = a->rows - row < QUERIES ? a->rows - row : QUERIES,
                place = head * a->rows + row;
            int64_t const seen = a->causal && row + some < a->columns ? row + some : a->columns;
            T lse[QUERIES] = {0}, inner[QUERIES] = {0};
            TILED(lay_out)(at[0] + row * a->q[0], a->q, some, a->depth, QUERIES, scale, q_rows);
            TILED(lay_out)(at[0] + row * a->q[0], q_turned, a->depth, some, width, scale, q_columns);
            TILED(lay_out)(at[4] + row * a->g[0], a->g, some, a->width, QUERIES, 1, g_rows);
            TILED(lay_out)(at[4] + row * a->g[0], g_turned, a->width, some, width, 1, g_columns);
            for (int64_t q = 0; q < some; q++) {
                T const given = ((T const*)data[6])[place + q],
                    *result = (T const*)data[5] + (place + q) * a->width;
                lse[q] = given < -LARGEST ? -LARGEST : given;
                for (int64_t v = 0; v < a->width; v++) inner[q] += result[v] * g_rows[v * QUERIES + q];
            }
            for (int64_t first = 0; first < seen; first += KEYS) {
                int64_t const n = seen - first < KEYS ? seen - first : KEYS;
                TILED(scores)(a, keys, q_rows, at[3], row, some, first, n, s);
                TILED(rows_of_sums)(values + first * a->width, a->width, g_rows, a->width, n, d, 0);
                TILED(weigh)(s, d, n, pb_rounded(n, rows), lse, inner);
                TILED(rows_of_sums)(by_depth + first * rows, a->columns, d, n, a->depth, dq, first > 0);
                TILED(add_products)(s, g_columns, n, wide, some, dv + first * wide);
                TILED(add_products)(d, q_columns, n, deep, some, dk + first * deep);
            }
            for (int64_t q = 0; q < some; q++)
                for (int64_t e = 0; e < a->depth; e++)
                    ((T*)data[7])[(place + q) * a->depth + e] = scale * dq[e * QUERIES + q];
        }
        TILED(unblock)(dk, a->columns, a->depth, rows, deep, width,
                       (T*)data[8] + head * a->columns * a->depth);
        TILED(unblock)(dv, a->columns, a->width, rows, wide, width,
                       (T*)data[9] + head * a->columns * a->width);
    }
    return 0;
}

#include "levels_end.h"
