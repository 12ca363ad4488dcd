/* Elements at indices: what gathers, scatters and their kin share. What is done to them is a
   pb_row.

   An op goes over some dims. At each place it reads its index tensors, which together say where an element of
   the addressed memory is, and does something with it and with one of another memory. The geometry is that of
   ops/shared/at.py:

       number of indices, their bytes, whether negative ones count from the end (1) or all do so again and
           again (2), one to pass over,
       numbers of the inputs: the one that the result begins as (or -1), the other memory (or -1: the
           pattern), the first index, the result,
       the pattern of a fill (two words), dims of the result, dims, how many of these are a tail,
       which dim of the result and which other dim the parts of the work are indices of (-1: one part),
       {size, step} of each index,
       {size, step of what it begins as, step} of each dim of the result,
       {size, step of the addressed memory, of the other, of each index} of each dim.

   Steps are in bytes. Along a tail all indices stay the same, so it is rows of memory that are moved. */

#ifndef PB_AT_H
#define PB_AT_H

#include "item.h"

#define PB_INDICES 8
#define PB_BLOCK 1024
#define PB_OUT_OF_RANGE 1
#define PB_SKIPPED (-((int64_t)1 << 62)) /* no index has this value */
#define PB_HEAD 15

/* Some indices: what each counts has `size` places, `unit` bytes apart; `wrap` is added to negative ones, and
   `turns` says that all others out of range are taken modulo the size. Where `known` they are bytes already,
   and in range. */
typedef struct {
    char const* p;
    int64_t step, wide, wrap, skipped, size, unit;
    int turns, known;
} pb_index;

/* Works on n elements: `a` in the addressed memory, at indices if there are any, `b` in the other; whether an
   index is out of range. */
typedef int (*pb_row)(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                      void* context);

typedef struct {
    int64_t indices, wide, wraps, skipped, begins, other, first, result, pattern[2];
    int64_t dims, counts, tail, cut_result, cut;
} pb_at;

PB_INLINE int64_t pb_read(pb_index const* index, int64_t j) {
    char const* p = index->p + j * index->step;
    return index->wide == 8 ? *(int64_t const*)p : *(int32_t const*)p;
}

/* An index that is out of range, modulo the size if it turns; whether it still is. */
PB_INLINE int pb_outside(pb_index const* index, int64_t* i) {
    if (!index->turns || !index->size) return 1;
    *i %= index->size;
    *i += *i >> 63 & index->size;
    return 0;
}

/* Does something `at` the j-th place, for each of n; returns from the function where one is out of range. */
#define PB_AT_EACH(index, n, ...)                                                    \
    if ((index)->known)                                                              \
        for (int64_t j = 0; j < (n); j++) {                                          \
            int64_t const at = ((int64_t const*)(index)->p)[j];                      \
            __VA_ARGS__;                                                             \
        }                                                                            \
    else if ((index)->wide == 8 && (index)->step == 8) {                             \
        int64_t const wrap = (index)->wrap, unit = (index)->unit;                    \
        uint64_t const size = (uint64_t)(index)->size;                               \
        for (int64_t j = 0; j < (n); j++) {                                          \
            int64_t i = ((int64_t const*)(index)->p)[j];                             \
            if (i == (index)->skipped) continue;                                     \
            i += i >> 63 & wrap;                                                     \
            if ((uint64_t)i >= size && pb_outside(index, &i)) return PB_OUT_OF_RANGE; \
            int64_t const at = i * unit;                                             \
            __VA_ARGS__;                                                             \
        }                                                                            \
    } else                                                                           \
        for (int64_t j = 0; j < (n); j++) {                                          \
            int64_t i = pb_read(index, j);                                           \
            if (i == (index)->skipped) continue;                                     \
            i += i >> 63 & (index)->wrap;                                            \
            if ((uint64_t)i >= (uint64_t)(index)->size && pb_outside(index, &i))     \
                return PB_OUT_OF_RANGE;                                              \
            int64_t const at = i * (index)->unit;                                    \
            __VA_ARGS__;                                                             \
        }

/* Where the elements of a block are in bytes, all indices together; whether one is out of range. */
static int pb_offsets(pb_index const* index, int64_t indices, int64_t n, int64_t* offset) {
    for (int64_t k = 0; k < indices; k++)
        for (int64_t j = 0; j < n; j++) {
            int64_t i = pb_read(index + k, j);
            i += i >> 63 & index[k].wrap;
            if ((uint64_t)i >= (uint64_t)index[k].size && pb_outside(index + k, &i)) return PB_OUT_OF_RANGE;
            offset[j] = k ? offset[j] + i * index[k].unit : i * index[k].unit;
        }
    return 0;
}

static int pb_next_at(int64_t const* dims, int64_t words, int64_t count, int64_t* place, char** a, char** b,
                      char const** index) {
    for (int64_t d = count - 1; d >= 0; d--) {
        int64_t const* dim = dims + d * words;
        int64_t const more = ++place[d] < dim[0], moved = more ? 1 : 1 - dim[0];
        *a += moved * dim[1];
        *b += moved * dim[2];
        for (int64_t k = 3; k < words; k++) index[k - 3] += moved * dim[k];
        if (more) return 1;
        place[d] = 0;
    }
    return 0;
}

