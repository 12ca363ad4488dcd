/* A chain of elementwise loops over contiguous operands as one run: block by block, so that what one loop
   leaves to the next stays in the cache. What is only asked for within the chain lies in scratch memory.

   The geometry: loops, elements, bytes of a block of scratch, blocks of scratch; then for each loop its
   function, what that is given, its operands, and {place, step in bytes} of each. A place below 0 is a block
   of scratch. */

#ifndef PB_CHAINS_H
#define PB_CHAINS_H

#include "pullback/core/loops/lines.h"

enum { PB_CHAIN_HEAD = 4, PB_CHAIN_BLOCK = 2048 };

static int pb_chain(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const loops = geometry[0], size = geometry[1], room = geometry[2];
    for (; begin < end; begin++) {
        int64_t const from = begin * PB_CHAIN_BLOCK;
        npy_intp const n = size - from < PB_CHAIN_BLOCK ? size - from : PB_CHAIN_BLOCK;
        int64_t const* word = geometry + PB_CHAIN_HEAD;
        for (int64_t k = 0; k < loops; k++) {
            pb_loop const loop = (pb_loop)(intptr_t)word[0];
            void* const given = (void*)(intptr_t)word[1];
            int64_t const operands = word[2];
            char* at[PB_LINE_OPERANDS];
            npy_intp steps[PB_LINE_OPERANDS];
            word += 3;
            for (int64_t i = 0; i < operands; i++, word += 2) {
                steps[i] = word[1];
                at[i] = word[0] < 0 ? scratch + (-1 - word[0]) * room : data[word[0]] + from * word[1];
            }
            loop(at, &n, steps, given);
        }
    }
    return 0;
}

#endif
