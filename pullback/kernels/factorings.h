/* Steps of linear algebra on stacks of matrices, for the chains of ops/linalg/plans.py.

   Those that call LAPACK take matrices packed one after another, column by column; a part is one of them.
   The geometry begins with the routine's address and the bytes of an element; scratch is LAPACK's work
   space. A step of which `checked` is set ends with a status if LAPACK has a code other than 0. */

#include "pythread.h"
#include "steps.h"

/* Threads of OpenBLAS make work on small matrices several times slower: while any such work goes on, there
   are none. Which libraries there are is said when it is first needed. */
enum { PB_LIBRARIES = 4 };
static struct {
    PyThread_type_lock lock;
    int64_t users; /* how many works on small matrices go on */
    int libraries, before[PB_LIBRARIES];
    int (*get[PB_LIBRARIES])(void);
    void (*set[PB_LIBRARIES])(int);
} pb_blas;

/* More or fewer users, by one. */
static void pb_blas_alone(int more) {
    if (!pb_blas.libraries) return;
    PyThread_acquire_lock(pb_blas.lock, WAIT_LOCK);
    if (more > 0 && !pb_blas.users)
        for (int i = 0; i < pb_blas.libraries; i++) pb_blas.before[i] = pb_blas.get[i](), pb_blas.set[i](1);
    pb_blas.users += more;
    if (more < 0 && !pb_blas.users)
        for (int i = 0; i < pb_blas.libraries; i++) pb_blas.set[i](pb_blas.before[i]);
    PyThread_release_lock(pb_blas.lock);
}

static void pb_know_blas(int64_t get, int64_t set) {
    int const i = pb_blas.libraries;
    if (!pb_blas.lock) pb_blas.lock = PyThread_allocate_lock();
    if (!pb_blas.lock || i == PB_LIBRARIES) return;
    pb_blas.get[i] = (int (*)(void))(intptr_t)get, pb_blas.set[i] = (void (*)(int))(intptr_t)set;
    pb_blas.libraries++;
}

typedef void* P;
typedef void (*pb_f5)(P, P, P, P, P);
typedef void (*pb_f6)(P, P, P, P, P, P);
typedef void (*pb_f8)(P, P, P, P, P, P, P, P);
typedef void (*pb_f9)(P, P, P, P, P, P, P, P, P);
typedef void (*pb_f11)(P, P, P, P, P, P, P, P, P, P, P);
typedef void (*pb_f13)(P, P, P, P, P, P, P, P, P, P, P, P, P);

#define ROUTINE(type) type const routine = (type)(intptr_t)geometry[0]
#define ARGUMENTS int64_t const *geometry, char **data, int64_t begin, int64_t end, char *scratch
#define EACH_MATRIX for (int64_t i = begin; i < end; i++)

PB_INLINE int pb_lead(int rows) { return rows > 1 ? rows : 1; }

#include "triangular.h"

#define MOST_ARGUMENTS 14

PB_INLINE void pb_call(void* f, int64_t count, P* a) {
    switch (count) {
    case 5: ((pb_f5)f)(a[0], a[1], a[2], a[3], a[4]); break;
    case 6: ((pb_f6)f)(a[0], a[1], a[2], a[3], a[4], a[5]); break;
    case 8: ((pb_f8)f)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]); break;
    case 9: ((pb_f9)f)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]); break;
    case 13:
        ((pb_f13)f)(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12]);
        break;
    }
}

/* A routine of LAPACK on each matrix, whose last argument is its code. geometry: routine, checked,
   arguments, then {base, step} of each: the base is a number of `data`, the step the bytes from one matrix
   to the next; or it is SCRATCH or CONSTANT, and the step is an offset or the constant. */
static int pb_lapack(ARGUMENTS) {
    int64_t const count = geometry[2];
    int unread, wrong = 0;
    EACH_MATRIX {
        P a[MOST_ARGUMENTS] = {0};
        for (int64_t k = 0; k < count; k++) {
            int64_t const base = geometry[3 + 2 * k], *step = geometry + 4 + 2 * k;
            a[k] = base >= 0 ? data[base] + i * *step : base == -1 ? scratch + *step : (void*)step;
        }
        int* const info = geometry[1 + 2 * count] >= 0 ? (int*)a[count - 1] : &unread;
        a[count - 1] = info;
        *info = 0;
        pb_call((void*)(intptr_t)geometry[0], count, a);
        wrong |= *info;
    }
    return geometry[1] && wrong;
}

/* Another run, whose address comes first, without threads of BLAS. */
static int pb_alone(ARGUMENTS) {
    pb_run const run = (pb_run)(intptr_t)geometry[0];
    pb_blas_alone(1);
    int const status = run(geometry + 1, data, begin, end, scratch);
    pb_blas_alone(-1);
    return status;
}

/* Rows exchanged as pivots say, which count from 1: forwards, or backwards as P does. geometry: bytes of a
   row, rows, pivots, backwards, leading dims, {size, steps of both} of each; data: pivots, matrices row by
   row */
