/* Reductions over any dims: one template, included once for each op and number type.

   What an op defines before it, in terms of kinds.h:

       NAME            the function is pb_NAME_TYPE
       A, R            what is accumulated, what is written
       ROUNDED         whether additions are rounded: long ones are then made pairwise
       FIRST, STEP(a, x), MERGE(a, b)
                       the accumulator of nothing, with one element more, of two parts
       DONE(a, n)      the result of n elements
       or else MID(a, n), FIRST2, STEP2(b, x, m), MERGE2(b, c), DONE2(b, m, n)
                       a second pass over the same elements, told what came out of the first

   The geometry is that of ops/reductions/plans.py:

       kept, reduced, column, parameter, then {size, step, step of the result} of each kept dim, then
       {size, step} of each reduced one,

   from the slowest dim to the fastest, steps in bytes, dims merged where they run on. If the fastest of all
   is a reduced one (`column` is 0), each result is a fold over runs along it, in LANES, so that it is vector
   code and, for sums, its error small. If it is a kept one, WIDTH results are made at a time: a row of
   accumulators takes up one row of elements after another. `parameter` is a double's bits, for DONE to use.
   A part of the work is one result, or COLUMNS of a row of them. Where these would be less than FEW, one part
   is all of them, and each is made of slices, which threads share: how many depends on the sizes alone.

   Read the last function first; `fold_pass.h` has the loops that do the work. */

#include "kinds.h"
#include "walk.h"
#include "pullback/core/run.h"

#ifndef PB_FOLD_H
#define PB_FOLD_H

#define LANES 16
#define WIDTH 1024
#define BLOCK 512 /* elements that are folded one after another; longer runs are merged pairwise */
#define COLUMNS 256
#define FEW 4
#define SLICE 16384 /* elements, at least */
#define SLICED 4096 /* accumulators of all slices, at most */
#define ROWS 128  /* and rows of them, where the op is ROUNDED: its error grows with the number */
#define PB_JOIN3(a, b, c) pb_##a##_##b##c
#define PB_NAMED(a, b, c) PB_JOIN3(a, b, c)
#define FN(suffix) PB_NAMED(NAME, TYPE, suffix)
#define PASS(suffix) PASS_OF(TYPE, suffix)
#define IS_HALF (KIND == FLOAT16 || KIND == BFLOAT16)
#define WIDEN PB_NAMED(widened, TYPE, )

static PB_CLONES void pb_widened_float16(char const* p, int64_t n, int64_t step, float* PB_RESTRICT x) {
    if (step == sizeof(pb_half))
        for (int64_t i = 0; i < n; i++) x[i] = pb_from_half(((pb_half const*)p)[i]);
    else
        for (int64_t i = 0; i < n; i++) x[i] = pb_from_half(*(pb_half const*)(p + i * step));
}

static PB_CLONES void pb_widened_bfloat16(char const* p, int64_t n, int64_t step, float* PB_RESTRICT x) {
    if (step == sizeof(pb_bfloat))
        for (int64_t i = 0; i < n; i++) x[i] = pb_from_bfloat(((pb_bfloat const*)p)[i]);
    else
        for (int64_t i = 0; i < n; i++) x[i] = pb_from_bfloat(*(pb_bfloat const*)(p + i * step));
}

static pb_cutter pb_cut_slices; /* set when the module is imported */

/* Into how many slices parts of so many elements for each of n results are cut. */
PB_INLINE int64_t pb_slices(int64_t parts, int64_t count, int64_t n) {
    int64_t const wanted = count * n / SLICE, most = SLICED / n < 64 ? SLICED / n : 64;
    return parts >= FEW ? 1 : wanted < most ? wanted : most;
}

/* Where the part-th fold begins, by its place in the kept dims. */
PB_INLINE void pb_place(int64_t const* dims, int64_t count, int64_t part, char const** in, char** out) {
    for (int64_t d = count - 1; d >= 0; d--) {
        int64_t const size = dims[3 * d], at = d ? part % size : part; /* divisions are slow */
        if (d) part /= size;
        *in += at * dims[3 * d + 1];
        *out += at * dims[3 * d + 2];
    }
}

#endif

#define PASS_OF(type, suffix) PB_NAMED(NAME, type, _1##suffix)
#define BEGIN FIRST
#define ADD_ONE(a, x, m) STEP(a, x)
#define ADD_ALL(a, b) MERGE(a, b)
#include "fold_pass.h"

#ifdef STEP2
#undef PASS_OF
#undef BEGIN
#undef ADD_ONE
#undef ADD_ALL
#define PASS_OF(type, suffix) PB_NAMED(NAME, type, _2##suffix)
#define BEGIN FIRST2
#define ADD_ONE(a, x, m) STEP2(a, x, m)
#define ADD_ALL(a, b) MERGE2(a, b)
#include "fold_pass.h"
#endif

static int FN()(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const kept = geometry[0], reduced = geometry[1], column = geometry[2];
    int64_t const *outer = geometry + 4, *inner = outer + 3 * kept, *last = inner - 3;
    int64_t const blocks = column ? (last[0] - 1) / COLUMNS + 1 : 1;
    int64_t parts = blocks, part, d, from, j, count = 1;
    double parameter; /* a number that the op takes, for DONE */
    memcpy(&parameter, geometry + 3, sizeof parameter);
    (void)parameter, (void)scratch;
    for (d = 0; d < kept - column; d++) parts *= outer[3 * d];
    for (d = 0; d < reduced; d++) count *= inner[2 * d];
    if (parts < FEW) begin = 0, end = parts;
    for (part = begin; part < end; part++) {
        char const* p = data[0];
        char* r = data[1];
        pb_place(outer, kept - column, blocks > 1 ? part / blocks : part, &p, &r);
        if (!column) {
            int64_t const slices = reduced ? pb_slices(parts, count, 1) : 1;
            A a, m = FIRST;
            FN(_1total)(&a, p, 0, 0, inner, reduced, count, &m, slices);
#ifdef STEP2
            m = MID(a, count);
            FN(_2total)(&a, p, 0, 0, inner, reduced, count, &m, slices);
            *(R*)r = DONE2(a, m, count);
#else
            *(R*)r = DONE(a, count);
#endif
            continue;
        }
        int64_t const first = blocks > 1 ? part % blocks : 0, rest = blocks - first;
        int64_t const some = end - part < rest ? end - part : rest;
        int64_t const to = first + some < blocks ? (first + some) * COLUMNS : last[0];
        for (from = first * COLUMNS; from < to; from += WIDTH) {
            int64_t const n = to - from < WIDTH ? to - from : WIDTH;
            int64_t const slices = blocks == 1 && reduced ? pb_slices(parts, count, n) : 1;
            A a[WIDTH];
            FN(_1total)(a, p + from * last[1], n, last[1], inner, reduced, count, a, slices);
#ifdef STEP2
            A m[WIDTH];
            for (j = 0; j < n; j++) m[j] = MID(a[j], count);
            FN(_2total)(a, p + from * last[1], n, last[1], inner, reduced, count, m, slices);
            for (j = 0; j < n; j++) *(R*)(r + (from + j) * last[2]) = DONE2(a[j], m[j], count);
#else
            for (j = 0; j < n; j++) *(R*)(r + (from + j) * last[2]) = DONE(a[j], count);
#endif
        }
        part += some - 1;
    }
    return 0;
}

#undef PASS_OF
#undef BEGIN
#undef ADD_ONE
#undef ADD_ALL
#include "kinds_end.h"
