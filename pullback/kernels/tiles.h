/* Sums of products that stay in registers: included once for each number type and kind of processor, see
   level.h. The products are fused with the sums where the processor can: every order of parts gives the same
   bits. */

/* out[i][j] = sum over k of w[k][i] b[off[k] + j], for `strips` strips of places j, as wide as `vecs`
   vectors; with `more` what is there is part of the sum. */
#define TILE(rows, vecs)                                                                                     \
    TARGET static void NAME(tile_##rows)(T const* of_w, T const* b, int64_t const* off, int64_t count,       \
                                         T* out, int64_t pitch, int64_t strips, int more) {                  \
        PB_FUSED                                                                                             \
        for (int64_t s = 0; s < strips; s++, b += vecs * LANES, out += vecs * LANES) {                       \
            V sums[rows][vecs];                                                                              \
            T const* w = of_w;                                                                               \
            PB_UNROLL for (int i = 0; i < rows; i++)                                                         \
                PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] = (V){0};                                \
            if (more)                                                                                        \
                PB_UNROLL for (int i = 0; i < rows; i++)                                                     \
                    PB_UNROLL for (int v = 0; v < vecs; v++) \
                        sums[i][v] = *(V*)(out + i * pitch + v * LANES); \
            for (int64_t k = 0; k < count; k++, w += rows) {                                                 \
                V x[vecs];                                                                                   \
                PB_UNROLL for (int v = 0; v < vecs; v++) x[v] = *(V const*)(b + off[k] + v * LANES);         \
                PB_UNROLL for (int i = 0; i < rows; i++)                                                     \
                    PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] += x[v] * w[i];                      \
            }                                                                                                \
            PB_UNROLL for (int i = 0; i < rows; i++)                                                         \
                PB_UNROLL for (int v = 0; v < vecs; v++) *(V*)(out + i * pitch + v * LANES) = sums[i][v];    \
        }                                                                                                    \
    }

/* A strip of two vectors of each of `count` rows, one after another. */
TARGET static void NAME(copy)(T const* b, int64_t const* off, int64_t count, T* PB_RESTRICT to) {
    for (int64_t k = 0; k < count; k++, to += 2 * LANES) {
        *(V*)to = *(V const*)(b + off[k]);
        *(V*)(to + LANES) = *(V const*)(b + off[k] + LANES);
    }
}

/* sums[i][j] += sum over p of x[at[p] + off[i]] g[p][j], for as many j as `vecs` vectors hold. */
#define SUMS(rows, vecs)                                                                                     \
    TARGET static void NAME(sums_##rows##_##vecs)(T const* x, int64_t const* off, T const* g,                \
                                                  int64_t const* at, int64_t count, T* out) {                \
        PB_FUSED                                                                                             \
        V sums[rows][vecs];                                                                                  \
        PB_UNROLL for (int i = 0; i < rows; i++)                                                             \
            PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] = *(V const*)(out + (i * vecs + v) * LANES); \
        for (int64_t p = 0; p < count; p++, g += vecs * LANES) {                                             \
            T const* from = x + at[p];                                                                       \
            V y[vecs];                                                                                       \
            PB_UNROLL for (int v = 0; v < vecs; v++) y[v] = *(V const*)(g + v * LANES);                      \
            PB_UNROLL for (int i = 0; i < rows; i++)                                                         \
                PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] += y[v] * from[off[i]];                  \
        }                                                                                                    \
        PB_UNROLL for (int i = 0; i < rows; i++)                                                             \
            PB_UNROLL for (int v = 0; v < vecs; v++) *(V*)(out + (i * vecs + v) * LANES) = sums[i][v];       \
    }

#define OF(rows, vecs) {rows, (vecs) * LANES, NAME(tile_##rows)}

#if BYTES == 64 /* of 32 registers, 24 sums, a strip and a number */
TILE(12, 2) TILE(8, 2) TILE(4, 4) TILE(2, 8) TILE(1, 8)
SUMS(12, 2) SUMS(4, 2) SUMS(1, 2) SUMS(12, 1) SUMS(4, 1) SUMS(1, 1)
static TILED(set) const NAME(built) = {
    LANES, NAME(copy), {OF(12, 2), OF(8, 2), OF(4, 4), OF(2, 8), OF(1, 8)},
    {12, 4, 1}, {{NAME(sums_12_1), NAME(sums_4_1), NAME(sums_1_1)},
                 {NAME(sums_12_2), NAME(sums_4_2), NAME(sums_1_2)}}};
#else /* of 16 */
TILE(6, 2) TILE(4, 2) TILE(3, 2) TILE(2, 4) TILE(1, 8)
SUMS(6, 2) SUMS(2, 2) SUMS(1, 2) SUMS(6, 1) SUMS(2, 1) SUMS(1, 1)
static TILED(set) const NAME(built) = {
    LANES, NAME(copy), {OF(6, 2), OF(4, 2), OF(3, 2), OF(2, 4), OF(1, 8)},
    {6, 2, 1}, {{NAME(sums_6_1), NAME(sums_2_1), NAME(sums_1_1)},
                {NAME(sums_6_2), NAME(sums_2_2), NAME(sums_1_2)}}};
#endif

#undef TILE
#undef SUMS
#undef OF
