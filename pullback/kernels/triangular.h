/* Triangular systems with many right sides: substitution in small blocks, products by BLAS for the rest.

   OpenBLAS needs twice the time for these, and wakes its threads for systems of ten. Right sides X (n, k)
   lie row by row, so that the work goes along rows; a triangle A has any steps, of which one is an
   element's if n is above BASE. Read the last function first. */

#include "exp.h"

#define BASE 16
#define WIDE 32

typedef pb_f13 pb_gemm;

typedef struct {
    pb_gemm gemm;
    int64_t row, column, k; /* steps of A and the length of a row of X, in elements */
    int upper, unit;
} pb_triangle_of;

#define SOLVE(real, typed)                                                                                   \
    /* `wide` columns of a block, whose triangle c has its rows in the order of substitution. */             \
    PB_INLINE void pb_substitute_##typed(real const (*c)[BASE], real* x, int64_t next, int n, int wide,      \
                                         int unit) {                                                         \
        for (int i = 0; i < n; i++) {                                                                        \
            real sum[WIDE];                                                                                  \
            real* const y = x + i * next;                                                                    \
            for (int t = 0; t < wide; t++) sum[t] = y[t];                                                    \
            for (int j = 0; j < i; j++) {                                                                    \
                real const factor = c[i][j];                                                                 \
                real const* const z = x + j * next;                                                          \
                for (int t = 0; t < wide; t++) sum[t] -= factor * z[t];                                      \
            }                                                                                                \
            if (!unit)                                                                                       \
                for (int t = 0; t < wide; t++) sum[t] /= c[i][i];                                            \
            for (int t = 0; t < wide; t++) y[t] = sum[t];                                                    \
        }                                                                                                    \
    }                                                                                                        \
    static PB_CLONES void pb_solve_block_##typed(pb_triangle_of const* s, real const* a, real* x, int n) {   \
        real c[BASE][BASE];                                                                                  \
        int64_t const sign = s->upper ? -1 : 1, last = s->upper ? n - 1 : 0, next = sign * s->k;             \
        int64_t at = 0;                                                                                      \
        a += last * (s->row + s->column);                                                                    \
        x += last * s->k;                                                                                    \
        for (int i = 0; i < n; i++)                                                                          \
            for (int j = 0; j <= i; j++) c[i][j] = a[sign * (i * s->row + j * s->column)];                   \
        for (; at + WIDE <= s->k; at += WIDE) pb_substitute_##typed(c, x + at, next, n, WIDE, s->unit);      \
        if (at < s->k) pb_substitute_##typed(c, x + at, next, n, (int)(s->k - at), s->unit);                 \
    }                                                                                                        \
    static void pb_solve_of_##typed(pb_triangle_of const* s, real const* a, real* x, int64_t n) {            \
        if (n <= BASE) {                                                                                     \
            pb_solve_block_##typed(s, a, x, (int)n);                                                         \
            return;                                                                                          \
        }                                                                                                    \
        int64_t const half = (n / 2 + BASE - 1) / BASE * BASE, first = s->upper ? half : 0;                  \
        int64_t const size = s->upper ? n - half : half, second = s->upper ? 0 : half;                       \
        int64_t const step = s->row + s->column;                                                             \
        int rows = (int)(n - size), k = (int)s->k, count = (int)size;                                        \
        int lead = (int)(s->column == 1 ? s->row : s->column);                                               \
        char plain = 'N', way = s->column == 1 ? 'N' : 'T';                                                  \
        real minus = -1, one = 1;                                                                            \
        pb_solve_of_##typed(s, a + first * step, x + first * s->k, size);                                    \
        s->gemm(&plain, &way, &k, &rows, &count, &minus, x + first * s->k, &k,                               \
                (void*)(a + second * s->row + first * s->column), &lead, &one, x + second * s->k, &k);       \
        pb_solve_of_##typed(s, a + second * step, x + second * s->k, n - size);                              \
    }                                                                                                        \
    /* geometry: gemm, n, k, steps of A, upper, unit, leading dims, {size, steps of A and X} of each;       \
       data: A, X. A part is a matrix. */                                                                    \
    static int pb_solve_##typed(ARGUMENTS) {                                                                 \
        int64_t const item = sizeof(real);                                                                   \
        pb_triangle_of const s = {(pb_gemm)(intptr_t)geometry[0], geometry[3] / item, geometry[4] / item,    \
                                  geometry[2], (int)geometry[5], (int)geometry[6]};                          \
        (void)scratch;                                                                                       \
        EACH_MATRIX {                                                                                        \
            char* at[2] = {data[0], data[1]};                                                                \
            pb_seek(geometry + 8, geometry[7], 2, i, at);                                                    \
            pb_solve_of_##typed(&s, (real const*)at[0], (real*)at[1], geometry[1]);                          \
        }                                                                                                    \
        return 0;                                                                                            \
    }

SOLVE(float, float32)
SOLVE(double, float64)

#undef SOLVE
#undef BASE
#undef WIDE
