/* An elementwise loop over any dims, as a run: for threads, and as a step of a chain.

   The geometry: loop, what it is given, operands, dims, then {size, step of each operand} of each dim, from
   the slowest to the fastest, steps in bytes. The loop runs along the last dim, whose blocks of PB_LINE_BLOCK
   elements are the parts of the work: `pb_line_parts` says how many there are. Blocks of one line that are
   done together are one call. */

#ifndef PB_LINES_H
#define PB_LINES_H

#include "pullback/core/run.h"
#include "pullback/core/vectors.h"
#include <numpy/npy_common.h>
#include <string.h>

typedef void (*pb_loop)(char**, npy_intp const*, npy_intp const*, void*);

enum { PB_LINE_OPERANDS = 16, PB_LINE_DIMS = 64, PB_LINE_HEAD = 4, PB_LINE_BLOCK = 4096 };

PB_INLINE int64_t pb_line_blocks(int64_t n) { return n > PB_LINE_BLOCK ? (n - 1) / PB_LINE_BLOCK + 1 : 1; }

PB_INLINE int64_t pb_line_parts(int64_t const* geometry) {
    int64_t const words = geometry[2] + 1, outer = geometry[3] - 1, *dims = geometry + PB_LINE_HEAD;
    int64_t parts = pb_line_blocks(dims[outer * words]);
    for (int64_t d = 0; d < outer; d++) parts *= dims[d * words];
    return parts;
}

static int pb_lines(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_loop const loop = (pb_loop)(intptr_t)geometry[0];
    int64_t const operands = geometry[2], words = operands + 1, outer = geometry[3] - 1;
    int64_t const *dims = geometry + PB_LINE_HEAD, *last = dims + outer * words;
    int64_t const blocks = pb_line_blocks(last[0]);
    int64_t place[PB_LINE_DIMS], line = begin / blocks, block = begin % blocks; /* the next of it */
    npy_intp steps[PB_LINE_OPERANDS];
    char* at[PB_LINE_OPERANDS];
    (void)scratch;
    if (begin >= end) return 0;
    for (int64_t i = 0; i < operands; i++) steps[i] = last[i + 1], at[i] = data[i];
    for (int64_t d = outer - 1; d >= 0; d--) {
        int64_t const* dim = dims + d * words;
        place[d] = line % dim[0];
        line /= dim[0];
        for (int64_t i = 0; i < operands; i++) at[i] += place[d] * dim[i + 1];
    }
    while (begin < end) {
        int64_t const some = end - begin < blocks - block ? end - begin : blocks - block;
        int64_t const from = block * PB_LINE_BLOCK, rest = last[0] - from;
        npy_intp const n = some < blocks - block ? some * PB_LINE_BLOCK : rest;
        char* start[PB_LINE_OPERANDS];
        for (int64_t i = 0; i < operands; i++) start[i] = at[i] + from * steps[i];
        loop(start, &n, steps, (void*)(intptr_t)geometry[1]);
        begin += some;
        block = 0;
        for (int64_t d = outer - 1; d >= 0; d--) {
            int64_t const* dim = dims + d * words;
            for (int64_t i = 0; i < operands; i++) at[i] += dim[i + 1];
            if (++place[d] < dim[0]) break;
            for (int64_t i = 0; i < operands; i++) at[i] -= dim[0] * dim[i + 1];
            place[d] = 0;
        }
    }
    return 0;
}

#endif
