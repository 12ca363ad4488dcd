/* A chain of elementwise loops as one run: block by block, so that what one loop leaves to the next stays in
   the cache. What is only asked for within the chain lies in slots of scratch memory, which are used again.

   The geometry: items, elements, elements of a block, bytes of a slot; then the items.

       PB_CHAIN_LOOP    function, what that is given, operands, then {place, step in bytes} of each
       PB_CHAIN_RUN     run, geometry and parts of a whole block, geometry and parts of the last one, bytes of
                        slots, operands, {place, step} of each: an op prepared for one block
       PB_CHAIN_SPREAD  place, slot, bytes of an element, dims, {size} of each, {stride} of each: an operand
                        that is repeated or strided is laid out in rows

   A place below 0 is a slot. */

#ifndef PB_CHAINS_H
#define PB_CHAINS_H

#include "pullback/core/loops/lines.h"

#include <string.h>

enum { PB_CHAIN_HEAD = 4, PB_CHAIN_LOOP = 0, PB_CHAIN_RUN = 1, PB_CHAIN_SPREAD = 2 };
enum { PB_CHAIN_DIMS = 32, PB_CHAIN_OPERANDS = 64 };

typedef int (*pb_chain_run)(int64_t const*, char**, int64_t, int64_t, char*);
typedef struct { char bytes[16]; } pb_sixteen;

/* Lays out `n` elements of a line. */
#define PB_SPREAD_LINE(type) \
    for (int64_t i = 0; i < n; i++) ((type*)to)[i] = *(type const*)(from + i * stride);

static void pb_spread_line(char* to, char const* from, int64_t n, int64_t stride, int64_t item) {
    switch (item) {
        case 1: PB_SPREAD_LINE(int8_t) break;
        case 2: PB_SPREAD_LINE(int16_t) break;
        case 4: PB_SPREAD_LINE(int32_t) break;
        case 8: PB_SPREAD_LINE(int64_t) break;
        default: PB_SPREAD_LINE(pb_sixteen)
    }
}

/* Lays out `n` elements from the one at `from`, in the order of rows. */
static void pb_spread(int64_t const* word, char const* source, char* to, int64_t from, int64_t n) {
    int64_t const item = word[0], last = word[1] - 1, *dims = word + 2, *strides = dims + word[1];
    int64_t place[PB_CHAIN_DIMS];
    for (int64_t d = last; d >= 0; d--) {
        place[d] = from % dims[d];
        from /= dims[d];
        source += place[d] * strides[d];
    }
    while (n > 0) {
        int64_t const some = dims[last] - place[last] < n ? dims[last] - place[last] : n;
        pb_spread_line(to, source, some, strides[last], item);
        to += some * item;
        n -= some;
        if (last > 0 && strides[last - 1] == 0 && some == dims[last]) { /* the same line, some times more */
            int64_t const more = dims[last - 1] - 1 - place[last - 1];
            int64_t const lines = more < n / some ? more : n / some;
            int64_t const line = some * item, all = lines * line;
            for (int64_t done = 0, part; done < all; done += part) {
                part = done + line < all - done ? done + line : all - done;
                memcpy(to + done, to - line, part);
            }
            to += all;
            n -= lines * some;
            place[last - 1] += lines;
        }
        source -= place[last] * strides[last];
        place[last] = 0;
        for (int64_t d = last - 1; d >= 0; d--) {
            source += strides[d];
            if (++place[d] < dims[d]) break;
            source -= dims[d] * strides[d];
            place[d] = 0;
        }
    }
}

static int pb_chain(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const items = geometry[0], size = geometry[1], block = geometry[2], room = geometry[3];
    for (; begin < end; begin++) {
        int64_t const from = begin * block;
        npy_intp const n = size - from < block ? size - from : block;
        int64_t const* word = geometry + PB_CHAIN_HEAD;
        for (int64_t k = 0; k < items; k++) {
            char* at[PB_CHAIN_OPERANDS];
            npy_intp steps[PB_CHAIN_OPERANDS];
            int64_t const *head = word, kind = word[0];
            int64_t operands;
            if (kind == PB_CHAIN_SPREAD) {
                pb_spread(word + 3, data[word[1]], scratch + (-1 - word[2]) * room, from, n);
                word += 5 + 2 * word[4];
                continue;
            }
            operands = word[kind == PB_CHAIN_LOOP ? 3 : 7];
            word += kind == PB_CHAIN_LOOP ? 4 : 8;
            for (int64_t i = 0; i < operands; i++, word += 2) {
                steps[i] = word[1];
                at[i] = word[0] < 0 ? scratch + (-1 - word[0]) * room : data[word[0]] + from * word[1];
            }
            if (kind == PB_CHAIN_LOOP) {
                ((pb_loop)(intptr_t)head[1])(at, &n, steps, (void*)(intptr_t)head[2]);
            } else {
                int64_t const* which = head + (n == block ? 2 : 4);
                int const status = ((pb_chain_run)(intptr_t)head[1])(
                    (int64_t const*)(intptr_t)which[0], at, 0, which[1], scratch + head[6]
                );
                if (status) return status;
            }
        }
    }
    return 0;
}

#endif