/* Some dims, of which one is cut to [begin, end). */
PB_INLINE void pb_cut(int64_t* dims, int64_t words, int64_t cut, int64_t begin, int64_t end, char** a,
                      char** b, char const** index) {
    if (cut < 0) return;
    int64_t* dim = dims + cut * words;
    begin = begin < dim[0] ? begin : dim[0];
    end = end < dim[0] ? end : dim[0];
    dim[0] = end - begin;
    *a += begin * dim[1];
    *b += begin * dim[2];
    for (int64_t k = 3; k < words; k++) index[k - 3] += begin * dim[k];
}

/* Does nothing: for `pb_each` to look at the indices. */
static int pb_look(char* a, char* b, pb_index const* index, int64_t n, int64_t step_a, int64_t step_b,
                   void* context) {
    (void)a, (void)b, (void)step_a, (void)step_b, (void)context;
    if (index) {
        PB_AT_EACH(index, n, (void)at)
    }
    return 0;
}

/* All places: blocks of the last dim before the tail, and of each of its elements the tail. Indices that are
   read again and again, or several together, are made places once. */
static int pb_each(pb_at const* at, int64_t const* geometry, char** data, char* a, int64_t begin, int64_t end,
                   pb_row row, void* context) {
    int64_t const words = 3 + at->indices, count = at->counts, tail = at->tail, heads = count - tail;
    int64_t const *bounds = geometry + PB_HEAD, *given = bounds + 2 * at->indices + 3 * at->dims;
    int64_t dims[64 * (3 + PB_INDICES)], place[64] = {0}, offset[PB_BLOCK];
    char const* p[PB_INDICES];
    char* b = at->other < 0 ? (char*)at->pattern : data[at->other];
    for (int64_t k = 0; k < at->indices; k++) p[k] = data[at->first + k];
    memcpy(dims, given, count * words * sizeof *dims);
    pb_cut(dims, words, at->cut, begin, end, &a, &b, p);
    for (int64_t d = 0; d < count; d++)
        if (!dims[d * words]) return 0;
    int64_t const *last = dims + (heads - 1) * words, *rows = dims + heads * words;
    int64_t const *line = rows + (tail - 1) * words, *steps = heads ? last + 3 : place;
    int64_t const n = heads ? last[0] : 1, step_a = heads ? last[1] : 0, step_b = heads ? last[2] : 0;
    int again = n <= PB_BLOCK && heads > 1, fresh = 1;
    for (int64_t d = 0; d < heads - 1; d++)
        for (int64_t k = 3; k < words; k++) again = again && !dims[d * words + k];
    int const known = at->skipped == PB_SKIPPED && (again || at->indices > 1);
    do {
        for (int64_t from = 0; from < n; from += PB_BLOCK) {
            int64_t const block = n - from < PB_BLOCK ? n - from : PB_BLOCK;
            char *x = a + from * step_a, *y = b + from * step_b;
            pb_index index[PB_INDICES];
            for (int64_t k = 0; k < at->indices && (fresh || !again); k++) {
                pb_index const one = {p[k] + from * steps[k], steps[k], at->wide,
                                      at->wraps ? bounds[2 * k] : 0, at->skipped, bounds[2 * k],
                                      bounds[2 * k + 1], at->wraps == 2, 0};
                index[k] = one;
            }
            if (known) {
                if ((fresh || !again) && pb_offsets(index, at->indices, block, offset))
                    return PB_OUT_OF_RANGE;
                pb_index const all = {(char const*)offset, 8, 8, 0, 0, 0, 1, 0, 1};
                index[0] = all;
            }
            if (!tail) {
                if (row(x, y, index, block, step_a, step_b, context)) return PB_OUT_OF_RANGE;
                continue;
            }
            PB_AT_EACH(index, block, {
                int64_t inner[64];
                memset(inner, 0, tail * sizeof *inner);
                char *c = x + j * step_a + at, *d = y + j * step_b;
                char const* none[PB_INDICES] = {0};
                if (tail == 1)
                    row(c, d, NULL, line[0], line[1], line[2], context);
                else
                    do
                        row(c, d, NULL, line[0], line[1], line[2], context);
                    while (pb_next_at(rows, words, tail - 1, inner, &c, &d, none));
            })
        }
        fresh = 0;
    } while (heads > 1 && pb_next_at(dims, words, heads - 1, place, &a, &b, p));
    return 0;
}

/* Whether a result that is written over the input that it begins as, where nothing may be written before all
   is found to be right, has an index out of range. */
static int pb_is_bad(pb_at const* at, int64_t const* geometry, char** data, char* a, int64_t begin,
                     int64_t end) {
    return at->begins >= 0 && data[at->begins] == data[at->result] &&
           pb_each(at, geometry, data, a, begin, end, pb_look, NULL);
}

#endif
