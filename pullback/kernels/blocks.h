/* Blocks of a matrix product that stay in registers: included for each number type and kind of processor, see
   level.h. The products are fused with the sums where the processor can. */

/* out[i][j] = start[i][j] + sum over k of a[i, k] b[k, j], for as many j as `vecs` vectors hold. Rows are
   reached by fours from a pointer, so that few registers are enough for the steps of `a`. */
#define BLOCK(rows, vecs)                                                                                    \
    TARGET static void NAME(block_##rows##_##vecs)(T const* a, int64_t am, int64_t ak, T const* b,           \
                                                   int64_t bk, int64_t count, T const* start,                \
                                                   int64_t of_start, T* out, int64_t pitch) {                \
        PB_FUSED                                                                                             \
        V sums[rows][vecs];                                                                                  \
        T const* fours[(rows + 3) / 4];                                                                      \
        int64_t const third = 3 * am;                                                                        \
        PB_UNROLL for (int i = 0; i < rows; i++) {                                                           \
            PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] = (V){0};                                    \
            PB_SOON(out + i * pitch);                                                                        \
            PB_SOON(out + i * pitch + vecs * LANES - 1);                                                     \
        }                                                                                                    \
        PB_UNROLL for (int i = 0; i < rows; i += 4) fours[i / 4] = a + i * am;                               \
        for (int64_t k = 0; k < count; k++, b += bk) {                                                       \
            V x[vecs];                                                                                       \
            PB_UNROLL for (int v = 0; v < vecs; v++) x[v] = *(V const*)(b + v * LANES);                      \
            PB_UNROLL for (int i = 0; i < rows; i++) {                                                       \
                T const w = fours[i / 4][i % 4 == 3 ? third : i % 4 * am];                                   \
                PB_UNROLL for (int v = 0; v < vecs; v++) sums[i][v] += x[v] * w;                             \
            }                                                                                                \
            PB_UNROLL for (int i = 0; i < rows; i += 4) fours[i / 4] += ak;                                  \
        }                                                                                                    \
        PB_UNROLL for (int i = 0; i < rows; i++)                                                             \
            PB_UNROLL for (int v = 0; v < vecs; v++) {                                                       \
                if (start) sums[i][v] += *(V const*)(start + i * of_start + v * LANES);                      \
                *(V*)(out + i * pitch + v * LANES) = sums[i][v];                                             \
            }                                                                                                \
    }

#define BLOCKS(high, low, vecs)                                                                              \
    BLOCK(high, vecs) BLOCK(low, vecs) BLOCK(1, vecs)
#define OF(rows, vecs) {rows, NAME(block_##rows##_##vecs)}

#if BYTES == 64 /* of 32 registers, 24 sums, a strip and a number */
BLOCKS(12, 4, 2)
BLOCKS(12, 4, 1)
static TILED(set) const NAME(built) = {LANES, {{OF(12, 1), OF(4, 1), OF(1, 1)},
                                               {OF(12, 2), OF(4, 2), OF(1, 2)}}};
#else /* of 16 */
BLOCKS(6, 2, 2)
BLOCKS(6, 2, 1)
static TILED(set) const NAME(built) = {LANES, {{OF(6, 1), OF(2, 1), OF(1, 1)},
                                               {OF(6, 2), OF(2, 2), OF(1, 2)}}};
#endif

#undef BLOCK
#undef BLOCKS
#undef OF
