/* Copies of boxes between memories of any strides: one template, included for each SIZE of an element.

   The geometry is that of ops/shared/pieces.py:

       inputs, the pattern of a fill (two words), whether boxes may be written in any order, boxes, then of
           each source, where it begins there, where in the result, parts, dims, {size, step, step of the
           result} ...

   `source` is the input that a box is read from, or -1 for the pattern, whose steps are zero; places and
   steps are in bytes, dims go from the slowest in the result to the fastest. A part of the work is an index
   of a box's first dim, or the whole box if it has one part; or it is all boxes, if their order matters. Read
   the last function first. */

#include "interleave.h"
#include "item.h"
#include "walk.h"

#define PB_FEW_ITEMS 8 /* of a row for which it pays not to call a function */
#define TILE (SIZE > 8 ? 8 : SIZE < 4 ? 16 : 64 / SIZE)

#if !defined(PB_INTERLEAVED) || SIZE > 8
#define LANES 0
#elif SIZE == 8
#define LANES 4
#define LOW_LANES 0, 4, 1, 5
#define HIGH_LANES 2, 6, 3, 7
#elif SIZE == 4
#define LANES 8
#define LOW_LANES 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH_LANES 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LANES 16
#define LOW_LANES 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH_LANES 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

static PB_CLONES void SIZED(move_row)(char* to, char const* from, int64_t n, int64_t out, int64_t step) {
    ITEM* const y = (ITEM*)to;
    ITEM const* const x = (ITEM const*)from;
    int64_t j;
    if (out == SIZE && step == SIZE)
        memcpy(to, from, n * SIZE);
    else if (out == SIZE && !step) {
        ITEM const one = *x;
        for (j = 0; j < n; j++) y[j] = one;
    } else if (out == SIZE && step == -SIZE)
        for (j = 0; j < n; j++) y[j] = x[-j];
    else
        for (j = 0; j < n; j++) *(ITEM*)(to + j * out) = *(ITEM const*)(from + j * step);
}

/* Many short rows, of n elements that run on in the result. `n` is a constant where this is called. */
PB_INLINE void SIZED(move_few)(char* to, char const* from, int64_t rows, int64_t out, int64_t by, int64_t n,
                               int64_t step) {
    for (int64_t i = 0; i < rows; i++, to += out, from += by)
        for (int64_t j = 0; j < n; j++) ((ITEM*)to)[j] = *(ITEM const*)(from + j * step);
}

static void SIZED(move_short)(char* to, char const* from, int64_t rows, int64_t out, int64_t by, int64_t n,
                              int64_t step) {
    if (n == 2)
        SIZED(move_few)(to, from, rows, out, by, 2, step);
    else if (n == 3)
        SIZED(move_few)(to, from, rows, out, by, 3, step);
    else if (n == 4)
        SIZED(move_few)(to, from, rows, out, by, 4, step);
    else
        SIZED(move_few)(to, from, rows, out, by, n, step);
}

/* A square of elements is turned in registers: rows k and k + LANES / 2 are interleaved, again and again
   until each row is a column. */
#if LANES
typedef ITEM SIZED(lanes) __attribute__((vector_size(LANES * SIZE)));

PB_INLINE void SIZED(turn_tile)(char* to, char const* from, int64_t out, int64_t step) {
    SIZED(lanes) x[LANES], y[LANES];
    for (int k = 0; k < LANES; k++) memcpy(&x[k], from + k * step, sizeof *x);
    for (int n = 1; n < LANES; n *= 2) {
        for (int k = 0; k < LANES / 2; k++) {
            y[2 * k] = PB_INTERLEAVED(SIZED(lanes), x[k], x[k + LANES / 2], LOW_LANES);
            y[2 * k + 1] = PB_INTERLEAVED(SIZED(lanes), x[k], x[k + LANES / 2], HIGH_LANES);
        }
        memcpy(x, y, sizeof x);
    }
    for (int k = 0; k < LANES; k++) memcpy(to + k * out, &x[k], sizeof *x);
}
#endif

/* Rows of the result that are columns of the source: by tiles, so that each line of memory is read and
   written as a whole, some lines of each row before the next. */
static PB_CLONES void SIZED(move_turned)(char* to, char const* from, int64_t rows, int64_t out, int64_t n,
                                         int64_t step) {
    ITEM tile[TILE][TILE];
    for (int64_t first = 0; first < rows; first += 2 * TILE)
        for (int64_t j = 0; j < n; j += TILE)
            for (int64_t i = first; i < rows && i < first + 2 * TILE; i += TILE) {
                int64_t const high = rows - i < TILE ? rows - i : TILE, wide = n - j < TILE ? n - j : TILE;
                char* const y = to + i * out + j * SIZE;
                char const* const x = from + j * step + i * SIZE;
#if LANES
                if (high == TILE && wide == TILE) {
                    for (int64_t a = 0; a < TILE; a += LANES)
                        for (int64_t b = 0; b < TILE; b += LANES)
                            SIZED(turn_tile)(y + a * out + b * SIZE, x + b * step + a * SIZE, out, step);
                    continue;
                }
#endif
                for (int64_t b = 0; b < wide; b++)
                    for (int64_t a = 0; a < high; a++) tile[a][b] = ((ITEM const*)(x + b * step))[a];
                for (int64_t a = 0; a < high; a++) memcpy(y + a * out, tile[a], wide * SIZE);
            }
}

static void SIZED(move_box)(char* to, char const* from, int64_t const* dims, int64_t count) {
    int64_t at[64] = {0};
    int64_t const *last = dims + 3 * count - 3, *before = last - 3;
    for (int64_t d = 0; d < count; d++)
        if (!dims[3 * d]) return;
    if (!count)
        SIZED(move_row)(to, from, 1, SIZE, SIZE);
    else if (count > 1 && last[0] < PB_FEW_ITEMS && last[2] == SIZE)
        do
            SIZED(move_short)(to, from, before[0], before[2], before[1], last[0], last[1]);
        while (pb_next_box(dims, count - 2, at, &from, &to));
    else if (count > 1 && before[1] == SIZE && last[2] == SIZE && last[1] != SIZE)
        do
            SIZED(move_turned)(to, from, before[0], before[2], last[0], last[1]);
        while (pb_next_box(dims, count - 2, at, &from, &to));
    else
        do
            SIZED(move_row)(to, from, last[0], last[2], last[1]);
        while (pb_next_box(dims, count - 1, at, &from, &to));
}

static int SIZED(move)(int64_t const* geometry, char** data, int64_t begin, int64_t end, char* scratch) {
    int64_t const* box = geometry + 5;
    (void)scratch;
    if (!geometry[3]) end = INT64_MAX; /* the one part is all of them */
    for (int64_t i = 0; i < geometry[4] && end > 0; i++) {
        int64_t const source = box[0], parts = box[3], count = box[4];
        int64_t const low = begin > 0 ? begin : 0, high = end < parts ? end : parts;
        char const* from = source < 0 ? (char const*)(geometry + 1) : data[source] + box[1];
        char* to = data[geometry[0]] + box[2];
        if (low < high) {
            int64_t dims[3 * 64];
            memcpy(dims, box + 5, 3 * count * sizeof *dims);
            if (parts > 1) {
                dims[0] = high - low;
                from += low * dims[1];
                to += low * dims[2];
            }
            SIZED(move_box)(to, from, dims, count);
        }
        begin -= parts;
        end -= parts;
        box += 5 + 3 * count;
    }
    return 0;
}

#undef TILE
#undef LANES
#undef LOW_LANES
#undef HIGH_LANES
#undef PB_FEW_ITEMS
#include "item_end.h"
