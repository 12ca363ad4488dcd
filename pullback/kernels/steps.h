/* Runs that are put together: several as one, NumPy's loops over any dims, half precisions as float.

   Each has the signature of all runs (core/_plans.pyx); ops/shared/chains.py writes their geometries. */

#ifndef PB_STEPS_H
#define PB_STEPS_H

#include "pullback/kernels/exp.h"
#include "pullback/core/half.h"
#include "pullback/core/loops/lines.h"
#include "pullback/kernels/runs.h"

#define MOST_OPERANDS 16
#define MOST_DIMS 64

/* Where the part-th piece of each of n operands begins: dims of {size, step of each operand}. */
PB_INLINE void pb_seek(int64_t const* dims, int64_t count, int64_t n, int64_t part, char** at) {
    for (int64_t d = count - 1; d >= 0; d--) {
        int64_t const* dim = dims + d * (n + 1);
        int64_t const place = part % dim[0];
        part /= dim[0];
        for (int64_t i = 0; i < n; i++) at[i] += place * dim[i + 1];
    }
}

static pb_cutter pb_cut_step; /* set when the module is imported */

/* Steps one after another, each by as many threads as it pays. The geometry: how many, the bytes of scratch
   that they share; for each its run, parts, bytes of scratch of its own, work, number of operands, length of
   its geometry, {base, offset} of each operand, geometry. The base is a number of `data`, or -1 for scratch,
   or -2 for the step's own geometry, which then holds a constant. */
static int pb_chain(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const *step = geometry + 2, shared = geometry[1];
    (void)begin, (void)end;
    for (int64_t s = 0; s < geometry[0]; s++) {
        pb_run const run = (pb_run)(intptr_t)step[0];
        int64_t const *operands = step + 6, *own = operands + 2 * step[4];
        char* at[MOST_OPERANDS];
        for (int64_t i = 0; i < step[4]; i++) {
            int64_t const base = operands[2 * i];
            at[i] = (base >= 0 ? data[base] : base == -1 ? scratch : (char*)own) + operands[2 * i + 1];
        }
        int const status = pb_cut_step(run, own, at, step[1], scratch + shared, step[2], step[3]);
        if (status) return status;
        step = own + step[5];
    }
    return 0;
}

/* Matrix products by NumPy's loop, and so by BLAS: c[m, n] = sum of a[m, k] b[k, n]. The geometry: loop, what
   it is given, m, k, n, steps of a by m and k, of b by k and n, of c by m and n, then the number of leading
   dims and {size, steps of a, b, c} of each. A part is one product. */
static int pb_product(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_loop const loop = (pb_loop)(intptr_t)geometry[0];
    npy_intp dims[4] = {1}, steps[9] = {0};
    (void)scratch;
    for (int i = 0; i < 3; i++) dims[i + 1] = geometry[i + 2];
    for (int i = 0; i < 6; i++) steps[i + 3] = geometry[i + 5];
    for (int64_t part = begin; part < end; part++) {
        char* at[3] = {data[0], data[1], data[2]};
        pb_seek(geometry + 12, geometry[11], 3, part, at);
        loop(at, dims, steps, (void*)(intptr_t)geometry[1]);
    }
    return 0;
}

/* Half precisions to float and back. The geometry: dims, then {size, step, step of the result} of each; a
   part is a run along the last. */
#define CONVERT(name, from, to, convert)                                                                     \
    static PB_CLONES void pb_##name##_run(from const* PB_RESTRICT x, to* PB_RESTRICT y, int64_t n) {         \
        for (int64_t i = 0; i < n; i++) y[i] = convert(x[i]);                                                \
    }                                                                                                        \
    static int pb_##name(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {  \
        int64_t const outer = geometry[0] - 1, *last = geometry + 1 + 3 * outer;                             \
        (void)scratch;                                                                                       \
        for (int64_t part = begin; part < end; part++) {                                                     \
            char* at[2] = {data[0], data[1]};                                                                \
            pb_seek(geometry + 1, outer, 2, part, at);                                                       \
            if (last[1] == sizeof(from) && last[2] == sizeof(to))                                            \
                pb_##name##_run((from const*)at[0], (to*)at[1], last[0]);                                    \
            else                                                                                             \
                for (int64_t i = 0; i < last[0]; i++)                                                        \
                    *(to*)(at[1] + i * last[2]) = convert(*(from const*)(at[0] + i * last[1]));              \
        }                                                                                                    \
        return 0;                                                                                            \
    }

CONVERT(widen_float16, pb_half, float, pb_from_half)
CONVERT(widen_bfloat16, pb_bfloat, float, pb_from_bfloat)
CONVERT(narrow_float16, float, pb_half, pb_to_half)
CONVERT(narrow_bfloat16, float, pb_bfloat, pb_to_bfloat)
#undef CONVERT

#endif
