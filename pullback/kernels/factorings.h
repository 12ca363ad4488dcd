/* Steps of linear algebra on stacks of matrices, for the chains of ops/linalg/plans.py.

   Those that call LAPACK take matrices packed one after another, column by column; a part is one of them. The
   geometry begins with the routine's address and the bytes of an element; scratch is LAPACK's work space.
   A step of which `checked` is set ends with a status if LAPACK has a code other than 0. */

#include "steps.h"

typedef void* P;
typedef void (*pb_f5)(P, P, P, P, P);
typedef void (*pb_f6)(P, P, P, P, P, P);
typedef void (*pb_f8)(P, P, P, P, P, P, P, P);
typedef void (*pb_f9)(P, P, P, P, P, P, P, P, P);
typedef void (*pb_f11)(P, P, P, P, P, P, P, P, P, P, P);

#define ROUTINE(type) type const routine = (type)(intptr_t)geometry[0]
#define ARGUMENTS int64_t const *geometry, char **data, int64_t begin, int64_t end, char *scratch
#define EACH_MATRIX for (int64_t i = begin; i < end; i++)

PB_INLINE int pb_lead(int rows) { return rows > 1 ? rows : 1; }

/* geometry: routine, item, rows, columns, checked; data: matrices, pivots, codes */
static int pb_getrf(ARGUMENTS) {
    ROUTINE(pb_f6);
    int64_t const item = geometry[1];
    int m = (int)geometry[2], n = (int)geometry[3], few = m < n ? m : n, lead = pb_lead(m), wrong = 0;
    (void)scratch;
    EACH_MATRIX {
        int* info = (int*)data[2] + i;
        *info = 0;
        if (few) routine(&m, &n, data[0] + i * m * n * item, &lead, (int*)data[1] + i * few, info);
        wrong |= *info;
    }
    return geometry[4] && wrong;
}

/* geometry: routine, item, size, columns of the right side, way (N, T or C); data: factors, pivots, right
   sides */
static int pb_getrs(ARGUMENTS) {
    ROUTINE(pb_f9);
    int64_t const item = geometry[1];
    int n = (int)geometry[2], k = (int)geometry[3], lead = pb_lead(n), info;
    char way = (char)geometry[4];
    (void)scratch;
    if (n && k)
        EACH_MATRIX
            routine(&way, &n, &k, data[0] + i * n * n * item, &lead, (int*)data[1] + i * n,
                    data[2] + i * n * k * item, &lead, &info);
    return 0;
}

/* geometry: routine, item, size, half (U or L), checked; data: matrices, codes. The other half
   becomes zero. */
static int pb_potrf(ARGUMENTS) {
    ROUTINE(pb_f5);
    int64_t const item = geometry[1];
    int n = (int)geometry[2], lead = pb_lead(n), wrong = 0;
    char half = (char)geometry[3];
    (void)scratch;
    EACH_MATRIX {
        char* x = data[0] + i * n * n * item;
        int* info = (int*)data[1] + i;
        for (int64_t j = 0; j < n; j++)
            if (half == 'U')
                memset(x + (j * n + j + 1) * item, 0, (n - j - 1) * item);
            else
                memset(x + j * n * item, 0, j * item);
        *info = 0;
        routine(&half, &n, x, &lead, info);
        wrong |= *info;
    }
    return geometry[4] && wrong;
}

/* geometry: routine, item, rows, columns, length of the work space; data: matrices, scales of
   the reflectors */
static int pb_geqrf(ARGUMENTS) {
    ROUTINE(pb_f8);
    int64_t const item = geometry[1];
    int m = (int)geometry[2], n = (int)geometry[3], few = m < n ? m : n, lead = pb_lead(m), info;
    int length = (int)geometry[4];
    if (few)
        EACH_MATRIX
            routine(&m, &n, data[0] + i * m * n * item, &lead, data[1] + i * few * item, scratch, &length,
                    &info);
    return 0;
}

/* geometry: routine, item, rows, columns, reflectors, length of the work space; data: matrices, whose first
   columns hold reflectors, and their scales. The matrices become products of reflectors. */
static int pb_orgqr(ARGUMENTS) {
    ROUTINE(pb_f9);
    int64_t const item = geometry[1];
    int m = (int)geometry[2], n = (int)geometry[3], k = (int)geometry[4], lead = pb_lead(m), info;
    int length = (int)geometry[5];
    if (n)
        EACH_MATRIX
            routine(&m, &n, &k, data[0] + i * m * n * item, &lead, data[1] + i * k * item, scratch, &length,
                    &info);
    return 0;
}

/* geometry: routine, item, rows and columns of the right side, side, half, way, whether ones stand on the
   diagonal (U or N); data: triangles, right sides, the number one */
