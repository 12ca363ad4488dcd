/* Elements where a mask is true: a template for each SIZE of an element.

   The geometry of both runs begins with

       numbers of the inputs: what the result begins as (-1: zeros), the mask, the other (-1: the pattern),
           and the result,
       the pattern of a fill (two words), elements of a row, elements of the other, dims,
       {size, step of the mask, of what the result begins as} of each dim;

   the result is contiguous. To each place of the mask belongs a row of elements, contiguous in
   all tensors. */

#include "item.h"

#ifndef PB_MASK_H
#define PB_MASK_H
typedef struct {
    int64_t begins, mask, other, result, pattern[2], row, count, dims;
} pb_mask;
#define PB_MASK_HEAD 9
enum { PB_TOO_FEW = 1 };

/* The next place in all dims but the last. */
PB_INLINE int pb_next_mask(int64_t const* dims, int64_t count, int64_t* at, char const** mask,
                           char const** from) {
    for (int64_t d = count - 2; d >= 0; d--) {
        int64_t const more = ++at[d] < dims[3 * d], moved = more ? 1 : 1 - dims[3 * d];
        *mask += moved * dims[3 * d + 1];
        *from += moved * dims[3 * d + 2];
        if (more) return 1;
        at[d] = 0;
    }
    return 0;
}
#endif

static PB_CLONES void SIZED(fill_row)(ITEM* PB_RESTRICT y, ITEM const* x, uint8_t const* mask, ITEM one,
                                      int64_t n) {
    for (int64_t j = 0; j < n; j++) y[j] = mask[j] ? one : x[j];
}

/* One number where the mask is true. A part is an index of the first dim. */
static int SIZED(mask_fill)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_mask const* m = (pb_mask const*)geometry;
    int64_t dims[3 * 64], at[64] = {0}, inner = 1;
    char const *mask = data[m->mask], *from = data[m->begins];
    ITEM const one = *(ITEM const*)(m->other < 0 ? (char const*)m->pattern : data[m->other]);
    ITEM* to = (ITEM*)data[m->result];
    (void)scratch;
    memcpy(dims, geometry + PB_MASK_HEAD, 3 * m->dims * sizeof *dims);
    for (int64_t d = 1; d < m->dims; d++) inner *= dims[3 * d];
    dims[0] = end - begin;
    mask += begin * dims[1];
    from += begin * dims[2];
    to += begin * inner;
    int64_t const *last = dims + 3 * m->dims - 3, n = last[0];
    if (n && inner && dims[0]) do {
        if (last[1] == 1 && last[2] == SIZE)
            SIZED(fill_row)(to, (ITEM const*)from, (uint8_t const*)mask, one, n);
        else
            for (int64_t j = 0; j < n; j++)
                to[j] = mask[j * last[1]] ? one : *(ITEM const*)(from + j * last[2]);
        to += n;
    } while (pb_next_mask(dims, m->dims, at, &mask, &from));
    return 0;
}

/* The elements of the other, row after row, where the mask is true: one after another, so one part. */
static int SIZED(mask_put)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    pb_mask const* m = (pb_mask const*)geometry;
    int64_t const *dims = geometry + PB_MASK_HEAD, *last = dims + 3 * m->dims - 3, row = m->row;
    int64_t at[64] = {0}, used = 0;
    ITEM const none = {0};
    char const *mask = data[m->mask], *from = m->begins < 0 ? (char const*)&none : data[m->begins];
    ITEM const* other = (ITEM const*)data[m->other];
    ITEM* to = (ITEM*)data[m->result];
    (void)begin, (void)end, (void)scratch;
    for (int64_t d = 0; d < m->dims; d++)
        if (!dims[3 * d]) return 0;
    /* nothing is written before it is found to fit */
    if (m->begins >= 0 && data[m->begins] == data[m->result]) {
        do
            for (int64_t j = 0; j < last[0]; j++) used += mask[j * last[1]] ? row : 0;
        while (pb_next_mask(dims, m->dims, at, &mask, &from));
        if (used > m->count) return PB_TOO_FEW;
        mask = data[m->mask], from = data[m->begins], used = 0;
        memset(at, 0, sizeof at);
    }
    do {
        for (int64_t j = 0; j < last[0]; j++, to += row) {
            int const here = mask[j * last[1]] != 0;
            if (row == 1 && m->count) {
                ITEM const next = other[used < m->count ? used : 0], old = *(ITEM const*)(from + j * last[2]);
                *to = here ? next : old;
            } else if (!here && m->begins < 0)
                memset(to, 0, row * SIZE);
            else if (!here)
                memcpy(to, from + j * last[2], row * SIZE);
            else if (used + row <= m->count)
                memcpy(to, other + used, row * SIZE);
            used += here ? row : 0;
        }
    } while (pb_next_mask(dims, m->dims, at, &mask, &from));
    return used > m->count ? PB_TOO_FEW : 0;
}

/* The rows of contiguous elements where a contiguous mask is true, of which there are `count`. */
static void SIZED(mask_take)(char* to, char const* from, uint8_t const* mask, int64_t count, int64_t row) {
    ITEM* y = (ITEM*)to;
    ITEM const* x = (ITEM const*)from;
    int64_t i = 0, k = 0;
    if (row == 1)
        for (; k < count; i++) {
            y[k] = x[i];
            k += mask[i] != 0;
        }
    else
        for (; k < count; i++)
            if (mask[i]) memcpy(y + row * k++, x + row * i, row * SIZE);
}

#include "item_end.h"
