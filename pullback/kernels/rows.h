/* Work on rows: softmax, scans, normalisation. What all kinds of it share.

   A row is what is worked on together: `segments` runs of `length` numbers. It lies along some dims of a
   frame, a shape in which all operands have strides, those that broadcast some of zero. An operand that has
   steps of zero along the row is one number of it, a mean say. The geometry is that of
   ops/reductions/row_plans.py:

       slots, inputs, kept, segments, length, block, parameters,
       the parameters, the bits of a double each,
       {array, start, apart, step, kind, scratch, runs, span} of each slot,
       {size, steps of the slots} of each kept dim, from the slowest to the fastest,

   steps in bytes. A slot is an operand, the results behind the inputs; `array` is its place in the data, -1
   where it is left out. A part of the work is `block` rows along the last kept dim.

   What does the work is a body: a function of some rows and where their operands lie. Bodies for float and
   double want the numbers of a run beside one another, in that type. An operand that lies otherwise, or is in
   half precision, has a `kind`, and is copied row by row: `runs` times `span` numbers of each, to `scratch`,
   or from there. So rows that lie across memory are turned in blocks, and no body knows of it.

   Read `pb_work`, then `pb_rows`. */

#ifndef PB_ROWS_H
#define PB_ROWS_H

#include "pullback/core/half.h"
#include "single.h"

#define PB_SLOTS 8
#define PB_HEAD 7
#define PB_SLOT 8

typedef struct {
    int64_t rows, segments, length;
    char* p[PB_SLOTS];                                              /* NULL where an operand is left out */
    int64_t pitch[PB_SLOTS], apart[PB_SLOTS], step[PB_SLOTS];       /* from row, run, number to the next */
    double const* parameters;
} pb_work;

typedef int (*pb_body)(pb_work const*);
typedef void (*pb_copy)(char* plain, char* p, int64_t rows, int64_t runs, int64_t span, int64_t pitch,
                        int64_t lane, int64_t apart, int64_t step);

#define TEMPLATE "row_copies.h"
#include "floats.h"
#undef TEMPLATE

static pb_copy const pb_copies[][2] = {
    {pb_copy_in_float16, pb_copy_out_float16},
    {pb_copy_in_bfloat16, pb_copy_out_bfloat16},
    {pb_copy_in_float32, pb_copy_out_float32},
    {pb_copy_in_float64, pb_copy_out_float64},
};

/* From row to row of copied numbers: a little more, so that they do not share lines of a cache. */
PB_INLINE int64_t pb_pitch(int64_t const* slot, int64_t item) {
    int64_t const n = slot[6] * slot[7];
    return n > 1 ? (n + 16) * item : item;
}

static int pb_rows(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch,
                   int64_t item, pb_body body) {
    int64_t const slots = geometry[0], inputs = geometry[1], kept = geometry[2], block = geometry[5];
    int64_t const *slot = geometry + PB_HEAD + geometry[6], *dims = slot + PB_SLOT * slots;
    int64_t const *last = dims + (kept - 1) * (1 + slots), blocks = (last[0] + block - 1) / block;
    int64_t k, d, part;
    pb_work w;
    w.segments = geometry[3], w.length = geometry[4];
    w.parameters = (double const*)(geometry + PB_HEAD);
    for (part = begin; part < end; part++) {
        char* at[PB_SLOTS];
        int64_t const from = part % blocks * block;
        int64_t rest = part / blocks;
        w.rows = last[0] - from < block ? last[0] - from : block;
        for (k = 0; k < slots; k++) {
            int64_t const* s = slot + PB_SLOT * k;
            at[k] = s[0] < 0 ? NULL : data[s[0]] + s[1] + from * last[1 + k];
        }
        for (d = kept - 2; d >= 0; d--) {
            int64_t const *dim = dims + d * (1 + slots), i = rest % dim[0];
            rest /= dim[0];
            for (k = 0; k < slots; k++) at[k] += i * dim[1 + k];
        }
        for (k = 0; k < slots; k++) {
            int64_t const* s = slot + PB_SLOT * k;
            w.p[k] = at[k], w.pitch[k] = last[1 + k], w.apart[k] = s[2], w.step[k] = s[3];
            if (s[0] < 0 || !s[4]) continue;
            w.p[k] = scratch + s[5], w.pitch[k] = pb_pitch(s, item);
            w.apart[k] = s[6] > 1 ? s[7] * item : 0, w.step[k] = s[7] > 1 ? item : 0;
            if (k < inputs)
                pb_copies[s[4] - FLOAT16][0](w.p[k], at[k], w.rows, s[6], s[7], w.pitch[k], last[1 + k], s[2],
                                             s[3]);
        }
        int const status = body(&w);
        if (status) return status;
        for (k = inputs; k < slots; k++) {
            int64_t const* s = slot + PB_SLOT * k;
            if (s[0] >= 0 && s[4])
                pb_copies[s[4] - FLOAT16][1](w.p[k], at[k], w.rows, s[6], s[7], w.pitch[k], last[1 + k], s[2],
                                             s[3]);
        }
    }
    return 0;
}

#endif