static int pb_trsm(ARGUMENTS) {
    ROUTINE(pb_f11);
    int64_t const item = geometry[1];
    int m = (int)geometry[2], k = (int)geometry[3];
    char side = (char)geometry[4], half = (char)geometry[5];
    char way = (char)geometry[6], ones = (char)geometry[7];
    int n = side == 'L' ? m : k, lead = pb_lead(n), lead_x = pb_lead(m);
    (void)scratch;
    if (m && k)
        EACH_MATRIX
            routine(&side, &half, &way, &ones, &m, &k, data[2], data[0] + i * n * n * item, &lead,
                    data[1] + i * m * k * item, &lead_x);
    return 0;
}

/* Unit matrices. geometry: item, rows, columns; data: matrices, the number one */
static int pb_unit(ARGUMENTS) {
    int64_t const item = geometry[0], m = geometry[1], n = geometry[2];
    (void)scratch;
    EACH_MATRIX {
        char* x = data[0] + i * m * n * item;
        memset(x, 0, m * n * item);
        for (int64_t j = 0; j < n && j < m; j++) memcpy(x + (j * m + j) * item, data[1], item);
    }
    return 0;
}

/* The upper triangle of the first rows. geometry: item, rows, columns, rows of the source; data: source,
   result */
static int pb_upper(ARGUMENTS) {
    int64_t const item = geometry[0], k = geometry[1], n = geometry[2], m = geometry[3];
    (void)scratch;
    EACH_MATRIX
        for (int64_t j = 0; j < n; j++) {
            int64_t const count = j + 1 < k ? j + 1 : k;
            char* x = data[1] + (i * n + j) * k * item;
            memcpy(x, data[0] + (i * n + j) * m * item, count * item);
            memset(x + count * item, 0, (k - count) * item);
        }
    return 0;
}

/* One of NumPy's loops for matrices, of any strides. The geometry: loop, what it is given, operands, sizes,
   sizes and steps of one matrix of each, then the number of leading dims and {size, step of each operand} of
   each. */
static int pb_matrices(ARGUMENTS) {
    pb_loop const loop = (pb_loop)(intptr_t)geometry[0];
    int64_t const operands = geometry[2], sizes = geometry[3], steps = geometry[4];
    int64_t const* leading = geometry + 6 + sizes + steps;
    npy_intp dims[8] = {1}, strides[MOST_OPERANDS] = {0};
    (void)scratch;
    for (int64_t d = 0; d < sizes; d++) dims[d + 1] = geometry[5 + d];
    for (int64_t d = 0; d < steps; d++) strides[operands + d] = geometry[5 + sizes + d];
    for (int64_t part = begin; part < end; part++) {
        char* at[MOST_OPERANDS];
        memcpy(at, data, operands * sizeof *at);
        pb_seek(leading, leading[-1], operands, part, at);
        loop(at, dims, strides, (void*)(intptr_t)geometry[1]);
    }
    return 0;
}

/* NaN for what comes of a matrix that is not finite. The geometry: real numbers of a matrix, and of what
   comes of it; data: matrices and results, packed. */
#define POISON(name, real)                                                                                   \
    static int pb_poison_##name(ARGUMENTS) {                                                                 \
        (void)scratch;                                                                                       \
        EACH_MATRIX {                                                                                        \
            real const* x = (real const*)data[0] + i * geometry[0];                                          \
            real* y = (real*)data[1] + i * geometry[1];                                                      \
            real zero = 0;                                                                                   \
            for (int64_t j = 0; j < geometry[0]; j++) zero += x[j] * 0;                                      \
            for (int64_t j = 0; zero != 0 && j < geometry[1]; j++) y[j] = zero;                              \
        }                                                                                                    \
        return 0;                                                                                            \
    }
POISON(float32, float)
POISON(float64, double)
#undef POISON

/* Whether all numbers are finite: a status if not. The geometry: dims, {size, step} of each; a part is a run
   along the last. */
#define FINITE(name, real)                                                                                   \
    static int pb_finite_##name(ARGUMENTS) {                                                                 \
        int64_t const outer = geometry[0] - 1, *last = geometry + 1 + 2 * outer;                             \
        (void)scratch;                                                                                       \
        for (int64_t part = begin; part < end; part++) {                                                     \
            char* x = data[0];                                                                               \
            real zero = 0;                                                                                   \
            pb_seek(geometry + 1, outer, 1, part, &x);                                                       \
            for (int64_t i = 0; i < last[0]; i++) zero += *(real*)(x + i * last[1]) * 0;                     \
            if (zero != 0) return 1;                                                                         \
        }                                                                                                    \
        return 0;                                                                                            \
    }
FINITE(float32, float)
FINITE(float64, double)
#undef FINITE