static int pb_exchange(ARGUMENTS) {
    int64_t const bytes = geometry[0], rows = geometry[1], count = geometry[2];
    EACH_MATRIX {
        char* at[2] = {data[0], data[1]};
        pb_seek(geometry + 5, geometry[4], 2, i, at);
        for (int64_t j = 0; j < count; j++) {
            int64_t const row = geometry[3] ? count - 1 - j : j, other = ((int*)at[0])[row] - 1;
            if (other == row || other < 0 || other >= rows) continue;
            memcpy(scratch, at[1] + row * bytes, bytes);
            memcpy(at[1] + row * bytes, at[1] + other * bytes, bytes);
            memcpy(at[1] + other * bytes, scratch, bytes);
        }
    }
    return 0;
}

/* The matrix P that belongs to pivots; a status if one is no row. geometry: item, rows, pivots, leading
   dims, {size, step of the pivots} of each; data: pivots, matrices, the number one */
static int pb_permutation(ARGUMENTS) {
    int64_t const item = geometry[0], rows = geometry[1], count = geometry[2];
    int64_t* const order = (int64_t*)scratch;
    EACH_MATRIX {
        char *pivots = data[0], *x = data[1] + i * rows * rows * item;
        pb_seek(geometry + 4, geometry[3], 1, i, &pivots);
        for (int64_t j = 0; j < rows; j++) order[j] = j;
        for (int64_t j = 0; j < count; j++) {
            int64_t const other = ((int*)pivots)[j] - 1, row = order[j];
            if (other < 0 || other >= rows) return 1;
            order[j] = order[other];
            order[other] = row;
        }
        memset(x, 0, rows * rows * item);
        for (int64_t j = 0; j < rows; j++) memcpy(x + (order[j] * rows + j) * item, data[2], item);
    }
    return 0;
}

/* A number on the diagonals of packed matrices. geometry: item, elements of a matrix, step from one
   diagonal element to the next, how many; data: matrices, the number */
static int pb_diagonal(ARGUMENTS) {
    int64_t const item = geometry[0];
    (void)scratch;
    EACH_MATRIX
        for (int64_t j = 0; j < geometry[3]; j++)
            memcpy(data[0] + i * geometry[1] * item + j * geometry[2], data[1], item);
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

/* Triangular systems of complex numbers: X A = B of packed X (k, n), column by column. geometry: routine,
   n, k, step from column to column of A in elements, half, way, whether ones stand on the diagonal (U or
   N), the number one as two words, leading dims, {size, steps of A and X} of each; data: triangles, right
   sides */
static int pb_trsm(ARGUMENTS) {
    ROUTINE(pb_f11);
    int n = (int)geometry[1], k = (int)geometry[2], lead = (int)geometry[3];
    char side = 'R', half = (char)geometry[4], way = (char)geometry[5], ones = (char)geometry[6];
    (void)scratch;
    if (n && k)
        EACH_MATRIX {
            char* at[2] = {data[0], data[1]};
            pb_seek(geometry + 10, geometry[9], 2, i, at);
            routine(&side, &half, &way, &ones, &k, &n, (void*)(geometry + 7), at[0], &lead, at[1], &k);
        }
    return 0;
}

/* Determinants of packed LU factors. geometry: size; data: factors, pivots, numbers */
#define DETERMINANT(name, real, parts)                                                                       \
    static int pb_determinant_##name(ARGUMENTS) {                                                            \
        int64_t const n = geometry[0];                                                                       \
        (void)scratch;                                                                                       \
        EACH_MATRIX {                                                                                        \
            real const* x = (real const*)data[0] + i * n * n * parts;                                        \
            int const* pivots = (int const*)data[1] + i * n;                                                 \
            real* to = (real*)data[2] + i * parts;                                                           \
            real re = 1, im = 0;                                                                             \
            for (int64_t j = 0; j < n; j++, x += (n + 1) * parts) {                                          \
                real const sign = (real)(pivots[j] == j + 1 ? 1 : -1), u = sign * x[0];                      \
                if (parts == 1) {                                                                            \
                    re *= u;                                                                                 \
                    continue;                                                                                \
                }                                                                                            \
                real const v = sign * x[parts - 1], turned = re * u - im * v;                                \
                im = re * v + im * u;                                                                        \
                re = turned;                                                                                 \
            }                                                                                                \
            to[0] = re;                                                                                      \
            if (parts == 2) to[parts - 1] = im;                                                              \
        }                                                                                                    \
        return 0;                                                                                            \
    }
DETERMINANT(float32, float, 1)
DETERMINANT(float64, double, 1)
DETERMINANT(complex64, float, 2)
DETERMINANT(complex128, double, 2)
#undef DETERMINANT

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
   sizes and steps of one matrix of each, then the number of leading dims and {size, step of each operand}
   of each. */
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

/* Whether all numbers are finite: a status if not. The geometry: dims, {size, step} of each; a part is a
   run along the last. */
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
